import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { StoreUnavailable } from '../lib/errors.ts';
import { silentLog } from '../logger.ts';
import { Attempts } from './attempts.ts';
import { RedisConnection } from './connection.ts';
import { attemptsKey } from './keys.ts';
import { type AttemptStep, attemptsCall } from './scripts.ts';

let connection: RedisConnection;
beforeAll(async () => {
  connection = new RedisConnection([inject('redisUrl')], silentLog);
  await connection.connect();
});
afterAll(() => connection.close());

const limit = { freeMax: 3, waitMsMax: 60_000, forgetMs: 100_000 };

/** The attempts under a key of their own. */
function attempts() {
  const key = attemptsKey('account', randomUUID());
  return {
    key,
    run: async (what: AttemptStep): Promise<number> => Number(await connection.runOne(attemptsCall(key, limit, what))),
    failures: async (): Promise<number> => Number(await connection.client.hget(key, 'failures')),
    /** The time to wait is over. */
    async endWait(): Promise<void> {
      await connection.client.hset(key, 'until', '0');
    },
  };
}

describe('attempts.lua', () => {
  it('lets the first ones begin without a wait, and one more that has to be waited after', async () => {
    const { run } = attempts();
    for (let i = 0; i < 4; i++) expect(await run('begin')).toBe(0);
    const waitMs = await run('begin');
    expect(waitMs).toBeGreaterThan(0);
    expect(waitMs).toBeLessThanOrEqual(1000);
  });

  it('doubles the wait with each attempt that began, up to the longest', async () => {
    const { run, endWait } = attempts();
    for (let i = 0; i < 3; i++) await run('begin');
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60, 60]) {
      expect(await run('begin')).toBe(0);
      const waitMs = await run('begin');
      expect(waitMs).toBeLessThanOrEqual(seconds * 1000);
      expect(waitMs).toBeGreaterThan(seconds * 500);
      await endWait();
    }
  });

  it('never waits longer than the longest, however many there were', async () => {
    const { key, run } = attempts();
    for (const failures of [30, 1000, 9_007_199_254_740_000]) {
      await connection.client.hset(key, 'failures', failures, 'until', 0);
      expect(await run('begin')).toBe(0);
      const waitMs = await run('begin');
      expect(waitMs).toBeLessThanOrEqual(60_000);
      expect(waitMs).toBeGreaterThan(50_000);
    }
  });

  it('counts nothing while there is a wait', async () => {
    const { run, failures } = attempts();
    for (let i = 0; i < 4; i++) await run('begin');
    for (let i = 0; i < 10; i++) expect(await run('look')).toBeGreaterThan(0);
    expect(await failures()).toBe(4);
  });

  it('forgets all when one was right, and begins anew', async () => {
    const { key, run } = attempts();
    for (let i = 0; i < 5; i++) await run('begin');
    expect(await run('right')).toBe(0);
    expect(await connection.client.exists(key)).toBe(0);
    for (let i = 0; i < 4; i++) expect(await run('begin')).toBe(0);
    expect(await run('begin')).toBeGreaterThan(0);
    // Twice is safe, and so is one that nobody began.
    expect([await run('right'), await run('right')]).toEqual([0, 0]);
  });

  it('looking counts nothing, and what was wrong after it counts, also while there is a wait', async () => {
    const { run, failures } = attempts();
    for (let i = 0; i < 10; i++) expect(await run('look')).toBe(0);
    for (let i = 0; i < 3; i++) await run('wrong');
    expect([await failures(), await run('look')]).toEqual([3, 0]);
    // Those that had begun together with the one that brought the wait.
    for (let i = 0; i < 3; i++) await run('wrong');
    expect(await failures()).toBe(6);
    const waitMs = await run('look');
    expect(waitMs).toBeGreaterThan(2000);
    expect(waitMs).toBeLessThanOrEqual(4000);
  });

  it('that all begin at once are let in as one after the other', async () => {
    const { run } = attempts();
    const waits = await Promise.all(Array.from({ length: 50 }, () => run('begin')));
    expect(waits.filter((waitMs) => waitMs === 0)).toHaveLength(4);
  });

  it('is forgotten some time after the last one', async () => {
    const { key, run, endWait } = attempts();
    await run('begin');
    await connection.client.pexpire(key, 1000);
    await run('begin');
    expect(await connection.client.pttl(key)).toBeGreaterThan(90_000);
    for (let i = 0; i < 3; i++) await run('begin');
    // A wait is never forgotten before it is over.
    await endWait();
    expect(await connection.client.pttl(key)).toBeGreaterThan(limit.waitMsMax);
  });
});

describe('attempts of a person', () => {
  it('are those of an account and an address: either may have to wait', async () => {
    const counted = new Attempts(connection);
    const [email, address] = [`${randomUUID()}@example.org`, randomUUID()];
    while ((await counted.begin(email, randomUUID())) === 0) {
      // The account has to wait.
    }
    expect(await counted.begin(email, address)).toBeGreaterThan(0);
    expect(await counted.begin(`${randomUUID()}@example.org`, address)).toBe(0);
    for (let i = 0; i < 60; i++) await counted.fail(address);
    const other = `${randomUUID()}@example.org`;
    expect(await counted.begin(other, address)).toBeGreaterThan(1000);
    // What an address is refused does not count against the account it was for.
    for (let i = 0; i < 20; i++) await counted.begin(other, address);
    expect(await counted.begin(other, randomUUID())).toBe(0);
  });

  it('that were right leave the count of the address to those that were wrong', async () => {
    const counted = new Attempts(connection);
    const address = randomUUID();
    for (let i = 0; i < 50; i++) await counted.fail(address);
    for (let i = 0; i < 10; i++) {
      const email = `${randomUUID()}@example.org`;
      expect(await counted.begin(email, address)).toBe(0);
      await counted.succeed(email);
    }
    await counted.fail(address);
    expect(await counted.begin(`${randomUUID()}@example.org`, address)).toBeGreaterThan(0);
  });

  it('cannot begin while Redis is away: nobody guesses uncounted', async () => {
    const gone = new RedisConnection([inject('redisUrl')], silentLog);
    await gone.connect();
    await gone.close();
    const counted = new Attempts(gone);
    await expect(counted.begin('a@example.org', 'address')).rejects.toThrow(StoreUnavailable);
    await expect(counted.succeed('a@example.org')).rejects.toThrow(StoreUnavailable);
  });
});
