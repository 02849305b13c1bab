/** The relay of the outbox: what MySQL says happened goes to the stream, then out of the outbox. At least once, in order. */
import type { OutboxRow } from '../domain/account.ts';
import type { Job } from './scheduler.ts';

export interface OutboxRelayOptions {
  /** The oldest rows. */
  readonly read: (rowsMax: number) => Promise<readonly OutboxRow[]>;
  /** Appends to the stream, in order; resolves to the number of events. */
  readonly append: (rows: readonly OutboxRow[]) => Promise<number>;
  readonly remove: (ids: readonly number[]) => Promise<void>;
  readonly counters: { relayed: number };
}

const intervalMs = 100;
/** A row holds up to a transaction of 200 holds. */
const rowsMax = 50;

/** A crash between the two steps tells some events again, with the same ids. */
export function outboxJob({ read, append, remove, counters }: OutboxRelayOptions): Job {
  return {
    name: 'relay outbox',
    intervalMs,
    async run() {
      for (;;) {
        const rows = await read(rowsMax);
        if (rows.length === 0) return;
        const count = await append(rows);
        await remove(rows.map(({ id }) => id));
        counters.relayed += count;
        if (rows.length < rowsMax) return;
      }
    },
  };
}
