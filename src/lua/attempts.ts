/** Attempts to log in, counted in Redis for all gateways: per account and per address, with a wait that doubles. */
import { createHash } from 'node:crypto';
import type { RedisConnection } from './connection.ts';
import { attemptsKey } from './keys.ts';
import { type AttemptLimit, attemptsCall } from './scripts.ts';

/** Five wrong passwords are a bad memory; after that a second, two, four, up to a minute: an owner is never shut out long. */
const perAccount: AttemptLimit = { freeMax: 5, waitMsMax: 60_000, forgetMs: 15 * 60_000 };
/** An office or a mobile network shares an address; a list of stolen passwords tries thousands. */
const perAddress: AttemptLimit = { freeMax: 50, waitMsMax: 15 * 60_000, forgetMs: 60 * 60_000 };

export class Attempts {
  readonly #connection: RedisConnection;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** Counts an attempt; 0 when it may go on, else the milliseconds to wait. Rejects with StoreUnavailable. */
  async begin(email: string, address: string): Promise<number> {
    const replies = await this.#connection.run([
      attemptsCall(attemptsKey('account', hashOf(email)), perAccount, ''),
      attemptsCall(attemptsKey('address', hashOf(address)), perAddress, ''),
    ]);
    let waitMs = 0;
    for (const reply of replies) {
      if (reply instanceof Error) throw reply;
      waitMs = Math.max(waitMs, Number(reply));
    }
    return waitMs;
  }

  /** The password was right: the account's failures are forgotten. Rejects with StoreUnavailable. */
  async succeed(email: string): Promise<void> {
    await this.#connection.runOne(attemptsCall(attemptsKey('account', hashOf(email)), perAccount, 'ok'));
  }
}

/** No address of a person stands in a key. */
function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
