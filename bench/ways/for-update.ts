/** (a) One MySQL transaction: the seat's row is locked, then looked at. */
import type { Places, Way } from './contract.ts';
import { createTransactions, insertReservation, inTransaction, lockSeat, takeSeat } from './database.ts';

export function createForUpdate({ mysqlUrl }: Places): Way {
  const pool = createTransactions(mysqlUrl);
  return {
    hold: (hold) =>
      inTransaction(pool, async (connection) => {
        if (!(await lockSeat(connection, hold))) return 'taken';
        await takeSeat(connection, hold);
        await insertReservation(connection, hold);
        return 'held';
      }),
  };
}
