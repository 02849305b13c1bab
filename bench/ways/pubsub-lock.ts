/** (d) A lock in Redis around a transaction whose waiters sleep until its release is published, as Redisson does it. */
import { randomUUID } from 'node:crypto';
import { Redis, type Result } from 'ioredis';
import type { Places, Way } from './contract.ts';
import { createTransactions, takeUnchanged } from './database.ts';
import { lockKey } from './keys.ts';

declare module 'ioredis' {
  interface RedisCommander<Context> {
    lock(key: string, owner: string, ms: number): Result<number, Context>;
    unlock(key: string, owner: string): Result<number, Context>;
  }
}

const lockMs = 5000;
const waitMsMax = 10_000;

// Returns -1 for the lock, else how long its owner may have it yet, in milliseconds.
const lockScript = `
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return -1 end
return redis.call('PTTL', KEYS[1])
`;

// Only the owner may: the time of its lock may be over, and the lock another one's.
const unlockScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', KEYS[1], '')
return 1
`;

/** Those of this process who wait for one lock. A release wakes one of them, who tries before the others. */
class Waiters {
  count = 0;
  readonly subscribed: Promise<unknown>;
  readonly #wakes = new Set<() => void>();
  /** Releases that came while nobody slept: the next one who would does not. */
  #missed = 0;

  constructor(subscribed: Promise<unknown>) {
    this.subscribed = subscribed;
  }

  wakeOne(): void {
    const [wake] = this.#wakes;
    if (wake === undefined) this.#missed++;
    else wake();
  }

  /** Until a release, or as long as an owner who died would keep the lock. */
  async sleep(limitMs: number): Promise<void> {
    if (this.#missed > 0) {
      this.#missed--;
      return;
    }
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(limit);
        this.#wakes.delete(wake);
        resolve();
      };
      const limit = setTimeout(wake, limitMs);
      this.#wakes.add(wake);
    });
  }
}

/** Locks by key; the channel of a lock has its key's name. */
class PubSubLock {
  readonly #redis: Redis;
  readonly #subscriber: Redis;
  readonly #waitersOf = new Map<string, Waiters>();

  constructor(redisUrl: string) {
    const scripts = {
      lock: { lua: lockScript, numberOfKeys: 1 },
      unlock: { lua: unlockScript, numberOfKeys: 1 },
    };
    this.#redis = new Redis(redisUrl, { scripts });
    this.#subscriber = new Redis(redisUrl);
    this.#subscriber.on('message', (key: string) => this.#waitersOf.get(key)?.wakeOne());
  }

  /** Runs `work` under the lock; null when it was not to be had in time. */
  async using<Value>(key: string, work: () => Promise<Value>): Promise<Value | null> {
    const owner = randomUUID();
    const leftMs = await this.#redis.lock(key, owner, lockMs);
    if (leftMs >= 0 && !(await this.#wait(key, owner))) return null;
    try {
      return await work();
    } finally {
      await this.#redis.unlock(key, owner);
    }
  }

  async #wait(key: string, owner: string): Promise<boolean> {
    const endMs = performance.now() + waitMsMax;
    const waiters = this.#enter(key);
    try {
      await waiters.subscribed;
      while (performance.now() < endMs) {
        // Before the first sleep too: the release may have come before the subscription.
        const leftMs = await this.#redis.lock(key, owner, lockMs);
        if (leftMs < 0) return true;
        await waiters.sleep(leftMs);
      }
      return false;
    } finally {
      this.#leave(key, waiters);
    }
  }

  #enter(key: string): Waiters {
    let waiters = this.#waitersOf.get(key);
    if (waiters === undefined) {
      waiters = new Waiters(this.#subscriber.subscribe(key));
      this.#waitersOf.set(key, waiters);
    }
    waiters.count++;
    return waiters;
  }

  #leave(key: string, waiters: Waiters): void {
    if (--waiters.count > 0) return;
    this.#waitersOf.delete(key);
    // Nobody waits for the answer; a connection that is gone has no subscriptions either.
    this.#subscriber.unsubscribe(key).catch(() => null);
  }
}

export function createPubSubLock({ redisUrl, mysqlUrl }: Places): Way {
  const pool = createTransactions(mysqlUrl);
  const lock = new PubSubLock(redisUrl);
  return {
    hold: async (hold) => (await lock.using(lockKey(hold), () => takeUnchanged(pool, hold))) ?? 'busy',
  };
}
