/** What users are told of their own reservations, on whichever gateway their socket is. */
import type { Release } from '../domain/reservation.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';
import { reservationsChannel } from './keys.ts';

export interface ReservationNotice {
  readonly userId: number;
  readonly reservationId: string;
  readonly kind: 'expired' | 'confirmed';
}

/** Tells every gateway. Whoever is not connected reads it from the reservation. Rejects with StoreUnavailable. */
export async function publishExpired(connection: RedisConnection, releases: readonly Release[]): Promise<void> {
  const notices: ReservationNotice[] = releases.map(({ userId, reservationId }) => {
    return { userId, reservationId, kind: 'expired' };
  });
  try {
    await connection.client.publish(reservationsChannel, JSON.stringify(notices));
  } catch (thrown) {
    throw new StoreUnavailable('redis', thrown);
  }
}

/** Reads a message of `reservationsChannel`. */
export function parseNotices(message: Buffer): readonly ReservationNotice[] {
  return JSON.parse(message.toString()) as ReservationNotice[];
}
