import { describe, expect, it } from 'vitest';
import { ManualClock, settled } from '../../test/manual-clock.ts';
import { newReservationId } from '../domain/ids.ts';
import type { Hold, Release } from '../domain/reservation.ts';
import type { HoldStore, Ledger, PersistResult } from '../domain/stores.ts';
import { expireJob, recoverJob } from './jobs.ts';
import { type Job, Scheduler } from './scheduler.ts';

/** A lease that others may have. */
class FakeLease {
  owner: 'another' | 'nobody' = 'nobody';
  fault: Error | null = null;
  ended = 0;

  async take(): Promise<boolean> {
    if (this.fault !== null) throw this.fault;
    return this.owner !== 'another';
  }

  async end(): Promise<void> {
    this.ended++;
    if (this.fault !== null) throw this.fault;
  }
}

function makeScheduler(jobs: readonly Job[], lease = new FakeLease()) {
  const clock = new ManualClock();
  const lines: string[] = [];
  const note = (message: string, fields: Record<string, unknown> = {}): void => {
    lines.push([message, ...Object.values(fields)].join(' '));
  };
  const scheduler = new Scheduler({ clock, lease, leaseIntervalMs: 100, jobs, log: { info: note, warn: note } });
  return { clock, lease, lines, scheduler };
}

function countingJob(name: string, intervalMs: number, round: () => Promise<void> = async () => {}) {
  const job = {
    name,
    intervalMs,
    rounds: 0,
    async run() {
      job.rounds++;
      await round();
    },
  };
  return job;
}

describe('the scheduler', () => {
  it('runs each job at its interval while it has the lease', async () => {
    const [often, seldom] = [countingJob('often', 50), countingJob('seldom', 500)];
    const { clock, scheduler } = makeScheduler([often, seldom]);
    scheduler.start();
    await clock.advance(1000);
    expect(scheduler.isLeader).toBe(true);
    expect(often.rounds).toBe(21);
    expect(seldom.rounds).toBe(3);
    await scheduler.stop();
  });

  it('runs the first round of every job at once when it has won the lease', async () => {
    const job = countingJob('job', 60_000);
    const { clock, scheduler } = makeScheduler([job]);
    scheduler.start();
    await clock.turn();
    expect(job.rounds).toBe(1);
    await scheduler.stop();
  });

  it('runs no job while another has the lease, all once it gets it, and none when it has lost it', async () => {
    const job = countingJob('job', 10);
    const { clock, lease, lines, scheduler } = makeScheduler([job]);
    lease.owner = 'another';
    scheduler.start();
    await clock.advance(1000);
    expect([job.rounds, scheduler.isLeader]).toEqual([0, false]);
    lease.owner = 'nobody';
    await clock.advance(200);
    expect(scheduler.isLeader).toBe(true);
    expect(job.rounds).toBeGreaterThan(5);
    lease.owner = 'another';
    await clock.advance(100);
    const { rounds } = job;
    await clock.advance(1000);
    expect([job.rounds, scheduler.isLeader]).toEqual([rounds, false]);
    expect(lines).toEqual(['leads the jobs', 'no longer leads']);
    await scheduler.stop();
    expect(lease.ended).toBe(0);
  });

  it('does not lead while it cannot know, and tries on', async () => {
    const job = countingJob('job', 10);
    const { clock, lease, lines, scheduler } = makeScheduler([job]);
    scheduler.start();
    await clock.advance(100);
    lease.fault = new Error('no Redis');
    await clock.advance(200);
    const { rounds } = job;
    expect(scheduler.isLeader).toBe(false);
    await clock.advance(1000);
    expect(job.rounds).toBe(rounds);
    lease.fault = null;
    await clock.advance(200);
    expect(scheduler.isLeader).toBe(true);
    expect(job.rounds).toBeGreaterThan(rounds);
    // One line when the fault begins and one when it ends, not one a round.
    expect(lines.filter((line) => line.includes('lease'))).toEqual([
      'job failed; it tries again lease no Redis',
      'job works again lease',
    ]);
    await scheduler.stop();
  });

  it('goes on with a job that fails, and with the others', async () => {
    const failing = countingJob('failing', 10, () => Promise.reject(new Error('no luck')));
    const good = countingJob('good', 10);
    const { clock, lines, scheduler } = makeScheduler([failing, good]);
    scheduler.start();
    await clock.advance(500);
    expect(failing.rounds).toBe(51);
    expect(good.rounds).toBe(51);
    expect(lines).toEqual(['leads the jobs', 'job failed; it tries again failing no luck']);
    await scheduler.stop();
  });

  it('goes on with a job that throws before it returns a promise', async () => {
    const job: Job = {
      name: 'slip',
      intervalMs: 10,
      run() {
        throw new Error('a slip');
      },
    };
    const { clock, lines, scheduler } = makeScheduler([job]);
    scheduler.start();
    await clock.advance(100);
    expect(lines).toContain('job failed; it tries again slip a slip');
    await scheduler.stop();
  });

  it('never runs two rounds of a job at once', async () => {
    const round = Promise.withResolvers<void>();
    const job = countingJob('slow', 10, () => round.promise);
    const { clock, scheduler } = makeScheduler([job]);
    scheduler.start();
    await clock.advance(1000);
    expect(job.rounds).toBe(1);
    round.resolve();
    await clock.advance(100);
    expect(job.rounds).toBeGreaterThan(5);
    await scheduler.stop();
  });

  it('stops after the rounds under way, then gives the lease back, and leaves no timer', async () => {
    const round = Promise.withResolvers<void>();
    const job = countingJob('slow', 10, () => round.promise);
    const { clock, lease, scheduler } = makeScheduler([job]);
    scheduler.start();
    await clock.advance(50);
    let isStopped = false;
    const stop = scheduler.stop().then(() => {
      isStopped = true;
    });
    await settled();
    expect([isStopped, lease.ended]).toEqual([false, 0]);
    round.resolve();
    await stop;
    expect([lease.ended, scheduler.isLeader, clock.timers]).toEqual([1, false, 0]);
    await clock.advance(1000);
    expect(job.rounds).toBe(1);
  });

  it('stops although the lease cannot be given back', async () => {
    const { clock, lease, lines, scheduler } = makeScheduler([]);
    scheduler.start();
    await clock.advance(50);
    lease.fault = new Error('no Redis');
    await scheduler.stop();
    expect(lines.at(-1)).toBe('lease not given back; it ends by itself no Redis');
  });
});

