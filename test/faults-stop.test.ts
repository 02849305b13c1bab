/** SIGTERM while a store is frozen or dead, a second SIGTERM, and the embedded servers: ends in time, leaves nothing behind. */
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest';
import { processIdentity, signalProcess } from '../src/embedded/process-identity.ts';
import { call, createPerformance, type GatewayProcess, newUserId, spawnGateway, until } from './harness.ts';
import { hold } from './money.ts';
import { createOwnDatabase } from './own-database.ts';
import { privateFolder, removeFolder, startPrivateMysql, startPrivateRedis } from './private-stores.ts';
import { recovered } from './reliability.ts';
import { openSocket, type TestSocket } from './socket.ts';

const stoppedWithinMs = 10_000;
/** What a guardian gives its server to end, and some. */
const allGoneWithinMs = 15_000;

type OnFinished = TestContext['onTestFinished'];

async function start(onFinished: OnFinished, settings: Readonly<Record<string, string>>): Promise<GatewayProcess> {
  const gateway = await spawnGateway(settings);
  onFinished(() => gateway.kill());
  return gateway;
}

/** Resolves with how it ended, and how long after `sinceMs`. */
function exitOf({ child }: GatewayProcess, sinceMs: number): Promise<{ code: number | null; ms: number }> {
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve({ code, ms: performance.now() - sinceMs }));
  });
}

/** SIGTERM; how it ended. */
function terminate(gateway: GatewayProcess): Promise<{ code: number | null; ms: number }> {
  const exit = exitOf(gateway, performance.now());
  gateway.child.kill('SIGTERM');
  return exit;
}

describe.concurrent('SIGTERM', () => {
  let database: Awaited<ReturnType<typeof createOwnDatabase>>;
  beforeAll(async () => {
    database = await createOwnDatabase();
  });
  afterAll(() => database.drop());

  interface Stopping {
    readonly gateway: GatewayProcess;
    readonly socket: TestSocket;
    readonly performanceId: number;
  }

  /** A gateway with a watcher of seats. */
  async function startWatched(onFinished: OnFinished, settings: Readonly<Record<string, string>>): Promise<Stopping> {
    const gateway = await start(onFinished, settings);
    const performanceId = await createPerformance(gateway.url, { seating: { kind: 'seated', seats: 40 } });
    expect((await hold(gateway.url, newUserId(), { performanceId, seats: [40] })).status).toBe(201);
    const socket = await openSocket(gateway.url, newUserId());
    socket.send({ type: 'seats.watch', performanceId });
    await socket.until('the watch has begun', () => socket.of('seats.changed')[0]);
    return { gateway, socket, performanceId };
  }

  async function expectGoodEnd({ gateway, socket }: Stopping, row: string): Promise<void> {
    const { code, ms } = await terminate(gateway);
    await socket.until('it is closed', () => socket.closed);
    expect(socket.closed?.code).toBe(1001);
    expect({ code, isInTime: ms < stoppedWithinMs }, gateway.output()).toEqual({ code: 0, isInTime: true });
    recovered(`SIGTERM with ${row}: ended`, ms);
  }

  /** A hold that is under way when this resolves; its status. */
  async function beginHold({ gateway, performanceId }: Stopping): Promise<() => Promise<number>> {
    const reply = hold(gateway.url, newUserId(), { performanceId, seats: [39] });
    // The answer to a request behind it: it was taken in.
    await call(gateway.url, 'GET', '/healthz');
    return async () => (await reply).status;
  }

  it.for(['frozen', 'dead'] as const)(
    'with Redis %s: what is under way is answered, sockets get 1001, exit 0 within 10 s',
    async (state, { onTestFinished }) => {
      const redis = await startPrivateRedis();
      onTestFinished(() => redis.stop());
      const stopping = await startWatched(onTestFinished, { REDIS_URL: redis.url, MYSQL_URL: database.url });
      if (state === 'frozen') redis.freeze();
      else await redis.kill();
      const underWay = await beginHold(stopping);
      await expectGoodEnd(stopping, `Redis ${state}`);
      expect(await underWay()).toBe(503);
    },
  );

  it('with MySQL frozen, then dead: the same, and the next gateway stores what was acknowledged', {
    timeout: 120_000,
  }, async ({ onTestFinished }) => {
    const redis = await startPrivateRedis();
    onTestFinished(() => redis.stop());
    const mysql = await startPrivateMysql();
    onTestFinished(() => mysql.stop());
    const settings = { REDIS_URL: redis.url, MYSQL_URL: mysql.url };
    // One after the other: the first makes the tables.
    const persisted = await startWatched(onTestFinished, settings);
    const held = await startWatched(onTestFinished, { ...settings, FASTPASS_ACK: 'held' });
    mysql.freeze();
    const underWay = await beginHold(persisted);
    const users = Array.from({ length: 30 }, newUserId);
    const { performanceId } = held;
    const acknowledged = await Promise.all(
      users.map((userId, i) => hold(held.gateway.url, userId, { performanceId, seats: [i + 1] })),
    );
    expect(acknowledged.map(({ status }) => status)).toEqual(new Array(30).fill(201));
    await Promise.all([
      expectGoodEnd(persisted, 'MySQL frozen (persisted)'),
      expectGoodEnd(held, 'MySQL frozen (held)'),
    ]);
    expect(await underWay()).toBe(503);

    mysql.resume();
    const next = await startWatched(onTestFinished, settings);
    const readyAtMs = performance.now();
    const isThere = async (i: number): Promise<boolean> => {
      const path = `/v1/reservations/${acknowledged[i]!.body.reservationId}`;
      return (await call(next.gateway.url, 'GET', path, { userId: users[i]! })).status === 200;
    };
    await until('MySQL has them all', async () => (await Promise.all(users.map((_, i) => isThere(i)))).every(Boolean));
    recovered('SIGTERM with MySQL frozen (held): the next gateway has stored all', performance.now() - readyAtMs);

    await mysql.kill();
    const refused = await beginHold(next);
    await expectGoodEnd(next, 'MySQL dead');
    expect(await refused()).toBe(503);
  });

  it('a second one ends it at once', async ({ onTestFinished }) => {
    const redis = await startPrivateRedis();
    onTestFinished(() => redis.stop());
    const gateway = await start(onTestFinished, { REDIS_URL: redis.url, MYSQL_URL: database.url });
    const performanceId = await createPerformance(gateway.url, { seating: { kind: 'seated', seats: 1 } });
    redis.freeze();
    // Something that the first one waits for.
    const underWay = hold(gateway.url, newUserId(), { performanceId, seats: [1] }).catch(() => null);
    gateway.child.kill('SIGTERM');
    await until('it is stopping', () => gateway.output().includes('SIGTERM: stopping'));
    const { code, ms } = await terminate(gateway);
    expect(code).toBe(1);
    expect(ms).toBeLessThan(2000);
    recovered('A second SIGTERM: ended', ms);
    await underWay;
  });
});

