/**
 * Signs of life: whoever has a socket here is present. Redis keeps for each user the moment at which the absence counts as
 * leaving; it is moved on every 20 s for all of a room together, and set to one absence from now when the last socket goes.
 */
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';

export interface PresenceOptions {
  readonly clock: Clock;
  /** Nobody of these counts as absent for `forMs`. */
  readonly seen: (performanceId: number, userIds: readonly number[], forMs: number) => Promise<void>;
  readonly absenceMs: number;
  /** Who waits in a room with a socket here. */
  readonly presentIn: (performanceId: number) => readonly number[];
  readonly log: { warn(message: string, fields?: Record<string, unknown>): void };
}

const reportIntervalMs = 20_000;
/** Users whose last socket closed are reported together. */
const leaveDelayMs = 200;

export class Presence {
  readonly #options: PresenceOptions;
  readonly #timers = new Map<number, Timer>();
  /** By room, users whose last socket here has closed. */
  readonly #left = new Map<number, Set<number>>();

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  /** A room has its first watcher. */
  open(performanceId: number): void {
    const { clock, absenceMs, presentIn } = this.#options;
    const timer = clock.after(reportIntervalMs, () => {
      this.open(performanceId);
      void this.#report(performanceId, presentIn(performanceId), absenceMs + reportIntervalMs);
    });
    this.#timers.set(performanceId, timer);
  }

  /** A room has no watcher any more. */
  close(performanceId: number): void {
    this.#timers.get(performanceId)?.cancel();
    this.#timers.delete(performanceId);
  }

  /** The last socket of a user who waits has closed. */
  leave(performanceId: number, userId: number): void {
    const left = this.#left.get(performanceId);
    if (left !== undefined) {
      left.add(userId);
      return;
    }
    this.#left.set(performanceId, new Set([userId]));
    this.#options.clock.after(leaveDelayMs, () => {
      const users = this.#left.get(performanceId) ?? new Set();
      this.#left.delete(performanceId);
      // Back already, on another socket: reported with the others.
      for (const present of this.#options.presentIn(performanceId)) users.delete(present);
      void this.#report(performanceId, [...users], this.#options.absenceMs);
    });
  }

  /** Nobody of this process counts as present any longer than one absence from now. */
  async stop(): Promise<void> {
    const { presentIn, absenceMs } = this.#options;
    for (const timer of this.#timers.values()) timer.cancel();
    const rooms = [...this.#timers.keys()];
    await Promise.all(rooms.map((id) => this.#report(id, presentIn(id), absenceMs)));
  }

  async #report(performanceId: number, userIds: readonly number[], forMs: number): Promise<void> {
    if (userIds.length === 0) return;
    try {
      await this.#options.seen(performanceId, userIds, forMs);
    } catch (thrown) {
      // Redis is away: nobody counts as absent for a minute after an outage.
      this.#options.log.warn('those who wait were not reported', { performanceId, error: messageOf(thrown) });
    }
  }
}
