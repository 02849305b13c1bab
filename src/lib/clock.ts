/** Time as an argument, so that the seeded simulation can own it. Never compared with the clock of Redis or MySQL. */

/** A timer that can be given back. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds with a fraction; only differences mean anything. */
  nowMs(): number;
  /** Calls `callback` once after `delayMs`. */
  after(delayMs: number, callback: () => void): Timer;
  /** Calls `callback` once the events at hand are handled (the check phase of the loop). */
  soon(callback: () => void): void;
}

class TimeoutTimer implements Timer {
  readonly #timeout: NodeJS.Timeout;

  constructor(delayMs: number, callback: () => void) {
    this.#timeout = setTimeout(callback, delayMs);
  }

  cancel(): void {
    clearTimeout(this.#timeout);
  }
}

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after: (delayMs, callback) => new TimeoutTimer(delayMs, callback),
  soon: (callback) => {
    setImmediate(callback);
  },
};

/** Resolves after `delayMs` of the given clock. */
export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(delayMs, resolve);
  });
}
