/** The stream `fastpass:events`: what happened, for other services, at least once and in the order of each reservation. */
import type { OutboxRow } from '../domain/account.ts';
import type { RedisConnection } from './connection.ts';
import { appendEventsCall } from './scripts.ts';

/**
 * Appends the events of rows in order, each with the id `<row>-<number within it>`: consumers drop what they have seen.
 * Returns how many. Rejects with StoreUnavailable: some may have been appended.
 */
export async function appendEvents(connection: RedisConnection, rows: readonly OutboxRow[]): Promise<number> {
  let count = 0;
  // A call a row, so that no call stops Redis for longer than the events of one transaction take.
  for (const reply of await connection.run(rows.map(appendEventsCall))) {
    if (reply instanceof Error) throw reply;
    count += Number(reply);
  }
  return count;
}
