/** Attempts to log in, counted in Redis for all gateways: per account and per address, with a wait that doubles. */
import { createHash } from 'node:crypto';
import type { RedisConnection } from './connection.ts';
import { attemptsKey } from './keys.ts';
import { type AttemptLimit, type AttemptStep, attemptsCall } from './scripts.ts';

/** Five wrong passwords are a bad memory; the sixth costs a second, then two, four, up to a minute: no owner is shut out long. */
const perAccount: AttemptLimit = { freeMax: 5, waitMsMax: 60_000, forgetMs: 15 * 60_000 };
/** An office or a mobile network shares an address; a list of stolen passwords tries thousands. */
const perAddress: AttemptLimit = { freeMax: 50, waitMsMax: 15 * 60_000, forgetMs: 60 * 60_000 };

export class Attempts {
  readonly #connection: RedisConnection;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /**
   * An attempt begins; 0 when it may go on, else the milliseconds to wait. It counts against the account at once, so that
   * of a thousand at the same moment no more pass than one after the other; against the address only once it has failed,
   * so that a company may log in together. Rejects with StoreUnavailable.
   */
  async begin(email: string, address: string): Promise<number> {
    const addressWaitMs = await this.#run(address, 'address', 'look');
    return addressWaitMs > 0 ? addressWaitMs : this.#run(email, 'account', 'begin');
  }

  /** The password was right: the account's failures are forgotten. Rejects with StoreUnavailable. */
  async succeed(email: string): Promise<void> {
    await this.#run(email, 'account', 'right');
  }

  /** It was wrong. Rejects with StoreUnavailable. */
  async fail(address: string): Promise<void> {
    await this.#run(address, 'address', 'wrong');
  }

  async #run(name: string, of: 'account' | 'address', step: AttemptStep): Promise<number> {
    const limit = of === 'account' ? perAccount : perAddress;
    return Number(await this.#connection.runOne(attemptsCall(attemptsKey(of, hashOf(name)), limit, step)));
  }
}

/** No address of a person stands in a key. */
function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
