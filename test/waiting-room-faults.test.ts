/** What goes wrong while people wait: the leader is killed, Redis cannot be reached, Redis forgets everything. */
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { performanceKeys } from '../src/lua/keys.ts';
import {
  call,
  type GatewayProcess,
  metricOf,
  newUserId,
  query,
  type Reply,
  redisClient,
  spawnGateway,
  until,
} from './harness.ts';
import {
  closeSockets,
  configure,
  isFalling,
  join,
  joinAll,
  leave,
  look,
  openRoom,
  positionsOf,
  RoomListener,
  untilState,
  type Visitor,
  waitingIn,
  watch,
  whileListening,
} from './rooms.ts';
import type { Message, TestSocket } from './socket.ts';
import { startTcpProxy } from './tcp-proxy.ts';

/** The promise: another process goes on with the admission in this time. */
const takenOverWithinMs = 5000;
/** The default of FASTPASS_REQUEST_DEADLINE_MS, and room for a slow machine. */
const answeredWithinMs = 2000 + 1000;

let redis: Redis;
const running: GatewayProcess[] = [];

beforeAll(() => {
  redis = redisClient();
});

afterEach(async () => {
  closeSockets();
  await Promise.all(running.splice(0).map((gateway) => gateway.kill()));
});

afterAll(() => redis.disconnect());

async function start(settings: Readonly<Record<string, string>> = {}): Promise<GatewayProcess> {
  const gateway = await spawnGateway(settings);
  running.push(gateway);
  return gateway;
}

async function listen(id: number): Promise<RoomListener> {
  const listener = await RoomListener.open(id);
  onTestFinished(() => listener.close());
  return listener;
}

const paused = { admitPerSecond: 0 };

/** Everybody whom the rounds let in, in their order. */
const admissionsOf = (listener: RoomListener) => listener.news.flatMap(({ admitted }) => admitted);

const range = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, i) => first + i);

/** Fails unless every socket was told falling positions, and then of one admission with its own number. */
function expectWholeWay(sockets: readonly TestSocket[], visitors: readonly Pick<Visitor, 'number'>[]): void {
  for (const [i, socket] of sockets.entries()) {
    const { number } = visitors[i]!;
    expect(isFalling(positionsOf(socket)), `positions of number ${number}: ${positionsOf(socket)}`).toBe(true);
    expect(
      socket.of('queue.admitted').map((message) => message.number),
      `admissions of number ${number}`,
    ).toEqual([number]);
    expect(socket.messages.at(-1).type).toBe('queue.admitted');
  }
}

describe('when the leader is killed', () => {
  it('another process goes on within five seconds: nobody is let in twice, nobody is left out', {
    timeout: 120_000,
  }, async () => {
    const both = [await start(), await start()];
    let leader: GatewayProcess | undefined;
    await until('one of them leads', async () => {
      const isLeading = await Promise.all(both.map(({ url }) => metricOf(url, 'fastpass_leader')));
      leader = both[isLeading.indexOf(1)];
      return leader !== undefined;
    });
    const survivor = both.find((gateway) => gateway !== leader)!;
    const people = 480;
    const passSeconds = 600;
    const id = await openRoom(survivor.url, { ...paused, passSeconds });
    const listener = await listen(id);
    const visitors = await joinAll(survivor.url, id, people);
    // Every third one has a socket at the leader.
    const isLost = (i: number): boolean => i % 3 === 0;
    const sockets = await Promise.all(
      visitors.map((visitor, i) => watch(isLost(i) ? leader!.url : survivor.url, visitor)),
    );
    await Promise.all(sockets.map((socket) => socket.message('queue.position')));

    await configure(survivor.url, id, { admitPerSecond: 60, passSeconds });
    await until('a hundred are in', () => admissionsOf(listener).length >= 100);
    await leader!.kill();
    const atKill = admissionsOf(listener);
    expect(atKill.length).toBeLessThan(people - 100);
    await until('admission goes on', () => admissionsOf(listener).length > atKill.length);
    // By Redis' clock: the first of a round gets the pass at its moment.
    const firstAfter = admissionsOf(listener)[atKill.length]!;
    const lastBefore = listener.news
      .filter(({ admitted }) => admitted[0] && admitted[0].number < firstAfter.number)
      .at(-1)!;
    expect(firstAfter.passEndsAtMs - lastBefore.admitted[0]!.passEndsAtMs).toBeLessThan(takenOverWithinMs);
    expect(await metricOf(survivor.url, 'fastpass_leader')).toBe(1);

    // Those who lost their socket come back to the other gateway.
    const current = [...sockets];
    const lost = visitors.map((_, i) => i).filter(isLost);
    await Promise.all(
      lost.map(async (i) => {
        await sockets[i]!.closeCode();
        current[i] = await watch(survivor.url, visitors[i]!);
      }),
    );
    const admitted = await Promise.all(current.map((socket) => socket.message('queue.admitted', () => true, 30_000)));
    expect(admissionsOf(listener).map(({ number }) => number)).toEqual(range(1, people));
    expect(admissionsOf(listener).map(({ userId }) => userId)).toEqual(visitors.map(({ userId }) => userId));
    const stayed = (_: unknown, i: number): boolean => !isLost(i);
    expectWholeWay(sockets.filter(stayed), visitors.filter(stayed));
    for (const i of lost) {
      const positions = [...positionsOf(sockets[i]!), ...positionsOf(current[i]!)];
      const fresh = positions.filter((position, k) => k === 0 || position !== positions[k - 1]);
      expect(isFalling(fresh), `positions of number ${i + 1}: ${positions}`).toBe(true);
      // Whoever heard of the admission at the killed gateway has the same pass here.
      for (const { pass } of sockets[i]!.of('queue.admitted')) expect(pass).toBe(admitted[i].pass);
    }
    const endsMs = admitted.map(({ passExpiresAt }) => Date.parse(passExpiresAt));
    expect(
      [...endsMs].sort((a, b) => a - b),
      'in the order of the numbers',
    ).toEqual(endsMs);
    await untilState(survivor.url, id, { issued: people, admitted: people, active: people, waiting: 0 });
  });
});

