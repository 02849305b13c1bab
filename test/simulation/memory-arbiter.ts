/** The arbiter on MemoryRedis: what RedisHoldStore and the load are on Redis, without a network and without faults. */
import { type Hold, type Release, type Sale, SeatStatus } from '../../src/domain/reservation.ts';
import type { Snapshot } from '../../src/domain/snapshot.ts';
import type { HoldDecision, HoldGroup, HoldStore, LoadResult, LoadStart, LoadStore } from '../../src/domain/stores.ts';
import { decisionsFrom, type RemainingListener } from '../../src/lua/decisions.ts';
import { issuedAfterLoss, metaOf } from '../../src/lua/load.ts';
import type { Entry, MemoryRedis, Seat } from './memory-redis.ts';
import { confirm, cool, entryIdOf, forget, hold, type Loaded, release, warm } from './seat-scripts.ts';
import { SortedSet } from './sorted-set.ts';

/** The hashes of a snapshot, its rests of holds counted from `nowMs`. */
function loadedOf(snapshot: Snapshot, loadId: string, nowMs: number, graceMs: number): Loaded {
  const { reservations: live, ownerOf, room } = snapshot;
  const endOf = new Map<string, number>();
  for (const { reservationId, remainingMs } of live) {
    endOf.set(reservationId, remainingMs === null ? 0 : nowMs + remainingMs + graceMs);
  }
  const seatsOf = Map.groupBy([...ownerOf.keys()], (seat) => ownerOf.get(seat)!);
  const seats = new Map<number, Seat>();
  for (const { seat, status, version } of snapshot.seats) {
    const owner = ownerOf.get(seat);
    if (status === SeatStatus.AVAILABLE || owner === undefined) {
      seats.set(seat, { state: 'A', version, endMs: 0, owner: '' });
    } else {
      seats.set(seat, { state: status === SeatStatus.HELD ? 'H' : 'O', version, endMs: endOf.get(owner) ?? 0, owner });
    }
  }
  const reservations: Loaded['reservations'] = new Map();
  const users = new Map<number, string[]>();
  const expiry = new SortedSet<string>();
  for (const { reservationId, userId, partySize, remainingMs } of live) {
    const endMs = endOf.get(reservationId)!;
    reservations.set(reservationId, { userId, endMs, partySize, seats: seatsOf.get(reservationId) ?? [] });
    const ids = users.get(userId);
    if (ids === undefined) users.set(userId, [reservationId]);
    else ids.push(reservationId);
    if (partySize > 0 && remainingMs !== null) expiry.set(reservationId, endMs);
  }
  const meta = metaOf(snapshot, loadId, nowMs, graceMs);
  const loadedRoom = room && { revision: room.revision, issued: issuedAfterLoss(room), settings: room };
  return { meta, seats, reservations, users, expiry, room: loadedRoom };
}

function holdsOf(performanceId: number, entry: Entry, nowMs: number): Hold[] {
  const { endMs, holds } = entry;
  const journal = { id: entryIdOf(entry), open: holds.length };
  return holds.map((each) => ({ ...each, performanceId, holdMs: endMs - nowMs, expiresAtMs: endMs, journal }));
}

/** Every method does its work at once; none rejects. */
export class MemoryArbiter implements HoldStore, LoadStore {
  readonly #redis: MemoryRedis;
  readonly #onRemaining: RemainingListener;
  readonly #graceMs: number;

  /** `graceMs` as RedisLoadStore has it. */
  constructor(redis: MemoryRedis, onRemaining: RemainingListener = () => {}, graceMs = 0) {
    this.#redis = redis;
    this.#graceMs = graceMs;
    this.#onRemaining = onRemaining;
  }

  async hold(groups: readonly HoldGroup[]): Promise<HoldDecision[][]> {
    return groups.map((group) => {
      const reply = hold(this.#redis, group.performanceId, group.requests);
      if (reply === null) return group.requests.map(() => ({ kind: 'cold' }));
      return decisionsFrom(group, reply, this.#onRemaining);
    });
  }

  async release(releases: readonly Release[]): Promise<void> {
    for (const [performanceId, list] of Map.groupBy(releases, (each) => each.performanceId)) {
      const remaining = release(this.#redis, performanceId, list);
      if (remaining >= 0) this.#onRemaining(performanceId, remaining);
    }
  }

  async confirm(sales: readonly Sale[]): Promise<void> {
    for (const [performanceId, list] of Map.groupBy(sales, (each) => each.performanceId)) {
      confirm(this.#redis, performanceId, list);
    }
  }

  async cool(performanceId: number, reservationIds: readonly string[]): Promise<void> {
    cool(this.#redis, performanceId, reservationIds);
  }

  async forget(holds: readonly Hold[]): Promise<void> {
    const settled = holds.filter(({ journal }) => journal !== null && --journal.open <= 0);
    for (const [performanceId, list] of Map.groupBy(settled, (each) => each.performanceId)) {
      const entryIds = list.map(({ journal }) => journal!.id);
      forget(this.#redis, performanceId, entryIds);
    }
  }

  /** Of all performances, however many: RedisHoldStore takes 2,000 at a time. */
  async journal(ageMs: number, countMax: number): Promise<Hold[]> {
    const nowMs = this.#redis.nowMs();
    const performanceIds = [...this.#redis.warmed].sort((a, b) => a - b);
    return performanceIds.flatMap((performanceId) => {
      // Their ids grow: the first that is too young ends the list.
      const entries = this.#redis.of(performanceId).journal;
      const young = entries.findIndex(({ ms }) => ms > nowMs - ageMs);
      const old = entries.slice(0, Math.min(young < 0 ? entries.length : young, countMax));
      return old.flatMap((entry) => holdsOf(performanceId, entry, nowMs));
    });
  }

  async isWarm(performanceId: number): Promise<boolean> {
    return this.#redis.of(performanceId).meta !== null;
  }

  /** The places left as Redis shows them; null when the performance is not warm. */
  async remaining(performanceId: number): Promise<number | null> {
    return this.#redis.of(performanceId).meta?.remaining ?? null;
  }

  /** Call before the snapshot is read. */
  async startLoad(performanceId: number): Promise<LoadStart> {
    return { performanceId, voidBefore: this.#redis.voidOf(this.#redis.of(performanceId)) };
  }

  /** Makes the snapshot the truth of Redis, unless it is warm already or void. */
  async finishLoad({ performanceId, voidBefore }: LoadStart, snapshot: Snapshot): Promise<LoadResult> {
    const loaded = loadedOf(snapshot, this.#redis.newName(), this.#redis.nowMs(), this.#graceMs);
    this.#redis.warmed.add(performanceId);
    const result = warm(this.#redis, performanceId, voidBefore, loaded);
    if (result === 'warmed' && snapshot.room !== null) this.#redis.rooms.add(performanceId);
    return result;
  }
}
