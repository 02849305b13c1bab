/** What the contract's bodies look like. Money is an integer in the currency's minor unit; times are ISO 8601 in UTC. */
import type { EntryType, Role } from '../domain/account.ts';
import type { ReservationStatus, SeatStatus } from '../domain/reservation.ts';

export type { EntryType, ReservationStatus, Role, SeatStatus };

export interface SignUpRequest {
  readonly email: string;
  /** 8 to 256 characters. */
  readonly password: string;
  readonly name?: string | null;
}

export interface User {
  readonly userId: number;
  readonly email: string;
  readonly name: string | null;
  readonly role: Role;
}

export interface Session {
  /** For `Authorization: Bearer`. */
  readonly accessToken: string;
  readonly expiresAt: string;
  readonly userId: number;
  readonly role: Role;
}

export interface Balance {
  readonly balance: number;
}

/** One change of a balance. */
export interface BalanceEntry {
  readonly id: number;
  readonly type: EntryType;
  /** Below 0 where money goes. */
  readonly amount: number;
  /** After this entry. */
  readonly balance: number;
  readonly reservationId?: string;
  readonly at: string;
}

/** Part of a list, newest first. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** The cursor of the page after it; null on the last one. */
  readonly next: string | null;
}

export interface PageRequest {
  readonly cursor?: string | undefined;
  /** 1 to 100, 20 by default. */
  readonly limit?: number | undefined;
}

export interface EventRequest {
  readonly name: string;
  readonly description?: string | null;
  /** False by default. */
  readonly isDemo?: boolean;
}

export interface Event {
  readonly eventId: number;
  readonly name: string;
  readonly description: string | null;
  /** Made to try things on: its performances may be rehearsed. */
  readonly isDemo: boolean;
  readonly createdAt: string;
}

export type SeatingRequest =
  | { readonly kind: 'seated'; readonly seats: number }
  | { readonly kind: 'seated'; readonly rows: number; readonly seatsPerRow: number }
  | { readonly kind: 'capacity'; readonly capacity: number; readonly maxPartySize?: number };

export interface PerformanceRequest {
  readonly startsAt: string;
  readonly bookingOpensAt?: string | null;
  readonly bookingClosesAt?: string | null;
  readonly price: number;
  /** 300 by default. */
  readonly holdSeconds?: number;
  /** 1 by default. */
  readonly maxReservationsPerUser?: number;
  readonly seating: SeatingRequest;
}

export type Seating =
  | { readonly kind: 'seated'; readonly seats: number; readonly rows: number; readonly seatsPerRow: number }
  | { readonly kind: 'capacity'; readonly capacity: number; readonly maxPartySize: number };

export interface Performance {
  readonly performanceId: number;
  readonly eventId: number;
  readonly startsAt: string;
  readonly bookingOpensAt: string | null;
  readonly bookingClosesAt: string | null;
  readonly price: number;
  readonly holdSeconds: number;
  readonly maxReservationsPerUser: number;
  readonly seating: Seating;
  /** Seats or places that nobody holds. */
  readonly remaining: number;
}

export interface Seat {
  /** 1..N. */
  readonly seat: number;
  /** `A-1`. */
  readonly label: string;
  readonly price: number;
  readonly status: SeatStatus;
}

export interface SeatMap {
  readonly performanceId: number;
  /** Empty for a capacity performance. */
  readonly seats: readonly Seat[];
}

/** A seat map, or that the one of the `etag` sent along still holds. */
export type SeatMapRead =
  | { readonly isChanged: true; readonly etag: string; readonly map: SeatMap }
  | { readonly isChanged: false; readonly etag: string };

export interface Warmed {
  readonly performanceId: number;
  /** Seats or places. */
  readonly seats: number;
  /** True when it had been cold. */
  readonly warmed: boolean;
}

/** Numbered seats of a seated performance, or a party of a capacity one. */
export type Places =
  | { readonly seats: readonly number[]; readonly partySize?: never }
  | { readonly partySize: number; readonly seats?: never };

