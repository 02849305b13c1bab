/** How the waiting rooms stand, for the metrics: looked at by the leader, a few times a minute. */
import type { RoomState } from '../domain/waiting-room.ts';
import type { Clock } from '../lib/clock.ts';
import type { Job } from './scheduler.ts';

/** A look costs five commands a room. */
const intervalMs = 5000;
/** Rooms a look; and of those looked at, as many as are shown. */
const lookedAtMax = 200;
const shownMax = 20;

export interface RoomMeasure {
  readonly performanceId: number;
  readonly waiting: number;
  readonly active: number;
  /** Admitted a second since the look before. */
  readonly admitRate: number;
}

export interface RoomMeasuresOptions {
  readonly clock: Clock;
  /** Both reject with StoreUnavailable. */
  readonly rooms: () => Promise<readonly number[]>;
  readonly state: (performanceId: number) => Promise<RoomState | null>;
}

export class RoomMeasures {
  /** The rooms with the most people waiting, at the last look. */
  shown: readonly RoomMeasure[] = [];
  readonly job: Job = { name: 'measure rooms', intervalMs, run: () => this.#look() };
  readonly #options: RoomMeasuresOptions;
  #before = new Map<number, { admitted: number; atMs: number }>();

  constructor(options: RoomMeasuresOptions) {
    this.#options = options;
  }

  async #look(): Promise<void> {
    const { clock, rooms, state } = this.#options;
    // Ids rise with time: the newest rooms are those that people wait in.
    const ids = [...(await rooms())].sort((a, b) => b - a).slice(0, lookedAtMax);
    const measures: RoomMeasure[] = [];
    const seen = new Map<number, { admitted: number; atMs: number }>();
    for (const performanceId of ids) {
      const room = await state(performanceId);
      if (room === null || (room.mode === 'off' && room.waiting === 0)) continue;
      const { waiting, active, admitted } = room;
      const atMs = clock.nowMs();
      const before = this.#before.get(performanceId);
      const admitRate =
        before === undefined ? 0 : Math.max(0, ((admitted - before.admitted) * 1000) / (atMs - before.atMs));
      seen.set(performanceId, { admitted, atMs });
      measures.push({ performanceId, waiting, active, admitRate });
    }
    this.#before = seen;
    this.shown = measures.sort((a, b) => b.waiting - a.waiting).slice(0, shownMax);
  }
}
