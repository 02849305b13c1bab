/**
 * The second half of a hold's way: granted holds are committed to MySQL in batches, their journal entries removed, their
 * callers answered. A hold without a caller was acknowledged before (`held`) and is tried until MySQL has it. A caller whose
 * deadline passes is told that the outcome is unknown; his hold stays on its way.
 */
import type { Hold, HoldOutcome, HoldRequest } from '../domain/reservation.ts';
import type { HoldStore, Ledger, PersistResult } from '../domain/stores.ts';
import { type Clock, sleep } from '../lib/clock.ts';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import { Batcher, type Pending } from './batcher.ts';
import { mysqlUnavailable, over, redisUnavailable } from './outcomes.ts';

export type PendingHold = Pending<HoldRequest, HoldOutcome>;

export interface CommitsOptions {
  readonly clock: Clock;
  readonly store: HoldStore;
  readonly ledger: Ledger;
  readonly flushDelayMsMax: number;
  /** Takes requests back at the head of the queue: MySQL refused their holds, Redis was wrong. */
  readonly requeue: (requests: readonly PendingHold[]) => void;
  readonly log: { error(message: string, fields?: Record<string, unknown>): void };
}

/** A granted hold on its way to MySQL, with the caller still waiting for it in `persisted` mode. */
interface Commit {
  readonly hold: Hold;
  readonly waiting: PendingHold | null;
  /** When MySQL first refused it, by the clock here; null: never. */
  refusedAtMs: number | null;
}
/** `done`: the caller has its answer or is on its way to one; `failed`: the outcome is unknown. */
type CommitResult = 'done' | 'failed';
type PendingCommit = Pending<Commit, CommitResult>;

// One transaction commits while the next one executes: 22,200 holds/s against 20,700 with one; three and four lost some.
const transactionsMax = 2;
// 100 a transaction cost the gateway 3 us a hold more; 400 gained 2 % in one run and 8 % in another, at times a worse p99.
const batchSizeMax = 200;
const retryDelayMs = 200;
/** How often the callers that wait for a commit are looked through for those past their deadline: a timer for all of them. */
const sweepIntervalMs = 50;
/** A shorter wait is not worth an object a hold. */
const waitMsNoticed = 100;
/**
 * How long MySQL may refuse an acknowledged hold. The one before it may be on its way in another transaction; or its places
 * come from a hold whose end MySQL learns from the journal or from the next expiry: after an outage that takes its time. One
 * second lost such holds in the simulation (test/simulation).
 */
const acknowledgedConflictMsMax = 30_000;

/** Counts for the metrics. */
export interface CommitCounters {
  conflicts: number;
  failures: number;
  /** Acknowledged holds that MySQL refused for good. Must stay 0. */
  acknowledgedLost: number;
}

