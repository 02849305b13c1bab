/** The one release path of MySQL: cancel, expiry, and a hold that takes over from one whose time is over. */
import { uuidFromBytes, uuidToBytes } from '../domain/ids.ts';
import { type Release, ReservationStatus } from '../domain/reservation.ts';
import type { Database, Row, Statements } from './database.ts';
import { writeOutbox } from './outbox.ts';

/** Locks the reservations that still have the status, in the order of their ids. */
function lock(statements: Statements, ids: readonly Buffer[], status: number): Promise<Row[]> {
  return statements.rows(
    `SELECT id, performance_id, user_id, party_size, hold_ends_at <= NOW(3) AS is_over
     FROM reservations WHERE id IN (?) AND status = ? ORDER BY id FOR UPDATE`,
    [ids, status],
  );
}

function lockHeld(statements: Statements, ids: readonly Buffer[]): Promise<Row[]> {
  return lock(statements, ids, ReservationStatus.HELD);
}

/** Frees the seats and places of locked reservations and gives them their last status. */
async function giveBack(statements: Statements, rows: readonly Row[], status: number): Promise<Release[]> {
  const ids = rows.map((row) => row['id'] as Buffer);
  await statements.write('UPDATE reservations SET status = ? WHERE id IN (?)', [status, ids]);

  const placesOf = new Map<number, number>();
  let isSeated = false;
  for (const row of rows) {
    if (row['party_size'] === 0) isSeated = true;
    else placesOf.set(row['performance_id'], (placesOf.get(row['performance_id']) ?? 0) + row['party_size']);
  }
  const versionsOf = new Map<string, number[]>();
  if (isSeated) {
    await statements.write(
      `UPDATE reservation_seats r STRAIGHT_JOIN seats s ON s.performance_id = r.performance_id AND s.seat = r.seat
       SET s.status = 0, s.version = s.version + 1
       WHERE r.reservation_id IN (?) AND r.live = 1`,
      [ids],
    );
    await statements.write('UPDATE reservation_seats SET live = NULL WHERE reservation_id IN (?)', [ids]);
    const seats = await statements.rows(
      `SELECT r.reservation_id, s.seat, s.version
       FROM reservation_seats r STRAIGHT_JOIN seats s ON s.performance_id = r.performance_id AND s.seat = r.seat
       WHERE r.reservation_id IN (?) ORDER BY r.reservation_id, r.seat`,
      [ids],
    );
    for (const seat of seats) {
      const id = uuidFromBytes(seat['reservation_id']);
      const versions = versionsOf.get(id) ?? [];
      versions.push(seat['seat'], seat['version']);
      versionsOf.set(id, versions);
    }
  }
  for (const [performanceId, places] of [...placesOf].sort(([a], [b]) => a - b)) {
    await statements.write('UPDATE performances SET remaining = remaining + ? WHERE id = ?', [places, performanceId]);
  }
  const releases = rows.map((row) => {
    const reservationId = uuidFromBytes(row['id']);
    return {
      reservationId,
      performanceId: row['performance_id'],
      userId: row['user_id'],
      endsPass: status === ReservationStatus.CANCELLED,
      seatVersions: versionsOf.get(reservationId) ?? [],
    };
  });
  const kind = status === ReservationStatus.EXPIRED ? 'reservation.expired' : 'reservation.cancelled';
  await writeOutbox(
    statements,
    releases.map(({ reservationId, performanceId, userId }) => ({ kind, reservationId, performanceId, userId })),
  );
  return releases;
}

/** Inside the transaction of a refund: cancels a confirmed reservation and frees its places. Null: it is not confirmed. */
export async function giveBackConfirmed(statements: Statements, reservationId: string): Promise<Release | null> {
  const rows = await lock(statements, [uuidToBytes(reservationId)], ReservationStatus.CONFIRMED);
  if (rows.length === 0) return null;
  return (await giveBack(statements, rows, ReservationStatus.CANCELLED))[0] ?? null;
}

/**
 * Inside the transaction of a new hold: expires those it supersedes, unless they were paid or given up before. Returns
 * those it expired.
 */
export async function expireSuperseded(statements: Statements, reservationIds: readonly string[]): Promise<Release[]> {
  const rows = await lockHeld(statements, reservationIds.map(uuidToBytes));
  return rows.length === 0 ? [] : giveBack(statements, rows, ReservationStatus.EXPIRED);
}

/** Expires held reservations whose time is over by MySQL's clock, oldest first, at most `countMax` in a transaction. */
export function expireDue(database: Database, countMax: number): Promise<Release[]> {
  return database.transaction(async (transaction) => {
    const due = await transaction.rows(
      `SELECT id FROM reservations WHERE status = ${ReservationStatus.HELD} AND hold_ends_at <= NOW(3)
       ORDER BY hold_ends_at LIMIT ?`,
      [countMax],
    );
    if (due.length === 0) return [];
    const rows = await lockHeld(
      transaction,
      due.map((row) => row['id'] as Buffer),
    );
    const over = rows.filter((row) => row['is_over'] === 1);
    return over.length === 0 ? [] : giveBack(transaction, over, ReservationStatus.EXPIRED);
  });
}

/** Cancels a reservation that is held and not over. Null: it is not (any more), read it to see why. */
export function cancelHeld(database: Database, reservationId: string): Promise<Release | null> {
  return database.transaction(async (transaction) => {
    const rows = await lockHeld(transaction, [uuidToBytes(reservationId)]);
    if (rows.length === 0 || rows[0]!['is_over'] === 1) return null;
    const releases = await giveBack(transaction, rows, ReservationStatus.CANCELLED);
    return releases[0] ?? null;
  });
}
