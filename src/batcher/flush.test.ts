import { describe, expect, it, onTestFinished } from 'vitest';
import { ManualClock, settled } from '../../test/manual-clock.ts';
import { codeIndexes } from '../domain/codes.ts';
import type { Hold, HoldOutcome, HoldRequest, Release } from '../domain/reservation.ts';
import type { HoldDecision, HoldGrant, HoldGroup, HoldStore, Ledger, PersistResult } from '../domain/stores.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { HoldFlush, type HoldFlushOptions } from './flush.ts';

const flushDelayMsMax = 10;

function request(id: string, fields: Partial<HoldRequest> = {}): HoldRequest {
  return {
    reservationId: id,
    performanceId: 1,
    userId: 1,
    seats: [1],
    partySize: 0,
    isRepeat: false,
    pass: 0,
    ...fields,
  };
}

function holdOf(of: HoldRequest): Hold {
  const versions = of.seats.map(() => 1);
  return {
    ...of,
    versions,
    amount: 0,
    holdMs: 1000,
    expiresAtMs: 1,
    journal: { id: `j-${of.reservationId}`, open: 1 },
    supersedes: [],
  };
}

function heldOf(of: HoldRequest, isUnsure = false): HoldGrant {
  return { kind: 'held', isUnsure, hold: holdOf(of) };
}

const taken: HoldDecision = { kind: 'refused', refusal: { code: 'seat_taken', detail: 'A seat is taken.' } };
const failed: HoldDecision = { kind: 'failed', error: new Error('no Redis') };
const cold: HoldDecision = { kind: 'cold' };

/** Grants everything unless told otherwise; writes down what it was asked. */
class FakeStore implements HoldStore {
  confirm(): Promise<void> {
    return Promise.resolve();
  }

  readonly calls: string[];
  decide: (request: HoldRequest) => HoldDecision = (request) => heldOf(request);
  /** Instead of `decide`: the whole reply. */
  reply: ((groups: readonly HoldGroup[]) => Promise<HoldDecision[][]>) | null = null;
  coolFault: Error | null = null;
  forgetFault: Error | null = null;

  constructor(calls: string[]) {
    this.calls = calls;
  }

  hold(groups: readonly HoldGroup[]): Promise<HoldDecision[][]> {
    this.calls.push(
      `hold ${groups.map((group) => group.requests.map((of) => of.reservationId).join(' ')).join(' | ')}`,
    );
    if (this.reply !== null) return this.reply(groups);
    return Promise.resolve(groups.map((group) => group.requests.map(this.decide)));
  }

  async cool(performanceId: number, reservationIds: readonly string[]): Promise<void> {
    this.calls.push(`cool ${performanceId}: ${reservationIds.join(' ')}`);
    if (this.coolFault !== null) throw this.coolFault;
  }

  async forget(holds: readonly Hold[]): Promise<void> {
    this.calls.push(`forget ${holds.map((hold) => hold.reservationId).join(' ')}`);
    if (this.forgetFault !== null) throw this.forgetFault;
  }

  release(_releases: readonly Release[]): Promise<void> {
    throw new Error('no business of a flush');
  }

  journal(): Promise<Hold[]> {
    throw new Error('no business of a flush');
  }
}

/** Stores everything unless told otherwise. */
class FakeLedger implements Ledger {
  readonly calls: string[];
  available = true;
  persist: (holds: readonly Hold[]) => Promise<PersistResult[]> = async (holds) => holds.map(() => 'persisted');

  constructor(calls: string[]) {
    this.calls = calls;
  }

  isAvailable(): boolean {
    return this.available;
  }

  persistHolds(holds: readonly Hold[]): Promise<PersistResult[]> {
    this.calls.push(`persist ${holds.map((hold) => hold.reservationId).join(' ')}`);
    return this.persist(holds);
  }

  expireDue(): Promise<Release[]> {
    throw new Error('no business of a flush');
  }
}

