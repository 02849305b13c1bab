/** Redis Cluster: the same promises on three masters, while slots move and masters die. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { outboxKinds } from '../src/domain/account.ts';
import { newReservationId } from '../src/domain/ids.ts';
import { appendEvents } from '../src/lua/events.ts';
import { eventsKey, performanceKeys } from '../src/lua/keys.ts';
import {
  brokenPromises,
  call,
  countByStatus,
  createPerformance,
  crowd,
  disagreements,
  type GatewayProcess,
  holdSending,
  metricOf,
  newUserId,
  patient,
  type Sending,
  type Sent,
  seededRandom,
  spawnGateway,
  storedReservations,
  storedStatus,
  until,
} from './harness.ts';
import { holdPassContract, holdStoreContract } from './hold-store.contract.ts';
import { type RedisCluster, startRedisCluster } from './redis-cluster.ts';
import { connectRedis, redisHoldStore, redisPasses, redisRooms } from './redis-under-test.ts';
import { recovered } from './reliability.ts';
import { describeRoomStore } from './room-store.contract.ts';
import { openRoom } from './rooms.ts';
import { openSocket } from './socket.ts';

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startRedisCluster();
}, 120_000);
afterAll(() => cluster.close());

// The contracts run first, on the whole cluster.
holdStoreContract('a Redis Cluster', () => redisHoldStore(cluster.urls));
holdPassContract('a Redis Cluster', () => redisPasses(cluster.urls));
describeRoomStore('a Redis Cluster', () => redisRooms(cluster.urls));

const running: GatewayProcess[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((gateway) => gateway.kill()));
});

async function start(settings: Readonly<Record<string, string>> = {}): Promise<GatewayProcess> {
  const gateway = await spawnGateway({ ...patient, REDIS_URL: cluster.urls.join(','), ...settings });
  running.push(gateway);
  return gateway;
}

const hallSeats = 500;
const storedWithinMs = 10_000;

/** Halls enough for every master to have some. */
async function openHalls(url: string, count: number): Promise<number[]> {
  const ids: number[] = [];
  for (let i = 0; i < count; i++) {
    ids.push(await createPerformance(url, { seating: { kind: 'seated', seats: hallSeats } }));
  }
  return ids;
}

function rushOf(ids: readonly number[], count: number, seed: number): Sending[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => {
    const seat = random(hallSeats) + 1;
    return holdSending(newUserId(), { performanceId: ids[random(ids.length)], seats: [seat, (seat % hallSeats) + 1] });
  });
}

/** Of 201s that MySQL does not have, and seats of two 201s. */
async function lostOrDouble(ids: readonly number[], sent: readonly Sent[]): Promise<string[]> {
  const faults: string[] = [];
  const stored = (await Promise.all(ids.map(storedReservations))).flat();
  const held = new Set(stored.filter(({ status }) => status === storedStatus.HELD).map(({ id }) => id));
  const soldTo = new Map<string, string>();
  for (const { status, body } of sent) {
    if (status !== 201) continue;
    if (!held.has(body.reservationId)) faults.push(`${body.reservationId} is lost`);
    for (const seat of body.seats) {
      const place = `${body.performanceId} ${seat}`;
      if (soldTo.has(place)) faults.push(`${place} is sold twice`);
      soldTo.set(place, body.reservationId);
    }
  }
  return faults;
}

async function expectPromisesKept(url: string, ids: readonly number[], sent: readonly Sent[]): Promise<void> {
  // `held` acknowledges before MySQL has it: it has all within seconds.
  let faults = await lostOrDouble(ids, sent);
  const endMs = performance.now() + storedWithinMs;
  while (faults.length > 0 && performance.now() < endMs) faults = await lostOrDouble(ids, sent);
  expect(faults).toEqual([]);
  for (const id of ids) {
    expect(await brokenPromises(id)).toEqual([]);
    await until(`Redis and MySQL agree on ${id}`, async () => (await disagreements(url, id)).length === 0);
  }
}

