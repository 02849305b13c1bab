/** A bound on a wait whose end does not depend on us. */

/** True when the promise resolved in time. Rejects as it does. */
export function within(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timeout = setTimeout(() => resolve(false), timeoutMs);
    promise.then(() => resolve(true), reject).finally(() => clearTimeout(timeout));
  });
}