describe('when Redis cannot be reached for some seconds', () => {
  it.each(['cut', 'stall'] as const)(
    'joins are refused in time, and then everybody stands where they stood (%s)',
    { timeout: 120_000 },
    async (fault) => {
      const upstream = new URL(inject('redisUrl'));
      const proxy = await startTcpProxy(upstream.hostname, Number(upstream.port));
      onTestFinished(() => proxy.close());
      const viaProxy = new URL(upstream);
      viaProxy.port = String(proxy.port);
      const { url } = await start({ REDIS_URL: viaProxy.href });
      const id = await openRoom(url, paused);
      const listener = await listen(id);
      const visitors = await joinAll(url, id, 60);
      const sockets = await Promise.all(visitors.map((visitor) => watch(url, visitor)));
      await Promise.all(sockets.map((socket) => socket.message('queue.position')));
      await configure(url, id, { admitPerSecond: 10 });
      await until('some are in', () => admissionsOf(listener).length >= 10);

      proxy[fault]();
      const refusals: { status: number; code: string; tookMs: number; retryAfter: string | null }[] = [];
      const endMs = performance.now() + 3000;
      while (performance.now() < endMs) {
        const sentMs = performance.now();
        const replies = await Promise.all([
          join(url, id, newUserId()),
          look(url, id, visitors[59]!.userId, visitors[59]!.ticket),
          leave(url, id, visitors[58]!.userId, visitors[58]!.ticket),
        ]);
        const tookMs = performance.now() - sentMs;
        for (const { status, body, headers } of replies) {
          refusals.push({ status, code: body?.code, tookMs, retryAfter: headers.get('retry-after') });
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      expect(new Set(refusals.map(({ status }) => status))).toEqual(new Set([503]));
      for (const { code, retryAfter } of refusals) {
        expect(['unavailable', 'overloaded']).toContain(code);
        expect(Number(retryAfter)).toBeGreaterThan(0);
      }
      expect(Math.max(...refusals.map(({ tookMs }) => tookMs))).toBeLessThan(answeredWithinMs);
      // No socket was closed or told anything but positions and admissions.
      expect(sockets.filter(({ closed }) => closed !== null)).toEqual([]);

      proxy.restore();
      const late = newUserId();
      let joined: Reply | undefined;
      await until('somebody can join', async () => {
        joined = await join(url, id, late);
        return joined.status === 201;
      });
      expect(joined!.body.number).toBeGreaterThan(60);
      const socket = await watch(url, { userId: late, ticket: joined!.body.ticket });
      await Promise.all([...sockets, socket].map((each) => each.message('queue.admitted', () => true, 20_000)));
      // A request that was refused may have been done: one of them leaves, at most.
      const numbers = admissionsOf(listener).map(({ number }) => number);
      expect([...numbers].sort((a, b) => a - b)).toEqual(numbers);
      expect(new Set(numbers).size).toBe(numbers.length);
      expect(numbers).toEqual(expect.arrayContaining(range(1, 60)));
      expectWholeWay(sockets, visitors);
      const types = new Set(sockets.flatMap(({ messages }) => messages.map(({ type }: Message) => type)));
      expect(types).toEqual(new Set(['queue.position', 'queue.admitted']));
    },
  );
});

describe('when Redis forgets everything', () => {
  /** MySQL is told once a second how many tickets are out. */
  const untilNoted = (id: number, count: number): Promise<void> =>
    until('MySQL knows how many tickets are out', async () => {
      const rows = await query('SELECT issued FROM waiting_rooms WHERE performance_id = ?', [id]);
      return rows[0]!['issued'] === count;
    });

  const placeOf = async (url: string, id: number, { userId, ticket }: Visitor): Promise<Message> =>
    (await look(url, id, userId, ticket)).body;

  it('tickets get their places back in the old order, by polls and by sockets, and newcomers stand behind them', async () => {
    const [one, two] = [await start(), await start()];
    const { url } = one;
    const id = await openRoom(url, { maxActive: 4 });
    const visitors = await joinAll(url, id, 30);
    await untilState(url, id, { admitted: 4, waiting: 26 });
    await configure(url, id, { ...paused, maxActive: 4 });
    // Ten poll, ten have a socket here, ten there.
    const watched = visitors.filter((_, i) => i % 3 !== 0);
    const sockets = await Promise.all(watched.map((visitor, i) => watch(i % 2 === 0 ? url : two.url, visitor)));
    await Promise.all(
      sockets.map((socket) =>
        socket.until('a first message', () => positionsOf(socket).length + socket.of('queue.admitted').length > 0),
      ),
    );
    await untilNoted(id, 30);
    await redis.flushall();

    const [newcomer] = await joinAll(two.url, id, 1);
    expect(newcomer!.number).toBeGreaterThan(30);
    const polling = visitors.filter((visitor) => !watched.includes(visitor)).reverse();
    for (const visitor of polling) {
      expect(await placeOf(url, id, visitor)).toMatchObject({ status: 'waiting', number: visitor.number });
    }
    const [second] = await joinAll(url, id, 1);
    expect(second!.number).toBe(newcomer!.number! + 1);
    // The sockets find out by themselves. Passes are lost: those who had one stand first in line.
    await untilState(url, id, { waiting: 32, admitted: 0, active: 0 });
    const all = [...visitors, newcomer!, second!];
    const places = await Promise.all(all.map((visitor) => placeOf(two.url, id, visitor)));
    expect(places.map(({ number, position }) => [number, position])).toEqual(
      all.map(({ number }, i) => [number, i + 1]),
    );
    expect((await call(url, 'GET', `/v1/performances/${id}/queue`)).body).toMatchObject({
      mode: 'on',
      admitPerSecond: 0,
      maxActive: 4,
    });

    // The sockets go on: they hear of those who leave, never of a greater position, and of their admission.
    const listener = await listen(id);
    await leave(url, id, visitors[3]!.userId, visitors[3]!.ticket);
    await configure(url, id, { admitPerSecond: 15 });
    await until('everybody else is in', () => admissionsOf(listener).length === 31);
    const expected = all.filter((visitor) => visitor !== visitors[3]);
    expect(admissionsOf(listener).map(({ userId }) => userId)).toEqual(expected.map(({ userId }) => userId));
    for (const [i, socket] of sockets.entries()) {
      const { number } = watched[i]!;
      const again = number! <= 4 ? 2 : 1;
      await socket.until('its admission', () => socket.of('queue.admitted').length === again);
      expect(isFalling(positionsOf(socket)), `positions of number ${number}: ${positionsOf(socket)}`).toBe(true);
      expect(socket.of('queue.expired')).toEqual([]);
    }
  });

  it('while people are let in, everybody still gets in, and no position grows', async () => {
    const { url } = await start();
    const id = await openRoom(url, paused);
    const visitors = await joinAll(url, id, 200);
    const sockets = await Promise.all(visitors.map((visitor) => watch(url, visitor)));
    await Promise.all(sockets.map((socket) => socket.message('queue.position')));
    await untilNoted(id, 200);
    await configure(url, id, { admitPerSecond: 40 });
    await until('sixty are in', () => sockets.filter((socket) => socket.of('queue.admitted').length > 0).length >= 60);
    await redis.flushall();
    await Promise.all(sockets.map((socket) => socket.message('queue.admitted', () => true, 20_000)));
    const unsteady = sockets.filter((socket) => !isFalling(positionsOf(socket)));
    expect(unsteady.map((socket) => positionsOf(socket))).toEqual([]);
    await untilState(url, id, { waiting: 0 });
  });

  it('who was drawn gets the drawn number back', async () => {
    const { url } = await start();
    const settings = { ...paused, drawBeforeOpen: true };
    const id = await openRoom(url, { ...settings, opensAt: new Date(Date.now() + 3_600_000).toISOString() });
    const visitors = await joinAll(url, id, 30);
    await configure(url, id, { ...settings, opensAt: new Date(Date.now() - 1).toISOString() });
    let before: Message[] = [];
    await until('the draw is over', async () => {
      before = await Promise.all(visitors.map((visitor) => placeOf(url, id, visitor)));
      return before.every(({ number }) => number !== null);
    });
    const [late] = await joinAll(url, id, 1);
    const sockets = await Promise.all(visitors.slice(0, 15).map((visitor) => watch(url, visitor)));
    await Promise.all(sockets.map((socket) => socket.message('queue.position')));
    await untilNoted(id, 31);
    await redis.flushall();
    const all = [...visitors, late!];
    const after = await Promise.all(all.map((visitor) => placeOf(url, id, visitor)));
    expect(after.map(({ number }) => number)).toEqual([...before.map(({ number }) => number), 31]);
    await untilState(url, id, { waiting: 31 });
    const places = await Promise.all(all.map((visitor) => placeOf(url, id, visitor)));
    expect(places.map(({ position }) => position)).toEqual(after.map(({ number }) => number));
    expect(sockets.map((socket) => positionsOf(socket).length)).toEqual(sockets.map(() => 1));
  });

  it('who waits for a draw is still in it', async () => {
    const { url } = await start();
    const settings = { ...paused, drawBeforeOpen: true };
    const opensAt = new Date(Date.now() + 3_600_000).toISOString();
    const id = await openRoom(url, { ...settings, opensAt });
    const visitors = await joinAll(url, id, 20);
    await untilNoted(id, 20);
    await redis.flushall();
    const [newcomer] = await joinAll(url, id, 1);
    const all = [...visitors, newcomer!];
    const waiting = { status: 'waiting', number: null, position: null, opensAt };
    for (const visitor of all) expect(await placeOf(url, id, visitor)).toMatchObject(waiting);
    await configure(url, id, { ...settings, opensAt: new Date(Date.now() - 1).toISOString() });
    const lookAtAll = (): Promise<Message[]> => Promise.all(all.map((visitor) => placeOf(url, id, visitor)));
    await until('the draw is over', async () => (await lookAtAll()).every(({ number }) => number !== null));
    // A draw is made in parts, of a thousand arrivals each, and the newcomer is of another part: whoever was looked at between
    // two of them did not see all that are ahead.
    const places = await lookAtAll();
    const inOrder = [...places].sort((a, b) => a.number - b.number);
    expect(inOrder.map(({ position }) => position)).toEqual(range(1, 21));
    expect(new Set(places.map(({ number }) => number)).size).toBe(21);
    expect(
      inOrder.map(({ ticket }) => ticket),
      'shuffled',
    ).not.toEqual(places.map(({ ticket }) => ticket));
  });

  it('or some of it only, those it forgot stand between their neighbours again', async () => {
    const { url } = await start();
    const id = await openRoom(url, paused);
    const visitors = await joinAll(url, id, 10);
    const { tickets, waiting, seen, line } = performanceKeys(id);
    const forgotten = [visitors[1]!, visitors[2]!, visitors[8]!];
    const transaction = redis.multi();
    for (const { userId, number } of forgotten) {
      transaction.hdel(tickets, String(userId)).zrem(waiting, String(userId)).zrem(seen, String(userId));
      transaction.setbit(line, number!, 0);
    }
    await transaction.exec();
    expect(await placeOf(url, id, visitors[9]!)).toMatchObject({ number: 10, position: 7 });
    const sockets = await Promise.all(forgotten.slice(0, 2).map((visitor) => watch(url, visitor)));
    const told = await Promise.all(sockets.map((socket) => socket.message('queue.position')));
    expect(told.map(({ number, position }) => [number, position])).toEqual([
      [2, 2],
      [3, 3],
    ]);
    // Joining with the ticket finds the place as well.
    const { userId, ticket } = forgotten[2]!;
    expect(await join(url, id, userId, ticket)).toMatchObject({
      status: 200,
      body: { ticket, number: 9, position: 9 },
    });
    await whileListening(id, async (listener) => expect(waitingIn(await listener.pass(1))).toEqual(range(1, 10)));
  });
});