function makeFlush(options: Partial<HoldFlushOptions> = {}) {
  const calls: string[] = [];
  const clock = new ManualClock();
  const store = new FakeStore(calls);
  const ledger = new FakeLedger(calls);
  const errors: string[] = [];
  const loads: { readonly performanceId: number; resolve(result: 'warm' | 'not_found'): void; reject(): void }[] = [];
  const flush = new HoldFlush({
    clock,
    store,
    ledger,
    warm: (performanceId) =>
      new Promise((resolve, reject) => {
        calls.push(`warm ${performanceId}`);
        loads.push({ performanceId, resolve, reject: () => reject(new Error('no load')) });
      }),
    ack: 'persisted',
    batchSizeMax: 100,
    flushDelayMsMax,
    depthMax: 1000,
    log: { error: (message) => errors.push(message) },
    ...options,
  });
  /** `id: code` or `id: held`, in the order of the answers; an id with two answers stands here twice. */
  const answers: string[] = [];
  const submit = (of: HoldRequest, deadlineAtMs = Number.POSITIVE_INFINITY): void => {
    flush.submit(of, deadlineAtMs, (outcome: HoldOutcome) => {
      answers.push(`${of.reservationId}: ${outcome.kind === 'held' ? 'held' : outcome.refusal.code}`);
    });
  };
  onTestFinished(async () => {
    // Whatever a test has made, nobody is left without an answer once the stores answer again.
    store.reply = null;
    store.decide = (each) => heldOf(each);
    store.coolFault = null;
    ledger.persist = async (holds) => holds.map(() => 'persisted');
    for (let round = 0; round < 20; round++) {
      for (const load of loads) load.resolve('warm');
      await clock.advance(500);
    }
    expect([flush.queue.depth, flush.commits.queue.depth]).toEqual([0, 0]);
    await flush.drained();
    const answered = answers.map((answer) => answer.split(':')[0]);
    expect(new Set(answered).size).toBe(answered.length);
  });
  return { calls, clock, store, ledger, flush, errors, loads, answers, submit };
}

/** What `persist` resolves with, later. */
function later<Value>(): { readonly promise: Promise<Value>; resolve(value: Value): void; reject(error: Error): void } {
  return Promise.withResolvers<Value>();
}

