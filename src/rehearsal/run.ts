/**
 * One rehearsal, from its claim to its end.
 *
 *   claimed -> running   its state stands in Redis, the people come, all at once
 *   running -> closing   after a minute, when the gateway stops, or when the lease is lost: everybody goes, and gives back
 *   any     -> done      when the last one has gone, within the time that closing has
 */
import { FastpassClient } from '../client/index.ts';
import type { Performance } from '../domain/performance.ts';
import type { Rehearsal, RehearsalRequest } from '../domain/rehearsal.ts';
import { type Clock, sleep, type Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Lease } from '../lua/lease.ts';
import { type RehearsalStore, rehearsalLeaseMs } from '../lua/rehearsals.ts';
import { Figures } from './figures.ts';
import type { Lanes } from './lanes.ts';
import { type Scene, visit } from './visitor.ts';
import { Wishes } from './wishes.ts';

export interface RunOptions {
  readonly clock: Clock;
  readonly store: RehearsalStore;
  /** Taken already; given back at the end. */
  readonly lease: Lease;
  readonly lanes: Lanes;
  /** Of the gateway to visit. */
  readonly baseUrl: string;
  /** A token for the visitor of this index. */
  readonly tokenOf: (index: number) => string;
  readonly performance: Performance;
  readonly request: RehearsalRequest;
  readonly log: RehearsalLog;
}

export interface RehearsalLog {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
}

const runningMsMax = 60_000;
const closingMsMax = 10_000;
const reportIntervalMs = 500;
/** A second wait after what `Retry-After` asks for would not fit in the stop of a gateway. */
const retry = { delayMs: 200 };

export class Run {
  readonly #options: RunOptions;
  readonly #figures: Figures;
  readonly #startedAtMs = Date.now();
  readonly #closing = new AbortController();
  readonly #closed = new AbortController();
  readonly #gone = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<void>();
  readonly #timers: Timer[] = [];
  #isGone = false;
  #leftCount = 0;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#figures = new Figures(options.request.people);
  }

  /** Resolves at its end, whatever brings it about. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Resolves with how it begins, once every process can see it. Rejects with StoreUnavailable: there is none then. */
  async begin(): Promise<Rehearsal> {
    const { store, performance, request, log } = this.#options;
    const begun = this.#view('running');
    try {
      await store.write(begun);
    } catch (thrown) {
      await this.#letGo();
      throw thrown;
    }
    log.info('a rehearsal begins', { performanceId: performance.performanceId, ...request });
    void this.#play();
    return begun;
  }

  /** Everybody goes, within this time. */
  close(limitMs = closingMsMax): void {
    this.#closing.abort();
    this.#after(limitMs, () => this.#closed.abort());
  }

  #after(delayMs: number, callback: () => void): void {
    this.#timers.push(this.#options.clock.after(delayMs, callback));
  }

  async #play(): Promise<void> {
    this.#after(runningMsMax, () => this.close());
    const reporting = this.#report();
    await this.#everybody();
    this.#isGone = true;
    this.#gone.resolve();
    await reporting;
    await this.#finish();
  }

  async #everybody(): Promise<void> {
    const { lanes, baseUrl, tokenOf, performance, request } = this.#options;
    const fetch = lanes.fetch((ms) => this.#figures.onAnswer(ms));
    const scene: Scene = {
      performanceId: performance.performanceId,
      wishes: new Wishes(new FastpassClient({ baseUrl, fetch, retry }), performance, request.places),
      figures: this.#figures,
      closing: this.#closing.signal,
      closed: this.#closed.signal,
    };
    const visits = Array.from({ length: request.people }, async (_, index) =>
      visit(new FastpassClient({ baseUrl, token: tokenOf(index), fetch, retry }), scene),
    );
    const outcomes = await Promise.allSettled(visits);
    const faults = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => messageOf(reason));
    this.#leftCount = faults.length;
    // By far the most say the same.
    if (faults.length > 0) this.#warn('people of a rehearsal left without giving back what they had', faults[0]!);
  }

  /** Renews the lease and tells how it goes, until the last one has gone. */
  async #report(): Promise<void> {
    const { clock, store, lease } = this.#options;
    let renewedAtMs = clock.nowMs();
    for (;;) {
      await Promise.race([sleep(clock, reportIntervalMs), this.#gone.promise]);
      if (this.#isGone) return;
      try {
        if (!(await lease.take())) throw new Error('the lease is lost');
        renewedAtMs = clock.nowMs();
        await store.write(this.#view('running'));
      } catch (thrown) {
        if (clock.nowMs() - renewedAtMs < rehearsalLeaseMs || this.#closing.signal.aborted) continue;
        this.#warn('a rehearsal ends early: it cannot keep its lease', messageOf(thrown));
        this.close();
      }
    }
  }

  /** Tells how it went, unless another process has begun the next one. */
  async #finish(): Promise<void> {
    const { store, lease, performance, log } = this.#options;
    const done = this.#view('done');
    try {
      if (await lease.take()) await store.write(done);
    } catch (thrown) {
      this.#warn('how a rehearsal went was not written down', messageOf(thrown));
    }
    const { held, failed, waiting } = done;
    const { performanceId } = performance;
    log.info('a rehearsal has ended', { performanceId, held, failed, waiting, left: this.#leftCount });
    await this.#letGo();
  }

  async #letGo(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    try {
      await this.#options.lease.end();
    } catch (thrown) {
      this.#warn('the lease of a rehearsal ends by itself', messageOf(thrown));
    }
    this.#over.resolve();
  }

  #warn(message: string, error: string): void {
    this.#options.log.warn(message, { performanceId: this.#options.performance.performanceId, error });
  }

  #view(state: 'running' | 'done'): Rehearsal {
    const { performance, request } = this.#options;
    return {
      performanceId: performance.performanceId,
      state,
      ...request,
      ...this.#figures.counted(),
      startedAtMs: this.#startedAtMs,
      endedAtMs: state === 'done' ? Date.now() : null,
    };
  }
}
