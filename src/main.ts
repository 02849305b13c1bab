/** Reads the configuration, finds or starts the stores, starts the gateway, and stops all of it in reverse at a signal. */
import { resolve } from 'node:path';
import { type AppConfig, startApp } from './app.ts';
import type { Catalog } from './catalog/catalog.ts';
import { createDemo, findDemo } from './catalog/demo.ts';
import { type Config, ConfigError, readConfig } from './config.ts';
import { type EmbeddedServer, ensureInstalled, startEmbeddedMysql, startEmbeddedRedis } from './embedded/index.ts';
import { mintToken } from './gateway/auth.ts';
import { sleep, systemClock } from './lib/clock.ts';
import { messageOf } from './lib/errors.ts';
import { createLogger, toggleLevel } from './logger.ts';
import { Metrics } from './metrics.ts';
import { runWorker, startWorkers, type Workers, workerArgument } from './workers.ts';

const demoTokenSeconds = 24 * 3600;
/** Those who stop services kill after ten seconds. */
const stopTimeoutMs = 9500;
/** Longer than a gateway takes to start on stores that are there. */
const startingMsMax = 2000;

function say(line: string): void {
  process.stdout.write(`fastpass: ${line}\n`);
}

/** Starts private servers for the stores no URL is given for; returns how to reach all and what to stop. */
async function findStores(config: Config): Promise<{ config: AppConfig; embedded: EmbeddedServer[] }> {
  const dataDir = resolve(config.dataDir);
  const kinds: ('redis' | 'mysql')[] = [];
  if (config.redisUrls.length === 0) kinds.push('redis');
  if (config.mysqlUrl === null) kinds.push('mysql');
  if (kinds.length > 0) await ensureInstalled(kinds, say);
  const starts = await Promise.allSettled([
    config.redisUrls.length > 0 ? null : startEmbeddedRedis({ dataDir, say }),
    config.mysqlUrl !== null ? null : startEmbeddedMysql({ dataDir, say }),
  ]);
  const embedded = starts.flatMap((start) => (start.status === 'fulfilled' && start.value !== null ? start.value : []));
  const failed = starts.find((start) => start.status === 'rejected');
  if (failed !== undefined) {
    await Promise.all(embedded.map((server) => server.stop()));
    throw failed.reason;
  }
  const [redis, mysql] = starts.map((start) => (start.status === 'fulfilled' ? start.value : null));
  return {
    config: {
      ...config,
      redisUrls: redis ? [redis.url] : config.redisUrls,
      mysqlUrl: mysql?.url ?? config.mysqlUrl ?? '',
    },
    embedded,
  };
}

/** Three lines that work as printed. */
async function printExamples(config: AppConfig, port: number, catalog: Catalog): Promise<void> {
  const url = `http://localhost:${port}`;
  say(`ready at ${url} (OpenAPI at ${url}/openapi.json)`);
  const demo = await findDemo(catalog);
  // Where the output is kept, a token is not for it.
  if (demo === null || config.isProduction) return;
  const userId = 1_000_000_000 + Math.floor(Math.random() * 1_000_000_000);
  const token = mintToken(config.jwtSecret, userId, 'user', demoTokenSeconds);
  process.stdout.write(`
  In a browser: ${url} and, for the role admin, ${url}/admin

  See a performance, hold two of its seats, list your reservations:

  curl -s ${url}/v1/performances/${demo.seatedId}

  curl -s ${url}/v1/reservations -H 'Content-Type: application/json' -H 'Authorization: Bearer ${token}' -d '{"performanceId":${demo.seatedId},"seats":[${demo.seats.join(',')}]}'

  curl -s ${url}/v1/reservations -H 'Authorization: Bearer ${token}'

  Stop with Ctrl-C.

`);
}

async function main(): Promise<void> {
  const isEmbedded = (config: Config): boolean => config.redisUrls.length === 0 && config.mysqlUrl === null;
  const given = readConfig(process.env);
  const log = createLogger(given.logLevel, given.isProduction);
  const running: { stop(): Promise<void> }[] = [];
  /** The gateway while it starts: it is stopped like one that runs, before its stores are. */
  let starting: Promise<unknown> = Promise.resolve();
  let isStopping = false;

  const stop = async (signal: string): Promise<void> => {
    if (isStopping) process.exit(1);
    isStopping = true;
    say(`${signal}: stopping (again: at once)`);
    let exitCode = 0;
    // An embedded server that hangs does not keep this process: its guardian ends it.
    setTimeout(() => process.exit(exitCode), stopTimeoutMs).unref();
    // One that still waits for a store has nothing to end.
    await Promise.race([Promise.allSettled([starting]), sleep(systemClock, startingMsMax)]);
    for (const part of running.reverse()) {
      await part.stop().catch((thrown: unknown) => {
        log.error('a part did not stop well', { error: messageOf(thrown) });
        exitCode = 1;
      });
    }
    say('stopped');
    process.exit(exitCode);
  };
  let workers: Workers | null = null;
  process.on('SIGUSR2', () => {
    const level = toggleLevel(log, given.logLevel);
    say(`SIGUSR2: logs at ${level}`);
    workers?.setLogLevel(level);
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => void stop(signal));

  const { config, embedded } = await findStores(given);
  running.push(...embedded);
  try {
    // With workers the primary keeps a gateway of its own only for the stores; they serve the port.
    const metrics = new Metrics();
    const start = startApp(
      config.workers > 1 ? { ...config, port: 0, host: '127.0.0.1' } : config,
      log,
      false,
      metrics,
    );
    starting = start.then((app) => running.push(app));
    const app = await start;
    if (isStopping) return;
    if (isEmbedded(given)) await createDemo(app.catalog);
    if (config.workers > 1) {
      workers = await startWorkers(config, log, metrics);
      running.push(workers);
    }
    if (isEmbedded(given)) await printExamples(config, config.workers > 1 ? config.port : app.port, app.catalog);
  } catch (thrown) {
    // Whoever stops the parts says how the process ends.
    if (isStopping) return;
    for (const part of running.reverse()) await part.stop();
    throw thrown;
  }
}

if (process.argv.includes(workerArgument)) {
  runWorker();
} else {
  main().catch((thrown: unknown) => {
    process.stderr.write(`fastpass: ${thrown instanceof ConfigError ? thrown.message : messageOf(thrown)}\n`);
    process.exit(1);
  });
}