describe('persisted: a hold', () => {
  it('goes through Lua, then MySQL, and is answered after the commit', async () => {
    const { calls, clock, ledger, answers, submit } = makeFlush();
    const commit = later<PersistResult[]>();
    ledger.persist = () => commit.promise;
    submit(request('a'));
    await clock.advance(100);
    expect(calls).toEqual(['hold a', 'persist a']);
    expect(answers).toEqual([]);
    commit.resolve(['persisted']);
    await settled();
    expect(answers).toEqual(['a: held']);
    expect(calls).toEqual(['hold a', 'persist a', 'forget a']);
  });

  it('is answered with the hold that was stored', async () => {
    const { clock, flush } = makeFlush();
    let outcome: HoldOutcome | null = null;
    flush.submit(request('a', { seats: [4, 5] }), 1000, (given) => {
      outcome = given;
    });
    await clock.turn();
    expect(outcome).toEqual({ kind: 'held', hold: holdOf(request('a', { seats: [4, 5] })) });
  });

  it('travels with those of its performance in one group, in order of arrival', async () => {
    const { calls, clock, submit } = makeFlush();
    for (const [id, performanceId] of [
      ['a', 1],
      ['b', 2],
      ['c', 1],
      ['d', 2],
    ] as const) {
      submit(request(id, { performanceId }));
    }
    await clock.turn();
    expect(calls[0]).toBe('hold a c | b d');
  });

  it('that is refused is answered without MySQL', async () => {
    const { calls, clock, store, answers, submit } = makeFlush();
    store.decide = () => taken;
    submit(request('a'));
    await clock.turn();
    expect(answers).toEqual(['a: seat_taken']);
    expect(calls).toEqual(['hold a']);
  });

  it('that the store could not reach is unavailable, the others of the flush are not', async () => {
    const { clock, store, answers, submit } = makeFlush();
    store.decide = (of) => (of.reservationId === 'a' ? failed : heldOf(of));
    submit(request('a'));
    submit(request('b'));
    await clock.turn();
    expect(answers).toEqual(['a: unavailable', 'b: held']);
  });

  it('that fails with its flush is one line a fault, however many flushes it lasts', async () => {
    const { clock, store, answers, errors, submit } = makeFlush();
    const flushOne = async (id: string): Promise<void> => {
      submit(request(id));
      await clock.turn();
    };
    store.decide = () => failed;
    for (const id of ['a', 'b', 'c']) await flushOne(id);
    const line = 'flushes to Redis fail; who asked is told so';
    expect(errors).toEqual([line]);
    store.decide = () => taken;
    await flushOne('d');
    expect(errors).toEqual([line]);
    store.reply = () => Promise.reject(new Error('a fault'));
    await flushOne('e');
    expect(errors).toEqual([line, line]);
    expect(answers).toEqual(['a: unavailable', 'b: unavailable', 'c: unavailable', 'd: seat_taken', 'e: unavailable']);
  });

  it('counts batches and outcomes as they were', async () => {
    const { clock, flush, submit } = makeFlush();
    submit(request('a'));
    submit(request('b'));
    await clock.advance(1000);
    const { batchSizes, flushSeconds, waitSeconds } = flush.queue;
    expect([batchSizes.counts[1], batchSizes.sum]).toEqual([1, 2]);
    for (const histogram of [flushSeconds, waitSeconds]) {
      expect(histogram.counts.reduce((sum, count) => sum + count)).toBe(1);
    }
    flush.noteOutcome({ kind: 'refused', refusal: { code: 'seat_taken', detail: '' } });
    flush.noteOutcome({ kind: 'refused', refusal: { code: 'seat_taken', detail: '' } });
    expect(flush.outcomes[codeIndexes.seat_taken]).toBe(2);
    expect(flush.outcomes.reduce((sum, count) => sum + count)).toBe(2);
  });

  it('is unavailable when the commit fails; its journal entry stays', async () => {
    const { calls, clock, ledger, flush, answers, submit } = makeFlush();
    ledger.persist = async () => {
      throw new StoreUnavailable('mysql', 'away');
    };
    submit(request('a'));
    await clock.advance(1000);
    expect(answers).toEqual(['a: unavailable']);
    expect(calls).toEqual(['hold a', 'persist a']);
    expect(flush.commits.counters.failures).toBe(1);
  });

  it('is held although its journal entry could not be removed', async () => {
    const { clock, store, answers, errors, submit } = makeFlush();
    store.forgetFault = new Error('no Redis');
    submit(request('a'));
    await clock.turn();
    expect(answers).toEqual(['a: held']);
    expect(errors).toEqual(['journal entries stay behind']);
  });

  it('is refused before the store is asked while MySQL is known to be away', async () => {
    const { calls, clock, ledger, answers, submit } = makeFlush();
    ledger.available = false;
    submit(request('a'));
    expect(answers).toEqual(['a: unavailable']);
    await clock.advance(100);
    expect(calls).toEqual([]);
    ledger.available = true;
    submit(request('b'));
    await clock.turn();
    expect(answers).toEqual(['a: unavailable', 'b: held']);
  });
});

