/** The settings of a waiting room, changed while people wait: rate, limit, opening, draw, on and off. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  call,
  createPerformance,
  newUserId,
  query,
  type Reply,
  startGateway,
  type TestGateway,
  until,
} from './harness.ts';
import {
  admittedVisitor,
  closeSockets,
  configure,
  isFalling,
  join,
  joinAll,
  leave,
  look,
  openRoom,
  positionsOf,
  roomPath,
  stateOf,
  untilState,
  untilStatus,
  type Visitor,
  waitingIn,
  watch,
  whileListening,
} from './rooms.ts';
import type { Message, TestSocket } from './socket.ts';

let gateway: TestGateway;
let url: string;

beforeAll(async () => {
  gateway = await startGateway();
  url = gateway.url;
});

afterAll(async () => {
  closeSockets();
  await gateway.stop();
});

const watchAll = (visitors: readonly Visitor[]): Promise<TestSocket[]> =>
  Promise.all(visitors.map((visitor) => watch(url, visitor)));

/** Resolves after `ticks` whole seconds of the room. */
const pass = (id: number, ticks: number): Promise<unknown> => whileListening(id, (listener) => listener.pass(ticks));

const admittedOf = (sockets: readonly TestSocket[]): Message[] =>
  sockets.flatMap((socket) => socket.of('queue.admitted'));

const isoIn = (ms: number): string => new Date(Date.now() + ms).toISOString();

const hour = 3_600_000;

