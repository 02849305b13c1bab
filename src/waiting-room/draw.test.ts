import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Draw } from '../domain/waiting-room.ts';
import { drawNumbers, newSeed } from './draw.ts';

function drawOf(seed: string, firstArrival: number, lastArrival: number): Draw {
  return { performanceId: 1, firstArrival, lastArrival, seed };
}

/** Seeds that are the same in every run: what follows from them never flakes. */
function seedOf(i: number): string {
  return createHash('sha256').update(`test ${i}`).digest('hex');
}

/** How far counts are from all being equal; the larger, the less likely it is chance. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe('a draw', () => {
  it.each([
    [1, 1],
    [1, 2],
    [7, 7],
    [5, 1204],
    [1, 1000],
    [90_001, 93_456],
  ])('of the tickets %d to %d gives each of their numbers once', async (first, last) => {
    const numbers = await drawNumbers(drawOf(seedOf(first), first, last));
    const all = Array.from({ length: last - first + 1 }, (_, i) => first + i);
    expect(numbers.toSorted((a, b) => a - b)).toEqual(all);
    if (last - first > 100) expect(numbers).not.toEqual(all);
  });

  it('of no tickets gives no numbers', async () => {
    expect(await drawNumbers(drawOf(seedOf(0), 5, 4))).toEqual([]);
  });

  it('comes out the same however often it is held, and another way with another seed', async () => {
    const draw = drawOf(seedOf(1), 1, 500);
    const numbers = await drawNumbers(draw);
    expect(await drawNumbers({ ...draw })).toEqual(numbers);
    expect(await drawNumbers(drawOf(seedOf(2), 1, 500))).not.toEqual(numbers);
    expect(await drawNumbers({ ...draw, performanceId: 2 })).toEqual(numbers);
  });

  it('can be worked out again by anybody who has its seed', async () => {
    const draw = drawOf(seedOf(3), 11, 211);
    const order = Array.from({ length: 201 }, (_, i) => {
      const arrival = 11 + i;
      return { arrival, digest: createHash('sha256').update(`${draw.seed}:${arrival}`).digest('hex') };
    }).sort((a, b) => a.digest.localeCompare(b.digest, 'en'));
    const numbers = await drawNumbers(draw);
    for (const [rank, { arrival }] of order.entries()) expect(numbers[arrival - 11]).toBe(11 + rank);
  });

  it('makes every order equally likely', async () => {
    const counts = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const order = (await drawNumbers(drawOf(seedOf(i), 1, 4))).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    // 23 degrees of freedom: 49.7 is passed by one fair shuffle in a thousand.
    expect(chiSquare([...counts.values()])).toBeLessThan(49.7);
  });

  it('gives every ticket every number equally often, the first one too', async () => {
    const size = 12;
    const counts = Array.from({ length: size }, () => new Array<number>(size).fill(0));
    for (let i = 0; i < 6000; i++) {
      const numbers = await drawNumbers(drawOf(seedOf(100_000 + i), 101, 100 + size));
      for (const [ticket, number] of numbers.entries()) counts[ticket]![number - 101]!++;
    }
    // 11 degrees of freedom a ticket: 31.3 is passed by one in a thousand.
    for (const ofTicket of counts) expect(chiSquare(ofTicket)).toBeLessThan(31.3);
    // 121 together.
    expect(chiSquare(counts.flat())).toBeLessThan(175);
  });

  it('of a hall lets others have their turn in between', async () => {
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      turns++;
      if (!isOver) setImmediate(count);
    };
    setImmediate(count);
    await drawNumbers(drawOf(seedOf(4), 1, 20_000));
    isOver = true;
    expect(turns).toBeGreaterThanOrEqual(20);
  });
});

describe('a new seed', () => {
  it('is 64 hexadecimal digits, and never the one before', () => {
    const seeds = Array.from({ length: 1000 }, newSeed);
    for (const seed of seeds) expect(seed).toMatch(/^[0-9a-f]{64}$/);
    expect(new Set(seeds).size).toBe(1000);
  });
});
