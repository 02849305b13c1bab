/** What every RoomStore promises: run against real Redis, and against the fake that the simulation uses. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../bench/load/statistics.ts';
import type { PlaceDecision, RoomStore } from '../src/domain/stores.ts';
import type { AdmissionRound, Draw, PlaceRequest, Room, RoomNews } from '../src/domain/waiting-room.ts';
import { Positions } from '../src/waiting-room/positions.ts';
import { newPerformanceId, newUser } from './hold-store.contract.ts';

export interface RoomStoreUnderTest {
  readonly store: RoomStore;
  /** Loads a performance and the room that the ledger has of it; a warm one stays as it is. */
  warm(performanceId: number, room: Room | null): Promise<void>;
  /** The performance is not warm any more; what is known of its room stays. */
  cool(performanceId: number): Promise<void>;
  /** Forgets all there is of these performances and their rooms. */
  lose(performanceIds: readonly number[]): Promise<void>;
  /** Lets time pass for one room: everything it remembers was so much earlier. */
  passTime(performanceId: number, ms: number): Promise<void>;
  /** What moment it is, as `opensAtMs` counts. */
  nowMs(): number;
  /** What a room has published since this was last asked. */
  news(performanceId: number): Promise<RoomNews[]>;
  close(): Promise<void>;
}

const roundMs = 500;

/** A room as it is in force: open, ten people a second. */
export const openRoom: Room = {
  revision: 1,
  mode: 'on',
  admitPerSecond: 10,
  maxActive: 1000,
  passSeconds: 300,
  opensAtMs: null,
  drawBeforeOpen: false,
  issued: 0,
};

/** Somebody with a ticket. */
interface Guest {
  readonly userId: number;
  readonly arrival: number;
}

type Waiting = Extract<PlaceDecision, { status: 'waiting' }>;
type Admitted = Extract<PlaceDecision, { status: 'admitted' }>;

export function joinOf(performanceId: number, userId = newUser()): PlaceRequest {
  return { kind: 'join', performanceId, userId, arrival: 0, number: 0 };
}

export function requestOf(
  kind: 'look' | 'leave' | 'restore',
  performanceId: number,
  { userId, arrival }: Guest,
  number = 0,
): PlaceRequest {
  return { kind, performanceId, userId, arrival, number };
}

/** The place of a decision that must be one. */
export function waitingOf(decision: PlaceDecision | undefined): Waiting {
  if (decision?.status !== 'waiting') throw new Error(`does not wait: ${JSON.stringify(decision)}`);
  return decision;
}

export function admittedOf(decision: PlaceDecision | undefined): Admitted {
  if (decision?.status !== 'admitted') throw new Error(`is not admitted: ${JSON.stringify(decision)}`);
  return decision;
}

/** `waiting 3`, `early`, `admitted`, `left`, ...: enough to read at a glance. */
export function told(decision: PlaceDecision | undefined): string {
  if (decision?.status !== 'waiting') return String(decision?.status);
  return decision.position === null ? 'early' : `waiting ${decision.position}`;
}

/** Everybody gets the number of the one beside: any permutation is as good as a draw's. */
function reversed({ firstArrival, lastArrival }: { readonly firstArrival: number; readonly lastArrival: number }) {
  return Array.from({ length: lastArrival - firstArrival + 1 }, (_, i) => lastArrival - i);
}

