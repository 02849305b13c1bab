/** Stores of a test's own, to be killed, frozen and started again on the same port. Always ended, also after a failure. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { type GuardedProcess, spawnGuarded } from '../src/embedded/guardian.ts';
import { type EmbeddedServer, startEmbeddedMysql } from '../src/embedded/index.ts';
import { signalProcess } from '../src/embedded/process-identity.ts';
import { findPrograms } from '../src/embedded/programs.ts';
import { freePort } from '../src/embedded/supervise.ts';
import { until } from './harness.ts';

const dataDir = join(dirname(dirname(fileURLToPath(import.meta.url))), '.data');

/** A folder that the next run removes if this one cannot (see test/global-setup.ts). */
export function privateFolder(name: string): string {
  mkdirSync(dataDir, { recursive: true });
  return mkdtempSync(join(dataDir, `test-${process.pid}-${name}-`));
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}

export interface PrivateStore {
  readonly url: string;
  readonly port: number;
  /** SIGKILL, resolved when it is gone. */
  kill(): Promise<void>;
  /** SIGSTOP: its connections stay open and nothing answers. */
  freeze(): void;
  /** SIGCONT. */
  resume(): void;
  /** Ends it for good and removes its data. */
  stop(): Promise<void>;
}

export interface PrivateRedis extends PrivateStore {
  /** Keeps what it has now, for a restart with old data. */
  keepData(): Promise<void>;
  /** Starts a killed one again, on the same port. */
  restart(options: { readonly with: 'nothing' | 'old data' }): Promise<void>;
}

export interface PrivateMysql extends PrivateStore {
  /** False from `kill` to `restart`. */
  readonly isRunning: boolean;
  /** Starts a killed one again on its data, on the same port. */
  restart(): Promise<void>;
}

/** Starts a Redis that writes nothing to its disk by itself. */
export async function startPrivateRedis(): Promise<PrivateRedis> {
  const program = (await findPrograms()).redis;
  if (program === undefined) throw new Error('redis-server is not installed');
  const folder = privateFolder('redis');
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const dump = join(folder, 'dump.rdb');
  const kept = join(folder, 'kept.rdb');
  const settings = ['--bind', '127.0.0.1', '--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'no'];
  let server: GuardedProcess;
  let isRunning = false;

  async function withClient<Result>(work: (client: Redis) => Promise<Result>): Promise<Result> {
    const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
    // The same errors reject the work.
    client.on('error', () => {});
    try {
      await client.connect();
      return await work(client);
    } finally {
      client.disconnect();
    }
  }

  /** A dead one's number may be somebody else's by now. */
  const signal = (name: NodeJS.Signals): void => {
    if (isRunning) signalProcess(server.pid, name);
  };

  async function start(): Promise<void> {
    isRunning = true;
    server = await spawnGuarded([program!, ...settings], folder, join(folder, 'redis.log'));
    await until('the private Redis answers', () =>
      withClient(async (client) => (await client.ping()) === 'PONG').catch(() => false),
    );
  }

  async function kill(): Promise<void> {
    signal('SIGKILL');
    isRunning = false;
    await server.exited;
  }

  await start();
  return {
    url,
    port,
    kill,
    freeze: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    async keepData() {
      await withClient((client) => client.save());
      copyFileSync(dump, kept);
    },
    async restart({ with: what }) {
      rmSync(dump, { force: true });
      if (what === 'old data') copyFileSync(kept, dump);
      await start();
    },
    async stop() {
      await kill();
      removeFolder(folder);
    },
  };
}

/** Starts a MariaDB (or MySQL) with a small buffer pool. */
export async function startPrivateMysql(): Promise<PrivateMysql> {
  const folder = privateFolder('mysql');
  const options = { dataDir: folder, say: () => {}, bufferPoolMb: 64 };
  let server: EmbeddedServer = await startEmbeddedMysql(options);
  let isRunning = true;
  const { url } = server;
  const port = Number(new URL(url).port);

  const signal = (name: NodeJS.Signals): void => {
    if (isRunning) signalProcess(server.pid, name);
  };

  async function kill(): Promise<void> {
    signal('SIGKILL');
    isRunning = false;
    await server.stop();
  }

  return {
    url,
    port,
    get isRunning() {
      return isRunning;
    },
    kill,
    freeze: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    async restart() {
      server = await startEmbeddedMysql({ ...options, port });
      isRunning = true;
    },
    async stop() {
      await kill();
      removeFolder(folder);
    },
  };
}
