/** The relay of the outbox: what MySQL says happened goes to the stream, then out of the outbox. At least once, in order. */
import type { Appended, OutboxRow } from '../domain/account.ts';
import type { Job } from './scheduler.ts';

export interface OutboxRelayOptions {
  /** The oldest rows. */
  readonly read: (rowsMax: number) => Promise<readonly OutboxRow[]>;
  /** Appends to the stream, in order: whole rows, up to the first that is none. */
  readonly append: (rows: readonly OutboxRow[]) => Promise<Appended>;
  readonly remove: (ids: readonly number[]) => Promise<void>;
  readonly counters: { relayed: number };
}

const intervalMs = 100;
/** A row holds up to a transaction of 200 holds. */
const rowsMax = 50;
/** Two full rows, a millisecond of Redis, are appended at once; then others have their turn. */
const lengthMax = 25_000;

/** The rows in parts of at most `lengthMax`, or of one row. */
function partsOf(rows: readonly OutboxRow[]): OutboxRow[][] {
  const parts: OutboxRow[][] = [];
  let length = 0;
  for (const row of rows) {
    const part = parts.at(-1);
    length += row.lines.length;
    if (part !== undefined && length <= lengthMax) {
      part.push(row);
    } else {
      parts.push([row]);
      length = row.lines.length;
    }
  }
  return parts;
}

/**
 * A crash between the two steps tells some events again, with the same ids. One part behind the other, and nothing behind a
 * row that cannot be told: what it is about must not be overtaken. What was told before it is removed all the same, or it
 * would be told again and again.
 */
export function outboxJob({ read, append, remove, counters }: OutboxRelayOptions): Job {
  async function relay(rows: readonly OutboxRow[]): Promise<void> {
    const told: number[] = [];
    let events = 0;
    try {
      for (const part of partsOf(rows)) {
        const appended = await append(part);
        for (const { id } of part.slice(0, appended.rows)) told.push(id);
        events += appended.events;
        const bad = part[appended.rows];
        if (bad !== undefined) throw new Error(`row ${bad.id} of the outbox has a line that is no event`);
      }
    } finally {
      if (told.length > 0) {
        await remove(told);
        counters.relayed += events;
      }
    }
  }

  return {
    name: 'relay outbox',
    intervalMs,
    async run() {
      for (;;) {
        const rows = await read(rowsMax);
        if (rows.length > 0) await relay(rows);
        if (rows.length < rowsMax) return;
      }
    },
  };
}
