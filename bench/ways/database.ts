/** The tables that the ways share, what is sold read from them, and the statements and transactions on one seat. */
import mysql, {
  type Connection,
  type Pool,
  type PoolConnection,
  type ResultSetHeader,
  type RowDataPacket,
} from 'mysql2/promise';
import { codeOf } from '../../src/lib/errors.ts';
import { integerLiteral, uuidLiteral } from '../../src/persist/literals.ts';
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

/**
 * Transactions under way at a time: those that commit together share a write to the disk, and more of them wait for each
 * other. On two cores for-update and optimistic did 3,320 and 2,420 requests a second with 12 connections, 2,850 and 2,330
 * with 24, 2,740 and 1,980 with 48 (the middle of three runs of 2 s).
 */
const connectionsMax = 12;
const deadlocksMax = 3;

// READ COMMITTED, as the gateway has it: a row that is only looked past is not locked.
const sessionText = 'SET autocommit = 0; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED';

/**
 * Connections whose first statement opens a transaction (autocommit off): a round trip less than START TRANSACTION. What
 * needs no look at an answer goes out as one text, one round trip.
 */
export function createTransactions(mysqlUrl: string): Pool {
  const pool = mysql.createPool({
    uri: mysqlUrl,
    connectionLimit: connectionsMax,
    idleTimeout: 600_000,
    multipleStatements: true,
  });
  // Behind it in the connection's own queue come the statements of whoever wanted it.
  pool.pool.on('connection', (connection) => connection.query(sessionText));
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
 * Runs one transaction, which `work` ends; after a fault it is rolled back, after a deadlock tried again. Rejects with any
 * other fault.
 */
export async function inTransaction<Result>(
  pool: Pool,
  work: (connection: PoolConnection) => Promise<Result>,
): Promise<Result> {
  for (let deadlocks = 0; ; deadlocks++) {
    const connection = await pool.getConnection();
    try {
      return await work(connection);
    } catch (thrown) {
      await connection.rollback().catch(() => connection.destroy());
      if (codeOf(thrown) !== 'ER_LOCK_DEADLOCK' || deadlocks === deadlocksMax) throw thrown;
    } finally {
      connection.release();
    }
  }
}

/**
 * One transaction on one seat: `work` has committed it when it says `held`; else it is rolled back here. A seat that
 * somebody else has in spite of all (the unique key) is `taken`.
 */
export async function onSeat(pool: Pool, work: (connection: PoolConnection) => Promise<Outcome>): Promise<Outcome> {
  try {
    return await inTransaction(pool, async (connection) => {
      const outcome = await work(connection);
      if (outcome !== 'held') await connection.rollback();
      return outcome;
    });
  } catch (thrown) {
    if (codeOf(thrown) === 'ER_DUP_ENTRY') return 'taken';
    throw thrown;
  }
}

/** Takes seats of one performance whose rows are locked. */
export function takeText(performanceId: number, seats: readonly number[]): string {
  return `UPDATE seats SET status = 1, version = version + 1
    WHERE performance_id = ${integerLiteral(performanceId)} AND seat IN (${seats.map(integerLiteral).join(',')})`;
}

/** Writes down whose the seats are now: one hold at least. ER_DUP_ENTRY when one is somebody's. */
export function reservationTexts(holds: readonly Hold[]): string[] {
  const reservations: string[] = [];
  const seats: string[] = [];
  for (const { reservationId, sale, seat, userId, expiresAtMs } of holds) {
    const id = uuidLiteral(reservationId);
    const performanceId = integerLiteral(sale.performanceId);
    const [user, price, expires] = [userId, sale.price, expiresAtMs].map(integerLiteral);
    reservations.push(`(${id},${performanceId},${user},1,${price},${expires})`);
    seats.push(`(${id},${integerLiteral(seat)},${performanceId})`);
  }
  return [
    `INSERT INTO reservations (id, performance_id, user_id, status, amount, expires_at_ms) VALUES ${reservations.join(',')}`,
    `INSERT INTO reservation_seats (reservation_id, seat, performance_id) VALUES ${seats.join(',')}`,
  ];
}

/** Sends the last statements of a transaction and its commit, in one round trip: a fault of one ends it before the next. */
export async function commitWith(connection: PoolConnection, texts: readonly string[]): Promise<void> {
  await connection.query([...texts, 'COMMIT'].join(';\n'));
}

/** Reads a seat's version and locks nothing; null when it is taken. */
async function freeVersion(connection: PoolConnection, { sale, seat }: Hold): Promise<number | null> {
  const [rows] = await connection.execute<RowDataPacket[]>(
    'SELECT status, version FROM seats WHERE performance_id = ? AND seat = ?',
    [sale.performanceId, seat],
  );
  return rows[0]?.['status'] === 0 ? rows[0]['version'] : null;
}

/**
 * Reads the seat, and takes it where nobody has changed it since (its version): one try of the optimistic way, and what the
 * ways do under a lock, whose time may be over before they are done. `busy`: somebody was faster.
 */
export function takeUnchanged(pool: Pool, hold: Hold): Promise<Outcome> {
  return onSeat(pool, async (connection) => {
    const version = await freeVersion(connection, hold);
    if (version === null) return 'taken';
    const [result] = await connection.execute<ResultSetHeader>(
      `UPDATE seats SET status = 1, version = version + 1
       WHERE performance_id = ? AND seat = ? AND status = 0 AND version = ?`,
      [hold.sale.performanceId, hold.seat, version],
    );
    if (result.affectedRows === 0) return 'busy';
    await commitWith(connection, reservationTexts([hold]));
    return 'held';
  });
}
