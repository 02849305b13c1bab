/**
 * The memory queue: collects items and hands them over in batches.
 *
 * A batch goes out when `batchSizeMax` are waiting, or `flushDelayMsMax` after the first one, or at once when no flush is
 * under way: an idle process answers immediately, a busy one fills its batches by itself.
 *
 * Every item is settled exactly once. `depthMax` bounds the items not settled yet; past it `submit` answers `overloaded`
 * at once. An item past its deadline, or given up by its caller, is dropped when its turn comes, never after it was
 * handed over.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import { batchBounds, Histogram, secondsBounds } from '../lib/histogram.ts';

export interface BatcherOptions<Item, Result> {
  readonly clock: Clock;
  readonly batchSizeMax: number;
  readonly flushDelayMsMax: number;
  readonly depthMax: number;
  /** Flushes under way at once. */
  readonly flushesMax: number;
  /**
   * Takes a batch over. It settles each item, now or later, or hands it to another queue; when it rejects, the items
   * not settled yet get `failed`.
   */
  readonly flush: (batch: readonly Pending<Item, Result>[]) => Promise<void>;
  /** The answer to an item that finds the queue full, or whose deadline passed while it waited. */
  readonly overloaded: Result;
  readonly failed: (thrown: unknown) => Result;
}

/** Gets the answer of an item, and the item: one function may serve all. */
type OnSettled<Item, Result> = (result: Result, item: Item) => void;

/** One item on its way, with the one answer it will get. */
export class Pending<Item, Result> {
  readonly item: Item;
  /** By the batcher's clock; Infinity for none. */
  readonly deadlineAtMs: number;
  readonly submittedAtMs: number;
  /** Set by the caller when it no longer waits: the item is dropped if it has not been handed over yet. */
  abandoned = false;
  #onSettled: OnSettled<Item, Result> | null;
  #onGone: () => void;

  constructor(
    item: Item,
    submittedAtMs: number,
    deadlineAtMs: number,
    onSettled: OnSettled<Item, Result>,
    onGone: () => void,
  ) {
    this.item = item;
    this.submittedAtMs = submittedAtMs;
    this.deadlineAtMs = deadlineAtMs;
    this.#onSettled = onSettled;
    this.#onGone = onGone;
  }

  get isSettled(): boolean {
    return this.#onSettled === null;
  }

  /** Gives the answer; a second one is ignored. Returns whether this was the first. */
  settle(result: Result): boolean {
    const onSettled = this.#onSettled;
    if (onSettled === null) return false;
    this.#onSettled = null;
    this.#onGone();
    onSettled(result, this.item);
    return true;
  }
}

/** What a batcher has done since it began; read by the metrics, never reset. */
export interface BatcherCounters {
  flushes: number;
  items: number;
  overloaded: number;
  expired: number;
  abandoned: number;
}