describe('held: a hold', () => {
  it('is answered before MySQL has it', async () => {
    const { calls, clock, ledger, answers, submit } = makeFlush({ ack: 'held' });
    const commit = later<PersistResult[]>();
    ledger.persist = () => commit.promise;
    submit(request('a'));
    await clock.turn();
    expect(answers).toEqual(['a: held']);
    expect(calls).toEqual(['hold a', 'persist a']);
    commit.resolve(['persisted']);
    await settled();
    expect(calls).toEqual(['hold a', 'persist a', 'forget a']);
  });

  it('is taken in while MySQL is away, and stored once it is back', async () => {
    const { calls, clock, ledger, flush, answers, submit } = makeFlush({ ack: 'held' });
    let isAway = true;
    ledger.available = false;
    ledger.persist = async (holds) => {
      if (isAway) throw new StoreUnavailable('mysql', 'away');
      return holds.map(() => 'persisted');
    };
    for (let i = 0; i < 5; i++) {
      submit(request(`a${i}`));
      await clock.advance(150);
    }
    expect(answers).toHaveLength(5);
    expect(flush.commits.queue.depth).toBe(5);
    isAway = false;
    await clock.advance(1000);
    expect(flush.commits.queue.depth).toBe(0);
    const forgotten = calls.filter((call) => call.startsWith('forget')).flatMap((call) => call.split(' ').slice(1));
    expect(forgotten.sort()).toEqual(['a0', 'a1', 'a2', 'a3', 'a4']);
    expect(flush.commits.counters.acknowledgedLost).toBe(0);
  });

  it('goes to MySQL again in the order of the grants after two commits have failed together', async () => {
    const { calls, clock, ledger, answers, submit } = makeFlush({ ack: 'held' });
    const commits = [later<PersistResult[]>(), later<PersistResult[]>()];
    ledger.persist = (holds) => commits.shift()?.promise ?? Promise.resolve(holds.map(() => 'persisted'));
    const under = [...commits];
    submit(request('first'));
    await clock.turn();
    submit(request('second'));
    await clock.advance(2 * flushDelayMsMax);
    expect(calls.filter((call) => call.startsWith('persist'))).toEqual(['persist first', 'persist second']);
    for (const commit of under) commit.reject(new StoreUnavailable('mysql', 'away'));
    await clock.advance(1000);
    // The second may supersede the first: MySQL refuses it, acknowledged as it is, when it comes before.
    const again = calls.filter((call) => call.startsWith('persist')).slice(2);
    expect(again.join(' ').replaceAll('persist ', '')).toBe('first second');
    expect(answers).toEqual(['first: held', 'second: held']);
  });

  it('that waited for MySQL is stored with what is left of it', async () => {
    const { clock, ledger, submit } = makeFlush({ ack: 'held' });
    const left: number[] = [];
    let isAway = true;
    ledger.persist = async (holds) => {
      if (isAway) throw new StoreUnavailable('mysql', 'away');
      left.push(...holds.map((hold) => hold.holdMs));
      return holds.map(() => 'persisted');
    };
    submit(request('a'));
    await clock.advance(600);
    isAway = false;
    await clock.advance(1000);
    expect(left).toHaveLength(1);
    expect(left[0]).toBeLessThanOrEqual(1000 - 600);
  });

  it('is not acknowledged before MySQL has it where places were taken over lately', async () => {
    const { answers, clock, store, ledger, submit } = makeFlush({ ack: 'held' });
    const commit = later<PersistResult[]>();
    store.decide = (request) => heldOf(request, request.reservationId === 'b');
    ledger.persist = () => commit.promise;
    submit(request('a'));
    submit(request('b'));
    await clock.turn();
    expect(answers).toEqual(['a: held']);
    commit.resolve(['persisted', 'persisted']);
    await clock.turn();
    expect(answers).toEqual(['a: held', 'b: held']);
  });

  it('beside one that waits is tried until MySQL is back; who waits is told', async () => {
    const { answers, clock, store, ledger, flush, submit } = makeFlush({ ack: 'held' });
    let isAway = true;
    store.decide = (request) => heldOf(request, request.reservationId === 'b');
    ledger.persist = async (holds) => {
      if (isAway) throw new StoreUnavailable('mysql', 'away');
      return holds.map(() => 'persisted');
    };
    submit(request('a'));
    submit(request('b'));
    await clock.advance(1000);
    expect(answers).toEqual(['a: held', 'b: unavailable']);
    expect(flush.commits.queue.depth).toBe(2);
    isAway = false;
    await clock.advance(1000);
    expect(flush.commits.queue.depth).toBe(0);
  });

  it('that MySQL refuses again and again is counted as lost and taken back', async () => {
    const { calls, clock, ledger, flush, errors, submit } = makeFlush({ ack: 'held' });
    ledger.persist = async () => ['conflict'];
    submit(request('a'));
    await clock.turn();
    await clock.advance(29_000);
    expect(flush.commits.counters.acknowledgedLost).toBe(0);
    await clock.advance(2000);
    expect(flush.commits.counters.acknowledgedLost).toBe(1);
    expect(errors).toEqual(['MySQL refused an acknowledged hold']);
    expect([...new Set(calls)].slice(0, 3)).toEqual(['hold a', 'persist a', 'cool 1: a']);
  });

  it('that MySQL refuses once is stored behind the one it had to follow', async () => {
    const { clock, ledger, flush, submit } = makeFlush({ ack: 'held' });
    const results: PersistResult[] = ['conflict', 'persisted'];
    ledger.persist = async (holds) => holds.map(() => results.shift() ?? 'persisted');
    submit(request('a'));
    await clock.advance(1000);
    expect(flush.commits.queue.depth).toBe(0);
    expect(flush.commits.counters).toMatchObject({ conflicts: 1, acknowledgedLost: 0 });
  });

  it.each(['held', 'persisted'] as const)('not in MySQL yet is what a load can wait for (%s)', async (ack) => {
    const { clock, ledger, flush, submit } = makeFlush({ ack });
    const commit = later<PersistResult[]>();
    ledger.persist = () => commit.promise;
    submit(request('a'));
    await clock.turn();
    let isSettled = false;
    void flush.commits.settled(1).then(() => {
      isSettled = true;
    });
    await flush.commits.settled(2);
    expect(isSettled).toBe(false);
    commit.resolve(['persisted']);
    await settled();
    expect(isSettled).toBe(true);
  });
});

