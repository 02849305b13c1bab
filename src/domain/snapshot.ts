/** One moment of a performance, everything Redis needs to decide: read by src/persist, written by src/lua. */
import type { Performance } from './performance.ts';
import type { Room } from './waiting-room.ts';

/** A seat that is not as it was created. */
export interface SeatState {
  readonly seat: number;
  /** As stored, see SeatStatus. */
  readonly status: number;
  readonly version: number;
}

/** A reservation that owns places. `remainingMs` until its hold ends, by MySQL's clock; null when confirmed. */
export interface LiveReservation {
  readonly reservationId: string;
  readonly userId: number;
  readonly partySize: number;
  readonly remainingMs: number | null;
}

export interface Snapshot {
  readonly performance: Performance;
  readonly seats: readonly SeatState[];
  /** Reservation id by seat, for the seats that are held or occupied. */
  readonly ownerOf: ReadonlyMap<number, string>;
  readonly reservations: readonly LiveReservation[];
  /** Its waiting room; null for none. */
  readonly room: Room | null;
}
