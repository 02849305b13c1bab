import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { readTail, setLogAside } from './files.ts';
import type { FolderLock } from './folder-lock.ts';
import { type GuardedProcess, spawnGuarded } from './guardian.ts';
import type { EmbeddedOptions, EmbeddedServer } from './types.ts';

/** What one kind of server needs to be started and watched. */
export interface ServerPlan {
  /** Name in messages: `Redis`, `MariaDB`. */
  readonly title: string;
  /** Working folder. */
  readonly folder: string;
  /** Receives all the server writes; the log of the last run moves to `<logFile>.previous`. */
  readonly logFile: string;
  readonly startTimeoutMs: number;
  /** Writes what the server reads at its start; returns its command line. */
  prepare(port: number): readonly string[];
  /** Undefined once the server answers a client with its password, else why it does not yet. */
  probe(port: number): Promise<string | undefined>;
  url(port: number): string;
}

const POLL_MS = 20;
/** Between the choice of a free port and its use somebody else may take it. */
const PORT_ATTEMPTS_MAX = 3;

/**
 * Starts a server as planned and waits until it answers. Holds `lock` for it and gives the lock back when the server
 * ends, also when the start fails. Throws an Error with the last lines of the log when the server ends early or does
 * not answer in time.
 */
export async function startServer(
  plan: ServerPlan,
  lock: FolderLock,
  options: EmbeddedOptions,
): Promise<EmbeddedServer> {
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort());
    const startedAtMs = Date.now();
    setLogAside(plan.logFile);
    options.say(`starting ${plan.title} on port ${port} ...`);
    const server = await spawnGuarded(plan.prepare(port), plan.folder, plan.logFile);
    lock.noteServer(server.pid, port);

    const problem = await waitUntilReady(plan, port, server);
    if (problem === undefined) {
      options.say(
        `${plan.title} is ready on port ${port} after ${Date.now() - startedAtMs} ms (process ${server.pid})`,
      );
      return watch(plan, port, server, lock, options);
    }
    await server.stop();
    const log = readTail(plan.logFile);
    const portTaken = /address already in use/i.test(log);
    if (portTaken && options.port === undefined && attempt < PORT_ATTEMPTS_MAX) continue;
    throw new Error(`${plan.title} did not start: ${problem}. The last lines of ${plan.logFile}:\n${log}`);
  }
}

/** Undefined when the server answers, else what went wrong. */
async function waitUntilReady(plan: ServerPlan, port: number, server: GuardedProcess): Promise<string | undefined> {
  const deadlineMs = Date.now() + plan.startTimeoutMs;
  let ended: string | undefined;
  void server.exited.then((how) => {
    ended = how;
  });
  for (;;) {
    const notYet = await plan.probe(port);
    if (ended !== undefined) return `it ended with ${ended}`;
    if (notYet === undefined) return undefined;
    if (Date.now() > deadlineMs) return `it did not answer for ${plan.startTimeoutMs / 1000} seconds (${notYet})`;
    await sleep(POLL_MS);
  }
}

function watch(
  plan: ServerPlan,
  port: number,
  server: GuardedProcess,
  lock: FolderLock,
  options: EmbeddedOptions,
): EmbeddedServer {
  let stopping = false;
  void server.exited.then((how) => {
    lock.release();
    if (stopping) return;
    options.say(`${plan.title} (process ${server.pid}) ended unexpectedly with ${how}; the last lines of its log:
${readTail(plan.logFile)}`);
  });
  return {
    url: plan.url(port),
    pid: server.pid,
    stop() {
      stopping = true;
      return server.stop();
    },
  };
}

/** A port on 127.0.0.1 nobody listens on at this moment. Rejects when there is none. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === 'string') reject(new Error('no free port on 127.0.0.1'));
        else resolve(address.port);
      });
    });
  });
}