describe('a commit that is stuck', () => {
  it('keeps no caller past the deadline, neither of its batch nor of those behind it, and changes nothing afterwards', async () => {
    const { calls, clock, ledger, flush, answers, submit } = makeFlush();
    const commits = Array.from({ length: 3 }, () => later<PersistResult[]>());
    let next = 0;
    ledger.persist = () => commits[next++]!.promise;
    for (const id of ['a', 'b', 'c']) {
      submit(request(id), clock.nowMs() + 2000);
      await clock.advance(100);
    }
    expect(calls.filter((call) => call.startsWith('persist'))).toEqual(['persist a', 'persist b']);
    await clock.advance(1650);
    expect(answers).toEqual([]);
    await clock.advance(300);
    expect(answers).toEqual(['a: unavailable', 'b: unavailable', 'c: unavailable']);
    expect(flush.queue.depth).toBe(0);
    expect(flush.commits.queue.depth).toBe(3);
    commits[0]!.resolve(['persisted']);
    commits[1]!.resolve(['conflict']);
    await clock.advance(50);
    commits[2]!.resolve(['over']);
    await clock.advance(50);
    expect(answers).toHaveLength(3);
    expect(calls).toEqual(expect.arrayContaining(['forget a', 'cool 1: b', 'persist c', 'cool 1: c']));
    expect(calls.filter((call) => call.startsWith('hold'))).toEqual(['hold a', 'hold b', 'hold c']);
  });

  it('costs one timer, however many wait, and none once nobody does', async () => {
    const { clock, ledger, submit } = makeFlush();
    const commit = later<PersistResult[]>();
    ledger.persist = () => commit.promise;
    for (let i = 0; i < 50; i++) submit(request(`a${i}`), 10_000);
    await clock.advance(1000);
    expect(clock.timers).toBe(1);
    commit.resolve(Array.from({ length: 50 }, () => 'persisted'));
    await clock.advance(50);
    expect(clock.timers).toBe(0);
  });

  it('of an acknowledged hold needs no timer', async () => {
    const { clock, ledger, answers, submit } = makeFlush({ ack: 'held' });
    const commit = later<PersistResult[]>();
    ledger.persist = () => commit.promise;
    submit(request('a'), 100);
    await clock.advance(1000);
    expect(answers).toEqual(['a: held']);
    expect(clock.timers).toBe(0);
    commit.resolve(['persisted']);
  });

  it('keeps no caller past the deadline while Redis does not take the refused hold back', async () => {
    const { clock, store, ledger, answers, submit } = makeFlush();
    ledger.persist = async () => ['conflict'];
    const cooling = later<void>();
    store.cool = () => cooling.promise;
    submit(request('a'), 1000);
    await clock.advance(1100);
    expect(answers).toEqual(['a: unavailable']);
    cooling.resolve();
  });
});

