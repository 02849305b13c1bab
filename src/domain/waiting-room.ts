/** The waiting room of a performance: its settings, and the places of those who wait. Times are Unix milliseconds. */

/** What an admin decides. They may change while people wait. */
export interface RoomSettings {
  /** `off`: nobody needs a pass, and whoever still waits is let through. */
  readonly mode: 'on' | 'off';
  /** People a second; a fraction for less than one, 0 for a pause. */
  readonly admitPerSecond: number;
  /** Passes out at once, used or not. */
  readonly maxActive: number;
  /** How long a pass that holds nothing is good for. */
  readonly passSeconds: number;
  /** Nobody is admitted before; null for at once. */
  readonly opensAtMs: number | null;
  /** All who join before `opensAtMs` are shuffled at that moment. */
  readonly drawBeforeOpen: boolean;
}

/** A room as MySQL keeps it. */
export interface Room extends RoomSettings {
  /** Grows with every change of the settings, so that a late writer cannot undo a newer one. */
  readonly revision: number;
  /** Tickets given out when that was last written down. */
  readonly issued: number;
}

/** What everybody may know of a room. */
export interface RoomState extends RoomSettings {
  readonly issued: number;
  readonly admitted: number;
  readonly waiting: number;
  readonly active: number;
}

/** One draw: the tickets `firstArrival` to `lastArrival` get each other's numbers, by `seed` (waiting-room/draw.ts). */
export interface Draw {
  readonly performanceId: number;
  readonly firstArrival: number;
  readonly lastArrival: number;
  /** 64 hexadecimal digits. */
  readonly seed: string;
}

/**
 * What somebody wants of a room. `arrival` is what the ticket says, 0 where there is none.
 *   join     a place, or the one the user has
 *   look     how the ticket stands; counts as a sign of life
 *   leave    give the place or the pass back
 *   restore  as look; a ticket that Redis has lost gets its place again: `number`, or by its arrival when 0
 */
export interface PlaceRequest {
  readonly kind: 'join' | 'look' | 'leave' | 'restore';
  readonly performanceId: number;
  readonly userId: number;
  readonly arrival: number;
  readonly number: number;
}

/** How a ticket stands. */
export type Place =
  /** The room is off: nobody waits. */
  | { readonly status: 'open' }
  | {
      readonly status: 'waiting';
      readonly arrival: number;
      /** Null until the draw. The order of admission is the order of the numbers. */
      readonly number: number | null;
      /** 1 is the next one; null until the draw. */
      readonly position: number | null;
      readonly etaSeconds: number | null;
      /** Set while the room has not opened. */
      readonly opensAtMs: number | null;
      readonly isNew: boolean;
    }
  | { readonly status: 'admitted'; readonly arrival: number; readonly number: number; readonly passEndsAtMs: number }
  | { readonly status: 'left' }
  | { readonly status: 'expired' }
  /** Signed by us and unknown to Redis, which has lost it: restore it. */
  | { readonly status: 'lost' };

/** What one round of admission did, or needs. */
export interface AdmissionRound {
  readonly performanceId: number;
  readonly isOn: boolean;
  readonly admitted: number;
  readonly expired: number;
  readonly left: number;
  /** Tickets given out so far. */
  readonly issued: number;
  /** Early tickets that wait for their draw; nobody is admitted before. Null: no draw is due. */
  readonly drawDue: { readonly firstArrival: number; readonly lastArrival: number } | null;
}

/** Somebody who was let in. */
export interface Admission {
  readonly userId: number;
  readonly number: number;
  readonly passEndsAtMs: number;
}

/** What a room tells the gateways. */
export interface RoomNews {
  readonly performanceId: number;
  readonly roundMs: number;
  /** Everybody up to this number has been admitted or is gone. */
  readonly watermark: number;
  /** Admissions a second as measured, 0 while unknown. */
  readonly rate: number;
  readonly admitted: readonly Admission[];
  /** Users whose pass ended unused. */
  readonly expired: readonly number[];
  /** Set once a second: a bit a number above the watermark, 1 while it waits; see positions.ts. */
  readonly line: Line | null;
  /** True when a draw has given the early ones their numbers. */
  readonly isDrawn: boolean;
}

/** Who waits, as bits: the first bit of `bits` (the highest of its first byte) is number `firstNumber`. */
export interface Line {
  readonly firstNumber: number;
  readonly bits: Uint8Array;
}

/** Seconds until `position` is admitted at `rate` a second; null while no rate is known. */
export function etaSecondsOf(position: number, rate: number): number | null {
  return rate > 0 ? Math.ceil(position / rate) : null;
}
