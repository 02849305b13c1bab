/** Work that failed because a store was away: tried again at an interval, a key at a time, until it succeeds. */
import type { Clock } from './clock.ts';

export class Again<Key> {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #work: (key: Key) => Promise<unknown>;
  readonly #keys = new Set<Key>();
  #isWaiting = false;

  /** `work` may be done more often than asked for; when it rejects, all that waits is tried again later. */
  constructor(clock: Clock, intervalMs: number, work: (key: Key) => Promise<unknown>) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#work = work;
  }

  add(key: Key): void {
    this.#keys.add(key);
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#clock.after(this.#intervalMs, () => void this.#round());
  }

  async #round(): Promise<void> {
    this.#isWaiting = false;
    for (const key of [...this.#keys]) {
      // One that is asked for again while it is done is done again.
      this.#keys.delete(key);
      try {
        await this.#work(key);
      } catch {
        // Still away; whoever failed first has said so.
        return this.add(key);
      }
    }
  }
}
