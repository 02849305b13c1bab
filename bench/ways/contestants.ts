/** Each way as a running server: this gateway, or a process of its own. */
import { setTimeout as sleep } from 'node:timers/promises';
import { startGateway } from '../load/gateway.ts';
import { jwtSecret, Seller } from '../load/seller.ts';
import { startServer } from '../load/server.ts';
import type { Stage } from '../load/stage.ts';
import type { Counts } from './contract.ts';
import type { Shop, Sold } from './shop.ts';
import { isGateway, type WayName, ways } from './ways.ts';

export type Outcomes = Readonly<Record<string, number>>;

export interface Contestant {
  readonly name: WayName;
  readonly url: string;
  readonly pid: number;
  /** A new performance with free seats. */
  readonly performance: (seats: number) => Promise<number>;
  /**
   * Holds decided so far, by what became of them: those that were, `held`, those whose seat was not free, `taken`, and those
   * that were dropped because their client had gone, `left`. Everything else is by the way's own names.
   */
  readonly outcomes: () => Promise<Outcomes>;
  /**
   * Resolves when nothing that was asked for is under way any more, neither to its answer nor to MySQL, with the time since
   * when nothing is, of `performance.now()`.
   */
  readonly settled: () => Promise<number>;
  /** Every seat that these performances have sold, as the way's own store says it. */
  readonly sold: (performanceIds: readonly number[]) => Promise<Sold[]>;
}

export interface Setting {
  readonly stage: Stage;
  readonly shop: Shop;
  readonly redisUrl: string;
  readonly mysqlUrl: string;
  readonly amqpUrl: string;
}

/** A gateway may be behind by all the holds that it takes without MySQL. */
const settleMsMax = 60_000;
const settlePollMs = 20;
const serverModule = new URL('./server.ts', import.meta.url);

/**
 * A server reads what a client sent before it left: nothing may be under way at two looks, one behind the other. Resolves
 * with the time of the first of them.
 */
async function untilQuiet(name: WayName, underWay: () => Promise<number>): Promise<number> {
  const endMs = performance.now() + settleMsMax;
  let quietMs: number | null = null;
  for (;;) {
    const count = await underWay();
    const nowMs = performance.now();
    if (count > 0) quietMs = null;
    else if (quietMs === null) quietMs = nowMs;
    else return quietMs;
    if (nowMs > endMs) throw new Error(`${name}: ${count} holds are under way for ${settleMsMax} ms`);
    await sleep(settlePollMs);
  }
}

async function countsOf(url: string): Promise<Counts> {
  return (await (await fetch(`${url}/under-way`)).json()) as Counts;
}

/** The same of a gateway: to its answer or to MySQL, and outcomes by its own codes, but for the one that all ways have. */
async function gatewayCountsOf(url: string): Promise<{ underWay: number; outcomes: Outcomes }> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const numberOf = (name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? Number.NaN);
  const underWay = numberOf('fastpass_queue_depth') + numberOf('fastpass_commit_depth');
  // Those whose client had gone while they waited are dropped: an answer to nobody, counted as `overloaded`.
  const left = numberOf('fastpass_abandoned_total');
  const samples = [...text.matchAll(/^fastpass_holds_total\{outcome="(\w+)"\} (\d+)$/gm)];
  if (Number.isNaN(underWay + left) || samples.length === 0) throw new Error('the gateway does not count its holds');
  const counts = samples.map(([, code, count]) => [code === 'seat_taken' ? 'taken' : code, Number(count)]);
  const outcomes: Record<string, number> = Object.fromEntries(counts);
  return { underWay, outcomes: { ...outcomes, overloaded: (outcomes['overloaded'] ?? 0) - left, left } };
}

/** Starts one, and puts it on the stage. */
export async function startContestant(setting: Setting, name: WayName): Promise<Contestant> {
  const { stage, shop, redisUrl, mysqlUrl, amqpUrl } = setting;
  if (isGateway(name)) {
    const settings = { FASTPASS_ACK: name };
    const { url, pid } = await stage.add(() => startGateway({ redisUrl, mysqlUrl, jwtSecret, workers: 1, settings }));
    const seller = new Seller(url);
    return {
      name,
      url,
      pid,
      performance: (seats) => seller.performance(seats),
      outcomes: async () => (await gatewayCountsOf(url)).outcomes,
      settled: async () => {
        const quietMs = await untilQuiet(name, async () => (await gatewayCountsOf(url)).underWay);
        // Events are told behind that: it is their way's work, and must not fall to the next one.
        await untilQuiet(name, () => shop.untoldByGateway());
        return quietMs;
      },
      sold: (performanceIds) => shop.soldByGateway(performanceIds),
    };
  }
  const environment = { REDIS_URL: redisUrl, MYSQL_URL: shop.url, AMQP_URL: amqpUrl, JWT_SECRET: jwtSecret };
  const { url, pid } = await stage.add(() => startServer(serverModule, [name], environment));
  return {
    name,
    url,
    pid,
    performance: (seats) => shop.performance(seats),
    outcomes: async () => (await countsOf(url)).outcomes,
    settled: () => untilQuiet(name, async () => (await countsOf(url)).underWay),
    sold: (ids) => (ways[name].truth === 'redis' ? shop.soldInRedis(ids) : shop.soldInMysql(ids)),
  };
}
