/** What every HoldStore promises: run against real Redis, and against the fake that the simulation uses. */
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newReservationId } from '../src/domain/ids.ts';
import type { Performance } from '../src/domain/performance.ts';
import { type Hold, type HoldRequest, type Release, SeatStatus } from '../src/domain/reservation.ts';
import type { LiveReservation, Snapshot } from '../src/domain/snapshot.ts';
import type { HoldDecision, HoldStore, PlaceDecision, RoomStore } from '../src/domain/stores.ts';
import type { PlaceRequest, Room } from '../src/domain/waiting-room.ts';

export interface HoldStoreUnderTest {
  readonly store: HoldStore;
  /** Begins a load: what is returned puts the snapshot in place, or says why not. */
  startLoad(performanceId: number): Promise<(snapshot: Snapshot) => Promise<'warmed' | 'already' | 'void'>>;
  /** The places left as the store shows them; null when cold. */
  remaining(performanceId: number): Promise<number | null>;
  /** The store forgets all it ever knew. */
  loseEverything(): Promise<void>;
  close(): Promise<void>;
}

/** A hold store that knows the passes of waiting rooms. */
export interface PassesUnderTest extends HoldStoreUnderTest {
  /** The rooms that give the passes. */
  readonly rooms: RoomStore;
  /** Lets time pass for one room: everything it remembers was so much earlier. */
  passTime(performanceId: number, ms: number): Promise<void>;
}

// Far from the ids that MySQL gives out.
let lastId = randomInt(1_000_000) * 1_000_000 + 4e12;

/** A performance nobody else has. */
export function newPerformanceId(): number {
  return ++lastId;
}

/** A user nobody else is. */
export function newUser(): number {
  return ++lastId;
}

/** A seat that is not as it was created, and who owns it. */
interface ChangedSeat {
  readonly seat: number;
  readonly status: number;
  readonly version: number;
  readonly reservationId: string | null;
}

export type SnapshotFields = Partial<Omit<Performance, 'performanceId'>> & {
  readonly changed?: readonly ChangedSeat[];
  readonly live?: readonly LiveReservation[];
};

/** A performance of 10 seats as MySQL would have it; a hold of 0 seconds is over as soon as it is granted. */
export function seated(performanceId: number, fields: SnapshotFields = {}): Snapshot {
  const { changed = [], live = [], ...rest } = fields;
  const performance: Performance = {
    performanceId,
    eventId: 1,
    startsAtMs: Date.now() + 86_400_000,
    bookingOpensAtMs: null,
    bookingClosesAtMs: null,
    price: 700,
    holdSeconds: 300,
    maxReservationsPerUser: 1,
    seating: { kind: 'seated', seats: 10, seatsPerRow: 5 },
    ...rest,
  };
  const ownerOf = new Map<number, string>();
  for (const { seat, reservationId } of changed) if (reservationId !== null) ownerOf.set(seat, reservationId);
  const seats = changed.map(({ seat, status, version }) => ({ seat, status, version }));
  return { performance, seats, ownerOf, reservations: live, room: null };
}

/** A performance of 10 places, parties of 4 at most. */
export function capacity(performanceId: number, fields: SnapshotFields = {}): Snapshot {
  return seated(performanceId, { seating: { kind: 'capacity', capacity: 10, maxPartySize: 4 }, ...fields });
}

/** A wish of a new user for seats, or for places. */
export function wish(performanceId: number, what: readonly number[] | number, userId = newUser()): HoldRequest {
  const isParty = typeof what === 'number';
  return {
    reservationId: newReservationId(),
    performanceId,
    userId,
    seats: isParty ? [] : what,
    partySize: isParty ? what : 0,
    isRepeat: false,
    pass: 0,
  };
}

/** A hold as the journal gives it a moment later: what is left of it is a little less. */
function journalled(hold: Hold): Hold {
  return { ...hold, holdMs: expect.closeTo(hold.holdMs, -4) };
}

/** The fields a hold takes over from its request. */
function grantedTo({ isRepeat: _, pass: __, ...fields }: HoldRequest): Omit<HoldRequest, 'isRepeat' | 'pass'> {
  return fields;
}

/** A reservation of a snapshot. */
function live(remainingMs: number | null, partySize = 0, userId = newUser()): LiveReservation {
  return { reservationId: newReservationId(), userId, partySize, remainingMs };
}

function seatOf(reservation: LiveReservation, seat: number, version: number): ChangedSeat {
  const status = reservation.remainingMs === null ? SeatStatus.OCCUPIED : SeatStatus.HELD;
  return { seat, status, version, reservationId: reservation.reservationId };
}

function releaseOf({ reservationId, performanceId, userId }: HoldRequest, seatVersions: number[] = []): Release {
  return { reservationId, performanceId, userId, endsPass: false, seatVersions };
}

/** The hold of a decision that must be one. */
export function held(decision: HoldDecision | undefined): Hold {
  if (decision?.kind !== 'held') throw new Error(`not held: ${JSON.stringify(decision)}`);
  return decision.hold;
}

/** `held`, `cold`, `failed`, or the code of the refusal. */
export function kindOf(decision: HoldDecision | undefined): string | undefined {
  return decision?.kind === 'refused' ? decision.refusal.code : decision?.kind;
}

