/** Compares what Redis says of a performance with what MySQL has. Pure: what is done about it is in src/scheduler/reconcile.ts. */
import { type ArbiterView, type Difference, DriftKind, type ViewedReservation, type ViewedSeat } from './drift.ts';
import { SeatStatus } from './reservation.ts';
import type { LiveReservation, Snapshot } from './snapshot.ts';

/** What one look knows beside the two stores. */
interface Look {
  readonly snapshot: Snapshot;
  readonly view: ArbiterView;
  readonly stored: ReadonlyMap<string, LiveReservation>;
  /** How many seats a reservation has in MySQL, by its id. */
  readonly seatCounts: ReadonlyMap<string, number>;
  /** Which those are; made when first asked for: in the rule nothing differs, and halls are large. */
  readonly seatsOf: (reservationId: string) => readonly number[];
  /** Reservations on their way: in the journal or superseded there, or over on either side and not expired yet. */
  readonly moving: ReadonlySet<string>;
  /** Seats of holds in the journal. */
  readonly movingSeats: ReadonlySet<number>;
  /** Reservations that a difference was found for: their seats and slots differ too, which needs no saying. */
  readonly reported: Set<string>;
  readonly steps: Steps;
  readonly differences: Difference[];
}

/**
 * Returns everything in which Redis differs from MySQL at this look, but for what is on its way. In steps of a millisecond
 * or two: a hall of 100,000 seats takes 40 ms, for which no request should wait.
 */
export function* compare(snapshot: Snapshot, view: ArbiterView): Generator<void, Difference[]> {
  const look = yield* beginLook(snapshot, view);
  yield* compareReservations(look);
  if (view.isSeated) yield* compareSeats(look);
  yield* compareUsers(look);
  if (!view.isSeated) yield* compareExpiry(look);
  yield* compareRemaining(look);
  return look.differences;
}

const entriesPerStep = 2000;

class Steps {
  #entries = 0;

  /** True once a step's worth of entries has been looked at. */
  isOver(): boolean {
    return ++this.#entries % entriesPerStep === 0;
  }
}

function* beginLook(snapshot: Snapshot, view: ArbiterView): Generator<void, Look> {
  const steps = new Steps();
  const stored = new Map(snapshot.reservations.map((reservation) => [reservation.reservationId, reservation]));
  const seatCounts = new Map<string, number>();
  for (const id of snapshot.ownerOf.values()) {
    if (steps.isOver()) yield;
    seatCounts.set(id, (seatCounts.get(id) ?? 0) + 1);
  }
  let storedSeats: ReadonlyMap<string, [number, string][]> | null = null;
  const seatsOf = (reservationId: string): number[] => {
    storedSeats ??= Map.groupBy(snapshot.ownerOf, ([, id]) => id);
    return (storedSeats.get(reservationId) ?? []).map(([seat]) => seat);
  };
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
  const found = { reported: new Set<string>(), differences: [], steps };
  return { snapshot, view, stored, seatCounts, seatsOf, moving, movingSeats, ...found };
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
  return describe(remainingMs !== null, userId, partySize, look.seatsOf(reservationId));
}

function isAlike(look: Look, viewed: ViewedReservation, stored: LiveReservation): boolean {
  const { reservationId, userId, partySize, remainingMs } = stored;
  if (viewed.userId !== userId || viewed.partySize !== partySize) return false;
  if ((viewed.endMs === 0) !== (remainingMs === null)) return false;
  if (viewed.seats.length !== (look.seatCounts.get(reservationId) ?? 0)) return false;
  for (const seat of viewed.seats) if (look.snapshot.ownerOf.get(seat) !== reservationId) return false;
  return true;
}

