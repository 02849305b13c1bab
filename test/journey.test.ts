/** A new user's whole way over the typed client, as a page or a program goes it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  FastpassClient,
  FastpassSocket,
  type QueueRequest,
  type Result,
  type SeatsEvent,
  type WaitOptions,
  type WaitOutcome,
  waitForPass,
} from '../src/client/index.ts';
import { freePort } from '../src/embedded/supervise.ts';
import { newUserId, startGateway, type TestGateway, tokenOf, until } from './harness.ts';
import { startTcpProxy } from './tcp-proxy.ts';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.stop());

/** The value of a result that must be one. */
function got<Value>(result: Result<Value>): Value {
  if (result.ok) return result.value;
  throw new Error(`${result.status} ${JSON.stringify(result.problem)}`);
}

/** A client with a token of the tests' own. */
function clientOf(url: string, role: 'user' | 'admin' = 'user'): FastpassClient {
  return new FastpassClient({ baseUrl: url, token: tokenOf(newUserId(), role) });
}

async function newPerformance(admin: FastpassClient): Promise<number> {
  const { eventId } = got(await admin.createEvent({ name: 'The journey' }));
  const seating = { kind: 'seated', rows: 2, seatsPerRow: 5 } as const;
  const created = await admin.createPerformance(eventId, { startsAt: '2030-01-01T20:00:00Z', price: 1500, seating });
  const { performanceId, remaining } = got(created);
  expect(remaining).toBe(10);
  expect(got(await admin.events()).items.map((event) => event.eventId)).toContain(eventId);
  expect(got(await admin.performances(eventId)).items.map((each) => each.performanceId)).toEqual([performanceId]);
  return performanceId;
}

/** Somebody who has just signed up, with money. */
async function newcomer(): Promise<FastpassClient> {
  const client = new FastpassClient({ baseUrl: gateway.url });
  const account = { email: `journey-${newUserId()}@example.org`, password: 'correct horse', name: 'Kim' };
  const user = got(await client.signUp(account));
  expect(await client.signUp(account)).toMatchObject({ ok: false, status: 409, problem: { code: 'email_taken' } });
  expect(await client.balance()).toMatchObject({ ok: false, problem: { code: 'unauthorized' } });
  const wrong = await client.logIn(account.email, 'wrong horse');
  expect([wrong.ok, wrong.status, client.token]).toEqual([false, 401, null]);
  expect(got(await client.logIn(account.email, account.password))).toMatchObject({ userId: user.userId });
  expect(await client.isTokenGood()).toBe(true);
  expect(got(await client.charge(5000))).toEqual({ balance: 5000 });
  return client;
}

const open: QueueRequest = { mode: 'on', admitPerSecond: 20, maxActive: 5 };
const paused: QueueRequest = { ...open, admitPerSecond: 0 };

type Admitted = Extract<WaitOutcome, { status: 'admitted' }>;

function passOf(outcome: WaitOutcome): Admitted {
  if (outcome.status !== 'admitted') throw new Error(`not admitted: ${JSON.stringify(outcome)}`);
  return outcome;
}

