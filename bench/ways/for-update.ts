/** (a) One MySQL transaction: the seat's row is locked, then looked at. */
import type { PoolConnection, RowDataPacket } from 'mysql2/promise';
import type { Hold, Places, Way } from './contract.ts';
import { commitWith, createTransactions, onSeat, reservationTexts, takeText } from './database.ts';

/** Locks the row of a seat until the end of the transaction; true when it is free. */
async function lockSeat(connection: PoolConnection, { sale, seat }: Hold): Promise<boolean> {
  const [rows] = await connection.execute<RowDataPacket[]>(
    'SELECT status FROM seats WHERE performance_id = ? AND seat = ? FOR UPDATE',
    [sale.performanceId, seat],
  );
  return rows[0]?.['status'] === 0;
}

export function createForUpdate({ mysqlUrl }: Places): Way {
  const pool = createTransactions(mysqlUrl);
  return {
    hold: (hold) =>
      onSeat(pool, async (connection) => {
        if (!(await lockSeat(connection, hold))) return 'taken';
        await commitWith(connection, [takeText(hold.sale.performanceId, [hold.seat]), ...reservationTexts([hold])]);
        return 'held';
      }),
  };
}