describe('the settings', { concurrent: true }, () => {
  it('are answered as they are in force, with what they leave out', async () => {
    const id = await createPerformance(url, { seating: { kind: 'seated', seats: 10 } });
    const set = await configure(url, id, { admitPerSecond: 2.5, maxActive: 7 });
    const expected = {
      mode: 'on',
      issued: 0,
      admitted: 0,
      waiting: 0,
      active: 0,
      admitPerSecond: 2.5,
      maxActive: 7,
      passSeconds: 300,
      opensAt: null,
      drawBeforeOpen: false,
    };
    expect([set.status, set.body]).toEqual([200, expected]);
    expect(await stateOf(url, id)).toEqual(expected);

    const opensAt = '2031-05-06T10:00:00.000Z';
    const fields = { admitPerSecond: 1, maxActive: 1, passSeconds: 60, opensAt, drawBeforeOpen: true };
    expect((await configure(url, id, fields)).body).toEqual({ ...expected, ...fields });
    const offset = { ...fields, opensAt: '2031-05-06T12:00:00+02:00' };
    expect((await configure(url, id, offset)).body.opensAt).toBe(opensAt);
    // What is left out is the default again, not what was set before.
    expect((await configure(url, id, { admitPerSecond: 2.5, maxActive: 7 })).body).toEqual(expected);
    expect((await configure(url, id, { ...fields, opensAt: null, drawBeforeOpen: false })).body.opensAt).toBeNull();
  });

  it('of a wrong kind or size are refused by name, and change nothing', async () => {
    const id = await openRoom(url, { admitPerSecond: 3, maxActive: 4 });
    const good = { mode: 'on', admitPerSecond: 10, maxActive: 5 };
    const bad: [string, Record<string, unknown>][] = [
      ['/mode', { ...good, mode: 'maybe' }],
      ['/mode', { admitPerSecond: 10, maxActive: 5 }],
      ['/admitPerSecond', { ...good, admitPerSecond: -1 }],
      ['/admitPerSecond', { ...good, admitPerSecond: '10' }],
      ['/admitPerSecond', { ...good, admitPerSecond: 1e9 }],
      ['/admitPerSecond', { ...good, admitPerSecond: null }],
      ['/admitPerSecond', { mode: 'on', maxActive: 5 }],
      ['/maxActive', { ...good, maxActive: 0 }],
      ['/maxActive', { ...good, maxActive: 1.5 }],
      ['/maxActive', { ...good, maxActive: 1e9 }],
      ['/maxActive', { mode: 'on', admitPerSecond: 10 }],
      ['/passSeconds', { ...good, passSeconds: 0 }],
      ['/passSeconds', { ...good, passSeconds: 1.5 }],
      ['/passSeconds', { ...good, passSeconds: 1e9 }],
      ['/opensAt', { ...good, opensAt: 'tomorrow' }],
      ['/opensAt', { ...good, opensAt: 12 }],
      ['/opensAt', { ...good, opensAt: '2031-02-31T10:00:00Z' }],
      ['/opensAt', { ...good, drawBeforeOpen: true }],
      ['/opensAt', { ...good, opensAt: null, drawBeforeOpen: true }],
      ['/drawBeforeOpen', { ...good, opensAt: isoIn(hour), drawBeforeOpen: 'yes' }],
    ];
    const put = (body: unknown): Promise<Reply> => call(url, 'PUT', roomPath(id), { userId: 1, role: 'admin', body });
    const answers = await Promise.all(bad.map(([, body]) => put(body)));
    expect(answers.map(({ status, body }) => [status, body.code])).toEqual(bad.map(() => [400, 'validation_failed']));
    const paths = answers.map(({ body }) => body.errors.map(({ path }: { path: string }) => path));
    bad.forEach(([path, body], i) => {
      // A field that is missing is named where it is missing, or by its object.
      const isMissing = path !== '/opensAt' && !(path.slice(1) in body);
      expect(
        paths[i].some((each: string) => each === path || (isMissing && each === '')),
        JSON.stringify(body),
      ).toBe(true);
    });
    expect((await put([])).status).toBe(400);
    expect(await stateOf(url, id)).toMatchObject({ admitPerSecond: 3, maxActive: 4, passSeconds: 300 });
  });

  it('may be changed by admins alone', async () => {
    const id = await openRoom(url, { maxActive: 4 });
    const body = { mode: 'off', admitPerSecond: 1, maxActive: 1 };
    const byUser = await call(url, 'PUT', roomPath(id), { userId: newUserId(), body });
    expect([byUser.status, byUser.body.code]).toEqual([403, 'forbidden']);
    expect((await call(url, 'PUT', roomPath(id), { body })).status).toBe(401);
    expect(await stateOf(url, id)).toMatchObject({ mode: 'on', maxActive: 4 });
  });

  it('of a performance that is not there are 404, and so are its tickets', async () => {
    const nowhere = 999_999_999;
    const other = await openRoom(url);
    const { userId, ticket } = await admittedVisitor(url, other);
    const replies = [
      await configure(url, nowhere),
      await call(url, 'GET', roomPath(nowhere)),
      await join(url, nowhere, newUserId()),
    ];
    expect(replies.map(({ status, body }) => [status, body.code])).toEqual(
      replies.map(() => [404, 'performance_not_found']),
    );
    // Its tickets cannot exist: one of another performance is none.
    expect((await look(url, nowhere, userId, ticket)).status).toBe(400);
  });

  it('of a performance without a room are off: nobody waits, nobody needs a pass', async () => {
    const id = await createPerformance(url, { seating: { kind: 'seated', seats: 10 } });
    const read = await call(url, 'GET', roomPath(id));
    expect(read.status).toBe(200);
    expect(read.body).toMatchObject({ mode: 'off', issued: 0, admitted: 0, waiting: 0, active: 0, opensAt: null });
    const joined = await join(url, id, newUserId());
    expect([joined.status, joined.body]).toEqual([200, { status: 'open' }]);
  });
});

