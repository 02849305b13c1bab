/** Events and performances, and the labels of seats. Times are Unix milliseconds, money is in the minor unit. */

export interface Event {
  readonly eventId: number;
  readonly name: string;
  readonly description: string | null;
  /** Made to try things on: its performances may be rehearsed. */
  readonly isDemo: boolean;
  readonly createdAtMs: number;
}

/** What a new performance is made of. */
export interface PerformancePlan {
  readonly eventId: number;
  readonly startsAtMs: number;
  readonly bookingOpensAtMs: number | null;
  readonly bookingClosesAtMs: number | null;
  readonly price: number;
  readonly holdSeconds: number;
  readonly maxReservationsPerUser: number;
  readonly seating: Seating;
}

/** Numbered seats in rows, or a number of places taken by parties. */
export type Seating =
  | { readonly kind: 'seated'; readonly seats: number; readonly seatsPerRow: number }
  | { readonly kind: 'capacity'; readonly capacity: number; readonly maxPartySize: number };

export interface Performance extends PerformancePlan {
  readonly performanceId: number;
}

/** Seats or places of a performance. */
export function placesOf(performance: PerformancePlan): number {
  return performance.seating.kind === 'seated' ? performance.seating.seats : performance.seating.capacity;
}

/** Row letters as spreadsheets count: 0 -> A, 25 -> Z, 26 -> AA. */
function rowLetters(row: number): string {
  let letters = '';
  for (let rest = row; rest >= 0; rest = Math.floor(rest / 26) - 1) {
    letters = String.fromCharCode(65 + (rest % 26)) + letters;
  }
  return letters;
}

/** The label of seat 1..N: seat 51 in rows of 50 is `B-1`. */
export function seatLabel(seat: number, seatsPerRow: number): string {
  return `${rowLetters(Math.floor((seat - 1) / seatsPerRow))}-${((seat - 1) % seatsPerRow) + 1}`;
}