export function describeRoomStore(name: string, makeStore: () => Promise<RoomStoreUnderTest>): void {
  describe(`${name} as a room store`, () => {
    let under: RoomStoreUnderTest;
    let store: RoomStore;
    const made: number[] = [];
    beforeAll(async () => {
      under = await makeStore();
      store = under.store;
    });
    // A round is of all rooms there are: no test has those of another one.
    afterEach(() => under.lose(made.splice(0)));
    afterAll(() => under.close());

    /** A warm performance with a room. */
    async function open(fields: Partial<Room> = {}): Promise<number> {
      const id = newPerformanceId();
      made.push(id);
      await under.warm(id, { ...openRoom, ...fields });
      return id;
    }
    /** Decides requests of one room in one call. */
    async function ask(...requests: readonly PlaceRequest[]): Promise<PlaceDecision[]> {
      const { performanceId } = requests[0]!;
      return (await store.serve([{ performanceId, requests }]))[0]!;
    }
    /** New users join in one call. */
    async function joined(id: number, count: number): Promise<Guest[]> {
      const requests = Array.from({ length: count }, () => joinOf(id));
      const decisions = await ask(...requests);
      return decisions.map((decision, i) => ({ userId: requests[i]!.userId, arrival: waitingOf(decision).arrival }));
    }
    async function look(id: number, guests: readonly Guest[]): Promise<PlaceDecision[]> {
      return ask(...guests.map((guest) => requestOf('look', id, guest)));
    }
    async function toldOf(id: number, guests: readonly Guest[]): Promise<string[]> {
      return (await look(id, guests)).map(told);
    }
    /** One round, `afterMs` after the one before; of a room that is on it must be told. */
    async function round(id: number, afterMs = roundMs): Promise<AdmissionRound> {
      await under.passTime(id, afterMs);
      const mine = (await store.admit(roundMs)).find(({ performanceId }) => performanceId === id);
      if (mine === undefined) throw new Error('no round of this room');
      return mine;
    }
    /** Rounds 5 s apart, so that it is no outage. Returns what they did together. */
    async function live(id: number, ms: number, atEach: () => Promise<unknown> = async () => {}) {
      const sum = { admitted: 0, expired: 0, left: 0 };
      for (let passedMs = 0; passedMs < ms; passedMs += 5000) {
        const { admitted, expired, left } = await round(id, Math.min(5000, ms - passedMs));
        sum.admitted += admitted;
        sum.expired += expired;
        sum.left += left;
        await atEach();
      }
      return sum;
    }
    /** New settings, the rest as `openRoom`. */
    const change = (id: number, revision: number, fields: Partial<Room>): Promise<void> =>
      store.configure(id, { ...openRoom, ...fields, revision });

    describe('joining', () => {
      it('gives the next numbers, and positions behind those who wait', async () => {
        const id = await open();
        const decisions = [...(await ask(joinOf(id), joinOf(id))), ...(await ask(joinOf(id)))];
        expect(decisions).toEqual(
          [1, 2, 3].map((number) => ({
            status: 'waiting',
            arrival: number,
            number,
            position: number,
            etaSeconds: null,
            opensAtMs: null,
            isNew: true,
          })),
        );
      });

      it('again is the same place, which is not new', async () => {
        const id = await open();
        const [first, second] = [joinOf(id), joinOf(id)];
        const before = (await ask(first, second)).map(waitingOf);
        for (const again of [await ask(first, second), (await ask(second, first)).reverse()]) {
          expect(again).toEqual(before.map((place) => ({ ...place, isNew: false })));
        }
        expect(await store.state(id)).toMatchObject({ issued: 2, waiting: 2 });
      });

      it('twice in one call is one place', async () => {
        const id = await open();
        const twice = joinOf(id);
        const decisions = (await ask(twice, joinOf(id), twice)).map(waitingOf);
        expect(decisions.map(({ arrival, isNew }) => [arrival, isNew])).toEqual([
          [1, true],
          [2, true],
          [1, false],
        ]);
      });

      it('after leaving is a new place at the end, and the old ticket stays given up', async () => {
        const id = await open();
        const [first, second] = await joined(id, 2);
        await ask(requestOf('leave', id, first!));
        const again = waitingOf((await ask(joinOf(id, first!.userId)))[0]);
        expect(again).toMatchObject({ arrival: 3, number: 3, position: 2, isNew: true });
        expect(await toldOf(id, [first!, second!, { ...first!, arrival: 3 }])).toEqual([
          'left',
          'waiting 1',
          'waiting 2',
        ]);
      });

      it('while inside says so again, with the same pass', async () => {
        const id = await open();
        const [guest] = await joined(id, 1);
        await round(id);
        const place = admittedOf((await look(id, [guest!]))[0]);
        expect(place).toMatchObject({ arrival: 1, number: 1 });
        expect(await ask(joinOf(id, guest!.userId), joinOf(id, guest!.userId))).toEqual([place, place]);
        expect(await store.state(id)).toMatchObject({ issued: 1, admitted: 1, active: 1 });
      });

      it('after a pass that ended is a new place', async () => {
        const id = await open({ passSeconds: 2 });
        const [guest] = await joined(id, 1);
        await round(id);
        await under.passTime(id, 3000);
        expect(waitingOf((await ask(joinOf(id, guest!.userId)))[0])).toMatchObject({ arrival: 2, isNew: true });
        expect(await toldOf(id, [guest!])).toEqual(['left']);
      });

      it.each([1_000_000_000, 1e15, Number.MAX_SAFE_INTEGER])('is of user %d and nobody else', async (userId) => {
        const id = await open();
        const [mine, other] = (await ask(joinOf(id, userId), joinOf(id, userId - 1))).map(waitingOf);
        expect([mine!.arrival, other!.arrival]).toEqual([1, 2]);
        expect(waitingOf((await ask(joinOf(id, userId)))[0])).toMatchObject({ arrival: 1, isNew: false });
        await round(id);
        expect(admittedOf((await look(id, [{ userId, arrival: 1 }]))[0]).number).toBe(1);
        const admitted = (await under.news(id)).flatMap((news) => news.admitted.map((each) => each.userId));
        expect(admitted).toEqual([userId, userId - 1]);
      });

      it('of a thousand in one call gives a thousand numbers in order', async () => {
        const id = await open();
        const decisions = (await ask(...Array.from({ length: 1000 }, () => joinOf(id)))).map(waitingOf);
        expect(decisions.map(({ number }) => number)).toEqual(decisions.map((_, i) => i + 1));
        expect(decisions.map(({ position }) => position)).toEqual(decisions.map((_, i) => i + 1));
      });
    });

    describe('a group of requests', () => {
      it('is answered each in its place, whatever room it is of', async () => {
        const [one, two, cold] = [await open(), await open({ mode: 'off' }), newPerformanceId()];
        const decisions = await store.serve([
          { performanceId: one, requests: [joinOf(one), joinOf(one)] },
          { performanceId: cold, requests: [joinOf(cold)] },
          { performanceId: two, requests: [joinOf(two)] },
        ]);
        expect(decisions.map((group) => group.map(told))).toEqual([['waiting 1', 'waiting 2'], ['cold'], ['open']]);
        expect(await store.serve([])).toEqual([]);
      });

      it('of one user is served in the order it came in', async () => {
        const id = await open();
        const user = newUser();
        const mine = { userId: user, arrival: 1 };
        const decisions = await ask(
          joinOf(id, user),
          requestOf('look', id, mine),
          requestOf('leave', id, mine),
          requestOf('look', id, mine),
          requestOf('restore', id, mine),
          joinOf(id, user),
          joinOf(id),
          requestOf('look', id, { userId: user, arrival: 2 }),
          requestOf('leave', id, mine),
          joinOf(id, user),
        );
        expect(decisions.map(told)).toEqual([
          'waiting 1',
          'waiting 1',
          'left',
          'left',
          'left',
          'waiting 1',
          'waiting 2',
          'waiting 1',
          'left',
          'waiting 1',
        ]);
        expect(waitingOf(decisions[9])).toMatchObject({ arrival: 2, isNew: false });
      });

      it('sees who left before it in the same call', async () => {
        const id = await open();
        const [a, b, c] = await joined(id, 3);
        const decisions = await ask(
          requestOf('look', id, c!),
          requestOf('leave', id, a!),
          requestOf('look', id, c!),
          joinOf(id),
          requestOf('leave', id, b!),
          requestOf('look', id, c!),
          joinOf(id),
        );
        expect(decisions.map(told)).toEqual([
          'waiting 3',
          'left',
          'waiting 2',
          'waiting 3',
          'left',
          'waiting 1',
          'waiting 3',
        ]);
      });
    });

    describe('leaving', () => {
      it('moves those behind up, and nobody before', async () => {
        const id = await open();
        const guests = await joined(id, 4);
        expect((await ask(requestOf('leave', id, guests[1]!))).map(told)).toEqual(['left']);
        expect(await toldOf(id, guests)).toEqual(['waiting 1', 'left', 'waiting 2', 'waiting 3']);
        expect(await store.state(id)).toMatchObject({ issued: 4, waiting: 3 });
      });

      it('twice is the same as once', async () => {
        const id = await open();
        const [first] = await joined(id, 3);
        const leave = requestOf('leave', id, first!);
        expect((await ask(leave, leave)).map(told)).toEqual(['left', 'left']);
        expect((await ask(leave)).map(told)).toEqual(['left']);
        expect(await store.state(id)).toMatchObject({ waiting: 2 });
      });

      it('of somebody inside gives the pass to the next one', async () => {
        const id = await open({ maxActive: 1 });
        const guests = await joined(id, 2);
        expect((await round(id)).admitted).toBe(1);
        expect((await round(id)).admitted).toBe(0);
        await ask(requestOf('leave', id, guests[0]!));
        expect(await store.state(id)).toMatchObject({ active: 0, waiting: 1 });
        expect((await round(id)).admitted).toBe(1);
        expect(await toldOf(id, guests)).toEqual(['left', 'admitted']);
      });

      it('with an old ticket leaves the new one alone', async () => {
        const id = await open();
        const [old] = await joined(id, 1);
        await ask(requestOf('leave', id, old!), joinOf(id, old!.userId));
        expect((await ask(requestOf('leave', id, old!))).map(told)).toEqual(['left']);
        expect(await toldOf(id, [{ ...old!, arrival: 2 }])).toEqual(['waiting 1']);
      });

      it('works while the room is off', async () => {
        const id = await open();
        const [guest] = await joined(id, 1);
        await change(id, 2, { mode: 'off' });
        expect((await ask(requestOf('leave', id, guest!))).map(told)).toEqual(['left']);
        await change(id, 3, {});
        expect(await toldOf(id, [guest!])).toEqual(['left']);
      });
    });

    describe('a ticket that the store has lost', () => {
      it('is lost, not left, until it is restored', async () => {
        const id = await open();
        const guest = { userId: newUser(), arrival: 7 };
        expect((await ask(requestOf('look', id, guest))).map(told)).toEqual(['lost']);
        expect((await ask(requestOf('look', id, guest))).map(told)).toEqual(['lost']);
        const restored = waitingOf((await ask(requestOf('restore', id, guest)))[0]);
        expect(restored).toMatchObject({ arrival: 7, number: 7, position: 1, isNew: false });
        expect(await toldOf(id, [guest])).toEqual(['waiting 1']);
      });

      it('gets the number that a draw gave it', async () => {
        const id = await open();
        const [late, early] = [
          { userId: newUser(), arrival: 2 },
          { userId: newUser(), arrival: 9 },
        ];
        const decisions = await ask(requestOf('restore', id, late, 8), requestOf('restore', id, early, 3));
        expect(decisions.map((decision) => waitingOf(decision).number)).toEqual([8, 3]);
        expect(await toldOf(id, [late, early])).toEqual(['waiting 2', 'waiting 1']);
      });

      it('stands where its number stands, whoever was restored before', async () => {
        const id = await open();
        const guests = [5, 2, 9, 1].map((arrival) => ({ userId: newUser(), arrival }));
        const decisions = await ask(...guests.map((guest) => requestOf('restore', id, guest)));
        expect(decisions.map(told)).toEqual(['waiting 1', 'waiting 1', 'waiting 3', 'waiting 1']);
        expect(await toldOf(id, guests)).toEqual(['waiting 3', 'waiting 2', 'waiting 4', 'waiting 1']);
      });

      it('never gets its number given out again', async () => {
        const id = await open();
        await ask(requestOf('restore', id, { userId: newUser(), arrival: 12 }), joinOf(id));
        const [next] = await ask(joinOf(id));
        expect(waitingOf(next).number).toBe(14);
        expect(await store.state(id)).toMatchObject({ issued: 14, waiting: 3 });
      });

      it('restored twice is one place', async () => {
        const id = await open();
        const restore = requestOf('restore', id, { userId: newUser(), arrival: 4 });
        const [first, second] = await ask(restore, restore);
        expect(second).toEqual(first);
        expect(await ask(restore)).toEqual([first]);
        expect(await store.state(id)).toMatchObject({ waiting: 1 });
      });

      it('that is given up does not come back', async () => {
        const id = await open();
        const guest = { userId: newUser(), arrival: 3 };
        const kinds = ['leave', 'look', 'restore'] as const;
        expect((await ask(...kinds.map((kind) => requestOf(kind, id, guest)))).map(told)).toEqual([
          'left',
          'left',
          'left',
        ]);
        expect(await store.state(id)).toMatchObject({ waiting: 0 });
      });

      it('is not restored beside a newer one of the same user', async () => {
        const id = await open();
        await joined(id, 5);
        const [mine] = await joined(id, 1);
        const older = { ...mine!, arrival: 2 };
        expect((await ask(requestOf('restore', id, older), requestOf('look', id, older))).map(told)).toEqual([
          'left',
          'left',
        ]);
        expect(await toldOf(id, [mine!])).toEqual(['waiting 6']);
      });

      it('takes the place of an older one of the same user, in what is published too', async () => {
        const id = await open({ admitPerSecond: 0 });
        const [first, mine] = await joined(id, 2);
        const newer = { ...mine!, arrival: 6 };
        const last = { userId: newUser(), arrival: 7 };
        const decisions = await ask(requestOf('restore', id, newer), requestOf('restore', id, last));
        expect(decisions.map(told)).toEqual(['waiting 2', 'waiting 3']);
        expect(await toldOf(id, [first!, mine!, newer, last])).toEqual(['waiting 1', 'left', 'waiting 2', 'waiting 3']);
        await round(id);
        expect(await publishedPositions(id, [1, 6, 7])).toEqual([1, 2, 3]);
      });

      it('given up takes an older one of the same user with it', async () => {
        const id = await open({ admitPerSecond: 0 });
        const [first, mine, last] = await joined(id, 3);
        expect((await ask(requestOf('leave', id, { ...mine!, arrival: 6 }))).map(told)).toEqual(['left']);
        expect(await toldOf(id, [first!, mine!, last!])).toEqual(['waiting 1', 'left', 'waiting 2']);
        expect(await store.state(id)).toMatchObject({ waiting: 2 });
        await round(id);
        expect(await publishedPositions(id, [1, 3])).toEqual([1, 2]);
      });

      it('is all there is after a loss: everybody comes back in order, those inside first, new ones behind', async () => {
        const id = await open({ maxActive: 2 });
        const guests = await joined(id, 5);
        await round(id);
        await ask(requestOf('leave', id, guests[3]!));
        await under.lose([id]);
        expect(await toldOf(id, [guests[0]!])).toEqual(['cold']);
        await under.warm(id, { ...openRoom, maxActive: 2, issued: 5 });
        expect((await look(id, guests)).map(told)).toEqual(guests.map(() => 'lost'));
        const joinedNow = waitingOf((await ask(joinOf(id)))[0]);
        expect(joinedNow.number).toBeGreaterThan(5);
        const back = [guests[4]!, guests[1]!, guests[0]!, guests[2]!];
        await ask(...back.map((guest) => requestOf('restore', id, guest)));
        expect(await toldOf(id, back)).toEqual(['waiting 4', 'waiting 2', 'waiting 1', 'waiting 3']);
        await round(id);
        expect(await toldOf(id, back)).toEqual(['waiting 2', 'admitted', 'admitted', 'waiting 1']);
      });
    });

    /** The positions of numbers as the last line that was published tells them. */
    async function publishedPositions(id: number, numbers: readonly number[]): Promise<number[]> {
      const news = (await under.news(id)).filter(({ line }) => line !== null).at(-1);
      if (news === undefined) throw new Error('no line was published');
      const positions = new Positions(news.line!, news.watermark);
      return numbers.map((number) => positions.of(number));
    }

    describe('a round of admission', () => {
      it('lets the first ones in, in the order of their numbers', async () => {
        const id = await open();
        const guests = await joined(id, 8);
        await ask(requestOf('leave', id, guests[2]!));
        const done = await round(id);
        expect(done).toMatchObject({ isOn: true, admitted: 5, expired: 0, left: 0, issued: 8, drawDue: null });
        expect(await toldOf(id, guests)).toEqual([
          ...['admitted', 'admitted', 'left', 'admitted', 'admitted', 'admitted'],
          ...['waiting 1', 'waiting 2'],
        ]);
        expect(await store.state(id)).toMatchObject({ admitted: 5, active: 5, waiting: 2 });
      });

      it('tells who came in, in order, with passes that begin evenly over it', async () => {
        const id = await open({ passSeconds: 60 });
        const guests = await joined(id, 5);
        const beforeMs = under.nowMs();
        await round(id);
        const admitted = (await under.news(id)).flatMap((news) => news.admitted);
        expect(admitted.map(({ userId, number }) => [userId, number])).toEqual(
          guests.map(({ userId }, i) => [userId, i + 1]),
        );
        const begins = admitted.map(({ passEndsAtMs }) => passEndsAtMs - admitted[0]!.passEndsAtMs);
        for (const [i, begin] of begins.entries()) expect(Math.abs(begin - i * 100)).toBeLessThanOrEqual(1);
        expect(Math.abs(admitted[0]!.passEndsAtMs - beforeMs - 60_000)).toBeLessThan(5000);
        const places = (await look(id, guests)).map(admittedOf);
        expect(places.map(({ passEndsAtMs }) => passEndsAtMs)).toEqual(admitted.map((each) => each.passEndsAtMs));
      });

      it('keeps to the rate over time', async () => {
        const id = await open();
        await joined(id, 300);
        const startedMs = performance.now();
        let admitted = 0;
        for (let i = 0; i < 40; i++) admitted += (await round(id)).admitted;
        const slackMs = performance.now() - startedMs;
        expect(admitted).toBeGreaterThanOrEqual(200);
        expect(admitted).toBeLessThanOrEqual(200 + Math.ceil((slackMs * 10) / 1000));
      });

      it.each([
        [0.4, 40, 8],
        [1 / 3, 60, 10],
        [2.5, 20, 25],
      ])('keeps to a rate of %d a second: in %d rounds it lets in %d', async (admitPerSecond, rounds, expected) => {
        const id = await open({ admitPerSecond });
        await joined(id, 100);
        const startedMs = performance.now();
        const counts: number[] = [];
        /** Between two rounds at most, by a clock that goes on by itself. */
        let betweenMs = 0;
        for (let i = 0, lastMs = startedMs; i < rounds; i++) {
          const beganMs = performance.now();
          counts.push((await round(id)).admitted);
          betweenMs = Math.max(betweenMs, performance.now() - lastMs);
          lastMs = beganMs;
        }
        const slack = ((performance.now() - startedMs) * admitPerSecond) / 1000;
        const admitted = counts.reduce((sum, count) => sum + count, 0);
        expect(admitted).toBeGreaterThanOrEqual(expected);
        expect(admitted).toBeLessThanOrEqual(expected + Math.ceil(slack));
        // Spread, not saved up.
        expect(Math.max(...counts)).toBeLessThanOrEqual(Math.ceil((admitPerSecond * (roundMs + betweenMs)) / 1000));
      });

      it('keeps to a rate of a few an hour', async () => {
        const id = await open({ admitPerSecond: 0.0032 });
        const guests = await joined(id, 3);
        await store.seen(
          id,
          guests.map(({ userId }) => userId),
          1e9,
        );
        let admitted = 0;
        for (let i = 0; i < 1100; i++) admitted += (await round(id)).admitted;
        // 550 s: the second one is due after 625.
        expect(admitted).toBe(1);
      });

      it('twice at once, by two leaders, lets nobody in twice and no more in', async () => {
        const id = await open();
        await joined(id, 50);
        await round(id);
        await under.passTime(id, roundMs);
        const startedMs = performance.now();
        const rounds = (await Promise.all([1, 2, 3, 4].map(() => store.admit(roundMs)))).flat();
        const admitted = rounds.filter((each) => each.performanceId === id).map((each) => each.admitted);
        const slackMs = performance.now() - startedMs;
        const sum = admitted.reduce((total, count) => total + count, 0);
        expect(sum).toBeGreaterThanOrEqual(5);
        expect(sum).toBeLessThanOrEqual(5 + Math.ceil((slackMs * 10) / 1000));
        const numbers = (await under.news(id)).flatMap((news) => news.admitted.map(({ number }) => number));
        expect(numbers).toEqual(numbers.map((_, i) => i + 1));
      });

      it('that comes late makes up for two seconds and no more', async () => {
        const id = await open();
        await joined(id, 200);
        await round(id);
        expect((await round(id, 1500)).admitted).toBeGreaterThanOrEqual(15);
        await round(id);
        const late = (await round(id, 9000)).admitted;
        expect(late).toBeGreaterThanOrEqual(20);
        expect(late).toBeLessThanOrEqual(21);
      });

      it('after an idle spell lets in no more than any other, but the first who comes at once', async () => {
        const id = await open();
        await live(id, 60_000);
        await joined(id, 50);
        const startedMs = performance.now();
        await under.passTime(id, 0);
        const first = (await store.admit(roundMs)).find(({ performanceId }) => performanceId === id)!.admitted;
        expect(first).toBeGreaterThanOrEqual(1);
        const second = (await round(id)).admitted;
        const slackMs = performance.now() - startedMs;
        expect(first + second).toBeLessThanOrEqual(6 + Math.ceil((slackMs * 10) / 1000));
      });

      it('after a full spell lets in no more than any other', async () => {
        const id = await open({ maxActive: 3 });
        const guests = await joined(id, 50);
        await live(id, 30_000, () => look(id, guests));
        expect(await store.state(id)).toMatchObject({ active: 3, waiting: 47 });
        await change(id, 2, {});
        const startedMs = performance.now();
        const next = (await round(id)).admitted;
        expect(next).toBeGreaterThanOrEqual(5);
        expect(next).toBeLessThanOrEqual(6 + Math.ceil(((performance.now() - startedMs) * 10) / 1000));
      });

      it('never has more than maxActive inside', async () => {
        const id = await open({ admitPerSecond: 100, maxActive: 7 });
        const guests = await joined(id, 30);
        for (let i = 0; i < 5; i++) {
          await round(id);
          expect(await store.state(id)).toMatchObject({ active: 7 });
        }
        await ask(...guests.slice(0, 3).map((guest) => requestOf('leave', id, guest)));
        expect((await round(id)).admitted).toBe(3);
        expect(await store.state(id)).toMatchObject({ active: 7, admitted: 10, waiting: 20 });
      });

      it('waits until there are fewer inside than a lowered maxActive', async () => {
        const id = await open({ admitPerSecond: 100, maxActive: 6 });
        const guests = await joined(id, 10);
        await round(id);
        await change(id, 2, { admitPerSecond: 100, maxActive: 2 });
        expect((await round(id)).admitted).toBe(0);
        await ask(...guests.slice(0, 4).map((guest) => requestOf('leave', id, guest)));
        expect((await round(id)).admitted).toBe(0);
        await ask(requestOf('leave', id, guests[4]!));
        expect((await round(id)).admitted).toBe(1);
        expect(await toldOf(id, [guests[6]!])).toEqual(['admitted']);
      });

      it('lets nobody in at a rate of 0, and the rest as before once it goes on', async () => {
        const id = await open({ admitPerSecond: 0 });
        const guests = await joined(id, 20);
        expect((await live(id, 20_000, () => look(id, guests))).admitted).toBe(0);
        expect(await toldOf(id, guests.slice(0, 2))).toEqual(['waiting 1', 'waiting 2']);
        await change(id, 2, {});
        const startedMs = performance.now();
        const next = (await round(id)).admitted;
        expect(next).toBeGreaterThanOrEqual(5);
        expect(next).toBeLessThanOrEqual(6 + Math.ceil(((performance.now() - startedMs) * 10) / 1000));
      });

      it('at a rate of 0 does not even let in the one that was earned before', async () => {
        const id = await open();
        await live(id, 10_000);
        await change(id, 2, { admitPerSecond: 0 });
        await joined(id, 3);
        expect((await live(id, 10_000)).admitted).toBe(0);
        expect(await store.state(id)).toMatchObject({ waiting: 3 });
      });

      it('follows a new rate at once', async () => {
        const id = await open({ admitPerSecond: 2 });
        await joined(id, 100);
        expect((await round(id)).admitted).toBe(1);
        const startedMs = performance.now();
        await change(id, 2, { admitPerSecond: 40 });
        const faster = (await round(id)).admitted;
        expect(faster).toBeGreaterThanOrEqual(20);
        await change(id, 3, { admitPerSecond: 2 });
        const slower = (await round(id)).admitted;
        const slackMs = performance.now() - startedMs;
        expect(faster).toBeLessThanOrEqual(21 + Math.ceil((slackMs * 40) / 1000));
        expect(slower).toBeLessThanOrEqual(2 + Math.ceil((slackMs * 2) / 1000));
      });

      it('is of each room by itself', async () => {
        const [one, two] = [await open({ admitPerSecond: 4 }), await open({ admitPerSecond: 20 })];
        await joined(one, 30);
        await joined(two, 30);
        const rounds = await store.admit(roundMs);
        const countOf = (id: number) => rounds.find(({ performanceId }) => performanceId === id)?.admitted;
        expect([countOf(one), countOf(two)]).toEqual([2, 10]);
      });
    });

    describe('how long it will take', () => {
      it('is unknown until somebody was let in', async () => {
        const id = await open({ admitPerSecond: 0 });
        const guests = await joined(id, 3);
        await round(id);
        expect((await look(id, guests)).map((decision) => waitingOf(decision).etaSeconds)).toEqual([null, null, null]);
      });

      it('is measured, not what the settings promise', async () => {
        const id = await open({ admitPerSecond: 100, maxActive: 1 });
        const guests = await joined(id, 60);
        // One leaves a second: that is the rate, whatever the settings say.
        for (let i = 0; i < 20; i++) {
          await round(id);
          await round(id);
          await ask(requestOf('leave', id, guests[i]!));
          await look(id, guests.slice(i));
        }
        const { position, etaSeconds } = waitingOf((await look(id, [guests[59]!]))[0]);
        expect(position).toBe(40);
        expect(etaSeconds).toBeGreaterThan(30);
        expect(etaSeconds).toBeLessThan(50);
      });

      it('is published with who waits', async () => {
        const id = await open();
        await joined(id, 100);
        for (let i = 0; i < 10; i++) await round(id);
        const rates = (await under.news(id)).map(({ rate }) => rate);
        expect(rates.at(-1)).toBeGreaterThan(9);
        expect(rates.at(-1)).toBeLessThan(11);
      });
    });

    describe('what a room publishes', () => {
      it('is who waits, once a second, and who came in, at once', async () => {
        const id = await open({ admitPerSecond: 2 });
        await joined(id, 20);
        await under.news(id);
        const startedMs = performance.now();
        for (let i = 0; i < 8; i++) await round(id);
        const slackMs = performance.now() - startedMs;
        const news = await under.news(id);
        expect(news).toHaveLength(8);
        for (const each of news) {
          expect(each).toMatchObject({ performanceId: id, roundMs, isDrawn: false });
          expect(each.admitted.length).toBeGreaterThan(0);
        }
        const lines = news.filter(({ line }) => line !== null).length;
        expect(lines).toBeGreaterThanOrEqual(4);
        expect(lines).toBeLessThanOrEqual(4 + Math.floor(slackMs / 250));
      });

      it('goes on once a second while nothing happens', async () => {
        const id = await open({ admitPerSecond: 0 });
        await joined(id, 3);
        await round(id);
        await under.news(id);
        const startedMs = performance.now();
        for (let i = 0; i < 8; i++) await round(id);
        const slackMs = performance.now() - startedMs;
        const news = await under.news(id);
        expect(news.length).toBeGreaterThanOrEqual(4);
        expect(news.length).toBeLessThanOrEqual(4 + Math.floor(slackMs / 250));
        for (const { line } of news) expect(line).not.toBeNull();
      });

      it('gives the position that a look gives', async () => {
        const id = await open({ admitPerSecond: 6 });
        const guests = await joined(id, 40);
        const leavers = guests.filter((_, i) => i % 7 === 3);
        await ask(...leavers.map((guest) => requestOf('leave', id, guest)));
        for (let i = 0; i < 6; i++) {
          await round(id, 1000);
          const waiting = (await look(id, guests)).filter((decision) => decision.status === 'waiting');
          const published = await publishedPositions(
            id,
            waiting.map(({ number }) => number!),
          );
          expect(published).toEqual(waiting.map(({ position }) => position));
        }
      });
    });

    describe('a pass', () => {
      it('that is over makes place for the next one', async () => {
        const id = await open({ maxActive: 2, passSeconds: 10 });
        const guests = await joined(id, 4);
        await round(id);
        const sum = await live(id, 12_000, () => look(id, guests));
        expect(sum).toEqual({ admitted: 2, expired: 2, left: 0 });
        expect(await toldOf(id, guests)).toEqual(['expired', 'expired', 'admitted', 'admitted']);
        const expired = (await under.news(id)).flatMap((news) => news.expired);
        expect(expired.sort()).toEqual([guests[0]!.userId, guests[1]!.userId].sort());
      });

      it('is over when its time is, though no round has come since', async () => {
        const id = await open({ passSeconds: 10 });
        const guests = await joined(id, 1);
        await round(id);
        await under.passTime(id, 9000);
        expect(await toldOf(id, guests)).toEqual(['admitted']);
        await under.passTime(id, 2000);
        expect(await toldOf(id, guests)).toEqual(['expired']);
        expect(await toldOf(id, guests)).toEqual(['expired']);
        expect(await store.state(id)).toMatchObject({ active: 0 });
      });

      it('does not end because its owner is silent', async () => {
        const id = await open({ passSeconds: 300 });
        const guests = await joined(id, 1);
        await round(id);
        expect(await live(id, 120_000)).toEqual({ admitted: 0, expired: 0, left: 0 });
        expect(await toldOf(id, guests)).toEqual(['admitted']);
      });

      it('is of the length in force when it was given', async () => {
        const id = await open({ admitPerSecond: 2, passSeconds: 10 });
        const guests = await joined(id, 2);
        await round(id);
        await change(id, 2, { admitPerSecond: 2, passSeconds: 100 });
        await round(id);
        const [first, second] = (await look(id, guests)).map(admittedOf);
        expect(second!.passEndsAtMs - first!.passEndsAtMs).toBeGreaterThan(80_000);
      });
    });

    describe('whoever is silent for a minute', () => {
      it('has left; those who look or are seen have not', async () => {
        const id = await open({ admitPerSecond: 0 });
        const guests = await joined(id, 4);
        const [silent, looking, seen] = guests;
        const sum = await live(id, 70_000, async () => {
          await look(id, [looking!]);
          await store.seen(id, [seen!.userId, guests[3]!.userId], 60_000);
        });
        expect(sum.left).toBe(1);
        expect(await toldOf(id, [silent!, looking!, seen!, guests[3]!])).toEqual([
          'left',
          'waiting 1',
          'waiting 2',
          'waiting 3',
        ]);
        expect(await publishedPositions(id, [2, 3, 4])).toEqual([1, 2, 3]);
      });

      it('and not sooner', async () => {
        const id = await open({ admitPerSecond: 0 });
        const guests = await joined(id, 1);
        expect((await live(id, 55_000)).left).toBe(0);
        expect(await toldOf(id, guests)).toEqual(['waiting 1']);
        expect((await live(id, 55_000)).left).toBe(0);
        expect((await live(id, 10_000)).left).toBe(1);
      });

      it('is made up for by nobody’s sign of life afterwards', async () => {
        const id = await open({ admitPerSecond: 0 });
        const guests = await joined(id, 1);
        await live(id, 65_000);
        await store.seen(id, [guests[0]!.userId], 60_000);
        expect(await toldOf(id, guests)).toEqual(['left']);
        expect((await live(id, 70_000)).left).toBe(0);
        expect(await store.state(id)).toMatchObject({ waiting: 0 });
      });

      it('is whoever has joined before, not who was never here', async () => {
        const id = await open({ admitPerSecond: 0 });
        await store.seen(id, [newUser(), newUser()], 1000);
        await store.seen(id, [], 1000);
        expect((await live(id, 10_000)).left).toBe(0);
        expect(await store.state(id)).toMatchObject({ waiting: 0, active: 0, issued: 0 });
      });

      it('leaves before the room opens too', async () => {
        const id = await open({ opensAtMs: under.nowMs() + 3_600_000, drawBeforeOpen: true });
        const guests = await joined(id, 3);
        expect((await live(id, 65_000, () => look(id, guests.slice(1)))).left).toBe(1);
        expect(await toldOf(id, guests)).toEqual(['left', 'early', 'early']);
        expect(await store.state(id)).toMatchObject({ waiting: 2 });
      });

      it('keeps the place after an outage, in which nobody could give a sign of life', async () => {
        const id = await open({ admitPerSecond: 0 });
        const guests = await joined(id, 2);
        await round(id);
        await under.passTime(id, 300_000);
        expect((await live(id, 55_000, () => look(id, [guests[1]!]))).left).toBe(0);
        expect((await live(id, 15_000, () => look(id, [guests[1]!]))).left).toBe(1);
        expect(await toldOf(id, guests)).toEqual(['left', 'waiting 1']);
      });

      it('does not keep the place because rounds came a little late', async () => {
        const id = await open({ admitPerSecond: 0 });
        await joined(id, 1);
        let left = 0;
        for (let i = 0; i < 8; i++) left += (await round(id, 9000)).left;
        expect(left).toBe(1);
      });
    });

    describe('a room that is off', () => {
      it('is open to everybody', async () => {
        const id = await open({ mode: 'off' });
        const guest = { userId: newUser(), arrival: 1 };
        const kinds = ['look', 'restore'] as const;
        const decisions = await ask(joinOf(id), ...kinds.map((kind) => requestOf(kind, id, guest)));
        expect(decisions.map(told)).toEqual(['open', 'open', 'open']);
        expect(await store.state(id)).toMatchObject({ mode: 'off', issued: 0, waiting: 0 });
      });

      it('lets in all who waited, whatever rate and maxActive say', async () => {
        const id = await open({ admitPerSecond: 1, maxActive: 3 });
        const guests = await joined(id, 40);
        await round(id);
        await change(id, 2, { mode: 'off', admitPerSecond: 1, maxActive: 3 });
        expect(await round(id)).toMatchObject({ isOn: false });
        expect(await store.state(id)).toMatchObject({ waiting: 0, active: 40, admitted: 40 });
        const admitted = (await under.news(id)).flatMap((news) => news.admitted.map(({ userId }) => userId));
        expect(admitted).toEqual(guests.map(({ userId }) => userId));
      });

      it('lets them in though it has not opened, and though they are to be drawn', async () => {
        const opensAtMs = under.nowMs() + 3_600_000;
        const [soon, drawn] = [await open({ opensAtMs }), await open({ opensAtMs, drawBeforeOpen: true })];
        await joined(soon, 3);
        await joined(drawn, 3);
        await change(soon, 2, { mode: 'off', opensAtMs });
        expect((await round(soon)).admitted).toBe(3);
        await change(drawn, 2, { mode: 'off', opensAtMs, drawBeforeOpen: true });
        expect((await round(drawn)).drawDue).toEqual({ firstArrival: 1, lastArrival: 3 });
        await store.draw({ performanceId: drawn, firstArrival: 1, lastArrival: 3, seed: '' }, [3, 1, 2]);
        expect((await round(drawn)).admitted).toBe(3);
        expect(await store.state(drawn)).toMatchObject({ waiting: 0, active: 3 });
      });

      it('and on again wants numbers from where they were, and knows who is inside', async () => {
        const id = await open();
        const guests = await joined(id, 3);
        await change(id, 2, { mode: 'off' });
        await round(id);
        await change(id, 3, { maxActive: 4 });
        expect(await toldOf(id, guests)).toEqual(['admitted', 'admitted', 'admitted']);
        expect((await joined(id, 2)).map(({ arrival }) => arrival)).toEqual([4, 5]);
        const { admitted } = await round(id);
        expect(admitted).toBe(1);
      });
    });

    describe('a room that has not opened', () => {
      it('takes everybody in, says when it opens, and lets nobody in before', async () => {
        const opensAtMs = under.nowMs() + 20_000;
        const id = await open({ opensAtMs });
        const place = waitingOf((await ask(joinOf(id)))[0]);
        expect(place).toMatchObject({ number: 1, position: 1, opensAtMs });
        const guests = await joined(id, 9);
        expect((await live(id, 15_000)).admitted).toBe(0);
        await under.passTime(id, 5000);
        expect(waitingOf((await look(id, guests))[0])).toMatchObject({ position: 2, opensAtMs: null });
      });

      it('opens with the rate, not with a burst', async () => {
        const id = await open({ opensAtMs: under.nowMs() + 30_000 });
        await joined(id, 60);
        await live(id, 25_000);
        expect((await round(id, 4000)).admitted).toBe(0);
        const startedMs = performance.now();
        const { admitted } = await round(id, 1000);
        expect(admitted).toBeGreaterThanOrEqual(10);
        expect(admitted).toBeLessThanOrEqual(10 + Math.ceil(((performance.now() - startedMs) * 10) / 1000));
      });

      it('can be opened earlier, or put off while people wait', async () => {
        const opensAtMs = under.nowMs() + 3_600_000;
        const id = await open({ opensAtMs });
        const guests = await joined(id, 20);
        expect((await round(id)).admitted).toBe(0);
        await change(id, 2, {});
        expect((await round(id)).admitted).toBeGreaterThanOrEqual(5);
        await change(id, 3, { opensAtMs });
        expect(waitingOf((await look(id, guests)).at(-1)).opensAtMs).toBe(opensAtMs);
        expect((await round(id)).admitted).toBe(0);
      });
    });

    describe('the draw', () => {
      const hour = 3_600_000;
      /** A room whose early ones are drawn in an hour. */
      async function openDrawn(fields: Partial<Room> = {}): Promise<number> {
        return open({ opensAtMs: under.nowMs() + hour, drawBeforeOpen: true, ...fields });
      }
      /** The hour passes; returns the round that finds the room open. */
      async function opens(id: number, guests: readonly Guest[]): Promise<AdmissionRound> {
        await store.seen(
          id,
          guests.map(({ userId }) => userId),
          2 * hour,
        );
        return round(id, hour);
      }
      function drawOf(performanceId: number, due: AdmissionRound['drawDue']): Draw {
        if (due === null) throw new Error('no draw is due');
        return { performanceId, ...due, seed: '' };
      }

      it('has no numbers and no positions before', async () => {
        const id = await openDrawn();
        const decisions = (await ask(joinOf(id), joinOf(id))).map(waitingOf);
        const opensAtMs = decisions[0]!.opensAtMs!;
        expect(decisions).toEqual(
          [1, 2].map((arrival) => ({
            status: 'waiting',
            arrival,
            number: null,
            position: null,
            etaSeconds: null,
            opensAtMs,
            isNew: true,
          })),
        );
        expect(opensAtMs - under.nowMs()).toBeGreaterThan(hour - 60_000);
        expect((await round(id)).drawDue).toBeNull();
        expect(await store.state(id)).toMatchObject({ issued: 2, waiting: 2 });
      });

      it('is due when the room opens, and nobody comes in before it is done', async () => {
        const id = await openDrawn();
        const guests = await joined(id, 10);
        const due = await opens(id, guests);
        expect(due).toMatchObject({ admitted: 0, drawDue: { firstArrival: 1, lastArrival: 10 } });
        expect(await round(id, 5000)).toMatchObject({ admitted: 0, drawDue: due.drawDue });
        expect(await toldOf(id, guests.slice(0, 2))).toEqual(['early', 'early']);
        await store.draw(drawOf(id, due.drawDue), reversed(due.drawDue!));
        expect((await toldOf(id, guests)).at(-1)).toBe('waiting 1');
        expect((await round(id)).drawDue).toBeNull();
      });

      it('gives each the number it was given, and admission follows it', async () => {
        const id = await openDrawn();
        const guests = await joined(id, 10);
        const { drawDue } = await opens(id, guests);
        const numbers = [4, 9, 1, 7, 10, 2, 5, 8, 3, 6];
        await under.news(id);
        await store.draw(drawOf(id, drawDue), numbers);
        expect((await look(id, guests)).map((decision) => waitingOf(decision).number)).toEqual(numbers);
        expect(await toldOf(id, guests)).toEqual(numbers.map((number) => `waiting ${number}`));
        await round(id);
        const news = await under.news(id);
        expect(news.map(({ isDrawn }) => isDrawn)).toEqual([true, false]);
        const admitted = news.flatMap((each) => each.admitted);
        const userOf = (number: number) => guests[numbers.indexOf(number)]!.userId;
        expect(admitted.map(({ userId, number }) => [userId, number])).toEqual(
          admitted.map((_, i) => [userOf(i + 1), i + 1]),
        );
        expect(admitted.length).toBeGreaterThanOrEqual(5);
      });

      it('again, or by two leaders at once, changes nothing', async () => {
        const id = await openDrawn();
        const guests = await joined(id, 6);
        const { drawDue } = await opens(id, guests);
        const draw = drawOf(id, drawDue);
        const numbers = reversed(draw);
        await Promise.all([store.draw(draw, numbers), store.draw(draw, numbers)]);
        await round(id);
        const before = await toldOf(id, guests);
        await store.draw(draw, numbers);
        expect(await toldOf(id, guests)).toEqual(before);
        expect(await store.state(id)).toMatchObject({ issued: 6 });
        expect((await round(id)).drawDue).toBeNull();
      });

      it('of more than one part is due until all have their numbers', async () => {
        const id = await openDrawn();
        const guests: Guest[] = [];
        for (let i = 0; i < 5; i++) guests.push(...(await joined(id, 500)));
        const { drawDue } = await opens(id, guests);
        expect(drawDue).toEqual({ firstArrival: 1, lastArrival: 2500 });
        await store.draw(drawOf(id, drawDue), reversed(drawDue!));
        const [first, last] = await look(id, [guests[0]!, guests[2499]!]);
        expect([waitingOf(first).position, waitingOf(last).position]).toEqual([2500, 1]);
        expect(await store.state(id)).toMatchObject({ waiting: 2500 });
      });

      it('puts those who come after the opening behind, before and after it is done', async () => {
        const id = await openDrawn();
        const early = await joined(id, 4);
        await opens(id, early);
        const [late] = await joined(id, 1);
        expect(late!.arrival).toBe(5);
        expect(await toldOf(id, [late!])).toEqual(['waiting 5']);
        const { drawDue } = await round(id);
        expect(drawDue).toEqual({ firstArrival: 1, lastArrival: 4 });
        await store.draw(drawOf(id, drawDue), [2, 3, 4, 1]);
        const [later] = await joined(id, 1);
        expect(await toldOf(id, [...early, late!, later!])).toEqual(
          [2, 3, 4, 1, 5, 6].map((position) => `waiting ${position}`),
        );
      });

      it('leaves those behind where they are in what is published meanwhile', async () => {
        const id = await openDrawn();
        const early = await joined(id, 4);
        await opens(id, early);
        const late = await joined(id, 1);
        await under.news(id);
        for (let i = 0; i < 4; i++) await round(id);
        for (const { line, watermark } of await under.news(id)) {
          if (line !== null) expect(new Positions(line, watermark).of(late[0]!.arrival)).toBe(5);
        }
        const { drawDue } = await round(id);
        await change(id, 2, { admitPerSecond: 0 });
        await store.draw(drawOf(id, drawDue), [3, 4, 2, 1]);
        await round(id, 1000);
        expect(await publishedPositions(id, [1, 2, 3, 4, 5])).toEqual([1, 2, 3, 4, 5]);
      });

      it('is among those who joined before the opening, though no round came in between', async () => {
        const id = await openDrawn();
        const early = await joined(id, 3);
        await store.seen(
          id,
          early.map(({ userId }) => userId),
          2 * hour,
        );
        await under.passTime(id, hour);
        const late = await joined(id, 2);
        expect(await toldOf(id, late)).toEqual(['waiting 4', 'waiting 5']);
        expect((await round(id)).drawDue).toEqual({ firstArrival: 1, lastArrival: 3 });
      });

      it('leaves out those who left before', async () => {
        const id = await openDrawn();
        const early = await joined(id, 5);
        await ask(requestOf('leave', id, early[1]!));
        const { drawDue } = await opens(id, early);
        await ask(requestOf('leave', id, early[3]!));
        await store.draw(drawOf(id, drawDue), [5, 4, 3, 2, 1]);
        expect(await toldOf(id, early)).toEqual(['waiting 3', 'left', 'waiting 2', 'left', 'waiting 1']);
        expect(await store.state(id)).toMatchObject({ waiting: 3 });
        await round(id);
        expect(await toldOf(id, early)).toEqual(['admitted', 'left', 'admitted', 'left', 'admitted']);
      });

      it('leaves those who joined again to their new ticket', async () => {
        const id = await openDrawn();
        const early = await joined(id, 2);
        await ask(requestOf('leave', id, early[0]!));
        const again = { userId: early[0]!.userId, arrival: 3 };
        expect(waitingOf((await ask(joinOf(id, again.userId)))[0])).toMatchObject({ arrival: 3, number: null });
        const { drawDue } = await opens(id, early);
        await store.draw(drawOf(id, drawDue), [1, 3, 2]);
        expect(await toldOf(id, [early[0]!, early[1]!, again])).toEqual(['left', 'waiting 2', 'waiting 1']);
      });

      it('is done although everybody has left, and the next ones are let in', async () => {
        const id = await openDrawn();
        const early = await joined(id, 2);
        await ask(...early.map((guest) => requestOf('leave', id, guest)));
        const { drawDue } = await opens(id, early);
        await store.draw(drawOf(id, drawDue), [2, 1]);
        const late = await joined(id, 1);
        await round(id);
        expect(await toldOf(id, late)).toEqual(['admitted']);
      });

      it('with nobody early is not due at all', async () => {
        const id = await openDrawn();
        expect((await opens(id, [])).drawDue).toBeNull();
        const late = await joined(id, 1);
        await round(id);
        expect(await toldOf(id, late)).toEqual(['admitted']);
      });

      it('puts the early ones behind those who had numbers when it was asked for', async () => {
        const opensAtMs = under.nowMs() + hour;
        const id = await open({ opensAtMs });
        const first = await joined(id, 2);
        await change(id, 2, { opensAtMs, drawBeforeOpen: true });
        const early = await joined(id, 3);
        expect(await toldOf(id, [...first, ...early])).toEqual(['waiting 1', 'waiting 2', 'early', 'early', 'early']);
        const { drawDue } = await opens(id, [...first, ...early]);
        expect(drawDue).toEqual({ firstArrival: 3, lastArrival: 5 });
        await store.draw(drawOf(id, drawDue), [5, 3, 4]);
        expect(await toldOf(id, [...first, ...early])).toEqual([
          'waiting 1',
          'waiting 2',
          'waiting 5',
          'waiting 3',
          'waiting 4',
        ]);
      });

      it('is held at once when none is wanted any more; who comes meanwhile is behind, with a number of their own', async () => {
        const id = await openDrawn();
        const opensAtMs = waitingOf((await ask(joinOf(id)))[0]).opensAtMs!;
        const early = await joined(id, 3);
        await change(id, 2, { opensAtMs });
        const late = await joined(id, 2);
        expect(await toldOf(id, late)).toEqual(['waiting 5', 'waiting 6']);
        const { drawDue, admitted } = await round(id);
        expect([drawDue, admitted]).toEqual([{ firstArrival: 1, lastArrival: 4 }, 0]);
        await store.draw(drawOf(id, drawDue), reversed(drawDue!));
        expect(await toldOf(id, [...early, ...late])).toEqual([
          'waiting 3',
          'waiting 2',
          'waiting 1',
          'waiting 5',
          'waiting 6',
        ]);
        // Not open yet, drawn or not.
        expect((await round(id)).admitted).toBe(0);
      });

      it('is held at once when none is wanted any more, though nobody asks for anything', async () => {
        const id = await openDrawn();
        await joined(id, 3);
        await change(id, 2, { opensAtMs: under.nowMs() + hour });
        expect((await round(id)).drawDue).toEqual({ firstArrival: 1, lastArrival: 3 });
      });

      it('counts who leaves while it is due for those who come in the same call', async () => {
        const id = await openDrawn();
        const early = await joined(id, 3);
        await opens(id, early);
        const decisions = await ask(joinOf(id), requestOf('leave', id, early[0]!), joinOf(id), joinOf(id));
        expect(decisions.map(told)).toEqual(['waiting 4', 'left', 'waiting 4', 'waiting 5']);
      });

      it('counts who is restored while it is due for those who stand behind, in the same call', async () => {
        const id = await openDrawn();
        const early = await joined(id, 3);
        await opens(id, early);
        const late = await joined(id, 1);
        expect(await toldOf(id, late)).toEqual(['waiting 4']);
        const lost = { userId: newUser(), arrival: 2 };
        const decisions = await ask(requestOf('restore', id, lost), requestOf('look', id, late[0]!), joinOf(id));
        expect(decisions.map(told)).toEqual(['early', 'waiting 5', 'waiting 6']);
        expect(await toldOf(id, late)).toEqual(['waiting 5']);
      });

      it('is put off with the opening, for those who come until then too', async () => {
        const id = await openDrawn();
        const early = await joined(id, 2);
        await change(id, 2, { opensAtMs: under.nowMs() + 2 * hour, drawBeforeOpen: true });
        expect((await opens(id, early)).drawDue).toBeNull();
        early.push(...(await joined(id, 1)));
        expect((await opens(id, early)).drawDue).toEqual({ firstArrival: 1, lastArrival: 3 });
      });

      it('a second time is among those of the second time', async () => {
        const id = await openDrawn({ admitPerSecond: 0 });
        const first = await joined(id, 3);
        const due = (await opens(id, first)).drawDue;
        await store.draw(drawOf(id, due), [3, 1, 2]);
        const between = await joined(id, 1);
        await change(id, 2, { opensAtMs: under.nowMs() + hour, drawBeforeOpen: true, admitPerSecond: 0 });
        const second = await joined(id, 3);
        expect(await toldOf(id, second)).toEqual(['early', 'early', 'early']);
        const all = [...first, ...between, ...second];
        const again = (await opens(id, all)).drawDue;
        expect(again).toEqual({ firstArrival: 5, lastArrival: 7 });
        // A leader that is behind repeats the first one.
        await store.draw(drawOf(id, due), [3, 1, 2]);
        expect((await round(id)).drawDue).toEqual(again);
        await store.draw(drawOf(id, again), [6, 7, 5]);
        expect(await toldOf(id, all)).toEqual([3, 1, 2, 4, 6, 7, 5].map((position) => `waiting ${position}`));
        await round(id);
        expect(
          await publishedPositions(
            id,
            all.map((_, i) => i + 1),
          ),
        ).toEqual([1, 2, 3, 4, 5, 6, 7]);
      });

      it('has a ticket again that was lost before it', async () => {
        const id = await openDrawn();
        await joined(id, 1);
        const lost = { userId: newUser(), arrival: 4 };
        const restored = waitingOf((await ask(requestOf('restore', id, lost)))[0]);
        expect(restored).toMatchObject({ arrival: 4, number: null, position: null, isNew: false });
        const { drawDue } = await opens(id, [lost]);
        expect(drawDue).toEqual({ firstArrival: 1, lastArrival: 4 });
        await store.draw(drawOf(id, drawDue), [2, 3, 4, 1]);
        expect(await toldOf(id, [lost])).toEqual(['waiting 1']);
      });

      it('has a ticket that was lost and comes back while it is due', async () => {
        const id = await openDrawn();
        const early = await joined(id, 3);
        await under.lose([id]);
        await under.warm(id, { ...openRoom, opensAtMs: under.nowMs() + hour, drawBeforeOpen: true });
        await ask(requestOf('restore', id, early[0]!), requestOf('restore', id, early[2]!));
        const { drawDue } = await opens(id, early);
        expect(drawDue).toMatchObject({ firstArrival: 1, lastArrival: 3 });
        expect((await ask(requestOf('restore', id, early[1]!))).map(told)).toEqual(['early']);
        await store.draw(drawOf(id, drawDue), [2, 1, 3]);
        expect(await toldOf(id, early)).toEqual(['waiting 2', 'waiting 1', 'waiting 3']);
      });

      it('ends with the one that was stored for it, though that was of more tickets than are known', async () => {
        // The store has gone back in time: two of the five who were drawn are unknown to it.
        const id = await openDrawn({ admitPerSecond: 0 });
        const early = await joined(id, 3);
        expect((await opens(id, early)).drawDue).toEqual({ firstArrival: 1, lastArrival: 3 });
        await store.draw({ performanceId: id, firstArrival: 1, lastArrival: 5, seed: '' }, [5, 3, 1, 2, 4]);
        expect((await round(id)).drawDue).toBeNull();
        expect(await toldOf(id, early)).toEqual(['waiting 3', 'waiting 2', 'waiting 1']);
        const late = await joined(id, 1);
        expect(late[0]!.arrival).toBe(6);
        const back = { userId: newUser(), arrival: 4 };
        await ask(requestOf('restore', id, back, 2));
        expect(await toldOf(id, [...early, back, ...late])).toEqual(
          [4, 3, 1, 2, 5].map((position) => `waiting ${position}`),
        );
      });

      it('goes on with the others when the one that was stored was of fewer tickets', async () => {
        const id = await openDrawn({ admitPerSecond: 0 });
        const early = await joined(id, 5);
        expect((await opens(id, early)).drawDue).toEqual({ firstArrival: 1, lastArrival: 5 });
        await store.draw({ performanceId: id, firstArrival: 1, lastArrival: 3, seed: '' }, [3, 1, 2]);
        const { drawDue } = await round(id);
        expect(drawDue).toEqual({ firstArrival: 4, lastArrival: 5 });
        await store.draw(drawOf(id, drawDue), [5, 4]);
        expect((await round(id)).drawDue).toBeNull();
        expect(await toldOf(id, early)).toEqual([3, 1, 2, 5, 4].map((position) => `waiting ${position}`));
      });

      it('gives everybody behind the place again that they had, though it is not done', async () => {
        const id = await openDrawn();
        const early = await joined(id, 3);
        await opens(id, early);
        const lost = { userId: newUser(), arrival: 6 };
        const [restored] = await ask(requestOf('restore', id, lost));
        expect(told(restored)).toBe('waiting 4');
        expect(await toldOf(id, [lost])).toEqual(['waiting 4']);
      });
    });

    describe('settings', () => {
      it('are what the state shows, with the counts', async () => {
        const opensAtMs = under.nowMs() - 1000;
        const room = { ...openRoom, admitPerSecond: 2.5, maxActive: 7, passSeconds: 90, opensAtMs };
        const id = await open(room);
        const { revision: _, issued: __, ...settings } = room;
        expect(await store.state(id)).toEqual({ ...settings, issued: 0, admitted: 0, waiting: 0, active: 0 });
        const guests = await joined(id, 4);
        await ask(requestOf('leave', id, guests[3]!));
        await round(id);
        expect(await store.state(id)).toMatchObject({ issued: 4, admitted: 1, waiting: 2, active: 1 });
      });

      it('of an older revision are ignored, the same again are not', async () => {
        const id = await open({ revision: 5 });
        await change(id, 4, { maxActive: 44 });
        expect(await store.state(id)).toMatchObject({ maxActive: 1000 });
        await change(id, 5, { maxActive: 55 });
        expect(await store.state(id)).toMatchObject({ maxActive: 55 });
        await change(id, 7, { maxActive: 77, mode: 'off' });
        await change(id, 6, { maxActive: 66 });
        expect(await store.state(id)).toMatchObject({ maxActive: 77, mode: 'off' });
        expect((await ask(joinOf(id))).map(told)).toEqual(['open']);
      });

      it('make a room of a performance that had none', async () => {
        const id = newPerformanceId();
        made.push(id);
        await under.warm(id, null);
        expect((await ask(joinOf(id))).map(told)).toEqual(['open']);
        expect(await store.state(id)).toMatchObject({ mode: 'off', issued: 0, waiting: 0 });
        await change(id, 1, {});
        expect((await ask(joinOf(id))).map(told)).toEqual(['waiting 1']);
        expect((await round(id)).admitted).toBe(1);
      });

      it('outlive a load that has older ones', async () => {
        const id = await open();
        const guests = await joined(id, 2);
        await under.cool(id);
        await change(id, 3, { maxActive: 33 });
        await under.warm(id, { ...openRoom, revision: 2, maxActive: 22 });
        expect(await store.state(id)).toMatchObject({ maxActive: 33, waiting: 2 });
        expect(await toldOf(id, guests)).toEqual(['waiting 1', 'waiting 2']);
      });

      it('of a performance that is cold come with its load', async () => {
        const id = newPerformanceId();
        made.push(id);
        await change(id, 2, { maxActive: 22 });
        expect(await store.state(id)).toBeNull();
        await under.warm(id, { ...openRoom, revision: 2, maxActive: 22, issued: 9 });
        expect(await store.state(id)).toMatchObject({ mode: 'on', maxActive: 22 });
        expect(waitingOf((await ask(joinOf(id)))[0]).number).toBeGreaterThan(9);
      });
    });

    describe('a performance that is not warm', () => {
      it('is cold to everybody, and has no state', async () => {
        const id = newPerformanceId();
        const guest = { userId: newUser(), arrival: 1 };
        const kinds = ['look', 'leave', 'restore'] as const;
        const decisions = await ask(joinOf(id), ...kinds.map((kind) => requestOf(kind, id, guest)));
        expect(decisions.map(told)).toEqual(['cold', 'cold', 'cold', 'cold']);
        expect(await store.state(id)).toBeNull();
        expect((await store.admit(roundMs)).filter(({ performanceId }) => performanceId === id)).toEqual([]);
        await store.seen(id, [guest.userId], 1000);
      });

      it('keeps its places until it is warm again', async () => {
        const id = await open({ admitPerSecond: 4 });
        const guests = await joined(id, 5);
        await round(id);
        await under.cool(id);
        expect(await toldOf(id, guests.slice(0, 1))).toEqual(['cold']);
        await under.warm(id, { ...openRoom, admitPerSecond: 4, issued: 3 });
        expect(await toldOf(id, guests)).toEqual(['admitted', 'admitted', 'waiting 1', 'waiting 2', 'waiting 3']);
        expect((await joined(id, 1))[0]!.arrival).toBe(6);
      });
    });

    describe('after thousands of random joins, leaves, restores, rounds, draws and losses', () => {
      it.each([1, 2, 3, 4])('every place is that of a brute-force count (seed %d)', async (seed) => {
        const id = newPerformanceId();
        made.push(id);
        await new RandomRoom(under, id, seed).run(700);
      });
    });
  });
}

