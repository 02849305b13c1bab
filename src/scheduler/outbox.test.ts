import { describe, expect, it } from 'vitest';
import { type OutboxKind, type OutboxRow, outboxKinds } from '../domain/account.ts';
import { outboxJob } from './outbox.ts';

function line(reservationId: string, kind: OutboxKind = 'reservation.held'): string {
  return `${outboxKinds.indexOf(kind)} ${reservationId} 1 2`;
}

/** An outbox and a stream, of which either may fail. */
function fakes(rows: readonly OutboxRow[]) {
  const outbox = [...rows];
  const stream: { readonly eventId: string; readonly line: string }[] = [];
  const reads: number[] = [];
  const counters = { relayed: 0 };
  const faults: { append: Error | null; remove: Error | null } = { append: null, remove: null };
  const job = outboxJob({
    async read(rowsMax) {
      const found = outbox.slice(0, rowsMax);
      reads.push(found.length);
      return found;
    },
    async append(rows) {
      if (faults.append !== null) throw faults.append;
      const events = rows.flatMap(({ id, lines }) =>
        lines.split('\n').map((line, i) => ({ eventId: `${id}-${i}`, line })),
      );
      stream.push(...events);
      return events.length;
    },
    async remove(ids) {
      if (faults.remove !== null) throw faults.remove;
      for (const id of ids) {
        const index = outbox.findIndex((row) => row.id === id);
        if (index >= 0) outbox.splice(index, 1);
      }
    },
    counters,
  });
  return { job, outbox, stream, reads, counters, faults };
}

function rowsOf(count: number): OutboxRow[] {
  return Array.from({ length: count }, (_, i) => ({ id: i + 1, lines: line(`r${i}`) }));
}

describe('the relay of the outbox', () => {
  it('tells every event of every row in order, each with an id of its own, and removes the rows', async () => {
    const { job, outbox, stream, counters } = fakes([
      { id: 7, lines: [line('a'), line('b')].join('\n') },
      { id: 9, lines: [line('a', 'reservation.confirmed'), line('a', 'payment.completed')].join('\n') },
    ]);
    await job.run();
    expect(stream).toEqual([
      { line: line('a'), eventId: '7-0' },
      { line: line('b'), eventId: '7-1' },
      { line: line('a', 'reservation.confirmed'), eventId: '9-0' },
      { line: line('a', 'payment.completed'), eventId: '9-1' },
    ]);
    expect(outbox).toEqual([]);
    expect(counters.relayed).toBe(4);
  });

  it('does nothing where there is nothing', async () => {
    const { job, stream, counters, faults } = fakes([]);
    faults.append = new Error('not to be called');
    await job.run();
    expect([stream, counters.relayed]).toEqual([[], 0]);
  });

  it('goes on until all are told, in rounds of a bounded size', async () => {
    const { job, outbox, stream, reads } = fakes(rowsOf(173));
    await job.run();
    expect(outbox).toEqual([]);
    expect(stream.map(({ line }) => line)).toEqual(rowsOf(173).map(({ lines }) => lines));
    expect(Math.max(...reads)).toBeLessThan(173);
  });

  it('that dies between the two steps tells the same again, with the same ids', async () => {
    const { job, outbox, stream, counters, faults } = fakes(rowsOf(3));
    faults.remove = new Error('gone');
    await expect(job.run()).rejects.toThrow('gone');
    expect([stream.length, outbox.length, counters.relayed]).toEqual([3, 3, 0]);
    // The next leader, which remembers nothing.
    faults.remove = null;
    await job.run();
    expect(outbox).toEqual([]);
    expect(stream.slice(3)).toEqual(stream.slice(0, 3));
    expect(stream.map(({ eventId }) => eventId)).toEqual(['1-0', '2-0', '3-0', '1-0', '2-0', '3-0']);
  });

  it('removes nothing that it could not tell', async () => {
    const { job, outbox, counters, faults } = fakes(rowsOf(3));
    faults.append = new Error('redis is away');
    await expect(job.run()).rejects.toThrow('redis is away');
    expect([outbox.length, counters.relayed]).toEqual([3, 0]);
    faults.append = null;
    await job.run();
    expect([outbox.length, counters.relayed]).toEqual([0, 3]);
  });

  it('finds a row that was committed late, behind others that are told already', async () => {
    const { job, outbox, stream } = fakes([{ id: 2, lines: line('later') }]);
    await job.run();
    outbox.push({ id: 1, lines: line('earlier') });
    await job.run();
    expect(stream.map(({ eventId }) => eventId)).toEqual(['2-0', '1-0']);
  });
});
