/** Reconciliation on real stores: what Redis has wrong is found and mended, what is under way is left alone. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { type Difference, DriftKind, seenTwice } from '../src/domain/drift.ts';
import { newReservationId } from '../src/domain/ids.ts';
import { systemClock } from '../src/lib/clock.ts';
import { silentLog } from '../src/logger.ts';
import { RedisConnection } from '../src/lua/connection.ts';
import { readView } from '../src/lua/inventory.ts';
import { leaseKey, performanceKeys, settleChannel, settledChannel } from '../src/lua/keys.ts';
import { RedisHoldStore } from '../src/lua/store.ts';
import { Database } from '../src/persist/database.ts';
import { pay as payInMysql } from '../src/persist/payments.ts';
import { cancelHeld } from '../src/persist/releases.ts';
import { lookForDrift, type ReconcileSources, secondLookMs } from '../src/scheduler/reconcile.ts';
import { reconcileSources } from '../src/scheduler/reconcile-sources.ts';
import {
  call,
  closeEarlierSales,
  countByStatus,
  createPerformance,
  crowd,
  disagreements,
  holdSending,
  metricOf,
  newUserId,
  redisClient,
  type Sending,
  seededRandom,
  spawnGateway,
  startGateway,
  storedReservations,
  storedStatus,
  type TestGateway,
  testEnvironment,
  until,
  untilJournalsEmpty,
  whileLocked,
} from './harness.ts';
import { brokenSales, charge, giveMoney, hold, pay } from './money.ts';
import { monitorRedis } from './redis-monitor.ts';
import { startTcpProxy } from './tcp-proxy.ts';

const price = 100;

let gateway: TestGateway;
let url: string;
let redis: Redis;
let connection: RedisConnection;
let database: Database;
/** The eyes of the tests. */
let sources: ReconcileSources;

beforeAll(async () => {
  redis = redisClient();
  await closeEarlierSales();
  gateway = await startGateway();
  url = gateway.url;
  connection = new RedisConnection([inject('redisUrl')], silentLog);
  await connection.connect();
  database = new Database(inject('mysqlUrl'), silentLog);
  const store = new RedisHoldStore(connection, silentLog);
  sources = reconcileSources(connection, database, store, () => Promise.reject(new Error('a test mends nothing')));
});

afterAll(async () => {
  await Promise.all([gateway.stop(), connection.close(), database.close()]);
  redis.disconnect();
});

/** What differs at this moment; null while the performance is not warm. */
const differences = (performanceId: number): Promise<Difference[] | null> =>
  lookForDrift(sources, systemClock, performanceId);

async function seatStatuses(performanceId: number): Promise<string[]> {
  const { body } = await call(url, 'GET', `/v1/performances/${performanceId}/seats`);
  return body.seats.map(({ status }: { status: string }) => status);
}

/** A performance with a hold of user 1 and a sale to user 2, on which Redis and MySQL agree. */
interface Sold {
  readonly performanceId: number;
  readonly keys: ReturnType<typeof performanceKeys>;
  readonly held: { readonly userId: number; readonly id: string };
  readonly sold: { readonly userId: number; readonly id: string };
}

async function sale(kind: 'seated' | 'capacity', holdSeconds = 600): Promise<Sold> {
  const seating = kind === 'seated' ? { kind, seats: 5 } : { kind, capacity: 20 };
  const performanceId = await createPerformance(url, { seating, price, holdSeconds });
  const holdOf = async (what: unknown): Promise<{ userId: number; id: string }> => {
    const userId = newUserId();
    await charge(url, userId, 1000);
    const reply = await hold(url, userId, { performanceId, ...(what as object) });
    expect(reply.status).toBe(201);
    return { userId, id: reply.body.reservationId };
  };
  const held = await holdOf(kind === 'seated' ? { seats: [1, 2] } : { partySize: 2 });
  const sold = await holdOf(kind === 'seated' ? { seats: [3] } : { partySize: 3 });
  expect((await pay(url, sold.userId, sold.id)).status).toBe(201);
  await untilJournalsEmpty([performanceId]);
  expect(await differences(performanceId)).toEqual([]);
  return { performanceId, keys: performanceKeys(performanceId), held, sold };
}

