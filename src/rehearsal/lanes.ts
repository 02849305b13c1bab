/**
 * The requests of all played visitors of this process: no more than so many under way at once, the others wait for a lane.
 * The visitors share the process with the gateway that they visit, so what they keep busy is missing there.
 */
import type { FetchLike, ResponseLike } from '../client/index.ts';

const lanesMax = 64;

export class Lanes {
  #free = lanesMax;
  readonly #waiting: (() => void)[] = [];

  /** A `fetch` that takes a lane; `onHold` is told how long the answer to each request for a hold took, without the wait. */
  fetch(onHold: (ms: number) => void): FetchLike {
    return (url, init) =>
      this.#inLane(async () => {
        init.signal.throwIfAborted();
        const startedAtMs = performance.now();
        const response = await fetch(url, init);
        const text = await response.text();
        if (init.method === 'POST' && url.endsWith('/v1/reservations')) onHold(performance.now() - startedAtMs);
        const { status, headers } = response;
        return { status, headers, text: () => Promise.resolve(text) };
      });
  }

  async #inLane(work: () => Promise<ResponseLike>): Promise<ResponseLike> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