describe('a cold performance', () => {
  it('is loaded once; those who came meanwhile are decided in order of arrival', async () => {
    const { calls, clock, store, flush, loads, answers, submit } = makeFlush();
    store.decide = () => cold;
    submit(request('a'));
    submit(request('b'));
    await clock.turn();
    submit(request('c'));
    await clock.turn();
    expect(calls).toEqual(['hold a b', 'warm 1']);
    expect(flush.counters.coldWaits).toBe(2);
    store.decide = heldOf;
    loads[0]!.resolve('warm');
    await clock.turn();
    expect(calls.slice(2, 4)).toEqual(['hold a b c', 'persist a b c']);
    expect(answers).toEqual(['a: held', 'b: held', 'c: held']);
    expect(loads).toHaveLength(1);
  });

  it('does not stop the others', async () => {
    const { clock, store, answers, submit } = makeFlush();
    store.decide = (of) => (of.performanceId === 1 ? cold : heldOf(of));
    submit(request('a'));
    submit(request('b', { performanceId: 2 }));
    await clock.turn();
    submit(request('c'));
    submit(request('d', { performanceId: 2 }));
    await clock.turn();
    expect(answers).toEqual(['b: held', 'd: held']);
  });

  it('met by two flushes at once is loaded once', async () => {
    const { calls, clock, store, loads, submit } = makeFlush({ batchSizeMax: 1 });
    const replies = [later<HoldDecision[][]>(), later<HoldDecision[][]>()];
    const waiting = [...replies];
    store.reply = () => waiting.shift()!.promise;
    submit(request('a'));
    submit(request('b'));
    await clock.turn();
    for (const reply of replies) reply.resolve([[cold]]);
    await clock.turn();
    expect(loads).toHaveLength(1);
    store.reply = null;
    loads[0]!.resolve('warm');
    await clock.turn();
    expect(calls.filter((call) => call.startsWith('hold'))).toEqual(['hold a', 'hold b', 'hold a', 'hold b']);
  });

  it('that does not exist is performance_not_found for all who waited', async () => {
    const { calls, clock, store, loads, answers, submit } = makeFlush();
    store.decide = () => cold;
    submit(request('a'));
    submit(request('b'));
    await clock.turn();
    loads[0]!.resolve('not_found');
    await clock.turn();
    expect(answers).toEqual(['a: performance_not_found', 'b: performance_not_found']);
    expect(calls).toEqual(['hold a b', 'warm 1']);
  });

  it('that cannot be loaded is unavailable, and is tried again by the next request', async () => {
    const { clock, store, loads, answers, submit } = makeFlush();
    store.decide = () => cold;
    submit(request('a'));
    await clock.turn();
    loads[0]!.reject();
    await clock.turn();
    expect(answers).toEqual(['a: unavailable']);
    submit(request('b'));
    await clock.turn();
    expect(loads).toHaveLength(2);
  });

  it('that took longer than a request may wait leaves that request out', async () => {
    const { calls, clock, store, loads, answers, submit } = makeFlush();
    store.decide = () => cold;
    submit(request('a'), 100);
    submit(request('b'), 1000);
    await clock.advance(500);
    store.decide = heldOf;
    loads[0]!.resolve('warm');
    await clock.turn();
    expect(answers).toEqual(['a: overloaded', 'b: held']);
    expect(calls.at(2)).toBe('hold b');
  });

  it('that is cold again after its load is loaded again', async () => {
    const { clock, store, loads, answers, submit } = makeFlush();
    store.decide = () => cold;
    submit(request('a'));
    await clock.turn();
    loads[0]!.resolve('warm');
    await clock.turn();
    expect(loads).toHaveLength(2);
    store.decide = heldOf;
    loads[1]!.resolve('warm');
    await clock.turn();
    expect(answers).toEqual(['a: held']);
  });
});

