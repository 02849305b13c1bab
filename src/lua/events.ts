/** The stream `fastpass:events`: what happened, for other services, at least once and in the order of each reservation. */
import type { Appended, OutboxRow } from '../domain/account.ts';
import type { RedisConnection } from './connection.ts';
import { appendEventsCall } from './scripts.ts';

/**
 * Appends the events of rows in order, each with the id `<row>-<number within it>`: consumers drop what they have seen. All
 * of a row or nothing, and nothing behind a row that is none. Rejects with StoreUnavailable: all may have been appended.
 */
export async function appendEvents(connection: RedisConnection, rows: readonly OutboxRow[]): Promise<Appended> {
  const [count, events] = (await connection.runOne(appendEventsCall(rows))) as [number, number];
  return { rows: count, events };
}
