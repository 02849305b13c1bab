/** The settings and the state of waiting rooms, for the gateway. */
import type { RoomStore } from '../domain/stores.ts';
import type { RoomSettings, RoomState } from '../domain/waiting-room.ts';
import type { Clock } from '../lib/clock.ts';
import type { Database } from '../persist/database.ts';
import { writeRoom } from '../persist/rooms.ts';

export interface RoomsOptions {
  readonly clock: Clock;
  readonly store: RoomStore;
  readonly database: Database;
  /** Brings a cold performance from MySQL into Redis; rejects when a store is down. */
  readonly warm: (performanceId: number) => Promise<'warm' | 'not_found'>;
}

/** Everybody who looks at a room within this time sees the same: a page that thousands poll costs ten looks a second. */
const stateFreshMs = 100;
const roomsKnownMax = 1000;

interface KnownState {
  readonly untilMs: number;
  readonly state: Promise<RoomState | null>;
}

export class Rooms {
  readonly #options: RoomsOptions;
  readonly #states = new Map<number, KnownState>();

  constructor(options: RoomsOptions) {
    this.#options = options;
  }

  /**
   * Puts settings in force, in MySQL first. Null when there is no such performance. Rejects with StoreUnavailable; sent
   * again, it does what is missing.
   */
  async configure(performanceId: number, settings: RoomSettings): Promise<RoomState | null> {
    const { store, database, warm } = this.#options;
    if ((await warm(performanceId)) === 'not_found') return null;
    await store.configure(performanceId, await writeRoom(database, performanceId, settings));
    this.#states.delete(performanceId);
    return this.state(performanceId);
  }

  /** Null when there is no such performance; one without a room is `off`. Rejects with StoreUnavailable. */
  state(performanceId: number): Promise<RoomState | null> {
    const nowMs = this.#options.clock.nowMs();
    const known = this.#states.get(performanceId);
    if (known !== undefined && nowMs < known.untilMs) return known.state;
    if (this.#states.size >= roomsKnownMax) this.#states.clear();
    const state = this.#read(performanceId);
    this.#states.set(performanceId, { untilMs: nowMs + stateFreshMs, state });
    return state;
  }

  async #read(performanceId: number): Promise<RoomState | null> {
    const { store, warm } = this.#options;
    const state = await store.state(performanceId);
    if (state !== null) return state;
    return (await warm(performanceId)) === 'not_found' ? null : store.state(performanceId);
  }
}
