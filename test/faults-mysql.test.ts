/** MySQL dies and comes back, and freezes: what a sale does meanwhile and after, in both ways of acknowledging. */
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { performanceKeys } from '../src/lua/keys.ts';
import {
  acknowledged,
  brokenPromises,
  call,
  createPerformance,
  crowd,
  disagreements,
  type GatewayProcess,
  holdSending,
  metricOf,
  newUserId,
  redisClient,
  spawnGateway,
  storedReservations,
  until,
  untilJournalsEmpty,
  useStores,
} from './harness.ts';
import { hold } from './money.ts';
import { type PrivateMysql, type PrivateRedis, startPrivateMysql, startPrivateRedis } from './private-stores.ts';
import { recovered } from './reliability.ts';
import { expectPromisesKept, openSale, rushThrough } from './sales.ts';

/** A heartbeat is given up after a second, half a second after the last; a busy machine may add to it. */
const knownWithinMs = 1500 + 2000;
/** The deadline of a request, and what a busy machine may add to it: less than the second more that a statement may take. */
const answeredWithinMs = 2000 + 800;
/** What a store that has just frozen may cost whoever asks for readiness, and what a busy machine may add to it. */
const readinessWithinMs = 1000 + 800;

let redis: PrivateRedis;
let mysql: PrivateMysql;
let client: Redis;
const running: GatewayProcess[] = [];

beforeAll(async () => {
  redis = await startPrivateRedis();
  mysql = await startPrivateMysql();
  useStores({ redisUrl: redis.url, mysqlUrl: mysql.url });
  client = redisClient();
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((gateway) => gateway.kill()));
  mysql.resume();
  if (!mysql.isRunning) await mysql.restart();
});

afterAll(async () => {
  client?.disconnect();
  await Promise.all([redis?.stop(), mysql?.stop()]);
});

async function start(settings: Readonly<Record<string, string>>): Promise<GatewayProcess> {
  const gateway = await spawnGateway(settings);
  running.push(gateway);
  return gateway;
}

const faults = {
  killed: { begin: () => mysql.kill(), end: () => mysql.restart() },
  frozen: { begin: async () => mysql.freeze(), end: async () => mysql.resume() },
} as const;
const kinds = ['killed', 'frozen'] as const;
/** A frozen one long enough that it is known, and statements are given up, whose outcome is then unknown. */
const strikeMs = { killed: 1000, frozen: 3500 } as const;

async function strike(kind: (typeof kinds)[number], forMs: number): Promise<void> {
  await faults[kind].begin();
  await new Promise((resolve) => setTimeout(resolve, forMs));
  await faults[kind].end();
}

async function expectReadinessToName(url: string, store: string): Promise<void> {
  const reply = await call(url, 'GET', '/readyz');
  expect(reply).toMatchObject({ status: 503, body: { code: 'unavailable' } });
  expect(reply.body.detail).toContain(store);
  expect((await call(url, 'GET', '/healthz')).status).toBe(200);
}

async function untilReady(url: string): Promise<void> {
  await until('it is ready', async () => (await call(url, 'GET', '/readyz')).status === 200);
}

describe.each(['persisted', 'held'])('with FASTPASS_ACK=%s', (ack) => {
  it.each(kinds)('MySQL %s in mid-rush: the sale goes on when it is back, nothing is lost after', async (kind) => {
    const { url } = await start({ FASTPASS_ACK: ack });
    const sale = await openSale(url, 3000);
    const { sent, recoveredMs } = await rushThrough(url, sale, {
      afterWins: 300,
      fault: () => strike(kind, strikeMs[kind]),
    });
    expect(await metricOf(url, 'fastpass_acknowledged_lost_total')).toBe(0);
    await expectPromisesKept(url, sale, sent);
    recovered(`MySQL ${kind} for ${strikeMs[kind] / 1000} s in a rush (${ack})`, recoveredMs);
  });
});