describe("a new user's whole way", () => {
  it.each<[string, WaitOptions]>([
    ['with a socket', {}],
    ['over HTTP alone', { usesSocket: false, pollMsMin: 200, pollMsMax: 400 }],
  ])('from sign-up to log-out, %s', { timeout: 120_000 }, async (_, options) => {
    const admin = clientOf(gateway.url, 'admin');
    const performanceId = await newPerformance(admin);
    expect(got(await admin.setQueue(performanceId, paused))).toMatchObject({ mode: 'on', admitPerSecond: 0 });
    // Somebody is ahead.
    const other = clientOf(gateway.url);
    expect(got(await other.joinQueue(performanceId))).toMatchObject({ status: 'waiting', number: 1, position: 1 });

    const client = await newcomer();
    const positions: (number | null)[] = [];
    const transports: string[] = [];
    const admitted = waitForPass(client, performanceId, {
      ...options,
      onPosition: ({ position }) => positions.push(position),
      onTransport: (transport) => transports.push(transport),
    });
    await until('the place is followed', () => transports.length > 0 && positions.length > 0);
    expect(positions).toEqual([2]);
    // What everybody may read is kept for a moment.
    await until('the room counts both', async () => got(await client.queue(performanceId)).waiting === 2);
    got(await admin.setQueue(performanceId, open));
    const { pass, ticket } = passOf(await admitted);
    expect(transports).toEqual([options.usesSocket === false ? 'polling' : 'socket']);
    // 2, or 2 and 1.
    expect(positions.toSorted().reverse()).toEqual(positions);
    expect(got(await client.ticket(performanceId, ticket))).toMatchObject({ status: 'admitted', pass });

    const wish = { performanceId, seats: [1, 2] } as const;
    expect(await client.reserve(wish)).toMatchObject({ ok: false, problem: { code: 'queue_pass_required' } });
    const held = got(await client.reserve(wish, { pass, idempotencyKey: `journey-${performanceId}` }));
    expect(held).toMatchObject({ status: 'HELD', seats: [1, 2], amount: 3000 });
    const replayed = await client.reserve(wish, { pass, idempotencyKey: `journey-${performanceId}` });
    expect(replayed).toEqual({ ok: true, status: 201, value: held, replayed: true });
    const paid = got(await client.pay(held.reservationId));
    expect(paid).toMatchObject({ amount: 3000, balance: 2000, status: 'PAID' });

    const { reservationId } = held;
    expect(got(await client.reservation(reservationId))).toMatchObject({ status: 'CONFIRMED', seats: [1, 2] });
    expect(await other.reservation(reservationId)).toMatchObject({ problem: { code: 'reservation_not_found' } });
    expect(got(await client.reservations({ status: 'CONFIRMED' })).items).toHaveLength(1);
    const map = got(await client.seats(performanceId));
    if (!map.isChanged) throw new Error('a first look is a whole map');
    expect(map.map.seats.slice(0, 3).map(({ status }) => status)).toEqual(['OCCUPIED', 'OCCUPIED', 'AVAILABLE']);
    expect(got(await client.seats(performanceId, { etag: map.etag }))).toEqual({
      isChanged: false,
      etag: map.etag,
    });

    expect(got(await client.cancel(reservationId))).toEqual({ reservationId, status: 'CANCELLED', refunded: 3000 });
    expect(got(await client.seats(performanceId, { etag: map.etag })).isChanged).toBe(true);
    const entries: unknown[] = [];
    for await (const page of client.historyPages({ limit: 2 })) {
      for (const { type, amount, balance } of got(page).items) entries.push([type, amount, balance]);
    }
    expect(entries).toEqual([
      ['refund', 3000, 5000],
      ['payment', -3000, 2000],
      ['charge', 5000, 5000],
    ]);
    expect(got(await other.leaveQueue(performanceId, got(await ticketOf(other, performanceId))))).toBeNull();
    const { token } = client;
    expect((await client.logOut()).status).toBe(204);
    client.token = token;
    expect(await client.isTokenGood()).toBe(false);
    expect(await client.balance()).toMatchObject({ problem: { code: 'unauthorized' } });
  });
});

/** The ticket of somebody who has one already. */
async function ticketOf(client: FastpassClient, performanceId: number): Promise<Result<string>> {
  const joined = await client.joinQueue(performanceId);
  if (!joined.ok || !('ticket' in joined.value)) throw new Error(JSON.stringify(joined));
  return { ...joined, value: joined.value.ticket };
}

describe('over the socket', () => {
  it('a hold is made and refused, watched by others, paid and told', async () => {
    const admin = clientOf(gateway.url, 'admin');
    const performanceId = await newPerformance(admin);
    const [one, two] = [clientOf(gateway.url), clientOf(gateway.url)];
    const [mine, others] = [new FastpassSocket(one), new FastpassSocket(two)];
    const seen: SeatsEvent['changes'][number][] = [];
    const confirmed: string[] = [];
    let isWatching = false;
    others.onSeats(({ changes }) => {
      isWatching = true;
      seen.push(...changes);
    });
    others.watchSeats(performanceId);
    mine.onReservationConfirmed(({ reservationId }) => confirmed.push(reservationId));
    for (const socket of [mine, others]) socket.open();
    // The first message, without changes, says that the seats are watched from here on.
    await until('both are open, and one watches', () => mine.state === 'open' && isWatching);
    const held = got(await mine.reserve({ performanceId, seats: [3] }, { idempotencyKey: 'once' }));
    expect(held).toMatchObject({ status: 'HELD', seats: [3], amount: 1500 });
    expect(await mine.reserve({ performanceId, seats: [3] }, { idempotencyKey: 'once' })).toEqual({
      ok: true,
      status: 201,
      value: held,
      replayed: true,
    });
    const refused = await others.reserve({ performanceId, seats: [2, 3] });
    if (refused.ok || refused.problem.code !== 'seat_taken') throw new Error(`not taken: ${JSON.stringify(refused)}`);
    expect(refused.problem).toMatchObject({ type: 'urn:fastpass:problem:seat_taken', status: 409, seats: [3] });
    // Frames are a quarter of a second apart, and tell of a seat what is new by then.
    await until('the hold is told', () => seen.length > 0);
    got(await one.charge(1500));
    got(await one.pay(held.reservationId));
    await until('both are told', () => confirmed.length > 0 && seen.length > 1);
    expect(confirmed).toEqual([held.reservationId]);
    expect(seen).toEqual([
      [3, 'HELD'],
      [3, 'OCCUPIED'],
    ]);
    for (const socket of [mine, others]) socket.close();
  });

  it('is over for good once its token is given back', async () => {
    const client = await newcomer();
    const socket = new FastpassSocket(client);
    socket.open();
    await until('it is open', () => socket.state === 'open');
    const { token } = client;
    expect((await client.logOut()).ok).toBe(true);
    client.token = token;
    await until('it is closed', () => socket.state === 'closed');
    // Nor is a handshake with that token tried again and again.
    socket.open();
    await until('it is closed', () => socket.state === 'closed');
  });
});