describe('while people wait', { concurrent: true }, () => {
  it('a rate of 0 pauses, and another one goes on from there', async () => {
    const id = await openRoom(url, { admitPerSecond: 0 });
    const visitors = await joinAll(url, id, 20);
    const sockets = await watchAll(visitors);
    await pass(id, 3);
    expect(admittedOf(sockets)).toEqual([]);
    expect(await stateOf(url, id)).toMatchObject({ issued: 20, admitted: 0, waiting: 20, active: 0 });

    await configure(url, id, { admitPerSecond: 5 });
    await until('some are in', () => admittedOf(sockets).length >= 5);
    await configure(url, id, { admitPerSecond: 0 });
    // The round that was made before the pause is told to its end.
    await pass(id, 1);
    const { admitted } = await stateOf(url, id);
    await until('all of them were told', () => admittedOf(sockets).length === admitted);
    await pass(id, 2);
    expect(await stateOf(url, id)).toMatchObject({ admitted, waiting: 20 - admitted });
    expect(admitted).toBeLessThan(20);

    await configure(url, id, { admitPerSecond: 1000 });
    await until('all are in', () => admittedOf(sockets).length === 20);
    // In order, also over the pauses, and in the order of their numbers.
    const starts = sockets.map((socket) => Date.parse(socket.of('queue.admitted')[0].passExpiresAt));
    expect([...starts].sort((a, b) => a - b)).toEqual(starts);
    expect(sockets.map((socket) => isFalling(positionsOf(socket)))).toEqual(sockets.map(() => true));
  });

  it('a rate of 0 lets nobody in, also where there is room again', async () => {
    const id = await openRoom(url, { maxActive: 1 });
    const visitors = await joinAll(url, id, 3);
    const sockets = await watchAll(visitors);
    await until('one is in', () => admittedOf(sockets).length === 1);
    // Long enough for the rate to have earned somebody whom the limit kept out.
    await pass(id, 1);
    await configure(url, id, { admitPerSecond: 0, maxActive: 10 });
    await pass(id, 2);
    expect(admittedOf(sockets)).toHaveLength(1);
    expect(await stateOf(url, id)).toMatchObject({ admitted: 1, active: 1, waiting: 2 });
  });

  it('another rate is kept to from then on', async () => {
    const id = await openRoom(url, { admitPerSecond: 4 });
    await whileListening(id, async (listener) => {
      // More than come in even where the rounds are late.
      await joinAll(url, id, 600);
      await listener.pass(1);
      await configure(url, id, { admitPerSecond: 40 });
      await listener.pass(1);
      const before = listener.news.length;
      await listener.pass(4);
      const rounds = listener.news.slice(before).filter(({ admitted }) => admitted.length > 0);
      const startsMs = rounds.map(({ admitted }) => admitted[0]!.passEndsAtMs);
      const count = rounds.slice(1).reduce((sum, { admitted }) => sum + admitted.length, 0);
      const perSecond = (count * 1000) / (startsMs.at(-1)! - startsMs[0]!);
      expect(perSecond).toBeGreaterThan(40 * 0.95);
      expect(perSecond).toBeLessThan(40 * 1.05);
    });
  });

  it('a higher maxActive lets more in, and with a lower one nobody comes until there is room again', async () => {
    const id = await openRoom(url, { maxActive: 3 });
    const visitors = await joinAll(url, id, 12);
    const sockets = await watchAll(visitors);
    const areAdmitted = (count: number): Promise<void> =>
      until(`${count} are in`, () => admittedOf(sockets).length === count);
    await areAdmitted(3);
    await pass(id, 2);
    expect(admittedOf(sockets)).toHaveLength(3);

    await configure(url, id, { maxActive: 6 });
    await areAdmitted(6);
    await configure(url, id, { maxActive: 2 });
    for (const { userId, ticket } of visitors.slice(0, 4)) await leave(url, id, userId, ticket);
    await pass(id, 2);
    expect(await stateOf(url, id)).toMatchObject({ admitted: 6, active: 2, waiting: 6, maxActive: 2 });
    const fifth = visitors[4]!;
    await leave(url, id, fifth.userId, fifth.ticket);
    await areAdmitted(7);
    expect(sockets[6]!.of('queue.admitted')).toHaveLength(1);
    await pass(id, 1);
    await untilState(url, id, { admitted: 7, active: 2, waiting: 5 });
  });

  it('turned off, everybody is let through at once, and on again, newcomers wait again', async () => {
    const id = await openRoom(url, { admitPerSecond: 0, maxActive: 1 });
    const visitors = await joinAll(url, id, 30);
    const sockets = await watchAll(visitors);
    await Promise.all(sockets.map((socket) => socket.message('queue.position')));
    const hold = (userId: number, seat: number, pass = ''): Promise<Reply> =>
      call(url, 'POST', '/v1/reservations', {
        userId,
        body: { performanceId: id, seats: [seat] },
        headers: pass === '' ? {} : { 'queue-pass': pass },
      });
    expect((await hold(visitors[0]!.userId, 1)).body.code).toBe('queue_pass_required');

    expect((await configure(url, id, { mode: 'off', admitPerSecond: 0, maxActive: 1 })).body.mode).toBe('off');
    const first = visitors[0]!;
    expect((await look(url, id, first.userId, first.ticket)).body).toEqual({ status: 'open' });
    const newcomer = newUserId();
    const joined = await join(url, id, newcomer);
    expect([joined.status, joined.body]).toEqual([200, { status: 'open' }]);
    expect((await hold(newcomer, 2)).status).toBe(201);
    await Promise.all(sockets.map((socket) => socket.message('queue.admitted')));
    expect(sockets.map((socket) => socket.of('queue.admitted').length)).toEqual(sockets.map(() => 1));
    expect(sockets.map((socket) => socket.of('queue.expired'))).toEqual(sockets.map(() => []));
    expect((await hold(first.userId, 1)).status).toBe(201);
    await untilState(url, id, { waiting: 0 });

    await configure(url, id, { mode: 'on', admitPerSecond: 0 });
    const late = newUserId();
    expect((await hold(late, 3)).body.code).toBe('queue_pass_required');
    const again = await join(url, id, late);
    expect([again.status, again.body]).toMatchObject([201, { status: 'waiting', number: 31, position: 1 }]);
    // Who was let through stays inside for the time of a pass.
    const second = visitors[1]!;
    const { body } = await look(url, id, second.userId, second.ticket);
    expect(body).toMatchObject({ status: 'admitted', number: 2 });
    expect((await hold(second.userId, 3, body.pass)).status).toBe(201);
    await configure(url, id);
    await untilStatus(url, id, { userId: late, ticket: again.body.ticket, number: 31 }, 'admitted');
  });

  it('etaSeconds is null until somebody was let in, and then says what is measured, not what is set', async () => {
    const id = await openRoom(url, { admitPerSecond: 0 });
    const visitors = await joinAll(url, id, 400);
    const last = visitors.at(-1)!;
    expect((await look(url, id, last.userId, last.ticket)).body).toMatchObject({ position: 400, etaSeconds: null });
    const socket = await watch(url, last);
    expect(await socket.message('queue.position')).toMatchObject({ position: 400, etaSeconds: null });
    // A thousand a second may come in; the limit lets twenty of them in a round.
    await whileListening(id, async (listener) => {
      listener.onNews = ({ admitted }) => {
        for (const { userId } of admitted) {
          const { ticket } = visitors.find((visitor) => visitor.userId === userId)!;
          void leave(url, id, userId, ticket);
        }
      };
      await configure(url, id, { admitPerSecond: 1000, maxActive: 20 });
      await listener.pass(4);
      const { rate } = await listener.pass(1);
      listener.onNews = () => {};
      expect(rate).toBeGreaterThan(1);
      expect(rate).toBeLessThanOrEqual(45);
      const { position, etaSeconds } = (await look(url, id, last.userId, last.ticket)).body;
      expect(etaSeconds).toBeGreaterThanOrEqual(position / 45);
      expect(etaSeconds).toBeLessThanOrEqual(position);
      expect(position / 1000, 'what the setting alone would say').toBeLessThan(etaSeconds / 10);
    });
    await socket.message('queue.position', (told) => told.etaSeconds > 0);
  });
});

