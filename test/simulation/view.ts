/** What the fake of Redis says of a performance, in the words of src/domain/drift.ts. */
import type { ArbiterView } from '../../src/domain/drift.ts';
import type { MemoryRedis } from './memory-redis.ts';

/** Null when the performance is not warm. */
export function viewOf(redis: MemoryRedis, performanceId: number): ArbiterView | null {
  const { meta, seats, reservations, users, expiry, journal } = redis.of(performanceId);
  if (meta === null) return null;
  return {
    isSeated: meta.kind === 'seated',
    places: meta.places,
    remaining: meta.remaining,
    nowMs: redis.nowMs(),
    isStill: true,
    seats: new Map(seats),
    reservations: new Map(reservations),
    users: new Map(users),
    expiry: new Map(expiry.entries().map(({ member, score }) => [member, score])),
    journal: journal.flatMap(({ holds }) => holds),
  };
}
