import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/manual-clock.ts';
import type { ArbiterView, ViewedSeat } from '../domain/drift.ts';
import type { Snapshot } from '../domain/snapshot.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { newReconcileCounters, reconcileJob, secondLookMs } from './reconcile.ts';

/** A free hall of ten seats, of which MySQL has never changed any; `seats` is what Redis has. */
function viewOf(seats: ReadonlyMap<number, ViewedSeat>): ArbiterView {
  const none = { users: new Map(), expiry: new Map(), journal: [] };
  const taken = [...seats.values()].filter(({ state }) => state !== 'A').length;
  const numbers = { places: 10, remaining: 10 - taken, nowMs: 1 };
  return { isSeated: true, ...numbers, isStill: true, seats, reservations: new Map(), ...none };
}

const snapshot: Snapshot = {
  performance: {
    performanceId: 1,
    eventId: 1,
    startsAtMs: 0,
    bookingOpensAtMs: null,
    bookingClosesAtMs: null,
    price: 1,
    holdSeconds: 60,
    maxReservationsPerUser: 1,
    seating: { kind: 'seated', seats: 10, seatsPerRow: 10 },
  },
  seats: [],
  ownerOf: new Map(),
  reservations: [],
  room: null,
};

/** A job over performances whose seats in Redis a test changes. */
function makeJob(performanceIds: readonly number[]) {
  const clock = new ManualClock();
  const counters = newReconcileCounters();
  const seats = new Map<number, Map<number, ViewedSeat>>(performanceIds.map((id) => [id, new Map()]));
  const looks: number[] = [];
  const repaired: number[] = [];
  const lines: string[] = [];
  const note = (message: string, fields: Record<string, unknown> = {}): void => {
    lines.push([message, ...Object.values(fields).map((value) => JSON.stringify(value))].join(' '));
  };
  const state = { lookMs: 0, isMending: true, fault: null as Error | null, faultyFrom: 0 };
  const job = reconcileJob({
    clock,
    counters,
    log: { warn: note, error: note },
    performances: async () => [...seats.keys()],
    snapshot: async () => snapshot,
    async view(performanceId) {
      looks.push(performanceId);
      if (state.lookMs > 0) await clock.advance(state.lookMs);
      if (state.fault !== null && performanceId >= state.faultyFrom) throw state.fault;
      return viewOf(new Map(seats.get(performanceId)));
    },
    async repair(performanceId) {
      repaired.push(performanceId);
      if (state.isMending) seats.get(performanceId)!.clear();
    },
  });
  /** Rounds at their interval. */
  async function run(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      await job.run();
      await clock.advance(job.intervalMs);
    }
  }
  const drift = (performanceId: number, version = 1): void => {
    seats.get(performanceId)!.set(1, { state: 'A', version, owner: '' });
  };
  return { clock, counters, looks, repaired, lines, state, job, run, drift };
}

describe('the reconciliation', () => {
  it('mends what two looks saw alike, no sooner than the time between them, and counts it', async () => {
    const { clock, counters, looks, repaired, lines, job, drift } = makeJob([7]);
    drift(7);
    await job.run();
    await clock.advance(secondLookMs - 1);
    await job.run();
    expect(repaired).toEqual([]);
    await clock.advance(1);
    await job.run();
    expect(repaired).toEqual([7]);
    expect(looks.length).toBe(counters.compared);
    expect(counters.repairs).toBe(1);
    expect(counters.drift).toMatchObject({ seat: 1, missing: 0 });
    expect(lines).toEqual(['redis differs from mysql; the performance is loaded anew 7 {"seat":1}']);
  });

  it('leaves alone what moved between the looks', async () => {
    const { counters, repaired, run, drift } = makeJob([7]);
    for (let version = 1; version <= 20; version++) {
      drift(7, version);
      await run(1);
    }
    expect(repaired).toEqual([]);
    expect(Object.values(counters.drift).every((count) => count === 0)).toBe(true);
  });

  it('looks at all of many in turn, a few a round', async () => {
    const ids = Array.from({ length: 95 }, (_, i) => i + 1);
    const { looks, run } = makeJob(ids);
    await run(1);
    expect(looks).toHaveLength(20);
    await run(4);
    expect([...looks].sort((a, b) => a - b)).toEqual(ids);
    await run(5);
    expect(looks.slice(95)).toEqual(looks.slice(0, 95));
  });

  it('rests long after looks that took long', async () => {
    const { looks, state, run } = makeJob(Array.from({ length: 10 }, (_, i) => i + 1));
    state.lookMs = 200;
    await run(1);
    expect(looks).toHaveLength(1);
    await run(2);
    expect(looks).toHaveLength(1);
    await run(2);
    expect(looks).toHaveLength(2);
  });

  it('does not load again and again what a load does not mend', async () => {
    const { repaired, lines, state, run, drift } = makeJob([7]);
    state.isMending = false;
    drift(7);
    await run(50);
    expect(repaired).toEqual([7]);
    expect(lines.at(-1)).toBe('redis differs from mysql though it was loaded 7 {"seat":1}');
    state.isMending = true;
    await run(30);
    expect(repaired).toEqual([7, 7]);
  });

  it('goes on with the others where one cannot be compared, and says so once', async () => {
    const { state, repaired, lines, run, drift } = makeJob([1, 2]);
    drift(1);
    Object.assign(state, { fault: new Error('unreadable'), faultyFrom: 2 });
    await run(5);
    expect(repaired).toEqual([1]);
    expect(lines.filter((line) => line.startsWith('a performance could not be compared'))).toEqual([
      'a performance could not be compared 2 "unreadable"',
    ]);
  });

  it('ends the round where a store is away, and has forgotten nothing once it is back', async () => {
    const { state, job, run, repaired, drift } = makeJob([7]);
    drift(7);
    await run(1);
    state.fault = new StoreUnavailable('redis', 'gone');
    await expect(run(3)).rejects.toThrow(StoreUnavailable);
    await expect(job.run()).rejects.toThrow(StoreUnavailable);
    state.fault = null;
    await run(5);
    expect(repaired).toEqual([7]);
  });
});

describe('a difference', () => {
  it('is none where Redis has nothing to compare, or MySQL no such performance', async () => {
    const counters = newReconcileCounters();
    for (const [view, stored] of [[null, snapshot] as const, [viewOf(new Map()), null] as const]) {
      const job = reconcileJob({
        clock: new ManualClock(),
        counters,
        log: { warn() {}, error() {} },
        performances: async () => [1],
        snapshot: async () => stored,
        view: async () => view,
        repair: () => Promise.reject(new Error('nothing to mend')),
      });
      for (let round = 0; round < 5; round++) await job.run();
    }
    expect(counters).toEqual(newReconcileCounters());
  });
});
