/** Reading warm performances: the seat map and the places left. */
import type { SeatStatus } from '../domain/reservation.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';
import { performanceKeys } from './keys.ts';

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

/** Seats that are not available; the others of a warm performance are. Rejects with StoreUnavailable. */
export async function readTakenSeats(
  connection: RedisConnection,
  performanceId: number,
): Promise<Map<number, SeatStatus>> {
  try {
    const values = await connection.client.hgetall(performanceKeys(performanceId).seats);
    const taken = new Map<number, SeatStatus>();
    for (const seat in values) {
      const status = statusOfState[values[seat]!.slice(0, 1)];
      if (status !== undefined && status !== 'AVAILABLE') taken.set(Number(seat), status);
    }
    return taken;
  } catch (thrown) {
    throw new StoreUnavailable('redis', thrown);
  }
}
