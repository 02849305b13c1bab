import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  capacity,
  held,
  kindOf,
  newPerformanceId,
  newUser,
  type SnapshotFields,
  seated,
  wish,
} from '../../test/hold-store.contract.ts';
import { connectRedis, removePerformances } from '../../test/redis-under-test.ts';
import type { HoldRequest, Sale } from '../domain/reservation.ts';
import { SeatStatus } from '../domain/reservation.ts';
import type { Room } from '../domain/waiting-room.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { silentLog } from '../logger.ts';
import type { RedisConnection } from './connection.ts';
import { performanceKeys } from './keys.ts';
import { RedisLoadStore } from './load.ts';
import { RedisRoomStore } from './rooms.ts';
import { parseSeatNews, readRemaining, readTakenSeats, type SeatNews, watchSeats } from './seats.ts';
import { RedisHoldStore } from './store.ts';
import { Subscriber } from './subscriber.ts';

let connection: RedisConnection;
let store: RedisHoldStore;
let loads: RedisLoadStore;
const used: number[] = [];

beforeAll(async () => {
  connection = await connectRedis([inject('redisUrl')]);
  store = new RedisHoldStore(connection, silentLog);
  loads = new RedisLoadStore(connection, 0);
});

afterAll(async () => {
  // Another file's gateway would recover the journals.
  await removePerformances(connection, used);
  await connection.close();
});

function newPerformance(): number {
  const id = newPerformanceId();
  used.push(id);
  return id;
}

async function warm(make: typeof seated = seated, fields: SnapshotFields = {}): Promise<number> {
  const id = newPerformance();
  expect(await loads.finishLoad(await loads.startLoad(id), make(id, fields))).toBe('warmed');
  return id;
}

async function ask(...requests: readonly HoldRequest[]) {
  return (await store.hold([{ performanceId: requests[0]!.performanceId, requests }]))[0]!;
}

function saleOf({ reservationId, performanceId, userId }: HoldRequest, seatVersions: number[] = []): Sale {
  return { reservationId, performanceId, userId, seatVersions };
}

/** All that Redis has of a performance. */
async function stateOf(id: number): Promise<Record<string, unknown>> {
  const { client } = connection;
  const keys = performanceKeys(id);
  const { load: _, revision: __, ...meta } = await client.hgetall(keys.meta);
  return {
    meta,
    seats: await client.hgetall(keys.seats),
    reservations: await client.hgetall(keys.reservations),
    users: await client.hgetall(keys.users),
    expiry: await client.zrange(keys.expiry, '0', '-1', 'WITHSCORES'),
  };
}

