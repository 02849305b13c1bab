/** Ids seen a moment ago: bounded in time and number. */

export class RecentIds {
  readonly #forMs: number;
  readonly #max: number;
  readonly #untilMs = new Map<number, number>();

  /** Each id counts as recent for `forMs`; past `max` ids all are forgotten. */
  constructor(forMs: number, max: number) {
    this.#forMs = forMs;
    this.#max = max;
  }

  add(id: number): void {
    if (this.#untilMs.size >= this.#max) this.#untilMs.clear();
    this.#untilMs.set(id, performance.now() + this.#forMs);
  }

  has(id: number): boolean {
    const untilMs = this.#untilMs.get(id);
    if (untilMs === undefined) return false;
    if (performance.now() < untilMs) return true;
    this.#untilMs.delete(id);
    return false;
  }

  delete(id: number): void {
    this.#untilMs.delete(id);
  }
}
