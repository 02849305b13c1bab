/**
 * Commits holds under optimistic locks: a batch in one transaction, where every seat must be exactly one version behind
 * and every capacity performance must have the places. One refused hold rolls the batch back and halves it, so that the
 * refused ones are found in a few steps; that happens only after Redis has lost writes.
 *
 * Of the 21 us that MariaDB takes for a hold of one seat, 200 a transaction, 13.5 are for the row of reservations (4 for the
 * index by user, 2 for each of the other two, 2.7 to read the text), 5 for the seat's row, 3.5 for its version, 2 for the
 * outbox. Prepared statements would take 2 less, and a batch of another size its own text; an end of the hold made once, as a
 * variable, 0.5 less.
 */
import type { OutboxEvent } from '../domain/account.ts';
import { uuidFromBytes, uuidToBytes } from '../domain/ids.ts';
import { type Hold, type Release, ReservationStatus } from '../domain/reservation.ts';
import type { PersistResult } from '../domain/stores.ts';
import { codeOf } from '../lib/errors.ts';
import type { Database } from './database.ts';
import { integerLiteral, toDateTime, uuidLiteral } from './literals.ts';
import { outboxText } from './outbox.ts';
import { expireSuperseded } from './releases.ts';

/** Told of reservations that MySQL has expired. */
export type OnExpired = (releases: readonly Release[]) => void;

const nobody: readonly Release[] = [];

// The rows of a batch are written as literals, each checked for its type: 2 us a hold less than placeholders.

/**
 * A party whose time was over before MySQL heard of it (an outage, a gateway that died): it is written down as expired and
 * takes no places, which may be another one's by now. Seats of a hold that is over are stored and expired one after the
 * other, since whoever has them now counts their versions on from there.
 */
function isOver({ partySize, holdMs }: Hold): boolean {
  return partySize > 0 && holdMs <= 0;
}

function reservationRow(hold: Hold, id: string, endText: string): string {
  const { performanceId, userId, partySize, amount, holdMs } = hold;
  const status = isOver(hold) ? ReservationStatus.EXPIRED : ReservationStatus.HELD;
  const numbers = `${integerLiteral(performanceId)},${integerLiteral(userId)},${status},`;
  const more = `${integerLiteral(partySize)},${integerLiteral(amount)},'${endText}'`;
  return `(${id},${numbers}${more},NOW(3)+INTERVAL ${integerLiteral(holdMs * 1000)} MICROSECOND)`;
}

function insertReservations(holds: readonly Hold[]): string {
  const rows: string[] = [];
  let endMs = 0;
  let endText = '';
  for (const hold of holds) {
    // The holds of one script call end together: the text is made once.
    if (hold.expiresAtMs !== endMs) {
      endMs = hold.expiresAtMs;
      endText = toDateTime(endMs);
    }
    rows.push(reservationRow(hold, uuidLiteral(hold.reservationId), endText));
  }
  return `INSERT INTO reservations
       (id, performance_id, user_id, status, party_size, amount, expires_at, hold_ends_at)
     VALUES ${rows.join(',')}`;
}

function eventsOf(hold: Hold): OutboxEvent[] {
  const { reservationId, performanceId, userId } = hold;
  const held = { kind: 'reservation.held', reservationId, performanceId, userId } as const;
  return isOver(hold) ? [held, { ...held, kind: 'reservation.expired' }] : [held];
}

interface SeatRow {
  readonly id: string;
  readonly performanceId: number;
  readonly seat: number;
  readonly version: number;
}

/** The seats of all holds, in the order of their key: two transactions lock what they share in one order. */
function seatRowsOf(holds: readonly Hold[]): SeatRow[] {
  const rows: SeatRow[] = [];
  for (const hold of holds) {
    const id = uuidLiteral(hold.reservationId);
    for (let i = 0; i < hold.seats.length; i++) {
      rows.push({ id, performanceId: hold.performanceId, seat: hold.seats[i]!, version: hold.versions[i]! });
    }
  }
  return rows.sort((a, b) => a.performanceId - b.performanceId || a.seat - b.seat);
}

function insertSeats(rows: readonly SeatRow[]): string {
  const values: string[] = [];
  for (const { id, seat, performanceId, version } of rows) {
    values.push(`(${id},${integerLiteral(seat)},${integerLiteral(performanceId)},${integerLiteral(version)},1)`);
  }
  return `INSERT INTO reservation_seats (reservation_id, seat, performance_id, version, live) VALUES ${values.join(',')}`;
}

/**
 * The version guard: every row of the batch in one statement, which finds the seats that are exactly one version behind.
 * As ranges of the primary key: 7 us of MySQL a hold less than an UPDATE joined with the rows just inserted.
 */
