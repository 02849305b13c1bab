/** A token bucket a user, in this process: `perSecond` requests a second, as many at once. */

const usersMax = 200_000;

interface Bucket {
  tokens: number;
  filledAtMs: number;
}

export class RateLimit {
  readonly #perSecond: number;
  readonly #buckets = new Map<number, Bucket>();

  /** 0 turns it off. */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** Takes one token; false when there is none. */
  allows(userId: number, nowMs: number): boolean {
    const perSecond = this.#perSecond;
    if (perSecond === 0) return true;
    const bucket = this.#buckets.get(userId);
    if (bucket === undefined) {
      if (this.#buckets.size >= usersMax) this.#dropFull(nowMs);
      this.#buckets.set(userId, { tokens: perSecond - 1, filledAtMs: nowMs });
      return true;
    }
    bucket.tokens = Math.min(perSecond, bucket.tokens + ((nowMs - bucket.filledAtMs) / 1000) * perSecond);
    bucket.filledAtMs = nowMs;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }

  /** A bucket that has filled up again is as good as none. When all are in use, the limit starts anew for everybody. */
  #dropFull(nowMs: number): void {
    for (const [userId, bucket] of this.#buckets) if (nowMs - bucket.filledAtMs > 1000) this.#buckets.delete(userId);
    if (this.#buckets.size >= usersMax) this.#buckets.clear();
  }
}
