import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { held, holdStoreContract, kindOf, newPerformanceId, seated, wish } from '../../test/hold-store.contract.ts';
import { connectRedis, redisHoldStore, removePerformances } from '../../test/redis-under-test.ts';
import type { HoldRequest } from '../domain/reservation.ts';
import type { HoldDecision } from '../domain/stores.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { silentLog } from '../logger.ts';
import type { RedisConnection } from './connection.ts';
import { performanceKeys } from './keys.ts';
import { RedisLoadStore } from './load.ts';
import { readRemaining } from './seats.ts';
import { RedisHoldStore } from './store.ts';

holdStoreContract('Redis', () => redisHoldStore([inject('redisUrl')]));

describe('on real Redis', () => {
  let connection: RedisConnection;
  let store: RedisHoldStore;
  const remaining: [number, number][] = [];
  const used: number[] = [];
  beforeAll(async () => {
    connection = await connectRedis([inject('redisUrl')]);
    store = new RedisHoldStore(connection, silentLog, (performanceId, places) =>
      remaining.push([performanceId, places]),
    );
  });
  afterAll(async () => {
    await removePerformances(connection, used);
    await connection.close();
  });

  async function warm(): Promise<number> {
    const id = newPerformanceId();
    used.push(id);
    await new RedisLoadStore(connection).finishLoad(await new RedisLoadStore(connection).startLoad(id), seated(id));
    return id;
  }

  it('a pipeline whose scripts the server has forgotten is answered in order all the same', async () => {
    const ids = [await warm(), await warm(), await warm()];
    const groups = ids.map((id) => ({ performanceId: id, requests: [wish(id, [1]), wish(id, [1])] }));
    await connection.client.call('SCRIPT', 'FLUSH');
    const decisions = await store.hold(groups);
    expect(decisions.map((group) => group.map(kindOf))).toEqual(ids.map(() => ['held', 'seat_taken']));
    expect(held(decisions[1]![0]).reservationId).toBe(groups[1]!.requests[0]!.reservationId);
  });

  it('a script that the server has forgotten is sent again alone', async () => {
    const [known, forgotten] = [await warm(), await warm()];
    await connection.client.call('SCRIPT', 'FLUSH');
    // The release script is unknown now, the hold script is not.
    const before = wish(forgotten, [1]);
    await store.hold([{ performanceId: forgotten, requests: [before] }]);
    await store.release([{ ...before, endsPass: false, seatVersions: [1, 2] }]);
    const [[decision]] = (await store.hold([{ performanceId: known, requests: [wish(known, [1])] }])) as [
      Awaited<ReturnType<typeof store.hold>>[number],
    ];
    expect(kindOf(decision)).toBe('held');
    expect(await readRemaining(connection, [known, forgotten])).toEqual([9, 10]);
  });

  it('an error of one performance fails its requests only', async () => {
    const [broken, good] = [await warm(), await warm()];
    await connection.client.del(performanceKeys(broken).seats);
    await connection.client.set(performanceKeys(broken).seats, 'no hash');
    const decisions = await store.hold([
      { performanceId: broken, requests: [wish(broken, [1]), wish(broken, [2])] },
      { performanceId: good, requests: [wish(good, [1])] },
    ]);
    expect(decisions.map((group) => group.map(kindOf))).toEqual([['failed', 'failed'], ['held']]);
  });

  it('a script touches no performance but its own', async () => {
    const [mine, other] = [await warm(), await warm()];
    await store.hold([{ performanceId: mine, requests: [wish(mine, [1])] }]);
    expect(await readRemaining(connection, [mine, other])).toEqual([9, 10]);
  });

  it('a release frees a seat only while the released reservation owns it', async () => {
    const id = await warm();
    const [released, other] = [wish(id, [1, 2]), wish(id, [3])];
    await store.hold([{ performanceId: id, requests: [released, other] }]);
    // What a lost write may leave: the seat is somebody else's, the reservation still names it.
    const owned = `H 5 ${Date.now() + 60_000} ${other.reservationId}`;
    await connection.client.hset(performanceKeys(id).seats, '1', owned);
    await store.release([{ ...released, endsPass: false, seatVersions: [1, 2, 2, 2] }]);
    expect(await connection.client.hmget(performanceKeys(id).seats, '1', '2')).toEqual([owned, 'A 2']);
  });

  it('the places left are told with every call and release', async () => {
    const id = await warm();
    const request = wish(id, [1, 2]);
    await store.hold([{ performanceId: id, requests: [request] }]);
    await store.release([{ ...request, endsPass: false, seatVersions: [1, 2, 2, 2] }]);
    expect(remaining.filter(([performanceId]) => performanceId === id)).toEqual([
      [id, 8],
      [id, 10],
    ]);
  });

  it('a load leaves no key of its own behind', async () => {
    const id = await warm();
    await new RedisLoadStore(connection).finishLoad(
      await new RedisLoadStore(connection).startLoad(id),
      seated(id, { changed: [], live: [] }),
    );
    const reservation = { reservationId: wish(id, [1]).reservationId, userId: 1, partySize: 0, remainingMs: 1000 };
    await new RedisLoadStore(connection).finishLoad(
      await new RedisLoadStore(connection).startLoad(id),
      seated(id, { live: [reservation] }),
    );
    expect(await connection.client.keys(`{p${id}}:load:*`)).toEqual([]);
    expect(await connection.client.ttl(performanceKeys(id).meta)).toBe(-1);
  });

  it('an ended hold is kept from others for the grace beyond what its owner was told, and then taken over', async () => {
    const graceMs = 1500;
    const loads = new RedisLoadStore(connection, graceMs);
    const four = { kind: 'capacity', capacity: 4, maxPartySize: 4 } as const;
    const ask = async (request: HoldRequest): Promise<HoldDecision> =>
      (await store.hold([{ performanceId: request.performanceId, requests: [request] }]))[0]![0]!;
    for (const isSeated of [true, false]) {
      const id = newPerformanceId();
      used.push(id);
      const load = async () => {
        const snapshot = seated(id, { holdSeconds: 0, ...(isSeated ? {} : { seating: four }) });
        return loads.finishLoad(await loads.startLoad(id), snapshot);
      };
      const rival = () => wish(id, isSeated ? [1] : 4);
      await load();
      const first = rival();
      const { expiresAtMs } = held(await ask(first));
      expect(held(await ask(first)).expiresAtMs, 'what is told does not change').toBe(expiresAtMs);
      expect(['seat_taken', 'sold_out']).toContain(kindOf(await ask(rival())));
      expect(kindOf(await ask(wish(id, isSeated ? [2] : 1, first.userId)))).toBe('already_reserved');
      // MySQL has nothing of it yet: the journal brings it back, with the same ends.
      await store.cool(id, []);
      expect(await load()).toBe('warmed');
      expect(held(await ask(first)).expiresAtMs).toBe(expiresAtMs);
      const { reservations } = performanceKeys(id);
      const value = await connection.client.hget(reservations, first.reservationId);
      expect(Number(value!.split(' ')[1])).toBe(expiresAtMs + graceMs);
      expect(['seat_taken', 'sold_out']).toContain(kindOf(await ask(rival())));
      await expect.poll(async () => kindOf(await ask(rival())), { timeout: 5000 }).toBe('held');
      expect(await connection.client.hexists(reservations, first.reservationId)).toBe(0);
    }
  });

  it('a hold loaded from MySQL is kept for the grace beyond what is left of it', async () => {
    const id = newPerformanceId();
    used.push(id);
    const loads = new RedisLoadStore(connection, 5000);
    const owner = wish(id, [1]);
    const live = { reservationId: owner.reservationId, userId: owner.userId, partySize: 0, remainingMs: 1000 };
    const before = Number((await connection.client.time())[0]) * 1000;
    await loads.finishLoad(await loads.startLoad(id), seated(id, { live: [live] }));
    const value = await connection.client.hget(performanceKeys(id).reservations, owner.reservationId);
    expect(Number(value!.split(' ')[1])).toBeGreaterThanOrEqual(before + 6000);
    expect(Number(value!.split(' ')[1])).toBeLessThan(before + 36_000);
  });

  it('an unreadable journal entry does not hide the entries of others', async () => {
    const [broken, good] = [await warm(), await warm()];
    await connection.client.xadd(performanceKeys(broken).journal, '*', 'h', 'no entry');
    const request = wish(good, [1]);
    await store.hold([{ performanceId: good, requests: [request] }]);
    const holds = await store.journal(0, 1000).finally(() => connection.client.del(performanceKeys(broken).journal));
    expect(holds.map((hold) => hold.reservationId)).toContain(request.reservationId);
  });

  it.each(['no entry', '\xc1', '\x93\x01\x02\x03', ''])(
    'a journal entry of %j keeps no performance from being loaded, or a request from its repeat',
    async (bytes) => {
      const id = await warm();
      const request = wish(id, [1]);
      const ask = async (): Promise<HoldDecision> =>
        (await store.hold([{ performanceId: id, requests: [request] }]))[0]![0]!;
      held(await ask());
      await connection.client.xadd(performanceKeys(id).journal, '*', 'h', Buffer.from(bytes, 'latin1'));
      held(await ask());
      await store.cool(id, []);
      const loads = new RedisLoadStore(connection);
      expect(await loads.finishLoad(await loads.startLoad(id), seated(id))).toBe('warmed');
      held(await ask());
      await connection.client.del(performanceKeys(id).journal);
    },
  );

  it('nothing rejects or waits when the connection is gone: holds fail, the rest says so', async () => {
    const id = newPerformanceId();
    const gone = await connectRedis([inject('redisUrl')]);
    const goneStore = new RedisHoldStore(gone, silentLog);
    await gone.close();
    const request = wish(id, [1]);
    const decisions = await goneStore.hold([{ performanceId: id, requests: [request, wish(id, [2])] }]);
    expect(decisions.map((group) => group.map(kindOf))).toEqual([['failed', 'failed']]);
    const hold = { ...request, versions: [1], amount: 0, holdMs: 1000, expiresAtMs: 1, supersedes: [] };
    for (const act of [
      () => goneStore.release([{ ...request, endsPass: false, seatVersions: [] }]),
      () => goneStore.cool(id, [request.reservationId]),
      () => goneStore.forget([{ ...hold, journal: { id: '1-1', open: 1 } }]),
      () => goneStore.journal(0, 1),
      () => new RedisLoadStore(gone).startLoad(id),
      () => new RedisLoadStore(gone).finishLoad({ performanceId: id, voidBefore: '' }, seated(id)),
    ]) {
      await expect(act()).rejects.toThrow(StoreUnavailable);
    }
  });
});