/** A ticket as the model knows it. */
interface ModelTicket extends Guest {
  number: number | null;
  state: 'early' | 'waiting' | 'inside' | 'left' | 'lost';
}

/** One room lived through by the store and by a model that counts with its fingers. */
class RandomRoom {
  readonly #under: RoomStoreUnderTest;
  readonly #id: number;
  readonly #random: () => number;
  readonly #users = Array.from({ length: 30 }, newUser);
  #room: Room;
  #issued = 0;
  #admitted = 0;
  /** Over losses too. */
  #admittedEver = 0;
  /** The record that the store has of a user. */
  #recordOf = new Map<number, ModelTicket>();
  /** Every ticket ever given out. */
  readonly #tickets: ModelTicket[] = [];
  /** By arrival, what draws have given. */
  readonly #drawn = new Map<number, number>();
  /** After a loss nobody can tell who was to be drawn. */
  #hasLost = false;
  #earlyFrom = 0;
  #drawDue: { readonly firstArrival: number; readonly lastArrival: number } | null = null;
  /** What the rate has earned: no more and no less than these, since a real clock goes on by itself. */
  #allowance = { least: 0, most: 0 };
  /** Since the last round: time that was let pass; and when that round was, null before the first. */
  #passedMs = 0;
  #roundAtMs: number | null = null;

