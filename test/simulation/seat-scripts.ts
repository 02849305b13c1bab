/**
 * The scripts that decide about seats and places, on MemoryRedis: one function a file of src/lua, which says what it does.
 * A reading of its own of what the heads of those files promise; arbiter-differential.test.ts compares the two.
 */
import type { HoldRequest, SeatStatus } from '../../src/domain/reservation.ts';
import type { RoomSettings } from '../../src/domain/waiting-room.ts';
import { HoldCode, type HoldReply, type HoldResult } from '../../src/lua/decisions.ts';
import type { SeatNews } from '../../src/lua/seats.ts';
import type { JournalledHold, MemoryRedis, Meta, PerformanceData, Reserved, Told } from './memory-redis.ts';
import { setRoom } from './room-scripts.ts';
import type { SortedSet } from './sorted-set.ts';

/** Seats as they change; null while nobody watches. */
type Changes = [number, SeatStatus][] | null;

const dueMax = 1000;
const entriesSearchedMax = 1000;
const readAnew: SeatNews = { revision: -1, changes: [] };

/** release.lua and watch-seats.lua know whole seconds only. */
function secondMs(redis: MemoryRedis): number {
  return Math.floor(redis.nowMs() / 1000) * 1000;
}

function changesFrom(meta: Meta | null, nowMs: number): Changes {
  return meta?.watchedUntil !== undefined && meta.watchedUntil > nowMs ? [] : null;
}

/** Writes the next revision and what else of meta has changed, and tells those who watch. */
function tellNext(redis: MemoryRedis, performanceId: number, fields: Partial<Meta>, changes: Changes): void {
  const data = redis.of(performanceId);
  const revision = data.meta!.revision + 1;
  data.meta = { ...data.meta!, ...fields, revision };
  if (changes !== null) redis.news.seats(performanceId, { revision, changes });
}

/** include/give-back.lua: `versions` are of MySQL, by seat. Returns the number of places freed. */
function giveBack(
  data: PerformanceData,
  id: string,
  { userId, partySize, seats }: Reserved,
  versions: ReadonlyMap<number, number>,
  changes: Changes,
): number {
  let freed = partySize;
  for (const seat of seats) {
    const stored = data.seats.get(seat);
    if (stored?.owner !== id) continue;
    const version = versions.get(seat) ?? stored.version + 1;
    data.seats.set(seat, { state: 'A', version, endMs: 0, owner: '' });
    freed++;
    changes?.push([seat, 'AVAILABLE']);
  }
  const rest = (data.users.get(userId) ?? []).filter((other) => other !== id);
  if (rest.length === 0) data.users.delete(userId);
  else data.users.set(userId, rest);
  data.reservations.delete(id);
  data.expiry.delete(id);
  return freed;
}

const unsureMs = 60_000;

const ofThemselves: ReadonlyMap<number, number> = new Map();

/** include/end-pass.lua */
function endPass(data: PerformanceData, userId: number, reservationId: string): void {
  if (data.used.get(userId) !== reservationId) return;
  data.used.delete(userId);
  data.active.delete(userId);
  const ticket = data.tickets.get(userId);
  if (ticket?.state === 'N') data.tickets.set(userId, { ...ticket, state: 'L' });
}

/** One call of hold.lua. */
class Holding {
  readonly #data: PerformanceData;
  readonly #meta: Meta;
  readonly #nowMs: number;
  readonly #finishMs: number;
  readonly changes: Changes;
  readonly granted: JournalledHold[] = [];
  remaining: number;
  /** Places were taken over in this call. */
  hasTakenOver = false;

  constructor(data: PerformanceData, meta: Meta, nowMs: number) {
    this.#data = data;
    this.#meta = meta;
    this.#nowMs = nowMs;
    this.#finishMs = nowMs + meta.holdSeconds * 1000 + meta.grace;
    this.changes = changesFrom(meta, nowMs);
    this.remaining = meta.remaining;
  }

