/**
 * The gateway against its floor, a bare uWebSockets.js server that parses the same body and answers 201: refusals, holds
 * acknowledged from Redis (`held`) and from MySQL (`persisted`), as ratios of requests a second within one run; and one
 * hold alone on an idle gateway. Rounds are interleaved, the middle one counts.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { mintToken } from '../../src/gateway/auth.ts';
import { committed, type Gateway, startGateway } from '../load/gateway.ts';
import { type RoundOptions, readRoundOptions } from '../load/options.ts';
import { say } from '../load/progress.ts';
import { jwtSecret, post, Seller, writeTokens } from '../load/seller.ts';
import { onStage, type Stage } from '../load/stage.ts';
import { middle } from '../load/statistics.ts';
import { startStores } from '../load/stores.ts';
import { type Generator, type LoadResult, load } from '../load/wrk.ts';

export const help = `npm run bench -- floor [options]
  --seconds N       seconds a measurement            (3)
  --rounds N        rounds, the middle one counts    (5)
  --connections N   keep-alive connections           (1000)
  --users N         users, each with a token         (40000)
  --seats N         seats a performance              (40000)
  --generator NAME  wrk or autocannon                (wrk where it is installed)
  --json            the result as JSON on stdout
  --help`;

const defaults = { seconds: 3, rounds: 5, connections: 1000, users: 40_000, seats: 40_000 };
const idleHolds = 200;

/** Targets: a share of the floor each, and milliseconds for one hold alone. */
const targets = { refusal: 0.4, held: 0.3, persisted: 0.2, idleMs: 5 } as const;

interface Contestant {
  readonly name: 'floor' | 'refusal' | 'held' | 'persisted';
  readonly url: string;
  /** New performances with free seats for one measurement; the floor and the refusals need none. */
  readonly performances: () => Promise<readonly number[]>;
  readonly seats: number;
  readonly isRefused: boolean;
}

export interface FloorResult {
  readonly connections: number;
  readonly generator: Generator;
  readonly rows: readonly {
    readonly name: string;
    readonly perSecond: number;
    readonly ratio: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
  }[];
  /** Middle of the times of single holds on an idle gateway, one after the other. */
  readonly idleMs: number;
}

