/** The keys of the ways in Redis; all begin alike, so that they can be removed. */
import type { Hold } from './contract.ts';

export const keyPrefix = 'ways:';

export const lockKey = ({ sale, seat }: Hold): string => `${keyPrefix}lock:${sale.performanceId}:${seat}`;

/** Hash: the reservation that has a seat, by the number of the seat. */
export const seatsKey = (performanceId: number): string => `${keyPrefix}seats:${performanceId}`;

/** Hash: `user:seat:amount`, by reservation. */
export const reservationsKey = (performanceId: number): string => `${keyPrefix}reservations:${performanceId}`;

/** Sorted set: reservations by the time they end. */
export const endsKey = (performanceId: number): string => `${keyPrefix}ends:${performanceId}`;

/** Stream of holds that are asked for, and the channel of what became of them. */
export const streamKey = `${keyPrefix}asked`;
export const repliesChannel = `${keyPrefix}replies`;
