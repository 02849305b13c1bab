/** Each way as a running server: this gateway, or a process of its own. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { committed, startGateway } from '../load/gateway.ts';
import { jwtSecret, Seller } from '../load/seller.ts';
import type { Stage, Stoppable } from '../load/stage.ts';
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
const startMsMax = 30_000;
// As the gateway's: the nursery's size must not make the difference.
const nodeFlags = ['--max-semi-space-size=64'];
const serverPath = fileURLToPath(new URL('./server.ts', import.meta.url));
const guardUrl = new URL('../load/end-with-parent.ts', import.meta.url).href;

interface Server extends Stoppable {
  readonly url: string;
  readonly pid: number;
}

async function startServer(name: WayName, environment: Readonly<Record<string, string>>): Promise<Server> {
  const child = spawn(process.execPath, [...nodeFlags, '--import', guardUrl, serverPath, name], {
    env: { ...process.env, ...environment, NODE_ENV: 'production' },
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  // Nothing is written to it: the only error is its end, which the exit event reports.
  child.stdin.on('error', () => {});
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
  };
  const port = await new Promise<string>((resolve) => {
    const limit = setTimeout(() => resolve(''), startMsMax);
    const end = (text: string): void => {
      clearTimeout(limit);
      resolve(text);
    };
    child.stdout.once('data', (data: Buffer) => end(data.toString().trim()));
    void exited.then(() => end(''));
  });
  if (port === '') {
    await stop();
    throw new Error(`the server of ${name} did not start`);
  }
  return { url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0, stop };
}

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
  const { url, pid } = await stage.add(() => startServer(name, environment));
  return {
    name,
    url,
    pid,
    performance: (seats) => shop.performance(seats),
    settled: () => untilQuiet(name, url),
    sold: (ids) => (ways[name].truth === 'redis' ? shop.soldInRedis(ids) : shop.soldInMysql(ids)),
  };
}
