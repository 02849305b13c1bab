/** So many calls at once and no more: a page with many events must not ask for all of them in one moment. */

export class Lanes {
  readonly #atOnceMax: number;
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(atOnceMax: number) {
    this.#atOnceMax = atOnceMax;
  }

  /** Begins `work` as soon as a lane is free, in the order asked. Rejects with the signal's reason where it is aborted before. */
  async run<Value>(work: () => Promise<Value>, signal?: AbortSignal): Promise<Value> {
    // Whoever leaves a lane hands it on, still counted.
    if (this.#busy < this.#atOnceMax) this.#busy++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      signal?.throwIfAborted();
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#busy--;
      else next();
    }
  }
}
