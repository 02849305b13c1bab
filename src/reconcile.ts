/**
 * `npm run reconcile`: compares Redis with MySQL beside running gateways and says what differs; `--repair` has it loaded anew.
 * Starts no servers and never writes to MySQL. Exit code 0: no difference, or all mended; 1: differences; 2: could not look.
 */
import { parseArgs } from 'node:util';
import { storeWarmer } from './catalog/store-warmer.ts';
import { readStoresConfig, type StoresConfig } from './config.ts';
import { countByKind, type Difference, seenTwice } from './domain/drift.ts';
import { runningMysqlUrl, runningRedisUrl } from './embedded/index.ts';
import { sleep, systemClock } from './lib/clock.ts';
import { messageOf } from './lib/errors.ts';
import { within } from './lib/within.ts';
import { createLogger } from './logger.ts';
import { RedisConnection } from './lua/connection.ts';
import { heldReconnectGraceMs, Settlement } from './lua/settlement.ts';
import { RedisHoldStore } from './lua/store.ts';
import { RedisBus, Subscriber } from './lua/subscriber.ts';
import { Database } from './persist/database.ts';
import { readPerformance } from './persist/performances.ts';
import { lookForDrift, type ReconcileSources, secondLookMs } from './scheduler/reconcile.ts';
import { reconcileSources } from './scheduler/reconcile-sources.ts';

const usage = `Usage: npm run reconcile -- (--performance <id> | --all) [--repair] [--json]

Compares what Redis says of a performance with MySQL, which is right, and prints the differences. What is on its way
counts as none: a difference is one that two looks, ${secondLookMs / 1000} seconds apart, see alike.

  --performance <id>  the performance to compare; may be given again
  --all               every performance that Redis has
  --repair            has those that differ loaded anew from MySQL, and compares again; safe beside running gateways
  --json              prints JSON, with every difference
  --help              prints this

REDIS_URL and MYSQL_URL say where the stores are. Without them it looks at the servers that a gateway has started in
FASTPASS_DATA_DIR (.data).

Exit code 0: no difference, or all mended. 1: differences. 2: could not look.
`;

const connectionsMax = 2;
const closeTimeoutMs = 1000;
const rowsShownMax = 50;

/** What was asked cannot be done: said without a stack. */
class CannotLook extends Error {}

interface Options {
  /** Null: all. */
  readonly performanceIds: readonly number[] | null;
  readonly isRepair: boolean;
  readonly isJson: boolean;
}

/** One performance; `isWarm` is false where Redis has nothing to compare. */
interface Finding {
  readonly performanceId: number;
  readonly isWarm: boolean;
  readonly isRepaired: boolean;
  /** What was found. */
  readonly differences: readonly Difference[];
  /** What is left of it, after the repair if there was one. */
  readonly left: readonly Difference[];
}

/** Null: help is wanted. */
function readOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      performance: { type: 'string', multiple: true },
      all: { type: 'boolean', default: false },
      repair: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const given = values.performance ?? [];
  if (values.all === given.length > 0) throw new CannotLook('give either --performance or --all; see --help');
  for (const text of given) {
    if (!/^[1-9]\d{0,14}$/.test(text)) throw new CannotLook(`--performance takes the number of one, not "${text}"`);
  }
  return {
    performanceIds: values.all ? null : [...new Set(given.map(Number))],
    isRepair: values.repair,
    isJson: values.json,
  };
}

function findStores({ redisUrls, mysqlUrl, dataDir }: StoresConfig): {
  redisUrls: readonly string[];
  mysqlUrl: string;
} {
  const redisUrl = redisUrls.length === 0 ? runningRedisUrl(dataDir) : undefined;
  const mysql = mysqlUrl ?? runningMysqlUrl(dataDir);
  const missing = [
    ...(redisUrls.length === 0 && redisUrl === undefined ? ['REDIS_URL'] : []),
    ...(mysql === undefined ? ['MYSQL_URL'] : []),
  ];
  if (missing.length > 0 || mysql === undefined) {
    throw new CannotLook(`no gateway runs its own servers in ${dataDir}; set ${missing.join(' and ')}`);
  }
  return { redisUrls: redisUrl === undefined ? redisUrls : [redisUrl], mysqlUrl: mysql };
}

