/** Puts a performance read from MySQL into Redis: hashes under keys of its own first, then one script in one step. */
import { randomUUID } from 'node:crypto';
import { placesOf } from '../domain/performance.ts';
import { SeatStatus } from '../domain/reservation.ts';
import type { Snapshot } from '../domain/snapshot.ts';
import type { LoadResult, LoadStart, LoadStore } from '../domain/stores.ts';
import type { Room } from '../domain/waiting-room.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';
import { scriptPackr } from './journal.ts';
import { loadKeys, performanceKeys, roomsKey, warmPerformancesKey } from './keys.ts';
import { roomFields } from './rooms.ts';
import { timeCall, warmCall } from './scripts.ts';

const fieldsPerCommandMax = 500;
/** A load that dies halfway leaves nothing for longer. */
const loadKeysExpireSeconds = 60;

/**
 * For how long Redis keeps a place beyond the end that its holder was told. MySQL counts from the commit on and sells to the
 * holder until then: somebody else who was let in before would have been told 201 for a place that is sold.
 */
const graceMsDefault = 2000;

/** The fields of the four hashes, as hold.lua describes them. */
function hashesOf(
  snapshot: Snapshot,
  nowMs: number,
  graceMs: number,
): { seats: string[]; reservations: string[]; users: string[]; expiry: string[] } {
  const seatsOf = new Map<string, number[]>();
  for (const [seat, reservationId] of snapshot.ownerOf) {
    const seats = seatsOf.get(reservationId);
    if (seats === undefined) seatsOf.set(reservationId, [seat]);
    else seats.push(seat);
  }
  const endOf = new Map<string, number>();
  const idsOf = new Map<number, string[]>();
  const reservations: string[] = [];
  const expiry: string[] = [];
  for (const { reservationId, userId, partySize, remainingMs } of snapshot.reservations) {
    // The rest of the hold travels as a duration: the clocks of MySQL and Redis are never compared.
    const endMs = remainingMs === null ? 0 : nowMs + remainingMs + graceMs;
    endOf.set(reservationId, endMs);
    const ids = idsOf.get(userId);
    if (ids === undefined) idsOf.set(userId, [reservationId]);
    else ids.push(reservationId);
    const seats = (seatsOf.get(reservationId) ?? []).join(',');
    reservations.push(reservationId, `${userId} ${endMs} ${partySize} ${seats}`);
    if (partySize > 0 && remainingMs !== null) expiry.push(String(endMs), reservationId);
  }
  const seats: string[] = [];
  for (const { seat, status, version } of snapshot.seats) {
    const reservationId = snapshot.ownerOf.get(seat);
    if (status === SeatStatus.AVAILABLE || reservationId === undefined) seats.push(String(seat), `A ${version}`);
    else {
      const state = status === SeatStatus.HELD ? 'H' : 'O';
      seats.push(String(seat), `${state} ${version} ${endOf.get(reservationId) ?? 0} ${reservationId}`);
    }
  }
  const users: string[] = [];
  for (const [userId, ids] of idsOf) users.push(String(userId), ids.join(' '));
  return { seats, reservations, users, expiry };
}

function remainingOf(snapshot: Snapshot): number {
  const { performance, seats, reservations } = snapshot;
  let taken = 0;
  if (performance.seating.kind === 'seated') {
    for (const seat of seats) if (seat.status !== SeatStatus.AVAILABLE) taken++;
  } else {
    for (const reservation of reservations) taken += reservation.partySize;
  }
  return placesOf(performance) - taken;
}

/**
 * Tickets given out since MySQL was last told are fewer than this: numbers that go on behind them meet none of them.
 */
const issuedUnknownMax = 50_000;

/** The number behind which a room that Redis has lost goes on. */
export function issuedAfterLoss(room: Room): number {
  return room.issued === 0 ? 0 : room.issued + issuedUnknownMax;
}

/** The waiting room as warm.lua takes it. */
function packRoom(room: Room | null): Buffer {
  if (room === null) return Buffer.alloc(0);
  return scriptPackr.pack([room.revision, issuedAfterLoss(room), ...roomFields(room)]);
}

