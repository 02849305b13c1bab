/** Waiting, chance and keys: the few things a browser and Node do alike, but not in one call. */

/** Resolves after `delayMs`; rejects with the signal's reason once that is aborted. */
export function sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, delayMs);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** A wait before attempt `failures + 1`: anywhere below a limit that doubles with each failure, so that a crowd spreads out. */
export function fullJitter(failures: number, delayMs: number, delayMsMax: number): number {
  return Math.random() * Math.min(delayMsMax, delayMs * 2 ** Math.min(failures, 30));
}

/** Anywhere between the two. */
export function between(min: number, max: number): number {
  return min + Math.random() * (max - min);
}

/** An Idempotency-Key nobody has used. */
export function newKey(): string {
  // Browsers have randomUUID on https and localhost alone.
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
