/**
 * The draw: who joined before the room opened is shuffled at that moment.
 *
 * The arrivals are put in the order of the SHA-256 of `seed:arrival` (both as text, the arrival in decimal), and the first
 * one gets the smallest number. A hash of a secret, random seed is as good as a random number, so every order is equally
 * likely; the seed is made when nobody can join the draw any more and is stored, so that anybody can work it out again.
 */
import { hash, randomBytes } from 'node:crypto';
import type { Draw } from '../domain/waiting-room.ts';

/** A new seed: 64 hexadecimal digits, 256 random bits. */
export function newSeed(): string {
  return randomBytes(32).toString('hex');
}

// A hall's worth of early birds must not stand in the way of those who hold: 2 ms a turn of the loop.
const hashesPerTurn = 1000;

/** The numbers of a draw: element i is that of the ticket `firstArrival + i`. */
export async function drawNumbers({ seed, firstArrival, lastArrival }: Draw): Promise<number[]> {
  const digests: string[] = [];
  for (let arrival = firstArrival; arrival <= lastArrival; arrival++) {
    digests.push(hash('sha256', `${seed}:${arrival}`, 'hex'));
    if (digests.length % hashesPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const order = digests.map((_, i) => i);
  order.sort((a, b) => (digests[a]! < digests[b]! ? -1 : 1));
  const numbers = new Array<number>(order.length);
  for (let rank = 0; rank < order.length; rank++) numbers[order[rank]!] = firstArrival + rank;
  return numbers;
}
