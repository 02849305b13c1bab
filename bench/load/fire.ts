/** Sends a number of requests over a number of connections, each connection as fast as it gets its answers. */
import { performance } from 'node:perf_hooks';
import { Connection, type Target } from './connection.ts';
import type { Answer } from './response.ts';

/** Connections that are being opened at once: a listener's queue of new connections is short. */
const openingMax = 500;
/** A connection that fails is opened anew this often, then left. */
const reopeningsMax = 3;

export interface Load {
  readonly target: Target;
  /** Open ones of `openConnections`; `fire` closes them. */
  readonly connections: readonly Connection[];
  /** Requests in all; each is taken by the next connection that is free, in order of its number. */
  readonly total: number;
  /** The text of request `index`, from 0. */
  readonly textOf: (index: number) => string;
  /** Times by `performance.now()`: from writing the request to its complete answer, as this process sees it. */
  readonly onAnswer: (index: number, answer: Answer, writtenAtMs: number, answeredAtMs: number) => void;
  /** A request that got no answer. */
  readonly onLost: (index: number, reason: string) => void;
}

export interface Fired {
  readonly startedAtMs: number;
  /** From the first write to the last answer. */
  readonly totalMs: number;
  /** Processor time of this process meanwhile: what the load generator takes from the machine it measures on. */
  readonly generatorCpuMs: number;
}

/** Opens connections. Rejects with the first one's error and closes the others. */
export async function openConnections(target: Target, count: number): Promise<Connection[]> {
  const opened: Connection[] = [];
  while (opened.length < count) {
    const wave = Math.min(openingMax, count - opened.length);
    const results = await Promise.allSettled(Array.from({ length: wave }, () => Connection.open(target)));
    for (const result of results) if (result.status === 'fulfilled') opened.push(result.value);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      for (const connection of opened) connection.close();
      throw failed.reason;
    }
  }
  return opened;
}

/** Fires; resolves when every request has its answer or is lost. */
export async function fire(load: Load): Promise<Fired> {
  const { target, connections, total, textOf, onAnswer, onLost } = load;
  let next = 0;

  async function run(first: Connection): Promise<void> {
    let connection = first;
    let reopenings = 0;
    while (next < total) {
      const index = next++;
      try {
        if (!connection.isOpen) connection = await Connection.open(target);
        const text = textOf(index);
        const writtenAtMs = performance.now();
        const answer = await connection.send(text);
        onAnswer(index, answer, writtenAtMs, performance.now());
      } catch (thrown) {
        onLost(index, thrown instanceof Error ? thrown.message : String(thrown));
        if (++reopenings > reopeningsMax) break;
      }
    }
    connection.close();
  }

  const cpuBefore = process.cpuUsage();
  const startedAtMs = performance.now();
  await Promise.all(connections.map(run));
  const totalMs = performance.now() - startedAtMs;
  const cpu = process.cpuUsage(cpuBefore);
  while (next < total) onLost(next++, 'not sent: no connection was left');
  return { startedAtMs, totalMs, generatorCpuMs: (cpu.user + cpu.system) / 1000 };
}
