/** The outbox and its relay: what happened, told to other services in the stream `fastpass:events`, at least once, in order. */
import { randomUUID } from 'node:crypto';
import { connect, createServer } from 'node:net';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { outboxKinds } from '../src/domain/account.ts';
import { silentLog } from '../src/logger.ts';
import { catalogChannel, eventsKey, leaseKey } from '../src/lua/keys.ts';
import { Database } from '../src/persist/database.ts';
import { readOutbox } from '../src/persist/outbox.ts';
import { startApart } from './apart.ts';
import {
  createPerformance,
  metricOf,
  newUserId,
  query,
  redisClient,
  seededRandom,
  spawnGateway,
  startGateway,
  storedReservations,
  storedStatus,
  type TestGateway,
  until,
} from './harness.ts';
import { brokenSales, cancel, charge, giveMoney, hold, pay } from './money.ts';

const seed = Number(process.env['RUSH_SEED'] ?? 20_260_405);
const price = 100;

let redis: Redis;
beforeAll(() => {
  redis = redisClient();
});
afterAll(() => redis.disconnect());

/** An entry of the stream: its fields by name. */
type Told = Readonly<Record<string, string>>;

function fieldsOf(flat: readonly string[]): Told {
  const fields: Record<string, string> = {};
  for (let i = 0; i < flat.length; i += 2) fields[flat[i]!] = flat[i + 1]!;
  return fields;
}

/** What the stream has of some performances, in its order. */
async function toldOf(...performanceIds: readonly number[]): Promise<Told[]> {
  const wanted = new Set(performanceIds.map(String));
  const entries = await redis.xrange(eventsKey, '-', '+');
  return entries.map(([, flat]) => fieldsOf(flat)).filter(({ performanceId }) => wanted.has(performanceId!));
}

async function waiting(): Promise<number> {
  return (await query('SELECT COUNT(*) AS count FROM outbox'))[0]!['count'];
}

async function untilTold(): Promise<void> {
  await until('the outbox is empty', async () => (await waiting()) === 0);
}

/** The types told of each reservation, in order, what was told again with the same id left out. */
function storiesOf(told: readonly Told[]): Map<string, string[]> {
  const seen = new Set<string>();
  const stories = new Map<string, string[]>();
  for (const { id, type, reservationId } of told) {
    if (seen.has(id!)) continue;
    seen.add(id!);
    const story = stories.get(reservationId!);
    if (story === undefined) stories.set(reservationId!, [type!]);
    else story.push(type!);
  }
  return stories;
}

const held = 'reservation.held';
const sold = ['reservation.confirmed', 'payment.completed'];
const refunded = ['reservation.cancelled', 'payment.refunded'];
/** By what the reservation is in the end, all that may be told of it. */
const allowed: Readonly<Record<number, readonly string[]>> = {
  [storedStatus.HELD]: [held],
  [storedStatus.CONFIRMED]: [[held, ...sold].join()],
  [storedStatus.EXPIRED]: [[held, 'reservation.expired'].join()],
  [storedStatus.CANCELLED]: [[held, 'reservation.cancelled'].join(), [held, ...sold, ...refunded].join()],
};

/** What the stream says of the reservations of a performance against what MySQL has: everything, in order, and no more. */
async function wrongStories(performanceId: number): Promise<string[]> {
  const stories = storiesOf(await toldOf(performanceId));
  const wrong: string[] = [];
  for (const { id, status } of await storedReservations(performanceId)) {
    const story = stories.get(id)?.join() ?? 'nothing';
    if (!allowed[status]!.includes(story)) wrong.push(`${id} of status ${status}: ${story}`);
    stories.delete(id);
  }
  return [...wrong, ...[...stories.keys()].map((id) => `${id} is not in MySQL`)];
}

