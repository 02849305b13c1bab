/**
 * The way of a hold through the stores, and the only place that says it: Lua, then MySQL, then the answer.
 *
 * `persisted`: the answer waits for the commit. `held`: the answer is given after the Lua hold, MySQL follows behind; the
 * journal in Redis and the commit queue in memory both keep what is not committed yet. Where places were taken over
 * lately from holds whose time was over, the answer waits for the commit then too: MySQL may have sold them.
 */
import { codeIndexes } from '../domain/codes.ts';
import type { HoldOutcome, HoldRequest } from '../domain/reservation.ts';
import type { HoldDecision, HoldGroup, HoldStore, Ledger } from '../domain/stores.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { Batcher } from './batcher.ts';
import { Commits, type PendingHold } from './commits.ts';
import { mysqlUnavailable, overloaded, performanceNotFound, redisUnavailable, soldOut } from './outcomes.ts';

export type Ack = 'persisted' | 'held';

export interface HoldFlushOptions {
  readonly clock: Clock;
  readonly store: HoldStore;
  readonly ledger: Ledger;
  /** Brings a cold performance from MySQL into Redis; rejects when a store is down. */
  readonly warm: (performanceId: number) => Promise<'warm' | 'not_found'>;
  readonly ack: Ack;
  readonly batchSizeMax: number;
  readonly flushDelayMsMax: number;
  readonly depthMax: number;
  readonly log: { error(message: string, fields?: Record<string, unknown>): void };
}

// Pipelines on one connection are answered in order, so more under way only fill the socket.
const pipelinesMax = 8;
/** Holds that MySQL may lag behind before new ones are refused; only `held` and an outage not known yet come near. */
const commitDepthMax = 200_000;
const performancesKnownMax = 10_000;
/** How often the requests that wait for a load are looked through for those past their deadline. */
const coldSweepIntervalMs = 50;

/** Counts for the metrics. */
export interface FlushCounters {
  refusedInMemory: number;
  coldWaits: number;
}

export class HoldFlush {
  readonly counters: FlushCounters = { refusedInMemory: 0, coldWaits: 0 };
  /** Outcomes as their callers got them: those held at 0, refusals at the index of their code. */
  readonly outcomes = new Float64Array(Object.keys(codeIndexes).length + 1);
  readonly queue: Batcher<HoldRequest, HoldOutcome>;
  readonly commits: Commits;
  readonly #options: HoldFlushOptions;
  /** Requests waiting for the load of their performance, in order of arrival. */
  readonly #cold = new Map<number, PendingHold[]>();
  /** Places last known to remain, believed for one flush interval and only to refuse. */
  readonly #remaining = new Map<number, { places: number; untilMs: number }>();
  readonly #loads = new Set<Promise<void>>();
  /** Pipelines whose replies are on their way: what they grant is not known here yet. */
  readonly #flushes = new Set<Promise<void>>();
  #isSweeping = false;
  /** A fault is logged when it begins: while Redis is away every request may be a flush. */
  #isFailing = false;

  constructor(options: HoldFlushOptions) {
    this.#options = options;
    const { clock, store, ledger, batchSizeMax, flushDelayMsMax, depthMax, log } = options;
    this.queue = new Batcher<HoldRequest, HoldOutcome>({
      clock,
      batchSizeMax,
      flushDelayMsMax,
      depthMax,
      flushesMax: pipelinesMax,
      flush: (batch) => this.#track(this.#flush(batch)),
      overloaded,
      failed: (thrown) => {
        this.#noteFlush(thrown);
        return redisUnavailable;
      },
    });
    const requeue = (requests: readonly PendingHold[]): void => this.queue.requeue(requests);
    this.commits = new Commits({ clock, store, ledger, flushDelayMsMax, requeue, log });
  }

  /** Takes a hold request in; `onOutcome` is called exactly once, possibly before this returns. */
  submit(request: HoldRequest, deadlineAtMs: number, onOutcome: (outcome: HoldOutcome) => void): PendingHold | null {
    const { ack, ledger } = this.#options;
    if (this.#isKnownSoldOut(request)) {
      this.counters.refusedInMemory++;
      onOutcome(soldOut);
      return null;
    }
    if ((ack === 'persisted' && !ledger.isAvailable()) || this.commits.queue.depth >= commitDepthMax) {
      onOutcome(mysqlUnavailable);
      return null;
    }
    return this.queue.submit(request, deadlineAtMs, onOutcome);
  }

  /** Counts an outcome that was given. Plain numbers: this is the hot path. */
  noteOutcome(outcome: HoldOutcome): void {
    this.outcomes[outcome.kind === 'held' ? 0 : codeIndexes[outcome.refusal.code]]!++;
  }

