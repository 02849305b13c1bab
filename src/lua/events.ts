/** The stream `fastpass:events`: what happened, for other services, at least once and in the order of each reservation. */
import type { OutboxEvent } from '../domain/account.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';
import { eventsKey } from './keys.ts';

/** Kept in the stream, about: a consumer group may be that far behind. */
const eventsKeptMax = 1_000_000;

export interface NumberedEvent extends OutboxEvent {
  /** The same when it is told again: consumers drop what they have seen. */
  readonly eventId: string;
}

/** Appends events in order. Rejects with StoreUnavailable: some may have been appended. */
export async function appendEvents(connection: RedisConnection, events: readonly NumberedEvent[]): Promise<void> {
  try {
    const pipeline = connection.client.pipeline();
    for (const { eventId, kind, reservationId, performanceId, userId, amount } of events) {
      const fields = ['id', eventId, 'type', kind, 'reservationId', reservationId];
      fields.push('performanceId', String(performanceId), 'userId', String(userId));
      if (amount !== undefined) fields.push('amount', String(amount));
      pipeline.xadd(eventsKey, 'MAXLEN', '~', eventsKeptMax, '*', ...fields);
    }
    for (const [error] of (await pipeline.exec()) ?? []) if (error !== null) throw error;
  } catch (thrown) {
    throw new StoreUnavailable('redis', thrown);
  }
}