describe.concurrent('embedded mode', () => {
  /** A gateway that brings its own stores, and the numbers of their processes: Redis, then MySQL. */
  async function startEmbedded(onFinished: OnFinished, folder: string) {
    const gateway = await start(onFinished, { REDIS_URL: '', MYSQL_URL: '', FASTPASS_DATA_DIR: folder });
    const pidOf = (name: RegExp): number => Number(name.exec(gateway.output())?.[1]);
    const pids = [
      pidOf(/Redis is ready on port \d+ .*\(process (\d+)\)/),
      pidOf(/(?:MariaDB|MySQL) is ready on port \d+ .*\(process (\d+)\)/),
    ];
    for (const pid of pids) expect(processIdentity(pid)).toBeDefined();
    onFinished(async () => {
      await gateway.kill();
      await until('its stores are gone', () => areGone(pids), allGoneWithinMs);
    });
    return { gateway, redisPid: pids[0]!, mysqlPid: pids[1]!, pids };
  }

  function newFolder(onFinished: OnFinished): string {
    const folder = privateFolder('embedded');
    onFinished(() => removeFolder(folder));
    return folder;
  }

  const areGone = (pids: readonly number[]): boolean => pids.every((pid) => processIdentity(pid) === undefined);

  const isReady = ({ gateway }: { readonly gateway: GatewayProcess }): Promise<void> =>
    until('it is ready', () => gateway.output().includes('ready at'));

  it('SIGTERM during the start, after it, with a dead Redis, and twice: leaves no process behind', {
    timeout: 120_000,
  }, async ({ onTestFinished }) => {
    const folder = newFolder(onTestFinished);
    for (const when of ['while it starts', 'when it is ready', 'with Redis dead']) {
      const one = await startEmbedded(onTestFinished, folder);
      if (when !== 'while it starts') await isReady(one);
      if (when === 'with Redis dead') signalProcess(one.redisPid, 'SIGKILL');
      const { code, ms } = await terminate(one.gateway);
      expect(code, one.gateway.output()).toBe(0);
      expect(ms).toBeLessThan(stoppedWithinMs);
      expect(areGone(one.pids)).toBe(true);
      recovered(`SIGTERM in embedded mode ${when}: ended, with its stores`, ms);
    }
    const twice = await startEmbedded(onTestFinished, folder);
    await isReady(twice);
    const sentAtMs = performance.now();
    const exit = terminate(twice.gateway);
    await until('it is stopping', () => twice.gateway.output().includes('SIGTERM: stopping'));
    twice.gateway.child.kill('SIGTERM');
    await exit;
    await until('its stores are gone', () => areGone(twice.pids), allGoneWithinMs);
    recovered('Two SIGTERMs in embedded mode: ended, with its stores', performance.now() - sentAtMs);
  });

  it('SIGTERM with a frozen MySQL ends within 10 s and leaves no process behind', {
    timeout: 120_000,
  }, async ({ onTestFinished }) => {
    const one = await startEmbedded(onTestFinished, newFolder(onTestFinished));
    const { gateway, mysqlPid, pids } = one;
    await isReady(one);
    onTestFinished(() => {
      if (!areGone([mysqlPid])) signalProcess(mysqlPid, 'SIGKILL');
    });
    signalProcess(mysqlPid, 'SIGSTOP');
    const { code, ms } = await terminate(gateway);
    await until('its stores are gone', () => areGone(pids), allGoneWithinMs);
    recovered('SIGTERM in embedded mode with MySQL frozen: ended', ms);
    expect({ code, isInTime: ms < stoppedWithinMs }, gateway.output()).toEqual({ code: 0, isInTime: true });
  });
});
