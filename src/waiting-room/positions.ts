/** Exact positions of any number in a room, out of one bitmap: how many wait with a smaller number. */
import type { Line } from '../domain/waiting-room.ts';

const bitCounts = new Uint8Array(256);
for (let byte = 1; byte < 256; byte++) bitCounts[byte] = (byte & 1) + bitCounts[byte >> 1]!;

export class Positions {
  readonly #line: Line;
  /** Waiting numbers in the bytes before each byte. */
  readonly #before: Uint32Array;
  readonly #watermark: number;

  /** Bits up to the watermark mean nothing and are left out. Counts once: 15,000 positions then cost under a millisecond. */
  constructor(line: Line, watermark: number) {
    this.#line = line;
    this.#watermark = watermark;
    const { bits, firstNumber } = line;
    this.#before = new Uint32Array(bits.length + 1);
    for (let i = 0; i < bits.length; i++) {
      this.#before[i + 1] = this.#before[i]! + bitCounts[this.#waitingIn(i, firstNumber + i * 8 + 8)]!;
    }
  }

  /** Byte i with those bits alone that are above the watermark and below `end`. */
  #waitingIn(i: number, end: number): number {
    const first = this.#line.firstNumber + i * 8;
    let byte = this.#line.bits[i] ?? 0;
    // The highest bit is the smallest number.
    if (this.#watermark >= first) byte &= 0xff >> Math.min(8, this.#watermark - first + 1);
    if (end < first + 8) byte &= 0xff << (first + 8 - end);
    return byte & 0xff;
  }

  /** All who wait. */
  get waiting(): number {
    return this.#before.at(-1)!;
  }

  /** Whether a number above the watermark waits. */
  isWaiting(number: number): boolean {
    const { firstNumber, bits } = this.#line;
    const offset = number - firstNumber;
    return (((bits[offset >> 3] ?? 0) >> (7 - (offset & 7))) & 1) === 1;
  }

  /** 1 for the next to be admitted. */
  of(number: number): number {
    const { firstNumber, bits } = this.#line;
    const i = (number - firstNumber) >> 3;
    if (i < 0) return 1;
    if (i >= bits.length) return this.waiting + 1;
    return this.#before[i]! + bitCounts[this.#waitingIn(i, number)]! + 1;
  }
}
