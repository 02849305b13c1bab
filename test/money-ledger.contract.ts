/** What every MoneyLedger promises: run against a real MySQL, and against the fake that the simulation uses. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EntryType, Payment } from '../src/domain/account.ts';
import { newReservationId } from '../src/domain/ids.ts';
import type { Hold } from '../src/domain/reservation.ts';
import type { MoneyLedger } from '../src/domain/stores.ts';
import { balanceMax } from '../src/persist/balances.ts';
import { clubPlan, grant, hallPlan, type LedgerUnderTest, newUser, told } from './ledger.contract.ts';

interface Entry {
  readonly type: EntryType;
  readonly amount: number;
  readonly balance: number;
  readonly reservationId: string | null;
}

export interface MoneyUnderTest extends LedgerUnderTest {
  /** The balance of a user and its entries, the oldest first. */
  books(userId: number): Promise<{ readonly balance: number; readonly entries: readonly Entry[] }>;
}

/** Of each hold that `grant` makes. */
const price = 100;
const notHeld = { kind: 'not_held' };

export function moneyContract(name: string, makeLedger: () => Promise<MoneyUnderTest>): void {
  describe(`${name} as a ledger of money`, () => {
    let under: MoneyUnderTest;
    let money: MoneyLedger;
    beforeAll(async () => {
      under = await makeLedger();
      money = under.money;
    });
    afterAll(() => under.close());

    const charge = (userId: number, amount: number) => money.charge(userId, amount, newReservationId());
    const seatsTold = async (performanceId: number) => told((await under.snapshot(performanceId))!.seats);
    /** Stores holds, which must be granted rightly. */
    async function store(...holds: readonly Hold[]): Promise<void> {
      expect(await under.ledger.persistHolds(holds)).toEqual(holds.map(() => 'persisted'));
    }
    /** A hold of seats 4 and 2 of a hall of its own, by somebody who has so much. */
    async function heldBySomebody(balance: number): Promise<Hold> {
      const hold = grant(await under.create(hallPlan), { 4: 1, 2: 1 });
      await store(hold);
      if (balance > 0) await charge(hold.userId, balance);
      return hold;
    }
    async function paid(hold: Hold): Promise<Payment> {
      const result = await money.pay(hold.reservationId, hold.userId);
      if (result.kind !== 'paid') throw new Error(`not paid: ${result.kind}`);
      return result.payment;
    }
    /** The entries of a user as `type amount balance`; each has the sum up to it, and the last one is the balance. */
    async function bookOf(userId: number): Promise<string[]> {
      const { balance, entries } = await under.books(userId);
      let sum = 0;
      for (const entry of entries) {
        sum += entry.amount;
        expect(entry.balance).toBe(sum);
        expect(entry.balance).toBeGreaterThanOrEqual(0);
      }
      expect(balance).toBe(sum);
      return entries.map((entry) => `${entry.type} ${entry.amount} ${entry.balance}`);
    }

    describe('a payment', () => {
      it('takes the money, confirms the reservation and occupies its seats at the versions it tells', async () => {
        const hold = await heldBySomebody(250);
        const { reservationId, performanceId, userId } = hold;
        const result = await money.pay(reservationId, userId);
        expect(result).toEqual({
          kind: 'paid',
          payment: { paymentId: expect.stringMatching(/^[0-9a-f-]{36}$/), reservationId, amount: price, balance: 150 },
          sale: { reservationId, performanceId, userId, seatVersions: [2, 2, 4, 2] },
        });
        expect(await under.status(reservationId)).toBe('CONFIRMED');
        expect(await seatsTold(performanceId)).toEqual(['2: OCCUPIED@2', '4: OCCUPIED@2']);
        expect(await bookOf(userId)).toEqual(['charge 250 250', 'payment -100 150']);
        expect((await under.books(userId)).entries.map((entry) => entry.reservationId)).toEqual([null, reservationId]);
      });

      it('of places tells no seat, and the places stay taken', async () => {
        const hold = grant(await under.create(clubPlan(10)), 4);
        await store(hold);
        await charge(hold.userId, price);
        expect(await money.pay(hold.reservationId, hold.userId)).toMatchObject({
          kind: 'paid',
          payment: { balance: 0 },
          sale: { seatVersions: [] },
        });
        expect(await under.remaining(hold.performanceId)).toBe(6);
      });

      it('again is the first one again, whatever has become of the balance, and changes nothing', async () => {
        const hold = await heldBySomebody(250);
        const payment = await paid(hold);
        await charge(hold.userId, 1);
        await under.lapse(hold.reservationId);
        for (let again = 0; again < 3; again++) {
          expect(await money.pay(hold.reservationId, hold.userId)).toEqual({ kind: 'paid_before', payment });
        }
        expect(await bookOf(hold.userId)).toEqual(['charge 250 250', 'payment -100 150', 'charge 1 151']);
        expect(await seatsTold(hold.performanceId)).toEqual(['2: OCCUPIED@2', '4: OCCUPIED@2']);
      });

      it('of what costs nothing needs no money, and has an entry all the same', async () => {
        const hold = { ...grant(await under.create(hallPlan), { 1: 1 }), amount: 0 };
        await store(hold);
        expect(await paid(hold)).toMatchObject({ amount: 0, balance: 0 });
        expect(await bookOf(hold.userId)).toEqual(['payment 0 0']);
        expect(await money.refund(hold.reservationId)).toMatchObject({ amount: 0 });
        expect(await bookOf(hold.userId)).toEqual(['payment 0 0', 'refund 0 0']);
      });

      it('with too little money is refused and changes nothing; after a charge it is taken', async () => {
        const [poor, penniless] = [await heldBySomebody(price - 1), await heldBySomebody(0)];
        for (const { reservationId, performanceId, userId } of [poor, penniless]) {
          expect(await money.pay(reservationId, userId)).toEqual({ kind: 'insufficient_balance' });
          expect(await under.status(reservationId)).toBe('HELD');
          expect(await seatsTold(performanceId)).toEqual(['2: HELD@1', '4: HELD@1']);
        }
        expect(await bookOf(poor.userId)).toEqual(['charge 99 99']);
        expect(await bookOf(penniless.userId)).toEqual([]);
        await charge(poor.userId, 1);
        expect(await paid(poor)).toMatchObject({ amount: price, balance: 0 });
      });

      it('by another than its owner is not_held, before it is paid and after', async () => {
        const hold = await heldBySomebody(price);
        const stranger = newUser();
        await charge(stranger, 1000);
        expect(await money.pay(hold.reservationId, stranger)).toEqual(notHeld);
        await paid(hold);
        expect(await money.pay(hold.reservationId, stranger)).toEqual(notHeld);
        expect(await bookOf(stranger)).toEqual(['charge 1000 1000']);
      });

      it.each<[string, (hold: Hold) => Promise<unknown>]>([
        ['whose time is over', ({ reservationId }) => under.lapse(reservationId)],
        ['whose time is over at this moment', ({ reservationId }) => under.lapse(reservationId, 0)],
        [
          'that has expired',
          async ({ reservationId }) => {
            await under.lapse(reservationId);
            await under.ledger.expireDue(1000);
          },
        ],
        ['that was cancelled', ({ reservationId }) => money.cancelHeld(reservationId)],
        [
          'that was refunded',
          async (hold) => {
            await paid(hold);
            await money.refund(hold.reservationId);
          },
        ],
        [
          'that another hold has taken over',
          ({ performanceId, reservationId }) => store(grant(performanceId, { 2: 3 }, [reservationId])),
        ],
      ])('of a reservation %s is not_held, and takes no money', async (_, end) => {
        const hold = await heldBySomebody(price);
        await end(hold);
        const [status, seats] = [await under.status(hold.reservationId), await seatsTold(hold.performanceId)];
        expect(await money.pay(hold.reservationId, hold.userId)).toEqual(notHeld);
        expect((await under.books(hold.userId)).balance).toBe(price);
        expect(await under.status(hold.reservationId)).toBe(status);
        expect(await seatsTold(hold.performanceId)).toEqual(seats);
      });

      it('of a reservation that never was is not_held', async () => {
        const userId = newUser();
        await charge(userId, price);
        expect(await money.pay(newReservationId(), userId)).toEqual(notHeld);
        expect(await bookOf(userId)).toEqual(['charge 100 100']);
      });

      it('stays when the time of the hold has passed', async () => {
        const hold = await heldBySomebody(price);
        await paid(hold);
        await under.lapse(hold.reservationId);
        const expired = (await under.ledger.expireDue(1000)).map(({ reservationId }) => reservationId);
        expect(expired).not.toContain(hold.reservationId);
        expect(await under.status(hold.reservationId)).toBe('CONFIRMED');
      });
    });

    describe('a charge', () => {
      it('is the balance after it', async () => {
        const userId = newUser();
        expect([await charge(userId, 1), await charge(userId, 999), await charge(userId, 50)]).toEqual([1, 1000, 1050]);
        expect(await bookOf(userId)).toEqual(['charge 1 1', 'charge 999 1000', 'charge 50 1050']);
      });

      it('with the same request id is one, and the first balance again, at the same time too', async () => {
        const [userId, requestId] = [newUser(), newReservationId()];
        const repeat = () => money.charge(userId, 300, requestId);
        expect(await Promise.all(Array.from({ length: 10 }, repeat))).toEqual(new Array(10).fill(300));
        await charge(userId, 1);
        expect(await repeat()).toBe(300);
        expect(await bookOf(userId)).toEqual(['charge 300 300', 'charge 1 301']);
      });

      it('that has filled the account is found again by its repeat', async () => {
        const [userId, requestId] = [newUser(), newReservationId()];
        await charge(userId, balanceMax - 10);
        const repeat = () => money.charge(userId, 10, requestId);
        expect([await repeat(), await repeat()]).toEqual([balanceMax, balanceMax]);
      });

      it('is taken up to the most that a balance may be, and not by one more', async () => {
        const userId = newUser();
        expect(await charge(userId, balanceMax + 1)).toBeNull();
        expect(await bookOf(userId)).toEqual([]);
        await charge(userId, balanceMax - 10);
        const refused = newReservationId();
        expect(await money.charge(userId, 11, refused)).toBeNull();
        expect(await charge(userId, 10)).toBe(balanceMax);
        expect(await charge(userId, 1)).toBeNull();
        expect((await bookOf(userId)).length).toBe(2);
      });

      it('that was refused leaves its request id free', async () => {
        const hold = await heldBySomebody(balanceMax);
        const requestId = newReservationId();
        expect(await money.charge(hold.userId, 5, requestId)).toBeNull();
        await paid(hold);
        expect(await money.charge(hold.userId, 5, requestId)).toBe(balanceMax - price + 5);
      });

      it('at once with many others of the same account is there, each with the sum up to it', async () => {
        const userId = newUser();
        const balances = await Promise.all(Array.from({ length: 200 }, (_, i) => charge(userId, i + 1)));
        const { entries } = await under.books(userId);
        expect(await bookOf(userId)).toHaveLength(200);
        expect(balances.sort((a, b) => a! - b!)).toEqual(entries.map(({ balance }) => balance));
        expect((await under.books(userId)).balance).toBe((200 * 201) / 2);
      });
    });

    describe('cancelling a hold', () => {
      it('frees its seats at the versions it tells, ends its pass, and is done once', async () => {
        const { reservationId, performanceId, userId } = await heldBySomebody(0);
        expect(await money.cancelHeld(reservationId)).toEqual({
          reservationId,
          performanceId,
          userId,
          endsPass: true,
          seatVersions: [2, 2, 4, 2],
        });
        expect(await money.cancelHeld(reservationId)).toBeNull();
        expect(await under.status(reservationId)).toBe('CANCELLED');
        expect(await seatsTold(performanceId)).toEqual(['2: AVAILABLE@2', '4: AVAILABLE@2']);
        expect(await money.readRefunded(reservationId)).toBe(0);
      });

      it('gives the places of a party back', async () => {
        const hold = grant(await under.create(clubPlan(10)), 4);
        await store(hold);
        expect(await money.cancelHeld(hold.reservationId)).toMatchObject({ endsPass: true, seatVersions: [] });
        expect(await under.remaining(hold.performanceId)).toBe(10);
      });

      it('does nothing to what is over, paid, refunded or unknown', async () => {
        const [over, sold, refunded] = [
          await heldBySomebody(0),
          await heldBySomebody(price),
          await heldBySomebody(price),
        ];
        await under.lapse(over.reservationId, 0);
        await paid(sold);
        await paid(refunded);
        await money.refund(refunded.reservationId);
        for (const id of [over.reservationId, sold.reservationId, refunded.reservationId, newReservationId()]) {
          expect(await money.cancelHeld(id)).toBeNull();
        }
        expect(await seatsTold(over.performanceId)).toEqual(['2: HELD@1', '4: HELD@1']);
        expect(await seatsTold(sold.performanceId)).toEqual(['2: OCCUPIED@2', '4: OCCUPIED@2']);
      });
    });

    describe('a refund', () => {
      it('gives back the money and the seats, at the versions it tells, once', async () => {
        const hold = await heldBySomebody(250);
        const { reservationId, performanceId, userId } = hold;
        await paid(hold);
        // Whatever has become of the time of the hold.
        await under.lapse(reservationId);
        expect(await money.readRefunded(reservationId)).toBe(0);
        const release = { reservationId, performanceId, userId, endsPass: true, seatVersions: [2, 3, 4, 3] };
        expect(await money.refund(reservationId)).toEqual({ release, amount: price });
        expect(await money.refund(reservationId)).toBeNull();
        expect(await money.readRefunded(reservationId)).toBe(price);
        expect(await under.status(reservationId)).toBe('CANCELLED');
        expect(await seatsTold(performanceId)).toEqual(['2: AVAILABLE@3', '4: AVAILABLE@3']);
        expect(await bookOf(userId)).toEqual(['charge 250 250', 'payment -100 150', 'refund 100 250']);
        const { entries } = await under.books(userId);
        expect(entries.map((entry) => entry.reservationId)).toEqual([null, reservationId, reservationId]);
      });

      it('of a party gives its places back', async () => {
        const hold = grant(await under.create(clubPlan(10)), 4);
        await store(hold);
        await charge(hold.userId, price);
        await paid(hold);
        expect(await money.refund(hold.reservationId)).toMatchObject({ release: { seatVersions: [] }, amount: price });
        expect(await under.remaining(hold.performanceId)).toBe(10);
      });

      it('is taken by an account that has been filled up meanwhile, and can be spent', async () => {
        const hold = await heldBySomebody(price);
        await paid(hold);
        await charge(hold.userId, balanceMax);
        expect(await money.refund(hold.reservationId)).toMatchObject({ amount: price });
        expect((await under.books(hold.userId)).balance).toBe(balanceMax + price);
        const again = { ...grant(hold.performanceId, { 2: 4 }), userId: hold.userId };
        await store(again);
        expect(await paid(again)).toMatchObject({ balance: balanceMax });
      });

      it('is none of what is held, expired, cancelled or unknown', async () => {
        const [held, cancelled, expired] = [
          await heldBySomebody(price),
          await heldBySomebody(0),
          await heldBySomebody(0),
        ];
        await money.cancelHeld(cancelled.reservationId);
        await under.lapse(expired.reservationId);
        await under.ledger.expireDue(1000);
        for (const id of [held.reservationId, cancelled.reservationId, expired.reservationId, newReservationId()]) {
          expect(await money.refund(id)).toBeNull();
          expect(await money.readRefunded(id)).toBe(0);
        }
        expect(await paid(held)).toMatchObject({ balance: 0 });
      });

      it('frees the seats for the next one, over and over, and the books stay right', async () => {
        const hall = await under.create(hallPlan);
        const userId = newUser();
        await charge(userId, price);
        const ids: string[] = [];
        for (let version = 1; version < 16; version += 3) {
          const hold = { ...grant(hall, { 1: version }), userId };
          await store(hold);
          await paid(hold);
          expect((await money.refund(hold.reservationId))!.release.seatVersions).toEqual([1, version + 2]);
          ids.push(hold.reservationId);
        }
        for (const id of ids) expect(await money.readRefunded(id)).toBe(price);
        expect(await bookOf(userId)).toHaveLength(11);
        expect((await under.books(userId)).balance).toBe(price);
      });
    });

    describe('at the same time', () => {
      it('fifty payments of one hold are one, and the others are told of it', async () => {
        const hold = await heldBySomebody(1000);
        const results = await Promise.all(Array.from({ length: 50 }, () => money.pay(hold.reservationId, hold.userId)));
        const kinds = results.map(({ kind }) => kind);
        expect(kinds.filter((kind) => kind === 'paid')).toHaveLength(1);
        expect(kinds.filter((kind) => kind === 'paid_before')).toHaveLength(49);
        const payments = results.map((result) => ('payment' in result ? result.payment : null));
        for (const payment of payments) expect(payment).toEqual(payments[0]);
        expect(await bookOf(hold.userId)).toEqual(['charge 1000 1000', 'payment -100 900']);
      });

      it('twenty refunds of one sale are one', async () => {
        const hold = await heldBySomebody(price);
        await paid(hold);
        const refunds = await Promise.all(Array.from({ length: 20 }, () => money.refund(hold.reservationId)));
        expect(refunds.filter((refund) => refund !== null)).toHaveLength(1);
        expect(await bookOf(hold.userId)).toHaveLength(3);
        expect(await seatsTold(hold.performanceId)).toEqual(['2: AVAILABLE@3', '4: AVAILABLE@3']);
      });

      it('money for one of two holds pays exactly one', async () => {
        for (let round = 0; round < 10; round++) {
          const hall = await under.create(hallPlan);
          const userId = newUser();
          const holds = [1, 2].map((seat) => ({ ...grant(hall, { [seat]: 1 }), userId }));
          await store(...holds);
          await charge(userId, price + 50);
          const results = await Promise.all(holds.map(({ reservationId }) => money.pay(reservationId, userId)));
          expect(results.map(({ kind }) => kind).sort()).toEqual(['insufficient_balance', 'paid']);
          expect(await bookOf(userId)).toEqual(['charge 150 150', 'payment -100 50']);
        }
      });

      it('money for twenty of sixty holds pays exactly twenty', async () => {
        const club = await under.create(clubPlan(60));
        const userId = newUser();
        const holds = Array.from({ length: 60 }, () => ({ ...grant(club, 1), userId }));
        await store(...holds);
        await charge(userId, 20 * price + 50);
        const results = await Promise.all(holds.map(({ reservationId }) => money.pay(reservationId, userId)));
        expect(results.filter(({ kind }) => kind === 'paid')).toHaveLength(20);
        expect(results.filter(({ kind }) => kind === 'insufficient_balance')).toHaveLength(40);
        expect(await bookOf(userId)).toHaveLength(21);
        expect((await under.books(userId)).balance).toBe(50);
      });

      it('payment, cancelling, a takeover and expiry: exactly one of them has the hold', async () => {
        const winners = new Map<string, number>();
        // What the end of the hold lets the others have before it, moved by who won: else it comes first, always, where the
        // others need more round trips.
        let headStartMs = 0;
        for (let round = 0; round < 40; round++) {
          const hold = await heldBySomebody(price);
          const { reservationId, performanceId, userId } = hold;
          const takeover = grant(performanceId, { 2: 3 }, [reservationId]);
          const contenders: (() => Promise<string | null>)[] = [
            async () => ((await money.pay(reservationId, userId)).kind === 'paid' ? 'CONFIRMED' : null),
            async () => ((await money.cancelHeld(reservationId)) === null ? null : 'CANCELLED'),
            async () => {
              if (headStartMs > 0) await new Promise((resolve) => setTimeout(resolve, headStartMs));
              await under.lapse(reservationId);
              const expired = await under.ledger.expireDue(1000);
              return expired.some((release) => release.reservationId === reservationId) ? 'EXPIRED' : null;
            },
          ];
          // The fake does what comes first first: each has its turn.
          const order = contenders.map((_, i) => contenders[(i + round) % contenders.length]!);
          const stored = round % 4 === 3 ? under.ledger.persistHolds([takeover]) : null;
          const won = (await Promise.all(order.map((contend) => contend()))).filter((status) => status !== null);
          const isTakenOver = (await stored)?.[0] === 'persisted';
          const status = await under.status(reservationId);
          // The takeover of what was given up before expires nothing; else it is itself what has expired the hold.
          if (won.length === 0) won.push(isTakenOver ? 'EXPIRED' : 'nobody');
          expect(won).toEqual([status]);
          winners.set(won[0]!, (winners.get(won[0]!) ?? 0) + 1);
          headStartMs = Math.max(0, headStartMs + (won[0] === 'EXPIRED' ? 1 : -1));
          expect((await under.books(userId)).balance).toBe(status === 'CONFIRMED' ? 0 : price);
          expect(await bookOf(userId)).toHaveLength(status === 'CONFIRMED' ? 2 : 1);
          const seats = status === 'CONFIRMED' ? 'OCCUPIED@2' : 'AVAILABLE@2';
          expect(await seatsTold(performanceId)).toEqual([isTakenOver ? '2: HELD@3' : `2: ${seats}`, `4: ${seats}`]);
          expect(isTakenOver && status === 'CONFIRMED').toBe(false);
        }
        // Else nothing was tested.
        expect(winners.size).toBeGreaterThan(1);
      });

      it('a refund and a payment that is repeated leave the money back and the seats free', async () => {
        for (let round = 0; round < 10; round++) {
          const hold = await heldBySomebody(price);
          await paid(hold);
          const [refund, repeat] = await Promise.all([
            money.refund(hold.reservationId),
            money.pay(hold.reservationId, hold.userId),
          ]);
          expect(refund).toMatchObject({ amount: price });
          expect(['paid_before', 'not_held']).toContain(repeat.kind);
          expect((await under.books(hold.userId)).balance).toBe(price);
          expect(await seatsTold(hold.performanceId)).toEqual(['2: AVAILABLE@3', '4: AVAILABLE@3']);
        }
      });
    });
  });
}
