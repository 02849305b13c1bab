/** Processor time of those who work for a way, less what they take while nobody asks. */
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMsOf } from '../load/process-usage.ts';
import type { CpuSeconds } from './report.ts';

/** A process that works for a way, by the column it is counted in. */
export interface Worker {
  readonly part: keyof CpuSeconds;
  /** Null for one that the bench has not started. */
  readonly pid: number | null;
  /** True for the way's own process: what that does while nobody asks is part of the way. */
  readonly isOwn: boolean;
}

const idleMs = 1000;

/** Processor time that each takes in a millisecond while nobody asks, by process number. Takes a second. */
export async function idleSharesOf(pids: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const startMs = performance.now();
  const before = pids.map((pid) => cpuMsOf(pid));
  await sleep(idleMs);
  const elapsedMs = performance.now() - startMs;
  return new Map(pids.map((pid, i) => [pid, (cpuMsOf(pid) - before[i]!) / elapsedMs]));
}

/**
 * Begins to count; what it returns ends it and gives the seconds by part: null for a part without a worker, or with one that
 * the bench has not started.
 */
export function countCpu(workers: readonly Worker[], idleShares: ReadonlyMap<number, number>): () => CpuSeconds {
  const startMs = performance.now();
  const before = workers.map(({ pid }) => cpuMsOf(pid));
  return () => {
    const elapsedMs = performance.now() - startMs;
    const of = (part: keyof CpuSeconds): number | null => {
      let seconds: number | null = null;
      for (const [i, worker] of workers.entries()) {
        const usedMs = cpuMsOf(worker.pid);
        if (worker.part !== part || usedMs === null) continue;
        const idle = worker.isOwn || worker.pid === null ? 0 : (idleShares.get(worker.pid) ?? 0) * elapsedMs;
        seconds = (seconds ?? 0) + Math.max(0, usedMs - (before[i] ?? 0) - idle) / 1000;
      }
      return seconds;
    };
    return { server: of('server'), redis: of('redis'), mysql: of('mysql'), rabbitmq: of('rabbitmq') };
  };
}
