/** Redis dies, comes back with nothing or with the past, and freezes: what a sale does meanwhile and after. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RedisLoadStore } from '../src/lua/load.ts';
import {
  brokenPromises,
  call,
  closeEarlierSales,
  createPerformance,
  disagreements,
  type GatewayProcess,
  metricOf,
  newUserId,
  spawnGateway,
  storedReservations,
  until,
  untilJournalsEmpty,
  useStores,
  whileLocked,
} from './harness.ts';
import { newPerformanceId, seated } from './hold-store.contract.ts';
import { balanceOf, cancel, charge, hold, pay } from './money.ts';
import { createOwnDatabase } from './own-database.ts';
import { type PrivateRedis, startPrivateRedis } from './private-stores.ts';
import { connectRedis } from './redis-under-test.ts';
import { recovered } from './reliability.ts';
import { expectPromisesKept, openSale, rushThrough } from './sales.ts';
import { openSocket } from './socket.ts';
import { startTcpProxy } from './tcp-proxy.ts';

/** The deadline of a request, and what a busy machine may add to it. */
const answeredWithinMs = 2000 + 1000;

let redis: PrivateRedis;
let database: Awaited<ReturnType<typeof createOwnDatabase>>;
const running: GatewayProcess[] = [];

beforeAll(async () => {
  redis = await startPrivateRedis();
  database = await createOwnDatabase();
  useStores({ redisUrl: redis.url, mysqlUrl: database.url });
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((gateway) => gateway.kill()));
  await redis.kill();
  await redis.restart({ with: 'nothing' });
});

afterAll(async () => {
  await redis?.stop();
  await database?.drop();
});

async function start(settings: Readonly<Record<string, string>>): Promise<GatewayProcess> {
  const gateway = await spawnGateway(settings);
  running.push(gateway);
  return gateway;
}

async function restartLater(data: 'nothing' | 'old data'): Promise<void> {
  await redis.kill();
  await new Promise((resolve) => setTimeout(resolve, 300));
  await redis.restart({ with: data });
}

async function freezeFor(ms: number): Promise<void> {
  redis.freeze();
  await new Promise((resolve) => setTimeout(resolve, ms));
  redis.resume();
}

describe.each(['persisted', 'held'])('with FASTPASS_ACK=%s', (ack) => {
  it('Redis restarts empty in mid-rush: warmed from MySQL, no seat sold twice, no 201 lost', async () => {
    const { url } = await start({ FASTPASS_ACK: ack });
    const sale = await openSale(url, 3000);
    const { sent, recoveredMs } = await rushThrough(url, sale, {
      afterWins: 300,
      fault: () => restartLater('nothing'),
    });
    expect(await metricOf(url, 'fastpass_acknowledged_lost_total')).toBe(0);
    await expectPromisesKept(url, sale, sent);
    recovered(`Redis killed and restarted empty in a rush (${ack})`, recoveredMs);
  });

  it('Redis frozen in mid-rush: the sale goes on when it is back, no seat sold twice, no 201 lost', async () => {
    const { url } = await start({ FASTPASS_ACK: ack });
    const sale = await openSale(url, 3000);
    const { sent, recoveredMs } = await rushThrough(url, sale, { afterWins: 300, fault: () => freezeFor(2000) });
    expect(await metricOf(url, 'fastpass_acknowledged_lost_total')).toBe(0);
    await expectPromisesKept(url, sale, sent);
    recovered(`Redis frozen for 2 s in a rush (${ack})`, recoveredMs);
  });
});

/** Redis loses what happened between the first place and the fault, as a replica that lagged behind. */
async function failOver(ack: string): Promise<void> {
  const { url } = await start({ FASTPASS_ACK: ack });
  const sale = await openSale(url, 3000);
  let keeping: Promise<void> = Promise.resolve();
  const { sent, recoveredMs } = await rushThrough(url, sale, {
    onFirstWin: () => {
      keeping = redis.keepData();
    },
    afterWins: 400,
    fault: async () => {
      await keeping;
      await restartLater('old data');
    },
  });
  await expectPromisesKept(url, sale, sent);
  expect(await metricOf(url, 'fastpass_acknowledged_lost_total')).toBe(0);
  recovered(`Redis restarted with old data in a rush (${ack})`, recoveredMs);
}

it('failover that loses the last writes: the second sale is refused, its seats resynchronised', () =>
  failOver('persisted'));

const faults = {
  down: { begin: () => redis.kill(), end: () => redis.restart({ with: 'nothing' }) },
  frozen: { begin: async () => redis.freeze(), end: async () => redis.resume() },
} as const;

