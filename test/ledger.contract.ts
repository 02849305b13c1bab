/** What every Ledger promises: run against a real MySQL, and against the fake that the simulation uses. */
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newReservationId } from '../src/domain/ids.ts';
import type { PerformancePlan, Seating } from '../src/domain/performance.ts';
import { type Hold, type Release, type ReservationStatus, SeatStatus } from '../src/domain/reservation.ts';
import type { SeatState, Snapshot } from '../src/domain/snapshot.ts';
import type { Ledger, MoneyLedger } from '../src/domain/stores.ts';

/** A seat that is not as it was created, and who owns it. */
interface ChangedSeat extends SeatState {
  readonly reservationId: string | null;
}

/** What every contract of a ledger needs beside what it tests. */
export interface PlacesUnderTest {
  /** Makes a performance; returns its id. */
  create(plan: PerformancePlan): Promise<number>;
  snapshot(performanceId: number): Promise<Snapshot | null>;
  close(): Promise<void>;
}

export interface LedgerUnderTest extends PlacesUnderTest {
  readonly ledger: Ledger;
  /** Sells and cancels what the ledger holds. */
  readonly money: MoneyLedger;
  /** Free places of a capacity performance, by the guard itself. */
  remaining(performanceId: number): Promise<number>;
  status(reservationId: string): Promise<ReservationStatus | null>;
  /** Ends the time of a held reservation: the older `agoMs`, the longer it is over. */
  lapse(reservationId: string, agoMs?: number): Promise<void>;
}

export function planOf(seating: Seating): PerformancePlan {
  return {
    eventId: 1,
    startsAtMs: Date.UTC(2000, 0, 1),
    bookingOpensAtMs: null,
    bookingClosesAtMs: Date.UTC(2000, 0, 1, 12, 30, 0, 123),
    price: 100,
    holdSeconds: 300,
    maxReservationsPerUser: 1,
    seating,
  };
}

export const hallPlan = planOf({ kind: 'seated', seats: 20, seatsPerRow: 10 });

export function clubPlan(capacity: number): PerformancePlan {
  return planOf({ kind: 'capacity', capacity, maxPartySize: 10 });
}

export function newUser(): number {
  return randomInt(1, 1e12);
}

/** `seat: state@version` for each seat that has ever changed. */
export function told(seats: readonly SeatState[]): string[] {
  return seats.map(({ seat, status, version }) => `${seat}: ${Object.keys(SeatStatus)[status]}@${version}`);
}

/** A hold as Redis grants it: of seats `seat -> version`, or of places. */
export function grant(
  performanceId: number,
  what: Readonly<Record<number, number>> | number,
  supersedes: string[] = [],
): Hold {
  const seats = typeof what === 'number' ? [] : Object.keys(what).map(Number);
  return {
    reservationId: newReservationId(),
    performanceId,
    userId: newUser(),
    seats,
    partySize: typeof what === 'number' ? what : 0,
    versions: typeof what === 'number' ? [] : seats.map((seat) => what[seat]!),
    amount: 100,
    holdMs: 300_000,
    expiresAtMs: Date.now() + 300_000,
    journal: null,
    supersedes,
  };
}

