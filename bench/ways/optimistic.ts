/** (b) No lock: a version that must not have changed, and another try where it has. */
import type { Places, Way } from './contract.ts';
import { createTransactions, takeUnchanged } from './database.ts';

const triesMax = 5;

export function createOptimistic({ mysqlUrl }: Places): Way {
  const pool = createTransactions(mysqlUrl);
  return {
    async hold(hold) {
      for (let tries = 1; ; tries++) {
        const outcome = await takeUnchanged(pool, hold);
        if (outcome !== 'busy' || tries === triesMax) return outcome;
      }
    },
  };
}
