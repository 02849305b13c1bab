/** What goes wrong during a sale, end to end: Redis forgets everything, gateways are killed or stopped, leaders die. */
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { silentLog } from '../src/logger.ts';
import { RedisConnection } from '../src/lua/connection.ts';
import { performanceKeys } from '../src/lua/keys.ts';
import { RedisLoadStore } from '../src/lua/load.ts';
import { Database } from '../src/persist/database.ts';
import { readSnapshot } from '../src/persist/performances.ts';
import {
  acknowledged,
  brokenPromises,
  call,
  countByStatus,
  createPerformance,
  crowd,
  disagreements,
  type GatewayProcess,
  metricOf,
  newUserId,
  patient,
  type Reply,
  redisClient,
  serverFaults,
  spawnGateway,
  storedReservations,
  storedStatus,
  until,
  untilJournalsEmpty,
  whileLocked,
} from './harness.ts';
import { expectPromisesKept, missing, openSale, spareSeats } from './sales.ts';
import { startTcpProxy } from './tcp-proxy.ts';

/** The promise: what a killed gateway leaves behind is recovered, its leadership taken over, in this time. */
const recoveredWithinMs = 5000;
const stoppedWithinMs = 10_000;

let redis: Redis;
const running: GatewayProcess[] = [];

beforeAll(() => {
  redis = redisClient();
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((gateway) => gateway.kill()));
});

afterAll(() => redis.disconnect());

async function start(settings: Readonly<Record<string, string>>): Promise<GatewayProcess> {
  const gateway = await spawnGateway(settings);
  running.push(gateway);
  return gateway;
}

