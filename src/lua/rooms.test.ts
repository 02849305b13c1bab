import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { holdPassContract, newPerformanceId, newUser } from '../../test/hold-store.contract.ts';
import { connectRedis, type RedisRoomsUnderTest, redisPasses, redisRooms } from '../../test/redis-under-test.ts';
import {
  admittedOf,
  describeRoomStore,
  joinOf,
  openRoom,
  requestOf,
  told,
  waitingOf,
} from '../../test/room-store.contract.ts';
import { startTcpProxy } from '../../test/tcp-proxy.ts';
import type { PlaceDecision } from '../domain/stores.ts';
import type { AdmissionRound, PlaceRequest, Room, RoomNews } from '../domain/waiting-room.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { Positions } from '../waiting-room/positions.ts';
import type { RedisConnection } from './connection.ts';
import { scriptPackr } from './journal.ts';
import { performanceKeys, roomsKey } from './keys.ts';
import type { Reply } from './pipeline.ts';
import { parseRoomNews, RedisRoomStore } from './rooms.ts';
import { queueDrawCall } from './scripts.ts';

const roundMs = 500;
/** Until a room opens: long enough for those who are to join before, also on a slow machine; well below the absence. */
const soonMs = 20_000;

describeRoomStore('Redis', () => redisRooms([inject('redisUrl')]));

holdPassContract('Redis', () => redisPasses([inject('redisUrl')]));

