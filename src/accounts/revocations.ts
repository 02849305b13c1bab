/**
 * Tokens given back before their end. MySQL has them for good, every gateway has them in memory: loaded at start and after a
 * gap in the messages, told of each new one at once, forgotten when the token would have ended.
 */
import { type Clock, sleep, type Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { RevokedToken } from '../persist/users.ts';

export interface RevocationsOptions {
  readonly clock: Clock;
  readonly read: () => Promise<readonly RevokedToken[]>;
  readonly write: (token: RevokedToken) => Promise<void>;
  /** Tells every gateway. */
  readonly publish: (token: RevokedToken) => Promise<void>;
  /** Forgets in MySQL what has ended. */
  readonly prune: () => Promise<void>;
  readonly log: { warn(message: string, fields?: Record<string, unknown>): void };
}

const pruneIntervalMs = 60_000;
const readRetryMs = 500;
/** Providers may mint tokens that outlive the calendar of MySQL. */
const endsAtMsMax = Date.UTC(9999, 11, 31);

export class Revocations {
  readonly #options: RevocationsOptions;
  readonly #endOf = new Map<string, number>();
  #timer: Timer | null = null;
  #isStopped = false;

  constructor(options: RevocationsOptions) {
    this.#options = options;
  }

  /** Loads what there is. Rejects with StoreUnavailable. */
  async start(): Promise<void> {
    await this.#read();
    this.#pruneLater();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  has(tokenId: string): boolean {
    return this.#endOf.size > 0 && this.#endOf.has(tokenId);
  }

  /** Refuses a token from now on, here at once and everywhere within a second. Rejects with StoreUnavailable. */
  async revoke({ tokenId, endsAtMs }: RevokedToken): Promise<void> {
    const token = { tokenId, endsAtMs: Math.min(endsAtMs, endsAtMsMax) };
    await this.#options.write(token);
    this.onRevoked(token);
    await this.#options.publish(token);
  }

  /** Another gateway was given one back. */
  onRevoked({ tokenId, endsAtMs }: RevokedToken): void {
    this.#endOf.set(tokenId, endsAtMs);
  }

  /** Messages may have been missed. */
  async onGap(): Promise<void> {
    while (!this.#isStopped) {
      try {
        return await this.#read();
      } catch (thrown) {
        this.#options.log.warn('revoked tokens could not be read; trying again', { error: messageOf(thrown) });
        await sleep(this.#options.clock, readRetryMs);
      }
    }
  }

  async #read(): Promise<void> {
    for (const token of await this.#options.read()) this.onRevoked(token);
  }

  #pruneLater(): void {
    this.#timer = this.#options.clock.after(pruneIntervalMs, () => void this.#prune());
  }

  async #prune(): Promise<void> {
    const nowMs = Date.now();
    for (const [tokenId, endsAtMs] of this.#endOf) if (endsAtMs <= nowMs) this.#endOf.delete(tokenId);
    try {
      await this.#options.prune();
    } catch (thrown) {
      this.#options.log.warn('ended tokens are still in MySQL', { error: messageOf(thrown) });
    }
    if (!this.#isStopped) this.#pruneLater();
  }
}