export function holdStoreContract(name: string, makeStore: () => Promise<HoldStoreUnderTest>): void {
  describe(`${name} as a hold store`, () => {
    let under: HoldStoreUnderTest;
    let store: HoldStore;
    beforeAll(async () => {
      under = await makeStore();
      store = under.store;
    });
    afterAll(() => under.close());

    /** Decides requests of one performance in one call. */
    async function ask(...requests: readonly HoldRequest[]): Promise<HoldDecision[]> {
      const { performanceId } = requests[0]!;
      return (await store.hold([{ performanceId, requests }]))[0]!;
    }
    async function load(snapshot: Snapshot): Promise<string> {
      return (await under.startLoad(snapshot.performance.performanceId))(snapshot);
    }
    /** A warm performance made by `make`; returns its id. */
    async function warm(make: typeof seated = seated, fields: SnapshotFields = {}): Promise<number> {
      const id = newPerformanceId();
      expect(await load(make(id, fields))).toBe('warmed');
      return id;
    }
    async function journalOf(performanceId: number): Promise<Hold[]> {
      return (await store.journal(0, 1000)).filter((hold) => hold.performanceId === performanceId);
    }

    describe('deciding', () => {
      it('knows nothing of a performance that is not warm', async () => {
        const id = newPerformanceId();
        const decisions = await ask(wish(id, [1]), wish(id, 2));
        expect(decisions.map(kindOf)).toEqual(['cold', 'cold']);
        expect(await under.remaining(id)).toBeNull();
      });

      it('answers each group and each request in its place', async () => {
        const [one, cold, two] = [await warm(), newPerformanceId(), await warm(capacity)];
        const decisions = await store.hold([
          { performanceId: one, requests: [wish(one, [1]), wish(one, [1]), wish(one, [2])] },
          { performanceId: cold, requests: [wish(cold, [1])] },
          { performanceId: two, requests: [wish(two, 4), wish(two, 5)] },
        ]);
        expect(decisions.map((group) => group.map(kindOf))).toEqual([
          ['held', 'seat_taken', 'held'],
          ['cold'],
          ['held', 'validation_failed'],
        ]);
        expect(await store.hold([])).toEqual([]);
      });

      it('holds seats with their next versions, their price and the end of the hold', async () => {
        const id = await warm(seated, {
          changed: [{ seat: 3, status: SeatStatus.AVAILABLE, version: 6, reservationId: null }],
        });
        const request = wish(id, [3, 4]);
        const beforeMs = Date.now();
        const hold = held((await ask(request))[0]);
        expect(hold).toMatchObject({
          ...grantedTo(request),
          versions: [7, 1],
          amount: 1400,
          holdMs: 300_000,
          supersedes: [],
        });
        expect(Math.abs(hold.expiresAtMs - beforeMs - 300_000)).toBeLessThan(5000);
        expect(await under.remaining(id)).toBe(8);
      });

      it('holds places of a party with their price', async () => {
        const id = await warm(capacity);
        const request = wish(id, 3);
        expect(held((await ask(request))[0])).toMatchObject({
          ...grantedTo(request),
          versions: [],
          amount: 2100,
          supersedes: [],
        });
        expect(await under.remaining(id)).toBe(7);
      });

      it('decides one by one in order of arrival', async () => {
        const id = await warm();
        const decisions = await ask(wish(id, [1, 2]), wish(id, [2, 3]), wish(id, [3, 4]));
        expect(decisions.map(kindOf)).toEqual(['held', 'seat_taken', 'held']);
        const places = await warm(capacity);
        const parties = await ask(wish(places, 4), wish(places, 4), wish(places, 4), wish(places, 2), wish(places, 1));
        expect(parties.map(kindOf)).toEqual(['held', 'held', 'sold_out', 'held', 'sold_out']);
        expect(await under.remaining(places)).toBe(0);
      });

      it('names the seats that are taken and holds none of the others', async () => {
        const id = await warm();
        await ask(wish(id, [2, 4]));
        const [decision] = await ask(wish(id, [1, 2, 3, 4]));
        expect(decision).toMatchObject({ kind: 'refused', refusal: { code: 'seat_taken', seats: [2, 4] } });
        expect(await under.remaining(id)).toBe(8);
        expect((await ask(wish(id, [1, 3]))).map(kindOf)).toEqual(['held']);
      });

      it('names the seats that do not exist and holds none of the others', async () => {
        const id = await warm();
        const [decision] = await ask(wish(id, [1, 11, 100_000]));
        expect(decision).toMatchObject({ kind: 'refused', refusal: { code: 'seat_not_found', seats: [11, 100_000] } });
        expect((await ask(wish(id, [1]))).map(kindOf)).toEqual(['held']);
      });

      it('refuses places of numbered seats and numbers of places, saying where', async () => {
        const [withSeats, withPlaces] = [await warm(), await warm(capacity)];
        const [[party], [seats]] = [await ask(wish(withSeats, 2)), await ask(wish(withPlaces, [1]))];
        expect(party).toMatchObject({ refusal: { code: 'validation_failed', errors: [{ path: '/partySize' }] } });
        expect(seats).toMatchObject({ refusal: { code: 'validation_failed', errors: [{ path: '/seats' }] } });
      });

      it('refuses a party larger than a party may be, saying where', async () => {
        const [decision] = await ask(wish(await warm(capacity), 5));
        const errors = [{ path: '/partySize', message: 'must be 4 or less' }];
        expect(decision).toMatchObject({ refusal: { code: 'validation_failed', errors } });
      });

      it('refuses before booking opens and after it has closed', async () => {
        const hour = 3_600_000;
        const soon = await warm(seated, { bookingOpensAtMs: Date.now() + hour });
        const over = await warm(seated, {
          bookingOpensAtMs: Date.now() - 2 * hour,
          bookingClosesAtMs: Date.now() - hour,
        });
        const now = await warm(seated, { bookingOpensAtMs: Date.now() - hour, bookingClosesAtMs: Date.now() + hour });
        const kinds: (string | undefined)[] = [];
        for (const id of [soon, over, now]) kinds.push(kindOf((await ask(wish(id, [1])))[0]));
        expect(kinds).toEqual(['booking_not_open', 'booking_closed', 'held']);
      });
    });

    describe('the limit of a user', () => {
      it('is named with the reservation that stands in the way, and does not touch other users', async () => {
        const id = await warm();
        const [user, other] = [newUser(), newUser()];
        const first = wish(id, [1], user);
        const decisions = await ask(first, wish(id, [2], user), wish(id, [2], other));
        expect(decisions.map(kindOf)).toEqual(['held', 'already_reserved', 'held']);
        expect(decisions[1]).toMatchObject({ refusal: { reservationId: first.reservationId } });
      });

      it('of 2 lets a third in only after one was released', async () => {
        const id = await warm(capacity, { maxReservationsPerUser: 2 });
        const user = newUser();
        const [a, b, c] = [wish(id, 1, user), wish(id, 1, user), wish(id, 1, user)];
        expect((await ask(a, b, c)).map(kindOf)).toEqual(['held', 'held', 'already_reserved']);
        await store.release([releaseOf(a)]);
        expect((await ask(c, wish(id, 1, user))).map(kindOf)).toEqual(['held', 'already_reserved']);
        await store.release([releaseOf(c), releaseOf(b)]);
        expect((await ask(wish(id, 1, user))).map(kindOf)).toEqual(['held']);
      });

      it('counts what a load has brought, confirmed or held', async () => {
        const [confirmed, holding] = [live(null), live(60_000)];
        const id = await warm(seated, {
          changed: [seatOf(confirmed, 1, 2), seatOf(holding, 2, 1)],
          live: [confirmed, holding],
        });
        const decisions = await ask(wish(id, [3], confirmed.userId), wish(id, [3], holding.userId), wish(id, [3]));
        expect(decisions.map(kindOf)).toEqual(['already_reserved', 'already_reserved', 'held']);
      });

      it('does not count holds whose time is over', async () => {
        const lapsed = live(-1);
        const id = await warm(seated, { changed: [seatOf(lapsed, 1, 1)], live: [lapsed] });
        expect((await ask(wish(id, [5], lapsed.userId))).map(kindOf)).toEqual(['held']);
      });

      it.each([1_000_000_000, 1e15, Number.MAX_SAFE_INTEGER])(
        'holds for user %d, over a release and a load too',
        async (user) => {
          const id = await warm();
          const [a, b] = [wish(id, [1], user), wish(id, [2], user)];
          expect((await ask(a)).map(kindOf)).toEqual(['held']);
          expect((await ask(b)).map(kindOf)).toEqual(['already_reserved']);
          await store.release([releaseOf(a, [1, 2])]);
          expect((await ask(b)).map(kindOf)).toEqual(['held']);
          const holding = live(60_000, 0, user);
          const loaded = await warm(seated, { changed: [seatOf(holding, 1, 1)], live: [holding] });
          expect((await ask(wish(loaded, [2], user))).map(kindOf)).toEqual(['already_reserved']);
        },
      );
    });

    describe('the same reservation id again', () => {
      it('gives the same answer and changes nothing', async () => {
        for (const [id, what] of [
          [await warm(), [1, 2]],
          [await warm(capacity), 2],
        ] as const) {
          const request = wish(id, what);
          const [first] = await ask(request);
          const others = [wish(id, typeof what === 'number' ? 2 : [3]), wish(id, typeof what === 'number' ? 1 : [4])];
          await ask(...others);
          const remaining = await under.remaining(id);
          for (const [again] of [await ask(request), (await ask(request, request)).slice(1)]) {
            expect({ ...held(again), journal: null }).toEqual({ ...held(first), journal: null });
          }
          expect(await under.remaining(id)).toBe(remaining);
          const ids = (await journalOf(id)).map((hold) => hold.reservationId);
          expect(ids).toEqual([request, ...others].map((other) => other.reservationId));
        }
      });

      it('twice in one call is one hold', async () => {
        const id = await warm();
        const request = wish(id, [1, 2]);
        const [first, second] = await ask(request, request);
        expect({ ...held(second), journal: null }).toEqual({ ...held(first), journal: null });
        expect(await under.remaining(id)).toBe(8);
        expect(await journalOf(id)).toHaveLength(1);
      });

      it('after a refusal is decided anew', async () => {
        const id = await warm();
        const [first, second] = [wish(id, [1]), wish(id, [1])];
        expect((await ask(first, second)).map(kindOf)).toEqual(['held', 'seat_taken']);
        await store.release([releaseOf(first, [1, 2])]);
        expect(held((await ask(second))[0]).versions).toEqual([3]);
      });

      it('still says whom the hold supersedes: MySQL may not have been told', async () => {
        const lapsed = live(-1);
        const id = await warm(seated, { changed: [seatOf(lapsed, 1, 1)], live: [lapsed] });
        const request = wish(id, [1]);
        await ask(request);
        expect(held((await ask(request))[0]).supersedes).toEqual([lapsed.reservationId]);
      });
    });

    describe('a hold whose time is over', () => {
      it('is superseded by who asks for its seat; its other seats come free too', async () => {
        const lapsed = live(-1);
        const id = await warm(seated, { changed: [seatOf(lapsed, 1, 5), seatOf(lapsed, 2, 8)], live: [lapsed] });
        expect(await under.remaining(id)).toBe(8);
        const [first, second] = await ask(wish(id, [1, 3]), wish(id, [2]));
        expect(held(first)).toMatchObject({ versions: [7, 1], supersedes: [lapsed.reservationId] });
        expect(held(second)).toMatchObject({ versions: [10], supersedes: [] });
        expect(await under.remaining(id)).toBe(7);
      });

      it('is superseded once, whoever of its seats is asked for', async () => {
        const [one, two] = [live(-1), live(-1)];
        const changed = [seatOf(one, 1, 1), seatOf(one, 2, 1), seatOf(two, 3, 1)];
        const id = await warm(seated, { changed, live: [one, two] });
        const hold = held((await ask(wish(id, [1, 2, 3])))[0]);
        expect(hold.versions).toEqual([3, 3, 3]);
        expect([...hold.supersedes].sort()).toEqual([one.reservationId, two.reservationId].sort());
        expect(await under.remaining(id)).toBe(7);
      });

      it('granted by the store itself is superseded as well, in one call or the next', async () => {
        const id = await warm(seated, { holdSeconds: 0 });
        const [first, second] = await ask(wish(id, [1]), wish(id, [1]));
        expect(held(second)).toMatchObject({ versions: [3], supersedes: [held(first).reservationId] });
        const third = held((await ask(wish(id, [1, 2])))[0]);
        expect(third).toMatchObject({ versions: [5, 1], supersedes: [held(second).reservationId] });
        expect(await under.remaining(id)).toBe(8);
      });

      it('keeps its places until somebody needs them, the oldest gives way first', async () => {
        const [older, newer] = [live(-2000, 4), live(-1000, 4)];
        const id = await warm(capacity, { live: [newer, older] });
        expect(await under.remaining(id)).toBe(2);
        expect(held((await ask(wish(id, 2)))[0]).supersedes).toEqual([]);
        expect(held((await ask(wish(id, 3)))[0]).supersedes).toEqual([older.reservationId]);
        expect(held((await ask(wish(id, 4)))[0]).supersedes).toEqual([newer.reservationId]);
        expect(await under.remaining(id)).toBe(1);
      });

      it('gives way with others where one is not enough, and none does where all are not', async () => {
        const holds = [live(-3000, 2), live(-2000, 2), live(-1000, 2), live(60_000, 4)];
        const id = await warm(capacity, { live: holds });
        expect(held((await ask(wish(id, 4)))[0]).supersedes).toEqual(
          holds.slice(0, 2).map((hold) => hold.reservationId),
        );
        expect((await ask(wish(id, 3))).map(kindOf)).toEqual(['sold_out']);
        expect(held((await ask(wish(id, 2)))[0]).supersedes).toEqual([holds[2]!.reservationId]);
      });

      it('granted by the store itself gives its places to the next party', async () => {
        const id = await warm(capacity, { holdSeconds: 0 });
        const decisions = await ask(wish(id, 4), wish(id, 4), wish(id, 4));
        expect(decisions.map(kindOf)).toEqual(['held', 'held', 'held']);
        expect(held(decisions[2]).supersedes).toHaveLength(1);
        expect(await under.remaining(id)).toBe(2);
      });

      it('that was confirmed is not over', async () => {
        const confirmed = live(null);
        const id = await warm(seated, { changed: [seatOf(confirmed, 1, 2)], live: [confirmed] });
        expect((await ask(wish(id, [1]))).map(kindOf)).toEqual(['seat_taken']);
        const places = await warm(capacity, { live: [live(null, 4), live(null, 4), live(null, 2)] });
        expect((await ask(wish(places, 1))).map(kindOf)).toEqual(['sold_out']);
      });
    });

    describe('a release', () => {
      it('frees seats with the versions MySQL gave them', async () => {
        const id = await warm();
        const request = wish(id, [1, 2]);
        await ask(request);
        await store.release([releaseOf(request, [1, 6, 2, 9])]);
        expect(await under.remaining(id)).toBe(10);
        expect(held((await ask(wish(id, [1, 2])))[0]).versions).toEqual([7, 10]);
      });

      it('frees the places of a party', async () => {
        const id = await warm(capacity);
        const request = wish(id, 4);
        await ask(request, wish(id, 4));
        await store.release([releaseOf(request)]);
        expect(await under.remaining(id)).toBe(6);
      });

      it('twice does no more than once, also when the seat has a new owner by then', async () => {
        const id = await warm();
        const request = wish(id, [1]);
        await ask(request);
        await store.release([releaseOf(request, [1, 2]), releaseOf(request, [1, 2])]);
        expect(await under.remaining(id)).toBe(10);
        await ask(wish(id, [1]));
        await store.release([releaseOf(request, [1, 2])]);
        expect((await ask(wish(id, [1]))).map(kindOf)).toEqual(['seat_taken']);
        expect(await under.remaining(id)).toBe(9);
      });

      it('of a superseded hold leaves the seat to its new owner', async () => {
        const lapsed = live(-1);
        const id = await warm(seated, { changed: [seatOf(lapsed, 1, 1), seatOf(lapsed, 2, 1)], live: [lapsed] });
        await ask(wish(id, [1]));
        const release = { ...lapsed, performanceId: id, endsPass: false, seatVersions: [1, 2, 2, 2] };
        await store.release([release]);
        expect((await ask(wish(id, [1]))).map(kindOf)).toEqual(['seat_taken']);
        expect(held((await ask(wish(id, [2])))[0]).versions).toEqual([3]);
        expect(await under.remaining(id)).toBe(8);
      });

      it('of many performances reaches each of them', async () => {
        const ids = [await warm(), await warm(), newPerformanceId()];
        const requests = ids.map((id) => wish(id, [1]));
        for (const request of requests) await ask(request);
        await store.release(requests.map((request) => releaseOf(request, [1, 2])));
        expect([await under.remaining(ids[0]!), await under.remaining(ids[1]!)]).toEqual([10, 10]);
        await store.release([]);
      });

      it('of a confirmed reservation frees its seats too: a refund', async () => {
        const confirmed = live(null);
        const id = await warm(seated, { changed: [seatOf(confirmed, 1, 2)], live: [confirmed] });
        await store.release([{ ...confirmed, performanceId: id, endsPass: false, seatVersions: [1, 3] }]);
        expect(held((await ask(wish(id, [1])))[0]).versions).toEqual([4]);
      });

      it('while the performance is cold is not missed by a load under way that has read MySQL before', async () => {
        const holding = live(60_000);
        const id = newPerformanceId();
        const stale = seated(id, { changed: [seatOf(holding, 1, 1)], live: [holding] });
        const finish = await under.startLoad(id);
        await store.release([{ ...holding, performanceId: id, endsPass: false, seatVersions: [1, 2] }]);
        expect(await finish(stale)).toBe('warmed');
        expect(await under.remaining(id)).toBe(10);
        expect(held((await ask(wish(id, [1])))[0]).versions).toEqual([3]);
      });

      it('while the performance is cold changes nothing of a load that has read MySQL after', async () => {
        const [first, second] = [live(60_000), live(60_000)];
        const id = newPerformanceId();
        await store.release([{ ...first, performanceId: id, endsPass: false, seatVersions: [1, 2] }]);
        expect(await load(seated(id, { changed: [seatOf(second, 1, 3)], live: [second] }))).toBe('warmed');
        expect(await under.remaining(id)).toBe(9);
        expect((await ask(wish(id, [1]))).map(kindOf)).toEqual(['seat_taken']);
      });

      it('of places, while the performance is cold, is not missed either', async () => {
        const party = live(60_000, 4);
        const id = newPerformanceId();
        const finish = await under.startLoad(id);
        await store.release([{ ...party, performanceId: id, endsPass: false, seatVersions: [] }]);
        expect(await finish(capacity(id, { live: [party] }))).toBe('warmed');
        expect(await under.remaining(id)).toBe(10);
      });

      it('of a hold that only the journal has, while the performance is cold, is not missed either', async () => {
        const id = await warm();
        const request = wish(id, [1]);
        held((await ask(request))[0]);
        await store.cool(id, []);
        const finish = await under.startLoad(id);
        await store.release([releaseOf(request, [1, 2])]);
        expect(await finish(seated(id))).toBe('warmed');
        expect(await under.remaining(id)).toBe(10);
        expect(held((await ask(wish(id, [1])))[0]).versions).toEqual([3]);
      });

      it('of many while a load is under way does not keep the load from its end', async () => {
        const id = newPerformanceId();
        const holders = Array.from({ length: 10 }, () => live(60_000));
        const changed = holders.map((each, i) => seatOf(each, i + 1, 1));
        const finish = await under.startLoad(id);
        for (const [i, each] of holders.slice(0, 8).entries()) {
          if (i % 2 === 0) {
            await store.release([{ ...each, performanceId: id, endsPass: false, seatVersions: [i + 1, 2] }]);
          } else {
            await store.confirm([{ ...each, performanceId: id, seatVersions: [i + 1, 2] }]);
          }
        }
        expect(await finish(seated(id, { changed, live: holders }))).toBe('warmed');
        expect(await under.remaining(id)).toBe(4);
        const asked = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((seat) => wish(id, [seat]));
        const free = ['held', 'seat_taken'];
        expect((await ask(...asked)).map(kindOf)).toEqual([
          ...free,
          ...free,
          ...free,
          ...free,
          'seat_taken',
          'seat_taken',
        ]);
      });
    });

    describe('cooling', () => {
      it('takes the refused holds back and leaves the performance to be loaded', async () => {
        const id = await warm();
        const [refused, kept] = [wish(id, [1, 2]), wish(id, [3])];
        const decisions = await ask(refused, kept);
        await store.cool(id, [refused.reservationId]);
        await store.forget([held(decisions[0])]);
        expect((await ask(wish(id, [1]))).map(kindOf)).toEqual(['cold']);
        // MySQL has moved seat 1 on, and the journal still has the other hold.
        const changed = [{ seat: 1, status: SeatStatus.AVAILABLE, version: 6, reservationId: null }];
        expect(await load(seated(id, { changed }))).toBe('warmed');
        expect((await ask(wish(id, [3]))).map(kindOf)).toEqual(['seat_taken']);
        expect(held((await ask(wish(id, [1])))[0]).versions).toEqual([7]);
      });

      it('twice, or of holds unknown by now, does no harm', async () => {
        const id = await warm();
        const request = wish(id, [1]);
        await ask(request);
        await store.cool(id, [request.reservationId]);
        await store.cool(id, [request.reservationId, newReservationId()]);
        await store.cool(newPerformanceId(), [newReservationId()]);
        await store.cool(id, []);
        expect((await ask(wish(id, [1]))).map(kindOf)).toEqual(['cold']);
      });
    });

    describe('the journal', () => {
      it('gives every hold as it was granted, the oldest first, until it is forgotten', async () => {
        const lapsed = live(-1);
        const id = await warm(seated, { changed: [seatOf(lapsed, 1, 1)], live: [lapsed] });
        const holds = [
          ...(await ask(wish(id, [1, 2], Number.MAX_SAFE_INTEGER), wish(id, [3]))),
          ...(await ask(wish(id, [4]))),
        ].map(held);
        expect(await journalOf(id)).toEqual(holds.map(journalled));
        await store.forget(holds.slice(0, 2));
        expect(await journalOf(id)).toEqual(holds.slice(2).map(journalled));
        await store.forget(holds.slice(2));
        expect(await journalOf(id)).toEqual([]);
      });

      it('gives parties as they were granted', async () => {
        const id = await warm(capacity);
        const holds = (await ask(wish(id, 1), wish(id, 4))).map(held);
        expect(await journalOf(id)).toEqual(holds.map(journalled));
        await store.forget(await journalOf(id));
        expect(await journalOf(id)).toEqual([]);
      });

      it('keeps a hold until all of it that is open has been forgotten', async () => {
        const id = await warm();
        const holds = (await ask(wish(id, [1]), wish(id, [2]), wish(id, [3]))).map(held);
        await store.forget(holds.slice(1, 2));
        const open = (await journalOf(id)).map((hold) => hold.reservationId);
        expect(open).toEqual(expect.arrayContaining([holds[0]!.reservationId, holds[2]!.reservationId]));
        await store.forget([holds[0]!, holds[2]!]);
        expect(await journalOf(id)).toEqual([]);
      });

      it('keeps nothing of what was refused', async () => {
        const id = await warm();
        await ask(wish(id, [11]), wish(id, 1));
        expect(await journalOf(id)).toEqual([]);
      });

      it('gives only entries as old as asked for', async () => {
        const id = await warm();
        await ask(wish(id, [1]));
        const old = await store.journal(60_000, 1000);
        expect(old.filter((hold) => hold.performanceId === id)).toEqual([]);
      });

      it('gives at most so many entries a performance', async () => {
        const id = await warm();
        for (const seat of [1, 2, 3]) await ask(wish(id, [seat]));
        const few = (await store.journal(0, 2)).filter((hold) => hold.performanceId === id);
        expect(few.map((hold) => hold.seats)).toEqual([[1], [2]]);
      });

      it('gives the holds of a performance that is cold by now', async () => {
        const id = await warm();
        const hold = held((await ask(wish(id, [1])))[0]);
        await store.cool(id, []);
        expect(await journalOf(id)).toEqual([journalled(hold)]);
        await store.forget([hold]);
      });
    });

    describe('a load', () => {
      it('of a warm performance changes nothing', async () => {
        const id = await warm();
        const finish = await under.startLoad(id);
        await ask(wish(id, [1]));
        expect(await finish(seated(id))).toBe('already');
        expect((await ask(wish(id, [1]))).map(kindOf)).toEqual(['seat_taken']);
      });

      it('replays the holds of the journal that the snapshot does not have', async () => {
        const [withSeats, withPlaces] = [await warm(), await warm(capacity)];
        const [seats, party] = [wish(withSeats, [1, 2]), wish(withPlaces, 4)];
        const first = held((await ask(seats))[0]);
        await ask(party);
        for (const id of [withSeats, withPlaces]) await store.cool(id, []);
        await load(seated(withSeats));
        await load(capacity(withPlaces));
        expect([await under.remaining(withSeats), await under.remaining(withPlaces)]).toEqual([8, 6]);
        const decisions = await ask(wish(withSeats, [2]), wish(withSeats, [5], seats.userId), seats);
        expect(decisions.map(kindOf)).toEqual(['seat_taken', 'already_reserved', 'held']);
        expect({ ...held(decisions[2]), journal: null }).toEqual({ ...first, journal: null });
        expect((await ask(wish(withPlaces, 1, party.userId))).map(kindOf)).toEqual(['already_reserved']);
        await store.release([releaseOf(seats, [1, 2, 2, 2]), releaseOf(party)]);
        expect([await under.remaining(withSeats), await under.remaining(withPlaces)]).toEqual([10, 10]);
      });

      it('does not replay what the snapshot has', async () => {
        const [withSeats, withPlaces] = [await warm(), await warm(capacity)];
        const [seats, party] = [wish(withSeats, [1, 2]), wish(withPlaces, 4)];
        await ask(seats);
        await ask(party);
        for (const id of [withSeats, withPlaces]) await store.cool(id, []);
        const holding = { ...seats, remainingMs: 60_000 };
        await load(seated(withSeats, { changed: [seatOf(holding, 1, 1), seatOf(holding, 2, 1)], live: [holding] }));
        await load(capacity(withPlaces, { live: [{ ...party, remainingMs: null }] }));
        expect([await under.remaining(withSeats), await under.remaining(withPlaces)]).toEqual([8, 6]);
        await store.release([releaseOf(seats, [1, 2, 2, 2])]);
        expect(held((await ask(wish(withSeats, [1, 2], seats.userId)))[0]).versions).toEqual([3, 3]);
      });

      it('does not replay seats that MySQL has moved on since', async () => {
        const id = await warm();
        await ask(wish(id, [1]));
        await store.cool(id, []);
        const changed = [{ seat: 1, status: SeatStatus.AVAILABLE, version: 2, reservationId: null }];
        await load(seated(id, { changed }));
        expect(held((await ask(wish(id, [1])))[0]).versions).toEqual([3]);
      });

      it('replays a hold over the one it supersedes, which the snapshot still has', async () => {
        const lapsed = live(-1);
        const snapshot = { changed: [seatOf(lapsed, 1, 1), seatOf(lapsed, 2, 1)], live: [lapsed] };
        const id = await warm(seated, snapshot);
        expect(held((await ask(wish(id, [1])))[0]).supersedes).toEqual([lapsed.reservationId]);
        await store.cool(id, []);
        await load(seated(id, snapshot));
        expect((await ask(wish(id, [1]))).map(kindOf)).toEqual(['seat_taken']);
        expect(await under.remaining(id)).toBe(9);
      });

      it('replays a party over those it supersedes, which the snapshot still has', async () => {
        const lapsed = [live(-1, 4), live(-1, 4)];
        const id = await warm(capacity, { live: lapsed });
        expect(held((await ask(wish(id, 3)))[0]).supersedes).toHaveLength(1);
        await store.cool(id, []);
        await load(capacity(id, { live: lapsed }));
        expect(await under.remaining(id)).toBe(3);
      });

      it('is void when a hold that its snapshot lacks was committed and forgotten meanwhile', async () => {
        const id = await warm();
        const hold = held((await ask(wish(id, [1])))[0]);
        await store.cool(id, []);
        const finish = await under.startLoad(id);
        // Here the snapshot is read; then the hold is committed, and its journal entry removed.
        await store.forget([hold]);
        expect(await finish(seated(id))).toBe('void');
      });

      it('begun before another one was finished and cooled leaves nothing of itself', async () => {
        const id = newPerformanceId();
        const early = await under.startLoad(id);
        const late = await under.startLoad(id);
        expect(await late(seated(id))).toBe('warmed');
        expect(await early(seated(id, { price: 1 }))).toBe('already');
        expect(held((await ask(wish(id, [1])))[0]).amount).toBe(700);
      });

      it('of 20,000 changed seats is whole', async () => {
        const id = newPerformanceId();
        const holding = live(60_000);
        const changed = Array.from({ length: 20_000 }, (_, i) => seatOf(holding, i + 1, 1));
        const seating = { kind: 'seated', seats: 30_000, seatsPerRow: 100 } as const;
        await load(seated(id, { seating, changed, live: [holding] }));
        expect(await under.remaining(id)).toBe(10_000);
        const decisions = await ask(wish(id, [1]), wish(id, [20_000]), wish(id, [20_001]), wish(id, [30_000]));
        expect(decisions.map(kindOf)).toEqual(['seat_taken', 'seat_taken', 'held', 'held']);
      });
    });

    it('that has lost everything is cold, and whole again after a load', async () => {
      const id = await warm();
      const request = wish(id, [1]);
      await ask(request, wish(id, [2]));
      await under.loseEverything();
      expect((await ask(wish(id, [1]))).map(kindOf)).toEqual(['cold']);
      expect(await journalOf(id)).toEqual([]);
      await store.forget([]);
      // MySQL had one of the two.
      const holding = { ...request, remainingMs: 60_000 };
      expect(await load(seated(id, { changed: [seatOf(holding, 1, 1)], live: [holding] }))).toBe('warmed');
      const decisions = await ask(wish(id, [1]), wish(id, [2]));
      expect(decisions.map(kindOf)).toEqual(['seat_taken', 'held']);
    });
  });
}