/** Each way in which Redis can have gone wrong, made by hand as lost writes would. */
const drifts: readonly (readonly [DriftKind, string, 'seated' | 'capacity', (sold: Sold) => Promise<unknown>])[] = [
  [DriftKind.SEAT, 'a seat of another version', 'seated', ({ keys }) => redis.hset(keys.seats, 4, 'A 7')],
  [
    DriftKind.SEAT,
    'a sold seat that Redis has free',
    'seated',
    ({ keys }) => redis.multi().hdel(keys.seats, '3').hincrby(keys.meta, 'remaining', 1).exec(),
  ],
  [
    DriftKind.MISSING,
    'a hold that Redis has lost',
    'seated',
    ({ keys, held }) =>
      redis
        .multi()
        .hdel(keys.seats, '1', '2')
        .hdel(keys.reservations, held.id)
        .hdel(keys.users, String(held.userId))
        .hincrby(keys.meta, 'remaining', 2)
        .exec(),
  ],
  [
    DriftKind.PHANTOM,
    'a hold that MySQL never had',
    'seated',
    ({ keys }) => {
      const [id, userId, endMs] = [newReservationId(), newUserId(), Date.now() + 600_000];
      return redis
        .multi()
        .hset(keys.seats, 4, `H 1 ${endMs} ${id}`)
        .hset(keys.reservations, id, `${userId} ${endMs} 0 4`)
        .hset(keys.users, userId, id)
        .hincrby(keys.meta, 'remaining', -1)
        .exec();
    },
  ],
  [DriftKind.UNCONFIRMED, 'a sale of seats', 'seated', ({ held }) => payInMysql(database, held.id, held.userId)],
  [DriftKind.UNCONFIRMED, 'a sale of places', 'capacity', ({ held }) => payInMysql(database, held.id, held.userId)],
  [DriftKind.UNRELEASED, 'a cancellation', 'seated', ({ held }) => cancelHeld(database, held.id)],
  [
    DriftKind.RESERVATION,
    'a party of another size',
    'capacity',
    async ({ keys, held }) => {
      const value = (await redis.hget(keys.reservations, held.id))!;
      await redis
        .multi()
        .hset(keys.reservations, held.id, value.replace(/ 2 $/, ' 1 '))
        .hincrby(keys.meta, 'remaining', 1)
        .exec();
    },
  ],
  [DriftKind.USER, 'a slot lost', 'seated', ({ keys, held }) => redis.hdel(keys.users, String(held.userId))],
  [
    DriftKind.USER,
    'a slot too many',
    'capacity',
    ({ keys }) => redis.hset(keys.users, newUserId(), newReservationId()),
  ],
  [DriftKind.EXPIRY, 'an end lost', 'capacity', ({ keys, held }) => redis.zrem(keys.expiry, held.id)],
  [DriftKind.REMAINING, 'a place too few', 'capacity', ({ keys }) => redis.hincrby(keys.meta, 'remaining', -1)],
];