describe('what happens', () => {
  let gateway: TestGateway;
  let url: string;
  beforeAll(async () => {
    gateway = await startGateway();
    url = gateway.url;
  });
  afterAll(() => gateway.stop());

  it('reaches the stream with its fields, each kind of it, and leaves the outbox', async () => {
    const performanceId = await createPerformance(url, {
      seating: { kind: 'seated', seats: 9 },
      price,
      holdSeconds: 1,
    });
    const lasting = await createPerformance(url, { seating: { kind: 'seated', seats: 9 }, price });
    const users = Array.from({ length: 4 }, newUserId) as [number, number, number, number];
    await giveMoney(users, 1000);
    const [dropper, buyer, regretter, sleeper] = users;
    const holdOne = async (userId: number, id: number, seats: number[]): Promise<string> =>
      (await hold(url, userId, { performanceId: id, seats })).body.reservationId;
    const dropped = await holdOne(dropper, lasting, [1]);
    await cancel(url, dropper, dropped);
    const bought = await holdOne(buyer, lasting, [2, 3]);
    await pay(url, buyer, bought);
    const regretted = await holdOne(regretter, lasting, [4]);
    await pay(url, regretter, regretted);
    await cancel(url, regretter, regretted);
    const slept = await holdOne(sleeper, performanceId, [1]);
    await until('it has expired', async () => {
      return (await storedReservations(performanceId))[0]!.status === storedStatus.EXPIRED;
    });
    await untilTold();

    const told = await toldOf(performanceId, lasting);
    const of = (reservationId: string): unknown[] =>
      told
        .filter((each) => each['reservationId'] === reservationId)
        .map(({ id, ...rest }) => {
          expect(id).toMatch(/^\d+-\d+$/);
          return rest;
        });
    const event = (type: string, reservationId: string, userId: number, id: number, amount?: number): unknown => ({
      type,
      reservationId,
      performanceId: String(id),
      userId: String(userId),
      ...(amount === undefined ? {} : { amount: String(amount) }),
    });
    expect(of(dropped)).toEqual([
      event('reservation.held', dropped, dropper, lasting),
      event('reservation.cancelled', dropped, dropper, lasting),
    ]);
    expect(of(bought)).toEqual([
      event('reservation.held', bought, buyer, lasting),
      event('reservation.confirmed', bought, buyer, lasting),
      event('payment.completed', bought, buyer, lasting, 200),
    ]);
    expect(of(regretted)).toEqual([
      event('reservation.held', regretted, regretter, lasting),
      event('reservation.confirmed', regretted, regretter, lasting),
      event('payment.completed', regretted, regretter, lasting, 100),
      event('reservation.cancelled', regretted, regretter, lasting),
      event('payment.refunded', regretted, regretter, lasting, 100),
    ]);
    expect(of(slept)).toEqual([
      event('reservation.held', slept, sleeper, performanceId),
      event('reservation.expired', slept, sleeper, performanceId),
    ]);
    expect(told).toHaveLength(12);
    // Each has an id of its own, and a repeat of a request is no event.
    expect(new Set(told.map(({ id }) => id)).size).toBe(12);
    await pay(url, buyer, bought);
    await cancel(url, regretter, regretted);
    await untilTold();
    expect(await toldOf(performanceId, lasting)).toHaveLength(12);
    expect(await metricOf(url, 'fastpass_events_relayed_total')).toBeGreaterThanOrEqual(12);
  });

  it('and is undone is not told: a payment without money', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 1 }, price });
    const userId = newUserId();
    const { reservationId } = (await hold(url, userId, { performanceId, seats: [1] })).body;
    expect((await pay(url, userId, reservationId)).status).toBe(402);
    await charge(url, userId, price - 1);
    expect((await pay(url, userId, reservationId)).status).toBe(402);
    await untilTold();
    expect([...storiesOf(await toldOf(performanceId)).values()]).toEqual([[held]]);
  });

  it('is in one commit with what is told of it', async () => {
    // Nobody relays: somebody else has the lease, and does nothing with it.
    const stranger = `test ${randomUUID()}`;
    await redis.set(leaseKey, stranger, 'EX', 60);
    onTestFinished(async () => {
      await redis.del(leaseKey);
    });
    await until('nobody leads', async () => (await metricOf(url, 'fastpass_leader')) === 0);
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 1 }, price });
    const userId = newUserId();
    await charge(url, userId, price);
    const { reservationId } = (await hold(url, userId, { performanceId, seats: [1] })).body;
    const database = new Database(inject('mysqlUrl'), silentLog, 1);
    onTestFinished(() => database.close());
    const kindsOf = async (): Promise<string[]> => {
      const lines = (await readOutbox(database, 1_000_000)).flatMap((row) => row.lines.split('\n'));
      const mine = lines.map((line) => line.split(' ')).filter(([, id]) => id === reservationId);
      return mine.map(([kind]) => outboxKinds[Number(kind)]!);
    };
    expect(await kindsOf()).toEqual([held]);
    expect((await pay(url, userId, reservationId)).status).toBe(201);
    expect(await kindsOf()).toEqual([held, ...sold]);
    expect((await cancel(url, userId, reservationId)).status).toBe(200);
    expect(await kindsOf()).toEqual([held, ...sold, ...refunded]);
    expect(await toldOf(performanceId)).toEqual([]);
    await redis.del(leaseKey);
    await untilTold();
    expect(storiesOf(await toldOf(performanceId)).get(reservationId)).toEqual([held, ...sold, ...refunded]);
  });

  it('is told of rows that an earlier version wrote, too', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 1 } });
    const event = { kind: 'payment.completed', reservationId: randomUUID(), performanceId, userId: 7, amount: 5 };
    await query('INSERT INTO outbox (events) VALUES (?)', [JSON.stringify([event])]);
    await untilTold();
    const { kind: type, ...rest } = event;
    expect(await toldOf(performanceId)).toMatchObject([
      Object.fromEntries(Object.entries({ type, ...rest }).map(([name, value]) => [name, String(value)])),
    ]);
  });

  it(`in a crowd that holds, pays, cancels and lets lapse, at two gateways, is told in order (seed ${seed})`, async () => {
    const other = await startGateway();
    onTestFinished(() => other.stop());
    const at = (i: number): string => (i % 2 === 0 ? url : other.url);
    const random = seededRandom(seed);
    const performances = await Promise.all([
      createPerformance(url, { seating: { kind: 'seated', seats: 60 }, price, holdSeconds: 1 }),
      createPerformance(url, { seating: { kind: 'capacity', capacity: 80 }, price, holdSeconds: 1 }),
    ]);
    const users = Array.from({ length: 200 }, newUserId);
    await giveMoney(users, 3 * price);
    await Promise.all(
      users.map(async (userId, i) => {
        for (let round = 0; round < 3; round++) {
          const isSeated = random(2) === 0;
          const what = isSeated ? { seats: [1 + random(60)] } : { partySize: 1 + random(2) };
          const reply = await hold(at(i), userId, { performanceId: performances[isSeated ? 0 : 1]!, ...what });
          if (reply.status !== 201) continue;
          const { reservationId } = reply.body;
          const next = random(4);
          const works: Promise<unknown>[] = [];
          if (next !== 0) works.push(pay(at(random(2)), userId, reservationId));
          if (next === 1) works.push(cancel(at(random(2)), userId, reservationId));
          await Promise.all(works);
          if (next === 2) await cancel(at(random(2)), userId, reservationId);
        }
      }),
    );
    await until('what was not paid is over', async () => {
      const stored = (await Promise.all(performances.map(storedReservations))).flat();
      return stored.every(({ status }) => status !== storedStatus.HELD);
    });
    await untilTold();
    const statuses = new Set<number>();
    for (const performanceId of performances) {
      expect(await wrongStories(performanceId)).toEqual([]);
      expect(await brokenSales(performanceId)).toEqual([]);
      for (const { status } of await storedReservations(performanceId)) statuses.add(status);
    }
    expect([...statuses].sort()).toEqual([storedStatus.CONFIRMED, storedStatus.CANCELLED, storedStatus.EXPIRED]);
  });

  it('can be followed by a group of consumers: each event once, and again where one of them has died', async () => {
    // As another service would do it: a group that begins at the end of the stream.
    const group = `mailer-${randomUUID()}`;
    await redis.xgroup('CREATE', eventsKey, group, '$', 'MKSTREAM');
    onTestFinished(async () => {
      await redis.xgroup('DESTROY', eventsKey, group);
    });
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 9 }, price });
    const userId = newUserId();
    await charge(url, userId, 1000);
    const { reservationId } = (await hold(url, userId, { performanceId, seats: [1] })).body;
    await pay(url, userId, reservationId);
    await untilTold();

    type Entries = [id: string, fields: string[]][];
    const readNew = async (consumer: string, count: number): Promise<Entries> => {
      const reply = await redis.xreadgroup('GROUP', group, consumer, 'COUNT', count, 'STREAMS', eventsKey, '>');
      return (reply as [string, Entries][] | null)?.[0]?.[1] ?? [];
    };
    const handled: string[] = [];
    const handle = async (entries: Entries): Promise<void> => {
      for (const [entryId, flat] of entries) {
        const event = fieldsOf(flat);
        // `id` names the event: what was handled before is only acknowledged.
        if (event['reservationId'] === reservationId) handled.push(event['type']!);
        await redis.xack(eventsKey, group, entryId);
      }
    };
    // One takes an event and dies before it acknowledges; another goes on, and takes over what was left.
    const lost = await readNew('dies', 1);
    expect(lost).toHaveLength(1);
    await handle(await readNew('lives', 100));
    const [, claimed] = (await redis.xautoclaim(eventsKey, group, 'lives', 0, '0')) as [string, Entries];
    expect(claimed.map(([entryId]) => entryId)).toEqual(lost.map(([entryId]) => entryId));
    await handle(claimed);
    expect(handled.sort()).toEqual([held, ...sold].sort());
    expect(await redis.xpending(eventsKey, group)).toEqual([0, null, null, null]);
    expect(await readNew('lives', 100)).toEqual([]);
  });
});

