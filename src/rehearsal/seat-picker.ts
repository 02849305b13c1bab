/** Seats next to each other that look free, from a random place on, as people who look at the same map choose them. */

const guessesMax = 20;

export class SeatPicker {
  readonly #seats: number;
  readonly #seatsPerRow: number;
  readonly #count: number;
  readonly #random: () => number;
  #taken = new Set<number>();
  /** Nothing was found on this map: it is not searched again before there is another one. */
  #isFull = false;

  /** `count` seats at a time, of one row where rows are that long. */
  constructor(seats: number, seatsPerRow: number, count: number, random: () => number = Math.random) {
    this.#seats = seats;
    this.#seatsPerRow = seatsPerRow;
    this.#count = count;
    this.#random = random;
  }

  /** The map as it is now. */
  onMap(taken: Iterable<number>): void {
    this.#taken = new Set(taken);
    this.#isFull = false;
  }

  /** These were taken, whatever the map says. */
  onTaken(seats: readonly number[]): void {
    for (const seat of seats) this.#taken.add(seat);
  }

  /** Where nothing looks free, seats that do not: somebody may give them back meanwhile. */
  pick(): number[] {
    const starts = Math.max(1, this.#seats - this.#count + 1);
    let start = 1;
    for (let guess = 0; guess < guessesMax; guess++) {
      start = 1 + Math.floor(this.#random() * starts);
      if (this.#isFull || this.#isFree(start)) return this.#from(start);
    }
    for (let i = 0; i < starts; i++) {
      const next = 1 + ((start - 1 + i) % starts);
      if (this.#isFree(next)) return this.#from(next);
    }
    this.#isFull = true;
    return this.#from(start);
  }

  #isFree(start: number): boolean {
    const place = (start - 1) % this.#seatsPerRow;
    if (this.#count <= this.#seatsPerRow && place + this.#count > this.#seatsPerRow) return false;
    for (let seat = start; seat < start + this.#count; seat++) if (this.#taken.has(seat)) return false;
    return true;
  }

  #from(start: number): number[] {
    return Array.from({ length: this.#count }, (_, i) => start + i);
  }
}
