import { existsSync, readdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { ensureInstalled, startEmbeddedMysql, startEmbeddedRedis } from '../src/embedded/index.ts';
import { processIdentity } from '../src/embedded/process-identity.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** `redis://:password@127.0.0.1:port` of this run's own Redis. */
    redisUrl: string;
    /** `mysql://user:password@127.0.0.1:port/fastpass`; the user may also make databases named `fastpass_...`. */
    mysqlUrl: string;
  }
}

const DATA_DIR = join(dirname(dirname(fileURLToPath(import.meta.url))), '.data');
const FOLDER_PATTERN = /^test-(\d+)/;
const REMOVE_OPTIONS = { recursive: true, force: true, maxRetries: 10, retryDelay: 50 } as const;

/** Vitest calls this once a run: starts the servers on an empty folder, and the returned function ends both. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const say = (line: string) => console.log(`test servers: ${line}`);
  await removeLeftovers();
  await ensureInstalled(['redis', 'mysql'], say);

  const dataDir = join(DATA_DIR, `test-${process.pid}`);
  // Little memory for pages: the tests write little, and the machine has other work.
  const starts = await Promise.allSettled([
    startEmbeddedRedis({ dataDir, say }),
    startEmbeddedMysql({ dataDir, say, bufferPoolMb: 128 }),
  ]);
  const teardown = async () => {
    await Promise.all(starts.map((start) => (start.status === 'fulfilled' ? start.value.stop() : undefined)));
    await rm(dataDir, REMOVE_OPTIONS);
  };
  const [redis, mysql] = starts;
  if (redis.status === 'rejected' || mysql.status === 'rejected') {
    await teardown();
    const reasons = starts.flatMap((start) => (start.status === 'rejected' ? [String(start.reason)] : []));
    throw new Error(`the test servers did not start:\n${reasons.join('\n')}`);
  }
  project.provide('redisUrl', redis.value.url);
  project.provide('mysqlUrl', mysql.value.url);
  return teardown;
}

/** Removes the folders of runs that were killed before they could. */
async function removeLeftovers(): Promise<void> {
  if (!existsSync(DATA_DIR)) return;
  for (const name of readdirSync(DATA_DIR)) {
    const pid = FOLDER_PATTERN.exec(name)?.[1];
    if (pid === undefined) continue;
    // The own number is a coincidence: this run has made no folder yet.
    if (Number(pid) === process.pid || processIdentity(Number(pid)) === undefined) {
      await rm(join(DATA_DIR, name), REMOVE_OPTIONS);
    }
  }
}
