/** The leader's lease: one process at a time, by Redis alone; a split leadership does no harm, every job is repeatable. */
import { randomUUID } from 'node:crypto';
import type { RedisConnection } from './connection.ts';
import { leaseKey } from './keys.ts';
import { leaseCall, leaseEndCall } from './scripts.ts';

export class Lease {
  readonly #connection: RedisConnection;
  readonly #durationMs: number;
  readonly #owner = randomUUID();

  constructor(connection: RedisConnection, durationMs: number) {
    this.#connection = connection;
    this.#durationMs = durationMs;
  }

  /** Takes or renews it; true when this process leads for the next `durationMs`. Rejects with StoreUnavailable. */
  async take(): Promise<boolean> {
    return (await this.#connection.runOne(leaseCall(leaseKey, this.#owner, this.#durationMs))) === 1;
  }

  /** Gives it back, so that another process need not wait for its end. Rejects with StoreUnavailable. */
  async end(): Promise<void> {
    await this.#connection.runOne(leaseEndCall(leaseKey, this.#owner));
  }
}