describe('a hold that MySQL refuses', () => {
  it('is taken back, its performance cooled, and the request decided anew after a load', async () => {
    const { calls, clock, store, ledger, flush, loads, answers, submit } = makeFlush();
    ledger.persist = async (holds) => {
      store.decide = () => cold;
      return holds.map((hold) => (hold.reservationId === 'b' ? 'conflict' : 'persisted'));
    };
    for (const id of ['a', 'b', 'c']) submit(request(id));
    await clock.turn();
    expect(answers).toEqual(['a: held', 'c: held']);
    expect(flush.commits.counters.conflicts).toBe(1);
    const way = calls.filter((call) => !call.startsWith('forget'));
    expect(way).toEqual(['hold a b c', 'persist a b c', 'cool 1: b', 'hold b', 'warm 1']);
    // The load says what MySQL has: the seat is gone.
    store.decide = () => taken;
    loads[0]!.resolve('warm');
    await clock.turn();
    expect(answers).toEqual(['a: held', 'c: held', 'b: seat_taken']);
  });

  it('does not hold up those of other performances in its batch', async () => {
    const { calls, clock, store, ledger, answers, submit } = makeFlush();
    ledger.persist = async (holds) => {
      store.decide = (of) => (of.performanceId === 1 ? taken : heldOf(of));
      return holds.map((hold) => (hold.performanceId === 1 ? 'conflict' : 'persisted'));
    };
    submit(request('a'));
    submit(request('b', { performanceId: 2 }));
    submit(request('c', { performanceId: 1 }));
    await clock.turn();
    expect(answers).toEqual(['b: held', 'a: seat_taken', 'c: seat_taken']);
    expect(calls).toContain('cool 1: a c');
  });

  it('is unavailable when it cannot be taken back', async () => {
    const { clock, store, ledger, answers, submit } = makeFlush();
    ledger.persist = async () => ['conflict'];
    store.coolFault = new Error('no Redis');
    submit(request('a'));
    await clock.turn();
    expect(answers).toEqual(['a: unavailable']);
  });

  it('past its deadline by then is not decided again', async () => {
    const { calls, clock, ledger, answers, submit } = makeFlush();
    const commit = later<PersistResult[]>();
    ledger.persist = () => commit.promise;
    submit(request('a'), 100);
    await clock.advance(200);
    commit.resolve(['conflict']);
    await clock.advance(50);
    expect(answers).toEqual(['a: unavailable']);
    expect(calls.filter((call) => call.startsWith('hold'))).toEqual(['hold a']);
    expect(calls).toContain('cool 1: a');
  });
});

