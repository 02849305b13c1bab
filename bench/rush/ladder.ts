/**
 * `npm run bench -- rush`: rushes of growing size on one gateway, for the same few places, once and several times each.
 * Every rush has a performance and users of its own. Rounds are interleaved; of each rung the round whose total time is
 * the middle one counts, and the verdict of every round must hold.
 */
import { parseArgs } from 'node:util';
import { type Exhibits, tableText } from '../load/exhibits.ts';
import { startGateway } from '../load/gateway.ts';
import { integer, oneOf, withOptions } from '../load/options.ts';
import { say } from '../load/progress.ts';
import { jwtSecret } from '../load/seller.ts';
import { onStage, type Stage } from '../load/stage.ts';
import { type Latency, middleOf } from '../load/statistics.ts';
import { startStores } from '../load/stores.ts';
import type { Sale } from './options.ts';
import { publishedOf, timesAsFast } from './published.ts';
import type { RushRun } from './report.ts';
import { type Place, runRush } from './run.ts';

export const help = `npm run bench -- rush [options]
  --users LIST      users of each rung                       (100,200,400,800,2000,5000)
  --repeat LIST     requests of each user, side by side      (1,3)
  --rounds N        rounds, the middle one counts            (5)
  --capacity N      places on sale                           (40)
  --party N         places a request                         (4)
  --connections N   keep-alive connections                   (200)
  --ack NAME        201 when it is persisted or only held    (persisted)
  --json            the result as JSON on stdout
  --help`;

const usersMax = 100_000;
const connectionsMax = 19_000;

interface LadderOptions {
  readonly users: readonly number[];
  readonly repeats: readonly number[];
  readonly rounds: number;
  readonly sale: Sale & { readonly kind: 'capacity' };
  readonly connections: number;
  readonly ack: 'persisted' | 'held';
  readonly json: boolean;
}

interface Rung {
  readonly users: number;
  readonly repeat: number;
  readonly requests: number;
  /** From the first request written to the last answer. */
  readonly totalMs: number;
  readonly requestsPerSecond: number;
  /** From the start of the rush to the answer: what users wait who all press at that moment. */
  readonly latencyFromStart: Latency;
  /** From writing a request to its answer. */
  readonly latency: Latency;
  readonly generatorCpuMs: number;
  /** 201, in the round that counts. */
  readonly sold: number;
  /** Rounds whose verdict holds. */
  readonly roundsExact: number;
  /** What failed in the others. */
  readonly faults: readonly string[];
}

export interface LadderResult {
  readonly capacity: number;
  readonly party: number;
  readonly ack: 'persisted' | 'held';
  readonly connections: number;
  readonly rounds: number;
  readonly rungs: readonly Rung[];
}

async function climb(stage: Stage, options: LadderOptions): Promise<LadderResult> {
  const { users: sizes, repeats, rounds, sale, connections, ack } = options;
  const { REDIS_URL: redisUrl, MYSQL_URL: mysqlUrl } = process.env;
  const stores = await stage.add(() => startStores({ name: 'bench', redisUrl, mysqlUrl, say }));
  const settings = { FASTPASS_ACK: ack };
  const gateway = await stage.add(() => startGateway({ ...stores, jwtSecret, workers: 1, settings }));
  const place: Place = { url: gateway.url, mysqlUrl: stores.mysqlUrl, jwtSecret, isLagging: ack === 'held' };
  const steps = repeats.flatMap((repeat) => sizes.map((users) => ({ users, repeat, runs: [] as RushRun[] })));
  let firstUser = 0;
  for (let round = 1; round <= rounds; round++) {
    for (const { users, repeat, runs } of steps) {
      const used = Math.min(connections, users * repeat);
      const run = await runRush(stage, place, { users, repeat, sale, connections: used, seed: 1, firstUser });
      firstUser += users;
      runs.push(run);
      const verdict = run.verdict.holds ? 'exact' : 'NOT EXACT';
      say(`round ${round}: ${users} users x ${repeat}: ${Math.round(run.totalMs)} ms, ${verdict}`);
    }
  }
  const complaints = gateway.complaints();
  if (complaints.length > 0) say(`the gateway complained:\n${complaints.join('\n')}`);
  const rungs = steps.map(({ users, repeat, runs }) => rungOf(users, repeat, runs));
  return { capacity: sale.capacity, party: sale.party, ack, connections, rounds, rungs };
}

