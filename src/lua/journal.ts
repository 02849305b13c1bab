/** The journal entry that hold.lua writes: one field of words apart by a space, `-` for an empty list. */
import type { Hold } from '../domain/reservation.ts';

function numbers(list: string): number[] {
  return list === '-' ? [] : list.split(',').map(Number);
}

/** Reads `[entryId, ['h', words]]` of XRANGE. Throws RangeError on an entry of another form. */
export function parseJournalEntry(performanceId: number, [journalId, fields]: [string, string[]]): Hold {
  const words = (fields[1] ?? '').split(' ');
  if (words.length !== 9)
    throw new RangeError(`journal entry ${journalId} of performance ${performanceId} is unreadable`);
  const [reservationId, userId, expiresAtMs, partySize, amount, holdSeconds, seats, versions, supersedes] = words as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  return {
    reservationId,
    performanceId,
    userId: Number(userId),
    seats: numbers(seats),
    partySize: Number(partySize),
    versions: numbers(versions),
    amount: Number(amount),
    holdSeconds: Number(holdSeconds),
    expiresAtMs: Number(expiresAtMs),
    journalId,
    supersedes: supersedes === '-' ? [] : supersedes.split(','),
  };
}
