/** Reservations, seats and the messages that travel from the gateway through the batcher to the two stores. */
import type { Code } from './codes.ts';

/** `HELD -> CONFIRMED | CANCELLED | EXPIRED`, `CONFIRMED -> CANCELLED`. The numbers are what MySQL stores. */
export const ReservationStatus = { HELD: 1, CONFIRMED: 2, CANCELLED: 3, EXPIRED: 4 } as const;
export type ReservationStatus = keyof typeof ReservationStatus;

/** `AVAILABLE -> HELD -> OCCUPIED`, back by cancel, expiry and refund. The numbers are what MySQL stores. */
export const SeatStatus = { AVAILABLE: 0, HELD: 1, OCCUPIED: 2 } as const;
export type SeatStatus = keyof typeof SeatStatus;

const reservationStatusNames = Object.keys(ReservationStatus) as ReservationStatus[];
const seatStatusNames = Object.keys(SeatStatus) as SeatStatus[];

/** The name of a stored reservation status. Throws RangeError on a number no migration knows. */
export function reservationStatusName(stored: number): ReservationStatus {
  const name = reservationStatusNames[stored - 1];
  if (name === undefined) throw new RangeError(`unknown reservation status ${stored}`);
  return name;
}

/** The name of a stored seat status. Throws RangeError on a number no migration knows. */
export function seatStatusName(stored: number): SeatStatus {
  const name = seatStatusNames[stored];
  if (name === undefined) throw new RangeError(`unknown seat status ${stored}`);
  return name;
}

/** A wish to hold: `seats` is empty for a capacity performance, `partySize` 0 for a seated one. */
export interface HoldRequest {
  /** UUIDv7, made by the gateway before anything is sent: the identity in Redis, the journal and MySQL. */
  readonly reservationId: string;
  readonly performanceId: number;
  readonly userId: number;
  readonly seats: readonly number[];
  readonly partySize: number;
  /** True when an earlier try with this id ended without knowing its outcome: it may be granted already. */
  readonly isRepeat: boolean;
  /** The number of the queue pass; 0 for none, -1 for one that is forged or of somebody else. */
  readonly pass: number;
}

/** One entry of the journal: the holds that one script call granted for a performance. It is removed when none of them is open any more. */
export interface JournalEntry {
  readonly id: string;
  /** Holds of the entry that MySQL has not settled yet; shared by them. */
  open: number;
}

/** A hold that Redis granted, as the journal keeps it and MySQL commits it. */
export interface Hold extends Omit<HoldRequest, 'isRepeat' | 'pass'> {
  /** The version each seat has with this hold, in the order of `seats`; MySQL must be one behind. */
  readonly versions: readonly number[];
  /** In the currency's minor unit. */
  readonly amount: number;
  /** What is left of the hold when it is handed to MySQL, which adds it to its own clock; below 0 when it is over. */
  readonly holdMs: number;
  /** End of the hold by the clock of Redis, Unix milliseconds: what the client is told, compared with no other clock. */
  readonly expiresAtMs: number;
  /** Where the journal keeps it; null when an earlier call wrote that entry: the recovery removes it then. */
  readonly journal: JournalEntry | null;
  /** Reservations whose time was over and whose places this hold took: expired in the transaction that stores it. */
  readonly supersedes: readonly string[];
}

/** Why a hold was refused, with what the client is told beside the code. */
export interface Refusal {
  readonly code: Code;
  readonly detail: string;
  /** `seat_taken`, `seat_not_found`: the seats it is about. */
  readonly seats?: readonly number[];
  /** `already_reserved`: the reservation that stands in the way. */
  readonly reservationId?: string;
  /** `validation_failed`: where and why. */
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  /** `method_not_allowed`: what the path does allow. */
  readonly allow?: string;
}

/** Held, or refused with a code. Errors of the business are values. */
export type HoldOutcome =
  | { readonly kind: 'held'; readonly hold: Hold }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/** A reservation as its owner reads it. Times are Unix milliseconds. */
export interface Reservation {
  readonly reservationId: string;
  readonly performanceId: number;
  readonly userId: number;
  readonly status: ReservationStatus;
  readonly seats: readonly number[];
  readonly partySize: number;
  readonly amount: number;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
}

/** A reservation given up in MySQL, with what Redis must be told: the version each seat has now. */
export interface Release {
  readonly reservationId: string;
  readonly performanceId: number;
  readonly userId: number;
  /** True when the queue pass it was made with ends too: the user has cancelled; time alone leaves the pass its own end. */
  readonly endsPass: boolean;
  /** Seat number and its version after the release, alternating. */
  readonly seatVersions: readonly number[];
}

/** A reservation that was sold in MySQL, with what Redis must be told: the version each seat has now. */
export interface Sale {
  readonly reservationId: string;
  readonly performanceId: number;
  readonly userId: number;
  /** Seat number and its version after the sale, alternating. */
  readonly seatVersions: readonly number[];
}