export class Batcher<Item, Result> {
  readonly counters: BatcherCounters = { flushes: 0, items: 0, overloaded: 0, expired: 0, abandoned: 0 };
  /** Observed once a batch, when its flush has ended. */
  readonly batchSizes = new Histogram(batchBounds);
  readonly flushSeconds = new Histogram(secondsBounds);
  /** How long the first item of a batch had waited. */
  readonly waitSeconds = new Histogram(secondsBounds);
  readonly #options: BatcherOptions<Item, Result>;
  #waiting: Pending<Item, Result>[] = [];
  /** Items of #waiting before this index are gone already: taking from the front costs no copy. */
  #head = 0;
  #depth = 0;
  #flushesUnderWay = 0;
  #timer: Timer | null = null;
  #isFlushSoon = false;
  /** Set while items are taken: what a dropped item's caller submits then waits for the next look. */
  #isTaking = false;
  #whenEmpty: (() => void)[] = [];
  readonly #leave = (): void => {
    this.#depth--;
    if (this.#depth === 0) for (const resolve of this.#whenEmpty.splice(0)) resolve();
  };
  readonly #flushSoon = (): void => {
    this.#isFlushSoon = false;
    this.#flushIfDue(true);
  };

  constructor(options: BatcherOptions<Item, Result>) {
    this.#options = options;
  }

  /** Items submitted and not settled: waiting, under way, or handed on. */
  get depth(): number {
    return this.#depth;
  }

  get waiting(): number {
    return this.#waiting.length - this.#head;
  }

  /** Takes an item in, or settles it with `overloaded` before this returns. */
  submit(item: Item, deadlineAtMs: number, onSettled: OnSettled<Item, Result>): Pending<Item, Result> {
    const pending = new Pending(item, this.#options.clock.nowMs(), deadlineAtMs, onSettled, this.#leave);
    this.#depth++;
    if (this.#depth > this.#options.depthMax) {
      this.counters.overloaded++;
      pending.settle(this.#options.overloaded);
      return pending;
    }
    this.#waiting.push(pending);
    this.#flushIfDue(false);
    return pending;
  }

  /** Puts items back at the head, in their order: they have waited longest. */
  requeue(items: readonly Pending<Item, Result>[]): void {
    this.#waiting = [...items, ...this.#waiting.slice(this.#head)];
    this.#head = 0;
    this.#flushIfDue(false);
  }

  /** Visits every item that waits for a batch. */
  eachWaiting(visit: (pending: Pending<Item, Result>) => void): void {
    const waiting = this.#waiting;
    for (let i = this.#head; i < waiting.length; i++) visit(waiting[i]!);
  }

  /** Resolves once every item submitted so far, and any later one, is settled. */
  drained(): Promise<void> {
    if (this.#depth === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenEmpty.push(resolve);
    });
  }

  #flushIfDue(mayGoNow: boolean): void {
    if (this.#isTaking) return;
    while (this.waiting > 0 && this.#flushesUnderWay < this.#options.flushesMax) {
      const isIdle = this.#flushesUnderWay === 0;
      if (this.waiting >= this.#options.batchSizeMax || (isIdle && mayGoNow)) {
        this.#flushNow();
        continue;
      }
      if (isIdle) {
        // After the events at hand: requests that came in the same turn of the loop share the batch. A pause of
        // 2 ms after each flush, for fuller ones, saved no processor time at half load: 53 us of the gateway a hold, then 55.
        if (!this.#isFlushSoon) {
          this.#isFlushSoon = true;
          this.#options.clock.soon(this.#flushSoon);
        }
        return;
      }
      const waitedMs = this.#options.clock.nowMs() - this.#waiting[this.#head]!.submittedAtMs;
      const delayMs = this.#options.flushDelayMsMax - waitedMs;
      if (delayMs <= 0) {
        this.#flushNow();
        continue;
      }
      if (this.#timer === null) {
        this.#timer = this.#options.clock.after(delayMs, () => {
          this.#timer = null;
          this.#flushIfDue(false);
        });
      }
      return;
    }
  }

  #flushNow(): void {
    const batch = this.#takeBatch();
    if (this.waiting === 0 && this.#timer !== null) {
      this.#timer.cancel();
      this.#timer = null;
    }
    if (batch.length === 0) return;
    this.counters.flushes++;
    this.counters.items += batch.length;
    this.#flushesUnderWay++;
    void this.#run(batch);
  }

  async #run(batch: readonly Pending<Item, Result>[]): Promise<void> {
    const startMs = this.#options.clock.nowMs();
    const oldestMs = batch[0]!.submittedAtMs;
    try {
      await this.#options.flush(batch);
    } catch (thrown) {
      const result = this.#options.failed(thrown);
      for (const pending of batch) pending.settle(result);
    }
    this.batchSizes.observe(batch.length);
    this.waitSeconds.observe((startMs - oldestMs) / 1000);
    this.flushSeconds.observe((this.#options.clock.nowMs() - startMs) / 1000);
    this.#flushesUnderWay--;
    this.#flushIfDue(false);
  }

  #takeBatch(): Pending<Item, Result>[] {
    this.#isTaking = true;
    try {
      return this.#takeOpen();
    } finally {
      this.#isTaking = false;
    }
  }

  #takeOpen(): Pending<Item, Result>[] {
    const batch: Pending<Item, Result>[] = [];
    const nowMs = this.#options.clock.nowMs();
    while (this.#head < this.#waiting.length && batch.length < this.#options.batchSizeMax) {
      const pending = this.#waiting[this.#head++]!;
      if (pending.isSettled) continue;
      if (pending.abandoned) {
        this.counters.abandoned++;
        pending.settle(this.#options.overloaded);
      } else if (nowMs > pending.deadlineAtMs) {
        this.counters.expired++;
        pending.settle(this.#options.overloaded);
      } else {
        batch.push(pending);
      }
    }
    if (this.#head === this.#waiting.length) {
      this.#waiting = [];
      this.#head = 0;
    } else if (this.#head > 4096) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
    return batch;
  }
}