describe('the leader', () => {
  async function countOf(kind: DriftKind): Promise<number> {
    const text = await (await fetch(`${url}/metrics`)).text();
    return Number(new RegExp(`^fastpass_drift_total\\{kind="${kind}"\\} (\\d+)$`, 'm').exec(text)?.[1]);
  }

  it.concurrent.each(drifts)(
    'mends %s, %s, within seconds and counts it',
    async (kind, _, seating, make) => {
      const sold = await sale(seating);
      const [before, repairs] = [await countOf(kind), await metricOf(url, 'fastpass_repairs_total')];
      await make(sold);
      expect((await differences(sold.performanceId))?.map((difference) => difference.kind)).toEqual([kind]);
      await until('it is mended', async () => (await differences(sold.performanceId))?.length === 0, 60_000);
      expect(await brokenSales(sold.performanceId)).toEqual([]);
      if (seating === 'seated') expect(await disagreements(url, sold.performanceId)).toEqual([]);
      expect(await countOf(kind)).toBeGreaterThan(before);
      expect(await metricOf(url, 'fastpass_repairs_total')).toBeGreaterThan(repairs);
    },
    120_000,
  );

  it('shows a seat as sold that a gateway sold and, killed, told nobody of', { timeout: 120_000 }, async () => {
    const target = new URL(inject('redisUrl'));
    const proxy = await startTcpProxy(target.hostname, Number(target.port));
    onTestFinished(() => proxy.close());
    const proxied = new URL(target);
    proxied.port = String(proxy.port);
    const dying = await spawnGateway({ REDIS_URL: proxied.href });
    onTestFinished(() => dying.kill());

    const performanceId = await createPerformance(url, {
      seating: { kind: 'seated', seats: 2 },
      price,
      holdSeconds: 3,
    });
    const userId = newUserId();
    await charge(url, userId, price);
    const held = await hold(url, userId, { performanceId, seats: [1] });
    proxy.stall();
    const paying = pay(dying.url, userId, held.body.reservationId).catch(() => null);
    await until('MySQL has sold it', async () => {
      return (await storedReservations(performanceId))[0]?.status === storedStatus.CONFIRMED;
    });
    await dying.kill();
    await paying;
    expect(await seatStatuses(performanceId)).toEqual(['HELD', 'AVAILABLE']);
    await until('it is shown as sold', async () => (await seatStatuses(performanceId))[0] === 'OCCUPIED', 60_000);
    expect(await disagreements(url, performanceId)).toEqual([]);
    expect((await hold(url, newUserId(), { performanceId, seats: [1] })).body.code).toBe('seat_taken');
    expect(await brokenSales(performanceId)).toEqual([]);
  });

  it('finds nothing to mend in a rush of holds, payments, cancellations and expiries', async () => {
    const other = await startGateway({ FASTPASS_ACK: 'held' });
    onTestFinished(() => other.stop());
    const random = seededRandom(Number(process.env['RUSH_SEED'] ?? 20_260_411));
    const seats = 120;
    const halls = [
      await createPerformance(url, { seating: { kind: 'seated', seats }, price, holdSeconds: 1 }),
      await createPerformance(url, { seating: { kind: 'capacity', capacity: 200 }, price, holdSeconds: 1 }),
    ] as const;
    const metrics = ['fastpass_drift_total', 'fastpass_repairs_total', 'fastpass_cold_loads_total'] as const;
    const countAll = async (): Promise<number[]> =>
      Promise.all([gateway, other].flatMap((each) => metrics.map((name) => metricOf(each.url, name))));
    for (const each of [url, other.url]) {
      for (const id of halls) await call(each, 'GET', `/v1/performances/${id}/seats`);
    }
    await until('both are warm', async () => {
      return (await differences(halls[0])) !== null && (await differences(halls[1])) !== null;
    });
    const before = await countAll();

    let isOver = false;
    let answered = 0;
    const users = Array.from({ length: 1000 }, newUserId);
    await giveMoney(users, 1_000_000);
    const rush = async (): Promise<void> => {
      while (!isOver) {
        const sendings = Array.from({ length: 100 }, () => {
          const userId = users[random(users.length)]!;
          const first = random(seats - 1) + 1;
          const seated = { performanceId: halls[0], seats: [first, first + 1] };
          return holdSending(userId, random(2) === 0 ? seated : { performanceId: halls[1], partySize: random(3) + 1 });
        });
        const held = await crowd(random(2) === 0 ? url : other.url, sendings, { connections: 25 });
        const next = held.flatMap(({ status, body, sending: { userId } }): Sending[] => {
          const path = `/v1/reservations/${body?.reservationId}`;
          const end: Sending = { method: 'DELETE', path, userId };
          const payment: Sending = { path: `${path}/payments`, userId, body: {} };
          if (status !== 201) return [];
          // A third each: left to expire, cancelled, paid; of those that are paid most are given back.
          return [[], [end], [payment, end], [payment, end], [payment, end], []][random(6)]!;
        });
        const done = await crowd(random(2) === 0 ? url : other.url, next, { connections: 1 });
        answered += held.length + done.length;
      }
    };
    const seen: Difference[] = [];
    let looks = 0;
    let differing = 0;
    const look = async (): Promise<void> => {
      for (const id of halls) {
        const first = (await differences(id)) ?? [];
        await new Promise((resolve) => setTimeout(resolve, secondLookMs));
        const second = (await differences(id)) ?? [];
        seen.push(...seenTwice(first, second));
        looks++;
        if (first.length > 0) differing++;
      }
    };
    const rushes = [rush(), rush()];
    for (let turn = 0; turn < 4; turn++) await Promise.all(Array.from({ length: 8 }, look));
    isOver = true;
    await Promise.all(rushes);

    expect(seen).toEqual([]);
    expect(looks).toBe(64);
    // Otherwise nothing was under way, and this has shown nothing.
    expect(differing).toBeGreaterThan(0);
    expect(answered).toBeGreaterThan(1000);
    expect(await countAll()).toEqual(before);
    await untilJournalsEmpty(halls);
    for (const id of halls) {
      await until('all agree', async () => (await differences(id))?.length === 0);
      expect(await brokenSales(id)).toEqual([]);
    }
  }, 120_000);
});

