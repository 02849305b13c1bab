/** Each way as a running server: this gateway, or a process of its own. */
import { setTimeout as sleep } from 'node:timers/promises';
import { committed, startGateway } from '../load/gateway.ts';
import { jwtSecret, Seller } from '../load/seller.ts';
import { startServer } from '../load/server.ts';
import type { Stage } from '../load/stage.ts';
import type { Shop, Sold } from './shop.ts';
import { isGateway, type WayName, ways } from './ways.ts';

export interface Contestant {
  readonly name: WayName;
  readonly url: string;
  readonly pid: number;
  /** A new performance with free seats. */
  readonly performance: (seats: number) => Promise<number>;
  /** Resolves when nothing that was asked for is under way any more, neither to its answer nor to MySQL. */
  readonly settled: () => Promise<void>;
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

const settleMsMax = 30_000;
const settlePollMs = 20;
const serverModule = new URL('./server.ts', import.meta.url);

/** A server reads what a client sent before it left: nothing may be under way at two looks, one behind the other. */
async function untilQuiet(name: WayName, url: string): Promise<void> {
  const endMs = performance.now() + settleMsMax;
  for (let quiet = 0; quiet < 2; ) {
    const underWay = Number(await (await fetch(`${url}/under-way`)).text());
    quiet = underWay === 0 ? quiet + 1 : 0;
    if (performance.now() > endMs) throw new Error(`${name}: ${underWay} holds are under way for ${settleMsMax} ms`);
    await sleep(settlePollMs);
  }
}

/** Starts one, and puts it on the stage. */
export async function startContestant(setting: Setting, name: WayName): Promise<Contestant> {
  const { stage, shop, redisUrl, mysqlUrl, amqpUrl } = setting;
  if (isGateway(name)) {
    const settings = { FASTPASS_ACK: name };
    const gateway = await stage.add(() => startGateway({ redisUrl, mysqlUrl, jwtSecret, workers: 1, settings }));
    const seller = new Seller(gateway.url);
    return {
      name,
      url: gateway.url,
      pid: gateway.pid,
      performance: (seats) => seller.performance(seats),
      settled: async () => {
        // What was on its way when the load ended is in MySQL at the second look.
        await committed(gateway);
        await sleep(settlePollMs);
        await committed(gateway);
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
    settled: () => untilQuiet(name, url),
    sold: (ids) => (ways[name].truth === 'redis' ? shop.soldInRedis(ids) : shop.soldInMysql(ids)),
  };
}
