import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Positions } from './positions.ts';

/** A line as Redis gives it: bit n of the bitmap is number n, cut to whole bytes at `firstNumber`. */
function lineOf(numbers: Iterable<number>, firstNumber: number, bytes: number): Uint8Array {
  const bits = new Uint8Array(bytes);
  for (const number of numbers) {
    const offset = number - firstNumber;
    if (offset >= 0 && offset < bytes * 8) bits[offset >> 3]! |= 0x80 >> (offset & 7);
  }
  return bits;
}

describe('positions', () => {
  it('read the highest bit of a byte as its smallest number', () => {
    const positions = new Positions({ firstNumber: 8, bits: Uint8Array.of(0b1000_0000, 0b0000_0001) }, 7);
    expect([8, 9, 16, 22, 23, 24].map((number) => positions.of(number))).toEqual([1, 2, 2, 2, 2, 3]);
    expect(positions.waiting).toBe(2);
    expect([8, 9, 22, 23].map((number) => positions.isWaiting(number))).toEqual([true, false, false, true]);
  });

  it('leave out what the bits say up to the watermark', () => {
    const bits = Uint8Array.of(0xff, 0xff);
    for (let watermark = -1; watermark < 20; watermark++) {
      const positions = new Positions({ firstNumber: 0, bits }, watermark);
      expect(positions.waiting).toBe(Math.max(0, 15 - Math.max(watermark, -1)));
      expect(positions.of(watermark + 1)).toBe(1);
      expect(positions.of(15)).toBe(Math.max(1, 15 - watermark));
    }
  });

  it('of an empty line are 1 for everybody', () => {
    const positions = new Positions({ firstNumber: 800, bits: new Uint8Array(0) }, 801);
    expect([0, 799, 801, 802, 5000].map((number) => positions.of(number))).toEqual([1, 1, 1, 1, 1]);
    expect([positions.waiting, positions.isWaiting(802)]).toEqual([0, false]);
  });

  it('of numbers outside the line are the first, or behind all', () => {
    const positions = new Positions({ firstNumber: 16, bits: Uint8Array.of(0xff) }, 0);
    expect([0, 7, 15, 16, 23, 24, 25, 1_000_000].map((number) => positions.of(number))).toEqual([
      1, 1, 1, 1, 8, 9, 9, 9,
    ]);
    expect([15, 24, 1_000_000].map((number) => positions.isWaiting(number))).toEqual([false, false, false]);
  });

  it('work with numbers as large as tickets get', () => {
    const firstNumber = 8 * 2 ** 40;
    const positions = new Positions({ firstNumber, bits: Uint8Array.of(0b0110_0000) }, firstNumber);
    expect([1, 2, 3].map((offset) => positions.of(firstNumber + offset))).toEqual([1, 2, 3]);
    expect(positions.isWaiting(firstNumber + 2)).toBe(true);
  });

  it('are what counting with the fingers gives, for any line and any watermark', () => {
    const anyLine = fc.record({
      numbers: fc.uniqueArray(fc.nat(400), { maxLength: 200 }),
      garbage: fc.uniqueArray(fc.nat(400), { maxLength: 50 }),
      watermark: fc.nat(420),
      // Redis cuts at the watermark; a line that begins earlier says the same.
      bytesBefore: fc.nat(3),
      bytesBehind: fc.nat(3),
    });
    fc.assert(
      fc.property(anyLine, ({ numbers, garbage, watermark, bytesBefore, bytesBehind }) => {
        const waiting = numbers.filter((number) => number > watermark);
        const firstNumber = Math.max(0, Math.floor((watermark + 1) / 8) - bytesBefore) * 8;
        const last = Math.max(0, ...waiting);
        const bytes = Math.max(0, Math.floor((last - firstNumber) / 8) + 1 + bytesBehind);
        const meaningless = garbage.filter((number) => number <= watermark);
        const positions = new Positions(
          { firstNumber, bits: lineOf([...waiting, ...meaningless], firstNumber, bytes) },
          watermark,
        );
        expect(positions.waiting).toBe(waiting.length);
        for (let number = 0; number < 440; number++) {
          const before = waiting.filter((other) => other < number).length;
          if (positions.of(number) !== before + 1) {
            throw new Error(`number ${number}: position ${positions.of(number)}, not ${before + 1}`);
          }
          if (number > watermark) expect(positions.isWaiting(number)).toBe(waiting.includes(number));
        }
      }),
      { numRuns: 200 },
    );
  });
});
