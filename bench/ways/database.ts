/** The tables that the ways share, what is sold read from them, and the statements and transactions on one seat. */
import mysql, {
  type Connection,
  type Pool,
  type PoolConnection,
  type ResultSetHeader,
  type RowDataPacket,
} from 'mysql2/promise';
import { uuidToBytes } from '../../src/domain/ids.ts';
import { codeOf } from '../../src/lib/errors.ts';
import type { Hold, Outcome, Sale } from './contract.ts';

/** The gateway's own tables, but for what these ways do not do. The unique key is the last guard of all of them. */
export const tables = [
  `CREATE TABLE performances (
    id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    seats INT NOT NULL,
    price BIGINT NOT NULL,
    hold_ms BIGINT NOT NULL
  ) ENGINE=InnoDB`,
  `CREATE TABLE seats (
    performance_id BIGINT UNSIGNED NOT NULL,
    seat INT NOT NULL,
    status TINYINT NOT NULL DEFAULT 0,
    version INT NOT NULL DEFAULT 0,
    PRIMARY KEY (performance_id, seat)
  ) ENGINE=InnoDB`,
  `CREATE TABLE reservations (
    id BINARY(16) NOT NULL PRIMARY KEY,
    performance_id BIGINT UNSIGNED NOT NULL,
    user_id BIGINT UNSIGNED NOT NULL,
    status TINYINT NOT NULL,
    amount BIGINT NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    KEY reservations_user (user_id, id)
  ) ENGINE=InnoDB`,
  `CREATE TABLE reservation_seats (
    reservation_id BINARY(16) NOT NULL,
    seat INT NOT NULL,
    performance_id BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (reservation_id, seat),
    UNIQUE KEY reservation_seats_one (performance_id, seat)
  ) ENGINE=InnoDB`,
];

/** Transactions under way at a time: those that commit together share a write to the disk. The server takes 200 in all. */
const connectionsMax = 24;
const deadlocksMax = 3;

/** Connections whose first statement opens a transaction (autocommit off): a round trip less than START TRANSACTION. */
export function createTransactions(mysqlUrl: string): Pool {
  const pool = mysql.createPool({ uri: mysqlUrl, connectionLimit: connectionsMax, idleTimeout: 600_000 });
  // Behind it in the connection's own queue come the statements of whoever wanted it.
  pool.pool.on('connection', (connection) => connection.query('SET autocommit = 0'));
  return pool;
}

/** Reads performances, each once: one at hand is given at once, another one after a look into MySQL. */
export async function createSaleReader(mysqlUrl: string): Promise<(id: number) => Sale | Promise<Sale | null>> {
  const connection: Connection = await mysql.createConnection(mysqlUrl);
  const known = new Map<number, Sale>();
  async function read(performanceId: number): Promise<Sale | null> {
    const [rows] = await connection.execute<RowDataPacket[]>(
      'SELECT seats, price, hold_ms AS holdMs FROM performances WHERE id = ?',
      [performanceId],
    );
    const row = rows[0];
    if (row === undefined) return null;
    const sale = { performanceId, seats: row['seats'], price: row['price'], holdMs: row['holdMs'] };
    known.set(performanceId, sale);
    return sale;
  }
  return (performanceId) => known.get(performanceId) ?? read(performanceId);
}

/**
 * Runs one transaction: commits for `held`, else rolls back. A seat that somebody else has in spite of all (the unique key)
 * is `taken`; a deadlock is tried again. Rejects with any other fault of MySQL.
 */
export async function inTransaction(
  pool: Pool,
  work: (connection: PoolConnection) => Promise<Outcome>,
): Promise<Outcome> {
  for (let deadlocks = 0; ; deadlocks++) {
    const connection = await pool.getConnection();
    try {
      const outcome = await work(connection);
      await (outcome === 'held' ? connection.commit() : connection.rollback());
      return outcome;
    } catch (thrown) {
      await connection.rollback().catch(() => connection.destroy());
      if (codeOf(thrown) === 'ER_DUP_ENTRY') return 'taken';
      if (codeOf(thrown) !== 'ER_LOCK_DEADLOCK' || deadlocks === deadlocksMax) throw thrown;
    } finally {
      connection.release();
    }
  }
}

/** Reads a seat's version and locks nothing; null when it is taken. */
async function freeVersion(connection: PoolConnection, { sale, seat }: Hold): Promise<number | null> {
  const [rows] = await connection.execute<RowDataPacket[]>(
    'SELECT status, version FROM seats WHERE performance_id = ? AND seat = ?',
    [sale.performanceId, seat],
  );
  return rows[0]?.['status'] === 0 ? rows[0]['version'] : null;
}

/** Locks the row of a seat until the end of the transaction; true when it is free. */
export async function lockSeat(connection: PoolConnection, { sale, seat }: Hold): Promise<boolean> {
  const [rows] = await connection.execute<RowDataPacket[]>(
    'SELECT status FROM seats WHERE performance_id = ? AND seat = ? FOR UPDATE',
    [sale.performanceId, seat],
  );
  return rows[0]?.['status'] === 0;
}

/** Takes a seat whose row is locked. */
export async function takeSeat(connection: PoolConnection, { sale, seat }: Hold): Promise<void> {
  await connection.execute('UPDATE seats SET status = 1, version = version + 1 WHERE performance_id = ? AND seat = ?', [
    sale.performanceId,
    seat,
  ]);
}

/** Writes down whose a seat is now. Rejects with ER_DUP_ENTRY when it is somebody's. */
export async function insertReservation(connection: PoolConnection, hold: Hold): Promise<void> {
  const { sale, seat, userId, expiresAtMs } = hold;
  const { performanceId, price } = sale;
  const id = uuidToBytes(hold.reservationId);
  await connection.execute(
    'INSERT INTO reservations (id, performance_id, user_id, status, amount, expires_at_ms) VALUES (?, ?, ?, 1, ?, ?)',
    [id, performanceId, userId, price, expiresAtMs],
  );
  await connection.execute('INSERT INTO reservation_seats (reservation_id, seat, performance_id) VALUES (?, ?, ?)', [
    id,
    seat,
    performanceId,
  ]);
}

/**
 * Reads the seat, and takes it where nobody has changed it since (its version): one try of the optimistic way, and what the
 * ways do under a lock, whose time may be over before they are done. `busy`: somebody was faster.
 */
export function takeUnchanged(pool: Pool, hold: Hold): Promise<Outcome> {
  return inTransaction(pool, async (connection) => {
    const version = await freeVersion(connection, hold);
    if (version === null) return 'taken';
    const [result] = await connection.execute<ResultSetHeader>(
      `UPDATE seats SET status = 1, version = version + 1
       WHERE performance_id = ? AND seat = ? AND status = 0 AND version = ?`,
      [hold.sale.performanceId, hold.seat, version],
    );
    if (result.affectedRows === 0) return 'busy';
    await insertReservation(connection, hold);
    return 'held';
  });
}
