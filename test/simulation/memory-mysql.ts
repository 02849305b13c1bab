/**
 * The data of the fake MySQL: its tables, its own clock, and transactions that leave nothing behind where they fail. What
 * is done with them is in memory-ledger.ts. One object is one server: the fakes of many processes share it.
 */
import type { EntryType } from '../../src/domain/account.ts';
import { type Performance, type PerformancePlan, placesOf } from '../../src/domain/performance.ts';
import { ReservationStatus, SeatStatus } from '../../src/domain/reservation.ts';
import type { Snapshot } from '../../src/domain/snapshot.ts';
import type { Draw, Room, RoomSettings } from '../../src/domain/waiting-room.ts';
import { DueHolds } from './due-holds.ts';

export interface StoredSeat {
  /** As stored, see SeatStatus. */
  status: number;
  version: number;
}

export interface StoredReservation {
  readonly reservationId: string;
  readonly performanceId: number;
  readonly userId: number;
  /** In order. */
  readonly seats: readonly number[];
  readonly partySize: number;
  readonly amount: number;
  readonly expiresAtMs: number;
  /** As stored, see ReservationStatus. */
  status: number;
  /** By this clock. */
  holdEndsAtMs: number;
}

export interface StoredPerformance {
  readonly performance: Performance;
  /** Free places of a capacity performance. */
  remaining: number;
  /** Those that have ever changed. */
  readonly seats: Map<number, StoredSeat>;
  /** Reservation id by seat, of the rows that are live. */
  readonly ownerOf: Map<number, string>;
  /** Those that are held or confirmed. */
  readonly live: Map<string, StoredReservation>;
}

export interface StoredEntry {
  readonly type: EntryType;
  readonly amount: number;
  readonly balance: number;
  readonly reservationId: string | null;
}

export interface StoredAccount {
  balance: number;
  /** The oldest first. */
  readonly entries: StoredEntry[];
}

export interface StoredPayment {
  readonly paymentId: string;
  readonly reservationId: string;
  readonly userId: number;
  readonly amount: number;
  /** Of the payer, after the payment. */
  readonly balance: number;
  isRefunded: boolean;
}

/** One transaction: what it changes is remembered, so that it can be undone. */
export class Changes {
  readonly #undo: (() => void)[] = [];

  set<Target, Key extends keyof Target>(target: Target, key: Key, value: Target[Key]): void {
    const before = target[key];
    this.#undo.push(() => {
      target[key] = before;
    });
    target[key] = value;
  }

  put<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
    const [had, before] = [map.has(key), map.get(key)];
    this.#undo.push(() => {
      if (had) map.set(key, before as Value);
      else map.delete(key);
    });
    map.set(key, value);
  }

  remove<Key, Value>(map: Map<Key, Value>, key: Key): void {
    const before = map.get(key);
    if (before === undefined) return;
    this.#undo.push(() => map.set(key, before));
    map.delete(key);
  }

  append<Value>(list: Value[], value: Value): void {
    this.#undo.push(() => list.pop());
    list.push(value);
  }

  undo(): void {
    for (let back = this.#undo.pop(); back !== undefined; back = this.#undo.pop()) back();
  }
}

export class MemoryMysql {
  readonly performances = new Map<number, StoredPerformance>();
  readonly reservations = new Map<string, StoredReservation>();
  readonly accounts = new Map<number, StoredAccount>();
  /** The balance of each entry by its request id. */
  readonly requests = new Map<string, number>();
  /** By reservation. */
  readonly payments = new Map<string, StoredPayment>();
  readonly rooms = new Map<number, Room>();
  /** Of a performance, in order. */
  readonly draws = new Map<number, readonly Draw[]>();
  readonly #nowMs: () => number;
  readonly #due = new DueHolds();
  #lastId = 0;
  #lastPerformanceId = 0;

  /** `nowMs`: this server's clock, Unix milliseconds; a part of a millisecond does not count. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  nowMs(): number {
    return Math.floor(this.#nowMs());
  }

  /** An id that nobody else has: the same in every run, unlike the random ones of the gateway. */
  newId(): string {
    return `00000000-0000-7000-8000-${(++this.#lastId).toString(16).padStart(12, '0')}`;
  }

