/** A gateway killed at each step of a flush, and connections cut in the middle of one: nothing twice, nothing lost. */
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it, type TestContext } from 'vitest';
import { performanceKeys } from '../src/lua/keys.ts';
import { holdScript } from '../src/lua/scripts.ts';
import {
  brokenPromises,
  createPerformance,
  disagreements,
  type GatewayProcess,
  newUserId,
  type Reply,
  redisClient,
  spawnGateway,
  storedReservations,
  until,
  untilJournalsEmpty,
} from './harness.ts';
import { hold } from './money.ts';
import { recovered } from './reliability.ts';
import { type Step, type StepProxy, startStepProxy } from './step-proxy.ts';

/** The promise: what a killed gateway leaves behind is recovered in this time. */
const recoveredWithinMs = 5000;
const holdOf = new RegExp(`EVALSHA\\r\\n\\$40\\r\\n${holdScript.sha}`);
const commitOfHolds = /INSERT INTO reservations(?:(?!COMMIT)[\s\S])*COMMIT$/;
const postOfHold = /POST \/v1\/reservations[\s\S]*\}$/;

let redis: Redis;
beforeAll(() => {
  redis = redisClient();
});

afterAll(() => redis.disconnect());

/** Tests that run at the same time clean up each for itself. */
type OnFinished = TestContext['onTestFinished'];

async function start(onFinished: OnFinished, settings: Readonly<Record<string, string>>): Promise<GatewayProcess> {
  const gateway = await spawnGateway(settings);
  onFinished(() => gateway.kill());
  return gateway;
}

async function proxyTo(onFinished: OnFinished, url: string): Promise<{ proxy: StepProxy; url: string }> {
  const target = new URL(url);
  const proxy = await startStepProxy(target.hostname, Number(target.port));
  onFinished(() => proxy.close());
  target.hostname = '127.0.0.1';
  target.port = String(proxy.port);
  return { proxy, url: target.href.replace(/\/$/, '') };
}

interface Watched {
  readonly gateway: GatewayProcess;
  /** The gateway as its clients reach it. */
  readonly url: string;
  readonly toRedis: StepProxy;
  readonly toMysql: StepProxy;
  readonly fromClient: StepProxy;
}

/** A gateway with a proxy before it and one before each store. */
async function startWatched(onFinished: OnFinished, settings: Readonly<Record<string, string>>): Promise<Watched> {
  const [toRedis, toMysql] = await Promise.all([
    proxyTo(onFinished, inject('redisUrl')),
    proxyTo(onFinished, inject('mysqlUrl')),
  ]);
  const gateway = await start(onFinished, { ...settings, REDIS_URL: toRedis.url, MYSQL_URL: toMysql.url });
  const fromClient = await proxyTo(onFinished, gateway.url);
  return { gateway, url: fromClient.url, toRedis: toRedis.proxy, toMysql: toMysql.proxy, fromClient: fromClient.proxy };
}

/** A hall that is warm, its script known to Redis. */
async function openHall(url: string, seats: number): Promise<number> {
  const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats } });
  expect((await hold(url, newUserId(), { performanceId, seats: [seats] })).status).toBe(201);
  await untilJournalsEmpty([performanceId]);
  return performanceId;
}

async function expectAtRest(url: string, performanceId: number): Promise<void> {
  await untilJournalsEmpty([performanceId]);
  expect(await brokenPromises(performanceId)).toEqual([]);
  expect(await disagreements(url, performanceId)).toEqual([]);
}

interface NamedStep {
  readonly name: string;
  readonly at: 'toRedis' | 'toMysql' | 'fromClient';
  readonly sent: RegExp;
  readonly step: Step;
  /** Whether Redis has the hold by then, and MySQL. */
  readonly isHeld: boolean;
  readonly isStored: boolean;
}

const steps: Readonly<Record<string, NamedStep>> = {
  beforeLua: {
    name: 'before Lua',
    at: 'toRedis',
    sent: holdOf,
    step: 'keep the request',
    isHeld: false,
    isStored: false,
  },
  afterLua: { name: 'after Lua', at: 'toRedis', sent: holdOf, step: 'keep the reply', isHeld: true, isStored: false },
  beforeCommit: {
    name: 'before the commit',
    at: 'toMysql',
    sent: commitOfHolds,
    step: 'keep the request',
    isHeld: true,
    isStored: false,
  },
  afterCommit: {
    name: 'after the commit',
    at: 'toMysql',
    sent: commitOfHolds,
    step: 'keep the reply',
    isHeld: true,
    isStored: true,
  },
  beforeReply: {
    name: 'before the reply',
    at: 'fromClient',
    sent: postOfHold,
    step: 'keep the reply',
    isHeld: true,
    isStored: true,
  },
};

