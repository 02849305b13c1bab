import { describe, expect, it } from 'vitest';
import { RateLimit } from './rate-limit.ts';

/** How many of `count` requests at one moment pass. */
function passed(limit: RateLimit, userId: number, nowMs: number, count: number): number {
  let passes = 0;
  for (let i = 0; i < count; i++) if (limit.allows(userId, nowMs)) passes++;
  return passes;
}

describe('the rate limit', () => {
  it('lets a second of requests through at once, and no more', () => {
    expect(passed(new RateLimit(5), 1, 0, 20)).toBe(5);
  });

  it('lets them through again at its rate, and never saves up more than a second', () => {
    const limit = new RateLimit(10);
    expect(passed(limit, 1, 0, 20)).toBe(10);
    expect(passed(limit, 1, 99, 20)).toBe(0);
    expect(passed(limit, 1, 100, 20)).toBe(1);
    expect(passed(limit, 1, 350, 20)).toBe(2);
    expect(passed(limit, 1, 100_000, 20)).toBe(10);
  });

  it('is no more generous to who asks often', () => {
    const limit = new RateLimit(10);
    let passes = 0;
    for (let nowMs = 0; nowMs <= 1000; nowMs++) passes += passed(limit, 1, nowMs, 3);
    expect(passes).toBe(20);
  });

  it('is of each user alone', () => {
    const limit = new RateLimit(1);
    expect(passed(limit, 1, 0, 5)).toBe(1);
    expect(passed(limit, 2, 0, 5)).toBe(1);
  });

  it('of 0 is none', () => {
    expect(passed(new RateLimit(0), 1, 0, 1000)).toBe(1000);
  });

  it('still holds for a user who keeps asking when more users come than it remembers', () => {
    const limit = new RateLimit(2);
    for (let userId = 10; userId < 210_010; userId++) limit.allows(userId, userId / 100);
    expect(passed(limit, 1, 3000, 5)).toBe(2);
    for (let userId = 300_000; userId < 400_000; userId++) limit.allows(userId, 3000);
    expect(passed(limit, 1, 3001, 5)).toBe(0);
  });
});