describe.each(['down', 'frozen'] as const)('Redis %s', (kind) => {
  const fault = faults[kind];

  it('holds are 503 within the deadline, all else answers from MySQL, and it recovers by itself', async () => {
    const { url } = await start({});
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 9 } });
    const [payer, leaver, other] = [newUserId(), newUserId(), newUserId()];
    for (const userId of [payer, leaver]) expect((await charge(url, userId, 5000)).status).toBe(201);
    const paid = (await hold(url, payer, { performanceId, seats: [1] })).body;
    const left = (await hold(url, leaver, { performanceId, seats: [2] })).body;
    const { eventId } = (await call(url, 'GET', `/v1/performances/${performanceId}`)).body;

    await fault.begin();
    const beganAtMs = performance.now();
    const timed = async (what: Promise<{ status: number }>, status: number): Promise<void> => {
      const askedAtMs = performance.now();
      expect(await what).toMatchObject({ status });
      expect(performance.now() - askedAtMs).toBeLessThan(answeredWithinMs);
    };
    const refused = await Promise.all(
      [3, 4, 5].map(async (seat, i) => {
        const key = i === 0 ? 'a-key' : undefined;
        const reply = await hold(url, newUserId(), { performanceId, seats: [seat] }, key);
        return { ...reply, ms: performance.now() - beganAtMs };
      }),
    );
    for (const { status, headers, body, ms } of refused) {
      expect({ status, code: body.code }).toEqual({ status: 503, code: 'unavailable' });
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      expect(ms).toBeLessThan(answeredWithinMs);
    }
    await timed(call(url, 'GET', '/healthz'), 200);
    const ready = await call(url, 'GET', '/readyz');
    expect(ready).toMatchObject({ status: 503 });
    expect(ready.body.detail).toContain('redis');
    expect(ready.body.detail).not.toContain('mysql');
    await timed(call(url, 'GET', '/v1/events'), 200);
    await timed(call(url, 'GET', `/v1/events/${eventId}/performances`), 200);
    await timed(call(url, 'GET', `/v1/performances/${performanceId}`), 200);
    await timed(call(url, 'GET', `/v1/performances/${performanceId}/seats`), 200);
    await timed(call(url, 'GET', `/v1/reservations/${left.reservationId}`, { userId: leaver }), 200);
    await timed(call(url, 'GET', '/v1/reservations', { userId: payer }), 200);
    await timed(pay(url, payer, paid.reservationId), 201);
    await timed(cancel(url, leaver, left.reservationId), 200);
    expect(await balanceOf(url, payer)).toBe(5000 - paid.amount);

    await fault.end();
    const endedAtMs = performance.now();
    await until('a hold is taken', async () => {
      return (await hold(url, other, { performanceId, seats: [6] })).status === 201;
    });
    recovered(`Redis ${kind}: a hold is taken again`, performance.now() - endedAtMs);
    await until('it is ready', async () => (await call(url, 'GET', '/readyz')).status === 200);
    // What was paid and cancelled meanwhile, Redis knows now, too: nobody gets the one seat, anybody the other.
    await until('the cancelled seat can be held', async () => {
      return (await hold(url, newUserId(), { performanceId, seats: [2] })).status === 201;
    });
    expect((await hold(url, newUserId(), { performanceId, seats: [1] })).body.code).toBe('seat_taken');
    expect(await brokenPromises(performanceId)).toEqual([]);
    await until('both stores say the same', async () => (await disagreements(url, performanceId)).length === 0);
  });

  it('a socket stays open, and is told of the seats again', async () => {
    const { url } = await start({});
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 3 } });
    const socket = await openSocket(url, newUserId());
    socket.send({ type: 'seats.watch', performanceId });
    await socket.until('the watch has begun', () => socket.of('seats.changed')[0]);
    const isChanged = (seat: number, status: string): boolean =>
      socket
        .of('seats.changed')
        .some(({ changes }) => changes.some((one: unknown[]) => one[0] === seat && one[1] === status));
    expect((await hold(url, newUserId(), { performanceId, seats: [1] })).status).toBe(201);
    await socket.until('seat 1 is held', () => isChanged(1, 'HELD'));
    await fault.begin();
    const reserve = { type: 'reserve', performanceId, seats: [2] };
    socket.send({ ...reserve, id: 'while-down' });
    const refusal = await socket.until('it is refused', () => socket.of('reserve.result')[0]);
    expect(refusal).toMatchObject({ id: 'while-down', status: 503, code: 'unavailable' });
    await fault.end();
    await until('seat 3 can be held', async () => {
      return (await hold(url, newUserId(), { performanceId, seats: [3] })).status === 201;
    });
    const heldAtMs = performance.now();
    await socket.until('seat 3 is held', () => isChanged(3, 'HELD'));
    recovered(`Redis ${kind}: watchers of seats are told again`, performance.now() - heldAtMs);
    expect(socket.closed).toBeNull();
    socket.raw.terminate();
  });
});

