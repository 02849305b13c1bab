/**
 * Sends requests on a schedule, whatever their answers do: an open loop. A request is due at its own moment and its latency
 * counts from there, so that a server that stalls cannot hold back the requests that would have shown it. One that finds
 * every connection busy waits for the next free one, and that wait counts too.
 */
import { performance } from 'node:perf_hooks';
import { Connection, type Target } from './connection.ts';
import type { Answer } from './response.ts';
import { type Latency, latencyOf } from './statistics.ts';

/** The kernel counts timeouts in milliseconds: requests due within one go out together, the first of them late by it. */
const tickMs = 1;
/** Before the first request, so that it is not late. */
const leadMs = 5;
/** What is still unsent so long after the last request was due is given up. */
const drainMsMax = 10_000;

export interface Schedule {
  readonly target: Target;
  /** Open ones of `openConnections`, taken in turn, so that none stays idle; `pace` closes them. */
  readonly connections: readonly Connection[];
  readonly perSecond: number;
  /** Requests in all, evenly spaced. */
  readonly total: number;
  /** The text of request `index`, from 0. */
  readonly textOf: (index: number) => string;
  /** Times by `performance.now()`: when it was written, and when its answer was complete. */
  readonly onAnswer: (index: number, answer: Answer, writtenAtMs: number, answeredAtMs: number) => void;
  /** A request that got no answer. */
  readonly onLost: (index: number, reason: string) => void;
}

export interface PacedLatency extends Latency {
  readonly meanMs: number;
}

export interface Paced {
  readonly answered: number;
  /** Answers a second from the first to the last: the rate that was kept; 0 for fewer than two. */
  readonly perSecond: number;
  /** From the moment a request was due to its complete answer. */
  readonly latency: PacedLatency;
  /** From the moment a request was due to its writing, where a connection was free: what the generator itself added. */
  readonly lateness: PacedLatency;
  /** Requests that found no connection free. */
  readonly starved: number;
  /** Processor time of this process meanwhile. */
  readonly generatorCpuMs: number;
}

function paced(samplesMs: Float64Array): PacedLatency {
  const sum = samplesMs.reduce((total, each) => total + each, 0);
  return { ...latencyOf(samplesMs), meanMs: samplesMs.length === 0 ? 0 : sum / samplesMs.length };
}

/** Resolves when every request has its answer or is lost. */
export function pace(schedule: Schedule): Promise<Paced> {
  return new Promise((resolve, reject) => new Pacer(schedule, resolve).start().catch(reject));
}

class Pacer {
  readonly #schedule: Schedule;
  readonly #resolve: (result: Paced) => void;
  readonly #intervalMs: number;
  /** A ring of those that are free, from `#freeFirst` on. */
  readonly #free: Connection[];
  #freeFirst = 0;
  #freeCount: number;
  readonly #latencyMs: Float64Array;
  readonly #latenessMs: Float64Array;
  #startAtMs = 0;
  #next = 0;
  #settled = 0;
  #answered = 0;
  #punctual = 0;
  #starved = 0;
  /** Requests before this one were due while no connection was free. */
  #starvedTo = 0;
  #firstAnswerAtMs = 0;
  #lastAnswerAtMs = 0;
  #cpuBefore = process.cpuUsage();

  constructor(schedule: Schedule, resolve: (result: Paced) => void) {
    const { perSecond, total, connections } = schedule;
    this.#schedule = schedule;
    this.#resolve = resolve;
    this.#intervalMs = 1000 / perSecond;
    this.#free = [...connections];
    this.#freeCount = connections.length;
    this.#latencyMs = new Float64Array(total);
    this.#latenessMs = new Float64Array(total);
  }

  /** Resolves when everything was sent or given up. */
  async start(): Promise<void> {
    const { total } = this.#schedule;
    if (total === 0) return this.#end();
    this.#cpuBefore = process.cpuUsage();
    this.#startAtMs = performance.now() + leadMs;
    const endAtMs = this.#startAtMs + total * this.#intervalMs + drainMsMax;
    while (this.#next < total) {
      if (performance.now() > endAtMs) this.#giveUp();
      else this.#sendDue();
      await new Promise((resolve) => setTimeout(resolve, tickMs));
    }
  }

  #sendDue(): void {
    const { total } = this.#schedule;
    const due = Math.min(total, Math.floor((performance.now() - this.#startAtMs) / this.#intervalMs) + 1);
    while (this.#next < due && this.#freeCount > 0) {
      const connection = this.#free[this.#freeFirst]!;
      this.#freeFirst = (this.#freeFirst + 1) % this.#free.length;
      this.#freeCount--;
      void this.#send(connection, this.#next++);
    }
    if (due > this.#next) this.#starvedTo = due;
  }

  /** Never rejects. A connection that has ended is opened anew: the wait for that counts. */
  async #send(first: Connection, index: number): Promise<void> {
    const { target, textOf, onAnswer, onLost } = this.#schedule;
    const dueAtMs = this.#startAtMs + index * this.#intervalMs;
    const isStarved = index < this.#starvedTo;
    if (isStarved) this.#starved++;
    let connection = first;
    try {
      if (!connection.isOpen) connection = await Connection.open(target);
      const text = textOf(index);
      const writtenAtMs = performance.now();
      const answer = await connection.send(text);
      const answeredAtMs = performance.now();
      if (!isStarved) this.#latenessMs[this.#punctual++] = writtenAtMs - dueAtMs;
      this.#latencyMs[this.#answered++] = answeredAtMs - dueAtMs;
      if (this.#answered === 1) this.#firstAnswerAtMs = answeredAtMs;
      this.#lastAnswerAtMs = answeredAtMs;
      onAnswer(index, answer, writtenAtMs, answeredAtMs);
    } catch (thrown) {
      onLost(index, thrown instanceof Error ? thrown.message : String(thrown));
    }
    this.#free[(this.#freeFirst + this.#freeCount++) % this.#free.length] = connection;
    this.#settled++;
    if (this.#settled === this.#schedule.total) this.#end();
    else this.#sendDue();
  }

  #giveUp(): void {
    const { total, onLost } = this.#schedule;
    while (this.#next < total) {
      this.#settled++;
      onLost(this.#next++, `not sent within ${drainMsMax} ms of its time`);
    }
    if (this.#settled === total) this.#end();
  }

  #end(): void {
    for (const connection of this.#free) connection.close();
    const cpu = process.cpuUsage(this.#cpuBefore);
    const seconds = (this.#lastAnswerAtMs - this.#firstAnswerAtMs) / 1000;
    this.#resolve({
      answered: this.#answered,
      perSecond: this.#answered < 2 ? 0 : (this.#answered - 1) / seconds,
      latency: paced(this.#latencyMs.subarray(0, this.#answered)),
      lateness: paced(this.#latenessMs.subarray(0, this.#punctual)),
      starved: this.#starved,
      generatorCpuMs: (cpu.user + cpu.system) / 1000,
    });
  }
}