async function startFloor(): Promise<{ url: string; stop(): Promise<void> }> {
  const path = fileURLToPath(new URL('./server.ts', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<string>((resolve, reject) => {
    child.stdout?.once('data', (data: Buffer) => resolve(data.toString().trim()));
    child.once('exit', () => reject(new Error('the floor server did not start')));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        child.removeAllListeners('exit').once('exit', () => resolve());
        child.kill('SIGTERM');
      }),
  };
}

/** The middle time of single holds, one after the other on one connection, in milliseconds. */
async function measureIdle(gateway: Gateway, seller: Seller): Promise<number> {
  const performanceId = await seller.performance(idleHolds);
  const token = mintToken(jwtSecret, 2, 'user', 3600);
  const times: number[] = [];
  for (let seat = 1; seat <= idleHolds; seat++) {
    const startMs = performance.now();
    await post(`${gateway.url}/v1/reservations`, token, { performanceId, seats: [seat] });
    times.push(performance.now() - startMs);
  }
  return middle(times);
}

async function measure(stage: Stage, options: RoundOptions): Promise<FloorResult> {
  const { seconds, rounds, connections, users, seats, generator } = options;
  const tokensPath = await writeTokens(stage, users);
  const { REDIS_URL: redisUrl, MYSQL_URL: mysqlUrl } = process.env;
  const stores = await stage.add(() => startStores({ name: 'bench', redisUrl, mysqlUrl, say }));
  const floor = await stage.add(startFloor);
  const common = { redisUrl: stores.redisUrl, mysqlUrl: stores.mysqlUrl, jwtSecret, workers: 1 };
  const persisted = await stage.add(() => startGateway({ ...common, settings: { FASTPASS_ACK: 'persisted' } }));
  const held = await stage.add(() => startGateway({ ...common, settings: { FASTPASS_ACK: 'held' } }));
  const seller = new Seller(persisted.url);
  const takenSeats = Math.min(1000, seats);
  const taken = await seller.soldOut(takenSeats);
  const fresh = async (): Promise<number[]> => {
    // As many seats as the fastest gateway could hold in the time.
    const count = Math.ceil((seconds * 60_000) / seats);
    const ids: number[] = [];
    for (let i = 0; i < count; i++) ids.push(await seller.performance(seats));
    return ids;
  };
  const contestants: Contestant[] = [
    { name: 'floor', url: floor.url, performances: async () => [1], seats, isRefused: false },
    { name: 'refusal', url: persisted.url, performances: async () => [taken], seats: takenSeats, isRefused: true },
    { name: 'held', url: held.url, performances: fresh, seats, isRefused: false },
    { name: 'persisted', url: persisted.url, performances: fresh, seats, isRefused: false },
  ];

  const idleMs = await measureIdle(persisted, seller);
  const resultsOf = new Map<string, LoadResult[]>(contestants.map(({ name }) => [name, []]));
  // Round 0 warms up: compilers, caches, tables. It does not count.
  for (let round = 0; round <= rounds; round++) {
    for (const { name, url, performances, seats: count, isRefused } of contestants) {
      const performanceIds = await performances();
      const result = await load(generator, {
        url,
        connections,
        seconds,
        tokensPath,
        performanceIds,
        seatsPerPerformance: count,
        first: 0,
      });
      say(`${round === 0 ? 'warm-up' : `round ${round}`}: ${name} ${Math.round(result.perSecond)}/s`);
      const wrong = isRefused ? result.requests - result.refused : result.refused;
      if (wrong > 0 || result.failed > 0) {
        throw new Error(`${name}: ${wrong} answers of the wrong kind, ${result.failed} requests without one`);
      }
      if (round > 0) resultsOf.get(name)?.push(result);
      // `held` commits behind its answers: the next one must not pay for it.
      if (name === 'held') await committed(held);
    }
  }
  return resultOf(resultsOf, options, idleMs);
}

function resultOf(
  resultsOf: ReadonlyMap<string, readonly LoadResult[]>,
  options: RoundOptions,
  idleMs: number,
): FloorResult {
  const perSecondOf = (name: string): number => middle((resultsOf.get(name) ?? []).map((result) => result.perSecond));
  const floor = perSecondOf('floor');
  const rows = [...resultsOf].map(([name, results]) => ({
    name,
    perSecond: Math.round(perSecondOf(name)),
    ratio: Number((perSecondOf(name) / floor).toFixed(3)),
    p50Ms: Number(middle(results.map((result) => result.p50Ms)).toFixed(2)),
    p99Ms: Number(middle(results.map((result) => result.p99Ms)).toFixed(2)),
  }));
  return { connections: options.connections, generator: options.generator, rows, idleMs: Number(idleMs.toFixed(2)) };
}

function print(result: FloorResult): void {
  const lines = [`${result.connections} connections, ${result.generator}`, ''];
  lines.push('              requests/s   of floor   target      p50 ms    p99 ms');
  for (const { name, perSecond, ratio, p50Ms, p99Ms } of result.rows) {
    const target = name === 'floor' ? '' : targets[name as keyof typeof targets].toFixed(2);
    const cells = [String(perSecond).padStart(12), ratio.toFixed(2).padStart(11), target.padStart(9)];
    lines.push(`  ${name.padEnd(10)}${cells.join('')}${String(p50Ms).padStart(12)}${String(p99Ms).padStart(10)}`);
  }
  lines.push('', `  one hold alone, idle gateway: ${result.idleMs} ms (target: under ${targets.idleMs})`);
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** Runs the bench; returns the exit code: 0 measured, 2 usage. */
export async function main(args: readonly string[]): Promise<number> {
  const options = await readRoundOptions(args, help, defaults);
  if (typeof options === 'number') return options;
  const result = await onStage((stage) => measure(stage, options));
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else print(result);
  return 0;
}