/** The fields of meta, see hold.lua. */
export function metaOf(snapshot: Snapshot, loadId: string, nowMs: number, graceMs: number) {
  const { performance } = snapshot;
  const { seating } = performance;
  return {
    kind: seating.kind,
    places: placesOf(performance),
    remaining: remainingOf(snapshot),
    price: performance.price,
    holdSeconds: performance.holdSeconds,
    perUser: performance.maxReservationsPerUser,
    partyMax: seating.kind === 'capacity' ? seating.maxPartySize : 0,
    opensAt: performance.bookingOpensAtMs ?? 0,
    closesAt: performance.bookingClosesAtMs ?? 0,
    grace: graceMs,
    load: loadId,
    // Not from 0 again: whoever missed the load must see a gap.
    revision: nowMs,
  };
}

/** Loads into real Redis. */
export class RedisLoadStore implements LoadStore {
  readonly #connection: RedisConnection;
  readonly #graceMs: number;
  /** When the connection was last to another server, by the loads under way. */
  readonly #brokenAtMs = new WeakMap<LoadStart, number>();

  /** `graceMs`: for how long a place is kept beyond the end its holder was told. */
  constructor(connection: RedisConnection, graceMs = graceMsDefault) {
    this.#connection = connection;
    this.#graceMs = graceMs;
  }

  async isWarm(performanceId: number): Promise<boolean> {
    try {
      return (await this.#connection.client.exists(performanceKeys(performanceId).meta)) === 1;
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  async startLoad(performanceId: number): Promise<LoadStart> {
    try {
      const { brokenAtMs } = this.#connection;
      const voidBefore = (await this.#connection.client.get(performanceKeys(performanceId).void)) ?? '';
      const start = { performanceId, voidBefore };
      this.#brokenAtMs.set(start, brokenAtMs);
      return start;
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  async finishLoad(start: LoadStart, snapshot: Snapshot): Promise<LoadResult> {
    const connection = this.#connection;
    const { performanceId, voidBefore } = start;
    // What the server knew of this load, or of others since, it may have forgotten: `void` too.
    if (connection.brokenAtMs !== (this.#brokenAtMs.get(start) ?? connection.brokenAtMs)) return 'void';
    const keys = performanceKeys(performanceId);
    const loadId = randomUUID();
    const loaded = loadKeys(performanceId, loadId);
    try {
      // By the clock of the node that will decide the holds.
      const nowMs = Number(await connection.runOne(timeCall(keys)));
      const hashes = hashesOf(snapshot, nowMs, this.#graceMs);
      const lists = [hashes.seats, hashes.reservations, hashes.users, hashes.expiry];
      await connection.client.sadd(warmPerformancesKey, performanceId);
      await this.#write(loaded, lists);
      const isLoaded = lists.map((fields) => fields.length > 0);
      const meta = Object.entries(metaOf(snapshot, loadId, nowMs, this.#graceMs))
        .flat()
        .map(String);
      const reply = await connection.runOne(
        warmCall(keys, loaded, voidBefore, isLoaded, packRoom(snapshot.room), meta),
      );
      if (reply === 1) return 'already';
      if (reply !== 0) return 'void';
      // Again: Redis may have been emptied since the first time, and the recovery looks at the journals named here only.
      await connection.client.sadd(warmPerformancesKey, performanceId);
      if (snapshot.room !== null) await connection.client.sadd(roomsKey, performanceId);
      return 'warmed';
    } catch (thrown) {
      throw thrown instanceof StoreUnavailable ? thrown : new StoreUnavailable('redis', thrown);
    }
  }

  /** Seats, reservations and users are hashes, expiry is a sorted set; they vanish by themselves if the load is given up. */
  async #write(keys: readonly string[], lists: readonly (readonly string[])[]): Promise<void> {
    const pipeline = this.#connection.client.pipeline();
    keys.forEach((key, k) => {
      const fields = lists[k]!;
      for (let first = 0; first < fields.length; first += fieldsPerCommandMax * 2) {
        const part = fields.slice(first, first + fieldsPerCommandMax * 2);
        if (k < 3) pipeline.hset(key, ...part);
        else pipeline.zadd(key, ...part);
      }
      if (fields.length > 0) pipeline.expire(key, loadKeysExpireSeconds);
    });
    for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
  }
}
