/** Reading reservations: by id, and a user's own, newest first. */
import { uuidFromBytes, uuidToBytes } from '../domain/ids.ts';
import { type Reservation, ReservationStatus, reservationStatusName } from '../domain/reservation.ts';
import type { Parameter, Row, Statements } from './database.ts';

// A hold whose time is over reads as expired at once, not only when the scheduler has come by.
const statusNow = `IF(status = ${ReservationStatus.HELD} AND hold_ends_at <= NOW(3), ${ReservationStatus.EXPIRED}, status)`;
const columns = `id, performance_id, user_id, ${statusNow} AS status_now, party_size, amount, created_at, expires_at`;

async function withSeats(statements: Statements, rows: readonly Row[]): Promise<Reservation[]> {
  const ids = rows.filter((row) => row['party_size'] === 0).map((row) => row['id'] as Buffer);
  const seatsOf = new Map<string, number[]>();
  if (ids.length > 0) {
    const seats = await statements.rows(
      'SELECT reservation_id, seat FROM reservation_seats WHERE reservation_id IN (?) ORDER BY reservation_id, seat',
      [ids],
    );
    for (const seat of seats) {
      const id = uuidFromBytes(seat['reservation_id']);
      const list = seatsOf.get(id);
      if (list === undefined) seatsOf.set(id, [seat['seat']]);
      else list.push(seat['seat']);
    }
  }
  return rows.map((row) => {
    const reservationId = uuidFromBytes(row['id']);
    return {
      reservationId,
      performanceId: row['performance_id'],
      userId: row['user_id'],
      status: reservationStatusName(row['status_now']),
      seats: seatsOf.get(reservationId) ?? [],
      partySize: row['party_size'],
      amount: row['amount'],
      createdAtMs: (row['created_at'] as Date).getTime(),
      expiresAtMs: (row['expires_at'] as Date).getTime(),
    };
  });
}

/** One reservation, or null. */
export async function readReservation(statements: Statements, reservationId: string): Promise<Reservation | null> {
  const rows = await statements.rows(`SELECT ${columns} FROM reservations WHERE id = ?`, [uuidToBytes(reservationId)]);
  return (await withSeats(statements, rows))[0] ?? null;
}

export interface ListOptions {
  readonly userId: number;
  readonly status: keyof typeof ReservationStatus | null;
  /** Only reservations older than this one. */
  readonly before: string | null;
  readonly limit: number;
}

/**
 * What a status asked for is among those stored. Each piece is one status as the index has it, so that it is read from its
 * newest end and for a page at most, however much the user has given up.
 */
const piecesOf: Readonly<Record<keyof typeof ReservationStatus, readonly string[]>> = {
  HELD: [`status = ${ReservationStatus.HELD} AND hold_ends_at > NOW(3)`],
  CONFIRMED: [`status = ${ReservationStatus.CONFIRMED}`],
  CANCELLED: [`status = ${ReservationStatus.CANCELLED}`],
  EXPIRED: [`status = ${ReservationStatus.EXPIRED}`, `status = ${ReservationStatus.HELD} AND hold_ends_at <= NOW(3)`],
};
const everyPiece = Object.values(ReservationStatus).map((status) => `status = ${status}`);

/** The user's own reservations, newest first. */
export async function listReservations(statements: Statements, options: ListOptions): Promise<Reservation[]> {
  const { userId, status, before, limit } = options;
  const older = before === null ? '' : ' AND id < ?';
  const pieces = (status === null ? everyPiece : piecesOf[status]).map(
    (piece) => `SELECT ${columns} FROM reservations FORCE INDEX (reservations_user)
      WHERE user_id = ? AND ${piece}${older} ORDER BY id DESC LIMIT ?`,
  );
  const parameters: Parameter[] = before === null ? [userId, limit] : [userId, uuidToBytes(before), limit];
  const rows =
    pieces.length === 1
      ? await statements.rows(pieces[0]!, parameters)
      : await statements.rows(`(${pieces.join(') UNION ALL (')}) ORDER BY id DESC LIMIT ?`, [
          ...pieces.flatMap(() => parameters),
          limit,
        ]);
  return withSeats(statements, rows);
}