it('a full queue while Redis is stalled answers 503 overloaded at once, and serves again afterwards', async () => {
  const settings = { FASTPASS_QUEUE_DEPTH_MAX: '40', FASTPASS_BATCH_SIZE_MAX: '10' };
  const { url } = await start(settings);
  const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 300 } });
  expect((await hold(url, newUserId(), { performanceId, seats: [300] })).status).toBe(201);
  redis.freeze();
  const sentAtMs = performance.now();
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const reply = await hold(url, newUserId(), { performanceId, seats: [i + 1] });
      return { ...reply, ms: performance.now() - sentAtMs };
    }),
  );
  redis.resume();
  const resumedAtMs = performance.now();
  for (const { status, headers } of answers) {
    expect(status).toBe(503);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  }
  const turnedAway = answers.filter(({ body }) => body.code === 'overloaded');
  expect(turnedAway.length).toBeGreaterThanOrEqual(200 - 40 - 1);
  // They do not wait for what the others wait for, the second after which a command is given up.
  const queued = answers.filter(({ body }) => body.code !== 'overloaded');
  expect(Math.max(...turnedAway.map(({ ms }) => ms))).toBeLessThan(Math.min(...queued.map(({ ms }) => ms)));
  await until('a hold is taken', async () => {
    return (await hold(url, newUserId(), { performanceId, seats: [299] })).status === 201;
  });
  recovered('Full queue while Redis is stalled: a hold is taken again', performance.now() - resumedAtMs);
  expect(await metricOf(url, 'fastpass_queue_depth')).toBe(0);
});

it('failover that loses the last writes: what was acknowledged before its commit is not lost either', () =>
  failOver('held'));

it('a rival at a gateway that is back sooner does not get what another one acknowledged and has not committed', async () => {
  const proxy = await startTcpProxy('127.0.0.1', redis.port);
  const slow = await start({ FASTPASS_ACK: 'held', REDIS_URL: `redis://127.0.0.1:${proxy.port}` });
  const quick = await start({ FASTPASS_ACK: 'held' });
  const performanceId = await createPerformance(slow.url, { seating: { kind: 'seated', seats: 1 } });
  const wish = { performanceId, seats: [1] };
  const lock = 'SELECT seat FROM seats WHERE performance_id = ? FOR UPDATE';
  const acknowledged = await whileLocked(lock, [performanceId], async () => {
    const { status, body } = await hold(slow.url, newUserId(), wish);
    expect(status).toBe(201);
    proxy.cut();
    await restartLater('nothing');
    await until('one gateway is back', async () => (await call(quick.url, 'GET', '/readyz')).status === 200);
    const rival = hold(quick.url, newUserId(), wish);
    // Less than the longest delay between two tries to reconnect.
    await new Promise((resolve) => setTimeout(resolve, 250));
    proxy.restore();
    await until('the other one is back', async () => (await call(slow.url, 'GET', '/readyz')).status === 200);
    await Promise.race([rival, new Promise((resolve) => setTimeout(resolve, 300))]);
    return body.reservationId;
  });
  await until('a rival is told that the seat is taken', async () => {
    const { status, body } = await hold(quick.url, newUserId(), wish);
    expect([409, 503]).toContain(status);
    return body.code === 'seat_taken';
  });
  await untilJournalsEmpty([performanceId]);
  expect((await storedReservations(performanceId)).map(({ id }) => id)).toEqual([acknowledged]);
  expect(await metricOf(slow.url, 'fastpass_acknowledged_lost_total')).toBe(0);
  await proxy.close();
});

it('a load that began before Redis was restarted is not put in place', async () => {
  const connection = await connectRedis([redis.url]);
  const id = newPerformanceId();
  const loads = new RedisLoadStore(connection);
  const start = await loads.startLoad(id);
  await restartLater('nothing');
  await until('it is connected again', () => connection.isReady);
  expect(await loads.finishLoad(start, seated(id))).toBe('void');
  expect(await loads.finishLoad(await loads.startLoad(id), seated(id))).toBe('warmed');
  await connection.close();
});

it('a connection lost and made again to the same Redis leaves performances warm', async () => {
  const proxy = await startTcpProxy('127.0.0.1', redis.port);
  // Those of the tests before it would be warmed meanwhile, and be counted.
  await closeEarlierSales();
  const { url } = await start({ REDIS_URL: `redis://127.0.0.1:${proxy.port}` });
  const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 2 } });
  expect((await hold(url, newUserId(), { performanceId, seats: [1] })).status).toBe(201);
  const loads = await metricOf(url, 'fastpass_cold_loads_total');
  proxy.cut();
  await until('it is noticed', async () => (await call(url, 'GET', '/readyz')).status === 503);
  proxy.restore();
  await until('a hold is taken', async () => {
    return (await hold(url, newUserId(), { performanceId, seats: [2] })).status === 201;
  });
  expect(await metricOf(url, 'fastpass_cold_loads_total')).toBe(loads);
  await proxy.close();
});