  /** Runs `work`, whole or not at all: it is undone where it returns null or throws. */
  transaction<Result>(work: (changes: Changes) => Result | null): Result | null {
    const changes = new Changes();
    let result: Result | null = null;
    try {
      result = work(changes);
    } finally {
      if (result === null) changes.undo();
    }
    return result;
  }

  /** Stores a performance, under the next id where none is given. Returns its id. */
  insertPerformance(plan: PerformancePlan, performanceId = this.#lastPerformanceId + 1): number {
    this.#lastPerformanceId = Math.max(this.#lastPerformanceId, performanceId);
    this.performances.set(performanceId, {
      performance: { ...plan, performanceId },
      remaining: plan.seating.kind === 'capacity' ? placesOf(plan) : 0,
      seats: new Map(),
      ownerOf: new Map(),
      live: new Map(),
    });
    return performanceId;
  }

  /** A seat as it is, or as it was created; undefined where there is none. */
  seat(performanceId: number, seat: number): StoredSeat | undefined {
    const stored = this.performances.get(performanceId);
    const seating = stored?.performance.seating;
    if (stored === undefined || seating?.kind !== 'seated') return undefined;
    const changed = stored.seats.get(seat);
    if (changed !== undefined) return changed;
    return seat >= 1 && seat <= seating.seats ? { status: SeatStatus.AVAILABLE, version: 0 } : undefined;
  }

  /** Puts a committed hold into the index of those that end. */
  noteDue({ reservationId, holdEndsAtMs }: StoredReservation): void {
    this.#due.add({ endsAtMs: holdEndsAtMs, reservationId });
  }

  /** Held reservations whose time is over, oldest first, at most `countMax`. The caller gives each of them up. */
  takeDue(countMax: number): StoredReservation[] {
    const nowMs = this.nowMs();
    const taken = new Set<StoredReservation>();
    for (let due = this.#due.first; due !== undefined; due = this.#due.first) {
      if (due.endsAtMs > nowMs || taken.size >= countMax) break;
      this.#due.removeFirst();
      // What was paid, given up or moved meanwhile stays in the index until its time.
      const reservation = this.reservations.get(due.reservationId);
      const isHeld = reservation?.status === ReservationStatus.HELD;
      if (isHeld && reservation.holdEndsAtMs === due.endsAtMs) taken.add(reservation);
    }
    return [...taken];
  }

  /** Moves the end of a reservation's time: to `agoMs` before now. */
  lapse(reservationId: string, agoMs = 1000): void {
    const reservation = this.reservations.get(reservationId);
    const endsAtMs = this.nowMs() - agoMs;
    if (reservation === undefined || reservation.holdEndsAtMs === endsAtMs) return;
    reservation.holdEndsAtMs = endsAtMs;
    this.noteDue(reservation);
  }

  /** As src/persist/performances.ts reads it. */
  async readSnapshot(performanceId: number): Promise<Snapshot | null> {
    const stored = this.performances.get(performanceId);
    if (stored === undefined) return null;
    const nowMs = this.nowMs();
    return {
      performance: stored.performance,
      seats: [...stored.seats].sort(([a], [b]) => a - b).map(([seat, state]) => ({ seat, ...state })),
      ownerOf: new Map(stored.ownerOf),
      reservations: [...stored.live.values()].map(({ reservationId, userId, partySize, status, holdEndsAtMs }) => {
        const remainingMs = status === ReservationStatus.CONFIRMED ? null : holdEndsAtMs - nowMs;
        return { reservationId, userId, partySize, remainingMs };
      }),
      room: this.rooms.get(performanceId) ?? null,
    };
  }

  /** Stores the settings of a room, the first or new ones; returns the room with its new revision. */
  writeRoom(performanceId: number, settings: RoomSettings): Room {
    const before = this.rooms.get(performanceId);
    const room = { ...settings, revision: (before?.revision ?? 0) + 1, issued: before?.issued ?? 0 };
    this.rooms.set(performanceId, room);
    return room;
  }
}