describe.each(['persisted', 'held'])('with FASTPASS_ACK=%s', (ack) => {
  const settings = { ...patient, FASTPASS_ACK: ack };
  const hold = (url: string, userId: number, body: unknown, key?: string): Promise<Reply> =>
    call(url, 'POST', '/v1/reservations', {
      userId,
      body,
      ...(key === undefined ? {} : { headers: { 'idempotency-key': key } }),
    });

  it('a rush goes on while Redis forgets everything, again and again', async () => {
    const gateway = await start(settings);
    const sale = await openSale(gateway.url, 6000);
    let answers = 0;
    const flushes: Promise<unknown>[] = [];
    // People look at the hall all the time: what they read warms it too.
    let isOver = false;
    const look = async (): Promise<void> => {
      while (!isOver) await fetch(`${gateway.url}/v1/performances/${sale.hallId}/seats`).then((reply) => reply.text());
    };
    const looking = [look(), look()];
    const sent = await crowd(gateway.url, sale.sendings, {
      onAnswer: () => {
        if (++answers % 600 === 0 && answers < 6000) flushes.push(redis.flushall());
      },
    });
    isOver = true;
    await Promise.all([...flushes, ...looking]);
    expect(flushes).toHaveLength(9);

    expect(serverFaults(sent)).toEqual([]);
    expect(Object.keys(countByStatus(sent)).sort()).toEqual(['201', '409']);
    expect(await metricOf(gateway.url, 'fastpass_acknowledged_lost_total')).toBe(0);
    await expectPromisesKept(gateway.url, sale, sent);
    expect((await hold(gateway.url, newUserId(), { performanceId: sale.hallId, seats: spareSeats })).status).toBe(201);
  });

  /** The second of two who want one seat, or of one who wants two, when Redis forgot the first and MySQL lags behind. */
  async function forgetTheFirst(firstUrl: string, secondUrl: string, isSameUser = false): Promise<void> {
    const [one, two] = [newUserId(), newUserId()];
    const performanceId = await createPerformance(firstUrl, { seating: { kind: 'seated', seats: 2 } });
    const wish = { performanceId, seats: [1] };
    const lock = 'SELECT seat FROM seats WHERE performance_id = ? FOR UPDATE';
    const replies = await whileLocked(lock, [performanceId], async () => {
      const first = hold(firstUrl, one, wish);
      const { journal } = performanceKeys(performanceId);
      await until('Redis has the first hold', async () => (await redis.xlen(journal)) > 0);
      if (ack === 'held') expect((await first).status).toBe(201);
      await redis.flushall();
      const looked = call(secondUrl, 'GET', `/v1/performances/${performanceId}/seats`);
      const again = isSameUser ? { performanceId, seats: [2] } : wish;
      const second = looked.then(() => hold(secondUrl, isSameUser ? one : two, again));
      // Whoever must wait for MySQL may do so; whoever answers too soon has done it by then.
      await Promise.race([second, new Promise((resolve) => setTimeout(resolve, 300))]);
      return [first, second];
    });
    const settled = await Promise.all(replies);
    await untilJournalsEmpty([performanceId]);
    const won = settled.filter(({ status }) => status === 201).map(({ body }) => body.reservationId);
    expect(won).toHaveLength(1);
    expect((await storedReservations(performanceId)).map(({ id }) => id)).toEqual(won);
    expect(await brokenPromises(performanceId)).toEqual([]);
  }

  it('a seat that Redis forgot while MySQL lags behind is not sold again', async () => {
    const { url } = await start(settings);
    await forgetTheFirst(url, url);
  });

  it('a user whose hold Redis forgot while MySQL lags behind gets no second one', async () => {
    const { url } = await start(settings);
    await forgetTheFirst(url, url, true);
  });

  it('a seat that Redis forgot while MySQL lags behind is not sold again at another gateway', async () => {
    await forgetTheFirst((await start(settings)).url, (await start(settings)).url);
  });

  it('a cancellation that Redis did not hear of frees the seat once Redis is back', async () => {
    const url = new URL(inject('redisUrl'));
    const proxy = await startTcpProxy(url.hostname, Number(url.port));
    onTestFinished(() => proxy.close());
    url.port = String(proxy.port);
    const gateway = await start({ ...settings, REDIS_URL: url.href });
    const performanceId = await createPerformance(gateway.url, { seating: { kind: 'seated', seats: 1 } });
    const held = await hold(gateway.url, newUserId(), { performanceId, seats: [1] });
    const { userId, reservationId } = held.body;
    proxy.cut();
    expect((await call(gateway.url, 'DELETE', `/v1/reservations/${reservationId}`, { userId })).status).toBe(200);
    proxy.restore();
    await until('the seat can be held again', async () => {
      return (await hold(gateway.url, newUserId(), { performanceId, seats: [1] })).status === 201;
    });
  });

  it('a gateway killed in a rush loses no 201, and the next one goes on', async () => {
    const killed = await start(settings);
    const sale = await openSale(killed.url, 6000);
    let wins = 0;
    const before = await crowd(killed.url, sale.sendings.slice(0, 3000), {
      onAnswer: ({ status }) => {
        if (status === 201 && ++wins === 300) void killed.kill();
      },
    });
    expect(countByStatus(before)[0], 'requests without an answer').toBeGreaterThan(0);

    const next = await start(settings);
    const readyAtMs = performance.now();
    const after = await crowd(next.url, sale.sendings.slice(3000));
    expect(serverFaults(after)).toEqual([]);
    expect(Object.keys(countByStatus(after)).sort()).toEqual(['201', '409']);
    const leftMs = recoveredWithinMs - (performance.now() - readyAtMs);
    await until('every 201 is in MySQL', async () => (await missing(sale, before)).length === 0, leftMs);
    await expectPromisesKept(next.url, sale, [...before, ...after]);
    expect((await hold(next.url, newUserId(), { performanceId: sale.hallId, seats: spareSeats })).status).toBe(201);
  });

  it('a gateway killed before MySQL had its holds loses none, and a repeat of the request finds its own', async () => {
    const killed = await start(settings);
    const performanceId = await createPerformance(killed.url, { seating: { kind: 'seated', seats: 40 } });
    const lock = 'SELECT seat FROM seats WHERE performance_id = ? FOR UPDATE';
    const users = Array.from({ length: 40 }, newUserId);
    const wish = (i: number): unknown => ({ performanceId, seats: [i + 1] });
    const answers = await whileLocked(lock, [performanceId], async () => {
      const holds = users.map((userId, i) => hold(killed.url, userId, wish(i), `key-${i}`).catch(() => null));
      await until('Redis has them all', async () => {
        return (await redis.hlen(performanceKeys(performanceId).reservations)) === 40;
      });
      if (ack === 'held') await Promise.all(holds);
      await killed.kill();
      return Promise.all(holds);
    });
    expect(await storedReservations(performanceId)).toEqual([]);
    expect(answers.filter((answer) => answer?.status === 201)).toHaveLength(ack === 'held' ? 40 : 0);

    const next = await start(settings);
    const isStored = async (): Promise<boolean> => (await storedReservations(performanceId)).length === 40;
    await until('all are in MySQL', isStored, recoveredWithinMs);
    const repeats = await Promise.all(users.map((userId, i) => hold(next.url, userId, wish(i), `key-${i}`)));
    expect(repeats.map(({ status }) => status)).toEqual(new Array(40).fill(201));
    const stored = (await storedReservations(performanceId)).map(({ id }) => id);
    expect(repeats.map(({ body }) => body.reservationId).sort()).toEqual(stored.sort());
    const told = answers.flatMap((answer) => (answer === null ? [] : [answer.body.reservationId]));
    expect(stored).toEqual(expect.arrayContaining(told));
    await untilJournalsEmpty([performanceId]);
    expect(await brokenPromises(performanceId)).toEqual([]);
    expect(await disagreements(next.url, performanceId)).toEqual([]);
  });

  it('SIGTERM in a rush: every request is answered or refused, every 201 is in MySQL, and the process ends well', async () => {
    const gateway = await start(settings);
    const sale = await openSale(gateway.url, 6000);
    let wins = 0;
    let signalledAtMs = Number.POSITIVE_INFINITY;
    const exit = new Promise<{ code: number | null; atMs: number }>((resolve) => {
      gateway.child.once('exit', (code) => resolve({ code, atMs: performance.now() }));
    });
    const sent = await crowd(gateway.url, sale.sendings, {
      onAnswer: ({ status }) => {
        if (status !== 201 || ++wins !== 300) return;
        signalledAtMs = performance.now();
        gateway.child.kill('SIGTERM');
      },
    });
    const { code, atMs } = await exit;
    expect(code).toBe(0);
    expect(atMs - signalledAtMs).toBeLessThan(stoppedWithinMs);
    const unanswered = sent.filter(({ status }) => status === 0);
    expect(unanswered.length).toBeGreaterThan(0);
    // A request on its way when the connection closes cannot be told from a refused one: it must have done nothing.
    expect(unanswered.filter(({ sentAtMs, wasSent }) => wasSent && sentAtMs < signalledAtMs)).toEqual([]);
    // What came too late is refused in words, with nothing done, or not taken in at all.
    for (const { status, body } of sent) {
      expect([0, 201, 409, 503]).toContain(status);
      if (status === 503) expect(body.code).toBe('unavailable');
    }
    expect(await missing(sale, sent)).toEqual([]);
    const stored = (await Promise.all(sale.ids.map(storedReservations))).flat();
    expect(stored.map(({ id }) => id).sort()).toEqual(acknowledged(sent).sort());

    await expectPromisesKept((await start(settings)).url, sale, sent);
  });
});