/** Resolves once a hold of the performance is decided again. */
async function untilServed(url: string, performanceId: number): Promise<void> {
  await until(
    'the performance is served again',
    async () => {
      const body = { performanceId, seats: [hallSeats] };
      const { status } = await call(url, 'POST', '/v1/reservations', { userId: newUserId(), body });
      return status === 201 || status === 409;
    },
    20_000,
  );
}

describe('a gateway on a Redis Cluster', () => {
  it('sells halls of every master in one rush, without a fault', async () => {
    const { url } = await start();
    const ids = await openHalls(url, 6);
    const masters = await Promise.all(
      ids.map(async (id) => (await cluster.masterOf(performanceKeys(id).meta)).options.port),
    );
    expect(new Set(masters).size).toBe(3);
    const sent = await crowd(url, rushOf(ids, 4000, 1));
    expect(Object.keys(countByStatus(sent)).sort()).toEqual(['201', '409']);
    await expectPromisesKept(url, ids, sent);
  });

  it('goes on while slots move in the rush: nothing is lost, nothing sold twice', async () => {
    const { url } = await start();
    const ids = await openHalls(url, 4);
    let answers = 0;
    const moves: Promise<void>[] = [];
    const sent = await crowd(url, rushOf(ids, 5000, 2), {
      onAnswer: () => {
        answers++;
        if (answers % 1000 === 500)
          moves.push(cluster.moveSlotOf(performanceKeys(ids[moves.length % ids.length]!).meta));
      },
    });
    await Promise.all(moves);
    expect(moves.length).toBeGreaterThanOrEqual(4);
    // While the keys of a slot lie at two nodes a script cannot run: those few are refused, with nothing done.
    for (const { status, body } of sent) if (status >= 500) expect([status, body.code]).toEqual([503, 'unavailable']);
    await expectPromisesKept(url, ids, sent);
  });

  it('refuses with 503 while the keys of a slot lie at two masters, and serves when they have moved', async () => {
    const { url } = await start();
    const [id] = await openHalls(url, 1);
    const first = await crowd(url, rushOf([id!], 200, 3));
    let during: Sent[] = [];
    await cluster.moveSlotOf(performanceKeys(id!).meta, async () => {
      during = await crowd(url, rushOf([id!], 50, 4));
    });
    for (const { status } of during) expect([201, 409, 503]).toContain(status);
    const after = await crowd(url, rushOf([id!], 200, 5));
    expect(Object.keys(countByStatus(after)).sort()).toEqual(['201', '409']);
    await expectPromisesKept(url, [id!], [...first, ...during, ...after]);
  });

  it('tells sockets at another gateway of seats, whichever node either is connected to', async () => {
    const [one, two] = [await start(), await start()];
    const ids = await openHalls(one.url, 4);
    for (const id of ids) {
      const socket = await openSocket(two.url, newUserId());
      socket.send({ type: 'seats.watch', performanceId: id });
      await socket.message('seats.changed');
      const body = { performanceId: id, seats: [7] };
      expect((await call(one.url, 'POST', '/v1/reservations', { userId: newUserId(), body })).status).toBe(201);
      const changed = await socket.message('seats.changed', ({ changes }) => changes.length > 0);
      expect(changed).toMatchObject({ performanceId: id, changes: [[7, 'HELD']] });
      socket.close();
    }
  });

  it.each(['persisted', 'held'])(
    'loads what every gateway was granted when all of Redis is emptied in a rush (%s)',
    async (ack) => {
      const both = [await start({ FASTPASS_ACK: ack }), await start({ FASTPASS_ACK: ack })];
      const ids = await openHalls(both[0]!.url, 4);
      let answers = 0;
      const flushes: Promise<void>[] = [];
      const halves = await Promise.all(
        both.map(({ url }, i) =>
          crowd(url, rushOf(ids, 2500, 10 + i), {
            onAnswer: () => {
              if (++answers % 1000 === 0) flushes.push(cluster.flushAll());
            },
          }),
        ),
      );
      await Promise.all(flushes);
      await expectPromisesKept(both[0]!.url, ids, halves.flat());
    },
  );

  it('appends what happened to one stream, in order, before, while and after its slot moves', async () => {
    const connection = await connectRedis(cluster.urls);
    // A performance that no test has made: the relay of a gateway may append as well.
    const nowhere = 999_999_999;
    const append = async (first: number): Promise<number[]> => {
      const numbers = Array.from({ length: 300 }, (_, i) => first + i);
      // As many rows as there are events: each is a call that may be redirected.
      const kind = outboxKinds.indexOf('reservation.confirmed');
      const rows = numbers.map((number) => ({ id: number, lines: `${kind} ${newReservationId()} ${nowhere} 1` }));
      expect(await appendEvents(connection, rows)).toBe(rows.length);
      return numbers;
    };
    const appended = async (): Promise<number[]> => {
      const entries = await (await cluster.masterOf(eventsKey)).xrange(eventsKey, '-', '+');
      const mine = entries.filter(([, fields]) => fields[fields.indexOf('performanceId') + 1] === String(nowhere));
      return mine.map(([, fields]) => Number(fields[fields.indexOf('id') + 1]!.split('-')[0]));
    };
    try {
      const told = await append(0);
      await cluster.moveSlotOf(eventsKey, async () => told.push(...(await append(300))));
      told.push(...(await append(600)));
      expect(await appended()).toEqual(told);
    } finally {
      await connection.close();
    }
  });

  // Last: what dies here is gone.
  it('goes on after the death of a master in the rush: a replica takes over, nothing is lost or sold twice', async () => {
    const both = [await start(), await start()];
    const ids = await openHalls(both[0]!.url, 6);
    const roomId = await openRoom(both[0]!.url);
    const doomed = performanceKeys(ids[0]!).meta;
    const loadOf = async (): Promise<string | null> => (await cluster.masterOf(doomed)).hget(doomed, 'load');
    await untilServed(both[0]!.url, ids[0]!);
    const loadBefore = await loadOf();
    let answers = 0;
    let killedAtMs = 0;
    let killing: Promise<void> = Promise.resolve();
    const sent = await crowd(both[0]!.url, rushOf(ids, 6000, 20), {
      onAnswer: () => {
        if (++answers !== 2000) return;
        killedAtMs = performance.now();
        killing = cluster.killMasterOf(doomed);
      },
    });
    await killing;
    for (const { status, body } of sent) {
      if (status >= 500) expect([status, ['unavailable', 'overloaded'].includes(body.code)]).toEqual([503, true]);
    }
    await Promise.all(both.flatMap(({ url }) => ids.map((id) => untilServed(url, id))));
    recovered('A master of the cluster dies', performance.now() - killedAtMs);
    // A replica may have lagged behind: what it has is not believed.
    expect(await loadOf()).not.toBe(loadBefore);
    const later = await crowd(both[1]!.url, rushOf(ids, 1000, 21));
    expect(Object.keys(countByStatus(later)).sort()).toEqual(['201', '409']);
    await expectPromisesKept(both[1]!.url, ids, [...sent, ...later]);
    // The jobs have a leader again, and the room admits.
    await until('somebody leads', async () => {
      const leaders = await Promise.all(both.map(({ url }) => metricOf(url, 'fastpass_leader')));
      return leaders.reduce((sum, each) => sum + each, 0) === 1;
    });
    const guest = newUserId();
    const tickets = `/v1/performances/${roomId}/queue/tickets`;
    const joined = await call(both[0]!.url, 'POST', tickets, { userId: guest });
    expect(joined.status).toBe(201);
    await until('the guest is admitted', async () => {
      const headers = { 'queue-ticket': joined.body.ticket };
      return (
        (await call(both[1]!.url, 'GET', `${tickets}/current`, { userId: guest, headers })).body.status === 'admitted'
      );
    });
  });
});
