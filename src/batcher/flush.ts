/**
 * The way of a hold through the stores, and the only place that says it: Lua, then MySQL, then the answer.
 *
 * `persisted`: the answer waits for the commit. `held`: the answer is given after the Lua hold, MySQL follows behind; the
 * journal in Redis and the queue in memory both keep what is not committed yet.
 */
import { Code } from '../domain/codes.ts';
import type { Hold, HoldOutcome, HoldRequest } from '../domain/reservation.ts';
import type { HoldGroup, HoldStore, Ledger, PersistResult } from '../domain/stores.ts';
import { type Clock, sleep } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { Batcher, type Pending } from './batcher.ts';

export type Ack = 'persisted' | 'held';
export type PendingHold = Pending<HoldRequest, HoldOutcome>;

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

/** A granted hold on its way to MySQL, with the caller still waiting for it in `persisted` mode. */
interface Commit {
  readonly hold: Hold;
  readonly waiting: PendingHold | null;
}
type CommitResult = PersistResult | 'unknown';

// Pipelines on one connection are answered in order, so more under way only fill the socket.
const pipelinesMax = 8;
// One transaction commits while the next one executes. Measured at 2,000 connections: see bench/throughput.ts.
const transactionsMax = 2;
const commitBatchSizeMax = 200;
/** `held`: holds that MySQL may lag behind before new ones are refused. */
const commitDepthMax = 100_000;
const commitRetryDelayMs = 200;

const overloaded: HoldOutcome = {
  kind: 'refused',
  refusal: { code: Code.overloaded, detail: 'Too many requests are waiting; try again.' },
};
const performanceNotFound: HoldOutcome = {
  kind: 'refused',
  refusal: { code: Code.performanceNotFound, detail: 'No such performance.' },
};
const soldOut: HoldOutcome = {
  kind: 'refused',
  refusal: { code: Code.soldOut, detail: 'Not enough places are left.' },
};

function unavailable(detail: string): HoldOutcome {
  return { kind: 'refused', refusal: { code: Code.unavailable, detail } };
}
const redisUnavailable = unavailable('The reservation store does not answer; try again.');
const mysqlUnavailable = unavailable('The database does not answer; try again.');

/** Counts of what the flushes met, for the metrics. */
export interface FlushCounters {
  refusedInMemory: number;
  coldWaits: number;
  conflicts: number;
  commitFailures: number;
  /** `held` only: an acknowledged hold that MySQL refused. Must stay 0. */
  acknowledgedLost: number;
}

export class HoldFlush {
  readonly counters: FlushCounters = {
    refusedInMemory: 0,
    coldWaits: 0,
    conflicts: 0,
    commitFailures: 0,
    acknowledgedLost: 0,
  };
  readonly queue: Batcher<HoldRequest, HoldOutcome>;
  readonly commits: Batcher<Commit, CommitResult>;
  readonly #options: HoldFlushOptions;
  /** Requests waiting for the load of their performance, in order of arrival. */
  readonly #cold = new Map<number, PendingHold[]>();
  /** Places last known to remain, believed for one flush interval and only to refuse. */
  readonly #remaining = new Map<number, { places: number; untilMs: number }>();
  /** `held`: acknowledged holds of a performance that MySQL does not have yet, and who waits for that to end. */
  readonly #uncommitted = new Map<number, { count: number; readonly whenNone: (() => void)[] }>();
  readonly #background = new Set<Promise<void>>();

  constructor(options: HoldFlushOptions) {
    this.#options = options;
    const { clock, batchSizeMax, flushDelayMsMax, depthMax } = options;
    this.queue = new Batcher<HoldRequest, HoldOutcome>({
      clock,
      batchSizeMax,
      flushDelayMsMax,
      depthMax,
      flushesMax: pipelinesMax,
      flush: (batch) => this.#flush(batch),
      overloaded,
      failed: () => redisUnavailable,
    });
    this.commits = new Batcher<Commit, CommitResult>({
      clock,
      batchSizeMax: commitBatchSizeMax,
      flushDelayMsMax,
      depthMax: Number.POSITIVE_INFINITY,
      flushesMax: transactionsMax,
      flush: (batch) => this.#commit(batch),
      overloaded: 'unknown',
      failed: () => 'unknown',
    });
  }

  /** Takes a hold request in; `onOutcome` is called exactly once, possibly before this returns. */
  submit(request: HoldRequest, deadlineAtMs: number, onOutcome: (outcome: HoldOutcome) => void): PendingHold | null {
    const known = request.partySize > 0 ? this.#remaining.get(request.performanceId) : undefined;
    if (known !== undefined && request.partySize > known.places && this.#options.clock.nowMs() < known.untilMs) {
      this.counters.refusedInMemory++;
      onOutcome(soldOut);
      return null;
    }
    if (
      this.#options.ack === 'persisted' ? !this.#options.ledger.isAvailable() : this.commits.depth >= commitDepthMax
    ) {
      onOutcome(mysqlUnavailable);
      return null;
    }
    return this.queue.submit(request, deadlineAtMs, onOutcome);
  }

