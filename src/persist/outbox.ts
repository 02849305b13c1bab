/** The outbox: what happened, written where it happened, read in order and removed once it was told. */
import type { OutboxEvent, OutboxKind } from '../domain/account.ts';
import { integerLiteral, type Statements } from './database.ts';

/** The numbers are what MySQL stores. */
const kinds: readonly OutboxKind[] = [
  'reservation.held',
  'reservation.confirmed',
  'reservation.cancelled',
  'reservation.expired',
  'payment.completed',
  'payment.refunded',
];

/** A line an event: kind, reservation, performance, user, amount. Half the bytes of JSON, and nothing in it to escape. */
function lineOf({ kind, reservationId, performanceId, userId, amount }: OutboxEvent): string {
  const line = `${kinds.indexOf(kind)} ${reservationId} ${performanceId} ${userId}`;
  return amount === undefined ? line : `${line} ${amount}`;
}

function eventOf(line: string): OutboxEvent {
  const [kind, reservationId = '', performanceId, userId, amount] = line.split(' ');
  const event = {
    kind: kinds[Number(kind)]!,
    reservationId,
    performanceId: Number(performanceId),
    userId: Number(userId),
  };
  return amount === undefined ? event : { ...event, amount: Number(amount) };
}

/** Rows of earlier versions are JSON. */
function eventsOf(text: string): OutboxEvent[] {
  return text.startsWith('[') ? JSON.parse(text) : text.split('\n').map(eventOf);
}

/** Inside the transaction of what happened: one row, however many events. */
export async function writeOutbox(statements: Statements, events: readonly OutboxEvent[]): Promise<void> {
  if (events.length === 0) return;
  await statements.write('INSERT INTO outbox (events) VALUES (?)', [events.map(lineOf).join('\n')]);
}

export interface OutboxRow {
  readonly id: number;
  readonly events: readonly OutboxEvent[];
}

/**
 * The oldest rows there are. A transaction that takes its id early and commits late is found by a later look: nothing is
 * skipped, since rows are removed and not passed. Two events of one reservation keep their order: the second one's
 * transaction begins after the first one's has committed.
 */
export async function readOutbox(statements: Statements, rowsMax: number): Promise<OutboxRow[]> {
  const rows = await statements.rows('SELECT id, events FROM outbox ORDER BY id LIMIT ?', [rowsMax]);
  return rows.map((row) => ({ id: row['id'], events: eventsOf(row['events']) }));
}

/**
 * Looks at no other rows. `WHERE id IN (...)` reads a short table from end to end, on MariaDB from three ids on, and then
 * waits for every transaction that has written to it and not committed yet.
 */
export async function deleteOutbox(statements: Statements, ids: readonly number[]): Promise<void> {
  const told = ids.map((id) => `SELECT ${integerLiteral(id)} AS id`).join(' UNION ALL ');
  await statements.write(`DELETE o FROM (${told}) told STRAIGHT_JOIN outbox o FORCE INDEX (PRIMARY) ON o.id = told.id`);
}
