/** Seats by what people type: `A-1, b2 C 3`. */

const separators = /[\s,;/·、，]+/;

/** `a-01` and `A1` are `A-1`. */
function normal(text: string): string {
  return text.toUpperCase().replace(/^([A-Z]+)[-–]?0*(\d+)$/, '$1-$2');
}

export interface Typed {
  /** Each once, in the order typed. */
  readonly seats: readonly number[];
  /** As typed. */
  readonly unknown: readonly string[];
}

/** Labels to their seats, made once a map. */
export class LabelIndex {
  readonly #seats = new Map<string, number>();

  constructor(size: number, labelOf: (seat: number) => string) {
    for (let seat = 1; seat <= size; seat++) this.#seats.set(normal(labelOf(seat)), seat);
  }

  read(text: string): Typed {
    const seats = new Set<number>();
    const unknown: string[] = [];
    // A letter and its number may stand apart: `C 3`.
    const joined = text.trim().replace(/(^|[\s,;])([A-Za-z]+)\s+(?=\d)/g, '$1$2-');
    for (const word of joined.split(separators)) {
      if (word === '') continue;
      const seat = this.#seats.get(normal(word));
      if (seat === undefined) unknown.push(word);
      else seats.add(seat);
    }
    return { seats: [...seats], unknown };
  }
}