  constructor(under: RoomStoreUnderTest, performanceId: number, seed: number) {
    this.#under = under;
    this.#id = performanceId;
    this.#random = seededRandom(seed);
    this.#room = { ...openRoom, passSeconds: 1_000_000, maxActive: 8, admitPerSecond: 3 };
  }

  async run(steps: number): Promise<void> {
    await this.#under.warm(this.#id, this.#room);
    for (let step = 0; step < steps; step++) {
      const dice = this.#random();
      if (dice < 0.55) await this.#serve();
      else if (dice < 0.9) await this.#round();
      else if (dice < 0.97) await this.#change();
      else if (dice < 0.975) await this.#lose();
      else await this.#cool();
      if (this.#drawDue !== null && this.#random() < 0.3) await this.#draw();
      await this.#check();
    }
    // It was no room in which nothing happened.
    expect(this.#admittedEver).toBeGreaterThan(steps / 20);
  }

  #pick<Value>(values: readonly Value[]): Value {
    return values[Math.floor(this.#random() * values.length)]!;
  }

  #of(state: ModelTicket['state']): ModelTicket[] {
    return [...this.#recordOf.values()].filter((ticket) => ticket.state === state);
  }

  get #isOpen(): boolean {
    return this.#room.opensAtMs === null || this.#room.opensAtMs <= this.#under.nowMs();
  }

  get #isEarlyNow(): boolean {
    return this.#room.drawBeforeOpen && !this.#isOpen && this.#drawDue === null;
  }

  /** Nobody can join the draw any more; a room that was turned off is found by its next round. */
  #closeDraw(isRound = false): void {
    if (this.#earlyFrom === 0 || this.#drawDue !== null) return;
    if (!this.#isOpen && this.#room.drawBeforeOpen && !(isRound && this.#room.mode === 'off')) return;
    this.#drawDue = { firstArrival: this.#earlyFrom, lastArrival: this.#issued };
  }

  #positionOf(number: number): number {
    const before = this.#of('waiting').filter((other) => other.number! < number).length;
    return before + this.#of('early').filter((other) => other.arrival < number).length + 1;
  }

  #toldOf(ticket: ModelTicket): string {
    if (ticket.state === 'early') return 'early';
    if (ticket.state === 'waiting') return `waiting ${this.#positionOf(ticket.number!)}`;
    return ticket.state === 'inside' ? 'admitted' : ticket.state;
  }