function takeSeats(rows: readonly SeatRow[]): string {
  const seatsOf = new Map<string, string[]>();
  for (const { performanceId, seat, version } of rows) {
    const behind = `performance_id = ${integerLiteral(performanceId)} AND version = ${integerLiteral(version - 1)}`;
    const seats = seatsOf.get(behind);
    const text = integerLiteral(seat);
    if (seats === undefined) seatsOf.set(behind, [text]);
    else seats.push(text);
  }
  const terms: string[] = [];
  for (const [behind, seats] of seatsOf) terms.push(`(${behind} AND seat IN (${seats.join(',')}))`);
  return `UPDATE seats SET status = 1, version = version + 1 WHERE ${terms.join(' OR ')}`;
}

/** The guard of capacity performances: it finds none that has fewer places than Redis believed. */
function takePlaces(performanceId: number, places: number): string {
  const count = integerLiteral(places);
  return `UPDATE performances SET remaining = remaining - ${count} WHERE id = ${integerLiteral(performanceId)} AND remaining >= ${count}`;
}

/** Stores all holds, or none of them: null when a guard refused one. Returns the reservations they superseded. */
function storeAll(database: Database, holds: readonly Hold[]): Promise<readonly Release[] | null> {
  const seatRows = seatRowsOf(holds);
  const superseded = [...new Set(holds.flatMap((hold) => hold.supersedes))];
  const placesOf = new Map<number, number>();
  for (const hold of holds) {
    const { performanceId, partySize } = hold;
    if (partySize > 0 && !isOver(hold)) placesOf.set(performanceId, (placesOf.get(performanceId) ?? 0) + partySize);
  }
  return database.transaction(async (transaction) => {
    const expired = superseded.length === 0 ? nobody : await expireSuperseded(transaction, superseded);
    const texts = [insertReservations(holds), outboxText(holds.flatMap(eventsOf))];
    // How many rows each guard, one of the last texts, has to find.
    const wanted: number[] = [];
    if (seatRows.length > 0) {
      texts.push(insertSeats(seatRows), takeSeats(seatRows));
      wanted.push(seatRows.length);
    }
    // The rows everybody wants come last: they are locked for the shortest time.
    for (const [performanceId, places] of [...placesOf].sort(([a], [b]) => a - b)) {
      texts.push(takePlaces(performanceId, places));
      wanted.push(1);
    }
    const found = (await transaction.writeAll(texts)).slice(texts.length - wanted.length);
    transaction.isRollback = found.some(({ affectedRows }, i) => affectedRows !== wanted[i]);
    return transaction.isRollback ? null : expired;
  });
}

/** What MySQL has of these ids: true while it is live, false when it was given up. */
async function storedOf(database: Database, holds: readonly Hold[]): Promise<Map<string, boolean>> {
  const ids = holds.map((hold) => uuidToBytes(hold.reservationId));
  const rows = await database.rows('SELECT id, status FROM reservations WHERE id IN (?)', [ids]);
  const isLive = (status: number): boolean =>
    status === ReservationStatus.HELD || status === ReservationStatus.CONFIRMED;
  return new Map(rows.map((row) => [uuidFromBytes(row['id']), isLive(row['status'])]));
}

/** Where a batch must be cut: before the first hold that supersedes one of the same batch. 0: nowhere. */
function cutOf(holds: readonly Hold[]): number {
  const earlier = new Set<string>();
  for (let i = 0; i < holds.length; i++) {
    const { supersedes, reservationId } = holds[i]!;
    if (supersedes.length > 0 && supersedes.some((id) => earlier.has(id))) return i;
    earlier.add(reservationId);
  }
  return 0;
}

async function persistInTwo(
  database: Database,
  holds: readonly Hold[],
  cut: number,
  onExpired: OnExpired,
): Promise<PersistResult[]> {
  const first = await persistHolds(database, holds.slice(0, cut), onExpired);
  return [...first, ...(await persistHolds(database, holds.slice(cut), onExpired))];
}

/** See Ledger.persistHolds: one result a hold, in order. `onExpired` gets the reservations they superseded. */
export async function persistHolds(
  database: Database,
  holds: readonly Hold[],
  onExpired: OnExpired,
): Promise<PersistResult[]> {
  if (holds.length === 0) return [];
  const cut = cutOf(holds);
  if (cut > 0) return persistInTwo(database, holds, cut, onExpired);
  try {
    const expired = await storeAll(database, holds);
    if (expired !== null) {
      if (expired.length > 0) onExpired(expired);
      return holds.map((hold) => (isOver(hold) ? 'over' : 'persisted'));
    }
  } catch (thrown) {
    // The same id again (a repeat), or the third guard: a live reservation has the seat.
    if (codeOf(thrown) !== 'ER_DUP_ENTRY') throw thrown;
  }
  const stored = await storedOf(database, holds);
  if (stored.size === 0) {
    return holds.length === 1 ? ['conflict'] : persistInTwo(database, holds, Math.ceil(holds.length / 2), onExpired);
  }
  const open = holds.filter((hold) => !stored.has(hold.reservationId));
  const openResults = await persistHolds(database, open, onExpired);
  const resultOf = new Map(open.map((hold, i) => [hold.reservationId, openResults[i]!]));
  return holds.map(({ reservationId }) => {
    return resultOf.get(reservationId) ?? (stored.get(reservationId) === true ? 'persisted' : 'over');
  });
}
