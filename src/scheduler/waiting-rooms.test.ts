import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/manual-clock.ts';
import type { RoomLedger, RoomStore } from '../domain/stores.ts';
import type { AdmissionRound, Draw } from '../domain/waiting-room.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { drawNumbers } from '../waiting-room/draw.ts';
import { type Job, Scheduler } from './scheduler.ts';
import { waitingRoomJobs } from './waiting-rooms.ts';

function roundOf(performanceId: number, fields: Partial<AdmissionRound> = {}): AdmissionRound {
  return { performanceId, isOn: true, admitted: 0, expired: 0, left: 0, issued: 0, drawDue: null, ...fields };
}

const away = new StoreUnavailable('mysql', 'away');

/** Both stores, and what they were asked, in order. */
function makeStores() {
  const calls: string[] = [];
  const rounds: AdmissionRound[] = [];
  const stored: Draw[] = [];
  const given: { readonly draw: Draw; readonly numbers: readonly number[] }[] = [];
  const faults = { admit: null as Error | null, draw: null as Error | null, mysql: null as Error | null };
  const store: Partial<RoomStore> = {
    async admit(roundMs) {
      calls.push(`admit ${roundMs}`);
      if (faults.admit !== null) throw faults.admit;
      return [...rounds];
    },
    async draw(draw, numbers) {
      calls.push(`give ${draw.performanceId}: ${draw.firstArrival}-${draw.lastArrival}`);
      if (faults.draw !== null) throw faults.draw;
      given.push({ draw, numbers });
    },
  };
  const ledger: Partial<RoomLedger> = {
    async writeDraw(draw) {
      calls.push(`store ${draw.performanceId}: ${draw.firstArrival}-${draw.lastArrival}`);
      if (faults.mysql !== null) throw faults.mysql;
      const before = stored.find(
        (each) => each.performanceId === draw.performanceId && each.firstArrival === draw.firstArrival,
      );
      if (before === undefined) stored.push(draw);
      return before ?? draw;
    },
    async writeIssued(performanceId, issued) {
      calls.push(`issued ${performanceId}: ${issued}`);
      if (faults.mysql !== null) throw faults.mysql;
    },
  };
  const counters = { admitted: 0, expired: 0, left: 0, draws: 0 };
  const [admit, draw, note] = waitingRoomJobs(store as RoomStore, ledger as RoomLedger, counters) as [Job, Job, Job];
  return { calls, rounds, stored, given, faults, counters, admit, draw, note };
}

describe('the job that admits', () => {
  it('does one round of all rooms every second, and counts what it did', async () => {
    const { calls, rounds, counters, admit } = makeStores();
    rounds.push(roundOf(1, { admitted: 5, expired: 2 }), roundOf(2, { admitted: 3, left: 4 }));
    await admit.run();
    await admit.run();
    expect(calls).toEqual(['admit 1000', 'admit 1000']);
    expect(admit.intervalMs).toBe(1000);
    expect(counters).toEqual({ admitted: 16, expired: 4, left: 8, draws: 0 });
  });

  it('rejects when Redis is away: the scheduler says so and tries again', async () => {
    const { faults, admit } = makeStores();
    faults.admit = new StoreUnavailable('redis', 'away');
    await expect(admit.run()).rejects.toThrow(StoreUnavailable);
  });
});

