/** An Idempotency-Key that stays the same until an answer came: asking again after a lost answer finds what was done. */
import { newKey } from '../../src/client/index.ts';

export class KeptKey {
  #key: string | null = null;
  #request = '';

  /** Another request needs another key. */
  for(request: unknown): string {
    const text = JSON.stringify(request);
    if (this.#key === null || text !== this.#request) {
      this.#key = newKey();
      this.#request = text;
    }
    return this.#key;
  }

  answered(): void {
    this.#key = null;
  }
}
