/** Cache-aside reads: one read under way a key, however many ask; a value dropped while it is read is not kept. */
import { LRUCache } from 'lru-cache';

export interface ReadCacheOptions<Key, Value> {
  readonly entriesMax: number;
  readonly freshMs: number;
  /** Null: there is no such thing; that is not remembered. */
  readonly read: (key: Key) => Promise<Value | null>;
}

/** One read under way; its identity tells whether it was dropped. */
interface Reading<Value> {
  value: Promise<Value | null>;
}

const none = Promise.resolve(null);

export class ReadCache<Key extends string | number, Value extends object> {
  readonly counters = { hits: 0, reads: 0 };
  readonly #read: (key: Key) => Promise<Value | null>;
  readonly #values: LRUCache<Key, Value>;
  readonly #underWay = new Map<Key, Reading<Value>>();

  constructor({ entriesMax, freshMs, read }: ReadCacheOptions<Key, Value>) {
    this.#read = read;
    this.#values = new LRUCache({ max: entriesMax, ttl: freshMs });
  }

  /** The value, or null. Rejects as `read` does. */
  get(key: Key): Promise<Value | null> {
    const value = this.#values.get(key);
    if (value !== undefined) {
      this.counters.hits++;
      return Promise.resolve(value);
    }
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return underWay.value;
    const reading: Reading<Value> = { value: none };
    this.#underWay.set(key, reading);
    reading.value = this.#fetch(key, reading);
    return reading.value;
  }

  /** It has changed: the next one reads it, and a read under way is for those who asked before. */
  drop(key: Key): void {
    this.#values.delete(key);
    this.#underWay.delete(key);
  }

  /** Anything may have changed. */
  clear(): void {
    this.#values.clear();
    this.#underWay.clear();
  }

  async #fetch(key: Key, reading: Reading<Value>): Promise<Value | null> {
    this.counters.reads++;
    try {
      const value = await this.#read(key);
      // Dropped meanwhile: it may be as it was before the change.
      if (value !== null && this.#underWay.get(key) === reading) this.#values.set(key, value);
      return value;
    } finally {
      if (this.#underWay.get(key) === reading) this.#underWay.delete(key);
    }
  }
}