describe.each(kinds)('MySQL %s', (kind) => {
  const fault = faults[kind];

  it('persisted: 503 before the seat is held once it is known, and holds again by itself when it is back', async () => {
    const { url } = await start({});
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 200 } });
    expect((await hold(url, newUserId(), { performanceId, seats: [1] })).status).toBe(201);
    const { reservations } = performanceKeys(performanceId);

    await fault.begin();
    const beganAtMs = performance.now();
    let seat = 2;
    const askOne = async () => {
      const before = await client.hlen(reservations);
      const reply = await hold(url, newUserId(), { performanceId, seats: [seat++] });
      return { reply, isHeld: (await client.hlen(reservations)) > before };
    };
    // Who comes before it is known has the seat held, and an outcome that the journal settles.
    const unlucky = hold(url, newUserId(), { performanceId, seats: [seat++] }).then(({ status }) => {
      return { status, ms: performance.now() - beganAtMs };
    });
    // At once, before anything is known: a frozen one lets whoever looks wait.
    const ready = await call(url, 'GET', '/readyz');
    expect(ready).toMatchObject({ status: 503 });
    expect(ready.body.detail).toContain('mysql');
    expect(performance.now() - beganAtMs).toBeLessThan(readinessWithinMs);
    await until('it is known', async () => (await metricOf(url, 'fastpass_store_up')) === 1, knownWithinMs);
    recovered(`MySQL ${kind}: known (persisted)`, performance.now() - beganAtMs);
    for (let i = 0; i < 50; i++) {
      const { reply, isHeld } = await askOne();
      expect(isHeld).toBe(false);
      expect(reply).toMatchObject({ status: 503, body: { code: 'unavailable' } });
      expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0);
    }
    await expectReadinessToName(url, 'mysql');
    const { status, ms } = await unlucky;
    expect(status).toBe(503);
    expect(ms).toBeLessThan(answeredWithinMs);
    recovered(`MySQL ${kind}: who was on the way when it happened is answered (persisted)`, ms);

    await fault.end();
    const endedAtMs = performance.now();
    await until('a hold is taken', async () => (await askOne()).reply.status === 201);
    recovered(`MySQL ${kind}: a hold is taken again (persisted)`, performance.now() - endedAtMs);
    await untilReady(url);
    await untilJournalsEmpty([performanceId]);
    expect(await brokenPromises(performanceId)).toEqual([]);
    expect(await disagreements(url, performanceId)).toEqual([]);
  });

  it('held: holds are accepted meanwhile, and MySQL has all of them after', async () => {
    const { url } = await start({ FASTPASS_ACK: 'held' });
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 600 } });
    expect((await hold(url, newUserId(), { performanceId, seats: [600] })).status).toBe(201);
    const wishes = Array.from({ length: 500 }, (_, i) => holdSending(newUserId(), { performanceId, seats: [i + 1] }));

    await fault.begin();
    const sent = await crowd(url, wishes);
    expect(acknowledged(sent)).toHaveLength(500);
    await until('it is known', async () => (await call(url, 'GET', '/readyz')).status === 503);
    await expectReadinessToName(url, 'mysql');
    expect((await hold(url, newUserId(), { performanceId, seats: [501] })).status).toBe(201);

    await fault.end();
    const endedAtMs = performance.now();
    await until('MySQL has all', async () => (await storedReservations(performanceId)).length === 502);
    recovered(`MySQL ${kind}: all that was acknowledged meanwhile is stored (held)`, performance.now() - endedAtMs);
    await untilReady(url);
    const stored = (await storedReservations(performanceId)).map(({ id }) => id);
    expect(stored).toEqual(expect.arrayContaining(acknowledged(sent)));
    await untilJournalsEmpty([performanceId]);
    expect(await brokenPromises(performanceId)).toEqual([]);
    expect(await disagreements(url, performanceId)).toEqual([]);
  });
});
