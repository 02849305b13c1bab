/** The journal entries that hold.lua writes, one a script call and performance. */
import { Packr } from 'msgpackr';
import type { Hold } from '../domain/reservation.ts';

/** msgpack as both sides of the scripts speak it: plain arrays, 64-bit integers as numbers. */
export const scriptPackr = new Packr({ useRecords: false, int64AsType: 'number' });

/** `[reservationId, userId, partySize, seats, versions, amount, supersedes]`, see hold.lua. */
type JournalledHold = [string, string, number, number[], number[], number, string[]];

/**
 * Reads `[entryId, ['h', msgpack]]` of XRANGE: the holds of one entry, with what is left of them at `nowMs` by the clock
 * of Redis. Throws on an entry of another form.
 */
export function parseJournalEntry(performanceId: number, [entryId, fields]: [Buffer, Buffer[]], nowMs: number): Hold[] {
  const [expiresAtMs, , rows]: [number, number, JournalledHold[]] = scriptPackr.unpack(fields[1]!);
  const journal = { id: entryId.toString(), open: rows.length };
  return rows.map(([reservationId, userId, partySize, seats, versions, amount, supersedes]) => ({
    reservationId,
    performanceId,
    userId: Number(userId),
    partySize,
    seats,
    versions,
    amount,
    holdMs: expiresAtMs - nowMs,
    expiresAtMs,
    journal,
    supersedes,
  }));
}
