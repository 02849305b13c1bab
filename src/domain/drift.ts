/**
 * Where Redis says something else of a performance than MySQL. MySQL is right: what differs is mended by loading the
 * performance anew. Both move while they are read, so a difference counts only when two looks apart in time see it alike,
 * see `seenTwice`. The clocks of the two are never compared, nor are the ends of holds.
 */
import { SeatStatus } from './reservation.ts';
import type { LiveReservation, Snapshot } from './snapshot.ts';

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

/** What one look knows beside the two stores. */
interface Look {
  readonly snapshot: Snapshot;
  readonly view: ArbiterView;
  readonly stored: ReadonlyMap<string, LiveReservation>;
  readonly storedSeats: ReadonlyMap<string, readonly number[]>;
  /** Reservations on their way: in the journal or superseded there, or over on either side and not expired yet. */
  readonly moving: ReadonlySet<string>;
  /** Seats of holds in the journal. */
  readonly movingSeats: ReadonlySet<number>;
  /** Reservations that a difference was found for: their seats and slots differ too, which needs no saying. */
  readonly reported: Set<string>;
  readonly differences: Difference[];
}

/** Everything in which Redis differs from MySQL at this look, but for what is on its way. */
export function compare(snapshot: Snapshot, view: ArbiterView): Difference[] {
  const look = beginLook(snapshot, view);
  compareReservations(look);
  if (view.isSeated) compareSeats(look);
  compareUsers(look);
  if (!view.isSeated) compareExpiry(look);
  compareRemaining(look);
  return look.differences;
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

function beginLook(snapshot: Snapshot, view: ArbiterView): Look {
  const stored = new Map(snapshot.reservations.map((reservation) => [reservation.reservationId, reservation]));
  const storedSeats = new Map<string, number[]>();
  for (const [seat, id] of snapshot.ownerOf) {
    const seats = storedSeats.get(id);
    if (seats === undefined) storedSeats.set(id, [seat]);
    else seats.push(seat);
  }
  const moving = new Set<string>();
  const movingSeats = new Set<number>();
  for (const { reservationId, seats, supersedes } of view.journal) {
    moving.add(reservationId);
    for (const id of supersedes) moving.add(id);
    for (const seat of seats) movingSeats.add(seat);
  }
  for (const { reservationId, remainingMs } of snapshot.reservations) {
    if (remainingMs === null) continue;
    const endMs = view.reservations.get(reservationId)?.endMs ?? 0;
    if (remainingMs <= 0 || (endMs > 0 && endMs <= view.nowMs)) moving.add(reservationId);
  }
  return { snapshot, view, stored, storedSeats, moving, movingSeats, reported: new Set(), differences: [] };
}

function report(look: Look, kind: DriftKind, subject: string, redis: string, mysql: string): void {
  look.differences.push({ kind, subject, redis, mysql });
}

function reportReservation(look: Look, kind: DriftKind, id: string, redis: string, mysql: string): void {
  look.reported.add(id);
  report(look, kind, `reservation ${id}`, redis, mysql);
}

function describe(isHeld: boolean, userId: number, partySize: number, seats: readonly number[]): string {
  const what = partySize > 0 ? `party of ${partySize}` : `seats ${[...seats].sort((a, b) => a - b).join(',')}`;
  return `${isHeld ? 'held' : 'confirmed'} by user ${userId}, ${what}`;
}

function describeViewed({ userId, endMs, partySize, seats }: ViewedReservation): string {
  return describe(endMs !== 0, userId, partySize, seats);
}

function describeStored(look: Look, { reservationId, userId, partySize, remainingMs }: LiveReservation): string {
  return describe(remainingMs !== null, userId, partySize, look.storedSeats.get(reservationId) ?? []);
}

function compareReservations(look: Look): void {
  const { snapshot, view, stored, moving } = look;
  for (const [id, reservation] of stored) {
    if (moving.has(id)) continue;
    const viewed = view.reservations.get(id);
    const mysql = describeStored(look, reservation);
    if (viewed === undefined) {
      reportReservation(look, DriftKind.MISSING, id, 'none', mysql);
      continue;
    }
    const redis = describeViewed(viewed);
    if (redis === mysql) continue;
    const isUnconfirmed = reservation.remainingMs === null && viewed.endMs !== 0;
    reportReservation(look, isUnconfirmed ? DriftKind.UNCONFIRMED : DriftKind.RESERVATION, id, redis, mysql);
  }
  // Made for the first one: in the rule there is none.
  let versionOf: ReadonlyMap<number, number> | null = null;
  for (const [id, viewed] of view.reservations) {
    if (stored.has(id) || moving.has(id)) continue;
    versionOf ??= new Map(snapshot.seats.map(({ seat, version }) => [seat, version]));
    const kind = wasStored(view, versionOf, id, viewed) ? DriftKind.UNRELEASED : DriftKind.PHANTOM;
    reportReservation(look, kind, id, describeViewed(viewed), 'not live');
  }
}

/**
 * Whether MySQL has had this reservation and given it up: it was sold, or MySQL has given its seats the versions of this
 * hold or later ones. Of places held without a seat nobody can tell; they count as never stored.
 */
function wasStored(
  view: ArbiterView,
  versionOf: ReadonlyMap<number, number>,
  id: string,
  { endMs, seats }: ViewedReservation,
): boolean {
  if (endMs === 0) return true;
  const first = seats[0] ?? 0;
  const held = view.seats.get(first);
  return held !== undefined && held.owner === id && (versionOf.get(first) ?? 0) >= held.version;
}

function compareSeats(look: Look): void {
  const { snapshot, view } = look;
  const seen = new Set<number>();
  for (const { seat, status, version } of snapshot.seats) {
    seen.add(seat);
    const owner = status === SeatStatus.AVAILABLE ? '' : (snapshot.ownerOf.get(seat) ?? '');
    const state = owner === '' ? 'A' : status === SeatStatus.HELD ? 'H' : 'O';
    compareSeat(look, seat, view.seats.get(seat) ?? untouched, { state, version, owner });
  }
  for (const [seat, viewed] of view.seats) if (!seen.has(seat)) compareSeat(look, seat, viewed, untouched);
}

const untouched: ViewedSeat = { state: 'A', version: 0, owner: '' };

function compareSeat(look: Look, seat: number, redis: ViewedSeat, mysql: ViewedSeat): void {
  if (redis.version === mysql.version && redis.state === mysql.state && redis.owner === mysql.owner) return;
  if (look.movingSeats.has(seat)) return;
  for (const { owner } of [redis, mysql]) if (look.moving.has(owner) || look.reported.has(owner)) return;
  report(look, DriftKind.SEAT, `seat ${seat}`, describeSeat(redis), describeSeat(mysql));
}

const stateNames: Readonly<Record<string, string>> = { A: 'available', H: 'held', O: 'occupied' };

function describeSeat({ state, version, owner }: ViewedSeat): string {
  return `${stateNames[state] ?? state} at version ${version}${owner === '' ? '' : ` by ${owner}`}`;
}

/** Between two parts of Redis: the reservations have been compared with MySQL. */
function compareUsers(look: Look): void {
  const { view, moving, reported } = look;
  for (const [id, { userId }] of view.reservations) {
    if (moving.has(id) || reported.has(id) || view.users.get(userId)?.includes(id) === true) continue;
    report(look, DriftKind.USER, `user ${userId}`, `no slot for ${id}`, 'live');
  }
  for (const [userId, ids] of view.users) {
    for (const id of ids) {
      if (moving.has(id) || reported.has(id) || view.reservations.get(id)?.userId === userId) continue;
      report(look, DriftKind.USER, `user ${userId}`, `a slot for ${id}`, 'not live');
    }
  }
}

function compareExpiry(look: Look): void {
  const { view, moving, reported } = look;
  for (const [id, { endMs }] of view.reservations) {
    if (moving.has(id) || reported.has(id) || endMs === 0 || view.expiry.get(id) === endMs) continue;
    report(look, DriftKind.EXPIRY, `reservation ${id}`, 'no end, or another one', 'held');
  }
  for (const id of view.expiry.keys()) {
    if (moving.has(id) || reported.has(id) || (view.reservations.get(id)?.endMs ?? 0) !== 0) continue;
    report(look, DriftKind.EXPIRY, `reservation ${id}`, 'an end', 'not held');
  }
}

/** The sum of the parts, which means something only where they are of one moment. */
function compareRemaining({ view, differences }: Look): void {
  if (!view.isStill) return;
  let taken = 0;
  if (view.isSeated) for (const { state } of view.seats.values()) taken += state === 'A' ? 0 : 1;
  else for (const { partySize } of view.reservations.values()) taken += partySize;
  const free = view.places - taken;
  if (view.remaining === free) return;
  const redis = `${view.remaining} said to remain`;
  differences.push({ kind: DriftKind.REMAINING, subject: 'places', redis, mysql: `${free} that nobody has` });
}
