/** Money on real MySQL, as the accounts use it. */
import type { PayResult, Refund } from '../domain/account.ts';
import type { Release } from '../domain/reservation.ts';
import type { MoneyLedger } from '../domain/stores.ts';
import { charge } from './balances.ts';
import type { Database } from './database.ts';
import { pay, readRefunded, refund } from './payments.ts';
import { cancelHeld } from './releases.ts';

export class MysqlMoney implements MoneyLedger {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  pay(reservationId: string, userId: number): Promise<PayResult> {
    return pay(this.#database, reservationId, userId);
  }

  charge(userId: number, amount: number, requestId: string): Promise<number | null> {
    return charge(this.#database, userId, amount, requestId);
  }

  cancelHeld(reservationId: string): Promise<Release | null> {
    return cancelHeld(this.#database, reservationId);
  }

  refund(reservationId: string): Promise<Refund | null> {
    return refund(this.#database, reservationId);
  }

  readRefunded(reservationId: string): Promise<number> {
    return readRefunded(this.#database, reservationId);
  }
}
