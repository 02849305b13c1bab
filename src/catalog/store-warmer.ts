/** The cold path on the real stores. */
import type { RedisConnection } from '../lua/connection.ts';
import { RedisLoadStore } from '../lua/load.ts';
import { LoadLock } from '../lua/load-lock.ts';
import type { Settlement } from '../lua/settlement.ts';
import type { Database } from '../persist/database.ts';
import { readSnapshot } from '../persist/performances.ts';
import { Warmer } from './warm.ts';

/** Loads from `database` into Redis, once every gateway has told MySQL what it was granted. */
export function storeWarmer(connection: RedisConnection, database: Database, settlement: Settlement): Warmer {
  const lock = new LoadLock(connection);
  return new Warmer({
    store: new RedisLoadStore(connection),
    readSnapshot: (performanceId) => readSnapshot(database, performanceId),
    settle: (performanceId) => settlement.settleEverywhere(performanceId),
    lock: (performanceId) => lock.take(performanceId),
  });
}