describe('while Redis is away', () => {
  it('what happens waits in MySQL, and is told in order when it is back', async () => {
    const { url, proxy } = await startApart();
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 40 }, price });
    const users = Array.from({ length: 40 }, newUserId);
    await giveMoney(users, price);
    const ids = await Promise.all(
      users.map(async (userId, i) => (await hold(url, userId, { performanceId, seats: [i + 1] })).body.reservationId),
    );
    await untilTold();
    proxy.cut();
    for (const [i, userId] of users.entries()) {
      if (i % 3 !== 0) expect((await pay(url, userId, ids[i])).status).toBe(201);
      if (i % 3 !== 1) expect((await cancel(url, userId, ids[i])).status).toBe(200);
    }
    expect(await waiting()).toBeGreaterThan(40);
    expect(storiesOf(await toldOf(performanceId)).get(ids[0])).toEqual([held]);
    proxy.restore();
    await untilTold();
    expect(await wrongStories(performanceId)).toEqual([]);
  });

  it('again and again in the middle of it, nothing is lost and the order is kept', async () => {
    const { url, proxy } = await startApart();
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 300 }, price });
    const users = Array.from({ length: 300 }, newUserId);
    await giveMoney(users, price);
    const ids = await Promise.all(
      users.map(async (userId, i) => (await hold(url, userId, { performanceId, seats: [i + 1] })).body.reservationId),
    );
    const subscribers = async (): Promise<number> => {
      const [, count] = (await redis.pubsub('NUMSUB', catalogChannel)) as [string, number];
      return Number(count);
    };
    let isOver = false;
    const failing = (async () => {
      while (!isOver) {
        const before = await redis.xlen(eventsKey);
        // Cut as soon as the relay is at work again, however long that takes.
        await until('it is relaying', async () => isOver || (await redis.xlen(eventsKey)) > before);
        proxy.cut();
        await until('it has noticed', async () => (await subscribers()) === 0);
        proxy.restore();
        await until('it is back', async () => (await subscribers()) > 0);
      }
    })();
    let next = 0;
    await Promise.all(
      Array.from({ length: 10 }, async () => {
        while (next < users.length) {
          const i = next++;
          expect((await pay(url, users[i]!, ids[i])).status).toBe(201);
          if (i % 2 === 0) expect((await cancel(url, users[i]!, ids[i])).status).toBe(200);
        }
      }),
    );
    isOver = true;
    await failing;
    proxy.restore();
    await untilTold();
    expect(await wrongStories(performanceId)).toEqual([]);
    expect(await brokenSales(performanceId)).toEqual([]);
  });

  it('and goes away again just as a gateway subscribes anew, the gateway lives on', async () => {
    const target = new URL(inject('redisUrl'));
    let isCutting = false;
    let cuts = 0;
    const server = createServer((client) => {
      const upstream = connect(Number(target.port), target.hostname);
      client.on('data', (data) => {
        if (isCutting && /\bsubscribe\b/i.test(data.toString('latin1'))) {
          cuts++;
          client.resetAndDestroy();
        } else upstream.write(data);
      });
      upstream.on('data', (data) => client.write(data));
      for (const [one, another] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        one.on('error', () => another.destroy());
        one.on('close', () => another.destroy());
      }
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const proxied = new URL(target);
    proxied.port = String(typeof address === 'object' && address !== null ? address.port : 0);
    const spawned = await spawnGateway({ REDIS_URL: proxied.href });
    onTestFinished(async () => {
      if (spawned.child.exitCode === null) await spawned.kill();
      server.close();
    });
    isCutting = true;
    await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until('it was cut off, again and again', () => cuts >= 3 || spawned.child.exitCode !== null);
    isCutting = false;
    expect(spawned.child.exitCode).toBeNull();
    expect((await fetch(`${spawned.url}/healthz`)).status).toBe(200);
  });
});
