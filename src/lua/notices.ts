/** What users are told of their own reservations, on whichever gateway their socket is. */
import type { RedisConnection } from './connection.ts';
import { reservationsChannel } from './keys.ts';
import { publish } from './subscriber.ts';

export interface ReservationNotice {
  readonly userId: number;
  readonly reservationId: string;
  readonly kind: 'expired' | 'confirmed';
}

/** Tells every gateway. Whoever is not connected reads it from the reservation. Rejects with StoreUnavailable. */
export async function publishNotices(
  connection: RedisConnection,
  notices: readonly ReservationNotice[],
): Promise<void> {
  await publish(connection, reservationsChannel, JSON.stringify(notices));
}

/** Reads a message of `reservationsChannel`. */
export function parseNotices(message: Buffer): readonly ReservationNotice[] {
  return JSON.parse(message.toString()) as ReservationNotice[];
}
