/** Redis and MySQL for a bench: those of REDIS_URL and MYSQL_URL, else private ones on a folder of their own. */
import { existsSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import {
  type EmbeddedServer,
  ensureInstalled,
  startEmbeddedMysql,
  startEmbeddedRedis,
} from '../../src/embedded/index.ts';
import { processIdentity } from '../../src/embedded/process-identity.ts';
import type { Stoppable } from './stage.ts';

export interface Stores extends Stoppable {
  readonly redisUrl: string;
  readonly mysqlUrl: string;
  /** Process numbers of those that were started here; null for others. */
  readonly redisPid: number | null;
  readonly mysqlPid: number | null;
}

export interface StoresOptions {
  /** The folder is `.data/<name>-<process number>`. */
  readonly name: string;
  /** Undefined or empty: start one. */
  readonly redisUrl: string | undefined;
  readonly mysqlUrl: string | undefined;
  readonly say: (line: string) => void;
}

const dataDir = fileURLToPath(new URL('../../.data', import.meta.url));
const removal = { recursive: true, force: true, maxRetries: 10, retryDelay: 50 } as const;

/** Starts what has no URL. Rejects with an Error for people, with nothing left running. `stop` removes the folder. */
export async function startStores(options: StoresOptions): Promise<Stores> {
  const { name, redisUrl = '', mysqlUrl = '', say } = options;
  await removeLeftovers(name);
  const folder = `${dataDir}/${name}-${process.pid}`;
  const kinds: ('redis' | 'mysql')[] = [];
  if (redisUrl === '') kinds.push('redis');
  if (mysqlUrl === '') kinds.push('mysql');
  if (kinds.length > 0) await ensureInstalled(kinds, say);
  const starts = await Promise.allSettled([
    redisUrl === '' ? startEmbeddedRedis({ dataDir: folder, say }) : null,
    mysqlUrl === '' ? startEmbeddedMysql({ dataDir: folder, say }) : null,
  ]);
  const stop = async (): Promise<void> => {
    await Promise.all(starts.map((start) => serverOf(start)?.stop()));
    await rm(folder, removal);
  };
  const failed = starts.find((start) => start.status === 'rejected');
  if (failed !== undefined) {
    await stop();
    throw failed.reason;
  }
  const [redis, mysql] = starts.map(serverOf);
  return {
    redisUrl: redis?.url ?? redisUrl,
    mysqlUrl: mysql?.url ?? mysqlUrl,
    redisPid: redis?.pid ?? null,
    mysqlPid: mysql?.pid ?? null,
    stop,
  };
}

function serverOf(start: PromiseSettledResult<EmbeddedServer | null>): EmbeddedServer | null {
  return start.status === 'fulfilled' ? start.value : null;
}

/** Removes the folders of runs that were killed before they could. */
async function removeLeftovers(name: string): Promise<void> {
  if (!existsSync(dataDir)) return;
  for (const entry of readdirSync(dataDir)) {
    const pid = entry.startsWith(`${name}-`) ? Number(entry.slice(name.length + 1)) : Number.NaN;
    if (!Number.isInteger(pid)) continue;
    // The own number is a coincidence: this run has made no folder yet.
    if (pid === process.pid || processIdentity(pid) === undefined) await rm(`${dataDir}/${entry}`, removal);
  }
}