function* compareReservations(look: Look): Generator<void, void> {
  const { snapshot, view, stored, moving } = look;
  for (const [id, reservation] of stored) {
    if (look.steps.isOver()) yield;
    if (moving.has(id)) continue;
    const viewed = view.reservations.get(id);
    if (viewed === undefined) {
      reportReservation(look, DriftKind.MISSING, id, 'none', describeStored(look, reservation));
      continue;
    }
    if (isAlike(look, viewed, reservation)) continue;
    const isUnconfirmed = reservation.remainingMs === null && viewed.endMs !== 0;
    const kind = isUnconfirmed ? DriftKind.UNCONFIRMED : DriftKind.RESERVATION;
    reportReservation(look, kind, id, describeViewed(viewed), describeStored(look, reservation));
  }
  // Made for the first one: in the rule there is none.
  let versionOf: ReadonlyMap<number, number> | null = null;
  for (const [id, viewed] of view.reservations) {
    if (look.steps.isOver()) yield;
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

function* compareSeats(look: Look): Generator<void, void> {
  const { snapshot, view } = look;
  let known = 0;
  for (const { seat, status, version } of snapshot.seats) {
    if (look.steps.isOver()) yield;
    const viewed = view.seats.get(seat);
    if (viewed !== undefined) known++;
    const owner = status === SeatStatus.AVAILABLE ? '' : (snapshot.ownerOf.get(seat) ?? '');
    const state = owner === '' ? 'A' : status === SeatStatus.HELD ? 'H' : 'O';
    const redis = viewed ?? untouched;
    if (redis.version === version && redis.state === state && redis.owner === owner) continue;
    reportSeat(look, seat, redis, { state, version, owner });
  }
  if (known === view.seats.size) return;
  const changed = new Set(snapshot.seats.map(({ seat }) => seat));
  for (const [seat, viewed] of view.seats) {
    if (look.steps.isOver()) yield;
    if (!changed.has(seat)) reportSeat(look, seat, viewed, untouched);
  }
}

/** A seat that was never changed. */
const untouched: ViewedSeat = { state: 'A', version: 0, owner: '' };

function reportSeat(look: Look, seat: number, redis: ViewedSeat, mysql: ViewedSeat): void {
  if (look.movingSeats.has(seat)) return;
  for (const { owner } of [redis, mysql]) if (look.moving.has(owner) || look.reported.has(owner)) return;
  report(look, DriftKind.SEAT, `seat ${seat}`, describeSeat(redis), describeSeat(mysql));
}

const stateNames: Readonly<Record<string, string>> = { A: 'available', H: 'held', O: 'occupied' };

function describeSeat({ state, version, owner }: ViewedSeat): string {
  return `${stateNames[state] ?? state} at version ${version}${owner === '' ? '' : ` by ${owner}`}`;
}

/** Between two parts of Redis: the reservations have been compared with MySQL. */
function* compareUsers(look: Look): Generator<void, void> {
  const { view, moving, reported } = look;
  for (const [id, { userId }] of view.reservations) {
    if (look.steps.isOver()) yield;
    if (moving.has(id) || reported.has(id) || view.users.get(userId)?.includes(id) === true) continue;
    report(look, DriftKind.USER, `user ${userId}`, `no slot for ${id}`, 'live');
  }
  for (const [userId, ids] of view.users) {
    if (look.steps.isOver()) yield;
    for (const id of ids) {
      if (moving.has(id) || reported.has(id) || view.reservations.get(id)?.userId === userId) continue;
      report(look, DriftKind.USER, `user ${userId}`, `a slot for ${id}`, 'not live');
    }
  }
}

function* compareExpiry(look: Look): Generator<void, void> {
  const { view, moving, reported } = look;
  for (const [id, { endMs }] of view.reservations) {
    if (look.steps.isOver()) yield;
    if (moving.has(id) || reported.has(id) || endMs === 0 || view.expiry.get(id) === endMs) continue;
    report(look, DriftKind.EXPIRY, `reservation ${id}`, 'no end, or another one', 'held');
  }
  for (const id of view.expiry.keys()) {
    if (look.steps.isOver()) yield;
    if (moving.has(id) || reported.has(id) || (view.reservations.get(id)?.endMs ?? 0) !== 0) continue;
    report(look, DriftKind.EXPIRY, `reservation ${id}`, 'an end', 'not held');
  }
}

/** The sum of the parts, which means something only where they are of one moment. A party of seats has the size 0. */
function* compareRemaining({ view, differences, steps }: Look): Generator<void, void> {
  if (!view.isStill) return;
  let taken = 0;
  for (const { state } of view.seats.values()) {
    if (steps.isOver()) yield;
    if (state !== 'A') taken++;
  }
  for (const { partySize } of view.reservations.values()) {
    if (steps.isOver()) yield;
    taken += partySize;
  }
  const free = view.places - taken;
  if (view.remaining === free) return;
  const redis = `${view.remaining} said to remain`;
  differences.push({ kind: DriftKind.REMAINING, subject: 'places', redis, mysql: `${free} that nobody has` });
}
