/** A clock that stands still until it is told to go on: for tests and the seeded simulation. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, Timer } from '../src/lib/clock.ts';

interface Alarm {
  readonly atMs: number;
  readonly callback: () => void;
}

const delayMsMin = 0.001;

/** Resolves when every promise that can settle without a timer or I/O has, and what followed from it. */
export async function settled(): Promise<void> {
  await nextTurn();
}

export class ManualClock implements Clock {
  #nowMs = 0;
  /** In the order of their time; those of one moment in the order they were set. */
  #alarms: Alarm[] = [];
  #soon: (() => void)[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    // A delay too small to be added would never be over.
    const isLost = delayMs > 0 && this.#nowMs + delayMs === this.#nowMs;
    const alarm = { atMs: this.#nowMs + (isLost ? delayMsMin : Math.max(delayMs, 0)), callback };
    const later = this.#alarms.findIndex((other) => other.atMs > alarm.atMs);
    this.#alarms.splice(later === -1 ? this.#alarms.length : later, 0, alarm);
    return {
      cancel: () => {
        this.#alarms = this.#alarms.filter((other) => other !== alarm);
      },
    };
  }

  soon(callback: () => void): void {
    this.#soon.push(callback);
  }

  /** Timers set and not fired or cancelled. */
  get timers(): number {
    return this.#alarms.length;
  }

  /** When the next timer fires, or null. */
  get nextAtMs(): number | null {
    return this.#alarms[0]?.atMs ?? null;
  }

  /** Ends the turn of the loop: runs what was wanted soon, and what follows from it, without any time passing. */
  async turn(): Promise<void> {
    await settled();
    while (this.#soon.length > 0) {
      for (const callback of this.#soon.splice(0)) callback();
      await settled();
    }
  }

  /** Lets `durationMs` pass; each timer due on the way fires at its own moment and has its turn of the loop. */
  async advance(durationMs: number): Promise<void> {
    const untilMs = this.#nowMs + durationMs;
    await this.turn();
    for (let alarm = this.#alarms[0]; alarm !== undefined && alarm.atMs <= untilMs; alarm = this.#alarms[0]) {
      this.#alarms.shift();
      this.#nowMs = alarm.atMs;
      alarm.callback();
      await this.turn();
    }
    this.#nowMs = untilMs;
  }
}
