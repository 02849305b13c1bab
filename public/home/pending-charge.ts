/**
 * A charge that has had no answer. Its Idempotency-Key is kept in the browser before it is sent, over reloads too, so that
 * asking again cannot charge twice, and taken out once there is an answer that settles it.
 */

export interface PendingCharge {
  readonly amount: number;
  readonly key: string;
  /** Unix milliseconds. */
  readonly atMs: number;
}

/** The gateway remembers keys for a day; what is older might be charged twice. */
const keptMsMax = 20 * 3_600_000;

export function newPendingCharge(amount: number, nowMs: number): PendingCharge {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const key = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return { amount, key: `charge-${key}`, atMs: nowMs };
}

/** What was kept; null for nothing, something else, or one too old to ask again. */
export function readPendingCharge(kept: string | null, nowMs: number): PendingCharge | null {
  let value: unknown;
  try {
    value = JSON.parse(kept ?? 'null');
  } catch {
    return null;
  }
  const { amount, key, atMs } = (value ?? {}) as Partial<Record<keyof PendingCharge, unknown>>;
  if (!Number.isSafeInteger(amount) || typeof key !== 'string' || typeof atMs !== 'number') return null;
  // From a clock that was ahead: nobody knows how old it is.
  if (atMs > nowMs || nowMs - atMs > keptMsMax) return null;
  return { amount: amount as number, key, atMs };
}

/**
 * Whether an answer of this status says for good that it was charged, or was not. What was refused before it was looked at
 * (401, 429) and a gateway that is unwell (5xx) say nothing of an earlier try with the same key.
 */
export function isSettled(status: number): boolean {
  return status < 500 && status !== 401 && status !== 429;
}