const inBothWays = ['afterLua', 'beforeCommit', 'afterCommit'];
const cases = Object.entries(steps).flatMap(([key, step]) =>
  (inBothWays.includes(key) ? ['persisted', 'held'] : ['persisted']).map((ack) => ({ ...step, ack })),
);

/** As clients repeat: at another gateway one waits for the first, until its own deadline, and is told to try again. */
async function repeatUntilKnown(url: string, userId: number, wish: unknown): Promise<Reply> {
  let reply = await hold(url, userId, wish, 'the-key');
  await until('a repeat is answered', async () => {
    if (reply.status === 503) reply = await hold(url, userId, wish, 'the-key');
    return reply.status !== 503;
  });
  return reply;
}

// Gateways start side by side, for each test one or two.
const slow = { timeout: 120_000 };

describe('a gateway killed', slow, () => {
  let other: GatewayProcess;
  beforeAll(async () => {
    other = await spawnGateway();
  });
  afterAll(() => other.kill());

  it.concurrent.for(cases)(
    '$name ($ack): the journal is recovered within 5 s by another, a repeat finds its own or makes exactly one',
    async ({ name, at, sent, step, isHeld, isStored, ack }, { onTestFinished }) => {
      const killed = await startWatched(onTestFinished, { FASTPASS_ACK: ack });
      const performanceId = await openHall(killed.gateway.url, 3);
      const { journal } = performanceKeys(performanceId);
      const userId = newUserId();
      const wish = { performanceId, seats: [1] };

      const reached = killed[at].next(sent, step);
      const first: Promise<Reply | null> = hold(killed.url, userId, wish, 'the-key').catch(() => null);
      await reached;
      if (isHeld && !isStored) await until('Redis has it', async () => (await redis.xlen(journal)) === 1);
      if (isStored) await until('MySQL has it', async () => (await storedReservations(performanceId)).length === 2);
      else expect(await storedReservations(performanceId)).toHaveLength(1);
      const isAcknowledged = ack === 'held' && at === 'toMysql';
      if (isAcknowledged) expect(await first).toMatchObject({ status: 201 });
      await killed.gateway.kill();
      const killedAtMs = performance.now();
      const answer = await first;
      expect(answer?.status ?? 0).toBe(isAcknowledged ? 201 : 0);
      // What the proxy kept back never arrives: the killed process took it along.
      if (!isHeld) expect(await redis.xlen(journal)).toBe(0);

      const repeat = repeatUntilKnown(other.url, userId, wish);
      if (isHeld) {
        await until(
          'MySQL has it, and the journal is empty',
          async () =>
            (await redis.xlen(journal)) === 0 &&
            (await storedReservations(performanceId)).some((one) => one.userId === userId),
          recoveredWithinMs,
        );
        recovered(`Gateway killed ${name} (${ack}): the journal is recovered`, performance.now() - killedAtMs);
      }
      const { status, body } = await repeat;
      expect(status).toBe(201);
      if (answer !== null) expect(body.reservationId).toBe(answer.body.reservationId);
      recovered(`Gateway killed ${name} (${ack}): a repeat is answered`, performance.now() - killedAtMs);
      const stored = (await storedReservations(performanceId)).filter((one) => one.userId === userId);
      expect(stored).toMatchObject([{ id: body.reservationId, seats: [1] }]);
      await expectAtRest(other.url, performanceId);
    },
  );
});

describe('the only gateway killed', slow, () => {
  it('after Lua: the journal is recovered within 5 s by the restarted one', async ({ onTestFinished }) => {
    const killed = await startWatched(onTestFinished, {});
    const performanceId = await openHall(killed.gateway.url, 3);
    const userId = newUserId();
    const reached = killed.toRedis.next(holdOf, 'keep the reply');
    const first = hold(killed.url, userId, { performanceId, seats: [1] }, 'the-key').catch(() => null);
    await reached;
    await killed.gateway.kill();
    const restarted = await start(onTestFinished, {});
    const startedAtMs = performance.now();
    expect(await first).toBeNull();
    const isStored = async (): Promise<boolean> => (await storedReservations(performanceId)).length === 2;
    await until('MySQL has it', isStored, recoveredWithinMs);
    recovered(
      'Gateway killed after Lua: the journal is recovered by the restarted one',
      performance.now() - startedAtMs,
    );
    await expectAtRest(restarted.url, performanceId);
  });
});

interface Cut {
  readonly name: string;
  readonly at: 'toRedis' | 'toMysql';
  readonly sent: RegExp;
  readonly step: Step;
  readonly ack: string;
}