function hold(performanceId: number): Hold {
  return {
    reservationId: newReservationId(),
    performanceId,
    userId: 1,
    seats: [1],
    partySize: 0,
    versions: [1],
    amount: 1,
    holdMs: 1000,
    expiresAtMs: 1,
    journal: { id: '1-1', open: 1 },
    supersedes: [],
  };
}

function makeStores(journal: readonly Hold[], results: readonly PersistResult[], due: Release[][] = []) {
  const calls: string[] = [];
  const store: HoldStore = {
    hold: () => Promise.reject(new Error('no business of a job')),
    release: async (releases) => void calls.push(`release ${releases.length}`),
    confirm: async () => {},
    cool: async (performanceId, ids) => void calls.push(`cool ${performanceId} ${ids.length}`),
    forget: async (holds) => void calls.push(`forget ${holds.length}`),
    journal: async () => [...journal],
  };
  const ledger: Ledger = {
    isAvailable: () => true,
    persistHolds: async (holds) => {
      calls.push(`persist ${holds.length}`);
      return [...results];
    },
    expireDue: async () => due.shift() ?? [],
  };
  return { calls, store, ledger, counters: { expired: 0, recovered: 0, takenBack: 0 } };
}

describe('the job that recovers the journal', () => {
  it('stores what was left behind and forgets it; takes back what MySQL refuses, performance by performance', async () => {
    const holds = [hold(1), hold(1), hold(2), hold(1)];
    const { calls, store, ledger, counters } = makeStores(holds, ['persisted', 'conflict', 'conflict', 'conflict']);
    await recoverJob(store, ledger, counters).run();
    expect(calls).toEqual(['persist 4', 'forget 1', 'cool 1 2', 'forget 2', 'cool 2 1', 'forget 1']);
    expect(counters).toMatchObject({ recovered: 1, takenBack: 3 });
  });

  it('does nothing when nothing was left behind', async () => {
    const { calls, store, ledger, counters } = makeStores([], []);
    await recoverJob(store, ledger, counters).run();
    expect(calls).toEqual([]);
  });

  it('hands MySQL no more holds at once than a transaction should have', async () => {
    const holds = Array.from({ length: 3000 }, (_, i) => hold(i));
    const { calls, store, ledger, counters } = makeStores(holds, []);
    ledger.persistHolds = async (batch) => {
      calls.push(`persist ${batch.length}`);
      return batch.map(() => 'persisted');
    };
    await recoverJob(store, ledger, counters).run();
    const sizes = calls.filter((call) => call.startsWith('persist')).map((call) => Number(call.split(' ')[1]));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(3000);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(500);
  });
});

describe('the job that expires', () => {
  const releases = (count: number): Release[] =>
    Array.from({ length: count }, () => ({
      reservationId: newReservationId(),
      performanceId: 1,
      userId: 1,
      endsPass: false,
      seatVersions: [],
    }));

  it('tells Redis after MySQL, and goes on until nothing is due', async () => {
    const { calls, store, ledger, counters } = makeStores([], [], [releases(500), releases(500), releases(3)]);
    await expireJob(store, ledger, counters).run();
    expect(calls).toEqual(['release 500', 'release 500', 'release 3']);
    expect(counters.expired).toBe(1003);
  });

  it('does not trouble Redis when nothing is due', async () => {
    const { calls, store, ledger, counters } = makeStores([], []);
    await expireJob(store, ledger, counters).run();
    expect(calls).toEqual([]);
  });
});