export class Commits {
  readonly counters: CommitCounters = { conflicts: 0, failures: 0, acknowledgedLost: 0 };
  readonly queue: Batcher<Commit, CommitResult>;
  readonly #options: CommitsOptions;
  /** Granted holds of a performance that MySQL has not settled yet, and who waits for that to end. */
  readonly #uncommitted = new Map<number, { count: number; readonly whenNone: (() => void)[] }>();
  readonly #background = new Set<Promise<void>>();
  /** Batches at MySQL, and parts of them that are taken back. */
  readonly #underWay = new Set<readonly PendingCommit[]>();
  #isSweeping = false;
  readonly #sweep = (): void => this.#answerLate();
  readonly #onSettled = (result: CommitResult, { hold, waiting }: Commit): void => {
    if (result === 'failed') waiting?.settle(mysqlUnavailable);
    this.#noteSettled(hold.performanceId);
  };

  constructor(options: CommitsOptions) {
    this.#options = options;
    this.queue = new Batcher<Commit, CommitResult>({
      clock: options.clock,
      batchSizeMax,
      flushDelayMsMax: options.flushDelayMsMax,
      // Bounded before Redis is asked: by the callers that wait, or by the journal's limit (flush.ts).
      depthMax: Number.POSITIVE_INFINITY,
      flushesMax: transactionsMax,
      flush: (batch) => this.#commit(batch),
      overloaded: 'failed',
      failed: () => 'failed',
    });
  }

  /** Takes a granted hold; `waiting` gets its answer after the commit, null when it has been acknowledged already. */
  submit(hold: Hold, waiting: PendingHold | null): void {
    const { performanceId } = hold;
    const uncommitted = this.#uncommitted.get(performanceId);
    if (uncommitted === undefined) this.#uncommitted.set(performanceId, { count: 1, whenNone: [] });
    else uncommitted.count++;
    this.queue.submit({ hold, waiting, refusedAtMs: null }, Number.POSITIVE_INFINITY, this.#onSettled);
    if (waiting !== null && !this.#isSweeping) this.#sweepLater();
  }

  /** Resolves when no granted hold of a performance is on its way any more; a cold one gets no new ones meanwhile. */
  settled(performanceId: number): Promise<void> {
    const uncommitted = this.#uncommitted.get(performanceId);
    if (uncommitted === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      uncommitted.whenNone.push(resolve);
    });
  }

  /** Resolves when MySQL has every hold and Redis was told. */
  async drained(): Promise<void> {
    await this.queue.drained();
    await Promise.all(this.#background);
  }

  #noteSettled(performanceId: number): void {
    const uncommitted = this.#uncommitted.get(performanceId);
    if (uncommitted === undefined || --uncommitted.count > 0) return;
    this.#uncommitted.delete(performanceId);
    for (const resolve of uncommitted.whenNone) resolve();
  }

  #sweepLater(): void {
    this.#isSweeping = true;
    this.#options.clock.after(sweepIntervalMs, this.#sweep);
  }

  /** Tells the callers past their deadline. What becomes of their holds they learn by asking again. */
  #answerLate(): void {
    this.#isSweeping = false;
    const nowMs = this.#options.clock.nowMs();
    let isAnyOpen = false;
    const look = ({ item: { waiting } }: PendingCommit): void => {
      if (waiting === null || waiting.isSettled) return;
      if (nowMs > waiting.deadlineAtMs) waiting.settle(mysqlUnavailable);
      else isAnyOpen = true;
    };
    for (const batch of this.#underWay) for (const pending of batch) look(pending);
    this.queue.eachWaiting(look);
    if (isAnyOpen && !this.#isSweeping) this.#sweepLater();
  }

  async #commit(batch: readonly PendingCommit[]): Promise<void> {
    this.#underWay.add(batch);
    const results = await this.#persist(batch).finally(() => this.#underWay.delete(batch));
    const stored: Hold[] = [];
    const conflicting: PendingCommit[] = [];
    const gone: PendingCommit[] = [];
    for (let i = 0; i < batch.length; i++) {
      const pending = batch[i]!;
      if (results[i] === 'conflict') conflicting.push(pending);
      else if (results[i] === 'over') gone.push(pending);
      else {
        const { hold, waiting } = pending.item;
        stored.push(hold);
        waiting?.settle({ kind: 'held', hold });
        pending.settle('done');
      }
    }
    if (stored.length > 0) this.#inBackground(this.#forget(stored));
    if (conflicting.length > 0) this.#inBackground(this.#onConflicts(conflicting));
    if (gone.length > 0) this.#inBackground(this.#takeBack(gone, (waiting) => void waiting.settle(over)));
  }

  /**
   * Rejects when the outcome is unknown and all callers still wait: they are told, the journal keeps the holds. Acknowledged
   * ones, and what is in a batch with them, are tried until MySQL is back, in place, so that their order stays.
   */
  async #persist(batch: readonly PendingCommit[]): Promise<readonly PersistResult[]> {
    for (let attempt = 1; ; attempt++) {
      try {
        const holds = batch.map((pending) => this.#withWhatIsLeft(pending));
        const results = await this.#options.ledger.persistHolds(holds);
        if (results.length !== holds.length) throw new StoreUnavailable('mysql', 'it answered short');
        return results;
      } catch (thrown) {
        this.counters.failures++;
        if (attempt === 1) {
          const fields = { holds: batch.length, error: messageOf(thrown) };
          this.#options.log.error('commit failed; the journal keeps its holds', fields);
        }
        // What is no outage would fail again: the recovery takes it from the journal, apart from the others.
        const isAway = thrown instanceof StoreUnavailable;
        if (!isAway || batch.every((pending) => pending.item.waiting !== null)) throw thrown;
        for (const { item } of batch) item.waiting?.settle(mysqlUnavailable);
        await sleep(this.#options.clock, retryDelayMs);
      }
    }
  }

  /** A hold that waited here has less time left, or none: MySQL adds what is left to its own clock. */
  #withWhatIsLeft({ item, submittedAtMs }: PendingCommit): Hold {
    const waitedMs = Math.floor(this.#options.clock.nowMs() - submittedAtMs);
    return waitedMs < waitMsNoticed ? item.hold : { ...item.hold, holdMs: item.hold.holdMs - waitedMs };
  }

  /** The answer does not wait for this; an entry that stays is found stored by the recovery and removed then. */
  async #forget(holds: readonly Hold[]): Promise<void> {
    try {
      await this.#options.store.forget(holds);
    } catch (thrown) {
      this.#options.log.error('journal entries stay behind', { holds: holds.length, error: messageOf(thrown) });
    }
  }

  /**
   * MySQL is ahead of Redis: Redis has lost writes. A waiting request is decided again on what MySQL has; an acknowledged
   * hold is tried again behind the others first.
   */
  async #onConflicts(conflicting: readonly PendingCommit[]): Promise<void> {
    this.counters.conflicts += conflicting.length;
    const nowMs = this.#options.clock.nowMs();
    const again = conflicting.filter(({ item }) => {
      item.refusedAtMs ??= nowMs;
      return item.waiting === null && nowMs - item.refusedAtMs < acknowledgedConflictMsMax;
    });
    const refusedOnes = conflicting.filter((pending) => !again.includes(pending));
    for (const { item } of refusedOnes) {
      if (item.waiting !== null) continue;
      this.counters.acknowledgedLost++;
      this.#options.log.error('MySQL refused an acknowledged hold', { reservationId: item.hold.reservationId });
    }
    const requeued: PendingHold[] = [];
    await this.#takeBack(refusedOnes, (waiting) => void requeued.push(waiting));
    this.#options.requeue(requeued);
    if (again.length > 0) {
      await sleep(this.#options.clock, retryDelayMs);
      this.queue.requeue(again);
    }
  }

  /** Frees in Redis what MySQL does not have, has it loaded again, and hands on those who wait. */
  async #takeBack(commits: readonly PendingCommit[], then: (waiting: PendingHold) => void): Promise<void> {
    this.#underWay.add(commits);
    for (const [performanceId, list] of Map.groupBy(commits, ({ item }) => item.hold.performanceId)) {
      const holds = list.map((pending) => pending.item.hold);
      try {
        await this.#options.store.cool(
          performanceId,
          holds.map((hold) => hold.reservationId),
        );
        await this.#options.store.forget(holds);
        for (const { item } of list) if (item.waiting !== null) then(item.waiting);
      } catch (thrown) {
        this.#options.log.error('refused holds could not be taken back', { performanceId, error: messageOf(thrown) });
        for (const { item } of list) item.waiting?.settle(redisUnavailable);
      }
    }
    this.#underWay.delete(commits);
    for (const pending of commits) pending.settle('done');
  }

  #inBackground(work: Promise<void>): void {
    this.#background.add(work);
    void work.finally(() => this.#background.delete(work));
  }
}
