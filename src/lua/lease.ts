/**
 * A lease: one process at a time, by Redis alone. The leader's one guards the jobs; a split leadership does no harm, every job
 * is repeatable.
 */
import { randomUUID } from 'node:crypto';
import type { RedisConnection } from './connection.ts';
import { leaseKey } from './keys.ts';
import { leaseCall, leaseEndCall } from './scripts.ts';

export class Lease {
  readonly #connection: RedisConnection;
  readonly #durationMs: number;
  readonly #key: string;
  readonly #owner = randomUUID();

  /** The leader's, or that of `key`. */
  constructor(connection: RedisConnection, durationMs: number, key = leaseKey) {
    this.#connection = connection;
    this.#durationMs = durationMs;
    this.#key = key;
  }

  /** Takes or renews it; true when it is this owner's for the next `durationMs`. Rejects with StoreUnavailable. */
  async take(): Promise<boolean> {
    return (await this.#connection.runOne(leaseCall(this.#key, this.#owner, this.#durationMs))) === 1;
  }

  /** Gives it back, so that another process need not wait for its end. Rejects with StoreUnavailable. */
  async end(): Promise<void> {
    await this.#connection.runOne(leaseEndCall(this.#key, this.#owner));
  }
}
