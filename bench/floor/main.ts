/**
 * The gateway against its floor, a bare uWebSockets.js server that parses the same body and answers 201: refusals, holds
 * acknowledged from Redis (`held`) and from MySQL (`persisted`), as ratios of requests a second within one run; what Redis
 * and MySQL do alone, with the gateway's own script and statements; how long a hold takes at half load, and alone on
 * an idle gateway. Rounds are interleaved, the middle one counts.
 */
import { mintToken } from '../../src/gateway/auth.ts';
import { tableText } from '../load/exhibits.ts';
import { committed, type Gateway, startGateway } from '../load/gateway.ts';
import { type RoundOptions, readRoundOptions, roundHelp } from '../load/options.ts';
import { say } from '../load/progress.ts';
import { jwtSecret, post, Seller, writeTokens } from '../load/seller.ts';
import { startServer } from '../load/server.ts';
import { onStage, type Stage } from '../load/stage.ts';
import { middle } from '../load/statistics.ts';
import { startStores } from '../load/stores.ts';
import { atHalfLoad } from './half.ts';
import { callSize, MysqlLimit, RedisLimit } from './limits.ts';
import { exhibits, type FloorResult, type HalfLoad } from './report.ts';
import { type Contestant, Rounds } from './rounds.ts';

export { exhibits } from './report.ts';

const defaults = { seconds: 3, rounds: 5, connections: 1000, users: 40_000, seats: 40_000 };

export const help = `npm run bench -- floor [options]
${roundHelp(defaults)}
  --help`;

const idleHolds = 200;

/** Holds that each store is given alone, for each second asked for: near what it does in one. */
const redisHoldsPerSecond = 100_000;
const mysqlHoldsPerSecond = 10_000;
/** 100 as the script is called; 200 is what a gateway commits at once when it can. */
const mysqlBatchSizes = [100, 200] as const;

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

/** New performances with free seats, at least as many of them as `holds`. */
async function freeSeats(seller: Seller, holds: number, seats: number): Promise<number[]> {
  const ids: number[] = [];
  for (let i = 0; i < Math.ceil(holds / seats); i++) ids.push(await seller.performance(seats));
  return ids;
}

async function measure(stage: Stage, options: RoundOptions): Promise<FloorResult> {
  const { seconds, rounds: roundCount, users, seats } = options;
  const tokensPath = await writeTokens(stage, users);
  const { REDIS_URL: redisUrl, MYSQL_URL: mysqlUrl } = process.env;
  const stores = await stage.add(() => startStores({ name: 'bench', redisUrl, mysqlUrl, say }));
  const floor = await stage.add(() => startServer(new URL('./server.ts', import.meta.url)));
  const common = { redisUrl: stores.redisUrl, mysqlUrl: stores.mysqlUrl, jwtSecret, workers: 1 };
  const persisted = await stage.add(() => startGateway({ ...common, settings: { FASTPASS_ACK: 'persisted' } }));
  const held = await stage.add(() => startGateway({ ...common, settings: { FASTPASS_ACK: 'held' } }));
  const redisLimit = await stage.add(() => RedisLimit.open(stores.redisUrl, stores.redisPid));
  const mysqlLimit = await stage.add(async () => new MysqlLimit(stores.mysqlUrl, stores.mysqlPid));
  const seller = new Seller(persisted.url);
  const takenSeats = Math.min(1000, seats);
  const taken = await seller.soldOut(takenSeats);
  // As many seats as the fastest gateway could hold in the time.
  const fresh = (): Promise<number[]> => freeSeats(seller, seconds * 60_000, seats);
  const settled = async (): Promise<void> => {};
  const given = { seats, isRefused: false, isCommitted: true, settled };
  const refused = { performances: async () => [taken], seats: takenSeats, isRefused: true, isCommitted: false };
  const holding: Contestant[] = [
    { ...given, name: 'held', url: held.url, pid: held.pid, performances: fresh, settled: () => committed(held) },
    { ...given, name: 'persisted', url: persisted.url, pid: persisted.pid, performances: fresh },
  ];
  const others: Contestant[] = [
    { ...given, name: 'floor', url: floor.url, pid: floor.pid, isCommitted: false, performances: async () => [1] },
    { ...given, name: 'refusal', url: persisted.url, pid: persisted.pid, ...refused },
  ];
  const rounds = new Rounds(options, [...others, ...holding], stores);

  const idleMs = await measureIdle(persisted, seller);
  // Round 0 warms up: compilers, caches, tables. It does not count.
  for (let round = 0; round <= roundCount; round++) {
    await rounds.contestants(round, tokensPath);
    const holds = seconds * redisHoldsPerSecond;
    await rounds.limit(round, 'redis', callSize, () => redisLimit.run({ holds, seats }));
    for (const batchSize of mysqlBatchSizes) {
      const stored = seconds * mysqlHoldsPerSecond;
      const ids = await freeSeats(seller, stored, seats);
      const sizes = { holds: stored, seats };
      await rounds.limit(round, 'mysql', batchSize, () => mysqlLimit.run(sizes, ids, batchSize));
    }
  }
  const result = rounds.result(idleMs);
  const half: HalfLoad[] = [];
  for (const contestant of holding) {
    const perSecond = result.rows.find(({ name }) => name === contestant.name)?.perSecond ?? 0;
    half.push(await atHalfLoad(options, contestant, tokensPath, perSecond));
  }
  return { ...result, half };
}

/** Runs the bench; returns the exit code: 0 measured, 2 usage. */
export async function main(args: readonly string[]): Promise<number> {
  const options = await readRoundOptions(args, help, defaults);
  if (typeof options === 'number') return options;
  const result = await onStage((stage) => measure(stage, options));
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(exhibits(result).tables.map(tableText).join('\n'));
  return 0;
}