describe('telling Redis of a sale', () => {
  it('occupies the seats with the versions that MySQL gave them, and keeps the places taken', async () => {
    const id = await warm();
    const request = wish(id, [2, 3]);
    await ask(request, wish(id, [5]));
    await store.confirm([saleOf(request, [2, 6, 3, 9])]);
    const { seats, reservations } = performanceKeys(id);
    expect(await connection.client.hmget(seats, '2', '3')).toEqual([
      `O 6 0 ${request.reservationId}`,
      `O 9 0 ${request.reservationId}`,
    ]);
    expect(await connection.client.hget(reservations, request.reservationId)).toBe(`${request.userId} 0 0 2,3`);
    expect(await readTakenSeats(connection, id)).toEqual(
      new Map([
        [2, 'OCCUPIED'],
        [3, 'OCCUPIED'],
        [5, 'HELD'],
      ]),
    );
    expect(await readRemaining(connection, [id])).toEqual([7]);
    expect((await ask(wish(id, [2]))).map(kindOf)).toEqual(['seat_taken']);
    // A refund goes on from there.
    const { reservationId, performanceId, userId } = request;
    await store.release([{ reservationId, performanceId, userId, endsPass: true, seatVersions: [2, 7, 3, 10] }]);
    expect(held((await ask(wish(id, [2, 3])))[0]).versions).toEqual([8, 11]);
  });

  it('keeps the places of a party taken, and out of the index of what ends', async () => {
    const id = await warm(capacity, { holdSeconds: 0 });
    const [sold, lapsed] = [wish(id, 4), wish(id, 4)];
    await ask(sold, lapsed);
    await store.confirm([saleOf(sold)]);
    const { expiry } = performanceKeys(id);
    expect(await connection.client.zrange(expiry, '0', '-1')).toEqual([lapsed.reservationId]);
    // 2 are free, 4 have lapsed, 4 are sold.
    const decisions = await ask(wish(id, 4), wish(id, 2), wish(id, 1));
    expect(held(decisions[0]).supersedes).toEqual([lapsed.reservationId]);
    expect(decisions.slice(1).map(kindOf)).toEqual(['held', 'held']);
    expect(await connection.client.hget(performanceKeys(id).reservations, sold.reservationId)).toBe(
      `${sold.userId} 0 4 `,
    );
  });

  it('ends the lapsing of a hold: nobody supersedes it any more', async () => {
    const id = await warm(seated, { holdSeconds: 0 });
    const request = wish(id, [1]);
    await ask(request);
    await store.confirm([saleOf(request, [1, 2])]);
    expect((await ask(wish(id, [1]), wish(id, [2], request.userId))).map(kindOf)).toEqual([
      'seat_taken',
      'already_reserved',
    ]);
  });

  it('twice, and in one call with itself, is the same as once', async () => {
    const [id, places] = [await warm(), await warm(capacity)];
    const [request, party] = [wish(id, [1, 2]), wish(places, 3)];
    await ask(request);
    await ask(party);
    const sales = [saleOf(request, [1, 2, 2, 2]), saleOf(party)];
    await store.confirm(sales);
    const before = [await stateOf(id), await stateOf(places)];
    await store.confirm([...sales, ...sales]);
    expect([await stateOf(id), await stateOf(places)]).toEqual(before);
  });

  it('of what was given back since changes nothing, also when the seat has a new owner', async () => {
    const id = await warm();
    const [first, second] = [wish(id, [1]), wish(id, [1])];
    await ask(first);
    const sale = saleOf(first, [1, 2]);
    await store.confirm([sale]);
    const { reservationId, performanceId, userId } = first;
    await store.release([{ reservationId, performanceId, userId, endsPass: true, seatVersions: [1, 3] }]);
    await ask(second);
    const before = await stateOf(id);
    await store.confirm([sale]);
    expect(await stateOf(id)).toEqual(before);
  });

  it('touches a seat only while the sold reservation owns it', async () => {
    const id = await warm();
    const [sold, other] = [wish(id, [1, 2]), wish(id, [3])];
    await ask(sold, other);
    // What a lost write may leave: the seat is somebody else's, the reservation still names it.
    const owned = `H 5 ${Date.now() + 60_000} ${other.reservationId}`;
    await connection.client.hset(performanceKeys(id).seats, '1', owned);
    await store.confirm([saleOf(sold, [1, 2, 2, 2])]);
    expect(await connection.client.hmget(performanceKeys(id).seats, '1', '2')).toEqual([
      owned,
      `O 2 0 ${sold.reservationId}`,
    ]);
  });

  it('of a reservation that Redis has lost changes nothing', async () => {
    const id = await warm();
    const before = await stateOf(id);
    await store.confirm([saleOf(wish(id, [1]), [1, 2])]);
    expect(await stateOf(id)).toEqual(before);
  });

  it('while the performance is cold is not missed by a load under way that has read MySQL before', async () => {
    const id = newPerformance();
    const request = wish(id, [1]);
    const finish = await loads.startLoad(id);
    await store.confirm([saleOf(request, [1, 2])]);
    // Read before the sale was committed.
    const { reservationId, userId } = request;
    const seat = { seat: 1, status: SeatStatus.HELD, version: 1, reservationId };
    const stale = seated(id, { changed: [seat], live: [{ reservationId, userId, partySize: 0, remainingMs: 60_000 }] });
    expect(await loads.finishLoad(finish, stale)).toBe('warmed');
    expect(await readTakenSeats(connection, id)).toEqual(new Map([[1, 'OCCUPIED']]));
    expect(await stateOf(id)).toMatchObject({ seats: { 1: `O 2 0 ${reservationId}` } });
  });

  it('of many performances reaches each of them, warm or cold', async () => {
    const ids = [await warm(), newPerformance(), await warm()];
    const requests = ids.map((id) => wish(id, [1]));
    for (const request of requests) await ask(request);
    await store.confirm(requests.map((request) => saleOf(request, [1, 2])));
    for (const i of [0, 2]) {
      expect(await readTakenSeats(connection, ids[i]!)).toEqual(new Map([[1, 'OCCUPIED']]));
    }
    expect(await readRemaining(connection, [ids[1]!])).toEqual([null]);
    await store.confirm([]);
  });

  it('tells those who watch, with the revision, and nobody where nothing was found', async () => {
    const id = await warm();
    const subscriber = new Subscriber(connection, silentLog);
    const news: SeatNews[] = [];
    await subscriber.start();
    try {
      await subscriber.subscribe(performanceKeys(id).seatsChannel, (message) => news.push(parseSeatNews(message)));
      const request = wish(id, [4, 2]);
      await ask(request);
      await store.confirm([saleOf(request, [2, 2, 4, 2])]);
      const revision = (await watchSeats(connection, id, 10_000))!;
      await store.confirm([saleOf(wish(id, [7]), [7, 2])]);
      await store.confirm([saleOf(request, [2, 2, 4, 2])]);
      await expect
        .poll(() => news, { timeout: 5000 })
        .toEqual([
          {
            revision: revision + 1,
            changes: [
              [2, 'OCCUPIED'],
              [4, 'OCCUPIED'],
            ],
          },
        ]);
    } finally {
      subscriber.stop();
    }
  });

  it('that fails is made up for: the performance is loaded anew', async () => {
    const [broken, good] = [await warm(), await warm()];
    const [first, second] = [wish(broken, [1]), wish(good, [1])];
    await ask(first);
    await ask(second);
    await connection.client.unlink(performanceKeys(broken).seats);
    await connection.client.set(performanceKeys(broken).seats, 'no hash');
    await expect(store.confirm([saleOf(first, [1, 2]), saleOf(second, [1, 2])])).rejects.toThrow(StoreUnavailable);
    expect(await readTakenSeats(connection, good)).toEqual(new Map([[1, 'OCCUPIED']]));
    await expect.poll(() => readRemaining(connection, [broken, good]), { timeout: 5000 }).toEqual([null, 9]);
  });
});