describe('a hold that waits for MySQL', () => {
  it('longer than it takes to look twice is no difference', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 2 }, holdSeconds: 600 });
    await call(url, 'GET', `/v1/performances/${performanceId}/seats`);
    const { journal } = performanceKeys(performanceId);
    const [drift, repairs] = [
      await metricOf(url, 'fastpass_drift_total'),
      await metricOf(url, 'fastpass_repairs_total'),
    ];
    const lock = 'SELECT seat FROM seats WHERE performance_id = ? FOR UPDATE';
    const waiting = await whileLocked(lock, [performanceId], async () => {
      const answer = hold(url, newUserId(), { performanceId, seats: [2] });
      await until('Redis has granted it', async () => (await redis.xlen(journal)) === 1);
      const compared = await metricOf(url, 'fastpass_reconciled_performances_total');
      await new Promise((resolve) => setTimeout(resolve, 2 * secondLookMs));
      expect(await differences(performanceId)).toEqual([]);
      await until('the leader has looked', async () => {
        return (await metricOf(url, 'fastpass_reconciled_performances_total')) > compared;
      });
      return [answer];
    });
    await waiting[0];
    await untilJournalsEmpty([performanceId]);
    expect((await storedReservations(performanceId)).map(({ seats }) => seats)).toEqual([[2]]);
    expect(await metricOf(url, 'fastpass_drift_total')).toBe(drift);
    expect(await metricOf(url, 'fastpass_repairs_total')).toBe(repairs);
    expect(await disagreements(url, performanceId)).toEqual([]);
  });
});

