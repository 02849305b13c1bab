/** The outbox: what happened, written where it happened, read in order and removed once it was told. */
import type { OutboxEvent } from '../domain/account.ts';
import type { Statements } from './database.ts';

/** Inside the transaction of what happened: one row, however many events. */
export async function writeOutbox(statements: Statements, events: readonly OutboxEvent[]): Promise<void> {
  if (events.length === 0) return;
  await statements.write('INSERT INTO outbox (events) VALUES (?)', [JSON.stringify(events)]);
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
  return rows.map((row) => ({ id: row['id'], events: JSON.parse(row['events']) as OutboxEvent[] }));
}

export async function deleteOutbox(statements: Statements, ids: readonly number[]): Promise<void> {
  await statements.write('DELETE FROM outbox WHERE id IN (?)', [ids]);
}
