/** The outbox: what happened, written where it happened, read in order and removed once it was told. */
import { type OutboxEvent, type OutboxRow, outboxKinds } from '../domain/account.ts';
import type { Statements } from './database.ts';
import { integerLiteral, isUuid } from './literals.ts';

/** Half the bytes of JSON, and nothing in it to escape: a UUID and whole numbers, each checked. */
function lineOf({ kind, reservationId, performanceId, userId, amount }: OutboxEvent): string {
  if (!isUuid(reservationId)) throw new RangeError('not a UUID');
  const line = `${outboxKinds.indexOf(kind)} ${reservationId} ${integerLiteral(performanceId)} ${integerLiteral(userId)}`;
  return amount === undefined ? line : `${line} ${integerLiteral(amount)}`;
}

function linesOf(events: readonly OutboxEvent[]): string {
  return events.map(lineOf).join('\n');
}

/**
 * What is written inside the transaction of what happened: one row, however many events, one at least. As a literal, as the
 * rows of the holds beside it: looking for what to escape took longer than writing it.
 */
export function outboxText(events: readonly OutboxEvent[]): string {
  return `INSERT INTO outbox (events) VALUES ('${linesOf(events)}')`;
}

/** Inside the transaction of what happened. */
export async function writeOutbox(statements: Statements, events: readonly OutboxEvent[]): Promise<void> {
  if (events.length > 0) await statements.write(outboxText(events));
}

/**
 * The oldest rows there are. A transaction that takes its id early and commits late is found by a later look: nothing is
 * skipped, since rows are removed and not passed. Two events of one reservation keep their order: the second one's
 * transaction begins after the first one's has committed.
 */
export async function readOutbox(statements: Statements, rowsMax: number): Promise<OutboxRow[]> {
  const rows = await statements.rows('SELECT id, events FROM outbox ORDER BY id LIMIT ?', [rowsMax]);
  return rows.map(({ id, events }) => ({
    id,
    // Rows of earlier versions are JSON.
    lines: events.startsWith('[') ? linesOf(JSON.parse(events)) : events,
  }));
}

/**
 * Looks at no other rows. `WHERE id IN (...)` reads a short table from end to end, on MariaDB from three ids on, and then
 * waits for every transaction that has written to it and not committed yet.
 */
export async function deleteOutbox(statements: Statements, ids: readonly number[]): Promise<void> {
  const told = ids.map((id) => `SELECT ${integerLiteral(id)} AS id`).join(' UNION ALL ');
  await statements.write(`DELETE o FROM (${told}) told STRAIGHT_JOIN outbox o FORCE INDEX (PRIMARY) ON o.id = told.id`);
}
