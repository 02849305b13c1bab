/**
 * What an Idempotency-Key remembers, per user (a key serves one body on all routes and performances).
 *
 * A request claims its key before it does anything, and writes down the id it will use: whoever repeats it after a crash
 * goes on with the same id, and every step is safe to run twice with the same id.
 */
import { StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';
import { idempotencyKey } from './keys.ts';

export interface Claim {
  /** Hash of the route and body the key was first used with. */
  readonly fingerprint: string;
  /** The id the first request goes by. */
  readonly resourceId: string;
  /** True when the first try ended without knowing its outcome: a repeat need not wait, it goes on with the same id. */
  readonly isOpen: boolean;
  /** The answer, once there is one to remember. */
  readonly answer: RememberedAnswer | null;
}

export interface RememberedAnswer {
  readonly status: number;
  readonly body: unknown;
  readonly location: string | null;
}

const rememberSeconds = 24 * 3600;

export class IdempotencyStore {
  readonly #connection: RedisConnection;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** Claims the key; null when it was free and is ours now, else what stands there. Rejects with StoreUnavailable. */
  async claim(userId: number, key: string, claim: Claim): Promise<Claim | null> {
    try {
      const { client } = this.#connection;
      const before = await client.set(
        idempotencyKey(userId, key),
        JSON.stringify(claim),
        'EX',
        rememberSeconds,
        'NX',
        'GET',
      );
      return before === null ? null : (JSON.parse(before) as Claim);
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  /** What stands under the key. Rejects with StoreUnavailable. */
  async read(userId: number, key: string): Promise<Claim | null> {
    try {
      const text = await this.#connection.client.get(idempotencyKey(userId, key));
      return text === null ? null : (JSON.parse(text) as Claim);
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  /** How long ago what stands under the key was written. Rejects with StoreUnavailable. */
  async ageMs(userId: number, key: string): Promise<number> {
    try {
      return rememberSeconds * 1000 - (await this.#connection.client.pttl(idempotencyKey(userId, key)));
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  /** Remembers the answer for 24 h. Rejects with StoreUnavailable. */
  async remember(userId: number, key: string, claim: Claim): Promise<void> {
    try {
      await this.#connection.client.set(idempotencyKey(userId, key), JSON.stringify(claim), 'EX', rememberSeconds);
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  /** Gives the key back: the answer is none to remember. Rejects with StoreUnavailable. */
  async free(userId: number, key: string): Promise<void> {
    try {
      await this.#connection.client.del(idempotencyKey(userId, key));
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }
}
