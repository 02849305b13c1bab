/** Events, performances and seats in MySQL, and the snapshot from which a performance is warmed. */
import { uuidFromBytes } from '../domain/ids.ts';
import { type Event, type Performance, type PerformancePlan, placesOf } from '../domain/performance.ts';
import { ReservationStatus } from '../domain/reservation.ts';
import type { SeatState, Snapshot } from '../domain/snapshot.ts';

import type { Database, Parameter, Row, Statements } from './database.ts';
import { placeholders, toDateTime } from './literals.ts';
import { readRoom } from './rooms.ts';

const seatsPerStatementMax = 5000;
const listMax = 1000;

export async function insertEvent(
  database: Database,
  name: string,
  description: string | null,
  isDemo: boolean,
): Promise<number> {
  const result = await database.write(
    'INSERT INTO events (name, description, is_demo, created_at) VALUES (?, ?, ?, NOW(3))',
    [name, description, isDemo ? 1 : 0],
  );
  return result.insertId;
}

function eventOf(row: Row): Event {
  const createdAtMs = (row['created_at'] as Date).getTime();
  const { id: eventId, name, description } = row;
  return { eventId, name, description, isDemo: row['is_demo'] === 1, createdAtMs };
}

/** Newest first, at most 1,000. */
export async function listEvents(statements: Statements): Promise<Event[]> {
  const sql = 'SELECT id, name, description, is_demo, created_at FROM events ORDER BY id DESC LIMIT ?';
  return (await statements.rows(sql, [listMax])).map(eventOf);
}

export async function readEvent(statements: Statements, eventId: number): Promise<Event | null> {
  const sql = 'SELECT id, name, description, is_demo, created_at FROM events WHERE id = ?';
  const rows = await statements.rows(sql, [eventId]);
  return rows[0] === undefined ? null : eventOf(rows[0]);
}

/** Stores a performance and all its seats in one transaction. Returns its id. */
export function insertPerformance(database: Database, plan: PerformancePlan): Promise<number> {
  const { seating } = plan;
  const isSeated = seating.kind === 'seated';
  return database.transaction(async (transaction) => {
    const { insertId } = await transaction.write(
      `INSERT INTO performances
         (event_id, starts_at, booking_opens_at, booking_closes_at, price, hold_seconds, max_reservations_per_user,
          kind, places, seats_per_row, max_party_size, remaining, created_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NOW(3))`,
      [
        plan.eventId,
        toDateTime(plan.startsAtMs),
        plan.bookingOpensAtMs === null ? null : toDateTime(plan.bookingOpensAtMs),
        plan.bookingClosesAtMs === null ? null : toDateTime(plan.bookingClosesAtMs),
        plan.price,
        plan.holdSeconds,
        plan.maxReservationsPerUser,
        seating.kind,
        placesOf(plan),
        isSeated ? seating.seatsPerRow : 0,
        isSeated ? 0 : seating.maxPartySize,
        isSeated ? 0 : seating.capacity,
      ],
    );
    const seats = isSeated ? seating.seats : 0;
    for (let first = 1; first <= seats; first += seatsPerStatementMax) {
      const count = Math.min(seatsPerStatementMax, seats - first + 1);
      const values: Parameter[] = [];
      for (let seat = first; seat < first + count; seat++) values.push(insertId, seat);
      await transaction.write(
        `INSERT INTO seats (performance_id, seat) VALUES ${placeholders('(?, ?)', count)}`,
        values,
      );
    }
    return insertId;
  });
}

const performanceColumns = `id, event_id, starts_at, booking_opens_at, booking_closes_at, price, hold_seconds,
  max_reservations_per_user, kind, places, seats_per_row, max_party_size, remaining`;

function timeOf(value: Date | null): number | null {
  return value === null ? null : value.getTime();
}

function performanceOf(row: Row): Performance {
  return {
    performanceId: row['id'],
    eventId: row['event_id'],
    startsAtMs: (row['starts_at'] as Date).getTime(),
    bookingOpensAtMs: timeOf(row['booking_opens_at']),
    bookingClosesAtMs: timeOf(row['booking_closes_at']),
    price: row['price'],
    holdSeconds: row['hold_seconds'],
    maxReservationsPerUser: row['max_reservations_per_user'],
    seating:
      row['kind'] === 'seated'
        ? { kind: 'seated', seats: row['places'], seatsPerRow: row['seats_per_row'] }
        : { kind: 'capacity', capacity: row['places'], maxPartySize: row['max_party_size'] },
  };
}

