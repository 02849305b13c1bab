/**
 * Who watches a place in a room through this process. A room publishes once a second who waits (one bitmap); the positions
 * of all sockets here are worked out from it in one pass, so that Redis does nothing for a socket.
 *
 * A watcher goes `asked -> waiting -> admitted -> over`; `asked` until its first look is answered, and again whenever what
 * it was told may have been missed. Admissions are told evenly over the round they were made in.
 */
import type { RoomNews } from '../domain/waiting-room.ts';
import { etaSecondsOf } from '../domain/waiting-room.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { PlaceOutcome, Places } from './places.ts';
import { Positions } from './positions.ts';
import { Presence } from './presence.ts';

export type WatcherState = 'asked' | 'waiting' | 'admitted' | 'over';

/** One socket that watches one ticket. The room owns what changes; the socket is told by the calls. */
export interface Watcher {
  readonly performanceId: number;
  readonly userId: number;
  readonly arrival: number;
  state: WatcherState;
  /** Null until the draw. */
  number: number | null;
  /** As last told; positions told never grow. Null before the first. */
  position: number | null;
  /** How often its number was behind the watermark without its admission having been heard of. */
  missed: number;
  onPosition(number: number | null, position: number | null, etaSeconds: number | null, opensAtMs: number | null): void;
  /** A pass from `number`; null when the room is off and no pass is needed. */
  onAdmitted(number: number | null, passEndsAtMs: number | null): void;
  onOver(why: 'left' | 'expired'): void;
  /** The look failed; the watcher is no longer watched. */
  onRefused(outcome: Extract<PlaceOutcome, { status: 'refused' }>): void;
}

export interface RoomWatchOptions {
  readonly clock: Clock;
  readonly places: Places;
  /** Calls `onNews` for what a room publishes, from when it resolves on. */
  readonly subscribe: (performanceId: number, onNews: (news: RoomNews) => void) => Promise<void>;
  readonly unsubscribe: (performanceId: number) => void;
  /** A sign of life of users who wait. */
  readonly seen: (performanceId: number, userIds: readonly number[], forMs: number) => Promise<void>;
  readonly absenceMs: number;
  readonly requestDeadlineMs: number;
  readonly log: { warn(message: string, fields?: Record<string, unknown>): void };
}

/** Sockets a turn of the loop: holds do not wait behind a tick of 15,000. */
const watchersPerTurn = 500;
const slotMs = 50;
/** A room publishes every second; silent for so long, it may be lost with Redis: asking brings it back. */
const silenceMsMax = 3000;
const askAgainMs = 5000;
const missedMax = 2;

/** The watchers of one room. */
class WatchedRoom {
  readonly performanceId: number;
  readonly watchers = new Set<Watcher>();
  readonly byUser = new Map<number, Watcher[]>();
  /** Resolves once news come in, or cannot come in yet. */
  readonly subscribed: Promise<void>;
  /** Counts ticks: a pass over the watchers ends when a newer one begins. */
  tick = 0;
  silenceTimer: Timer | null = null;

  constructor(performanceId: number, subscribed: Promise<void>) {
    this.performanceId = performanceId;
    this.subscribed = subscribed;
  }
}

export class RoomWatch {
  readonly counters = { ticks: 0, told: 0 };
  readonly #options: RoomWatchOptions;
  readonly #rooms = new Map<number, WatchedRoom>();
  readonly #presence: Presence;

  constructor(options: RoomWatchOptions) {
    this.#options = options;
    const presentIn = (performanceId: number): number[] => this.#waitingUsersOf(performanceId);
    this.#presence = new Presence({ ...options, presentIn });
  }