describe('the pass of a sale', () => {
  const room: Room = {
    mode: 'on',
    admitPerSecond: 1000,
    maxActive: 1,
    passSeconds: 60,
    opensAtMs: null,
    drawBeforeOpen: false,
    revision: 1,
    issued: 0,
  };

  /** A room with one inside; resolves with the number of the pass. */
  async function roomWith(userId: number, next: number) {
    const id = newPerformance();
    const rooms = new RedisRoomStore(connection);
    expect(
      await loads.finishLoad(await loads.startLoad(id), {
        ...seated(id),
        room,
      }),
    ).toBe('warmed');
    const join = (user: number) => ({ kind: 'join', performanceId: id, userId: user, arrival: 0, number: 0 }) as const;
    await rooms.serve([{ performanceId: id, requests: [join(userId), join(next)] }]);
    await expect
      .poll(async () => (await rooms.admit(500)) && (await connection.client.zcard(performanceKeys(id).active)), {
        timeout: 5000,
      })
      .toBe(1);
    return { id, rooms };
  }

  it('is spent: its user is inside no more, and the next one comes in', async () => {
    const [user, next] = [newUser(), newUser()];
    const { id, rooms } = await roomWith(user, next);
    const keys = performanceKeys(id);
    const request = { ...wish(id, [1], user), pass: 1 };
    expect((await ask(request)).map(kindOf)).toEqual(['held']);
    expect(await connection.client.zrange(keys.active, '0', '-1')).toEqual([String(user)]);
    await store.confirm([saleOf(request, [1, 2])]);
    expect(await connection.client.hget(keys.used, String(user))).toBeNull();
    expect(await connection.client.zrange(keys.active, '0', '-1')).toEqual([]);
    expect((await ask({ ...wish(id, [2], user), pass: 1 })).map(kindOf)).toEqual(['queue_pass_invalid']);
    await expect
      .poll(async () => (await rooms.admit(500)) && (await connection.client.zrange(keys.active, '0', '-1')), {
        timeout: 5000,
      })
      .toEqual([String(next)]);
    // Told again, it ends nobody's pass.
    await store.confirm([saleOf(request, [1, 2])]);
    expect(await connection.client.zrange(keys.active, '0', '-1')).toEqual([String(next)]);
  });

  it('is not spent by the sale of another reservation of the same user', async () => {
    const [user, next] = [newUser(), newUser()];
    const { id } = await roomWith(user, next);
    const keys = performanceKeys(id);
    const request = { ...wish(id, [1], user), pass: 1 };
    await ask(request);
    await store.confirm([saleOf(wish(id, [5], user), [5, 2])]);
    expect(await connection.client.hget(keys.used, String(user))).toBe(request.reservationId);
    expect(await connection.client.zrange(keys.active, '0', '-1')).toEqual([String(user)]);
  });

  it('is spent also while the performance is cold', async () => {
    const [user, next] = [newUser(), newUser()];
    const { id } = await roomWith(user, next);
    const keys = performanceKeys(id);
    const request = { ...wish(id, [1], user), pass: 1 };
    await ask(request);
    await store.cool(id, []);
    await store.confirm([saleOf(request, [1, 2])]);
    expect(await connection.client.hget(keys.used, String(user))).toBeNull();
    expect(await connection.client.zrange(keys.active, '0', '-1')).toEqual([]);
    expect(await connection.client.hget(keys.tickets, String(user))).toMatch(/^L /);
  });
});
