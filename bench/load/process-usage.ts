/** What a process has used, as Linux counts it: all its threads, and what the kernel does in its name. */
import { readFileSync } from 'node:fs';

/** Processor time since the process began. The sum is exact to a jiffy; how it divides, the kernel estimates from samples. */
export interface CpuTime {
  readonly userMs: number;
  readonly systemMs: number;
}

/** USER_HZ, in which /proc counts: 100 a second on every architecture that Node runs on. */
const msPerJiffy = 10;

/** Throws when there is no such process. */
export function cpuTimeOf(pid: number): CpuTime {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in parentheses and may have blanks; utime and stime are the 14th and the 15th (proc(5)).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { userMs: Number(fields[11]) * msPerJiffy, systemMs: Number(fields[12]) * msPerJiffy };
}

/** Processor time of a process since it began, in milliseconds; null for null: a process that was not started here. */
export function cpuMsOf(pid: number): number;
export function cpuMsOf(pid: number | null): number | null;
export function cpuMsOf(pid: number | null): number | null {
  if (pid === null) return null;
  const { userMs, systemMs } = cpuTimeOf(pid);
  return userMs + systemMs;
}

/** Resident memory in KiB. Throws when there is no such process. */
export function residentKibOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? Number.NaN);
}