it('a load that Redis forgets halfway shows no sold seat as free', async () => {
  const { url } = await start({});
  const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 3 } });
  const body = { performanceId, seats: [2] };
  expect((await call(url, 'POST', '/v1/reservations', { userId: newUserId(), body })).status).toBe(201);
  await redis.flushall();

  const connection = new RedisConnection([inject('redisUrl')], silentLog);
  const database = new Database(inject('mysqlUrl'), silentLog);
  try {
    await connection.connect();
    const loading = await new RedisLoadStore(connection).startLoad(performanceId);
    const snapshot = await readSnapshot(database, performanceId);
    // The hashes are written; before they are put in place they are gone.
    const runOne = connection.runOne.bind(connection);
    connection.runOne = async (scriptCall) => {
      await redis.flushall();
      return runOne(scriptCall);
    };
    await new RedisLoadStore(connection).finishLoad(loading, snapshot!);
  } finally {
    await connection.close();
    await database.close();
  }
  expect(await disagreements(url, performanceId)).toEqual([]);
  expect(await call(url, 'POST', '/v1/reservations', { userId: newUserId(), body })).toMatchObject({
    status: 409,
    body: { code: 'seat_taken', seats: [2] },
  });
});

it('when the leader is killed another process expires holds within five seconds', async () => {
  const both = [await start({}), await start({})];
  let leader: GatewayProcess | undefined;
  await until('one of them leads', async () => {
    const isLeading = await Promise.all(both.map(({ url }) => metricOf(url, 'fastpass_leader')));
    leader = both[isLeading.indexOf(1)];
    return leader !== undefined;
  });
  const two = both.find((gateway) => gateway !== leader)!;
  expect(await metricOf(two.url, 'fastpass_leader')).toBe(0);
  const seating = { kind: 'seated', seats: 1 };
  const performanceId = await createPerformance(two.url, { seating, holdSeconds: 1 });
  const body = { performanceId, seats: [1] };
  const held = await call(two.url, 'POST', '/v1/reservations', { userId: newUserId(), body });
  expect(held.status).toBe(201);
  const killedAtMs = performance.now();
  await leader!.kill();
  let heldAtMs = 0;
  await until('it is expired', async () => {
    const askedAtMs = performance.now();
    if ((await storedReservations(performanceId))[0]?.status === storedStatus.EXPIRED) return true;
    heldAtMs = askedAtMs;
    return false;
  });
  expect(heldAtMs - killedAtMs).toBeLessThan(recoveredWithinMs);
  expect(await metricOf(two.url, 'fastpass_leader')).toBe(1);
  // Redis is told of it when MySQL has it.
  await until('both stores agree', async () => (await disagreements(two.url, performanceId)).length === 0);
});