function rungOf(users: number, repeat: number, runs: readonly RushRun[]): Rung {
  const { requests, totalMs, requestsPerSecond, latencyFromStart, latency, generatorCpuMs, outcomes } = middleOf(
    runs,
    (run) => run.totalMs,
  );
  return {
    users,
    repeat,
    requests,
    totalMs,
    requestsPerSecond,
    latencyFromStart,
    latency,
    generatorCpuMs,
    sold: outcomes.find(({ status }) => status === 201)?.count ?? 0,
    roundsExact: runs.filter(({ verdict }) => verdict.holds).length,
    faults: runs.flatMap(({ verdict }, round) =>
      verdict.checks.filter(({ holds }) => !holds).map(({ name, detail }) => `round ${round + 1}: ${name}: ${detail}`),
    ),
  };
}

/** What the report shows: each rung beside what others have published, and total time against users. */
export function exhibits(result: LadderResult): Exhibits {
  const { capacity, party, ack, connections, rounds, rungs } = result;
  const rows = rungs.map((rung) => {
    const { users, repeat, latencyFromStart: waited, latency } = rung;
    const published = publishedOf(users, repeat);
    return [
      `${users.toLocaleString('en-US')} x ${repeat}`,
      rung.requests,
      rung.totalMs / 1000,
      Math.round(rung.requestsPerSecond),
      waited.p50Ms,
      waited.p95Ms,
      waited.p99Ms,
      latency.p95Ms,
      rung.sold,
      `${rung.roundsExact} of ${rounds}`,
      published.text,
      timesAsFast(published, rung.totalMs, waited.p95Ms),
    ];
  });
  const lines = [...new Set(rungs.map(({ repeat }) => repeat))].map((repeat) => ({
    name: repeat === 1 ? 'fastpass, once each' : `fastpass, ${repeat} times each`,
    points: rungs.filter((rung) => rung.repeat === repeat).map((rung) => [rung.users, rung.totalMs / 1000] as const),
  }));
  const others = rungs.flatMap(({ users, repeat }) => {
    const { totalMs } = publishedOf(users, repeat);
    return totalMs === null ? [] : [[users, totalMs / 1000] as const];
  });
  const title = `Rush: ${capacity} places by ${party}, ack ${ack}, ${connections} connections; times from the start of the rush, the middle of ${rounds} rounds`;
  return {
    tables: [
      {
        title,
        columns: [
          'users',
          'requests',
          'total s',
          'requests/s',
          'p50 ms',
          'p95 ms',
          'p99 ms',
          'p95 ms from write',
          'sold',
          'exact rounds',
          'published',
          'times as fast',
        ],
        rows,
      },
    ],
    plots: [
      {
        name: `rush-${ack}`,
        title: `A rush for ${capacity} places by ${party}: total time`,
        x: { title: 'users', scale: 'log' },
        y: { title: 'seconds', scale: 'log' },
        series: others.length > 0 ? [...lines, { name: 'published, once each', points: others }] : lines,
      },
    ],
  };
}

function readOptions(args: readonly string[]): LadderOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      users: { type: 'string', default: '100,200,400,800,2000,5000' },
      repeat: { type: 'string', default: '1,3' },
      rounds: { type: 'string', default: '5' },
      capacity: { type: 'string', default: '40' },
      party: { type: 'string', default: '4' },
      connections: { type: 'string', default: '200' },
      ack: { type: 'string', default: 'persisted' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const capacity = integer('--capacity', values.capacity, 1, usersMax);
  return {
    users: values.users.split(',').map((text) => integer('--users', text, 1, usersMax)),
    repeats: values.repeat.split(',').map((text) => integer('--repeat', text, 1, 100)),
    rounds: integer('--rounds', values.rounds, 1, 100),
    sale: { kind: 'capacity', capacity, party: integer('--party', values.party, 1, capacity) },
    connections: integer('--connections', values.connections, 1, connectionsMax),
    ack: oneOf('--ack', values.ack, ['persisted', 'held']),
    json: values.json,
  };
}

/** Runs the bench; returns the exit code: 0 every verdict holds, 1 one does not, 2 usage. */
export function main(args: readonly string[]): Promise<number> {
  return withOptions(args, help, readOptions, async (options) => {
    const result = await onStage((stage) => climb(stage, options));
    const faults = result.rungs.flatMap((rung) =>
      rung.faults.map((fault) => `${rung.users} x ${rung.repeat}: ${fault}`),
    );
    for (const fault of faults) say(`FAIL ${fault}`);
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else for (const table of exhibits(result).tables) process.stdout.write(tableText(table));
    return faults.length === 0 ? 0 : 1;
  });
}