export function ledgerContract(name: string, makeLedger: () => Promise<LedgerUnderTest>): void {
  describe(`${name} as a ledger`, () => {
    let under: LedgerUnderTest;
    let ledger: Ledger;
    beforeAll(async () => {
      under = await makeLedger();
      ledger = under.ledger;
    });
    afterAll(() => under.close());

    const capacity = (places: number): Promise<number> => under.create(clubPlan(places));
    async function seatsOf(performanceId: number): Promise<ChangedSeat[]> {
      const { seats, ownerOf } = (await under.snapshot(performanceId))!;
      return seats.map((seat) => ({ ...seat, reservationId: ownerOf.get(seat.seat) ?? null }));
    }
    const cancel = (reservationId: string): Promise<Release | null> => under.money.cancelHeld(reservationId);
    /** Pays it: the reservation is confirmed, its seats are occupied at their next version. */
    async function confirm({ reservationId, userId, amount }: Hold): Promise<void> {
      await under.money.charge(userId, amount, newReservationId());
      expect(await under.money.pay(reservationId, userId)).toMatchObject({ kind: 'paid' });
    }
    const statuses = (...holds: readonly Hold[]) => Promise.all(holds.map((hold) => under.status(hold.reservationId)));
    /** What `expireDue` gives back of these performances; others may have left something too. */
    async function expire(...performanceIds: readonly number[]): Promise<Release[]> {
      return (await ledger.expireDue(1000)).filter(({ performanceId }) => performanceIds.includes(performanceId));
    }

    describe('storing holds', () => {
      it('takes seats and places, and knows the reservations then', async () => {
        const [hall, club] = [await under.create(hallPlan), await capacity(10)];
        const holds = [grant(hall, { 2: 1, 5: 1 }), grant(club, 3), grant(hall, { 1: 1 }), grant(club, 4)];
        expect(await ledger.persistHolds(holds)).toEqual(holds.map(() => 'persisted'));
        expect(told(await seatsOf(hall))).toEqual(['1: HELD@1', '2: HELD@1', '5: HELD@1']);
        expect((await seatsOf(hall)).map((seat) => seat.reservationId)).toEqual([
          holds[2]!.reservationId,
          holds[0]!.reservationId,
          holds[0]!.reservationId,
        ]);
        expect(await under.remaining(club)).toBe(3);
        expect(await statuses(...holds)).toEqual(holds.map(() => 'HELD'));
        expect(await ledger.persistHolds([])).toEqual([]);
        expect(ledger.isAvailable()).toBe(true);
      });

      it('twice is the same as once, alone or with new ones', async () => {
        const [hall, club] = [await under.create(hallPlan), await capacity(10)];
        const [a, b, c, d] = [grant(hall, { 1: 1 }), grant(club, 3), grant(hall, { 2: 1 }), grant(club, 8)];
        await ledger.persistHolds([a, b]);
        expect(await ledger.persistHolds([a, b])).toEqual(['persisted', 'persisted']);
        expect(await ledger.persistHolds([c, a, d, b])).toEqual(['persisted', 'persisted', 'conflict', 'persisted']);
        expect(told(await seatsOf(hall))).toEqual(['1: HELD@1', '2: HELD@1']);
        expect(await under.remaining(club)).toBe(7);
      });

      it('writes a party down as expired whose time was over before, though its places are taken by now', async () => {
        const club = await capacity(4);
        const [late, taker, other] = [
          { ...grant(club, 3), holdMs: 0 },
          grant(club, 3, []),
          { ...grant(club, 4), holdMs: -1 },
        ];
        expect(await ledger.persistHolds([taker, late])).toEqual(['persisted', 'over']);
        expect(await ledger.persistHolds([other])).toEqual(['over']);
        expect(await ledger.persistHolds([late, taker, other])).toEqual(['over', 'persisted', 'over']);
        expect(await statuses(taker, late, other)).toEqual(['HELD', 'EXPIRED', 'EXPIRED']);
        expect(await under.remaining(club)).toBe(1);
        expect(await expire(club)).toEqual([]);
      });

      it('twice at the same time is the same as once', async () => {
        const [hall, club] = [await under.create(hallPlan), await capacity(10)];
        const holds = [grant(hall, { 1: 1, 2: 1 }), grant(club, 3)];
        const results = await Promise.all([1, 2, 3, 4].map(() => ledger.persistHolds(holds)));
        for (const result of results) expect(result).toEqual(['persisted', 'persisted']);
        expect(told(await seatsOf(hall))).toEqual(['1: HELD@1', '2: HELD@1']);
        expect(await under.remaining(club)).toBe(7);
      });

      it('stores a hold granted anew under the same id, though its old grant comes along', async () => {
        const hall = await under.create(hallPlan);
        const old = grant(hall, { 1: 7 });
        const anew = { ...old, versions: [1] };
        await ledger.persistHolds([old, anew]);
        expect(await ledger.persistHolds([anew])).toEqual(['persisted']);
        expect(told(await seatsOf(hall))).toEqual(['1: HELD@1']);
      });

      it('that was given up since is not called persisted: its places may be somebody else’s', async () => {
        const [hall, club] = [await under.create(hallPlan), await capacity(10)];
        const [cancelled, expired] = [grant(hall, { 1: 1 }), grant(club, 3)];
        await ledger.persistHolds([cancelled, expired]);
        await cancel(cancelled.reservationId);
        await under.lapse(expired.reservationId);
        await expire(club);
        expect(await ledger.persistHolds([{ ...cancelled, versions: [3] }, expired])).not.toContain('persisted');
      });

      it('of a confirmed reservation again is the same as once', async () => {
        const hall = await under.create(hallPlan);
        const hold = grant(hall, { 1: 1 });
        await ledger.persistHolds([hold]);
        await confirm(hold);
        expect(await ledger.persistHolds([hold])).toEqual(['persisted']);
        expect(told(await seatsOf(hall))).toEqual(['1: OCCUPIED@2']);
      });
    });

    describe('refusing a hold', () => {
      it.each<[string, (hall: number) => Promise<Hold>]>([
        ['whose seat has another version', async (hall) => grant(hall, { 20: 2 })],
        ['whose seat does not exist', async (hall) => grant(hall, { 99: 1 })],
        ['one of whose seats has another version', async (hall) => grant(hall, { 19: 1, 20: 3 })],
        [
          'whose seat somebody holds, whatever version it claims',
          async (hall) => {
            await ledger.persistHolds([grant(hall, { 20: 1 })]);
            return grant(hall, { 20: 2 });
          },
        ],
        [
          'whose places there are not',
          async () => {
            const club = await capacity(3);
            await ledger.persistHolds([grant(club, 2)]);
            return grant(club, 2);
          },
        ],
      ])('%s leaves the other 99 of its batch alone', async (_, bad) => {
        const [hall, club] = [await under.create(hallPlan), await capacity(1000)];
        const holds = Array.from({ length: 99 }, (_, i) => (i < 15 ? grant(hall, { [i + 1]: 1 }) : grant(club, 2)));
        const refused = await bad(hall);
        const batch = [...holds.slice(0, 60), refused, ...holds.slice(60)];
        const results = await ledger.persistHolds(batch);
        expect(results.map((result, i) => (result === 'conflict' ? i : -1)).filter((i) => i >= 0)).toEqual([60]);
        expect(results).toHaveLength(100);
        expect(await under.status(refused.reservationId)).toBeNull();
        expect(await under.remaining(club)).toBe(1000 - 84 * 2);
        const taken = (await seatsOf(hall)).filter(({ seat }) => seat <= 15);
        expect(taken.map((seat) => seat.reservationId)).toEqual(holds.slice(0, 15).map((hold) => hold.reservationId));
        expect((await seatsOf(hall)).map((seat) => seat.reservationId)).not.toContain(refused.reservationId);
      });

      it('leaves no trace of several refused ones either', async () => {
        const hall = await under.create(hallPlan);
        const holds = [1, 2, 3, 4, 5, 6].map((seat) => grant(hall, { [seat]: seat % 2 === 0 ? 1 : 4 }));
        const results = await ledger.persistHolds(holds);
        expect(results).toEqual(['conflict', 'persisted', 'conflict', 'persisted', 'conflict', 'persisted']);
        expect(told(await seatsOf(hall))).toEqual(['2: HELD@1', '4: HELD@1', '6: HELD@1']);
      });

      it('sells a seat that two batches want at the same time once', async () => {
        const hall = await under.create(hallPlan);
        const rivals = Array.from({ length: 8 }, () => grant(hall, { 1: 1, 2: 1 }));
        const results = await Promise.all(rivals.map((hold) => ledger.persistHolds([hold])));
        expect(results.flat().filter((result) => result === 'persisted')).toHaveLength(1);
        expect(told(await seatsOf(hall))).toEqual(['1: HELD@1', '2: HELD@1']);
      });

      it('sells no place twice when many batches want the last ones at the same time', async () => {
        const club = await capacity(10);
        const rivals = Array.from({ length: 10 }, () => grant(club, 3));
        const results = await Promise.all(rivals.map((hold) => ledger.persistHolds([hold])));
        expect(results.flat().filter((result) => result === 'persisted')).toHaveLength(3);
        expect(await under.remaining(club)).toBe(1);
      });
    });

    describe('a hold that supersedes another', () => {
      it('expires it in the same step and frees its other seats', async () => {
        const hall = await under.create(hallPlan);
        const old = grant(hall, { 1: 1, 2: 1 });
        await ledger.persistHolds([old]);
        await under.lapse(old.reservationId);
        const hold = grant(hall, { 1: 3, 4: 1 }, [old.reservationId]);
        expect(await ledger.persistHolds([hold])).toEqual(['persisted']);
        expect(await statuses(old, hold)).toEqual(['EXPIRED', 'HELD']);
        expect(told(await seatsOf(hall))).toEqual(['1: HELD@3', '2: AVAILABLE@2', '4: HELD@1']);
        expect(await expire(hall)).toEqual([]);
      });

      it('expires it by the word of Redis, though by MySQL’s clock it is not over', async () => {
        const hall = await under.create(hallPlan);
        const old = grant(hall, { 1: 1 });
        await ledger.persistHolds([old]);
        const hold = grant(hall, { 1: 3 }, [old.reservationId]);
        expect(await ledger.persistHolds([hold])).toEqual(['persisted']);
        expect(await statuses(old, hold)).toEqual(['EXPIRED', 'HELD']);
      });

      it('gives back the places of those it supersedes', async () => {
        const club = await capacity(10);
        const old = [grant(club, 4), grant(club, 5)];
        await ledger.persistHolds(old);
        const hold = grant(
          club,
          10,
          old.map((other) => other.reservationId),
        );
        expect(await ledger.persistHolds([hold])).toEqual(['persisted']);
        expect(await statuses(...old)).toEqual(['EXPIRED', 'EXPIRED']);
        expect(await under.remaining(club)).toBe(0);
      });

      it('is refused when the other was confirmed meanwhile, which stays confirmed', async () => {
        const [hall, club] = [await under.create(hallPlan), await capacity(10)];
        const [seat, party] = [grant(hall, { 1: 1 }), grant(club, 6)];
        await ledger.persistHolds([seat, party]);
        await confirm(seat);
        await confirm(party);
        // The version of the occupied seat is the one that the release would have given it.
        const holds = [grant(hall, { 1: 3 }, [seat.reservationId]), grant(club, 6, [party.reservationId])];
        expect(await ledger.persistHolds(holds)).toEqual(['conflict', 'conflict']);
        expect(await statuses(seat, party)).toEqual(['CONFIRMED', 'CONFIRMED']);
        expect(told(await seatsOf(hall))).toEqual(['1: OCCUPIED@2']);
        expect(await under.remaining(club)).toBe(4);
      });

      it('is stored when the other was given up meanwhile, which is left as it is', async () => {
        const hall = await under.create(hallPlan);
        const old = grant(hall, { 1: 1 });
        await ledger.persistHolds([old]);
        await cancel(old.reservationId);
        const hold = grant(hall, { 1: 3 }, [old.reservationId]);
        expect(await ledger.persistHolds([hold])).toEqual(['persisted']);
        expect(await statuses(old)).toEqual(['CANCELLED']);
        expect(told(await seatsOf(hall))).toEqual(['1: HELD@3']);
      });

      it('is refused while the other is not stored: the seat has not moved on', async () => {
        const hall = await under.create(hallPlan);
        const old = grant(hall, { 1: 1 });
        const hold = grant(hall, { 1: 3 }, [old.reservationId]);
        expect(await ledger.persistHolds([hold])).toEqual(['conflict']);
        expect(await ledger.persistHolds([old])).toEqual(['persisted']);
        expect(await ledger.persistHolds([hold])).toEqual(['persisted']);
        expect(told(await seatsOf(hall))).toEqual(['1: HELD@3']);
      });

      it('may come in one batch with it: seats', async () => {
        const hall = await under.create(hallPlan);
        const old = grant(hall, { 1: 1, 2: 1 });
        const hold = grant(hall, { 1: 3 }, [old.reservationId]);
        expect(await ledger.persistHolds([old, hold])).toEqual(['persisted', 'persisted']);
        expect(told(await seatsOf(hall))).toEqual(['1: HELD@3', '2: AVAILABLE@2']);
        expect(await statuses(old, hold)).toEqual(['EXPIRED', 'HELD']);
      });

      it('may come in one batch with it: places', async () => {
        const club = await capacity(10);
        const old = grant(club, 4);
        const hold = grant(club, 4, [old.reservationId]);
        expect(await ledger.persistHolds([old, hold])).toEqual(['persisted', 'persisted']);
        expect(await statuses(old, hold)).toEqual(['EXPIRED', 'HELD']);
        expect(await under.remaining(club)).toBe(6);
      });

      it('and is refused itself leaves the other as it was', async () => {
        const hall = await under.create(hallPlan);
        const old = grant(hall, { 1: 1 });
        await ledger.persistHolds([old]);
        expect(await ledger.persistHolds([grant(hall, { 1: 3, 2: 9 }, [old.reservationId])])).toEqual(['conflict']);
        expect(await statuses(old)).toEqual(['HELD']);
        expect(told(await seatsOf(hall))).toEqual(['1: HELD@1']);
      });
    });

    describe('expiring', () => {
      it('gives up what is over, with the versions its seats have then, once', async () => {
        const [hall, club] = [await under.create(hallPlan), await capacity(10)];
        const [over, party, open] = [grant(hall, { 3: 1, 1: 1 }), grant(club, 4), grant(hall, { 5: 1 })];
        await ledger.persistHolds([over, party, open]);
        await under.lapse(over.reservationId);
        await under.lapse(party.reservationId);
        const releases = (await expire(hall, club)).sort((a, b) => a.performanceId - b.performanceId);
        expect(releases).toEqual([
          {
            reservationId: over.reservationId,
            performanceId: hall,
            userId: over.userId,
            endsPass: false,
            seatVersions: [1, 2, 3, 2],
          },
          {
            reservationId: party.reservationId,
            performanceId: club,
            userId: party.userId,
            endsPass: false,
            seatVersions: [],
          },
        ]);
        expect(await statuses(over, party, open)).toEqual(['EXPIRED', 'EXPIRED', 'HELD']);
        expect(told(await seatsOf(hall))).toEqual(['1: AVAILABLE@2', '3: AVAILABLE@2', '5: HELD@1']);
        expect(await under.remaining(club)).toBe(10);
        expect(await expire(hall, club)).toEqual([]);
      });

      it('gives up so many at once, the longest over first', async () => {
        await ledger.expireDue(1000);
        const club = await capacity(10);
        const holds = [grant(club, 1), grant(club, 1), grant(club, 1)];
        await ledger.persistHolds(holds);
        for (const [i, agoMs] of [1000, 3000, 2000].entries()) await under.lapse(holds[i]!.reservationId, agoMs);
        expect((await ledger.expireDue(2)).map((release) => release.reservationId).sort()).toEqual(
          [holds[1]!.reservationId, holds[2]!.reservationId].sort(),
        );
        expect((await ledger.expireDue(2)).map((release) => release.reservationId)).toEqual([holds[0]!.reservationId]);
      });

      it('leaves alone what was confirmed or cancelled', async () => {
        const hall = await under.create(hallPlan);
        const [confirmed, cancelled] = [grant(hall, { 1: 1 }), grant(hall, { 2: 1 })];
        await ledger.persistHolds([confirmed, cancelled]);
        await confirm(confirmed);
        await cancel(cancelled.reservationId);
        for (const hold of [confirmed, cancelled]) await under.lapse(hold.reservationId);
        expect(await expire(hall)).toEqual([]);
        expect(await statuses(confirmed, cancelled)).toEqual(['CONFIRMED', 'CANCELLED']);
      });

      it('at the same time in two places gives each up once', async () => {
        const hall = await under.create(hallPlan);
        const holds = Array.from({ length: 20 }, (_, i) => grant(hall, { [i + 1]: 1 }));
        await ledger.persistHolds(holds);
        for (const hold of holds) await under.lapse(hold.reservationId);
        const releases = (await Promise.all([expire(hall), expire(hall), expire(hall)])).flat();
        expect(releases.map((release) => release.reservationId).sort()).toEqual(
          holds.map((hold) => hold.reservationId).sort(),
        );
        expect(told(await seatsOf(hall)).every((seat) => seat.endsWith('AVAILABLE@2'))).toBe(true);
      });
    });

    describe('cancelling', () => {
      it('gives up a held reservation, once', async () => {
        const hall = await under.create(hallPlan);
        const hold = grant(hall, { 1: 1, 2: 1 });
        await ledger.persistHolds([hold]);
        const { reservationId, userId } = hold;
        const release = { reservationId, performanceId: hall, userId, endsPass: true, seatVersions: [1, 2, 2, 2] };
        expect(await cancel(reservationId)).toEqual(release);
        expect(await cancel(reservationId)).toBeNull();
        expect(await statuses(hold)).toEqual(['CANCELLED']);
        expect(told(await seatsOf(hall))).toEqual(['1: AVAILABLE@2', '2: AVAILABLE@2']);
      });

      it('does nothing to one that is over, confirmed or unknown', async () => {
        const hall = await under.create(hallPlan);
        const [over, confirmed] = [grant(hall, { 1: 1 }), grant(hall, { 2: 1 })];
        await ledger.persistHolds([over, confirmed]);
        await under.lapse(over.reservationId);
        await confirm(confirmed);
        for (const id of [over.reservationId, confirmed.reservationId, newReservationId()]) {
          expect(await cancel(id)).toBeNull();
        }
        expect(told(await seatsOf(hall))).toEqual(['1: HELD@1', '2: OCCUPIED@2']);
      });
    });

    describe('a snapshot', () => {
      it('of a performance that is not there is none', async () => {
        expect(await under.snapshot(1e15)).toBeNull();
      });

      it('of an untouched performance is the performance', async () => {
        for (const plan of [hallPlan, { ...clubPlan(7), bookingOpensAtMs: Date.UTC(2026, 10, 21, 18, 30, 0, 7) }]) {
          const performanceId = await under.create(plan);
          expect(await under.snapshot(performanceId)).toEqual({
            performance: { ...plan, performanceId },
            seats: [],
            ownerOf: new Map(),
            reservations: [],
            room: null,
          });
        }
      });

      it('has the seats that ever changed in order, and who owns them now', async () => {
        const hall = await under.create(hallPlan);
        const [held, sold, cancelled] = [grant(hall, { 9: 1, 4: 1 }), grant(hall, { 1: 1 }), grant(hall, { 7: 1 })];
        await ledger.persistHolds([held, sold, cancelled]);
        await confirm(sold);
        await cancel(cancelled.reservationId);
        const { seats, ownerOf } = (await under.snapshot(hall))!;
        expect(told(seats)).toEqual(['1: OCCUPIED@2', '4: HELD@1', '7: AVAILABLE@2', '9: HELD@1']);
        expect(seats.map(({ seat }) => ownerOf.get(seat))).toEqual([
          sold.reservationId,
          held.reservationId,
          undefined,
          held.reservationId,
        ]);
        expect(ownerOf.size).toBe(3);
      });

      it('has what is held, over or not, and what is confirmed, and nothing that was given up', async () => {
        const [club, another] = [await capacity(100), await capacity(100)];
        const holds = [1, 2, 3, 4, 5].map((party) => grant(club, party));
        const [held, over, sold, cancelled, expired] = holds as [Hold, Hold, Hold, Hold, Hold];
        await ledger.persistHolds([...holds, grant(another, 1)]);
        await confirm(sold);
        await cancel(cancelled.reservationId);
        await under.lapse(expired.reservationId);
        await expire(club);
        for (const hold of [over, sold]) await under.lapse(hold.reservationId, 5000);
        const { reservations, seats, ownerOf } = (await under.snapshot(club))!;
        const found = new Map(reservations.map((each) => [each.reservationId, each]));
        expect([found.size, seats, ownerOf.size]).toEqual([3, [], 0]);
        for (const { reservationId, userId, partySize } of [held, over, sold]) {
          expect(found.get(reservationId)).toMatchObject({ reservationId, userId, partySize });
        }
        const remaining = [held, over, sold].map(({ reservationId }) => found.get(reservationId)!.remainingMs);
        // Of 300 seconds, some of which the test may have taken.
        expect(remaining[0]).toBeGreaterThan(200_000);
        expect(remaining[0]).toBeLessThanOrEqual(300_000);
        expect(remaining[1]).toBeLessThanOrEqual(-5000);
        expect(remaining[2]).toBeNull();
      });
    });

    it('a seat can be held and given up for ever, its version rising by one each time', async () => {
      const hall = await under.create(hallPlan);
      for (let version = 1; version < 12; version += 2) {
        const hold = grant(hall, { 1: version });
        expect(await ledger.persistHolds([hold])).toEqual(['persisted']);
        expect(told(await seatsOf(hall))).toEqual([`1: HELD@${version}`]);
        if (version % 4 === 1) await cancel(hold.reservationId);
        else {
          await under.lapse(hold.reservationId);
          await expire(hall);
        }
        expect(told(await seatsOf(hall))).toEqual([`1: AVAILABLE@${version + 1}`]);
      }
    });

    it('cancel, expiry and new holds at the same time never leave a place with a dead reservation, or give one twice', async () => {
      const rounds = 25;
      for (let round = 0; round < rounds; round++) {
        const [hall, club] = [await under.create(hallPlan), await capacity(10)];
        const [seats, party] = [grant(hall, { 1: 1, 2: 1 }), grant(club, 6)];
        await ledger.persistHolds([seats, party]);
        if (round % 2 === 0) for (const hold of [seats, party]) await under.lapse(hold.reservationId);
        const over = [
          grant(hall, { 1: 3 }, [seats.reservationId]),
          grant(hall, { 2: 3 }, [seats.reservationId]),
          grant(club, 6, [party.reservationId]),
        ];
        const [cancelled, cancelledParty, ...rest] = await Promise.all([
          cancel(seats.reservationId),
          cancel(party.reservationId),
          expire(hall, club),
          expire(hall, club),
        ]);
        const given = [cancelled, cancelledParty, ...rest.flat()].filter((release) => release !== null);
        const races = await Promise.all([
          ledger.persistHolds([over[0]!]),
          ledger.persistHolds([over[1]!, over[2]!]),
          ledger.persistHolds([seats, party]),
          cancel(over[2]!.reservationId),
          expire(hall, club),
        ]);
        expect(given.length).toBeLessThanOrEqual(2);
        expect(races.slice(0, 2).flat()).toEqual(['persisted', 'persisted', 'persisted']);

        const [first, second] = await seatsOf(hall);
        for (const seat of [first!, second!]) {
          const owner = seat.reservationId === null ? null : await under.status(seat.reservationId);
          expect([seat.status, owner]).toEqual([SeatStatus.HELD, 'HELD']);
          expect(seat.version).toBe(3);
        }
        const [old, anew] = await statuses(party, over[2]!);
        expect(['CANCELLED', 'EXPIRED']).toContain(old);
        expect(await under.remaining(club)).toBe(anew === 'HELD' ? 4 : 10);
      }
    });
  });
}
