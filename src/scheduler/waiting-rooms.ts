/** The jobs of the waiting rooms: admit in rounds, draw when a room opens, write down how many tickets are out. */
import type { RoomLedger, RoomStore } from '../domain/stores.ts';
import type { AdmissionRound } from '../domain/waiting-room.ts';
import { drawNumbers, newSeed } from '../waiting-room/draw.ts';
import type { Job } from './scheduler.ts';

export interface RoomCounters {
  admitted: number;
  expired: number;
  left: number;
  draws: number;
}

/**
 * A second of a room must cost Redis no more than twenty commands, those inside the script too: a round has eleven, nineteen
 * where passes end and people go (two rounds a second: 20 and 31). The passes of a round begin, and are told, evenly over it.
 */
const roundMs = 1000;
const drawIntervalMs = 200;
const noteIntervalMs = 1000;

/** `makeSeed`: of a draw; a simulation has its own. */
export function waitingRoomJobs(
  store: RoomStore,
  ledger: RoomLedger,
  counters: RoomCounters,
  makeSeed = newSeed,
): Job[] {
  const drawsDue = new Map<number, NonNullable<AdmissionRound['drawDue']>>();
  const issued = new Map<number, number>();
  const noted = new Map<number, number>();

  async function admit(): Promise<void> {
    for (const round of await store.admit(roundMs)) {
      const { performanceId, drawDue } = round;
      counters.admitted += round.admitted;
      counters.expired += round.expired;
      counters.left += round.left;
      issued.set(performanceId, round.issued);
      if (drawDue === null) drawsDue.delete(performanceId);
      else drawsDue.set(performanceId, drawDue);
    }
  }

  /** The seed is stored before anybody gets a number: whoever goes on after a crash comes to the same numbers. */
  async function draw(): Promise<void> {
    for (const [performanceId, range] of drawsDue) {
      drawsDue.delete(performanceId);
      const stored = await ledger.writeDraw({ performanceId, ...range, seed: makeSeed() });
      await store.draw(stored, await drawNumbers(stored));
      counters.draws++;
    }
  }

  async function note(): Promise<void> {
    for (const [performanceId, count] of issued) {
      issued.delete(performanceId);
      if (noted.get(performanceId) === count) continue;
      await ledger.writeIssued(performanceId, count);
      noted.set(performanceId, count);
    }
  }

  // Apart from each other: MySQL at a standstill must not stop the admission.
  return [
    { name: 'admit', intervalMs: roundMs, run: admit },
    { name: 'draw', intervalMs: drawIntervalMs, run: draw },
    { name: 'note tickets', intervalMs: noteIntervalMs, run: note },
  ];
}
