/** Measures the ways in interleaved rounds: throughput, times, processor time of every process that works for an answer. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { RoundOptions } from '../load/options.ts';
import { say } from '../load/progress.ts';
import { writeTokens } from '../load/seller.ts';
import { Interrupted, type Stage } from '../load/stage.ts';
import { middle } from '../load/statistics.ts';
import { type Stores, startStores } from '../load/stores.ts';
import { load } from '../load/wrk.ts';
import { type Broker, startBroker } from './broker.ts';
import { faultsOfLoad, sumOf, tryOut } from './check.ts';
import { type Contestant, type Outcomes, type Setting, startContestant } from './contestants.ts';
import { countCpu, idleSharesOf, type Worker } from './cpu.ts';
import type { CpuSeconds, Figures, WaysResult } from './report.ts';
import { Shop } from './shop.ts';
import { isGateway, type Store, type WayName, ways } from './ways.ts';

export interface WaysOptions extends RoundOptions {
  readonly names: readonly WayName[];
}

/** Each seat is asked for twice, one request behind the other: half of them lose, and most of those while the first is decided. */
const asks = 2;
/** More requests a second than a way answers: as many seats are made as that many could take. */
const perSecondMax = { mysql: 40_000, redis: 60_000, gateway: 60_000 } as const;
/** In the folder of the stores, which goes with them. */
const folder = fileURLToPath(new URL(`../../.data/ways-${process.pid}`, import.meta.url));

/** Everything a measurement takes but the contestant. */
interface Measured {
  readonly options: WaysOptions;
  readonly tokensPath: string;
  readonly idleShares: ReadonlyMap<number, number>;
}

function perThousand(cpu: CpuSeconds, count: number): CpuSeconds {
  const of = (seconds: number | null): number | null => (seconds === null ? null : (seconds * 1000) / count);
  return { server: of(cpu.server), redis: of(cpu.redis), mysql: of(cpu.mysql), rabbitmq: of(cpu.rabbitmq) };
}

function difference(before: Outcomes, after: Outcomes): Outcomes {
  return Object.fromEntries(Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)]));
}

/** One measurement of one way, with what was wrong in it. */
async function measureOnce(
  contestant: Contestant,
  workers: readonly Worker[],
  { options, tokensPath, idleShares }: Measured,
): Promise<{ figures: Figures; faults: string[] }> {
  const { seconds, connections, seats, generator } = options;
  const { url, name } = contestant;
  const count = Math.ceil((seconds * perSecondMax[ways[name].truth]) / asks / seats);
  const performanceIds: number[] = [];
  for (let i = 0; i < count; i++) performanceIds.push(await contestant.performance(seats));
  const before = await contestant.outcomes();
  const cpuSeconds = countCpu(workers, idleShares);
  const target = { url, connections, seconds, tokensPath, performanceIds, seatsPerPerformance: seats, first: 0, asks };
  const result = await load(generator, target);
  const loadEndMs = performance.now();
  // Work that is done behind the answers is part of their price, and so are requests whose client has gone.
  const settledMs = await contestant.settled();
  const cpu = cpuSeconds();
  const outcomes = difference(before, await contestant.outcomes());
  const sold = await contestant.sold(performanceIds);
  const { requests, perSecond, p50Ms, p95Ms, p99Ms } = result;
  const drainMs = settledMs - loadEndMs;
  const lastingPerSecond = ways[name].truth === 'redis' ? null : requests / (requests / perSecond + drainMs / 1000);
  const times = { perSecond, p50Ms, p95Ms, p99Ms, drainMs, lastingPerSecond };
  return {
    figures: { ...times, cpu: perThousand(cpu, sumOf(outcomes)) },
    faults: faultsOfLoad(result, outcomes, sold, connections, asks, count * seats),
  };
}

/** The middle of each figure by itself; null where there is none. */
function middlesOf(figures: readonly Figures[]): Figures {
  const of = (pick: (each: Figures) => number): number => middle(figures.map(pick));
  const known = (pick: (each: Figures) => number | null): number | null =>
    figures.some((each) => pick(each) === null) ? null : of((each) => pick(each) ?? 0);
  return {
    perSecond: of((each) => each.perSecond),
    p50Ms: of((each) => each.p50Ms),
    p95Ms: of((each) => each.p95Ms),
    p99Ms: of((each) => each.p99Ms),
    drainMs: of((each) => each.drainMs),
    lastingPerSecond: known((each) => each.lastingPerSecond),
    cpu: {
      server: known(({ cpu }) => cpu.server),
      redis: known(({ cpu }) => cpu.redis),
      mysql: known(({ cpu }) => cpu.mysql),
      rabbitmq: known(({ cpu }) => cpu.rabbitmq),
    },
  };
}