describe('before a room opens', { concurrent: true }, () => {
  it('numbers and positions are known, nobody is let in, and then it begins with the first', async () => {
    const opensAt = isoIn(hour);
    const id = await openRoom(url, { opensAt });
    const visitors: Visitor[] = [];
    for (let i = 1; i <= 10; i++) {
      const userId = newUserId();
      const { status, body } = await join(url, id, userId);
      expect([status, body]).toEqual([
        201,
        { status: 'waiting', ticket: body.ticket, number: i, position: i, etaSeconds: null, opensAt },
      ]);
      visitors.push({ userId, ticket: body.ticket, number: i });
    }
    const sockets = await watchAll(visitors);
    const first = await Promise.all(sockets.map((socket) => socket.message('queue.position')));
    expect(first).toEqual(
      visitors.map(({ number }) => ({
        type: 'queue.position',
        performanceId: id,
        number,
        position: number,
        etaSeconds: null,
        opensAt,
      })),
    );
    await pass(id, 2);
    expect(admittedOf(sockets)).toEqual([]);
    expect(await stateOf(url, id)).toMatchObject({ opensAt, waiting: 10, admitted: 0 });

    const opensAtMs = Date.now() + 1500;
    await configure(url, id, { opensAt: new Date(opensAtMs).toISOString(), passSeconds: 60 });
    const admitted = await Promise.all(sockets.map((socket) => socket.message('queue.admitted')));
    const startsMs = admitted.map(({ passExpiresAt }) => Date.parse(passExpiresAt) - 60_000);
    expect([...startsMs].sort((a, b) => a - b)).toEqual(startsMs);
    expect(startsMs[0], 'not before').toBeGreaterThanOrEqual(opensAtMs);
    expect(startsMs[0], 'and then at once').toBeLessThan(opensAtMs + 5000);
  });

  it('leaving makes everybody behind move up', async () => {
    const id = await openRoom(url, { opensAt: isoIn(hour) });
    const visitors = await joinAll(url, id, 10);
    const sockets = await watchAll(visitors);
    await Promise.all(sockets.map((socket) => socket.message('queue.position')));
    for (const { userId, ticket } of [visitors[2]!, visitors[5]!]) await leave(url, id, userId, ticket);
    await sockets[9]!.message('queue.position', ({ position }) => position === 8);
    await sockets[3]!.message('queue.position', ({ position }) => position === 3);
    expect(positionsOf(sockets[1]!)).toEqual([2]);
    const { body } = await look(url, id, visitors[9]!.userId, visitors[9]!.ticket);
    expect(body).toMatchObject({ number: 10, position: 8 });
  });
});

