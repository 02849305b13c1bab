/** (e) A mutex a seat (async-mutex, what people take) around a transaction: right for as long as there is one process. */
import { Mutex } from 'async-mutex';
import type { Places, Way } from './contract.ts';
import { createTransactions, takeUnchanged } from './database.ts';
import { lockKey } from './keys.ts';

export function createMutex({ mysqlUrl }: Places): Way {
  const pool = createTransactions(mysqlUrl);
  const mutexes = new Map<string, Mutex>();
  return {
    async hold(hold) {
      const key = lockKey(hold);
      let mutex = mutexes.get(key);
      if (mutex === undefined) {
        mutex = new Mutex();
        mutexes.set(key, mutex);
      }
      try {
        return await mutex.runExclusive(() => takeUnchanged(pool, hold));
      } finally {
        // The last one takes it away: seats come and go by the hundred thousand.
        if (!mutex.isLocked()) mutexes.delete(key);
      }
    },
  };
}