  /** What a script call or a release says about the places left. */
  noteRemaining(performanceId: number, places: number): void {
    const untilMs = this.#options.clock.nowMs() + this.#options.flushDelayMsMax;
    const known = this.#remaining.get(performanceId);
    if (known !== undefined) {
      known.places = places;
      known.untilMs = untilMs;
    } else {
      if (this.#remaining.size >= performancesKnownMax) this.#remaining.clear();
      this.#remaining.set(performanceId, { places, untilMs });
    }
  }

  /**
   * Resolves when MySQL has settled every hold of a performance that was granted here, those included whose grant is on its
   * way. A cold performance grants no new ones meanwhile.
   */
  async settled(performanceId: number): Promise<void> {
    await Promise.allSettled(this.#flushes);
    await this.commits.settled(performanceId);
  }

  /** Resolves when every caller has its answer and MySQL has every hold. */
  async drained(): Promise<void> {
    await this.queue.drained();
    await this.commits.drained();
    await Promise.all(this.#loads);
  }

  /** A repeat may itself have the last places: only Redis can tell. */
  #isKnownSoldOut({ performanceId, partySize, isRepeat }: HoldRequest): boolean {
    if (partySize === 0 || isRepeat) return false;
    const known = this.#remaining.get(performanceId);
    return known !== undefined && partySize > known.places && this.#options.clock.nowMs() < known.untilMs;
  }

  #track(flush: Promise<void>): Promise<void> {
    this.#flushes.add(flush);
    void flush.then(
      () => this.#flushes.delete(flush),
      () => this.#flushes.delete(flush),
    );
    return flush;
  }

  async #flush(batch: readonly PendingHold[]): Promise<void> {
    const entriesOf = new Map<number, PendingHold[]>();
    for (let i = 0; i < batch.length; i++) {
      const pending = batch[i]!;
      const { performanceId } = pending.item;
      const waiting = this.#cold.get(performanceId) ?? entriesOf.get(performanceId);
      if (waiting === undefined) entriesOf.set(performanceId, [pending]);
      else waiting.push(pending);
    }
    if (entriesOf.size === 0) return;

    const groups: HoldGroup[] = [];
    for (const [performanceId, entries] of entriesOf) {
      const requests: HoldRequest[] = new Array(entries.length);
      for (let i = 0; i < entries.length; i++) requests[i] = entries[i]!.item;
      groups.push({ performanceId, requests });
    }
    const decisions = await this.#options.store.hold(groups);
    if (decisions.length !== groups.length) throw new Error('the store answered short');
    let failure: Error | null = null;
    for (let g = 0; g < groups.length; g++) {
      const entries = entriesOf.get(groups[g]!.performanceId)!;
      for (let i = 0; i < entries.length; i++) {
        const decision = decisions[g]![i];
        if (decision?.kind === 'failed') failure = decision.error;
        this.#onDecision(entries[i]!, decision);
      }
    }
    this.#noteFlush(failure);
  }

  #noteFlush(failure: unknown): void {
    if (failure !== null && !this.#isFailing) {
      this.#options.log.error('flushes to Redis fail; who asked is told so', { error: messageOf(failure) });
    }
    this.#isFailing = failure !== null;
  }

  #onDecision(pending: PendingHold, decision: HoldDecision | undefined): void {
    if (decision === undefined || decision.kind === 'failed') pending.settle(redisUnavailable);
    else if (decision.kind === 'refused') pending.settle(decision);
    else if (decision.kind === 'cold') this.#waitForLoad(pending);
    else if (this.#options.ack === 'persisted' || decision.isUnsure) this.commits.submit(decision.hold, pending);
    else {
      this.commits.submit(decision.hold, null);
      pending.settle(decision);
    }
  }

  #waitForLoad(pending: PendingHold): void {
    const { performanceId } = pending.item;
    this.counters.coldWaits++;
    const waiting = this.#cold.get(performanceId);
    if (waiting !== undefined) {
      waiting.push(pending);
      return;
    }
    this.#cold.set(performanceId, [pending]);
    const load = this.#load(performanceId);
    this.#loads.add(load);
    void load.finally(() => this.#loads.delete(load));
    this.#sweepCold();
  }

  async #load(performanceId: number): Promise<void> {
    let outcome: HoldOutcome | null = null;
    try {
      if ((await this.#options.warm(performanceId)) === 'not_found') outcome = performanceNotFound;
    } catch (thrown) {
      this.#options.log.error('cold performance could not be loaded', { performanceId, error: messageOf(thrown) });
      outcome = redisUnavailable;
    }
    const waiting = this.#cold.get(performanceId) ?? [];
    this.#cold.delete(performanceId);
    if (outcome === null) this.queue.requeue(waiting);
    else for (const pending of waiting) pending.settle(outcome);
  }

  /** Requests that wait for a load keep their deadline, however long the load takes. */
  #sweepCold(): void {
    if (this.#isSweeping || this.#cold.size === 0) return;
    this.#isSweeping = true;
    this.#options.clock.after(coldSweepIntervalMs, () => {
      this.#isSweeping = false;
      const nowMs = this.#options.clock.nowMs();
      for (const [performanceId, waiting] of this.#cold) {
        const open = waiting.filter((pending) => nowMs <= pending.deadlineAtMs || !pending.settle(overloaded));
        this.#cold.set(performanceId, open);
      }
      this.#sweepCold();
    });
  }
}
