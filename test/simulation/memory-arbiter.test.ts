/** The fakes keep what real Redis keeps: the same contracts, see src/lua/store.test.ts and src/lua/rooms.test.ts. */
import { describe, expect, it } from 'vitest';
import type { RoomNews } from '../../src/domain/waiting-room.ts';
import type { SeatNews } from '../../src/lua/seats.ts';
import {
  held,
  holdPassContract,
  holdStoreContract,
  kindOf,
  newPerformanceId,
  type PassesUnderTest,
  seated,
  wish,
} from '../hold-store.contract.ts';
import { describeRoomStore } from '../room-store.contract.ts';
import { MemoryArbiter } from './memory-arbiter.ts';
import { MemoryRedis } from './memory-redis.ts';
import { MemoryRooms } from './memory-rooms.ts';
import { passTime } from './pass-time.ts';
import { watchSeats } from './seat-scripts.ts';

async function makeUnder(): Promise<PassesUnderTest> {
  const redis = new MemoryRedis(Date.now);
  const store = new MemoryArbiter(redis);
  return {
    store,
    rooms: new MemoryRooms(redis),
    passTime: async (performanceId, ms) => passTime(redis.of(performanceId), ms),
    async startLoad(performanceId) {
      const start = await store.startLoad(performanceId);
      return (snapshot) => store.finishLoad(start, snapshot);
    },
    remaining: (performanceId) => store.remaining(performanceId),
    loseEverything: async () => redis.flushAll(),
    close: async () => {},
  };
}

holdStoreContract('the fake', makeUnder);
holdPassContract('the fake', makeUnder);

describeRoomStore('the fake', async () => {
  const heard: RoomNews[] = [];
  const redis = new MemoryRedis(Date.now, { seats: () => {}, room: (news) => heard.push(news) });
  const arbiter = new MemoryArbiter(redis);
  return {
    store: new MemoryRooms(redis),
    async warm(performanceId, room) {
      await arbiter.finishLoad(await arbiter.startLoad(performanceId), { ...seated(performanceId), room });
    },
    async cool(performanceId) {
      redis.of(performanceId).meta = null;
    },
    lose: async () => redis.flushAll(),
    passTime: async (performanceId, ms) => passTime(redis.of(performanceId), ms),
    nowMs: () => Date.now(),
    news: async (performanceId) => heard.splice(0).filter((news) => news.performanceId === performanceId),
    close: async () => {},
  };
});

describe('the fake of Redis', () => {
  function make() {
    const clock = { nowMs: 1_000_000 };
    const heard: SeatNews[] = [];
    const redis = new MemoryRedis(() => clock.nowMs, { seats: (_, news) => heard.push(news), room: () => {} });
    return { clock, heard, redis, arbiter: new MemoryArbiter(redis) };
  }
  async function warm(arbiter: MemoryArbiter, id: number): Promise<void> {
    expect(await arbiter.finishLoad(await arbiter.startLoad(id), seated(id))).toBe('warmed');
  }
  async function ask(arbiter: MemoryArbiter, ...requests: readonly ReturnType<typeof wish>[]) {
    return (await arbiter.hold([{ performanceId: requests[0]!.performanceId, requests }]))[0]!;
  }

  it('goes back to a copy as often as it is asked, whatever was done since', async () => {
    const { clock, redis, arbiter } = make();
    const id = newPerformanceId();
    await warm(arbiter, id);
    const kept = wish(id, [1]);
    await ask(arbiter, kept);
    const copy = redis.copy();
    for (let i = 0; i < 2; i++) {
      clock.nowMs += 1000;
      expect((await ask(arbiter, wish(id, [1]), wish(id, [2]))).map(kindOf)).toEqual(['seat_taken', 'held']);
      await arbiter.release([{ ...kept, endsPass: false, seatVersions: [1, 2] }]);
      expect(await arbiter.remaining(id)).toBe(9);
      redis.restore(copy);
      expect(await arbiter.remaining(id)).toBe(9);
      expect((await arbiter.journal(0, 10)).map((hold) => hold.reservationId)).toEqual([kept.reservationId]);
    }
    redis.flushAll();
    expect(await arbiter.isWarm(id)).toBe(false);
    redis.restore(copy);
    expect(await arbiter.isWarm(id)).toBe(true);
  });

  it('decides by its own clock alone', async () => {
    const { clock, arbiter } = make();
    const id = newPerformanceId();
    await warm(arbiter, id);
    const first = wish(id, [1]);
    expect(held((await ask(arbiter, first))[0]).expiresAtMs).toBe(1_300_000);
    clock.nowMs = 1_299_999;
    expect((await ask(arbiter, wish(id, [1]))).map(kindOf)).toEqual(['seat_taken']);
    clock.nowMs = 1_300_000;
    expect(held((await ask(arbiter, wish(id, [1])))[0]).supersedes).toEqual([first.reservationId]);
  });

  it('makes a load void though its clock stands still, and forgets that after a minute', async () => {
    const { clock, arbiter } = make();
    const id = newPerformanceId();
    await warm(arbiter, id);
    const holds = [held((await ask(arbiter, wish(id, [1])))[0]), held((await ask(arbiter, wish(id, [2])))[0])];
    await arbiter.cool(id, []);
    await arbiter.forget([holds[0]!]);
    const early = await arbiter.startLoad(id);
    await arbiter.forget([holds[1]!]);
    expect(await arbiter.finishLoad(early, seated(id))).toBe('void');
    clock.nowMs += 60_000;
    expect((await arbiter.startLoad(id)).voidBefore).toBe('');
    await warm(arbiter, id);
  });

  it('tells who watches what changes, in order, and for as long as they do', async () => {
    const { clock, heard, redis, arbiter } = make();
    const id = newPerformanceId();
    await warm(arbiter, id);
    const [first, second] = [wish(id, [1, 2]), wish(id, [3])];
    await ask(arbiter, first);
    expect(watchSeats(redis, id, 5000)).toBe(1_000_001);
    await ask(arbiter, second);
    await arbiter.confirm([{ ...second, seatVersions: [3, 2] }]);
    await arbiter.release([{ ...first, endsPass: false, seatVersions: [1, 2, 2, 2] }]);
    clock.nowMs += 5000;
    await ask(arbiter, wish(id, [4]));
    await arbiter.cool(id, []);
    expect(heard).toEqual<SeatNews[]>([
      { revision: -1, changes: [] },
      { revision: 1_000_002, changes: [[3, 'HELD']] },
      { revision: 1_000_003, changes: [[3, 'OCCUPIED']] },
      {
        revision: 1_000_004,
        changes: [
          [1, 'AVAILABLE'],
          [2, 'AVAILABLE'],
        ],
      },
      { revision: -1, changes: [] },
    ]);
  });
});
