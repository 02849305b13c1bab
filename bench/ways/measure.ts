/** Measures the ways in interleaved rounds: throughput, times, processor time of every process that works for an answer. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { RoundOptions } from '../load/options.ts';
import { cpuTimeOf } from '../load/process-usage.ts';
import { say } from '../load/progress.ts';
import { writeTokens } from '../load/seller.ts';
import { Interrupted, type Stage } from '../load/stage.ts';
import { middle } from '../load/statistics.ts';
import { type Stores, startStores } from '../load/stores.ts';
import { load } from '../load/wrk.ts';
import { type Broker, startBroker } from './broker.ts';
import { faultsOfLoad, tryOut } from './check.ts';
import { type Contestant, type Setting, startContestant } from './contestants.ts';
import type { CpuSeconds, Figures, WaysResult } from './report.ts';
import { Shop } from './shop.ts';
import { type WayName, ways } from './ways.ts';

export interface WaysOptions extends RoundOptions {
  readonly names: readonly WayName[];
}

/** Each seat is asked for twice, one request behind the other: half of them lose, and most of those while the first is decided. */
const asks = 2;
/** More requests a second than a way answers: as many seats are made as that many could take. */
const perSecondMax = { mysql: 15_000, redis: 60_000, gateway: 60_000 } as const;
/** In the folder of the stores, which goes with them. */
const folder = fileURLToPath(new URL(`../../.data/ways-${process.pid}`, import.meta.url));

type Pids = Readonly<Record<keyof CpuSeconds, number | null>>;

function cpuSecondsOf(pids: Pids): CpuSeconds {
  const of = (pid: number | null): number | null => {
    if (pid === null) return null;
    const { userMs, systemMs } = cpuTimeOf(pid);
    return (userMs + systemMs) / 1000;
  };
  return { server: of(pids.server), redis: of(pids.redis), mysql: of(pids.mysql), rabbitmq: of(pids.rabbitmq) };
}

function perThousand(before: CpuSeconds, after: CpuSeconds, requests: number): CpuSeconds {
  const of = (name: keyof CpuSeconds): number | null => {
    const [from, to] = [before[name], after[name]];
    return from === null || to === null ? null : ((to - from) * 1000) / requests;
  };
  return { server: of('server'), redis: of('redis'), mysql: of('mysql'), rabbitmq: of('rabbitmq') };
}

/** One measurement of one way, with what was wrong in it. */
async function measureOnce(
  contestant: Contestant,
  options: WaysOptions,
  tokensPath: string,
  pids: Pids,
): Promise<{ figures: Figures; faults: string[] }> {
  const { seconds, connections, seats, generator } = options;
  const count = Math.ceil((seconds * perSecondMax[ways[contestant.name].truth]) / asks / seats);
  const performanceIds: number[] = [];
  for (let i = 0; i < count; i++) performanceIds.push(await contestant.performance(seats));
  const before = cpuSecondsOf(pids);
  const { url } = contestant;
  const result = await load(generator, {
    url,
    connections,
    seconds,
    tokensPath,
    performanceIds,
    seatsPerPerformance: seats,
    first: 0,
    asks,
  });
  // Work that is done behind the answers is part of their price.
  await contestant.settled();
  const cpu = perThousand(before, cpuSecondsOf(pids), result.requests);
  const sold = await contestant.sold(performanceIds);
  const { perSecond, p50Ms, p95Ms, p99Ms } = result;
  const faults = faultsOfLoad(result, sold, connections, asks, count * seats);
  return { figures: { perSecond, p50Ms, p95Ms, p99Ms, cpu }, faults };
}

/** The middle of each figure by itself. */
function middleOf(figures: readonly Figures[]): Figures {
  const of = (pick: (each: Figures) => number): number => middle(figures.map(pick));
  const cpuOf = (name: keyof CpuSeconds): number | null =>
    figures.some(({ cpu }) => cpu[name] === null) ? null : of(({ cpu }) => cpu[name] ?? 0);
  return {
    perSecond: of((each) => each.perSecond),
    p50Ms: of((each) => each.p50Ms),
    p95Ms: of((each) => each.p95Ms),
    p99Ms: of((each) => each.p99Ms),
    cpu: { server: cpuOf('server'), redis: cpuOf('redis'), mysql: cpuOf('mysql'), rabbitmq: cpuOf('rabbitmq') },
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
  const pidsOf = ({ name, pid }: Contestant): Pids => {
    const rabbitmq = name === 'rabbitmq' ? (broker?.pid ?? null) : null;
    return { server: pid, redis: stores.redisPid, mysql: stores.mysqlPid, rabbitmq };
  };

  const figuresOf = new Map<WayName, Figures[]>(contestants.map(({ name }) => [name, []]));
  const faultsOf = new Map<WayName, string[]>(contestants.map(({ name }) => [name, []]));
  const note = (name: WayName, faults: readonly string[]): void => {
    for (const fault of faults) say(`${name}: ${fault}`);
    faultsOf.get(name)?.push(...faults);
  };
  // Round 0 warms up: compilers, caches, tables. Its figures do not count, its faults do.
  for (let round = 0; round <= rounds; round++) {
    for (const contestant of contestants) {
      const { name } = contestant;
      const { figures, faults } = await measureOnce(contestant, options, tokensPath, pidsOf(contestant));
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
    return { name, figures: figures === undefined ? null : middleOf(figures), faults: faultsOf.get(name) ?? [] };
  });
  return { connections, seconds, rounds, generator, asks, rows };
}