describe('a connection cut', slow, () => {
  /** One hold whose connection to a store is cut; what the client is told, and a repeat of it. */
  async function cutOne({ name, at, sent, step, ack }: Cut, onFinished: OnFinished): Promise<void> {
    const watched = await startWatched(onFinished, { FASTPASS_ACK: ack });
    const { url } = watched.gateway;
    const performanceId = await openHall(url, 3);
    const userId = newUserId();
    const wish = { performanceId, seats: [1] };
    const cut = watched[at].next(sent, step);
    const first = await hold(url, userId, wish, 'the-key');
    await cut;
    const cutAtMs = performance.now();
    const isAcknowledged = ack === 'held' && at === 'toMysql';
    if (isAcknowledged) expect(first).toMatchObject({ status: 201 });
    else expect(first).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    let repeat: Reply = first;
    await until('a repeat is answered', async () => {
      repeat = await hold(url, userId, wish, 'the-key');
      return repeat.status === 201;
    });
    if (isAcknowledged) expect(repeat.body.reservationId).toBe(first.body.reservationId);
    recovered(`Connection cut ${name} (${ack}): a repeat is answered`, performance.now() - cutAtMs);
    await expectAtRest(url, performanceId);
    const stored = (await storedReservations(performanceId)).filter((one) => one.userId === userId);
    expect(stored).toMatchObject([{ id: repeat.body.reservationId, seats: [1] }]);
  }

  const cuts: readonly Cut[] = [
    { name: 'in the middle of a pipeline', at: 'toRedis', sent: holdOf, step: 'cut in the request', ack: 'persisted' },
    { name: 'before the reply of a pipeline', at: 'toRedis', sent: holdOf, step: 'cut before the reply', ack: 'held' },
    ...['persisted', 'held'].flatMap((ack): Cut[] => [
      { name: 'before a COMMIT', at: 'toMysql', sent: commitOfHolds, step: 'cut before the request', ack },
      { name: 'in the middle of a COMMIT', at: 'toMysql', sent: commitOfHolds, step: 'cut in the request', ack },
      { name: 'between a COMMIT and its OK', at: 'toMysql', sent: commitOfHolds, step: 'cut before the reply', ack },
    ]),
  ];
  it.concurrent.for(cuts)(
    '$name ($ack): the request is safe to repeat, and is stored once',
    (cut, { onTestFinished }) => cutOne(cut, onTestFinished),
  );

  const manyCount = 8;
  // One call for all performances of a flush: on one node it runs whole, or not at all.
  const cutsOfMany = [
    { step: 'cut in the request', where: 'in the middle of', what: 'none has happened' },
    { step: 'cut before the reply', where: 'behind', what: 'all are recovered' },
  ] as const;
  it.for(cutsOfMany)('$where a call for many performances: $what', async ({ step }, { onTestFinished }) => {
    const watched = await startWatched(onTestFinished, {});
    const { url } = watched.gateway;
    const ids: number[] = [];
    for (let i = 0; i < 12; i++) ids.push(await openHall(url, 2));
    const users = ids.map(() => newUserId());
    const wish = (i: number): unknown => ({ performanceId: ids[i], seats: [1] });
    // All but the first come while that is under way, and share a call.
    const manyHolds = new RegExp(`${holdOf.source}(?:[\\s\\S]*?:reservations\\r\\n){${manyCount}}`);
    const cut = watched.toRedis.next(manyHolds, step);
    const first = await Promise.all(users.map((userId, i) => hold(url, userId, wish(i), 'the-key')));
    await cut;
    const cutAtMs = performance.now();
    const granted = first.filter(({ status }) => status === 201);
    const unknown = first.filter(({ status, body }) => status === 503 && body.code === 'unavailable');
    expect(granted.length + unknown.length).toBe(first.length);
    expect(unknown.length).toBeGreaterThan(1);

    await until(
      'every journal is recovered',
      async () => {
        const lengths = await Promise.all(ids.map((id) => redis.xlen(performanceKeys(id).journal)));
        return lengths.every((length) => length === 0);
      },
      recoveredWithinMs,
    );
    if (step === 'cut before the reply') {
      recovered(
        'Connection cut behind a call over many performances: the journals are recovered',
        performance.now() - cutAtMs,
      );
    }
    const storedOf = async (): Promise<number> => {
      const stored = await Promise.all(ids.map(storedReservations));
      return stored.filter((list) => list.length === 2).length;
    };
    const storedBefore = await storedOf();
    if (step === 'cut in the request') expect(storedBefore).toBe(granted.length);
    // Those of that call; what was behind it on the connection has not run.
    else expect(storedBefore).toBeGreaterThanOrEqual(manyCount);
    const repeats = await Promise.all(users.map((userId, i) => repeatUntilKnown(url, userId, wish(i))));
    expect(repeats.map(({ status }) => status)).toEqual(new Array(ids.length).fill(201));
    expect(await storedOf()).toBe(ids.length);
    for (const id of ids) await expectAtRest(url, id);
  });
});
