import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMissing, writePrivateFile } from './files.ts';
import { processIdentity, signalProcess } from './process-identity.ts';
import type { Say } from './types.ts';

/** What the lock file says: who uses the folder, and which server runs on it as soon as there is one. */
interface Holder {
  readonly token: string;
  readonly gatewayPid: number;
  readonly gatewayIdentity: string | undefined;
  readonly serverPid?: number;
  readonly serverIdentity?: string | undefined;
  readonly serverPort?: number;
}

export interface FolderLock {
  /** Notes the server that now runs on the folder: the next gateway can wait for its end, a tool can find it. */
  noteServer(pid: number, port: number): void;
  /** Gives the folder back. May be called again. */
  release(): void;
}

/** Longer than a guardian gives its server to end. */
const LEFTOVER_TIMEOUT_MS = 15_000;
/** A server of this very process that was just killed needs a moment to be gone. */
const OWN_TIMEOUT_MS = 3_000;
const POLL_MS = 25;

/**
 * Takes the folder for this process. The lock is a file with process numbers and start times: of a gateway that lives
 * it means "in use", of one that is gone it is a leftover. When the gateway is gone but its server still runs, that
 * server is asked to end and waited for, up to 15 seconds.
 *
 * `dataDir` is only named in messages. Throws an Error for people when the folder is in use or its old server stays.
 */
export async function lockFolder(folder: string, dataDir: string, say: Say): Promise<FolderLock> {
  const file = join(folder, 'lock.json');
  const mine: Holder = {
    token: randomUUID(),
    gatewayPid: process.pid,
    gatewayIdentity: processIdentity(process.pid),
  };
  const startedAtMs = Date.now();
  let toldAboutLeftover = false;
  while (!tryCreate(file, mine)) {
    const text = readLock(file);
    if (text === undefined) continue;
    const holder = parseHolder(text);
    const waitedMs = Date.now() - startedAtMs;
    if (holder !== undefined && isInUse(holder)) {
      if (holder.gatewayPid !== process.pid || waitedMs > OWN_TIMEOUT_MS) {
        const who =
          holder.gatewayPid === process.pid ? `this process (${process.pid})` : `process ${holder.gatewayPid}`;
        throw new Error(`${dataDir} is in use by ${who}; stop it or set FASTPASS_DATA_DIR`);
      }
    } else if (holder?.serverPid !== undefined && isAlive(holder.serverPid, holder.serverIdentity)) {
      if (waitedMs > LEFTOVER_TIMEOUT_MS) {
        throw new Error(
          `${folder} is still in use by process ${holder.serverPid}, the server of an earlier run: it has not ended ` +
            `for ${LEFTOVER_TIMEOUT_MS / 1000} seconds. End it, or set FASTPASS_DATA_DIR`,
        );
      }
      if (!toldAboutLeftover) {
        say(`waiting for process ${holder.serverPid}, the server of an earlier run on ${folder}, to end ...`);
        // Its guardian does that too, unless somebody has killed the guardian as well.
        signalProcess(holder.serverPid, 'SIGTERM');
        toldAboutLeftover = true;
      }
    } else {
      removeLeftover(file, text);
      continue;
    }
    await sleep(POLL_MS);
  }
  return {
    noteServer(pid, port) {
      const server = { serverPid: pid, serverIdentity: processIdentity(pid), serverPort: port };
      writePrivateFile(file, JSON.stringify({ ...mine, ...server }));
    },
    release() {
      const text = readLock(file);
      if (text !== undefined && parseHolder(text)?.token === mine.token) removeLeftover(file, text);
    },
  };
}

/** The port of the server that runs on the folder; undefined when none does. */
export function runningPort(folder: string): number | undefined {
  const text = readLock(join(folder, 'lock.json'));
  const holder = text === undefined ? undefined : parseHolder(text);
  if (holder?.serverPid === undefined || !isAlive(holder.serverPid, holder.serverIdentity)) return undefined;
  return holder.serverPort;
}

/** Used by a live gateway that starts its server or has one; a gateway whose server died has given the folder up. */
function isInUse(holder: Holder): boolean {
  if (!isAlive(holder.gatewayPid, holder.gatewayIdentity)) return false;
  return holder.serverPid === undefined || isAlive(holder.serverPid, holder.serverIdentity);
}

function isAlive(pid: number, identity: string | undefined): boolean {
  const now = processIdentity(pid);
  return now !== undefined && now === identity;
}

/** Puts the lock there whole or not at all: a link, unlike a write, fails when the file exists. */
function tryCreate(file: string, holder: Holder): boolean {
  const unfinished = `${file}.${holder.token}`;
  writeFileSync(unfinished, JSON.stringify(holder), { mode: 0o600 });
  try {
    linkSync(unfinished, file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(unfinished, { force: true });
  }
}

/** Removes the lock that was judged. Another gateway may have done so and locked in the meantime: then that one stays. */
function removeLeftover(file: string, judgedText: string): void {
  const aside = `${file}.${randomUUID()}`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  if (readLock(aside) !== judgedText) linkSync(aside, file);
  rmSync(aside, { force: true });
}

function readLock(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Undefined for a text that is no lock, as after a power failure: nobody holds the folder by it. */
function parseHolder(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('gatewayPid' in value)) return undefined;
    return value as Holder;
  } catch {
    return undefined;
  }
}