export type ReserveRequest = { readonly performanceId: number } & Places;

/** A hold as its 201 tells it. */
export type Held = {
  readonly reservationId: string;
  readonly performanceId: number;
  readonly userId: number;
  readonly status: 'HELD';
  readonly amount: number;
  readonly expiresAt: string;
} & Places;

export type Reservation = {
  readonly reservationId: string;
  readonly performanceId: number;
  readonly userId: number;
  readonly status: ReservationStatus;
  readonly amount: number;
  readonly createdAt: string;
  /** Of the hold. */
  readonly expiresAt: string;
} & Places;

export interface Payment {
  readonly paymentId: string;
  readonly reservationId: string;
  readonly amount: number;
  /** After the payment. */
  readonly balance: number;
  readonly status: 'PAID';
}

export interface Cancellation {
  readonly reservationId: string;
  readonly status: 'CANCELLED';
  /** What is on the balance again; 0 for a hold. */
  readonly refunded: number;
}

/** The settings of a waiting room. */
export interface QueueRequest {
  /** `off`: nobody needs a pass, and whoever waits is let through. */
  readonly mode: 'on' | 'off';
  /** People a second; a fraction for less than one, 0 for a pause. */
  readonly admitPerSecond: number;
  /** Passes out at once. */
  readonly maxActive: number;
  /** 300 by default. */
  readonly passSeconds?: number;
  readonly opensAt?: string | null;
  /** Shuffle all who join before `opensAt` at that moment. */
  readonly drawBeforeOpen?: boolean;
}

/** A waiting room as anybody may read it. */
export interface Queue {
  readonly mode: 'on' | 'off';
  /** Tickets given out. */
  readonly issued: number;
  readonly admitted: number;
  readonly waiting: number;
  /** Passes out now. */
  readonly active: number;
  readonly admitPerSecond: number;
  readonly maxActive: number;
  readonly passSeconds: number;
  readonly opensAt: string | null;
  readonly drawBeforeOpen: boolean;
}

/** Where somebody stands in a queue. */
export interface QueuePlace {
  /** The order of admission is the order of the numbers; null until the draw. */
  readonly number: number | null;
  /** 1 is the next one; null until the draw. */
  readonly position: number | null;
  /** Null until a rate is known. */
  readonly etaSeconds: number | null;
  /** Set while the room has not opened. */
  readonly opensAt?: string;
}

/** A pass, for the `pass` of a reservation. */
export interface QueuePass {
  readonly number: number;
  readonly pass: string;
  /** Where the pass holds nothing by then it is over. */
  readonly passExpiresAt: string;
}

/** How a ticket stands. */
export type QueueTicket =
  | ({ readonly status: 'waiting'; readonly ticket: string } & QueuePlace)
  | ({ readonly status: 'admitted'; readonly ticket: string } & QueuePass)
  /** The room is off: no pass is needed. */
  | { readonly status: 'open' }
  /** Given up, or away for a minute. */
  | { readonly status: 'left' }
  /** The pass ended unused. */
  | { readonly status: 'expired' };

export interface RehearsalRequest {
  /** Who come, all at once: 1 to 1000, 200 by default. */
  readonly people?: number;
  /** What each of them asks for: 1 to 10, 1 by default. */
  readonly places?: number;
}

/** A rush of played visitors: `people` = `waiting` + `held` + all of `refused` + `failed`. */
export interface Rehearsal {
  readonly performanceId: number;
  /** `none`: there was none in the last ten minutes. */
  readonly state: 'none' | 'running' | 'done';
  readonly people: number;
  readonly places: number;
  /** Still on their way; at the end: whose turn had not come. */
  readonly waiting: number;
  /** Who got what they asked for. All of it is given back. */
  readonly held: number;
  /** Who did not, by the code of their last answer. */
  readonly refused: { readonly [code: string]: number };
  /** Who got no answer. */
  readonly failed: number;
  /** Of the answers to requests for a hold so far; null before the first one. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
}
