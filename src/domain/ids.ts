/** Reservation ids: UUIDv7, so that MySQL's primary key grows at its end and newest-first needs no other column. */
import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

// Random bytes for 512 ids at a time: 0.23 us an id instead of 1.4.
const randomPool = Buffer.alloc(16 * 512);
let randomUsed = randomPool.length;

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A new UUIDv7 in lower case. */
export function newReservationId(): string {
  if (randomUsed === randomPool.length) {
    randomFillSync(randomPool);
    randomUsed = 0;
  }
  const random = randomPool.subarray(randomUsed, randomUsed + 16);
  randomUsed += 16;
  return v7({ random });
}

/** True for a lower-case UUIDv7: the only form this project gives out. */
export function isReservationId(text: string): boolean {
  return text.length === 36 && uuidPattern.test(text);
}

/** The 16 bytes that BINARY(16) stores. */
export function uuidToBytes(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

/** The text of 16 bytes out of BINARY(16). */
export function uuidFromBytes(bytes: Buffer): string {
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** When a UUIDv7 was made, Unix milliseconds by its maker's clock. */
export function uuidTimeMs(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
