import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { isMissing } from './files.ts';

const PS_TIMEOUT_MS = 2_000;

/**
 * What tells two processes that had the same number apart: the time it was started. Undefined when no process has the
 * number, or one that has ended and only waits for its parent to notice. Numbers alone would not do: in a container
 * the gateway has the same small number at every start.
 */
export function processIdentity(pid: number): string | undefined {
  return process.platform === 'linux' ? identityFromProc(pid) : identityFromPs(pid);
}

function identityFromProc(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    // ESRCH: the process ended between open and read.
    if (isMissing(error) || (error instanceof Error && 'code' in error && error.code === 'ESRCH')) return undefined;
    throw error;
  }
  // The name of the program stands in parentheses and may hold anything; behind it come state and numbers.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const state = fields[0];
  const startTicks = fields[19];
  return state === 'Z' || state === 'X' ? undefined : startTicks;
}

function identityFromPs(pid: number): string | undefined {
  const options = { encoding: 'utf8', timeout: PS_TIMEOUT_MS } as const;
  const answer = spawnSync('ps', ['-o', 'state=,lstart=', '-p', String(pid)], options);
  if (answer.error !== undefined) throw answer.error;
  const line = answer.stdout.trim();
  return line === '' || line.startsWith('Z') ? undefined : line.slice(line.indexOf(' ')).trim();
}

/** Sends a signal; a process that has ended in the meantime is no error. Throws when it belongs to another user. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
