/** Reading warm performances: the seat map and the places left. */
import { type SeatStatus, seatStatusName } from '../domain/reservation.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';
import { scriptPackr } from './journal.ts';
import { performanceKeys } from './keys.ts';
import { timeCall, watchSeatsCall } from './scripts.ts';

/** The places left of each performance; null where it is not warm. Rejects with StoreUnavailable. */
export async function readRemaining(
  connection: RedisConnection,
  performanceIds: readonly number[],
): Promise<(number | null)[]> {
  try {
    const { client } = connection;
    const replies = await Promise.all(performanceIds.map((id) => client.hget(performanceKeys(id).meta, 'remaining')));
    return replies.map((reply) => (reply === null ? null : Number(reply)));
  } catch (thrown) {
    throw new StoreUnavailable('redis', thrown);
  }
}

/** Names one state of a performance's seats; null when it is not warm. Rejects with StoreUnavailable. */
export async function readRevision(connection: RedisConnection, performanceId: number): Promise<string | null> {
  try {
    const [load, revision] = await connection.client.hmget(performanceKeys(performanceId).meta, 'load', 'revision');
    return load === null || load === undefined ? null : `${load}-${revision}`;
  } catch (thrown) {
    throw new StoreUnavailable('redis', thrown);
  }
}

const statusOfState: Readonly<Record<string, SeatStatus>> = { A: 'AVAILABLE', H: 'HELD', O: 'OCCUPIED' };

/**
 * Seats that are not available; the others of a warm performance are. A hold that could be taken over counts as none, as it
 * does in hold.lua. Rejects with StoreUnavailable.
 */
export async function readTakenSeats(
  connection: RedisConnection,
  performanceId: number,
): Promise<Map<number, SeatStatus>> {
  try {
    const keys = performanceKeys(performanceId);
    const [values, time] = await Promise.all([
      connection.client.hgetall(keys.seats),
      connection.runOne(timeCall(keys)),
    ]);
    const nowMs = Number(time);
    const taken = new Map<number, SeatStatus>();
    for (const seat in values) {
      const [state, , endMs] = values[seat]!.split(' ');
      const status = statusOfState[state ?? 'A'];
      if (status === undefined || status === 'AVAILABLE') continue;
      if (status === 'HELD' && Number(endMs) <= nowMs) continue;
      taken.set(Number(seat), status);
    }
    return taken;
  } catch (thrown) {
    throw new StoreUnavailable('redis', thrown);
  }
}

/**
 * Says that somebody watches the seats: changes are published for `forMs` from now. Returns the revision of the seats, null
 * when the performance is not warm. Rejects with StoreUnavailable.
 */
export async function watchSeats(
  connection: RedisConnection,
  performanceId: number,
  forMs: number,
): Promise<number | null> {
  const reply = await connection.runOne(watchSeatsCall(performanceKeys(performanceId), forMs));
  return typeof reply === 'number' ? reply : null;
}

/** Changes of the seats of a performance, in order; revision -1: they must be read anew. */
export interface SeatNews {
  readonly revision: number;
  readonly changes: readonly (readonly [seat: number, status: SeatStatus])[];
}

/** Reads what hold.lua and release.lua publish. Throws on a message of another form. */
export function parseSeatNews(message: Buffer): SeatNews {
  const [revision, pairs]: [number, number[]] = scriptPackr.unpack(message);
  const changes: [number, SeatStatus][] = [];
  for (let i = 0; i < pairs.length; i += 2) changes.push([pairs[i]!, seatStatusName(pairs[i + 1]!)]);
  return { revision, changes };
}