describe('the job that draws', () => {
  it('stores the seed before anybody gets a number', async () => {
    const { calls, rounds, stored, given, counters, admit, draw } = makeStores();
    rounds.push(roundOf(1, { drawDue: { firstArrival: 3, lastArrival: 40 } }));
    await admit.run();
    await draw.run();
    expect(calls).toEqual(['admit 1000', 'store 1: 3-40', 'give 1: 3-40']);
    expect(stored[0]!.seed).toMatch(/^[0-9a-f]{64}$/);
    expect(given).toEqual([{ draw: stored[0], numbers: await drawNumbers(stored[0]!) }]);
    expect(counters.draws).toBe(1);
  });

  it('gives no number while MySQL cannot store the seed, and goes on once it can', async () => {
    const { calls, rounds, faults, given, counters, admit, draw } = makeStores();
    rounds.push(roundOf(1, { drawDue: { firstArrival: 1, lastArrival: 4 } }));
    faults.mysql = away;
    await admit.run();
    await expect(draw.run()).rejects.toThrow(StoreUnavailable);
    expect(given).toEqual([]);
    faults.mysql = null;
    await admit.run();
    await draw.run();
    expect(calls.slice(-2)).toEqual(['store 1: 1-4', 'give 1: 1-4']);
    expect([given.length, counters.draws]).toEqual([1, 1]);
  });

  it('that broke off between the seed and the numbers comes to the same numbers', async () => {
    const { rounds, faults, stored, given, admit, draw } = makeStores();
    rounds.push(roundOf(1, { drawDue: { firstArrival: 1, lastArrival: 30 } }));
    faults.draw = new StoreUnavailable('redis', 'away');
    await admit.run();
    await expect(draw.run()).rejects.toThrow(StoreUnavailable);
    faults.draw = null;
    await admit.run();
    await draw.run();
    expect(stored).toHaveLength(1);
    expect(given).toEqual([{ draw: stored[0], numbers: await drawNumbers(stored[0]!) }]);
  });

  it('gives the numbers of the draw that is stored, whoever stored it', async () => {
    const { rounds, stored, given, admit, draw } = makeStores();
    const other: Draw = { performanceId: 1, firstArrival: 1, lastArrival: 50, seed: 'ab'.repeat(32) };
    stored.push(other);
    rounds.push(roundOf(1, { drawDue: { firstArrival: 1, lastArrival: 30 } }));
    await admit.run();
    await draw.run();
    expect(given).toEqual([{ draw: other, numbers: await drawNumbers(other) }]);
  });

  it('draws nothing twice, and nothing that is no longer due', async () => {
    const { calls, rounds, admit, draw } = makeStores();
    rounds.push(roundOf(1, { drawDue: { firstArrival: 1, lastArrival: 4 } }));
    await admit.run();
    await draw.run();
    await draw.run();
    expect(calls).toEqual(['admit 1000', 'store 1: 1-4', 'give 1: 1-4']);
    await admit.run();
    rounds[0] = roundOf(1);
    await admit.run();
    await draw.run();
    expect(calls.slice(3)).toEqual(['admit 1000', 'admit 1000']);
  });

  it('has a seed of its own for every draw', async () => {
    const { rounds, stored, admit, draw } = makeStores();
    rounds.push(
      roundOf(1, { drawDue: { firstArrival: 1, lastArrival: 4 } }),
      roundOf(2, { drawDue: { firstArrival: 1, lastArrival: 4 } }),
    );
    await admit.run();
    await draw.run();
    rounds[0] = roundOf(1, { drawDue: { firstArrival: 5, lastArrival: 9 } });
    await admit.run();
    await draw.run();
    expect(new Set(stored.map(({ seed }) => seed)).size).toBe(3);
  });

  it('that fails for one room is held for the others by the next run', async () => {
    const { calls, rounds, faults, admit, draw } = makeStores();
    for (const id of [1, 2]) rounds.push(roundOf(id, { drawDue: { firstArrival: 1, lastArrival: 4 } }));
    await admit.run();
    faults.mysql = away;
    await expect(draw.run()).rejects.toThrow(StoreUnavailable);
    faults.mysql = null;
    await draw.run();
    expect(calls.slice(-2)).toEqual(['store 2: 1-4', 'give 2: 1-4']);
    await admit.run();
    await draw.run();
    expect(calls).toContain('give 1: 1-4');
  });
});

describe('the job that notes tickets', () => {
  it('writes down how many are out, only when they are more', async () => {
    const { calls, rounds, admit, note } = makeStores();
    rounds.push(roundOf(1, { issued: 5 }), roundOf(2, { issued: 7 }));
    await admit.run();
    await note.run();
    await note.run();
    await admit.run();
    await note.run();
    rounds[0] = roundOf(1, { issued: 6 });
    await admit.run();
    await note.run();
    expect(calls.filter((call) => call.startsWith('issued'))).toEqual(['issued 1: 5', 'issued 2: 7', 'issued 1: 6']);
  });

  it('writes them again when MySQL was away', async () => {
    const { calls, rounds, faults, admit, note } = makeStores();
    rounds.push(roundOf(1, { issued: 5 }));
    faults.mysql = away;
    await admit.run();
    await expect(note.run()).rejects.toThrow(StoreUnavailable);
    faults.mysql = null;
    await admit.run();
    await note.run();
    expect(calls.filter((call) => call.startsWith('issued'))).toEqual(['issued 1: 5', 'issued 1: 5']);
  });
});

describe('the jobs together', () => {
  it('admit on while MySQL is at a standstill, and draw and note once it moves again', async () => {
    const clock = new ManualClock();
    const calls: string[] = [];
    const stored: Draw[] = [];
    const rounds = [
      roundOf(1, { issued: 9, admitted: 1 }),
      roundOf(2, { drawDue: { firstArrival: 1, lastArrival: 4 } }),
    ];
    const moves = Promise.withResolvers<void>();
    // Neither an answer nor an error.
    const still: Pick<RoomLedger, 'writeDraw' | 'writeIssued'> = {
      async writeDraw(draw) {
        await moves.promise;
        stored.push(draw);
        return draw;
      },
      writeIssued: () => moves.promise,
    };
    const store: Partial<RoomStore> = {
      async admit() {
        calls.push(`admit at ${clock.nowMs()}`);
        return [...rounds];
      },
      async draw() {
        calls.push('give');
      },
    };
    const counters = { admitted: 0, expired: 0, left: 0, draws: 0 };
    const scheduler = new Scheduler({
      clock,
      lease: { take: async () => true, end: async () => {} },
      leaseIntervalMs: 100,
      jobs: waitingRoomJobs(store as RoomStore, still as RoomLedger, counters),
      log: { info: () => {}, warn: () => {} },
    });
    scheduler.start();
    await clock.advance(5000);
    expect(calls.filter((call) => call.startsWith('admit'))).toHaveLength(6);
    expect(counters).toMatchObject({ admitted: 6, draws: 0 });
    moves.resolve();
    await clock.advance(1000);
    expect(counters.draws).toBeGreaterThan(0);
    expect(stored.length).toBeGreaterThan(0);
    await scheduler.stop();
    expect(clock.timers).toBe(0);
  });
});
