/** (c) Redlock on the seat around a transaction: waiters ask again and again. One Redis, so the quorum is one. */
import { ExecutionError, Redlock, ResourceLockedError } from '@sesamecare-oss/redlock';
import { Redis } from 'ioredis';
import type { Places, Way } from './contract.ts';
import { createTransactions, takeUnchanged } from './database.ts';
import { lockKey } from './keys.ts';

const lockMs = 5000;
/** Far under the library's 200 ms: about the time of a transaction and its wait for a connection. */
const retryDelayMs = 20;
const waitMsMax = 10_000;

export function createRedlock({ redisUrl, mysqlUrl }: Places): Way {
  const pool = createTransactions(mysqlUrl);
  const redlock = new Redlock([new Redis(redisUrl)], {
    retryDelay: retryDelayMs,
    retryJitter: retryDelayMs,
    retryCount: waitMsMax / retryDelayMs,
  });
  redlock.on('error', () => {
    // Each failed attempt is told here too; the caller gets the one that counts.
  });
  return {
    async hold(hold) {
      try {
        return await redlock.using([lockKey(hold)], lockMs, () => takeUnchanged(pool, hold));
      } catch (thrown) {
        if (thrown instanceof ExecutionError || thrown instanceof ResourceLockedError) return 'busy';
        throw thrown;
      }
    },
  };
}