describe('npm run reconcile', () => {
  const script = fileURLToPath(new URL('../src/reconcile.ts', import.meta.url));
  const stranger = 'a stranger who does nothing';

  beforeAll(async () => {
    // Nobody else mends.
    await redis.set(leaseKey, stranger, 'EX', 600);
    await until('nobody leads', async () => (await metricOf(url, 'fastpass_leader')) === 0);
  });

  afterAll(async () => {
    expect(await redis.get(leaseKey)).toBe(stranger);
    await redis.del(leaseKey);
  });

  /** As npm runs it, without the secret of the gateways. */
  function run(args: readonly string[], environment: Readonly<Record<string, string>> = testEnvironment()) {
    const { JWT_SECRET: _, ...env } = environment;
    const child = spawn(process.execPath, [script, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [output, faults] = ['', ''];
    child.stdout.on('data', (data) => {
      output += data;
    });
    child.stderr.on('data', (data) => {
      faults += data;
    });
    return new Promise<{ code: number | null; output: string; faults: string }>((resolve) => {
      child.once('close', (code) => resolve({ code, output, faults }));
    });
  }

  /** Everything Redis has of a performance. */
  async function contents({ performanceId, keys }: Sold): Promise<unknown[]> {
    const names = (await redis.keys(`{p${performanceId}}:*`)).sort();
    expect(names).toContain(keys.meta);
    return Promise.all(
      names.map(async (name) => [name, await redis.type(name), (await redis.dumpBuffer(name)).toString('hex')]),
    );
  }

  it('prints the differences and changes nothing, and with --repair mends them', async () => {
    const each = await Promise.all(
      drifts.map(async ([kind, , seating, make]) => {
        const sold = await sale(seating);
        await make(sold);
        return { kind, sold };
      }),
    );
    const ids = each.map(({ sold }) => sold.performanceId);
    const healthy = await sale('seated');
    const named = [...ids, healthy.performanceId].flatMap((id) => ['--performance', String(id)]);
    const before = await Promise.all(each.map(({ sold }) => contents(sold)));

    const shown = await run(named);
    expect(shown).toMatchObject({ code: 1, faults: '' });
    for (const { kind, sold } of each) {
      expect(shown.output).toContain(`performance ${sold.performanceId}: 1 ${kind}\n`);
    }
    expect(shown.output).toContain(`performance ${healthy.performanceId}: no difference\n`);
    const listed = await run([...named, '--json']);
    expect(listed.code).toBe(1);
    const findings: { performanceId: number; left: Difference[] }[] = JSON.parse(listed.output);
    expect(findings.map(({ performanceId, left }) => [performanceId, left.map(({ kind }) => kind)])).toEqual([
      ...each.map(({ kind, sold }) => [sold.performanceId, [kind]]),
      [healthy.performanceId, []],
    ]);
    expect(await Promise.all(each.map(({ sold }) => contents(sold)))).toEqual(before);

    const mended = await run([...named, '--repair']);
    expect(mended).toMatchObject({ code: 0, faults: '' });
    for (const id of ids) {
      expect(mended.output).toContain(`performance ${id}: loaded anew, no difference is left`);
      expect(await differences(id)).toEqual([]);
      expect(await brokenSales(id)).toEqual([]);
    }
    expect(await run(named)).toMatchObject({ code: 0 });
  }, 120_000);

  it('has every gateway settle what it was granted before it loads', async () => {
    const sold = await sale('seated');
    await redis.hset(sold.keys.seats, 4, 'A 7');
    const asked: string[] = [];
    const answered: string[] = [];
    const listener = redisClient();
    onTestFinished(() => listener.disconnect());
    await listener.subscribe(settleChannel, settledChannel);
    listener.on('message', (channel: string, message: string) => {
      if (channel === settleChannel) asked.push(message);
      else answered.push(message);
    });
    expect(await run(['--performance', String(sold.performanceId), '--repair'])).toMatchObject({ code: 0, faults: '' });
    await until('both answers are heard', () => answered.length >= 2);
    expect(asked).toHaveLength(1);
    const [performanceId, request] = asked[0]!.split(' ');
    expect(Number(performanceId)).toBe(sold.performanceId);
    // The gateway and the tool itself.
    expect(answered).toEqual([request, request]);
  });

  it('looks at every performance that Redis has, and is silent about none that differs', async () => {
    const sold = await sale('capacity');
    await redis.hincrby(sold.keys.meta, 'remaining', -1);
    const { code, output } = await run(['--all', '--json']);
    expect(code).toBe(1);
    const findings: { performanceId: number; left: Difference[] }[] = JSON.parse(output);
    const found = findings.find(({ performanceId }) => performanceId === sold.performanceId);
    expect(found?.left.map(({ kind }) => kind)).toEqual([DriftKind.REMAINING]);
    expect(await run(['--all', '--repair'])).toMatchObject({ code: 0 });
    expect(await run(['--all'])).toMatchObject({ code: 0 });
  });

  it('says of a cold performance that there is nothing to compare', async () => {
    const { performanceId, keys } = await sale('seated');
    await redis.del(keys.meta);
    const { code, output } = await run(['--performance', String(performanceId)]);
    expect(code).toBe(0);
    expect(output).toContain('not in Redis now');
  });

  it('explains itself', async () => {
    const { code, output } = await run(['--help'], {});
    expect(code).toBe(0);
    for (const option of ['--performance', '--all', '--repair', '--json', 'REDIS_URL', 'MYSQL_URL']) {
      expect(output).toContain(option);
    }
  });

  it.each([
    ['nothing to look at', [], {}, /--performance or --all/],
    ['two things to look at', ['--all', '--performance', '1'], {}, /--performance or --all/],
    ['no number', ['--performance', 'x'], {}, /not "x"/],
    ['an unknown option', ['--al'], {}, /--al/],
    ['no such performance', ['--performance', '999999999'], {}, /no performance 999999999/],
    ['a Redis that is away', ['--all'], { REDIS_URL: 'redis://127.0.0.1:1' }, /redis/],
    ['a MySQL that is away', ['--performance', '1'], { MYSQL_URL: 'mysql://a:b@127.0.0.1:1/c' }, /mysql/],
    ['a wrong URL', ['--all'], { REDIS_URL: 'nonsense' }, /REDIS_URL/],
  ])('ends with 2 where it could not look: %s', async (_, args, settings, said) => {
    const result = await run(args, testEnvironment(settings));
    expect(result).toMatchObject({ code: 2, output: '' });
    expect(result.faults).toMatch(said);
    expect(result.faults).not.toContain('    at ');
  });

  it('says what to set where no gateway runs servers of its own, and starts none', async () => {
    const dataDir = `/tmp/fastpass-${randomUUID()}`;
    const { code, faults } = await run(['--all'], { PATH: process.env['PATH'] ?? '', FASTPASS_DATA_DIR: dataDir });
    expect(code).toBe(2);
    expect(faults).toContain(`no gateway runs its own servers in ${dataDir}; set REDIS_URL and MYSQL_URL`);
  });
});

describe('a hall of 20,000 seats, all of them held', () => {
  it('is read in pieces, none of which keeps Redis for long', async () => {
    const seats = 20_000;
    const perUser = 10;
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats }, holdSeconds: 3600 });
    const sent = await crowd(
      url,
      Array.from({ length: seats / perUser }, (_, i) => {
        const numbers = Array.from({ length: perUser }, (_, k) => i * perUser + k + 1);
        return holdSending(newUserId(), { performanceId, seats: numbers });
      }),
    );
    expect(countByStatus(sent)).toEqual({ 201: seats / perUser });
    await untilJournalsEmpty([performanceId]);

    const monitor = await monitorRedis(inject('redisUrl'));
    onTestFinished(() => monitor.stop());
    const view = await readView(connection, performanceId);
    const isOver = randomUUID();
    await redis.echo(isOver);
    await until('all of it was heard', () => monitor.commands.some((words) => words[1] === isOver));
    const commands = monitor.commands.filter((words) => words.some((word) => word.startsWith(`{p${performanceId}}`)));
    expect(view?.seats.size).toBe(seats);
    expect(view?.reservations.size).toBe(seats / perUser);

    // What the scripts do is seen too, and the jobs of the leader; nobody reads a whole hash.
    const small = new Set(['evalsha', 'eval', 'hmget', 'hscan', 'zscan', 'xlen', 'xrevrange', 'xrange']);
    expect(commands.filter(([name]) => !small.has(name!.toLowerCase()))).toEqual([]);
    const scans = commands.filter(([name]) => /scan$/i.test(name!));
    for (const scan of scans) expect(Number(scan[4])).toBeLessThanOrEqual(200);
    expect(scans.length).toBeGreaterThan(seats / 400);
    expect(scans.length).toBeLessThan(500);
    expect(await differences(performanceId)).toEqual([]);
  }, 120_000);
});