  get watcherCount(): number {
    let count = 0;
    for (const room of this.#rooms.values()) count += room.watchers.size;
    return count;
  }

  /** Watches from now on; the watcher is told how it stands as soon as that is known. */
  add(watcher: Watcher): void {
    const room = this.#roomOf(watcher.performanceId);
    room.watchers.add(watcher);
    const mine = room.byUser.get(watcher.userId);
    if (mine === undefined) room.byUser.set(watcher.userId, [watcher]);
    else mine.push(watcher);
    void this.#ask(room, watcher);
  }

  /** Its socket has closed, or watches no more. */
  remove(watcher: Watcher): void {
    const room = this.#rooms.get(watcher.performanceId);
    if (room === undefined || !room.watchers.delete(watcher)) return;
    const { userId, performanceId } = watcher;
    const others = (room.byUser.get(userId) ?? []).filter((each) => each !== watcher);
    if (others.length > 0) room.byUser.set(userId, others);
    else {
      room.byUser.delete(userId);
      if (watcher.state === 'waiting') this.#presence.leave(performanceId, userId);
    }
    watcher.state = 'over';
    if (room.watchers.size > 0) return;
    this.#rooms.delete(performanceId);
    this.#presence.close(performanceId);
    room.silenceTimer?.cancel();
    this.#options.unsubscribe(performanceId);
  }

  /** What was published may have been missed: everybody is looked up again. */
  askAll(): void {
    for (const room of this.#rooms.values()) this.#askAllOf(room);
  }

  /** The sockets are about to close: their users count as absent from now on. */
  stop(): Promise<void> {
    for (const room of this.#rooms.values()) room.silenceTimer?.cancel();
    return this.#presence.stop();
  }

  #waitingUsersOf(performanceId: number): number[] {
    const userIds: number[] = [];
    for (const [userId, watchers] of this.#rooms.get(performanceId)?.byUser ?? []) {
      if (watchers.some(({ state }) => state === 'waiting' || state === 'asked')) userIds.push(userId);
    }
    return userIds;
  }

  #roomOf(performanceId: number): WatchedRoom {
    let room = this.#rooms.get(performanceId);
    if (room === undefined) {
      const onNews = (news: RoomNews): void => this.#onNews(news);
      const subscribed = this.#options.subscribe(performanceId, onNews).catch((thrown: unknown) => {
        // The subscription is made up for when Redis is back, and everybody is asked again then.
        this.#options.log.warn('a room is not heard yet', { performanceId, error: messageOf(thrown) });
      });
      room = new WatchedRoom(performanceId, subscribed);
      this.#rooms.set(performanceId, room);
      this.#presence.open(performanceId);
      this.#awaitNews(room, silenceMsMax);
    }
    return room;
  }

  #askAllOf(room: WatchedRoom): void {
    for (const watcher of room.watchers) void this.#ask(room, watcher);
  }

  #awaitNews(room: WatchedRoom, forMs: number): void {
    room.silenceTimer?.cancel();
    room.silenceTimer = this.#options.clock.after(forMs, () => {
      this.#askAllOf(room);
      this.#awaitNews(room, askAgainMs);
    });
  }

  async #ask(room: WatchedRoom, watcher: Watcher): Promise<void> {
    // What was told is not told again: an answer that says the same changes nothing.
    const before = watcher.state;
    watcher.state = 'asked';
    watcher.missed = 0;
    await room.subscribed;
    const { performanceId, userId, arrival } = watcher;
    const { clock, places, requestDeadlineMs } = this.#options;
    const request = { kind: 'look', performanceId, userId, arrival, number: 0 } as const;
    places.submit(request, clock.nowMs() + requestDeadlineMs, (outcome) => {
      if (watcher.state === 'asked' && room.watchers.has(watcher)) this.#onPlace(watcher, outcome, before);
    });
  }

  #onPlace(watcher: Watcher, outcome: PlaceOutcome, before: WatcherState): void {
    switch (outcome.status) {
      case 'waiting': {
        watcher.state = 'waiting';
        const { number, etaSeconds, opensAtMs } = outcome;
        const position = lesser(watcher.position, outcome.position);
        // A look between two ticks may answer a socket that has been told the same; it is told once.
        const isKnown = watcher.position !== null && position === watcher.position && watcher.number === number;
        watcher.number = number;
        watcher.position = position;
        if (!isKnown) watcher.onPosition(number, position, etaSeconds, opensAtMs);
        return;
      }
      case 'admitted':
        watcher.state = 'admitted';
        if (before === 'admitted' && watcher.number === outcome.number) return;
        watcher.number = outcome.number;
        return watcher.onAdmitted(outcome.number, outcome.passEndsAtMs);
      case 'open':
        watcher.state = 'over';
        watcher.onAdmitted(null, null);
        return this.remove(watcher);
      case 'refused':
        if (before !== 'asked' || watcher.number !== null) {
          // Known here and not reached now: the next tick finds it, or asks where it has no number.
          watcher.state = before === 'admitted' ? 'admitted' : 'waiting';
          if (watcher.number === null) watcher.missed = missedMax;
          return;
        }
        this.remove(watcher);
        return watcher.onRefused(outcome);
      case 'lost':
      case 'left':
      case 'expired':
        watcher.state = 'over';
        watcher.onOver(outcome.status === 'expired' ? 'expired' : 'left');
        return this.remove(watcher);
    }
    outcome satisfies never;
  }

  #onNews(news: RoomNews): void {
    const room = this.#rooms.get(news.performanceId);
    if (room === undefined) return;
    this.#awaitNews(room, silenceMsMax);
    if (news.admitted.length > 0) this.#onAdmissions(room, news);
    for (const userId of news.expired) {
      for (const watcher of [...(room.byUser.get(userId) ?? [])]) {
        if (watcher.state !== 'admitted') continue;
        watcher.state = 'over';
        watcher.onOver('expired');
        this.remove(watcher);
      }
    }
    if (news.isDrawn) {
      for (const watcher of room.watchers) if (watcher.number === null) void this.#ask(room, watcher);
    }
    if (news.line !== null) this.#onTick(room, news, new Positions(news.line, news.watermark));
  }

  /** Told evenly over the round, so that the back end meets a stream and not two bursts a second. */
  #onAdmissions(room: WatchedRoom, news: RoomNews): void {
    const { admitted, roundMs } = news;
    const slots = Math.max(1, Math.floor(roundMs / slotMs));
    let slotBefore = -1;
    let group: (() => void)[] = [];
    for (let i = 0; i < admitted.length; i++) {
      const { userId, number, passEndsAtMs } = admitted[i]!;
      const watchers = room.byUser.get(userId);
      if (watchers === undefined) continue;
      const slot = Math.floor((i * slots) / admitted.length);
      if (slot !== slotBefore) {
        const calls: (() => void)[] = [];
        group = calls;
        slotBefore = slot;
        const tell = (): void => {
          for (const each of calls) each();
        };
        if (slot === 0) this.#options.clock.soon(tell);
        else this.#options.clock.after(slot * slotMs, tell);
      }
      group.push(() => {
        for (const watcher of watchers) this.#tellAdmitted(watcher, number, passEndsAtMs);
      });
    }
  }

  #tellAdmitted(watcher: Watcher, number: number, passEndsAtMs: number): void {
    // One that is being asked for will hear it from its answer, or from the next tick.
    if (watcher.state !== 'waiting' || watcher.number !== number) return;
    watcher.state = 'admitted';
    this.counters.told++;
    watcher.onAdmitted(number, passEndsAtMs);
  }

  #onTick(room: WatchedRoom, news: RoomNews, positions: Positions): void {
    this.counters.ticks++;
    const tick = ++room.tick;
    const watchers = room.watchers.values();
    const turn = (): void => {
      if (room.tick !== tick) return;
      for (let i = 0; i < watchersPerTurn; i++) {
        const next = watchers.next();
        if (next.done === true) return;
        this.#onTickOf(room, next.value, news, positions);
      }
      this.#options.clock.soon(turn);
    };
    turn();
  }

  #onTickOf(room: WatchedRoom, watcher: Watcher, { watermark, rate }: RoomNews, positions: Positions): void {
    const { number, state } = watcher;
    if (state !== 'waiting' && state !== 'admitted') return;
    if (number === null) {
      if (watcher.missed >= missedMax) void this.#ask(room, watcher);
      return;
    }
    // Admitted, or left by another tab, unheard of here; joined after the line was made; or Redis has lost its admission.
    const isPast = number <= watermark;
    if (state === 'admitted' ? !isPast : isPast || !positions.isWaiting(number)) {
      if (++watcher.missed >= missedMax) void this.#ask(room, watcher);
      return;
    }
    watcher.missed = 0;
    if (state === 'admitted') return;
    const position = positions.of(number);
    if (watcher.position !== null && position >= watcher.position) return;
    watcher.position = position;
    this.counters.told++;
    watcher.onPosition(number, position, etaSecondsOf(position, rate), null);
  }
}

function lesser(told: number | null, now: number | null): number | null {
  return told === null || now === null ? now : Math.min(told, now);
}