const room: Room = {
  revision: 1,
  mode: 'on',
  admitPerSecond: 1000,
  maxActive: 1000,
  passSeconds: 60,
  opensAtMs: null,
  drawBeforeOpen: false,
  issued: 0,
};

export function holdPassContract(name: string, makeStore: () => Promise<PassesUnderTest>): void {
  describe(`${name} as a hold store behind a waiting room`, () => {
    let under: PassesUnderTest;
    let store: HoldStore;
    beforeAll(async () => {
      under = await makeStore();
      store = under.store;
    });
    afterAll(() => under.close());

    async function ask(...requests: readonly HoldRequest[]): Promise<HoldDecision[]> {
      const { performanceId } = requests[0]!;
      return (await store.hold([{ performanceId, requests }]))[0]!;
    }
    async function kindsOf(...requests: readonly HoldRequest[]): Promise<(string | undefined)[]> {
      return (await ask(...requests)).map(kindOf);
    }
    async function load(id: number, make: typeof seated, fields: SnapshotFields, settings: Partial<Room>) {
      const finish = await under.startLoad(id);
      expect(await finish({ ...make(id, fields), room: { ...room, ...settings } })).toBe('warmed');
    }
    /** A warm performance with a room; two reservations a user, so that the pass and not the limit decides. */
    async function warm(make: typeof seated = seated, fields: SnapshotFields = {}, settings: Partial<Room> = {}) {
      const id = newPerformanceId();
      await load(id, make, { maxReservationsPerUser: 2, ...fields }, settings);
      return id;
    }
    async function serve(kind: PlaceRequest['kind'], performanceId: number, userId: number, arrival = 0) {
      const requests = [{ kind, performanceId, userId, arrival, number: 0 }];
      return (await under.rooms.serve([{ performanceId, requests }]))[0]![0]!;
    }
    async function join(id: number, userId: number): Promise<number> {
      const place = await serve('join', id, userId);
      if (place.status !== 'waiting') throw new Error(`does not wait: ${JSON.stringify(place)}`);
      return place.arrival;
    }
    /** One round of admission, so long after the one before. */
    async function round(id: number, afterMs = 500): Promise<void> {
      await under.passTime(id, afterMs);
      await under.rooms.admit(500);
    }
    /** Somebody inside; the number is the pass. */
    async function inside(id: number, userId = newUser()): Promise<{ userId: number; pass: number; arrival: number }> {
      const arrival = await join(id, userId);
      await round(id);
      const place = await serve('look', id, userId, arrival);
      if (place.status !== 'admitted') throw new Error(`is not inside: ${JSON.stringify(place)}`);
      return { userId, pass: place.number, arrival };
    }
    const look = (id: number, guest: { readonly userId: number; readonly arrival: number }): Promise<PlaceDecision> =>
      serve('look', id, guest.userId, guest.arrival);
    /** A wish with a pass. */
    function passed(id: number, what: readonly number[] | number, guest: { userId: number; pass: number }) {
      return { ...wish(id, what, guest.userId), pass: guest.pass };
    }

    it('a hold without a pass is refused, one with the user’s own is granted', async () => {
      const [withSeats, withPlaces] = [await warm(), await warm(capacity)];
      const [guest, visitor] = [await inside(withSeats), await inside(withPlaces)];
      expect(await kindsOf(wish(withSeats, [1], guest.userId))).toEqual(['queue_pass_required']);
      expect(await kindsOf(wish(withPlaces, 1))).toEqual(['queue_pass_required']);
      const request = passed(withSeats, [1, 2], guest);
      expect(held((await ask(request))[0])).toMatchObject(grantedTo(request));
      expect(await kindsOf(passed(withPlaces, 3, visitor))).toEqual(['held']);
      expect([await under.remaining(withSeats), await under.remaining(withPlaces)]).toEqual([8, 7]);
    });

    it('a hold with a forged pass, or with the number of another one, is refused', async () => {
      const id = await warm();
      const [mine, other] = [await inside(id), await inside(id)];
      const passes = [-1, other.pass, mine.pass + 100, 0.5];
      const requests = passes.map((pass) => passed(id, [1], { ...mine, pass }));
      expect(await kindsOf(...requests)).toEqual(passes.map(() => 'queue_pass_invalid'));
      expect(await kindsOf(passed(id, [1], { ...other, userId: newUser() }))).toEqual(['queue_pass_invalid']);
      expect(await kindsOf(passed(id, [1], mine), passed(id, [2], other))).toEqual(['held', 'held']);
    });

    it('the number of somebody who waits, is early or has left is no pass', async () => {
      const [paused, soon] = [
        await warm(seated, {}, { admitPerSecond: 0 }),
        await warm(seated, {}, { opensAtMs: Date.now() + 3_600_000, drawBeforeOpen: true }),
      ];
      const [waiting, early] = [newUser(), newUser()];
      const number = await join(paused, waiting);
      const arrival = await join(soon, early);
      expect(await kindsOf(passed(paused, [1], { userId: waiting, pass: number }))).toEqual(['queue_pass_invalid']);
      expect(await kindsOf(passed(soon, [1], { userId: early, pass: arrival }))).toEqual(['queue_pass_invalid']);
      const id = await warm();
      const guest = await inside(id);
      await serve('leave', id, guest.userId, guest.arrival);
      expect(await kindsOf(passed(id, [1], guest))).toEqual(['queue_pass_invalid']);
    });

    it('the pass of a place that was given up does not serve the next one', async () => {
      const id = await warm();
      const old = await inside(id);
      await serve('leave', id, old.userId, old.arrival);
      const anew = await inside(id, old.userId);
      expect(await kindsOf(passed(id, [1], old), passed(id, [1], anew))).toEqual(['queue_pass_invalid', 'held']);
    });

    it('a pass is over when its time is, though no round has noticed', async () => {
      const id = await warm(seated, {}, { passSeconds: 10 });
      const [early, late] = [await inside(id), await inside(id)];
      await under.passTime(id, 8000);
      expect(await kindsOf(passed(id, [1], early))).toEqual(['held']);
      await under.passTime(id, 3000);
      expect(await kindsOf(passed(id, [2], late))).toEqual(['queue_pass_invalid']);
    });

    it('one pass makes one reservation, however many ask with it at once', async () => {
      const id = await warm(capacity, { maxReservationsPerUser: 500, seating: placesFor(1000) });
      const guest = await inside(id);
      const requests = Array.from({ length: 500 }, () => passed(id, 1, guest));
      const groups = [requests.slice(0, 200), requests.slice(200, 201), requests.slice(201)];
      const decisions = await Promise.all(groups.map((part) => store.hold([{ performanceId: id, requests: part }])));
      const kinds = decisions.flat(2).map(kindOf);
      expect(kinds.filter((kind) => kind === 'held')).toHaveLength(1);
      expect(kinds.filter((kind) => kind === 'queue_pass_invalid')).toHaveLength(499);
      expect(await under.remaining(id)).toBe(999);
    });

    it('a pass is not used by a hold that is refused', async () => {
      const id = await warm();
      const [one, two] = [await inside(id), await inside(id)];
      const kinds = await kindsOf(
        passed(id, [1], one),
        passed(id, [1], two),
        passed(id, [99], two),
        passed(id, 1, two),
        passed(id, [2], two),
      );
      expect(kinds).toEqual(['held', 'seat_taken', 'seat_not_found', 'validation_failed', 'held']);
    });

    it('the same reservation again is answered as before, used pass or not, over or not', async () => {
      const id = await warm(seated, {}, { passSeconds: 10 });
      const guest = await inside(id);
      const request = passed(id, [1, 2], guest);
      const [first, second] = await ask(request, request);
      expect({ ...held(second), journal: null }).toEqual({ ...held(first), journal: null });
      await under.passTime(id, 600_000);
      expect(await kindsOf(request, { ...request, pass: 0 })).toEqual(['held', 'held']);
      expect(await under.remaining(id)).toBe(8);
    });

    it('a hold that MySQL refused gives the pass back to the user', async () => {
      const id = await warm();
      const guest = await inside(id);
      const request = passed(id, [1], guest);
      const hold = held((await ask(request))[0]);
      await store.cool(id, [request.reservationId]);
      await store.forget([hold]);
      await load(id, seated, { maxReservationsPerUser: 2 }, {});
      expect(await kindsOf(passed(id, [2], guest), passed(id, [3], guest))).toEqual(['held', 'queue_pass_invalid']);
    });

    it('a hold that a load brings back from the journal still uses the pass', async () => {
      const id = await warm();
      const guest = await inside(id);
      await ask(passed(id, [1], guest));
      await store.cool(id, []);
      await load(id, seated, { maxReservationsPerUser: 2 }, {});
      expect(await kindsOf(passed(id, [2], guest))).toEqual(['queue_pass_invalid']);
    });

    it('a hold whose time is over leaves the pass to the user', async () => {
      const id = await warm(seated, { holdSeconds: 0 });
      const guest = await inside(id);
      const [first, second] = [passed(id, [1], guest), passed(id, [2], guest)];
      expect(await kindsOf(first, second)).toEqual(['held', 'held']);
      await store.release([releaseOf(first, [1, 2])]);
      expect(await kindsOf(passed(id, [3], guest))).toEqual(['held']);
      expect(await look(id, guest)).toMatchObject({ status: 'admitted', number: guest.pass });
    });

    it('an expired reservation that is released leaves the pass to the user too', async () => {
      const id = await warm();
      const guest = await inside(id);
      const request = passed(id, [1], guest);
      await ask(request);
      await store.release([releaseOf(request, [1, 2])]);
      expect(await kindsOf(passed(id, [2], guest))).toEqual(['held']);
    });

    it('a cancelled reservation ends the pass, and the next one comes in', async () => {
      const id = await warm(seated, {}, { maxActive: 1 });
      const guest = await inside(id);
      const next = { userId: newUser(), arrival: 0 };
      next.arrival = await join(id, next.userId);
      const request = passed(id, [1], guest);
      await ask(request);
      await round(id);
      expect(await look(id, next)).toMatchObject({ status: 'waiting', position: 1 });
      const release = { ...releaseOf(request, [1, 2]), endsPass: true };
      await store.release([release]);
      await store.release([release]);
      expect(await look(id, guest)).toEqual({ status: 'left' });
      expect(await kindsOf(passed(id, [2], guest))).toEqual(['queue_pass_invalid']);
      await round(id);
      expect(await look(id, next)).toMatchObject({ status: 'admitted' });
      expect(await under.rooms.state(id)).toMatchObject({ active: 1 });
    });

    it('a cancelled reservation ends the pass though the performance is cold', async () => {
      const id = await warm();
      const guest = await inside(id);
      const request = passed(id, [1], guest);
      const hold = held((await ask(request))[0]);
      await store.cool(id, []);
      await store.release([{ ...releaseOf(request, [1, 2]), endsPass: true }]);
      await store.forget([hold]);
      await load(id, seated, { maxReservationsPerUser: 2 }, {});
      expect(await kindsOf(passed(id, [2], guest))).toEqual(['queue_pass_invalid']);
      expect(await look(id, guest)).toEqual({ status: 'left' });
    });

    it('a reservation that is cancelled ends no pass but its own', async () => {
      const id = await warm();
      const guest = await inside(id);
      const [first, second] = [passed(id, [1], guest), passed(id, [2], guest)];
      await ask(first);
      await store.release([releaseOf(first, [1, 2])]);
      await ask(second);
      await store.release([{ ...releaseOf(first, [1, 2]), endsPass: true }]);
      await store.release([{ ...releaseOf(wish(id, [5], guest.userId)), endsPass: true }]);
      expect(await look(id, guest)).toMatchObject({ status: 'admitted' });
      await store.release([{ ...releaseOf(second, [2, 2]), endsPass: true }]);
      expect(await look(id, guest)).toEqual({ status: 'left' });
    });

    it.each<[string, (id: number, guest: { userId: number; arrival: number }) => Promise<unknown>]>([
      ['was given back', (id, guest) => serve('leave', id, guest.userId, guest.arrival)],
      [
        'ended, found by a look',
        async (id, guest) => {
          await under.passTime(id, 600_000);
          expect(await look(id, guest)).toEqual({ status: 'expired' });
        },
      ],
      ['ended, found by a round', (id) => round(id, 600_000)],
    ])('a pass is not used by what was held with the one before, which %s', async (_, end) => {
      const id = await warm();
      const guest = await inside(id);
      await ask(passed(id, [1], guest));
      await end(id, guest);
      const anew = await inside(id, guest.userId);
      expect(anew.pass).toBeGreaterThan(guest.pass);
      expect(await kindsOf(passed(id, [2], anew))).toEqual(['held']);
    });

    it('whoever holds is inside until the hold ends, however short the pass is', async () => {
      const id = await warm(seated, { holdSeconds: 300 }, { passSeconds: 10, maxActive: 1 });
      const guest = await inside(id);
      const next = { userId: newUser(), arrival: 0 };
      next.arrival = await join(id, next.userId);
      const { expiresAtMs } = held((await ask(passed(id, [1], guest)))[0]);
      expect(await look(id, guest)).toMatchObject({ passEndsAtMs: expiresAtMs });
      for (let i = 0; i < 58; i++) {
        await round(id, 5000);
        await look(id, next);
      }
      expect(await look(id, guest)).toMatchObject({ status: 'admitted' });
      expect(await look(id, next)).toMatchObject({ status: 'waiting', position: 1 });
      for (let i = 0; i < 3; i++) await round(id, 5000);
      expect(await look(id, guest)).toEqual({ status: 'expired' });
      expect(await look(id, next)).toMatchObject({ status: 'admitted' });
    });

    it('a pass that is longer than the hold keeps its own end', async () => {
      const id = await warm(seated, { holdSeconds: 10 }, { passSeconds: 3600 });
      const guest = await inside(id);
      const before = await look(id, guest);
      await ask(passed(id, [1], guest));
      expect(await look(id, guest)).toEqual(before);
    });

    it('no pass is needed while the room is off, and one is as soon as it is on', async () => {
      const id = await warm(seated, { maxReservationsPerUser: 9 }, { mode: 'off' });
      expect(await kindsOf(wish(id, [1]), { ...wish(id, [2]), pass: -1 })).toEqual(['held', 'held']);
      await under.rooms.configure(id, { ...room, revision: 2 });
      expect(await kindsOf(wish(id, [3]), { ...wish(id, [3]), pass: -1 })).toEqual([
        'queue_pass_required',
        'queue_pass_invalid',
      ]);
      const guest = await inside(id);
      expect(await kindsOf(passed(id, [3], guest))).toEqual(['held']);
      await under.rooms.configure(id, { ...room, revision: 3, mode: 'off' });
      expect(await kindsOf(passed(id, [4], guest), wish(id, [5], guest.userId))).toEqual(['held', 'held']);
    });

    it.each([1_000_000_000, 1e15, Number.MAX_SAFE_INTEGER])('the pass of user %d is theirs', async (userId) => {
      const id = await warm();
      const guest = await inside(id, userId);
      const neighbour = { ...guest, userId: userId - 1 };
      const request = passed(id, [1], guest);
      expect(await kindsOf(passed(id, [1], neighbour), request)).toEqual(['queue_pass_invalid', 'held']);
      expect(await kindsOf(passed(id, [2], guest))).toEqual(['queue_pass_invalid']);
      await store.release([{ ...releaseOf(request, [1, 2]), endsPass: true }]);
      expect(await look(id, guest)).toEqual({ status: 'left' });
    });
  });
}

function placesFor(count: number): Performance['seating'] {
  return { kind: 'capacity', capacity: count, maxPartySize: 4 };
}
