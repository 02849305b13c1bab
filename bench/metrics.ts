/**
 * What the metrics cost: one gateway as it is, scraped every second, against one whose hot path counts nothing. Rounds are
 * interleaved within one run, in turns of who is first; the middle of the rounds' ratios counts. The cost is that of the
 * gateway's processor time a request, which other load on the machine changes less than requests a second.
 */
import { type Gateway, startGateway } from './load/gateway.ts';
import { type RoundOptions, readRoundOptions, roundHelp } from './load/options.ts';
import { cpuMsOf } from './load/process-usage.ts';
import { say } from './load/progress.ts';
import { jwtSecret, Seller, writeTokens } from './load/seller.ts';
import { onStage, type Stage } from './load/stage.ts';
import { middle } from './load/statistics.ts';
import { startStores } from './load/stores.ts';
import { type Generator, load } from './load/wrk.ts';

const defaults = { seconds: 2, rounds: 15, connections: 200, users: 20_000, seats: 40_000 };

export const help = `npm run bench -- metrics [options]
${roundHelp(defaults)}
  --help`;

const takenSeats = 1000;
const scrapeIntervalMs = 1000;
/** Processor time a request that the metrics may cost. */
const costMax = 0.03;

interface Measured {
  readonly perSecond: number;
  readonly cpuUs: number;
}

export interface MetricsResult {
  readonly generator: Generator;
  readonly rows: readonly {
    readonly name: string;
    /** Middles of the rounds. */
    readonly on: Measured;
    readonly off: Measured;
    /** Requests a second with the metrics on, as a share of those without. */
    readonly ratio: number;
    /** Processor time a request that the metrics add, as a share. */
    readonly cost: number;
  }[];
}

/** Scrapes while `work` is under way. */
async function whileScraped<Result>(url: string, work: Promise<Result>): Promise<Result> {
  const scrape = async (): Promise<void> => {
    await (await fetch(`${url}/metrics`)).text();
  };
  let failure: unknown = null;
  const timer = setInterval(() => {
    scrape().catch((thrown: unknown) => {
      failure = thrown;
    });
  }, scrapeIntervalMs);
  try {
    const result = await work;
    if (failure !== null) throw failure;
    return result;
  } finally {
    clearInterval(timer);
  }
}

async function measure(stage: Stage, options: RoundOptions): Promise<MetricsResult> {
  const { seconds, rounds, connections, users, seats, generator } = options;
  const tokensPath = await writeTokens(stage, users);
  const { REDIS_URL: redisUrl, MYSQL_URL: mysqlUrl } = process.env;
  const stores = await stage.add(() => startStores({ name: 'bench', redisUrl, mysqlUrl, say }));
  const common = { redisUrl: stores.redisUrl, mysqlUrl: stores.mysqlUrl, jwtSecret, workers: 1 };
  // The first one leads the jobs, which cost more than what is measured: it takes none of the load.
  const leader = await stage.add(() => startGateway(common));
  const on = await stage.add(() => startGateway(common));
  const without = new URL('./load/without-metrics.ts', import.meta.url).href;
  const off = await stage.add(() => startGateway({ ...common, imports: [without] }));
  const seller = new Seller(leader.url);
  const taken = await seller.soldOut(takenSeats);
  const fresh = async (): Promise<number[]> => {
    const ids: number[] = [];
    for (let i = 0; i < Math.ceil((seconds * 40_000) / seats); i++) ids.push(await seller.performance(seats));
    return ids;
  };

  const once = async (gateway: Gateway, isRefused: boolean): Promise<Measured> => {
    const performanceIds = isRefused ? [taken] : await fresh();
    const seatsPerPerformance = isRefused ? takenSeats : seats;
    const beforeMs = cpuMsOf(gateway.pid);
    const { url } = gateway;
    const work = load(generator, {
      url,
      connections,
      seconds,
      tokensPath,
      performanceIds,
      seatsPerPerformance,
      first: 0,
    });
    const result = await (gateway === on ? whileScraped(url, work) : work);
    const wrong = isRefused ? result.requests - result.refused : result.refused;
    if (wrong > 0 || result.failed > 0) {
      throw new Error(`${wrong} answers of the wrong kind, ${result.failed} requests without one`);
    }
    return { perSecond: result.perSecond, cpuUs: ((cpuMsOf(gateway.pid) - beforeMs) * 1000) / result.requests };
  };

  const rows: MetricsResult['rows'][number][] = [];
  for (const name of ['refusal', 'persisted']) {
    const pairs: { on: Measured; off: Measured }[] = [];
    // Round 0 warms up: compilers, caches, tables. It does not count.
    for (let round = 0; round <= rounds; round++) {
      const order = round % 2 === 0 ? [on, off] : [off, on];
      const [first, second] = [await once(order[0]!, name === 'refusal'), await once(order[1]!, name === 'refusal')];
      const pair = order[0] === on ? { on: first, off: second } : { on: second, off: first };
      const text = (['on', 'off'] as const).map(
        (way) => `${way} ${Math.round(pair[way].perSecond)}/s ${pair[way].cpuUs.toFixed(2)} us`,
      );
      say(`${name} ${round === 0 ? 'warm-up' : `round ${round}`}: ${text.join(', ')}`);
      if (round > 0) pairs.push(pair);
    }
    rows.push(rowOf(name, pairs));
  }
  return { generator, rows };
}

function rowOf(name: string, pairs: readonly { on: Measured; off: Measured }[]): MetricsResult['rows'][number] {
  const middleOf = (measured: readonly Measured[]): Measured => ({
    perSecond: Math.round(middle(measured.map(({ perSecond }) => perSecond))),
    cpuUs: Number(middle(measured.map(({ cpuUs }) => cpuUs)).toFixed(2)),
  });
  return {
    name,
    on: middleOf(pairs.map(({ on }) => on)),
    off: middleOf(pairs.map(({ off }) => off)),
    ratio: Number(middle(pairs.map(({ on, off }) => on.perSecond / off.perSecond)).toFixed(3)),
    cost: Number((middle(pairs.map(({ on, off }) => on.cpuUs / off.cpuUs)) - 1).toFixed(3)),
  };
}

function print({ generator, rows }: MetricsResult): void {
  const lines = [generator, '', '               on: requests/s    us   off: requests/s    us   ratio    cost   target'];
  for (const { name, on, off, ratio, cost } of rows) {
    const cells = [
      String(on.perSecond).padStart(18),
      on.cpuUs.toFixed(1).padStart(6),
      String(off.perSecond).padStart(18),
      off.cpuUs.toFixed(1).padStart(6),
      ratio.toFixed(3).padStart(8),
      `${(cost * 100).toFixed(1)} %`.padStart(8),
      `${costMax * 100} %`.padStart(9),
    ];
    lines.push(`  ${name.padEnd(10)}${cells.join('')}`);
  }
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
