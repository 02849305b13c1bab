/** The result of the floor's bench, and how it is shown. */
import type { Cell, Exhibits } from '../load/exhibits.ts';
import type { Generator } from '../load/wrk.ts';

/** Targets: a share of the floor each, and milliseconds for one hold alone. */
const targets: Readonly<Record<string, number>> = { refusal: 0.6, held: 0.45, persisted: 0.3 };
const idleMsMax = 5;
const halfLoadP99MsMax = 15;

/** Processor time a request, microseconds; null for a store that was not started here. */
export interface CpuUs {
  /** The gateway, or the bare server. */
  readonly server: number;
  readonly redis: number | null;
  readonly mysql: number | null;
}

export interface FloorRow {
  readonly name: string;
  readonly perSecond: number;
  /** Of the floor. */
  readonly ratio: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuUs: CpuUs;
}

/** What one store does alone. */
export interface Limit {
  readonly name: 'redis' | 'mysql';
  /** Holds a call of the script or a transaction. */
  readonly batchSize: number;
  readonly perSecond: number;
  /** Of the store, a hold; null where it was not started here. */
  readonly cpuUs: number | null;
}

/** A gateway that has half the load of its row. */
export interface HalfLoad {
  readonly name: string;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

export interface FloorResult {
  readonly connections: number;
  readonly generator: Generator;
  readonly rows: readonly FloorRow[];
  readonly limits: readonly Limit[];
  readonly half: readonly HalfLoad[];
  /** Middle of the times of single holds on an idle gateway, one after the other. */
  readonly idleMs: number;
}

const limitNames = {
  redis: (size: number) => `Redis alone: hold.lua, ${size} a call, one connection`,
  mysql: (size: number) => `MySQL alone: ${size} holds a durable commit, two at a time`,
} as const;

/** Against the bare server, against each of the three limits, and one hold alone. */
export function exhibits({ connections, generator, rows, limits, half, idleMs }: FloorResult): Exhibits {
  const perSecondOf = (name: string): number => rows.find((row) => row.name === name)?.perSecond ?? Number.NaN;
  const floorRows = rows.map(({ name, perSecond, ratio, p50Ms, p99Ms, cpuUs: { server, redis, mysql } }): Cell[] => {
    const ours = name === 'floor' ? [null, null] : [redis, mysql];
    return [name, perSecond, ratio, targets[name] ?? null, p50Ms, p99Ms, server, ...ours];
  });
  const floor = perSecondOf('floor');
  const shares = ['refusal', 'held', 'persisted'].map((name) => perSecondOf(name) / floor);
  const limitRows = limits.map(({ name, batchSize, perSecond, cpuUs }): Cell[] => {
    // A refusal is decided by another way through the script and never reaches MySQL.
    const ofLimit = ['held', 'persisted'].map((each) => perSecondOf(each) / perSecond);
    return [limitNames[name](batchSize), perSecond, cpuUs, null, ...ofLimit];
  });
  return {
    tables: [
      {
        title: `The gateway against a bare uWebSockets.js server that answers the same (floor): ${connections} connections, ${generator}`,
        columns: [
          '',
          'requests/s',
          'of floor',
          'target',
          'p50 ms',
          'p99 ms',
          'server CPU us',
          'Redis CPU us',
          'MySQL CPU us',
        ],
        rows: floorRows,
      },
      {
        title: 'The three limits, and the gateway as a share of each',
        columns: ['limit', 'a second', 'CPU us each', 'refusal', 'held', 'persisted'],
        rows: [
          [
            'bare uWebSockets.js server',
            floor,
            rows.find(({ name }) => name === 'floor')?.cpuUs.server ?? null,
            ...shares,
          ],
          ...limitRows,
        ],
      },
      {
        title: 'At half load: the connections wait between their requests',
        columns: ['', 'requests/s', 'p50 ms', 'p95 ms', 'p99 ms', 'at most'],
        rows: half.map(({ name, perSecond, p50Ms, p95Ms, p99Ms }) => [
          name,
          perSecond,
          p50Ms,
          p95Ms,
          p99Ms,
          halfLoadP99MsMax,
        ]),
      },
      {
        title: 'One hold alone, idle gateway',
        columns: ['', 'ms', 'at most'],
        rows: [['middle', idleMs, idleMsMax]],
      },
    ],
    plots: [],
  };
}
