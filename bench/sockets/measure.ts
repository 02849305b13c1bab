/** Measures a server that tells a crowd of sockets their positions once a second: processor time, memory, frames. */
import type { Headers, Target } from '../load/connection.ts';
import { cpuTimeOf, residentKibOf } from '../load/process-usage.ts';
import { startProgress } from '../load/progress.ts';
import type { Stage } from '../load/stage.ts';
import { Crowd, type Received } from './crowd.ts';

export interface Contestant {
  readonly name: string;
  readonly target: Target;
  readonly pid: number;
  readonly headersOf: (index: number) => Headers;
  /** What a socket sends once it is open; empty for nothing. */
  readonly greetingOf: (index: number) => string;
  /** Makes all positions change every second from now on. */
  readonly begin: (crowd: Crowd) => Promise<void>;
  /** Called where the measured ticks begin, and where they end. */
  readonly onMark: () => Promise<void>;
}

export interface Measured extends Received {
  /** Of the server, a tick, as the two below. */
  readonly cpuMs: number;
  readonly userMs: number;
  readonly systemMs: number;
  /** Resident memory of the server before there was a socket, and after the last tick. */
  readonly kibBefore: number;
  readonly kibAfter: number;
  /** What it has grown by, a socket. */
  readonly kibPerSocket: number;
  /** Of this process, a tick: what holds the other ends of the sockets takes from the machine it measures on. */
  readonly clientCpuMs: number;
}

const path = '/v1/ws';
const warmUpTicksMax = 5;
const churnWaves = 5;
const churnSize = 1000;
const settleMs = 1000;

/** Ticks before those that count: compilers, caches, buffers. */
export function warmUpTicksOf(ticks: number): number {
  return Math.min(warmUpTicksMax, ticks);
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Opens the sockets, waits for the ticks, closes the sockets. Rejects when one of them is told what it must not be. */
export async function measure(stage: Stage, contestant: Contestant, size: number, ticks: number): Promise<Measured> {
  const { name, pid, begin, onMark } = contestant;
  await churn(contestant, size);
  await sleep(settleMs);
  const kibBefore = residentKibOf(pid);
  const progress = await stage.add(() => startProgress(`${name}: sockets`, size));
  const onOpened = (): void => {
    progress.done++;
  };
  const crowd = await Crowd.open({ ...contestant, path, size, onOpened }).finally(() => progress.stop());
  try {
    await begin(crowd);
    crowd.recount();
    await crowd.ticked(warmUpTicksOf(ticks));
    await onMark();
    crowd.recount();
    const before = cpuTimeOf(pid);
    const clientBefore = process.cpuUsage();
    const received = await crowd.ticked(ticks);
    const after = cpuTimeOf(pid);
    const client = process.cpuUsage(clientBefore);
    await onMark();
    const userMs = (after.userMs - before.userMs) / received.ticks;
    const systemMs = (after.systemMs - before.systemMs) / received.ticks;
    const kibAfter = residentKibOf(pid);
    const kibPerSocket = (kibAfter - kibBefore) / size;
    const clientCpuMs = (client.user + client.system) / 1000 / received.ticks;
    return { ...received, cpuMs: userMs + systemMs, userMs, systemMs, kibBefore, kibAfter, kibPerSocket, clientCpuMs };
  } finally {
    crowd.close();
  }
}

/**
 * Opens and closes sockets, a thousand at a time: memory that any load takes once (the nursery, compiled code, buffers of
 * the allocator) is no memory of the sockets that are measured. The thousand stays small beside them, since what it
 * leaves behind they need not take anew.
 */
async function churn(contestant: Contestant, size: number): Promise<void> {
  for (let wave = 0; wave < churnWaves; wave++) {
    const options = { ...contestant, path, size: Math.min(churnSize, size), greetingOf: () => '', onOpened: () => {} };
    (await Crowd.open(options)).close();
    await sleep(settleMs / churnWaves);
  }
}
