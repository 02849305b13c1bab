/** What the growth bench found: rows of its axes, what is required of them, its tables and plots. */
import type { Exhibits, LinePlot, Table } from '../load/exhibits.ts';
import { middle } from '../load/statistics.ts';
import type { Generator } from '../load/wrk.ts';
import { type Axis, type AxisName, axes, type Point } from './axes.ts';

/** One measurement of a point. */
export interface Measured {
  readonly perSecond: number;
  /** Of that of the first point just before and just after. */
  readonly ratio: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time a request; null of a store that was not started here. */
  readonly gatewayUs: number;
  readonly redisUs: number | null;
  readonly mysqlUs: number | null;
  /** Resident, the most there was. */
  readonly gatewayMib: number;
  /** That Redis has grown by for a hold. */
  readonly redisBytes: number;
}

/** Middles of the rounds. */
export interface GrowthRow extends Measured {
  readonly value: number;
  readonly label: string;
  /** That Redis needs for the performances before anything is sold. */
  readonly unsoldKib: number;
}

export interface GrowthTarget {
  readonly name: string;
  readonly ratio: number;
  readonly min: number;
  readonly holds: boolean;
}

/** What --json prints. */
export interface GrowthResult {
  readonly generator: Generator;
  readonly connections: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly axes: readonly { readonly name: AxisName; readonly rows: readonly GrowthRow[] }[];
  /** Of the axes that were measured. */
  readonly targets: readonly GrowthTarget[];
}

/** Throughput at a point, of that at the first one of its axis. */
const required: readonly { readonly name: string; readonly axis: AxisName; readonly value: number; min: number }[] = [
  { name: '100,000 seats, of 1,000', axis: 'seats', value: 100_000, min: 0.9 },
  { name: '10,000 performances, of one', axis: 'performances', value: 10_000, min: 0.8 },
];

function rounded(number: number, digits: number): number {
  return Number(number.toFixed(digits));
}

/** The middle of each number. */
export function rowOf({ value, label }: Point, unsoldKib: number, measured: readonly Measured[]): GrowthRow {
  const middleOf = (of: (each: Measured) => number, digits: number): number =>
    rounded(middle(measured.map(of)), digits);
  const middleOfSome = (of: (each: Measured) => number | null): number | null => {
    const numbers = measured.map(of).filter((number) => number !== null);
    return numbers.length === 0 ? null : rounded(middle(numbers), 2);
  };
  return {
    value,
    label,
    unsoldKib: rounded(unsoldKib, 0),
    perSecond: middleOf((each) => each.perSecond, 0),
    ratio: middleOf((each) => each.ratio, 3),
    p50Ms: middleOf((each) => each.p50Ms, 2),
    p99Ms: middleOf((each) => each.p99Ms, 2),
    gatewayUs: middleOf((each) => each.gatewayUs, 2),
    redisUs: middleOfSome((each) => each.redisUs),
    mysqlUs: middleOfSome((each) => each.mysqlUs),
    gatewayMib: middleOf((each) => each.gatewayMib, 1),
    redisBytes: middleOf((each) => each.redisBytes, 0),
  };
}

/** What is required, of the axes that are there. */
export function targetsOf(measured: GrowthResult['axes']): GrowthTarget[] {
  return required.flatMap(({ name, axis, value, min }) => {
    const row = measured.find((each) => each.name === axis)?.rows.find((each) => each.value === value);
    return row === undefined ? [] : [{ name, ratio: row.ratio, min, holds: row.ratio >= min }];
  });
}

function axisOf(name: AxisName): Axis {
  return axes.find((axis) => axis.name === name)!;
}

const columns = [
  'requests/s',
  'of the first',
  'p50 ms',
  'p99 ms',
  'gateway us',
  'Redis us',
  'MySQL us',
  'gateway MiB',
  'Redis bytes a hold',
  'Redis KiB unsold',
];

function tableOf(name: AxisName, rows: readonly GrowthRow[]): Table {
  const { title, x } = axisOf(name);
  return {
    title,
    columns: [x.title.replace(/ \(.*\)$/, ''), ...columns],
    rows: rows.map((row) => [
      row.label,
      row.perSecond,
      row.ratio,
      row.p50Ms,
      row.p99Ms,
      row.gatewayUs,
      row.redisUs,
      row.mysqlUs,
      row.gatewayMib,
      row.redisBytes,
      row.unsoldKib,
    ]),
  };
}

/** Everything as a multiple of the first point: one picture for requests, processor time and bytes. */
function plotOf(name: AxisName, rows: readonly GrowthRow[]): LinePlot {
  const { title, x } = axisOf(name);
  const first = rows[0]!;
  const line = (label: string, of: (row: GrowthRow) => number): LinePlot['series'][number] => ({
    name: label,
    points: rows.map((row): [number, number] => [row.value, rounded(of(row), 3)]),
  });
  return {
    name: `growth-${name}`,
    title,
    x,
    y: { title: 'multiple of the first point', scale: 'linear' },
    series: [
      line('requests a second', (row) => row.ratio),
      line('gateway CPU a request', (row) => row.gatewayUs / first.gatewayUs),
      line('gateway memory', (row) => row.gatewayMib / first.gatewayMib),
    ],
  };
}

/** A table and a plot an axis, and what is required. */
export function exhibits({ axes: measured, targets }: GrowthResult): Exhibits {
  const verdict: Table = {
    title: 'Throughput that is required',
    columns: ['', 'ratio', 'at least', 'holds'],
    rows: targets.map(({ name, ratio, min, holds }) => [name, ratio, min, holds ? 'yes' : 'no']),
  };
  return {
    tables: [...measured.map(({ name, rows }) => tableOf(name, rows)), ...(targets.length > 0 ? [verdict] : [])],
    plots: measured.map(({ name, rows }) => plotOf(name, rows)),
  };
}
