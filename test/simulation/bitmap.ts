/** Bits of a string as Redis has them: bit 0 is the highest one of the first byte; the string ends with the last byte written. */
export class Bitmap {
  #bytes: Uint8Array;
  #length: number;

  constructor(bytes: Uint8Array = new Uint8Array(64), length = 0) {
    this.#bytes = bytes;
    this.#length = length;
  }

  set(bit: number, value: 0 | 1): void {
    const [byte, mask] = [Math.floor(bit / 8), 0x80 >> (bit % 8)];
    this.#length = Math.max(this.#length, byte + 1);
    if (byte >= this.#bytes.length) {
      const longer = new Uint8Array(2 * (byte + 1));
      longer.set(this.#bytes);
      this.#bytes = longer;
    }
    if (value === 1) this.#bytes[byte]! |= mask;
    else this.#bytes[byte]! &= ~mask;
  }

  /** A copy of the bytes from this one on. */
  from(firstByte: number): Uint8Array {
    return this.#bytes.slice(firstByte, Math.max(firstByte, this.#length));
  }

  copy(): Bitmap {
    return new Bitmap(this.#bytes.slice(), this.#length);
  }
}
