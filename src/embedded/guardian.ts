import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { processIdentity, signalProcess } from './process-identity.ts';

/**
 * The guardian stands between this process and a server, for two wishes that contradict each other: the server must
 * not die of the Ctrl-C that tells the gateway to drain (so it gets a session of its own), and it must not outlive the
 * gateway, however that ends (so something has to notice).
 *
 * It starts the server, tells its process number, and reads from a pipe whose other end this process holds. Nothing is
 * ever written to the pipe; the kernel closes it when this process ends, be it by kill -9. The watcher then asks the
 * server to end and kills it after a bound; it asks twice a second, because MariaDB loses a request that comes while it
 * starts. The server inherits neither this pipe nor the one that tells its number.
 *
 * Arguments: log file, bound in tenths of a second, command line of the server. Ends with the server's exit code.
 */
const GUARDIAN_SCRIPT = `
log=$1
bound=$2
shift 2
trap '' INT HUP
exec 3<&0 </dev/null
"$@" >>"$log" 2>&1 3<&- &
server=$!
(
  while read -r _ <&3; do :; done
  waited=0
  while [ "$waited" -lt "$bound" ] && kill -0 "$server"; do
    [ $((waited % 5)) -eq 0 ] && kill -TERM "$server"
    sleep 0.1
    waited=$((waited + 1))
  done
  kill -KILL "$server"
) >/dev/null 2>&1 &
watcher=$!
exec 3<&-
echo "$server"
exec >/dev/null
wait "$server"
code=$?
kill -KILL "$watcher"
wait "$watcher"
exit "$code"
`;

const REPORT_TIMEOUT_MS = 5_000;
const STOP_TIMEOUT_MS = 10_000;
/** Beyond the bound of the guardian, for the case that the guardian itself is stuck. */
const STUCK_TIMEOUT_MS = STOP_TIMEOUT_MS + 2_000;

export interface GuardedProcess {
  /** Process number of the server. */
  readonly pid: number;
  /** How the server ended, for people: `exit code 1`, `signal SIGKILL`. Never rejects. */
  readonly exited: Promise<string>;
  /** SIGTERM, SIGKILL ten seconds later; resolves when the server is gone. May be called again. */
  stop(): Promise<void>;
}

/**
 * Starts a server under a guardian. `logFile` receives all it writes.
 * Throws when the guardian does not report a process number within five seconds.
 */
export async function spawnGuarded(
  commandLine: readonly string[],
  folder: string,
  logFile: string,
): Promise<GuardedProcess> {
  const bound = String(STOP_TIMEOUT_MS / 100);
  const child = spawn('/bin/sh', ['-c', GUARDIAN_SCRIPT, 'fastpass-guardian', logFile, bound, ...commandLine], {
    cwd: folder,
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const { stdin, stdout } = child;
  // Nothing is written to this pipe, so its only error is the end of the guardian, which the exit event reports.
  stdin.on('error', () => undefined);
  const guardianExited = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      // Should the guardian have been killed, its watcher still reads the pipe: this makes it end the server.
      stdin.end();
      resolve(describeExit(code, signal));
    });
    child.once('error', (error) => resolve(String(error)));
  });

  const pid = await readServerPid(child).catch((error: unknown) => {
    stdin.end();
    throw error;
  });
  const identity = processIdentity(pid);
  const exited = guardianExited.then(async (how) => {
    await waitUntilGone(pid, identity);
    return how;
  });
  // A process that has nothing else to do may end; the guardian then stops the server.
  child.unref();
  if (stdin instanceof Socket) stdin.unref();
  stdout.destroy();

  let stopping: Promise<void> | undefined;
  return {
    pid,
    exited,
    stop() {
      stopping ??= stopGuarded(pid, () => stdin.end(), exited);
      return stopping;
    },
  };
}

async function readServerPid(child: ChildProcessByStdio<Writable, Readable, null>): Promise<number> {
  const signal = AbortSignal.timeout(REPORT_TIMEOUT_MS);
  // "close" and not "exit": of a server that dies at once, the number is still read and the caller shows its log.
  const [data] = await Promise.race([once(child.stdout, 'data', { signal }), once(child, 'close', { signal })]);
  const pid = Number.parseInt(String(data), 10);
  if (!Number.isSafeInteger(pid) || pid <= 1) throw new Error(`the guardian of a server did not start: ${data}`);
  return pid;
}

async function stopGuarded(pid: number, closePipe: () => void, exited: Promise<string>): Promise<void> {
  closePipe();
  let limit: NodeJS.Timeout | undefined;
  const stuck = new Promise<'stuck'>((resolve) => {
    limit = setTimeout(() => resolve('stuck'), STUCK_TIMEOUT_MS);
  });
  const outcome = await Promise.race([exited, stuck]);
  clearTimeout(limit);
  // The guardian has not reaped the server yet, so the number cannot belong to anybody else.
  if (outcome === 'stuck') signalProcess(pid, 'SIGKILL');
}

/** A guardian that ends by itself has seen its server end; this waits for the server of one that was killed. */
async function waitUntilGone(pid: number, identity: string | undefined): Promise<void> {
  const deadlineMs = Date.now() + STUCK_TIMEOUT_MS;
  while (identity !== undefined && processIdentity(pid) === identity) {
    if (Date.now() > deadlineMs) {
      signalProcess(pid, 'SIGKILL');
      return;
    }
    await sleep(20);
  }
}

function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  if (signal !== null) return `its guardian killed by ${signal}`;
  if (code === null) return 'unknown';
  if (code <= 128) return `exit code ${code}`;
  // A shell reports a child that died of a signal as 128 and the number of the signal.
  const name = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0];
  return name === undefined ? `exit code ${code}` : `signal ${name}`;
}
