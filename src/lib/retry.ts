/** Tries again with full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"). */
import type { Clock } from './clock.ts';
import { sleep } from './clock.ts';

export interface RetryOptions {
  readonly clock: Clock;
  readonly attemptsMax: number;
  /** The first wait is anywhere in 0..delayMs; each later one doubles its limit. */
  readonly delayMs: number;
  readonly isRetryable: (thrown: unknown) => boolean;
}

/** Runs `action` until it succeeds, fails for good, or `attemptsMax` is used up; then throws the last error. */
export async function retry<Result>(options: RetryOptions, action: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await action();
    } catch (thrown) {
      if (attempt >= options.attemptsMax || !options.isRetryable(thrown)) throw thrown;
      await sleep(options.clock, Math.random() * options.delayMs * 2 ** (attempt - 1));
    }
  }
}
