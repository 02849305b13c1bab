/** The result of the ways, and how it is shown. */
import type { Cell, Exhibits, Table } from '../load/exhibits.ts';
import type { Generator } from '../load/wrk.ts';
import { type WayName, ways } from './ways.ts';

/** By process; null for one that has no part in the way (`stores` of `ways`), or that the bench has not started. */
export interface CpuSeconds {
  readonly server: number | null;
  readonly redis: number | null;
  readonly mysql: number | null;
  readonly rabbitmq: number | null;
}

export interface Figures {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** From the end of the load until nothing was on its way to MySQL any more. */
  readonly drainMs: number;
  /** Requests by the time of the load and this one: what lasts. Null where nothing goes to MySQL. */
  readonly lastingPerSecond: number | null;
  /** Processor seconds for 1,000 requests that were decided, without what others' processes take while nobody asks. */
  readonly cpu: CpuSeconds;
}

/** What `--json` prints. */
export interface WaysResult {
  readonly connections: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly generator: Generator;
  /** How often each seat was asked for. */
  readonly asks: number;
  readonly rows: readonly {
    readonly name: WayName;
    /** Middles of the rounds; null where the way was left out. */
    readonly figures: Figures | null;
    /** What was wrong with its answers; empty where every one was right. */
    readonly faults: readonly string[];
  }[];
}

type Row = WaysResult['rows'][number];

/** Of all processes together that have a part in the way; null where one of them is not known. */
function cpuSum(name: WayName, cpu: CpuSeconds): number | null {
  const parts = [cpu.server, ...ways[name].stores.map((store) => cpu[store])];
  return parts.reduce((sum, part) => (sum === null || part === null ? null : sum + part), 0);
}

function ratio(one: number | null | undefined, other: number | null | undefined): number | null {
  return one == null || other == null || other === 0 ? null : one / other;
}

function figuresRow({ name, figures, faults }: Row, persisted: Figures | null): Cell[] {
  const { title, isDurable } = ways[name];
  const durable = isDurable ? 'yes' : 'no';
  if (figures === null) return [title, ...new Array<null>(10).fill(null), durable, 'left out'];
  const { perSecond, lastingPerSecond, p50Ms, p95Ms, p99Ms, cpu } = figures;
  const share = ratio(perSecond, persisted?.perSecond);
  const times = [perSecond, lastingPerSecond, share, p50Ms, p95Ms, p99Ms];
  const correct = faults.length === 0 ? 'yes' : 'no';
  return [title, ...times, cpu.server, cpu.redis, cpu.mysql, cpu.rabbitmq, durable, correct];
}

function ratiosRow({ name, figures }: Row, held: Figures | null, persisted: Figures | null): Cell[] {
  // A way is compared with the gateway that promises as much.
  const isDurable = ways[name].isDurable;
  const [otherName, other] = isDurable ? (['persisted', persisted] as const) : (['held', held] as const);
  const ratios = [
    ratio(figures?.perSecond, other?.perSecond),
    ratio(figures?.p50Ms, other?.p50Ms),
    ratio(figures?.p95Ms, other?.p95Ms),
    ratio(figures?.p99Ms, other?.p99Ms),
    figures === null || other === null ? null : ratio(cpuSum(name, figures.cpu), cpuSum(otherName, other.cpu)),
  ];
  return [ways[name].title, otherName, ...ratios];
}

/** The figures, each way's as ratios to this gateway, and what each promises. */
export function exhibits(result: WaysResult): Exhibits {
  const { rows, connections, seconds, rounds, generator, asks } = result;
  const figuresOf = (name: WayName): Figures | null => rows.find((row) => row.name === name)?.figures ?? null;
  const [held, persisted] = [figuresOf('held'), figuresOf('persisted')];
  const figures: Table = {
    title:
      `Ways to hold a seat: ${connections} connections, ${generator}, each seat asked for ${asks} times; ` +
      `the middle of ${rounds} rounds of ${seconds} s`,
    columns: [
      'way',
      'requests/s',
      'with MySQL behind it /s',
      'of persisted',
      'p50 ms',
      'p95 ms',
      'p99 ms',
      'server CPU s/1,000',
      'Redis CPU s/1,000',
      'MySQL CPU s/1,000',
      'RabbitMQ CPU s/1,000',
      'durable when answered',
      'correct',
    ],
    rows: rows.map((row) => figuresRow(row, persisted)),
  };
  const ratios: Table = {
    title: 'The same as ratios to this gateway with the same promise: more is better in requests, less in all others',
    columns: ['way', 'compared with', 'requests', 'p50', 'p95', 'p99', 'CPU of all a request'],
    rows: rows.map((row) => ratiosRow(row, held, persisted)),
  };
  const promises: Table = {
    title: 'What an answer promises. The gateway also keeps a limit a user, expiry and events; the other ways do not',
    columns: ['way', 'where the seat stands when it answers'],
    rows: rows.map(({ name }) => [ways[name].title, ways[name].promise]),
  };
  return { tables: [figures, ratios, promises], plots: [] };
}
