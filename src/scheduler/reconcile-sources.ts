/** Where reconciliation looks and how it mends: the stores themselves. */
import type { RedisConnection } from '../lua/connection.ts';
import { readPerformanceIds, readView } from '../lua/inventory.ts';
import type { RedisHoldStore } from '../lua/store.ts';
import type { Database } from '../persist/database.ts';
import { readSnapshot } from '../persist/performances.ts';
import type { ReconcileSources } from './reconcile.ts';

/** `warm` loads a performance that is cold, once every gateway has told MySQL what it was granted. */
export function reconcileSources(
  connection: RedisConnection,
  database: Database,
  store: RedisHoldStore,
  warm: (performanceId: number) => Promise<unknown>,
): ReconcileSources {
  return {
    performances: () => readPerformanceIds(connection),
    snapshot: (performanceId) => readSnapshot(database, performanceId),
    view: (performanceId) => readView(connection, performanceId),
    async repair(performanceId) {
      await store.cool(performanceId, []);
      await warm(performanceId);
    },
  };
}
