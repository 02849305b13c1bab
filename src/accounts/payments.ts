/**
 * Charging, paying and giving back. Lock, then transaction, commit, then unlock: one request a user at a time in this
 * process, before any connection is taken; across processes the rows of the reservation and the balance are the lock, and a
 * transaction that waits too long for them is tried again with jitter. MySQL first, then Redis: a payment needs no Redis.
 */
import type { Payment } from '../domain/account.ts';
import type { Release } from '../domain/reservation.ts';
import type { HoldStore, MoneyLedger } from '../domain/stores.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import { Serial } from '../lib/serial.ts';

export interface PaymentsOptions {
  readonly clock: Clock;
  /** Whoever waits longer for the rows of an account is told 503; what is under way then goes on, and a repeat finds it. */
  readonly deadlineMs: number;
  readonly ledger: MoneyLedger;
  readonly store: HoldStore;
  readonly log: { warn(message: string, fields?: Record<string, unknown>): void };
  /** Tells the user's sockets. */
  readonly onConfirmed: (userId: number, reservationId: string) => void;
}

export type PayOutcome =
  | { readonly kind: 'paid'; readonly payment: Payment }
  | { readonly kind: 'insufficient_balance' }
  | { readonly kind: 'not_held' };

/** Requests of one user that wait for each other; past it 503. */
const waitingMax = 200;

export class Payments {
  readonly #options: PaymentsOptions;
  readonly #byUser = new Serial<number>(waitingMax);
  /** Payments under way, by reservation: fifty at once are one transaction, and one answer for all. */
  readonly #paying = new Map<string, Promise<PayOutcome>>();

  constructor(options: PaymentsOptions) {
    this.#options = options;
  }

  /** Sells a reservation to its owner. Rejects with StoreUnavailable: the outcome is unknown, a repeat finds it. */
  pay(reservationId: string, userId: number): Promise<PayOutcome> {
    const key = `${userId} ${reservationId}`;
    const underWay = this.#paying.get(key);
    if (underWay !== undefined) return underWay;
    const work = this.#run(userId, () => this.#pay(reservationId, userId)).finally(() => this.#paying.delete(key));
    this.#paying.set(key, work);
    return work;
  }

  /**
   * Puts money on a balance; a repeat with the same request id gives the first answer again. The balance, null when it would
   * be too much.
   */
  charge(userId: number, amount: number, requestId: string): Promise<number | null> {
    return this.#run(userId, () => this.#options.ledger.charge(userId, amount, requestId));
  }

  /** Cancels what is held or confirmed; the amount given back, null when it is neither (any more). */
  cancel(reservationId: string, ownerId: number): Promise<number | null> {
    return this.#run(ownerId, () => this.#cancel(reservationId));
  }

  /** One of a user's requests at a time, within the deadline. */
  #run<Result>(userId: number, work: () => Promise<Result>): Promise<Result> {
    const { clock, deadlineMs } = this.#options;
    return new Promise((resolve, reject) => {
      const timer = clock.after(deadlineMs, () => {
        reject(new StoreUnavailable('mysql', `an account was busy for ${deadlineMs} ms`));
      });
      this.#byUser
        .run(userId, work)
        .then(resolve, reject)
        .finally(() => timer.cancel());
    });
  }

  async #cancel(reservationId: string): Promise<number | null> {
    const { ledger } = this.#options;
    const release = await ledger.cancelHeld(reservationId);
    if (release !== null) {
      await this.#release(release);
      return 0;
    }
    const refunded = await ledger.refund(reservationId);
    if (refunded === null) return null;
    await this.#release(refunded.release);
    return refunded.amount;
  }

  /** What a cancellation gave back, for its repeats. */
  refunded(reservationId: string): Promise<number> {
    return this.#options.ledger.readRefunded(reservationId);
  }

  async #pay(reservationId: string, userId: number): Promise<PayOutcome> {
    const result = await this.#options.ledger.pay(reservationId, userId);
    if (result.kind === 'paid_before') return { kind: 'paid', payment: result.payment };
    if (result.kind !== 'paid') return result;
    try {
      await this.#options.store.confirm([result.sale]);
    } catch (thrown) {
      // MySQL has it; the store has the performance loaded anew once Redis answers.
      this.#options.log.warn('redis was not told of a payment', { reservationId, error: messageOf(thrown) });
    }
    this.#options.onConfirmed(userId, reservationId);
    return { kind: 'paid', payment: result.payment };
  }

  async #release(release: Release): Promise<void> {
    try {
      await this.#options.store.release([release]);
    } catch (thrown) {
      const { reservationId } = release;
      this.#options.log.warn('redis was not told of a cancellation', { reservationId, error: messageOf(thrown) });
    }
  }
}
