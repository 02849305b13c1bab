/**
 * Where Redis says something else of a performance than MySQL, as compare.ts finds it. MySQL is right: what differs is
 * mended by loading the performance anew. Both move while they are read, so a difference counts only when two looks apart
 * in time see it alike, see `seenTwice`. The clocks of the two are never compared, nor are the ends of holds.
 */

/** What is wrong with Redis. */
export const DriftKind = {
  /** A seat has another state, version or owner, and no reservation below explains it. */
  SEAT: 'seat',
  /** Redis does not know a live reservation: its seats could be given away again. */
  MISSING: 'missing',
  /** Redis holds for a reservation that MySQL never had and that is in no journal: blocks until its time is over. */
  PHANTOM: 'phantom',
  /** Sold, and only held in Redis: the gateway ended between the commit and telling Redis. */
  UNCONFIRMED: 'unconfirmed',
  /** Given up in MySQL, and Redis was not told. */
  UNRELEASED: 'unreleased',
  /** Both have the reservation live, with another user, other seats, another party, or sold in Redis alone. */
  RESERVATION: 'reservation',
  /** A user's slots are not the user's reservations. */
  USER: 'user',
  /** The index of ends does not have the places that are held. */
  EXPIRY: 'expiry',
  /** The places said to remain are not those that nobody has. */
  REMAINING: 'remaining',
} as const;
export type DriftKind = (typeof DriftKind)[keyof typeof DriftKind];

/** One difference; two with the same fields are the same one. */
export interface Difference {
  readonly kind: DriftKind;
  /** `seat 12`, `reservation <id>`, `user 5`, `places`. */
  readonly subject: string;
  readonly redis: string;
  readonly mysql: string;
}

/** A seat as Redis has it: state `A`, `H` or `O`; `owner` is a reservation id, empty for an available one. */
export interface ViewedSeat {
  readonly state: string;
  readonly version: number;
  readonly owner: string;
}

/** A reservation as Redis has it; `endMs` by the clock of Redis, 0 when confirmed. */
export interface ViewedReservation {
  readonly userId: number;
  readonly endMs: number;
  readonly partySize: number;
  readonly seats: readonly number[];
}

/** A hold on its way to MySQL. */
export interface JournalledHold {
  readonly reservationId: string;
  readonly seats: readonly number[];
  readonly supersedes: readonly string[];
}

/** All that Redis says of a warm performance. */
export interface ArbiterView {
  readonly isSeated: boolean;
  readonly places: number;
  readonly remaining: number;
  /** By the clock of Redis, when the look began. */
  readonly nowMs: number;
  /** Nothing changed while it was read: the parts are of one moment. */
  readonly isStill: boolean;
  /** By seat number; a seat that is not here is available at version 0. */
  readonly seats: ReadonlyMap<number, ViewedSeat>;
  readonly reservations: ReadonlyMap<string, ViewedReservation>;
  /** Reservation ids by user. */
  readonly users: ReadonlyMap<number, readonly string[]>;
  /** End by reservation id; of capacity performances. */
  readonly expiry: ReadonlyMap<string, number>;
  readonly journal: readonly JournalledHold[];
}

/** The differences that both looks saw alike; what was on its way in either of them is in one list at most. */
export function seenTwice(first: readonly Difference[], second: readonly Difference[]): Difference[] {
  const seen = new Set(first.map(nameOf));
  return second.filter((difference) => seen.has(nameOf(difference)));
}

/** How many there are of each kind that there is. */
export function countByKind(differences: readonly Difference[]): Partial<Record<DriftKind, number>> {
  const counts: Partial<Record<DriftKind, number>> = {};
  for (const { kind } of differences) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function nameOf({ kind, subject, redis, mysql }: Difference): string {
  return `${kind}|${subject}|${redis}|${mysql}`;
}
