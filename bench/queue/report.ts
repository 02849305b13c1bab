/** The result of the queue's bench: what --json prints, and its tables and plots. */
import type { Cell, Exhibits } from '../load/exhibits.ts';
import type { Measured } from './measure.ts';

export interface QueueRow extends Measured {
  readonly what: 'issue' | 'poll';
  /** The rate asked for, requests a second. */
  readonly asked: number;
  /** False where fewer answers a second came than were asked for, or some not at all. */
  readonly isKept: boolean;
}

export interface QueueResult {
  readonly seconds: number;
  readonly rounds: number;
  readonly connections: number;
  readonly admitPerSecond: number;
  readonly rows: readonly QueueRow[];
  /** Rooms whose tickets and positions were checked, and what was not true in them. */
  readonly rooms: number;
  readonly faults: readonly string[];
}

/** What others have published of queues on other machines, for the order of magnitude only. */
const published = [
  { name: 'published: queue on MySQL', asked: 500, meanMs: 12_700, p95Ms: null },
  { name: 'published: queue on Redis', asked: 3000, meanMs: 3.0, p95Ms: 16.5 },
  { name: 'published: queue on Kafka', asked: 3000, meanMs: 1.0, p95Ms: 2.7 },
] as const;

/** Answers a second may fall short of the rate by as much: the first and the last of them are not equally late. */
const shortfallMax = 0.02;

/** A measurement as a row. */
export function rowOf(what: QueueRow['what'], asked: number, measured: Measured): QueueRow {
  const isKept = measured.errors === 0 && measured.perSecond >= asked * (1 - shortfallMax);
  return { what, asked, isKept, ...measured };
}

/** Latencies beside what others have published; how late the generator itself was is part of them. */
export function exhibits(result: QueueResult): Exhibits {
  const { seconds, rounds, connections, admitPerSecond, rows, rooms, faults } = result;
  const own = rows.map((row): Cell[] => [
    row.what,
    row.asked,
    row.isKept ? Math.round(row.perSecond) : `NOT KEPT: ${Math.round(row.perSecond).toLocaleString('en-US')}`,
    row.latency.meanMs,
    row.latency.p50Ms,
    row.latency.p95Ms,
    row.latency.p99Ms,
    row.latency.maxMs,
    row.errors,
    row.gatewayCpuMsPer1000,
    row.lateness.meanMs,
    row.lateness.p99Ms,
  ]);
  const others = published.map(({ name, asked, meanMs, p95Ms }): Cell[] => {
    return [name, asked, null, meanMs, null, p95Ms, null, null, null, null, null, null];
  });
  const title = `Tickets of a waiting room at fixed rates, open loop: ${seconds} s each, ${connections} connections, ${admitPerSecond} admitted a second; latency from the moment a request was due, the middle of ${rounds} rounds`;
  const columns = [
    '',
    'asked/s',
    'kept/s',
    'mean ms',
    'p50 ms',
    'p95 ms',
    'p99 ms',
    'max ms',
    'errors',
    'gateway CPU ms per 1,000',
    'generator late, mean ms',
    'generator late, p99 ms',
  ];
  const verdict = faults.length === 0 ? 'numbers 1 to n, every position right' : faults.join('; ');
  return {
    tables: [
      { title, columns, rows: [...own, ...others] },
      {
        title: 'What people were told',
        columns: ['rooms', 'faults', 'verdict'],
        rows: [[rooms, faults.length, verdict]],
      },
    ],
    plots: [
      {
        name: 'queue',
        title: 'A ticket of the waiting room: p95 at a fixed rate',
        x: { title: 'requests a second', scale: 'log' },
        y: { title: 'ms', scale: 'log' },
        series: [
          { name: 'issue', points: pointsOf(rows, 'issue') },
          { name: 'poll', points: pointsOf(rows, 'poll') },
          ...published.flatMap(({ name, asked, p95Ms }) =>
            p95Ms === null ? [] : [{ name, points: [[asked, p95Ms] as const] }],
          ),
        ],
      },
    ],
  };
}

function pointsOf(rows: readonly QueueRow[], what: QueueRow['what']): (readonly [number, number])[] {
  return rows.filter((row) => row.what === what).map((row) => [row.asked, row.latency.p95Ms] as const);
}
