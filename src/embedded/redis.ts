import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Redis } from 'ioredis';
import { keepPassword, writePrivateFile } from './files.ts';
import { lockFolder, runningPort } from './folder-lock.ts';
import { ensureInstalled } from './install.ts';
import { findPrograms } from './programs.ts';
import { type ServerPlan, startServer } from './supervise.ts';
import type { EmbeddedOptions, EmbeddedServer } from './types.ts';

/** Includes the time to load the append-only file of the last run. */
const START_TIMEOUT_MS = 30_000;
const PROBE_TIMEOUT_MS = 1_000;

/**
 * Starts a private Redis with its data in `<dataDir>/redis`, installing redis-server first where that is needed and
 * possible. Resolves when it answers PING and has loaded its data.
 *
 * Throws an Error for people when it cannot be installed, the folder is in use, or it does not answer in 30 seconds.
 */
export async function startEmbeddedRedis(options: EmbeddedOptions): Promise<EmbeddedServer> {
  await ensureInstalled(['redis'], options.say);
  const program = (await findPrograms()).redis;
  if (program === undefined) throw new Error('redis-server was removed while it was about to be started');

  const dataDir = resolve(options.dataDir);
  const folder = join(dataDir, 'redis');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(folder, dataDir, options.say);
  try {
    const password = keepPassword(passwordFile(dataDir));
    return await startServer(planRedis(program, folder, password), lock, options);
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The URL of the Redis that a gateway has started on the folder; undefined when none runs. Starts nothing. */
export function runningRedisUrl(dataDir: string): string | undefined {
  const port = runningPort(join(resolve(dataDir), 'redis'));
  return port === undefined ? undefined : urlOf(port, keepPassword(passwordFile(resolve(dataDir))));
}

function passwordFile(dataDir: string): string {
  return join(dataDir, 'redis.password');
}

function urlOf(port: number, password: string): string {
  return `redis://:${password}@127.0.0.1:${port}`;
}

function planRedis(program: string, folder: string, password: string): ServerPlan {
  const configFile = join(folder, 'redis.conf');
  return {
    title: 'Redis',
    folder,
    logFile: join(folder, 'redis.log'),
    startTimeoutMs: START_TIMEOUT_MS,
    prepare(port) {
      writePrivateFile(configFile, configText(folder, port, password));
      return [program, configFile];
    },
    probe: (port) => probeRedis(port, password),
    url: (port) => urlOf(port, password),
  };
}

/** The password stands in this file and not on the command line, which every user of the machine can read. */
function configText(folder: string, port: number, password: string): string {
  const quotedFolder = `"${folder.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  return `# Written anew at every start.
bind 127.0.0.1
port ${port}
protected-mode yes
requirepass ${password}
daemonize no
dir ${quotedFolder}
# An empty name is standard output: the guardian appends it to redis.log, with what Redis writes before it reads this.
logfile ""
# Every change goes to the append-only file, synced once a second; snapshots would only add load.
appendonly yes
appendfsync everysec
save ""
# A rush doubles a small file every few seconds, and every rewrite takes a core for as long as it lasts.
auto-aof-rewrite-min-size 1gb
rdbcompression no
stop-writes-on-bgsave-error no
# A full Redis refuses writes; evicting a held seat would sell it twice.
maxmemory-policy noeviction
# The scripts run on one thread anyway, and the machine's other cores belong to the gateway and MariaDB.
io-threads 1
`;
}

async function probeRedis(port: number, password: string): Promise<string | undefined> {
  const client = new Redis({
    host: '127.0.0.1',
    port,
    password,
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectTimeout: PROBE_TIMEOUT_MS,
    commandTimeout: PROBE_TIMEOUT_MS,
  });
  // The same errors reject connect() and ping(); without a listener ioredis writes them to the console as well.
  let lastError: unknown;
  client.on('error', (error) => {
    lastError = error;
  });
  try {
    await client.connect();
    // While it loads its data, Redis answers with the error LOADING.
    const answer = await client.ping();
    return answer === 'PONG' ? undefined : `it answered ${answer}`;
  } catch (error) {
    return String(lastError ?? error);
  } finally {
    client.disconnect();
  }
}