describe('rooms on real Redis', () => {
  let under: RedisRoomsUnderTest;
  const made: number[] = [];
  beforeAll(async () => {
    under = await redisRooms([inject('redisUrl')]);
  });
  afterEach(() => under.lose(made.splice(0)));
  afterAll(() => under.close());

  async function open(fields: Partial<Room> = {}): Promise<number> {
    const id = newPerformanceId();
    made.push(id);
    await under.warm(id, { ...openRoom, ...fields });
    return id;
  }
  async function ask(...requests: readonly PlaceRequest[]): Promise<PlaceDecision[]> {
    return (await under.store.serve([{ performanceId: requests[0]!.performanceId, requests }]))[0]!;
  }
  async function joined(id: number, count: number): Promise<{ userId: number; arrival: number }[]> {
    const guests = [];
    for (let first = 0; first < count; first += 1000) {
      const requests = Array.from({ length: Math.min(1000, count - first) }, () => joinOf(id));
      const decisions = await ask(...requests);
      for (const [i, { userId }] of requests.entries()) {
        guests.push({ userId, arrival: waitingOf(decisions[i]).arrival });
      }
    }
    return guests;
  }
  async function round(id: number, afterMs = roundMs): Promise<AdmissionRound> {
    await under.passTime(id, afterMs);
    return (await under.store.admit(roundMs)).find(({ performanceId }) => performanceId === id)!;
  }

  describe('what is published', () => {
    it('is a bit for each number from the watermark on, the highest bit of a byte the smallest number', async () => {
      const id = await open({ admitPerSecond: 42 });
      const guests = await joined(id, 70);
      await ask(...[30, 31, 40, 69].map((i) => requestOf('leave', id, guests[i]!)));
      await round(id);
      const [news] = await under.news(id);
      // 21 were admitted: their byte is the first that is told.
      expect(news).toMatchObject({ watermark: 21, line: { firstNumber: 16 } });
      const { bits, firstNumber } = news!.line!;
      const waiting: number[] = [];
      for (let i = 0; i < bits.length * 8; i++) {
        if (firstNumber + i > 21 && (bits[i >> 3]! & (0x80 >> (i & 7))) !== 0) waiting.push(firstNumber + i);
      }
      const wanted = guests.map(({ arrival }) => arrival).filter((n) => n > 21 && ![31, 32, 41, 70].includes(n));
      expect(waiting).toEqual(wanted);
    });

    it('of 20,000 who wait is 2.5 KB, and tells each of them their position', async () => {
      const id = await open({ admitPerSecond: 0 });
      const guests = await joined(id, 20_000);
      const leavers = guests.filter((_, i) => i % 5 === 2).slice(0, 1000);
      await ask(...leavers.map((guest) => requestOf('leave', id, guest)));
      await round(id);
      const [message] = await under.ear.messages(id);
      expect(message!.length).toBeLessThan(2600);
      const { line, watermark } = parseRoomNews(id, message!);
      const positions = new Positions(line!, watermark);
      const gone = new Set(leavers.map(({ arrival }) => arrival));
      let position = 0;
      for (const { arrival } of guests) {
        if (gone.has(arrival)) continue;
        position++;
        if (positions.of(arrival) !== position)
          throw new Error(`${arrival}: ${positions.of(arrival)}, not ${position}`);
      }
      expect(positions.waiting).toBe(19_000);
    });

    it('is read as it was written: who came in, whose pass has ended, the rate, the watermark', async () => {
      const id = await open({ admitPerSecond: 4, passSeconds: 1 });
      const guests = await joined(id, 3);
      await round(id);
      const [first] = await under.news(id);
      expect(first).toMatchObject({ performanceId: id, roundMs, watermark: 2, rate: 4, expired: [], isDrawn: false });
      expect(first!.admitted.map(({ userId, number }) => [userId, number])).toEqual([
        [guests[0]!.userId, 1],
        [guests[1]!.userId, 2],
      ]);
      await round(id, 2000);
      const [second] = await under.news(id);
      expect(second!.expired.toSorted()).toEqual([guests[0]!.userId, guests[1]!.userId].sort());
      expect(second).toMatchObject({ watermark: 3, line: { firstNumber: 0 } });
    });

    it('of a draw says so, and nothing else', async () => {
      const id = await open({ opensAtMs: Date.now() + soonMs, drawBeforeOpen: true });
      await joined(id, 2);
      await round(id, soonMs);
      await under.news(id);
      await under.store.draw({ performanceId: id, firstArrival: 1, lastArrival: 2, seed: '' }, [2, 1]);
      expect(await under.news(id)).toEqual<RoomNews[]>([
        { performanceId: id, roundMs: 0, watermark: 0, rate: 0, admitted: [], expired: [], line: null, isDrawn: true },
      ]);
    });

    it.each<[string, Buffer]>([
      ['nothing', Buffer.alloc(0)],
      ['too little', Buffer.from([0, 0, 0])],
      ['another text', Buffer.from('not from us')],
      ['a head that is cut off', Buffer.from([0, 0, 0, 9, 0x97, 1, 2])],
      ['a head of another form', Buffer.concat([Buffer.from([0, 0, 0, 2]), scriptPackr.pack([1])])],
    ])('is refused when it is %s', (_, message) => {
      expect(() => parseRoomNews(1, message)).toThrow();
    });
  });

  describe('a large room', () => {
    it('of 20,000 is let in 5,000 a round, in order, each told of once', async () => {
      const id = await open({ admitPerSecond: 100_000, maxActive: 1_000_000 });
      const guests = await joined(id, 20_000);
      const counts: number[] = [];
      for (let i = 0; i < 5; i++) counts.push((await round(id)).admitted);
      expect(counts).toEqual([5000, 5000, 5000, 5000, 0]);
      const admitted = (await under.news(id)).flatMap((news) => news.admitted);
      expect(admitted.map(({ userId }) => userId)).toEqual(guests.map(({ userId }) => userId));
      expect(await under.store.state(id)).toMatchObject({
        issued: 20_000,
        admitted: 20_000,
        waiting: 0,
        active: 20_000,
      });
      for (const guest of [guests[0]!, guests[19_999]!]) {
        expect(admittedOf((await ask(requestOf('look', id, guest)))[0]).number).toBe(guest.arrival);
      }
    });

    it('of 20,000 is drawn', async () => {
      const id = await open({ opensAtMs: Date.now() + soonMs, drawBeforeOpen: true, admitPerSecond: 0 });
      const guests = await joined(id, 20_000);
      const { drawDue } = await round(id, soonMs);
      expect(drawDue).toEqual({ firstArrival: 1, lastArrival: 20_000 });
      const numbers = guests.map((_, i) => 20_000 - i);
      await under.store.draw({ performanceId: id, ...drawDue!, seed: '' }, numbers);
      const someone = [0, 1, 999, 1000, 12_345, 19_999];
      const decisions = await ask(...someone.map((i) => requestOf('look', id, guests[i]!)));
      expect(decisions.map((decision) => waitingOf(decision).position)).toEqual(someone.map((i) => 20_000 - i));
      expect((await round(id, 1000)).drawDue).toBeNull();
      const last = (await under.news(id)).at(-1)!;
      const positions = new Positions(last.line!, last.watermark);
      expect([positions.waiting, positions.of(1), positions.of(20_000)]).toEqual([20_000, 1, 20_000]);
    });

    it('tells nobody of a draw a place before all of it is written: it could only grow', async () => {
      const id = await open({ opensAtMs: Date.now() + soonMs, drawBeforeOpen: true, admitPerSecond: 0 });
      const guests = await joined(id, 4);
      const { drawDue } = await round(id, soonMs);
      expect(drawDue).toEqual({ firstArrival: 1, lastArrival: 4 });
      const late = (await joined(id, 1))[0]!;
      const looks = async (): Promise<(number | null)[]> => {
        const decisions = await ask(...[...guests, late].map((guest) => requestOf('look', id, guest)));
        return decisions.map((decision) => waitingOf(decision).position);
      };
      const part = (first: number, numbers: number[], isLast: boolean): Promise<unknown> =>
        under.connection.runOne(queueDrawCall(performanceKeys(id), scriptPackr.pack([first, numbers]), '1 4', isLast));
      await part(1, [4, 3], false);
      expect(await looks()).toEqual([null, null, null, null, 5]);
      await part(3, [2, 1], true);
      expect(await looks()).toEqual([4, 3, 2, 1, 5]);
    });

    it('takes a sign of life of 10,000 at once', async () => {
      const id = await open({ admitPerSecond: 0 });
      const guests = await joined(id, 10_000);
      const users = guests.map(({ userId }) => userId);
      // Whoever is not here leaves nothing behind.
      await under.store.seen(id, [...users, newUser(), newUser()], 600_000);
      const { seen } = performanceKeys(id);
      const { client } = under.connection;
      expect(await client.zcount(seen, Date.now() + 590_000, '+inf')).toBe(10_000);
      expect(await client.zcard(seen)).toBe(10_000);
    });

    it('of 3,000 who are gone, and 2,000 whose passes are over, is cleared a thousand a round', async () => {
      const id = await open({ admitPerSecond: 4000, maxActive: 2000, passSeconds: 30 });
      const guests = await joined(id, 5000);
      expect((await round(id)).admitted).toBe(2000);
      await under.store.configure(id, { ...openRoom, revision: 2, admitPerSecond: 0, passSeconds: 30 });
      const sums = { expired: 0, left: 0 };
      for (let i = 0; i < 7 + 5; i++) {
        const { expired, left } = await round(id, i < 7 ? 9000 : roundMs);
        sums.expired += expired;
        sums.left += left;
      }
      expect(sums).toEqual({ expired: 2000, left: 3000 });
      expect(await under.store.state(id)).toMatchObject({ waiting: 0, active: 0 });
      const last = await ask(...[0, 1999, 2000, 4999].map((i) => requestOf('look', id, guests[i]!)));
      expect(last.map(told)).toEqual(['expired', 'expired', 'left', 'left']);
      const expired = (await under.news(id)).flatMap((news) => news.expired);
      expect(new Set(expired)).toEqual(new Set(guests.slice(0, 2000).map(({ userId }) => userId)));
    });
  });

  describe('what a room costs Redis', () => {
    // A round is one of every room there is: those of other tests would be counted too.
    beforeEach(async () => {
      await under.connection.client.del(roomsKey);
    });

    /** How often each command ran, those of scripts included. */
    async function calls(): Promise<Map<string, number>> {
      const text = await under.connection.client.info('commandstats');
      return new Map([...text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(([, name, count]) => [name!, +count!]));
    }
    /** What ran while `work` did, but for what is no room's own. */
    async function costOf(work: () => Promise<unknown>): Promise<Record<string, number>> {
      const before = await calls();
      await work();
      const cost: Record<string, number> = {};
      for (const [name, count] of await calls()) {
        const more = count - (before.get(name) ?? 0);
        if (more > 0 && name !== 'info' && name !== 'smembers') cost[name] = more;
      }
      return cost;
    }
    function sumOf(...costs: readonly Record<string, number>[]): number {
      return costs.flatMap((cost) => Object.values(cost)).reduce((sum, count) => sum + count, 0);
    }
    /** Two rounds: one of them sweeps and tells the line. */
    async function second(id: number): Promise<number> {
      // The scheduler makes one round a second.
      await under.passTime(id, 1000);
      return sumOf(await costOf(() => under.store.admit(1000)));
    }

    it('is twelve commands a second at most while people wait and are let in', async () => {
      const id = await open({ admitPerSecond: 20 });
      await joined(id, 1000);
      await second(id);
      for (let i = 0; i < 5; i++) expect(await second(id)).toBeLessThanOrEqual(12);
    });

    it('is twenty at most in a second in which some are gone and passes have ended, however many', async () => {
      const id = await open({ admitPerSecond: 20 });
      const guests = await joined(id, 1000);
      for (let i = 0; i < 20; i++) await round(id);
      const { seen, active } = performanceKeys(id);
      const { client } = under.connection;
      for (const count of [1, 50]) {
        for (const { userId } of guests.splice(900 - count, count)) await client.zadd(seen, 'XX', 1, userId);
        for (const { userId } of guests.splice(0, count)) await client.zadd(active, 'XX', 1, userId);
        const before = await under.store.state(id);
        expect(await second(id)).toBeLessThanOrEqual(20);
        const after = await under.store.state(id);
        expect(before!.active - after!.active).toBe(count - (after!.admitted - before!.admitted));
        expect(before!.waiting - after!.waiting).toBe(count + after!.admitted - before!.admitted);
      }
    });

    it('is one script for a batch of joins, and a few commands in it', async () => {
      const id = await open();
      const cost = await costOf(() => ask(...Array.from({ length: 200 }, () => joinOf(id))));
      expect(cost['evalsha']).toBe(1);
      expect(sumOf(cost)).toBeLessThanOrEqual(15);
    });

    it('is a round in three while it is off and nobody waits', async () => {
      const id = await open({ mode: 'off' });
      await under.store.admit(roundMs);
      const cost = await costOf(async () => {
        for (let i = 0; i < 6; i++) await under.store.admit(roundMs);
      });
      expect(cost['evalsha']).toBe(2);
      expect(await under.store.state(id)).toMatchObject({ mode: 'off' });
    });

    it('does not keep people waiting when another gateway turns it on', async () => {
      const id = await open({ mode: 'off' });
      await under.store.admit(roundMs);
      await new RedisRoomStore(under.connection).configure(id, { ...openRoom, revision: 2 });
      await joined(id, 1);
      let rounds = 0;
      while ((await under.store.state(id))!.admitted === 0 && rounds < 20) {
        await round(id);
        rounds++;
      }
      expect(rounds).toBeLessThanOrEqual(3);
    });
  });

  describe('a fault', () => {
    it('of one room fails its requests only', async () => {
      const [broken, good] = [await open(), await open()];
      await under.connection.client.set(performanceKeys(broken).tickets, 'no hash');
      const decisions = await under.store.serve([
        { performanceId: broken, requests: [joinOf(broken), joinOf(broken)] },
        { performanceId: good, requests: [joinOf(good)] },
      ]);
      expect(decisions.map((group) => group.map(told))).toEqual([['failed', 'failed'], ['waiting 1']]);
    });

    it('of a server that has forgotten the scripts is none', async () => {
      const id = await open({ opensAtMs: Date.now() + soonMs, drawBeforeOpen: true });
      const forget = () => under.connection.client.call('SCRIPT', 'FLUSH');
      await forget();
      const guests = [...(await joined(id, 2)), ...(await joined(id, 1))];
      await forget();
      await under.store.seen(id, [guests[0]!.userId], 60_000);
      await forget();
      expect((await round(id, soonMs)).drawDue).toEqual({ firstArrival: 1, lastArrival: 3 });
      await forget();
      await under.store.draw({ performanceId: id, firstArrival: 1, lastArrival: 3, seed: '' }, [2, 3, 1]);
      await forget();
      await under.store.configure(id, { ...openRoom, revision: 2, admitPerSecond: 2 });
      expect((await round(id)).admitted).toBe(1);
      const decisions = await ask(...guests.map((guest) => requestOf('look', id, guest)));
      expect(decisions.map(told)).toEqual(['waiting 1', 'waiting 2', 'admitted']);
    });

    it('of the connection fails or rejects, without waiting', async () => {
      const gone = await connectRedis([inject('redisUrl')]);
      await gone.close();
      const store = new RedisRoomStore(gone);
      const [id, other] = [newPerformanceId(), newPerformanceId()];
      const decisions = await store.serve([
        { performanceId: id, requests: [joinOf(id), joinOf(id)] },
        { performanceId: other, requests: [joinOf(other)] },
      ]);
      expect(decisions.map((group) => group.map(told))).toEqual([['failed', 'failed'], ['failed']]);
      for (const act of [
        () => store.admit(roundMs),
        () => store.draw({ performanceId: id, firstArrival: 1, lastArrival: 1, seed: '' }, [1]),
        () => store.configure(id, openRoom),
        () => store.seen(id, [1], 1000),
        () => store.state(id),
      ]) {
        await expect(act()).rejects.toThrow(StoreUnavailable);
      }
    });

    describe('of the network', () => {
      let proxy: Awaited<ReturnType<typeof startTcpProxy>>;
      let connection: RedisConnection;
      let store: RedisRoomStore;
      beforeEach(async () => {
        const url = new URL(inject('redisUrl'));
        proxy = await startTcpProxy(url.hostname, Number(url.port));
        url.port = String(proxy.port);
        connection = await connectRedis([url.href]);
        store = new RedisRoomStore(connection);
      });
      afterEach(async () => {
        connection.client.disconnect();
        await proxy.close();
      });
      async function cutAndRestore(): Promise<void> {
        const closed = new Promise((resolve) => connection.client.once('close', resolve));
        proxy.cut();
        await closed;
      }
      async function back(): Promise<void> {
        const ready = new Promise((resolve) => connection.client.once('ready', resolve));
        proxy.restore();
        await ready;
        await connection.connect();
      }

      it('in the middle of a join leaves one place, whether the join got through or not', async () => {
        const id = await open();
        const requests = [joinOf(id), joinOf(id), joinOf(id)];
        const serving = store.serve([{ performanceId: id, requests }]);
        await cutAndRestore();
        expect((await serving)[0]!.map(told)).toEqual(['failed', 'failed', 'failed']);
        await back();
        const [decisions] = await store.serve([{ performanceId: id, requests }]);
        expect(decisions!.map(told)).toEqual(['waiting 1', 'waiting 2', 'waiting 3']);
        expect(await under.store.state(id)).toMatchObject({ waiting: 3 });
      });

      it('in the middle of everything else rejects, and the same again does what was missing', async () => {
        const id = await open({ opensAtMs: Date.now() + soonMs, drawBeforeOpen: true });
        const guests = await joined(id, 2500);
        await under.passTime(id, soonMs);
        const draw = { performanceId: id, firstArrival: 1, lastArrival: 2500, seed: '' };
        const numbers = guests.map((_, i) => 2500 - i);
        for (const act of [
          () => store.admit(roundMs),
          () => store.draw(draw, numbers),
          () => store.seen(id, [guests[0]!.userId], 60_000),
          () => store.state(id),
          () => store.configure(id, { ...openRoom, revision: 2, admitPerSecond: 0 }),
        ]) {
          const acting = expect(act()).rejects.toThrow(StoreUnavailable);
          await cutAndRestore();
          await acting;
          await back();
          await act();
        }
        expect((await round(id)).drawDue).toBeNull();
        const [first, last] = await ask(requestOf('look', id, guests[0]!), requestOf('look', id, guests[2499]!));
        expect([told(first), told(last)]).toEqual(['waiting 2500', 'waiting 1']);
      });
    });
  });
});

describe('a reply of Redis', () => {
  /** A store on a connection that answers every script with these replies. */
  function storeThatHears(...replies: readonly (Reply | Error)[]): RedisRoomStore {
    const connection = {
      client: { smembers: async () => replies.map((_, i) => String(i + 1)) },
      run: async () => [...replies],
      runOne: async () => replies[0],
    };
    return new RedisRoomStore(connection as unknown as RedisConnection);
  }
  const two = { performanceId: 1, requests: [joinOf(1), joinOf(1)] };
  async function servedBy(reply: Reply | Error): Promise<string[]> {
    return (await storeThatHears(reply).serve([two]))[0]!.map(told);
  }

  it.each<[string, Reply | Error, string[]]>([
    ['that is short fails those it forgets', scriptPackr.pack([0, 0, [[1, 5, 5, 2]]]), ['waiting 2', 'failed']],
    ['with a code nobody knows fails', scriptPackr.pack([0, 0, [[99], [0]]]), ['failed', 'open']],
    ['of another kind fails', 'OK', ['failed', 'failed']],
    ['that is missing fails', undefined, ['failed', 'failed']],
    ['that is an error fails', new StoreUnavailable('redis', 'gone'), ['failed', 'failed']],
    ['that is nil is a cold performance', null, ['cold', 'cold']],
    [
      'is read by its codes',
      scriptPackr.pack([
        0,
        0,
        [
          [2, 1, 0, 0],
          [3, 1, 1, 99],
        ],
      ]),
      ['early', 'admitted'],
    ],
  ])('%s', async (_, reply, expected) => {
    expect(await servedBy(reply)).toEqual(expected);
  });

  it('that is missing for a whole group fails that group', async () => {
    const store = storeThatHears(null);
    const decisions = await store.serve([two, { ...two, performanceId: 2 }]);
    expect(decisions.map((group) => group.map(told))).toEqual([
      ['cold', 'cold'],
      ['failed', 'failed'],
    ]);
  });

  it('to a round is passed over where there is no room, and rejects where there is a fault', async () => {
    const round = scriptPackr.pack([1, 2, 3, 4, 5, 6, 7]);
    expect(await storeThatHears(null, round).admit(roundMs)).toEqual([
      {
        performanceId: 2,
        isOn: true,
        admitted: 2,
        expired: 3,
        left: 4,
        issued: 5,
        drawDue: { firstArrival: 6, lastArrival: 7 },
      },
    ]);
    const fault = new StoreUnavailable('redis', 'gone');
    await expect(storeThatHears(fault).admit(roundMs)).rejects.toThrow(StoreUnavailable);
    await expect(storeThatHears(fault).seen(1, [1], 1000)).rejects.toThrow(StoreUnavailable);
  });
});