  #place(ticket: ModelTicket, number: number | null): string {
    if (number === null) {
      ticket.state = 'early';
      this.#earlyFrom = this.#earlyFrom === 0 ? ticket.arrival : Math.min(this.#earlyFrom, ticket.arrival);
    } else ticket.state = 'waiting';
    ticket.number = number;
    this.#recordOf.set(ticket.userId, ticket);
    return this.#toldOf(ticket);
  }

  #serveOne({ kind, userId, arrival, number }: PlaceRequest): string {
    if (this.#room.mode === 'off' && kind !== 'leave') return 'open';
    const record = this.#recordOf.get(userId);
    if (kind === 'join') {
      if (record !== undefined && record.state !== 'left') return this.#toldOf(record);
      const ticket: ModelTicket = { userId, arrival: ++this.#issued, number: null, state: 'lost' };
      this.#tickets.push(ticket);
      return this.#place(ticket, this.#isEarlyNow ? null : ticket.arrival);
    }
    if (record !== undefined && record.arrival > arrival) return 'left';
    if (record?.arrival === arrival) {
      if (kind === 'leave') record.state = 'left';
      return this.#toldOf(record);
    }
    const ticket = this.#tickets.find((each) => each.userId === userId && each.arrival === arrival)!;
    if (kind === 'look') return 'lost';
    if (kind === 'leave') {
      ticket.state = 'left';
      this.#recordOf.set(userId, ticket);
      return 'left';
    }
    this.#issued = Math.max(this.#issued, arrival);
    return this.#place(ticket, number === 0 && this.#isEarlyNow ? null : number === 0 ? arrival : number);
  }

  async #serve(): Promise<void> {
    const requests = Array.from({ length: 1 + Math.floor(this.#random() * 6) }, (): PlaceRequest => {
      const dice = this.#random();
      const ticket = this.#tickets.length === 0 || dice < 0.4 ? null : this.#pick(this.#tickets.slice(-60));
      if (ticket === null) return joinOf(this.#id, this.#pick(this.#users));
      if (dice < 0.6) return requestOf('leave', this.#id, ticket);
      if (dice < 0.7) return requestOf('look', this.#id, ticket);
      // What a ticket restores is decided by its draw, or by itself.
      return requestOf('restore', this.#id, ticket, this.#drawn.get(ticket.arrival) ?? 0);
    });
    const [decisions] = await this.#under.store.serve([{ performanceId: this.#id, requests }]);
    this.#closeDraw();
    const expected = requests.map((request) => this.#serveOne(request));
    expect([requests, decisions!.map(told)]).toEqual([requests, expected]);
  }

  async #round(): Promise<void> {
    const { store } = this.#under;
    const present = [...this.#of('waiting'), ...this.#of('early')].map(({ userId }) => userId);
    await store.seen(this.#id, present, 1e9);
    const ms = this.#pick([0, 100, 500, 500, 500, 1000, 2500]);
    await this.#under.passTime(this.#id, ms);
    this.#passedMs += ms;
    const startedMs = performance.now();
    const round = (await store.admit(roundMs)).find(({ performanceId }) => performanceId === this.#id);
    if (round === undefined) {
      // A room that is off need not be looked at each time.
      expect(this.#room.mode).toBe('off');
      return;
    }
    this.#closeDraw(true);
    const realMs = this.#roundAtMs === null ? 0 : performance.now() - this.#roundAtMs;
    const [least, most] = this.#roundAtMs === null ? [roundMs, roundMs] : [this.#passedMs, this.#passedMs + realMs];
    this.#passedMs = 0;
    this.#roundAtMs = startedMs;
    expect(round).toMatchObject({ expired: 0, left: 0, issued: this.#issued, drawDue: this.#drawDue });
    const isOn = this.#room.mode === 'on';
    expect(round.isOn).toBe(isOn);
    const waiting = this.#of('waiting').sort((a, b) => a.number! - b.number!);
    if ((isOn && !this.#isOpen) || this.#drawDue !== null) expect(round.admitted).toBe(0);
    else this.#admit(round.admitted, waiting, Math.min(least, 2000), Math.min(most, 2000));
    for (const ticket of waiting.slice(0, round.admitted)) ticket.state = 'inside';
    this.#admitted += round.admitted;
    this.#admittedEver += round.admitted;
  }

  /** Checks how many came in, and keeps what the rate has earned beyond. */
  #admit(count: number, waiting: readonly ModelTicket[], leastMs: number, mostMs: number): void {
    const { mode, maxActive, admitPerSecond } = this.#room;
    const earned = {
      least: this.#allowance.least + (admitPerSecond * leastMs) / 1000,
      most: this.#allowance.most + (admitPerSecond * mostMs) / 1000,
    };
    const isPaused = mode === 'on' && admitPerSecond === 0;
    const free = mode === 'off' ? waiting.length : isPaused ? 0 : Math.max(0, maxActive - this.#of('inside').length);
    const most = Math.min(waiting.length, free);
    if (mode === 'off') expect(count).toBe(waiting.length);
    else {
      expect(count).toBeGreaterThanOrEqual(Math.min(most, Math.floor(earned.least + 1e-6)));
      expect(count).toBeLessThanOrEqual(Math.min(most, Math.floor(earned.most + 1e-5)));
    }
    const rest = (each: number): number => {
      const left = Math.max(0, each - count);
      return count >= Math.floor(each + 1e-6) ? left : Math.min(left, 1);
    };
    this.#allowance = { least: rest(earned.least), most: rest(earned.most) + 1e-3 };
  }

  async #change(): Promise<void> {
    const hour = 3_600_000;
    const room = {
      ...this.#room,
      revision: this.#room.revision + 1,
      mode: this.#random() < 0.15 ? 'off' : 'on',
      admitPerSecond: this.#pick([0, 0.7, 3, 3, 20]),
      maxActive: this.#pick([3, 8, 1000]),
      opensAtMs: this.#random() < 0.4 ? this.#under.nowMs() + hour : null,
      drawBeforeOpen: this.#random() < 0.6 && !this.#hasLost,
    } as const;
    await this.#under.store.configure(this.#id, { ...room, revision: room.revision - 2, mode: 'off' });
    await this.#under.store.configure(this.#id, room);
    this.#room = room;
  }

  async #draw(): Promise<void> {
    const draw = { performanceId: this.#id, seed: '', ...this.#drawDue! };
    const numbers = reversed(draw);
    for (let i = numbers.length - 1; i > 0; i--) {
      const k = Math.floor(this.#random() * (i + 1));
      [numbers[i], numbers[k]] = [numbers[k]!, numbers[i]!];
    }
    await this.#under.store.draw(draw, numbers);
    for (const [i, number] of numbers.entries()) this.#drawn.set(draw.firstArrival + i, number);
    for (const ticket of this.#of('early')) {
      ticket.state = 'waiting';
      ticket.number = this.#drawn.get(ticket.arrival)!;
    }
    this.#earlyFrom = 0;
    this.#drawDue = null;
  }

  /** Everything is gone but the tickets. */
  async #lose(): Promise<void> {
    if (this.#room.drawBeforeOpen || this.#earlyFrom > 0) return;
    this.#hasLost = true;
    await this.#under.lose([this.#id]);
    await this.#under.warm(this.#id, { ...this.#room, issued: this.#issued });
    for (const ticket of this.#recordOf.values()) if (ticket.state !== 'left') ticket.state = 'lost';
    this.#recordOf = new Map();
    const { issued } = (await this.#under.store.state(this.#id))!;
    expect(issued).toBeGreaterThanOrEqual(this.#issued);
    this.#issued = issued;
    this.#admitted = 0;
    this.#allowance = { least: 0, most: 0 };
    this.#passedMs = 0;
    this.#roundAtMs = null;
    await this.#under.news(this.#id);
  }

  async #cool(): Promise<void> {
    await this.#under.cool(this.#id);
    await this.#under.warm(this.#id, { ...this.#room, issued: this.#issued });
  }

  /** Each place, by a look and by what was published; and the counts. */
  async #check(): Promise<void> {
    const { store } = this.#under;
    const records = [...this.#recordOf.values()];
    const requests = records.map((record) => requestOf('look', this.#id, record));
    const [decisions] = await store.serve([{ performanceId: this.#id, requests }]);
    this.#closeDraw();
    if (this.#room.mode === 'on') expect(decisions!.map(told)).toEqual(records.map((each) => this.#toldOf(each)));
    expect(await store.state(this.#id)).toMatchObject({
      issued: this.#issued,
      admitted: this.#admitted,
      waiting: this.#of('waiting').length + this.#of('early').length,
      active: this.#of('inside').length,
    });
    const news = (await this.#under.news(this.#id)).at(-1);
    if (news === undefined || news.line === null) return;
    const positions = new Positions(news.line, news.watermark);
    // Who was restored below the watermark is not in the line: they ask.
    const waiting = this.#of('waiting').filter(({ number }) => number! > news.watermark);
    const below = this.#of('waiting').length - waiting.length;
    expect(waiting.map(({ number }) => positions.of(number!) + below)).toEqual(
      waiting.map(({ number }) => this.#positionOf(number!)),
    );
  }
}