/** The broker where a way wants one; null, and why on stderr, where there is no way to get it. */
async function brokerFor(stage: Stage, names: readonly WayName[]): Promise<Broker | null> {
  if (!names.includes('rabbitmq')) return null;
  try {
    return await stage.add(() => startBroker(folder));
  } catch (thrown) {
    if (thrown instanceof Interrupted) throw thrown;
    say(`rabbitmq is left out: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    return null;
  }
}

async function startAll(setting: Setting, names: readonly WayName[]): Promise<Contestant[]> {
  const contestants: Contestant[] = [];
  for (const name of names) {
    if (name !== 'rabbitmq' || setting.amqpUrl !== '') contestants.push(await startContestant(setting, name));
  }
  return contestants;
}

/** Who works for a way: its process, its stores, and the other gateway for a gateway, as one of them does the jobs of both. */
function workersFor(
  contestant: Contestant,
  contestants: readonly Contestant[],
  pids: Readonly<Record<Store, number | null>>,
): Worker[] {
  const gateways = isGateway(contestant.name) ? contestants.filter(({ name }) => isGateway(name)) : [contestant];
  const servers = gateways.map(({ pid }): Worker => ({ part: 'server', pid, isOwn: pid === contestant.pid }));
  const stores = ways[contestant.name].stores.map((part): Worker => ({ part, pid: pids[part], isOwn: false }));
  return [...servers, ...stores];
}

/** Starts everything on the stage and measures. Rejects when a part does not start or a server fails. */
export async function measure(stage: Stage, options: WaysOptions): Promise<WaysResult> {
  const { names, seconds, rounds, connections, users, generator } = options;
  const tokensPath = await writeTokens(stage, users);
  const { REDIS_URL, MYSQL_URL } = process.env;
  const stores: Stores = await stage.add(() =>
    startStores({ name: 'ways', redisUrl: REDIS_URL, mysqlUrl: MYSQL_URL, say }),
  );
  const { redisUrl, mysqlUrl } = stores;
  const shop = await stage.add(() => Shop.open(mysqlUrl, redisUrl));
  const broker = await brokerFor(stage, names);
  const contestants = await startAll({ stage, shop, redisUrl, mysqlUrl, amqpUrl: broker?.url ?? '' }, names);
  const pids = { redis: stores.redisPid, mysql: stores.mysqlPid, rabbitmq: broker?.pid ?? null };
  const workersOf = (contestant: Contestant): Worker[] => workersFor(contestant, contestants, pids);
  const figuresOf = new Map<WayName, Figures[]>(contestants.map(({ name }) => [name, []]));
  const faultsOf = new Map<WayName, string[]>(contestants.map(({ name }) => [name, []]));
  const note = (name: WayName, faults: readonly string[]): void => {
    for (const fault of faults) say(`${name}: ${fault}`);
    faultsOf.get(name)?.push(...faults);
  };
  const idleOf = (): Promise<ReadonlyMap<number, number>> =>
    idleSharesOf([...Object.values(pids), ...contestants.map(({ pid }) => pid)].filter((pid) => pid !== null));
  let measured: Measured = { options, tokensPath, idleShares: new Map() };
  // Round 0 warms up: compilers, caches, tables. Its figures do not count, its faults do.
  for (let round = 0; round <= rounds; round++) {
    if (round === 1) measured = { ...measured, idleShares: await idleOf() };
    // Nobody is always behind the same one, and what that leaves to be done.
    for (const contestant of round % 2 === 0 ? contestants.toReversed() : contestants) {
      const { name } = contestant;
      const { figures, faults } = await measureOnce(contestant, workersOf(contestant), measured);
      say(`${round === 0 ? 'warm-up' : `round ${round}`}: ${name} ${Math.round(figures.perSecond)}/s`);
      note(name, faults);
      if (round > 0) figuresOf.get(name)?.push(figures);
    }
  }
  const tokens = readFileSync(tokensPath, 'utf8').split('\n');
  for (const contestant of contestants) {
    say(`trial: ${contestant.name}`);
    note(contestant.name, await tryOut(contestant, tokens, connections, asks));
  }
  const rows = names.map((name) => {
    const figures = figuresOf.get(name);
    return { name, figures: figures === undefined ? null : middlesOf(figures), faults: faultsOf.get(name) ?? [] };
  });
  return { connections, seconds, rounds, generator, asks, rows };
}
