/** The private MariaDB of the statements bench, on a folder of its own that goes with it, or is kept for the next run. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { startEmbeddedMysql } from '../../src/embedded/index.ts';
import { processIdentity } from '../../src/embedded/process-identity.ts';
import { say } from '../load/progress.ts';
import type { Stoppable } from '../load/stage.ts';

export interface StatementsServer extends Stoppable {
  readonly url: string;
  /** What was written down by `note`, null on a new folder. */
  readonly filled: Filled | null;
  /** The folder is filled: a later run may go on with it. */
  note(filled: Filled): void;
}

export interface Filled {
  readonly fillSeconds: number;
}

const dataDir = fileURLToPath(new URL('../../.data', import.meta.url));
const removal = { recursive: true, force: true, maxRetries: 10, retryDelay: 50 } as const;

/**
 * Starts it. Kept: on the folder that an earlier run with as many reservations has kept, and it stays; else on a new one.
 * Rejects with an Error for people, with nothing left running.
 */
export async function startStatementsServer(
  reservations: number,
  bufferPoolMb: number,
  isKept: boolean,
): Promise<StatementsServer> {
  await removeLeftovers();
  const folder = `${dataDir}/statements-${isKept ? `kept-${reservations}` : process.pid}`;
  const path = `${folder}/filled.json`;
  const server = await startEmbeddedMysql({ dataDir: folder, say, bufferPoolMb });
  return {
    url: server.url,
    // Read when the folder is ours: what is not noted was not filled to its end.
    filled: existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Filled) : null,
    note: (filled) => writeFileSync(path, JSON.stringify(filled)),
    async stop() {
      await server.stop();
      if (!isKept || !existsSync(path)) await rm(folder, removal);
    },
  };
}

/** Removes the folders of runs that were killed before they could. */
async function removeLeftovers(): Promise<void> {
  if (!existsSync(dataDir)) return;
  for (const entry of readdirSync(dataDir)) {
    const pid = Number(/^statements-(\d+)$/.exec(entry)?.[1] ?? Number.NaN);
    if (Number.isNaN(pid)) continue;
    if (pid === process.pid || processIdentity(pid) === undefined) await rm(`${dataDir}/${entry}`, removal);
  }
}
