/** The truth on real MySQL, as the batcher and the scheduler use it. */
import type { Hold, Release } from '../domain/reservation.ts';
import type { Ledger, PersistResult } from '../domain/stores.ts';
import type { Database } from './database.ts';
import { type OnExpired, persistHolds } from './holds.ts';
import { expireDue } from './releases.ts';

export class MysqlLedger implements Ledger {
  readonly #database: Database;
  readonly #onExpired: OnExpired;

  /** `onExpired` is told of every reservation that this process has expired: by its time, or by a hold that took over. */
  constructor(database: Database, onExpired: OnExpired = () => {}) {
    this.#database = database;
    this.#onExpired = onExpired;
  }

  isAvailable(): boolean {
    return this.#database.isAvailable;
  }

  persistHolds(holds: readonly Hold[]): Promise<PersistResult[]> {
    return persistHolds(this.#database, holds, this.#onExpired);
  }

  async expireDue(countMax: number): Promise<Release[]> {
    const releases = await expireDue(this.#database, countMax);
    if (releases.length > 0) this.#onExpired(releases);
    return releases;
  }
}
