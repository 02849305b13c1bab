/**
 * Who watches the seats of a performance through this process. Scripts publish each change while somebody watches; the
 * changes of a quarter of a second travel together, one frame a performance.
 *
 * Nothing is missed: each message carries the revision of the seats, and a gap, a reconnect or a fresh load from MySQL
 * makes this process read the seats and tell what differs from what it told before.
 */
import type { SeatStatus } from '../domain/reservation.ts';
import { type Clock, sleep, type Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { SeatNews } from '../lua/seats.ts';

/** Told of changed seats, at most four times a second. */
export type OnSeats = (performanceId: number, changes: readonly (readonly [number, SeatStatus])[]) => void;

export interface SeatWatchOptions {
  readonly clock: Clock;
  /** Calls `onNews` for what is published of a performance, from when it resolves on. */
  readonly subscribe: (performanceId: number, onNews: (news: SeatNews) => void) => Promise<void>;
  readonly unsubscribe: (performanceId: number) => void;
  /** Asks for changes to be published for so long; the revision, or null when the performance is not warm. */
  readonly announce: (performanceId: number, forMs: number) => Promise<number | null>;
  readonly warm: (performanceId: number) => Promise<'warm' | 'not_found'>;
  readonly readTaken: (performanceId: number) => Promise<ReadonlyMap<number, SeatStatus>>;
  readonly log: { warn(message: string, fields?: Record<string, unknown>): void };
}

/** Four frames a second, and each change told within this time. */
const frameIntervalMs = 250;
const announceIntervalMs = 5000;
const announcedForMs = 15_000;
const readRetryMs = 500;
/** Sockets a turn of the loop: holds do not wait behind ten thousand frames. */
const listenersPerTurn = 500;
/** Messages kept while the seats are read; past it they are read again. */
const earlyMax = 1000;

class WatchedSeats {
  readonly performanceId: number;
  readonly listeners = new Set<OnSeats>();
  /** Resolves when it is watched, false when there is no such performance. */
  isThere: Promise<boolean> = Promise.resolve(true);
  /** The seats that are not available, as the listeners know them; null until read. */
  taken: Map<number, SeatStatus> | null = null;
  revision = -1;
  /** Changes not told yet. */
  changed = new Map<number, SeatStatus>();
  frameTimer: Timer | null = null;
  announceTimer: Timer | null = null;
  lastFrameAtMs = Number.NEGATIVE_INFINITY;
  isReading = false;
  mustReadAgain = false;
  /** What came in while the seats were read. */
  readonly early: SeatNews[] = [];

  constructor(performanceId: number) {
    this.performanceId = performanceId;
  }
}

export class SeatWatch {
  readonly counters = { frames: 0, reads: 0 };
  readonly #options: SeatWatchOptions;
  readonly #performances = new Map<number, WatchedSeats>();

  constructor(options: SeatWatchOptions) {
    this.#options = options;
  }

  /**
   * Tells `listener` of changes until it is removed. Resolves false when there is no such performance; rejects with
   * StoreUnavailable.
   */
  async add(performanceId: number, listener: OnSeats): Promise<boolean> {
    let watched = this.#performances.get(performanceId);
    if (watched === undefined) {
      watched = new WatchedSeats(performanceId);
      this.#performances.set(performanceId, watched);
      watched.isThere = this.#begin(watched);
    }
    watched.listeners.add(listener);
    return watched.isThere;
  }

  async #begin(watched: WatchedSeats): Promise<boolean> {
    const { performanceId } = watched;
    try {
      await this.#options.subscribe(performanceId, (news) => this.#onNews(performanceId, news));
      if ((await this.#options.warm(performanceId)) === 'not_found') {
        this.#end(watched);
        return false;
      }
    } catch (thrown) {
      this.#end(watched);
      throw thrown;
    }
    await this.#read(watched);
    if (this.#isLive(watched)) this.#announceLater(watched);
    return true;
  }

  remove(performanceId: number, listener: OnSeats): void {
    const watched = this.#performances.get(performanceId);
    if (watched === undefined) return;
    watched.listeners.delete(listener);
    if (watched.listeners.size === 0) this.#end(watched);
  }

  /** What was published may have been missed. */
  readAll(): void {
    for (const watched of this.#performances.values()) void this.#read(watched);
  }

  stop(): void {
    for (const watched of [...this.#performances.values()]) this.#end(watched);
  }

  #end(watched: WatchedSeats): void {
    watched.frameTimer?.cancel();
    watched.announceTimer?.cancel();
    watched.listeners.clear();
    // Another one may have begun since: what is there now is not this one's to end.
    if (!this.#isLive(watched)) return;
    this.#performances.delete(watched.performanceId);
    this.#options.unsubscribe(watched.performanceId);
  }

  #isLive(watched: WatchedSeats): boolean {
    return this.#performances.get(watched.performanceId) === watched;
  }

  #onNews(performanceId: number, news: SeatNews): void {
    const watched = this.#performances.get(performanceId);
    if (watched === undefined) return;
    if (watched.isReading && watched.early.length < earlyMax) watched.early.push(news);
    else this.#apply(watched, news);
  }

  #apply(watched: WatchedSeats, news: SeatNews): void {
    if (watched.taken === null || news.revision !== watched.revision + 1) return void this.#read(watched);
    watched.revision = news.revision;
    for (const [seat, status] of news.changes) this.#note(watched, seat, status);
  }

  #note(watched: WatchedSeats, seat: number, status: SeatStatus): void {
    const taken = watched.taken;
    if (taken === null || (taken.get(seat) ?? 'AVAILABLE') === status) return;
    if (status === 'AVAILABLE') taken.delete(seat);
    else taken.set(seat, status);
    watched.changed.set(seat, status);
    if (watched.frameTimer !== null) return;
    const waitMs = Math.max(0, watched.lastFrameAtMs + frameIntervalMs - this.#options.clock.nowMs());
    watched.frameTimer = this.#options.clock.after(waitMs, () => this.#tell(watched));
  }

  #tell(watched: WatchedSeats): void {
    watched.frameTimer = null;
    watched.lastFrameAtMs = this.#options.clock.nowMs();
    const changes = [...watched.changed];
    watched.changed = new Map();
    this.counters.frames++;
    const listeners = [...watched.listeners];
    const turn = (first: number): void => {
      const end = Math.min(first + listenersPerTurn, listeners.length);
      for (let i = first; i < end; i++) {
        const listener = listeners[i]!;
        if (watched.listeners.has(listener)) listener(watched.performanceId, changes);
      }
      if (end < listeners.length) this.#options.clock.soon(() => turn(end));
    };
    turn(0);
  }

  /** Reads the seats until nothing changed in between, and notes what differs from what was told. */
  async #read(watched: WatchedSeats): Promise<void> {
    if (watched.isReading) {
      watched.mustReadAgain = true;
      return;
    }
    watched.isReading = true;
    while (this.#isLive(watched)) {
      watched.mustReadAgain = false;
      try {
        // The revision first: a change in between is published behind it and read again.
        const revision = await this.#options.announce(watched.performanceId, announcedForMs);
        if (revision === null) await this.#options.warm(watched.performanceId);
        else {
          this.counters.reads++;
          this.#compare(watched, await this.#options.readTaken(watched.performanceId));
          watched.revision = revision;
          this.#applyEarly(watched);
          if (!watched.mustReadAgain) break;
        }
      } catch (thrown) {
        const fields = { performanceId: watched.performanceId, error: messageOf(thrown) };
        this.#options.log.warn('watched seats could not be read; trying again', fields);
        await sleep(this.#options.clock, readRetryMs);
      }
    }
    watched.isReading = false;
  }

  /** Changes behind the revision that was read; the seats may show them already, and then they change nothing. */
  #applyEarly(watched: WatchedSeats): void {
    for (const news of watched.early.splice(0)) {
      if (news.revision < 0) watched.mustReadAgain = true;
      else if (news.revision > watched.revision) this.#apply(watched, news);
    }
  }

  #compare(watched: WatchedSeats, now: ReadonlyMap<number, SeatStatus>): void {
    if (watched.taken === null) {
      watched.taken = new Map(now);
      return;
    }
    for (const seat of [...watched.taken.keys()]) if (!now.has(seat)) this.#note(watched, seat, 'AVAILABLE');
    for (const [seat, status] of now) this.#note(watched, seat, status);
  }

  /** Keeps the changes coming, and finds out what no message told. */
  #announceLater(watched: WatchedSeats): void {
    watched.announceTimer = this.#options.clock.after(announceIntervalMs, () => {
      if (!this.#isLive(watched)) return;
      this.#announceLater(watched);
      this.#options.announce(watched.performanceId, announcedForMs).then(
        (revision) => {
          // One was missed, or is still on its way: then this is one read for nothing.
          if (revision !== watched.revision) void this.#read(watched);
        },
        () => void this.#read(watched),
      );
    });
  }
}