describe('a network that goes silent', () => {
  it('is noticed by a ping; a hold under way is made once, and the place is kept', async () => {
    const proxy = await startTcpProxy('127.0.0.1', Number(new URL(gateway.url).port));
    const admin = clientOf(gateway.url, 'admin');
    const performanceId = await newPerformance(admin);
    const roomId = await newPerformance(admin);
    got(await admin.setQueue(roomId, paused));
    const client = clientOf(`http://127.0.0.1:${proxy.port}`);
    const socket = new FastpassSocket(client, { pingIntervalMs: 200, pongMsMax: 200, delayMs: 100, connectMsMax: 500 });
    try {
      const transports: string[] = [];
      const admitted = waitForPass(client, roomId, { socket, onTransport: (transport) => transports.push(transport) });
      await until('the place is followed', () => transports.length > 0);
      proxy.stall();
      const held = socket.reserve({ performanceId, seats: [5] }, { deadlineMs: 30_000 });
      await until('the silence is noticed', () => socket.state === 'connecting');
      proxy.restore();
      expect(got(await held)).toMatchObject({ seats: [5] });
      const direct = new FastpassClient({ baseUrl: gateway.url, token: client.token! });
      expect(got(await direct.reservations()).items).toHaveLength(1);
      got(await admin.setQueue(roomId, open));
      expect(passOf(await admitted).number).toBe(1);
    } finally {
      socket.close();
      await proxy.close();
    }
  });
});

describe('a gateway that is stopped and started again', () => {
  it.each<[string, WaitOptions]>([
    ['with a socket', {}],
    ['over HTTP alone', { usesSocket: false, pollMsMin: 200, pollMsMax: 400 }],
  ])('keeps the place of those who wait, %s', { timeout: 120_000 }, async (_, options) => {
    // A port that the system has chosen for a listener is not to be had again while connections of before linger.
    const settings = { PORT: String(await freePort()) };
    let own: TestGateway | null = await startGateway(settings);
    try {
      const { url } = own;
      const admin = clientOf(url, 'admin');
      const performanceId = await newPerformance(admin);
      got(await admin.setQueue(performanceId, paused));
      const waits = await Promise.all(
        Array.from({ length: 3 }, async () => {
          const client = clientOf(url);
          got(await client.joinQueue(performanceId));
          return { client, positions: [] as (number | null)[], transports: [] as string[] };
        }),
      );
      const outcomes = waits.map(({ client, positions, transports }) =>
        waitForPass(client, performanceId, {
          ...options,
          onPosition: ({ position }) => positions.push(position),
          onTransport: (transport) => transports.push(transport),
        }),
      );
      await until('all are followed', () =>
        waits.every(({ transports, positions }) => transports.length > 0 && positions.length > 0),
      );
      const before = waits.map(({ positions }) => positions.at(-1));
      expect(before.toSorted()).toEqual([1, 2, 3]);
      await own.stop();
      own = null;
      // Long enough for tries that fail.
      await new Promise((resolve) => setTimeout(resolve, 1500));
      own = await startGateway(settings);
      expect(waits.map(({ positions }) => positions.at(-1))).toEqual(before);
      got(await admin.setQueue(performanceId, { ...open, admitPerSecond: 1, maxActive: 1 }));
      // One at a time, in their order: the next comes in when the one before has left.
      const order = before.map((position, i) => ({ position, i })).sort((a, b) => a.position! - b.position!);
      for (const { i } of order) {
        const { ticket, number } = passOf(await outcomes[i]!);
        expect(number).toBe(before[i]);
        got(await waits[i]!.client.leaveQueue(performanceId, ticket));
      }
      for (const { positions } of waits) {
        expect(positions.toSorted((a, b) => b! - a!)).toEqual(positions);
      }
    } finally {
      await own?.stop();
    }
  });
});