  decide(request: HoldRequest): HoldResult {
    const { reservationId, userId, partySize, seats } = request;
    const { kind, opensAt, closesAt, partyMax, perUser } = this.#meta;
    const before = this.#data.reservations.get(reservationId);
    if (before !== undefined) return this.#grantedBefore(reservationId, before, seats);
    const refusal = this.#refuseByPass(request);
    if (refusal !== null) return refusal;
    if (this.#nowMs < opensAt) return [HoldCode.notOpen];
    if (closesAt > 0 && this.#nowMs >= closesAt) return [HoldCode.closed];
    if ((kind === 'seated') !== (partySize === 0)) return [HoldCode.wrongKind];
    if (partySize > partyMax) return [HoldCode.partyTooLarge, partyMax];
    const live = (this.#data.users.get(userId) ?? []).filter((id) => this.#lives(id));
    if (live.length >= perUser) return [HoldCode.alreadyReserved, live[0]];
    const used = this.#meta.queue ? this.#data.used.get(userId) : undefined;
    if (used !== undefined && used !== reservationId && this.#lives(used)) return [HoldCode.passInvalid];
    return kind === 'seated' ? this.#takeSeats(request) : this.#takePlaces(request);
  }

  #grantedBefore(id: string, { endMs }: Reserved, seats: readonly number[]): HoldResult {
    const versions = seats.map((seat) => this.#data.seats.get(seat)?.version ?? 0);
    const entries = this.#data.journal.slice(-entriesSearchedMax).reverse();
    const granted = entries.flatMap(({ holds }) => holds).find(({ reservationId }) => reservationId === id);
    const supersedes = granted?.supersedes ?? [];
    return [HoldCode.heldBefore, endMs === 0 ? 0 : endMs - this.#meta.grace, versions, supersedes];
  }

  #refuseByPass({ userId, pass }: HoldRequest): HoldResult | null {
    if (!this.#meta.queue) return null;
    if (pass === 0) return [HoldCode.passRequired];
    const ticket = this.#data.tickets.get(userId);
    const endMs = this.#data.active.scoreOf(userId);
    const isGood = pass > 0 && ticket?.state === 'N' && ticket.number === pass && (endMs ?? 0) > this.#nowMs;
    return isGood ? null : [HoldCode.passInvalid];
  }

  /** Held and not over, or confirmed. */
  #lives(id: string): boolean {
    const endMs = this.#data.reservations.get(id)?.endMs;
    return endMs !== undefined && (endMs === 0 || endMs > this.#nowMs);
  }

  #takeSeats(request: HoldRequest): HoldResult {
    const unknown = request.seats.filter((seat) => seat > this.#meta.places);
    if (unknown.length > 0) return [HoldCode.noSeat, ...unknown];
    const taken: number[] = [];
    const lapsed = new Set<string>();
    const versions: number[] = [];
    for (const seat of request.seats) {
      const stored = this.#data.seats.get(seat);
      if (stored === undefined || stored.state === 'A') versions.push((stored?.version ?? 0) + 1);
      else if (stored.state === 'H' && stored.endMs <= this.#nowMs) {
        // Once for the release, once for the hold.
        versions.push(stored.version + 2);
        lapsed.add(stored.owner);
      } else taken.push(seat);
    }
    return taken.length > 0 ? [HoldCode.seatTaken, ...taken] : this.#grant(request, versions, [...lapsed]);
  }

  #takePlaces(request: HoldRequest): HoldResult {
    let free = this.remaining;
    const lapsed: string[] = [];
    if (free < request.partySize) {
      for (const id of this.#data.expiry.upTo(this.#nowMs, dueMax)) {
        const stored = this.#data.reservations.get(id);
        if (stored === undefined) continue;
        lapsed.push(id);
        free += stored.partySize;
        if (free >= request.partySize) break;
      }
    }
    return free < request.partySize ? [HoldCode.soldOut] : this.#grant(request, [], lapsed);
  }

  #grant(request: HoldRequest, versions: readonly number[], supersedes: readonly string[]): HoldResult {
    const { reservationId, userId, partySize, seats } = request;
    const data = this.#data;
    const endMs = this.#finishMs;
    if (supersedes.length > 0) this.hasTakenOver = true;
    for (const id of supersedes) {
      const lapsed = data.reservations.get(id);
      if (lapsed !== undefined) this.remaining += giveBack(data, id, lapsed, ofThemselves, this.changes);
    }
    for (const [i, seat] of seats.entries()) {
      data.seats.set(seat, { state: 'H', version: versions[i]!, endMs, owner: reservationId });
      this.changes?.push([seat, 'HELD']);
    }
    if (this.#meta.queue) {
      data.used.set(userId, reservationId);
      data.active.set(userId, Math.max(endMs - this.#meta.grace, data.active.scoreOf(userId) ?? 0));
    }
    data.reservations.set(reservationId, { userId, endMs, partySize, seats });
    data.users.set(userId, [...(data.users.get(userId) ?? []), reservationId]);
    if (partySize > 0) data.expiry.set(reservationId, endMs);
    const count = partySize > 0 ? partySize : seats.length;
    this.remaining -= count;
    const amount = count * this.#meta.price;
    this.granted.push({ reservationId, userId, partySize, seats, versions, amount, supersedes });
    return [HoldCode.held, versions, supersedes];
  }
}

/** XADD with an id that the clock makes. Returns the id. */
function append(data: PerformanceData, nowMs: number, endMs: number, holds: readonly JournalledHold[]): string {
  const { ms, sequence } = data.lastEntry;
  data.lastEntry = nowMs > ms ? { ms: nowMs, sequence: 0 } : { ms, sequence: sequence + 1 };
  data.journal.push({ ...data.lastEntry, endMs, holds });
  return entryIdOf(data.lastEntry);
}

/** An entry's id as Redis writes it. */
export function entryIdOf({ ms, sequence }: { readonly ms: number; readonly sequence: number }): string {
  return `${ms}-${sequence}`;
}

/** include/mark-unsure.lua */
function markUnsure(redis: MemoryRedis, data: PerformanceData): void {
  if (data.meta !== null) data.meta = { ...data.meta, unsureUntil: secondMs(redis) + unsureMs };
}

/** hold.lua; null when the performance is not warm. */
export function hold(redis: MemoryRedis, performanceId: number, requests: readonly HoldRequest[]): HoldReply | null {
  const data = redis.of(performanceId);
  if (data.meta === null) return null;
  const { price, holdSeconds } = data.meta;
  const nowMs = redis.nowMs();
  const endMs = nowMs + holdSeconds * 1000;
  const holding = new Holding(data, data.meta, nowMs);
  const results = requests.map((request) => holding.decide(request));
  const { remaining, granted, changes, hasTakenOver } = holding;
  if (hasTakenOver) markUnsure(redis, data);
  const isUnsure = (data.meta.unsureUntil ?? 0) > nowMs;
  let journalId = '';
  if (granted.length > 0) {
    journalId = append(data, nowMs, endMs, granted);
    tellNext(redis, performanceId, { remaining }, changes);
  }
  return [remaining, price, holdSeconds, endMs, journalId, results, isUnsure ? 1 : 0];
}

/** What release.lua and confirm.lua are told of one reservation. */
function versionsOf(seatVersions: readonly number[]): Map<number, number> {
  const versions = new Map<number, number>();
  for (let i = 0; i < seatVersions.length; i += 2) versions.set(seatVersions[i]!, seatVersions[i + 1]!);
  return versions;
}

/** include/apply-release.lua */
function applyRelease(data: PerformanceData, { reservationId, seatVersions }: Told, changes: Changes): number {
  const stored = data.reservations.get(reservationId);
  return stored === undefined ? 0 : giveBack(data, reservationId, stored, versionsOf(seatVersions), changes);
}

/** include/apply-sale.lua */
function applySale(data: PerformanceData, { reservationId, seatVersions }: Told, changes: Changes): boolean {
  const stored = data.reservations.get(reservationId);
  if (stored === undefined) return false;
  data.reservations.set(reservationId, { ...stored, endMs: 0 });
  data.expiry.delete(reservationId);
  for (const [seat, version] of versionsOf(seatVersions)) {
    if (data.seats.get(seat)?.owner !== reservationId) continue;
    data.seats.set(seat, { state: 'O', version, endMs: 0, owner: reservationId });
    changes?.push([seat, 'OCCUPIED']);
  }
  return true;
}

/** release.lua: the places remaining, -1 when the performance is not warm. */
export function release(redis: MemoryRedis, performanceId: number, releases: readonly Told[]): number {
  const data = redis.of(performanceId);
  for (const { userId, reservationId, endsPass } of releases) if (endsPass) endPass(data, userId, reservationId);
  if (data.meta === null) {
    redis.tellLate(data, 'release', releases);
    return -1;
  }
  const changes = changesFrom(data.meta, secondMs(redis));
  let freed = 0;
  for (const each of releases) freed += applyRelease(data, each, changes);
  const remaining = data.meta.remaining + freed;
  if (freed > 0) tellNext(redis, performanceId, { remaining }, changes);
  return remaining;
}

/** confirm.lua: the sales found here, -1 when the performance is not warm. A sale always ends the pass. */
export function confirm(redis: MemoryRedis, performanceId: number, sales: readonly Omit<Told, 'endsPass'>[]): number {
  const data = redis.of(performanceId);
  for (const { userId, reservationId } of sales) endPass(data, userId, reservationId);
  const told = sales.map((sale) => ({ ...sale, endsPass: true }));
  if (data.meta === null) {
    redis.tellLate(data, 'sale', told);
    return -1;
  }
  const changes = changesFrom(data.meta, secondMs(redis));
  let found = 0;
  for (const each of told) if (applySale(data, each, changes)) found++;
  if (found > 0) tellNext(redis, performanceId, {}, changes);
  return found;
}

/** cool.lua: true when the performance is cold by this call. */
export function cool(redis: MemoryRedis, performanceId: number, reservationIds: readonly string[]): boolean {
  const data = redis.of(performanceId);
  let isHeld = reservationIds.length === 0;
  for (const id of reservationIds) {
    const stored = data.reservations.get(id);
    if (stored === undefined) continue;
    giveBack(data, id, stored, ofThemselves, null);
    isHeld = true;
  }
  if (!isHeld || data.meta === null) return false;
  data.meta = null;
  redis.news.seats(performanceId, readAnew);
  return true;
}

/** forget.lua */
export function forget(redis: MemoryRedis, performanceId: number, entryIds: readonly string[]): void {
  const data = redis.of(performanceId);
  if (data.meta === null) redis.makeVoid(data);
  const gone = new Set(entryIds);
  data.journal = data.journal.filter((entry) => !gone.has(entryIdOf(entry)));
}

/** What a load puts in place. */
export interface Loaded {
  readonly meta: Meta;
  readonly seats: PerformanceData['seats'];
  readonly reservations: PerformanceData['reservations'];
  readonly users: PerformanceData['users'];
  readonly expiry: SortedSet<string>;
  readonly room: { readonly revision: number; readonly issued: number; readonly settings: RoomSettings } | null;
}

/** warm.lua, of which the load is whole always: it is put in place in the call that brings it. */
export function warm(
  redis: MemoryRedis,
  performanceId: number,
  voidBefore: string,
  loaded: Loaded,
): 'warmed' | 'already' | 'void' {
  const data = redis.of(performanceId);
  if (data.meta !== null) return 'already';
  if (redis.voidOf(data) !== voidBefore) return 'void';
  const { meta, seats, reservations, users, expiry, room } = loaded;
  Object.assign(data, { seats, reservations, users, expiry });
  if (room !== null) {
    setRoom(data, room.revision, room.settings);
    if (data.queue !== null) data.queue = { ...data.queue, issued: data.queue.issued ?? room.issued };
  }
  let replayed = 0;
  let hasTakenOver = false;
  const onTakenOver = (): void => {
    hasTakenOver = true;
  };
  for (const { endMs, holds } of data.journal)
    for (const hold of holds) replayed += replay(data, endMs + meta.grace, hold, onTakenOver);
  for (const { kind, told } of redis.lateOf(data)) {
    if (kind === 'release') replayed -= applyRelease(data, told, null);
    else applySale(data, told, null);
  }
  data.late = null;
  const isQueue = data.queue?.mode === 'on';
  data.meta = { ...meta, ...(isQueue ? { queue: true } : {}), remaining: meta.remaining - replayed };
  if (hasTakenOver) markUnsure(redis, data);
  redis.news.seats(performanceId, readAnew);
  return 'warmed';
}

/** Puts a hold back that Redis granted and MySQL does not have. Returns the places it takes, less those that come free. */
function replay(data: PerformanceData, endMs: number, hold: JournalledHold, onTakenOver: () => void): number {
  const { reservationId, userId, partySize, seats, versions, supersedes } = hold;
  if (data.reservations.has(reservationId)) return 0;
  let freed = 0;
  for (const id of supersedes) {
    const stored = data.reservations.get(id);
    // One that was paid meanwhile stays.
    if (stored === undefined || stored.endMs === 0) continue;
    onTakenOver();
    freed += giveBack(data, id, stored, ofThemselves, null);
  }
  const isFree = seats.every((seat, i) => {
    const { state, version } = data.seats.get(seat) ?? { state: 'A', version: 0 };
    return state === 'A' && version === versions[i]! - 1;
  });
  if (!isFree) return -freed;
  for (const [i, seat] of seats.entries()) {
    data.seats.set(seat, { state: 'H', version: versions[i]!, endMs, owner: reservationId });
  }
  data.reservations.set(reservationId, { userId, endMs, partySize, seats });
  data.users.set(userId, [...(data.users.get(userId) ?? []), reservationId]);
  if (partySize > 0) data.expiry.set(reservationId, endMs);
  return (partySize > 0 ? partySize : seats.length) - freed;
}

/** watch-seats.lua: the revision of the seats, null when the performance is not warm. */
export function watchSeats(redis: MemoryRedis, performanceId: number, forMs: number): number | null {
  const data = redis.of(performanceId);
  if (data.meta === null) return null;
  data.meta = { ...data.meta, watchedUntil: secondMs(redis) + forMs };
  return data.meta.revision;
}