  /** What a script call or a release says about the places left. */
  noteRemaining(performanceId: number, places: number): void {
    const untilMs = this.#options.clock.nowMs() + this.#options.flushDelayMsMax;
    const known = this.#remaining.get(performanceId);
    if (known !== undefined) {
      known.places = places;
      known.untilMs = untilMs;
    } else {
      if (this.#remaining.size >= 10_000) this.#remaining.clear();
      this.#remaining.set(performanceId, { places, untilMs });
    }
  }

  /** Resolves when every caller has its answer and MySQL has every hold. */
  async drained(): Promise<void> {
    await this.queue.drained();
    await this.commits.drained();
    await Promise.all(this.#background);
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

    for (let g = 0; g < groups.length; g++) {
      const { performanceId } = groups[g]!;
      const entries = entriesOf.get(performanceId)!;
      for (let i = 0; i < entries.length; i++) {
        const pending = entries[i]!;
        const decision = decisions[g]![i];
        if (decision === undefined || decision.kind === 'failed') pending.settle(redisUnavailable);
        else if (decision.kind === 'refused') pending.settle(decision);
        else if (decision.kind === 'cold') this.#waitForLoad(performanceId, pending);
        else if (this.#options.ack === 'held') {
          this.#submitCommit({ hold: decision.hold, waiting: null });
          pending.settle(decision);
        } else {
          this.#submitCommit({ hold: decision.hold, waiting: pending });
        }
      }
    }
  }

  #waitForLoad(performanceId: number, pending: PendingHold): void {
    this.counters.coldWaits++;
    const waiting = this.#cold.get(performanceId);
    if (waiting !== undefined) {
      waiting.push(pending);
      return;
    }
    this.#cold.set(performanceId, [pending]);
    this.#inBackground(this.#load(performanceId));
  }

  async #load(performanceId: number): Promise<void> {
    let outcome: HoldOutcome | null = null;
    try {
      // What this process has promised (`held`) and not committed yet must be in MySQL before MySQL is read.
      await this.#committed(performanceId);
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

  /** Resolves when MySQL has every acknowledged hold of a performance; a cold one gets no new ones meanwhile. */
  #committed(performanceId: number): Promise<void> {
    const uncommitted = this.#uncommitted.get(performanceId);
    if (uncommitted === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      uncommitted.whenNone.push(resolve);
    });
  }

  #submitCommit(commit: Commit): void {
    const { performanceId } = commit.hold;
    if (commit.waiting === null) {
      const uncommitted = this.#uncommitted.get(performanceId);
      if (uncommitted === undefined) this.#uncommitted.set(performanceId, { count: 1, whenNone: [] });
      else uncommitted.count++;
    }
    this.commits.submit(commit, Number.POSITIVE_INFINITY, (result) => {
      if (commit.waiting === null) {
        const uncommitted = this.#uncommitted.get(performanceId);
        if (uncommitted !== undefined && --uncommitted.count === 0) {
          this.#uncommitted.delete(performanceId);
          for (const resolve of uncommitted.whenNone) resolve();
        }
      }
      if (result === 'persisted') commit.waiting?.settle({ kind: 'held', hold: commit.hold });
      else if (result === 'unknown') commit.waiting?.settle(mysqlUnavailable);
      else if (commit.waiting === null) {
        this.counters.acknowledgedLost++;
        this.#options.log.error('MySQL refused an acknowledged hold', { reservationId: commit.hold.reservationId });
      }
    });
  }

  async #commit(batch: readonly Pending<Commit, CommitResult>[]): Promise<void> {
    const holds = batch.map((pending) => pending.item.hold);
    let results: readonly PersistResult[];
    try {
      results = await this.#options.ledger.persistHolds(holds);
      if (results.length !== holds.length) throw new Error('the ledger answered short');
    } catch (thrown) {
      this.counters.commitFailures++;
      this.#options.log.error('commit failed; the journal keeps its holds', {
        holds: holds.length,
        error: messageOf(thrown),
      });
      if (this.#options.ack === 'persisted') throw thrown;
      // Acknowledged already: keep them, try again until MySQL is back. `commitDepthMax` bounds how many.
      await sleep(this.#options.clock, commitRetryDelayMs);
      this.commits.requeue(batch);
      return;
    }
    const stored: Hold[] = [];
    const refused: Pending<Commit, CommitResult>[] = [];
    for (let i = 0; i < batch.length; i++) {
      const pending = batch[i]!;
      if (results[i] === 'persisted') {
        stored.push(pending.item.hold);
        pending.settle('persisted');
      } else {
        refused.push(pending);
      }
    }
    if (stored.length > 0) this.#inBackground(this.#forget(stored));
    if (refused.length > 0) this.#inBackground(this.#takeBack(refused));
  }

  /** The answer does not wait for this; an entry that stays is found stored by the recovery and removed then. */
  async #forget(holds: readonly Hold[]): Promise<void> {
    try {
      await this.#options.store.forget(holds);
    } catch (thrown) {
      this.#options.log.error('journal entries stay behind', { holds: holds.length, error: messageOf(thrown) });
    }
  }

  /** MySQL is ahead of Redis: Redis has lost writes. Free what it granted, load it again, let the requests try again. */
  async #takeBack(refused: readonly Pending<Commit, CommitResult>[]): Promise<void> {
    this.counters.conflicts += refused.length;
    const commitsOf = new Map<number, Commit[]>();
    for (const { item } of refused) {
      const commits = commitsOf.get(item.hold.performanceId) ?? [];
      commits.push(item);
      commitsOf.set(item.hold.performanceId, commits);
    }
    for (const [performanceId, commits] of commitsOf) {
      try {
        const ids = commits.map((commit) => commit.hold.reservationId);
        await this.#options.store.cool(performanceId, ids);
        await this.#options.store.forget(commits.map((commit) => commit.hold));
        this.queue.requeue(commits.flatMap((commit) => commit.waiting ?? []));
      } catch (thrown) {
        this.#options.log.error('refused holds could not be taken back', { performanceId, error: messageOf(thrown) });
        for (const commit of commits) commit.waiting?.settle(redisUnavailable);
      }
    }
    for (const pending of refused) pending.settle('conflict');
  }

  #inBackground(work: Promise<void>): void {
    this.#background.add(work);
    void work.finally(() => this.#background.delete(work));
  }
}