export async function readPerformance(statements: Statements, performanceId: number): Promise<Performance | null> {
  const rows = await statements.rows(`SELECT ${performanceColumns} FROM performances WHERE id = ?`, [performanceId]);
  return rows[0] === undefined ? null : performanceOf(rows[0]);
}

/** Whether the event of a performance is a demo; null when there is no such performance. */
export async function isOfDemo(statements: Statements, performanceId: number): Promise<boolean | null> {
  const sql = 'SELECT e.is_demo FROM performances p JOIN events e ON e.id = p.event_id WHERE p.id = ?';
  const rows = await statements.rows(sql, [performanceId]);
  return rows[0] === undefined ? null : rows[0]['is_demo'] === 1;
}

/** The performances of an event, at most 1,000. */
export async function listPerformances(statements: Statements, eventId: number): Promise<Performance[]> {
  const sql = `SELECT ${performanceColumns} FROM performances WHERE event_id = ? ORDER BY id LIMIT ?`;
  return (await statements.rows(sql, [eventId, listMax])).map(performanceOf);
}

/** Ids of performances that start later than now: what a new process warms, the soonest first, at most `countMax`. */
export async function listUpcoming(statements: Statements, countMax: number): Promise<number[]> {
  const sql = 'SELECT id FROM performances WHERE starts_at > NOW(3) ORDER BY starts_at LIMIT ?';
  return (await statements.rows(sql, [countMax])).map((row) => row['id']);
}

/** Free places by MySQL alone, for reads while Redis is away. */
export async function countRemaining(statements: Statements, performance: Performance): Promise<number> {
  const sql =
    performance.seating.kind === 'capacity'
      ? 'SELECT remaining AS places FROM performances WHERE id = ?'
      : 'SELECT COUNT(*) AS places FROM seats WHERE performance_id = ? AND status = 0';
  return (await statements.rows(sql, [performance.performanceId]))[0]?.['places'] ?? 0;
}

/** The seats of a performance that have ever changed, in order. */
export async function readChangedSeats(statements: Statements, performanceId: number): Promise<SeatState[]> {
  const rows = await statements.rows(
    'SELECT seat, status, version FROM seats WHERE performance_id = ? AND version > 0 ORDER BY seat',
    [performanceId],
  );
  return rows.map((row) => ({ seat: row['seat'], status: row['status'], version: row['version'] }));
}

/** Who owns which seats: reservation id by seat. */
async function readOwners(statements: Statements, performanceId: number): Promise<Map<number, string>> {
  const rows = await statements.rows(
    'SELECT seat, reservation_id FROM reservation_seats WHERE performance_id = ? AND live = 1',
    [performanceId],
  );
  return new Map(rows.map((row) => [row['seat'], uuidFromBytes(row['reservation_id'])]));
}

/** Reads the snapshot; null when there is no such performance. */
export function readSnapshot(database: Database, performanceId: number): Promise<Snapshot | null> {
  return database.snapshot(async (transaction) => {
    const performance = await readPerformance(transaction, performanceId);
    if (performance === null) return null;
    const isSeated = performance.seating.kind === 'seated';
    const seats = isSeated ? await readChangedSeats(transaction, performanceId) : [];
    const ownerOf = isSeated ? await readOwners(transaction, performanceId) : new Map<number, string>();
    const rows = await transaction.rows(
      `SELECT id, user_id, status, party_size, TIMESTAMPDIFF(MICROSECOND, NOW(3), hold_ends_at) DIV 1000 AS remaining_ms
       FROM reservations WHERE performance_id = ? AND status IN (${ReservationStatus.HELD}, ${ReservationStatus.CONFIRMED})`,
      [performanceId],
    );
    const reservations = rows.map((row) => ({
      reservationId: uuidFromBytes(row['id']),
      userId: row['user_id'],
      partySize: row['party_size'],
      remainingMs: row['status'] === ReservationStatus.CONFIRMED ? null : Number(row['remaining_ms']),
    }));
    return { performance, seats, ownerOf, reservations, room: await readRoom(transaction, performanceId) };
  });
}
