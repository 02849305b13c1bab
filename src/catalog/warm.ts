/**
 * The cold path: brings a performance from MySQL into Redis. One load under way a performance and process, guarded across
 * processes by Redlock, checked again once the lock is won. A lost lock does no harm: warm.lua puts a load in place only
 * while the performance is cold, and the versions of MySQL refuse what an old load would allow.
 */
import type { Snapshot } from '../domain/snapshot.ts';
import type { LoadStore } from '../domain/stores.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { RecentIds } from '../lib/recent.ts';

export type WarmResult = 'warmed' | 'already' | 'not_found';

const loadAttemptsMax = 10;
const unknownForMs = 1000;
const unknownMax = 10_000;

export interface WarmerOptions {
  readonly store: LoadStore;
  /** Null when there is no such performance. Rejects with StoreUnavailable. */
  readonly readSnapshot: (performanceId: number) => Promise<Snapshot | null>;
  /**
   * Resolves when MySQL has every hold that any gateway was granted for a performance: what was promised must be read with
   * the rest. Rejects with StoreUnavailable.
   */
  readonly settle: (performanceId: number) => Promise<void>;
  /** Wins the lock across processes; what it resolves to gives it back. Rejects with StoreUnavailable. */
  readonly lock: (performanceId: number) => Promise<() => Promise<void>>;
}

export class Warmer {
  /** Performances that did not exist a moment ago, so that a burst for one costs one look-up. */
  readonly unknown = new RecentIds(unknownForMs, unknownMax);
  readonly counters = { loads: 0, voidLoads: 0, lockWaits: 0, lockWaitMs: 0 };
  readonly #options: WarmerOptions;
  readonly #underWay = new Map<number, Promise<WarmResult>>();

  constructor(options: WarmerOptions) {
    this.#options = options;
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
    if (await this.#options.store.isWarm(performanceId)) return 'already';
    const unlock = await this.#lock(performanceId);
    try {
      return await this.#loadLocked(performanceId);
    } finally {
      await unlock();
    }
  }

  async #lock(performanceId: number): Promise<() => Promise<void>> {
    const startMs = performance.now();
    try {
      return await this.#options.lock(performanceId);
    } finally {
      this.counters.lockWaits++;
      this.counters.lockWaitMs += performance.now() - startMs;
    }
  }

  async #loadLocked(performanceId: number): Promise<WarmResult> {
    const { store, readSnapshot, settle } = this.#options;
    for (let attempt = 1; attempt <= loadAttemptsMax; attempt++) {
      if (await store.isWarm(performanceId)) return 'already';
      await settle(performanceId);
      const start = await store.startLoad(performanceId);
      this.counters.loads++;
      const snapshot = await readSnapshot(performanceId);
      if (snapshot === null) {
        this.unknown.add(performanceId);
        return 'not_found';
      }
      const result = await store.finishLoad(start, snapshot);
      if (result !== 'void') return result;
      this.counters.voidLoads++;
    }
    throw new StoreUnavailable('redis', `performance ${performanceId} changed during every load`);
  }
}
