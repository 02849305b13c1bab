/** The lock of a load across processes: Redlock on a key of the performance. */
import { ExecutionError, type Lock, Redlock, ResourceLockedError } from '@sesamecare-oss/redlock';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';
import { performanceKeys } from './keys.ts';

const lockDurationMs = 5000;
const lockRetryDelayMs = 20;
const lockRetryMax = 100;

export class LoadLock {
  readonly #redlock: Redlock;

  constructor(connection: RedisConnection) {
    this.#redlock = new Redlock([connection.client], {
      retryCount: lockRetryMax,
      retryDelay: lockRetryDelayMs,
      retryJitter: lockRetryDelayMs,
    });
    this.#redlock.on('error', () => {
      // Each failed attempt is reported here too; the caller gets the one that counts.
    });
  }

  /** Waits for the lock, and returns what gives it back. Rejects with StoreUnavailable when it is not to be had. */
  async take(performanceId: number): Promise<() => Promise<void>> {
    const lock = await this.#acquire(performanceKeys(performanceId).lock);
    return async () => {
      // A lock that is gone (its time is over, Redis was emptied) needs no release, and no hundred tries of one.
      await this.#redlock.release(lock, { retryCount: 0 }).catch(() => null);
    };
  }

  async #acquire(resource: string): Promise<Lock> {
    try {
      return await this.#redlock.acquire([resource], lockDurationMs);
    } catch (thrown) {
      if (thrown instanceof ExecutionError || thrown instanceof ResourceLockedError) {
        throw new StoreUnavailable('redis', `no lock on ${resource}: ${messageOf(thrown)}`);
      }
      throw thrown;
    }
  }
}