/** The order of a draw, worked out from what is stored: the documented way, written out again. */
function drawnNumbers(seed: string, first: number, last: number): Map<number, number> {
  const arrivals = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const keyed = arrivals.map((arrival) => ({
    arrival,
    key: createHash('sha256').update(`${seed}:${arrival}`).digest('hex'),
  }));
  keyed.sort((a, b) => (a.key < b.key ? -1 : 1));
  return new Map(keyed.map(({ arrival }, rank) => [arrival, first + rank]));
}

describe('a draw', { concurrent: true }, () => {
  const early = 40;

  /** A room with a draw, and its early ones, whose arrivals are 1 to `early`. */
  async function openDraw(fields: Record<string, unknown> = {}) {
    const opensAt = isoIn(hour);
    const settings = { admitPerSecond: 0, drawBeforeOpen: true, ...fields };
    const id = await openRoom(url, { ...settings, opensAt });
    const visitors = await joinAll(url, id, early);
    const open = (more: Record<string, unknown> = {}): Promise<Reply> =>
      configure(url, id, { ...settings, opensAt: isoIn(-1), ...more });
    return { id, opensAt, visitors, open };
  }

  /** How each visitor stands once the draw is over. */
  async function drawn(id: number, visitors: readonly Visitor[]): Promise<Message[]> {
    let places: Message[] = [];
    await until('everybody has a number', async () => {
      places = await Promise.all(
        visitors.map(async ({ userId, ticket }) => (await look(url, id, userId, ticket)).body),
      );
      return places.every(({ number }) => number !== null);
    });
    return places;
  }

  it('gives nobody a number before, and then everybody one that can be worked out from the stored seed', async () => {
    const { id, opensAt, visitors, open } = await openDraw();
    const waiting = { number: null, position: null, etaSeconds: null, opensAt };
    const userId = visitors[0]!.userId;
    const repeat = await join(url, id, userId);
    expect([repeat.status, repeat.body]).toEqual([200, { status: 'waiting', ticket: visitors[0]!.ticket, ...waiting }]);
    expect(visitors.map(({ number }) => number)).toEqual(visitors.map(() => null));
    const sockets = await watchAll(visitors);
    const first = await Promise.all(sockets.map((socket) => socket.message('queue.position')));
    expect(first).toEqual(visitors.map(() => ({ type: 'queue.position', performanceId: id, ...waiting })));
    await untilState(url, id, { drawBeforeOpen: true, issued: early, waiting: early, admitted: 0 });
    expect(await query('SELECT seed FROM queue_draws WHERE performance_id = ?', [id])).toEqual([]);

    await open();
    // Whoever comes now is late, whether the draw is over or not.
    const late = (await joinAll(url, id, 5)).map(({ number }) => number);
    expect(late).toEqual([1, 2, 3, 4, 5].map((i) => early + i));
    const places = await drawn(id, visitors);
    const numbers: number[] = places.map(({ number }) => number);
    expect([...numbers].sort((a, b) => a - b)).toEqual(Array.from({ length: early }, (_, i) => i + 1));
    expect(
      places.map(({ position }) => position),
      'nobody has left',
    ).toEqual(numbers);
    expect(numbers, 'shuffled').not.toEqual([...numbers].sort((a, b) => a - b));

    const draws = await query('SELECT seed, first_arrival, last_arrival FROM queue_draws WHERE performance_id = ?', [
      id,
    ]);
    expect(draws).toEqual([{ seed: expect.stringMatching(/^[0-9a-f]{64}$/), first_arrival: 1, last_arrival: early }]);
    const expected = drawnNumbers(draws[0]!['seed'], 1, early);
    expect(numbers).toEqual(visitors.map((_, i) => expected.get(i + 1)));

    await Promise.all(sockets.map((socket, i) => socket.message('queue.position', (m) => m.number === numbers[i])));
    for (const [i, socket] of sockets.entries()) {
      expect(socket.of('queue.position').at(-1)).toMatchObject({ number: numbers[i], position: numbers[i] });
    }
    // Let in by their numbers, the late ones behind.
    await open({ admitPerSecond: 1000 });
    const admitted = await Promise.all(sockets.map((socket) => socket.message('queue.admitted')));
    expect(admitted.map(({ number }) => number)).toEqual(numbers);
    const byNumber = [...admitted].sort((a, b) => a.number - b.number).map((each) => Date.parse(each.passExpiresAt));
    expect([...byNumber].sort((a, b) => a - b)).toEqual(byNumber);
  });

  it('comes out otherwise in another room, and when nobody waits for it nothing is drawn', async () => {
    const draws = await Promise.all([openDraw(), openDraw()]);
    const orders = await Promise.all(
      draws.map(async ({ id, visitors, open }) => {
        await open();
        return (await drawn(id, visitors)).map(({ number }) => number);
      }),
    );
    expect(orders[0]).not.toEqual(orders[1]);

    const empty = await openRoom(url, { admitPerSecond: 0, drawBeforeOpen: true, opensAt: isoIn(hour) });
    await configure(url, empty, { admitPerSecond: 0, drawBeforeOpen: true, opensAt: isoIn(-1) });
    await pass(empty, 1);
    expect((await joinAll(url, empty, 1))[0]!.number).toBe(1);
    expect(await query('SELECT seed FROM queue_draws WHERE performance_id = ?', [empty])).toEqual([]);
  });

  it('leaves no hole in the positions where early ones have left', async () => {
    const { id, visitors, open } = await openDraw();
    const gone = new Set([0, 7, 8, 21, early - 1]);
    for (const i of gone) {
      const { userId, ticket } = visitors[i]!;
      expect((await leave(url, id, userId, ticket)).status).toBe(204);
      expect((await look(url, id, userId, ticket)).body).toEqual({ status: 'left' });
    }
    await untilState(url, id, { issued: early, waiting: early - gone.size });
    const stayed = visitors.filter((_, i) => !gone.has(i));
    const sockets = await watchAll(stayed);
    await open();
    const places = await drawn(id, stayed);
    const positions = places.map(({ position }) => position).sort((a, b) => a - b);
    expect(positions).toEqual(Array.from({ length: early - gone.size }, (_, i) => i + 1));
    const byNumber = [...places].sort((a, b) => a.number - b.number).map(({ position }) => position);
    expect(byNumber).toEqual(positions);
    const [late] = await joinAll(url, id, 1);
    expect((await look(url, id, late!.userId, late!.ticket)).body).toMatchObject({
      number: early + 1,
      position: stayed.length + 1,
    });
    await Promise.all(
      sockets.map((socket, i) => socket.message('queue.position', (m) => m.position === places[i].position)),
    );
    await whileListening(id, async (listener) => {
      const numbers = [...places.map(({ number }) => number), early + 1].sort((a, b) => a - b);
      expect(waitingIn(await listener.pass(1))).toEqual(numbers);
    });
  });

  it('who leaves before it and joins again draws again, once', async () => {
    const { id, visitors, open } = await openDraw();
    const { userId, ticket } = visitors[3]!;
    await leave(url, id, userId, ticket);
    const again = await join(url, id, userId);
    expect([again.status, again.body]).toMatchObject([201, { number: null, position: null }]);
    expect(again.body.ticket).not.toBe(ticket);
    await open();
    const present = visitors.map((visitor) =>
      visitor.userId === userId ? { ...visitor, ticket: again.body.ticket } : visitor,
    );
    const places = await drawn(id, present);
    expect(new Set(places.map(({ number }) => number)).size).toBe(early);
    expect(places.map(({ position }) => position).sort((a, b) => a - b)).toEqual(
      Array.from({ length: early }, (_, i) => i + 1),
    );
    expect((await look(url, id, userId, ticket)).body).toEqual({ status: 'left' });
  });

  it('is made when the room is turned off or draws no more, too: nobody is forgotten', async () => {
    const [off, plain] = await Promise.all([openDraw(), openDraw()]);
    const [offSockets, plainSockets] = await Promise.all([watchAll(off.visitors), watchAll(plain.visitors)]);
    await Promise.all([...offSockets, ...plainSockets].map((socket) => socket.message('queue.position')));
    await configure(url, off.id, { mode: 'off' });
    await Promise.all(offSockets.map((socket) => socket.message('queue.admitted')));
    expect(admittedOf(offSockets)).toHaveLength(early);

    await configure(url, plain.id, { admitPerSecond: 0, drawBeforeOpen: false, opensAt: plain.opensAt });
    await drawn(plain.id, plain.visitors);
    await pass(plain.id, 1);
    expect(await stateOf(url, plain.id)).toMatchObject({ waiting: early, admitted: 0 });
    await configure(url, plain.id);
    await Promise.all(plainSockets.map((socket) => socket.message('queue.admitted')));
  });
});
