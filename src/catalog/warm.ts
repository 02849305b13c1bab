/**
 * The cold path: brings a performance from MySQL into Redis. One load under way a performance and process, guarded across
 * processes by Redlock, checked again once the lock is won. A lost lock does no harm: warm.lua puts a load in place only
 * while the performance is cold, and the versions of MySQL refuse what an old load would allow.
 */
import { ExecutionError, type Lock, Redlock, ResourceLockedError } from '@sesamecare-oss/redlock';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import { RecentIds } from '../lib/recent.ts';
import type { RedisConnection } from '../lua/connection.ts';
import { performanceKeys } from '../lua/keys.ts';
import { finishLoad, isWarm, startLoad } from '../lua/load.ts';
import type { Database } from '../persist/database.ts';
import { readSnapshot } from '../persist/performances.ts';

export type WarmResult = 'warmed' | 'already' | 'not_found';

const lockDurationMs = 5000;
const lockRetryDelayMs = 20;
const lockRetryMax = 100;
const loadAttemptsMax = 10;
const unknownForMs = 1000;
const unknownMax = 10_000;

export interface WarmCounters {
  loads: number;
  voidLoads: number;
  lockFailures: number;
}

export class Warmer {
  /** Performances that did not exist a moment ago, so that a burst for one costs one look-up. */
  readonly unknown = new RecentIds(unknownForMs, unknownMax);
  readonly counters: WarmCounters = { loads: 0, voidLoads: 0, lockFailures: 0 };
  readonly #connection: RedisConnection;
  readonly #database: Database;
  readonly #settle: (performanceId: number) => Promise<void>;
  readonly #redlock: Redlock;
  readonly #underWay = new Map<number, Promise<WarmResult>>();

  /**
   * `settle` resolves when MySQL has every hold that any gateway was granted for a performance: what was promised must be
   * read with the rest.
   */
  constructor(connection: RedisConnection, database: Database, settle: (performanceId: number) => Promise<void>) {
    this.#connection = connection;
    this.#database = database;
    this.#settle = settle;
    this.#redlock = new Redlock([connection.client], {
      retryCount: lockRetryMax,
      retryDelay: lockRetryDelayMs,
      retryJitter: lockRetryDelayMs,
    });
    // Redlock reports each failed attempt here too; the caller gets the one that counts.
    this.#redlock.on('error', () => {
      this.counters.lockFailures++;
    });
  }

  /** Makes the performance warm; callers at the same time share one load. Rejects with StoreUnavailable. */
  warm(performanceId: number): Promise<WarmResult> {
    if (this.unknown.has(performanceId)) return Promise.resolve('not_found');
    const underWay = this.#underWay.get(performanceId);
    if (underWay !== undefined) return underWay;
    const load = this.#load(performanceId).finally(() => this.#underWay.delete(performanceId));
    this.#underWay.set(performanceId, load);
    return load;
  }

  async #load(performanceId: number): Promise<WarmResult> {
    if (await isWarm(this.#connection, performanceId)) return 'already';
    const { lock: resource } = performanceKeys(performanceId);
    const lock = await this.#acquire(resource);
    try {
      return await this.#loadLocked(performanceId);
    } finally {
      // A lock that is gone (its time is over, Redis was emptied) needs no release, and no hundred tries of one.
      await this.#redlock.release(lock, { retryCount: 0 }).catch(() => this.counters.lockFailures++);
    }
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

  async #loadLocked(performanceId: number): Promise<WarmResult> {
    for (let attempt = 1; attempt <= loadAttemptsMax; attempt++) {
      if (await isWarm(this.#connection, performanceId)) return 'already';
      await this.#settle(performanceId);
      const start = await startLoad(this.#connection, performanceId);
      this.counters.loads++;
      const snapshot = await readSnapshot(this.#database, performanceId);
      if (snapshot === null) {
        this.unknown.add(performanceId);
        return 'not_found';
      }
      const result = await finishLoad(this.#connection, start, snapshot);
      if (result !== 'void') return result;
      this.counters.voidLoads++;
    }
    throw new StoreUnavailable('redis', `performance ${performanceId} changed during every load`);
  }
}
