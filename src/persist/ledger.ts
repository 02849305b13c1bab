/** The truth on real MySQL, as the batcher and the scheduler use it. */
import type { Hold, Release } from '../domain/reservation.ts';
import type { Ledger, PersistResult } from '../domain/stores.ts';
import type { Database } from './database.ts';
import { persistHolds } from './holds.ts';
import { expireDue } from './releases.ts';

export class MysqlLedger implements Ledger {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  isAvailable(): boolean {
    return this.#database.isAvailable;
  }

  persistHolds(holds: readonly Hold[]): Promise<PersistResult[]> {
    return persistHolds(this.#database, holds);
  }

  expireDue(countMax: number): Promise<Release[]> {
    return expireDue(this.#database, countMax);
  }
}
