/** One piece of work a key at a time, in the order of asking: nobody holds a database connection while waiting for a lock. */
import { Overloaded } from './errors.ts';

export class Serial<Key> {
  readonly #waitingMax: number;
  readonly #tails = new Map<Key, { readonly work: Promise<void>; count: number }>();

  /** `waitingMax` pieces of work a key, with the one under way. */
  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  /** Runs `work` after what was asked before for the key. Rejects as it does, or with Overloaded at once. */
  run<Result>(key: Key, work: () => Promise<Result>): Promise<Result> {
    const before = this.#tails.get(key);
    const count = (before?.count ?? 0) + 1;
    if (count > this.#waitingMax)
      return Promise.reject(new Overloaded('too many requests of one account wait for each other'));
    const result = before === undefined ? work() : before.work.then(work);
    const settled = result.then(noop, noop);
    const tail = { work: settled, count };
    this.#tails.set(key, tail);
    void settled.then(() => {
      const last = this.#tails.get(key);
      if (last === tail) this.#tails.delete(key);
      else if (last !== undefined) last.count--;
    });
    return result;
  }
}

function noop(): void {}
