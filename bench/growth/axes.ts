/** Along what the gateway is measured: each axis with its points, of which the first is what the others are compared with. */
import type { Axis as PlotAxis } from '../load/exhibits.ts';

export const axisNames = ['seats', 'performances', 'batch', 'interval', 'workers', 'connections', 'refusals'] as const;
export type AxisName = (typeof axisNames)[number];

export interface Point {
  /** On the axis. */
  readonly value: number;
  /** For people. */
  readonly label: string;
  /** More of the gateway's environment. */
  readonly settings: Readonly<Record<string, string>>;
  readonly workers: number;
  /** Null: those of --connections. */
  readonly connections: number | null;
  /** That the requests are spread over; null: one is sold after the other, as many as it takes. */
  readonly performances: number | null;
  /** Of a performance; null: as many as the whole run may take. */
  readonly seats: number | null;
  /** Requests for a seat that is taken, of 100. */
  readonly refusalPercent: number;
}

export interface Axis {
  readonly name: AxisName;
  readonly title: string;
  /** Of the plot. */
  readonly x: PlotAxis;
  readonly points: readonly Point[];
}

const usual: Omit<Point, 'value' | 'label'> = {
  settings: {},
  workers: 1,
  connections: null,
  performances: null,
  seats: 40_000,
  refusalPercent: 0,
};

const pointsOf = (values: readonly number[], of: (value: number) => Partial<Point>): Point[] =>
  values.map((value) => ({ ...usual, value, label: value.toLocaleString('en-US'), ...of(value) }));

export const axes: readonly Axis[] = [
  {
    name: 'seats',
    title: 'Seats of a performance',
    x: { title: 'seats (the last: ten performances of 100,000)', scale: 'log' },
    points: [
      ...pointsOf([1000, 10_000, 100_000], (seats) => ({ seats })),
      ...pointsOf([1_000_000], () => ({ label: '10 x 100,000', performances: 10, seats: 100_000 })),
    ],
  },
  {
    name: 'performances',
    title: 'Performances on sale at once',
    x: { title: 'performances', scale: 'log' },
    points: pointsOf([1, 10, 100, 1000, 10_000], (performances) => ({ performances, seats: null })),
  },
  {
    name: 'batch',
    title: 'Requests of a flush at most',
    x: { title: 'FASTPASS_BATCH_SIZE_MAX, requests', scale: 'log' },
    points: pointsOf([1, 10, 100, 500], (size) => ({ settings: { FASTPASS_BATCH_SIZE_MAX: String(size) } })),
  },
  {
    name: 'interval',
    title: 'Time between flushes at most',
    x: { title: 'FASTPASS_FLUSH_INTERVAL_MS, ms', scale: 'log' },
    points: pointsOf([1, 5, 10, 50], (ms) => ({ settings: { FASTPASS_FLUSH_INTERVAL_MS: String(ms) } })),
  },
  {
    name: 'workers',
    title: 'Gateway processes',
    x: { title: 'FASTPASS_WORKERS, processes', scale: 'linear' },
    points: pointsOf([1, 2], (workers) => ({ workers })),
  },
  {
    name: 'connections',
    title: 'Connections',
    x: { title: 'keep-alive connections', scale: 'log' },
    // Each waits for its answer behind all the others: over 15,000 of them the usual two seconds would be too few.
    points: pointsOf([100, 1000, 5000, 15_000], (connections) => ({
      connections,
      settings: { FASTPASS_REQUEST_DEADLINE_MS: '10000' },
    })),
  },
  {
    name: 'refusals',
    title: 'Share of refusals',
    x: { title: 'requests for a seat that is taken, %', scale: 'linear' },
    points: pointsOf([0, 50, 90, 99], (refusalPercent) => ({ refusalPercent })),
  },
];