describe('what memory knows of the places left', () => {
  const party = (id: string, partySize: number) => request(id, { seats: [], partySize });

  it('refuses a party that is too large for them, without the store', async () => {
    const { calls, flush, answers, submit } = makeFlush();
    flush.noteRemaining(1, 2);
    submit(party('a', 3));
    expect(answers).toEqual(['a: sold_out']);
    expect(flush.counters.refusedInMemory).toBe(1);
    expect(calls).toEqual([]);
  });

  it('never grants: a party that seems to fit is decided by the store', async () => {
    const { clock, store, flush, answers, submit } = makeFlush();
    store.decide = () => ({ kind: 'refused', refusal: { code: 'sold_out', detail: 'Not enough places are left.' } });
    flush.noteRemaining(1, 2);
    submit(party('a', 2));
    expect(answers).toEqual([]);
    await clock.turn();
    expect(answers).toEqual(['a: sold_out']);
  });

  it('is believed for one flush interval', async () => {
    const { calls, clock, flush, answers, submit } = makeFlush();
    flush.noteRemaining(1, 0);
    await clock.advance(flushDelayMsMax);
    submit(party('a', 1));
    await clock.turn();
    expect(answers).toEqual(['a: held']);
    expect(calls[0]).toBe('hold a');
  });

  it('is of that performance only', async () => {
    const { clock, flush, answers, submit } = makeFlush();
    flush.noteRemaining(2, 0);
    submit(party('a', 1));
    await clock.turn();
    expect(answers).toEqual(['a: held']);
  });

  it('is overtaken by what is known later', async () => {
    const { clock, flush, answers, submit } = makeFlush();
    flush.noteRemaining(1, 0);
    flush.noteRemaining(1, 5);
    submit(party('a', 1));
    await clock.turn();
    expect(answers).toEqual(['a: held']);
  });

  it('is no answer for seats with numbers', async () => {
    const { clock, flush, answers, submit } = makeFlush();
    flush.noteRemaining(1, 0);
    submit(request('a'));
    await clock.turn();
    expect(answers).toEqual(['a: held']);
  });
});

describe('a store that does not keep its word', () => {
  it.each<[string, (groups: readonly HoldGroup[]) => Promise<HoldDecision[][]>]>([
    ['answers for too few groups', async () => [[heldOf(request('a'))]]],
    ['answers for too few requests of a group', async () => [[heldOf(request('a'))], []]],
    ['rejects', () => Promise.reject(new Error('a slip'))],
    [
      'throws',
      () => {
        throw new Error('a slip');
      },
    ],
  ])('and %s leaves nobody without an answer', async (_, reply) => {
    const { clock, store, answers, submit } = makeFlush();
    store.reply = reply;
    submit(request('a'));
    submit(request('b', { performanceId: 2 }));
    await clock.advance(100);
    expect(answers.map((answer) => answer.split(':')[0]).sort()).toEqual(['a', 'b']);
    expect(answers).toContain('b: unavailable');
  });

  it('answers short from MySQL: everybody of the batch is told unavailable, nobody held', async () => {
    const { clock, ledger, answers, submit } = makeFlush();
    ledger.persist = async () => ['persisted'];
    submit(request('a'));
    submit(request('b'));
    await clock.advance(100);
    expect(answers).toEqual(['a: unavailable', 'b: unavailable']);
  });

  it('answers short from MySQL: acknowledged holds are kept and tried again', async () => {
    const { clock, ledger, flush, submit } = makeFlush({ ack: 'held' });
    ledger.persist = async () => [];
    submit(request('a'));
    await clock.advance(500);
    expect(flush.commits.queue.depth).toBe(1);
    ledger.persist = async (holds) => holds.map(() => 'persisted');
    await clock.advance(500);
    expect(flush.commits.queue.depth).toBe(0);
  });
});

describe('drained', () => {
  it('resolves once every caller is answered and MySQL has every hold', async () => {
    const { clock, ledger, flush, answers, submit } = makeFlush({ ack: 'held' });
    const commit = later<PersistResult[]>();
    ledger.persist = () => commit.promise;
    submit(request('a'));
    await clock.turn();
    let isDrained = false;
    void flush.drained().then(() => {
      isDrained = true;
    });
    await settled();
    expect([answers, isDrained]).toEqual([['a: held'], false]);
    commit.resolve(['persisted']);
    await settled();
    expect(isDrained).toBe(true);
  });
});