/** Looks twice at each; null where Redis has nothing to compare. */
async function lookTwice(
  sources: ReconcileSources,
  performanceIds: readonly number[],
): Promise<Map<number, Difference[] | null>> {
  const found = new Map<number, Difference[] | null>();
  for (const performanceId of performanceIds)
    found.set(performanceId, await lookForDrift(sources, systemClock, performanceId));
  const suspects = [...found].flatMap(([id, differences]) =>
    differences === null || differences.length === 0 ? [] : [[id, differences] as const],
  );
  if (suspects.length > 0) await sleep(systemClock, secondLookMs);
  for (const [performanceId, differences] of suspects) {
    found.set(performanceId, seenTwice(differences, (await lookForDrift(sources, systemClock, performanceId)) ?? []));
  }
  return found;
}

async function reconcile(sources: ReconcileSources, options: Options): Promise<Finding[]> {
  const found = await lookTwice(sources, options.performanceIds ?? (await sources.performances()));
  const drifted = [...found].flatMap(([id, differences]) => (differences?.length ? [id] : []));
  if (!options.isRepair) {
    return [...found].map(([id, differences]) => findingOf(id, differences, differences ?? [], false));
  }
  for (const performanceId of drifted) await sources.repair(performanceId);
  const after = await lookTwice(sources, drifted);
  return [...found].map(([id, differences]) => findingOf(id, differences, after.get(id) ?? [], drifted.includes(id)));
}

function findingOf(
  performanceId: number,
  differences: readonly Difference[] | null,
  left: readonly Difference[],
  isRepaired: boolean,
): Finding {
  return { performanceId, isWarm: differences !== null, isRepaired, differences: differences ?? [], left };
}

function summaryOf(differences: readonly Difference[]): string {
  return Object.entries(countByKind(differences))
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ');
}

function tableOf(differences: readonly Difference[]): string[] {
  const rows = [
    ['kind', 'what', 'redis', 'mysql'],
    ...differences
      .slice(0, rowsShownMax)
      .map(({ kind, subject, redis, mysql }): string[] => [kind, subject, redis, mysql]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) => `  ${row.map((text, column) => text.padEnd(widths[column] ?? 0)).join('  ')}`);
  if (differences.length > rowsShownMax) lines.push(`  and ${differences.length - rowsShownMax} more; see --json`);
  return lines.map((line) => line.trimEnd());
}

function textOf({ performanceId, isWarm, isRepaired, differences, left }: Finding): string[] {
  const name = `performance ${performanceId}`;
  if (!isWarm) return [`${name}: not in Redis now; its first request loads it from MySQL`];
  if (differences.length === 0) return [`${name}: no difference`];
  const lines = [`${name}: ${summaryOf(differences)}`, ...tableOf(differences)];
  if (!isRepaired) return lines;
  if (left.length === 0) return [...lines, `${name}: loaded anew, no difference is left`];
  return [...lines, `${name}: loaded anew, and differs still: ${summaryOf(left)}`, ...tableOf(left)];
}

async function run(options: Options): Promise<number> {
  const stores = findStores(readStoresConfig(process.env));
  const log = createLogger('error', false);
  const connection = new RedisConnection(stores.redisUrls, log);
  const database = new Database(stores.mysqlUrl, log, connectionsMax);
  const subscriber = new Subscriber(connection, log);
  try {
    await connection.connect();
    await subscriber.start();
    // This process was granted nothing; the gateways are asked, and answer, as before any load.
    const settlement = new Settlement({
      bus: new RedisBus(connection, subscriber),
      clock: systemClock,
      settled: async () => {},
      // It is not known how the gateways acknowledge.
      reconnectGraceMs: heldReconnectGraceMs,
      log,
    });
    if (options.isRepair) await settlement.start();
    const warmer = storeWarmer(connection, database, settlement);
    const store = new RedisHoldStore(connection, log);
    const sources = reconcileSources(connection, database, store, (performanceId) => warmer.warm(performanceId));
    for (const performanceId of options.performanceIds ?? []) {
      if ((await readPerformance(database, performanceId)) === null)
        throw new CannotLook(`there is no performance ${performanceId}`);
    }
    const findings = await reconcile(sources, options);
    const text = options.isJson ? JSON.stringify(findings, null, 2) : findings.flatMap(textOf).join('\n');
    process.stdout.write(`${text || 'Redis has no performance'}\n`);
    return findings.some(({ left }) => left.length > 0) ? 1 : 0;
  } finally {
    subscriber.stop();
    await within(Promise.all([connection.close(), database.close()]), closeTimeoutMs);
  }
}

async function main(): Promise<void> {
  try {
    const options = readOptions(process.argv.slice(2));
    if (options === null) process.stdout.write(usage);
    else process.exitCode = await run(options);
  } catch (thrown) {
    process.stderr.write(`fastpass: ${messageOf(thrown)}\n`);
    process.exitCode = 2;
  }
}

await main();
