import { describe, expect, it, onTestFinished } from 'vitest';
import { ManualClock, settled } from '../../test/manual-clock.ts';
import type { PlaceDecision, PlaceGroup, RoomLedger, RoomStore } from '../domain/stores.ts';
import type { Draw, PlaceRequest } from '../domain/waiting-room.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { drawNumbers } from './draw.ts';
import { type PendingPlace, Places, type PlacesOptions } from './places.ts';

function request(userId: number, fields: Partial<PlaceRequest> = {}): PlaceRequest {
  return { kind: 'join', performanceId: 1, userId, arrival: 0, number: 0, ...fields };
}

function waiting(of: PlaceRequest, fields: Partial<Extract<PlaceDecision, { status: 'waiting' }>> = {}): PlaceDecision {
  const { userId } = of;
  return {
    status: 'waiting',
    arrival: userId,
    number: userId,
    position: userId,
    etaSeconds: null,
    opensAtMs: null,
    isNew: true,
    ...fields,
  };
}

const cold: PlaceDecision = { status: 'cold' };
const lost: PlaceDecision = { status: 'lost' };
const failed: PlaceDecision = { status: 'failed', error: new Error('no Redis') };

/** Gives everybody a place unless told otherwise; writes down what it was asked. */
class FakeStore implements RoomStore {
  readonly calls: string[];
  decide: (request: PlaceRequest) => PlaceDecision = waiting;
  /** Instead of `decide`: the whole reply. */
  reply: ((groups: readonly PlaceGroup[]) => Promise<PlaceDecision[][]>) | null = null;

  constructor(calls: string[]) {
    this.calls = calls;
  }

  serve(groups: readonly PlaceGroup[]): Promise<PlaceDecision[][]> {
    const texts = groups.map(({ requests }) =>
      requests
        .map(({ kind, userId, number }) => `${kind} ${userId}${kind === 'restore' ? `=${number}` : ''}`)
        .join(', '),
    );
    this.calls.push(`serve ${texts.join(' | ')}`);
    if (this.reply !== null) return this.reply(groups);
    return Promise.resolve(groups.map(({ requests }) => requests.map(this.decide)));
  }

  admit(): never {
    throw new Error('no business of places');
  }

  draw(): never {
    throw new Error('no business of places');
  }

  configure(): never {
    throw new Error('no business of places');
  }

  seen(): never {
    throw new Error('no business of places');
  }

  state(): never {
    throw new Error('no business of places');
  }
}

class FakeLedger implements RoomLedger {
  readonly calls: string[];
  draws: Draw[] = [];
  fault: Error | null = null;

  constructor(calls: string[]) {
    this.calls = calls;
  }

  async readDraws(performanceId: number): Promise<Draw[]> {
    this.calls.push(`draws of ${performanceId}`);
    if (this.fault !== null) throw this.fault;
    return this.draws;
  }

  writeIssued(): never {
    throw new Error('no business of places');
  }

  writeDraw(): never {
    throw new Error('no business of places');
  }
}

function makePlaces(options: Partial<PlacesOptions> = {}) {
  const calls: string[] = [];
  const clock = new ManualClock();
  const store = new FakeStore(calls);
  const ledger = new FakeLedger(calls);
  const errors: string[] = [];
  const loads: { resolve(result: 'warm' | 'not_found'): void; reject(): void }[] = [];
  const places = new Places({
    clock,
    store,
    ledger,
    warm: (performanceId) =>
      new Promise((resolve, reject) => {
        calls.push(`warm ${performanceId}`);
        loads.push({ resolve, reject: () => reject(new Error('no load')) });
      }),
    flushDelayMsMax: 10,
    depthMax: 1000,
    log: { error: (message) => errors.push(message) },
    ...options,
  });
  /** `user: status` or `user: code`, in the order of the answers; a user with two answers stands here twice. */
  const answers: string[] = [];
  let submitted = 0;
  const submit = (of: PlaceRequest, deadlineAtMs = Number.POSITIVE_INFINITY): PendingPlace => {
    submitted++;
    return places.submit(of, deadlineAtMs, (outcome) => {
      const said = outcome.status === 'refused' ? outcome.refusal.code : outcome.status;
      answers.push(`${of.userId}: ${said}${outcome.status === 'waiting' ? ` ${outcome.number}` : ''}`);
    });
  };
  onTestFinished(async () => {
    // Whatever a test has made, everybody has one answer once the stores answer again.
    store.reply = null;
    store.decide = waiting;
    for (let i = 0; i < 20; i++) {
      for (const load of loads) load.resolve('warm');
      await clock.advance(500);
    }
    expect([places.queue.depth, answers.length]).toEqual([0, submitted]);
  });
  return { calls, clock, store, ledger, places, errors, loads, answers, submit };
}

const look = (userId: number, fields: Partial<PlaceRequest> = {}): PlaceRequest =>
  request(userId, { kind: 'look', arrival: userId, ...fields });

describe('requests', () => {
  it('of a room travel in one group, in order of arrival', async () => {
    const { calls, clock, answers, submit } = makePlaces();
    for (const [userId, performanceId] of [
      [1, 7],
      [2, 8],
      [3, 7],
      [4, 8],
    ] as const) {
      submit(request(userId, { performanceId }));
    }
    expect(calls).toEqual([]);
    await clock.turn();
    expect(calls).toEqual(['serve join 1, join 3 | join 2, join 4']);
    expect(answers).toEqual(['1: waiting 1', '3: waiting 3', '2: waiting 2', '4: waiting 4']);
  });

  it('get the place that the store gives them, as it is', async () => {
    const { clock, store, places } = makePlaces();
    const decided: PlaceDecision[] = [
      { status: 'open' },
      waiting(request(5), { number: null, position: null, opensAtMs: 99, isNew: false }),
      { status: 'admitted', arrival: 3, number: 4, passEndsAtMs: 5 },
      { status: 'left' },
      { status: 'expired' },
    ];
    const outcomes: unknown[] = [];
    store.decide = ({ userId }) => decided[userId]!;
    for (const [userId] of decided.entries()) {
      places.submit(request(userId), Number.POSITIVE_INFINITY, (outcome) => outcomes.push(outcome));
    }
    await clock.turn();
    expect(outcomes).toEqual(decided);
  });

  it('that the store could not reach are unavailable, the others of the flush are not', async () => {
    const { clock, store, answers, submit } = makePlaces();
    store.decide = (of) => (of.userId === 1 ? failed : waiting(of));
    submit(request(1));
    submit(request(2));
    await clock.turn();
    expect(answers).toEqual(['1: unavailable', '2: waiting 2']);
  });

  it('past depthMax are answered overloaded at once', async () => {
    const { clock, answers, submit } = makePlaces({ depthMax: 2 });
    for (const userId of [1, 2, 3]) submit(request(userId));
    expect(answers).toEqual(['3: overloaded']);
    await clock.turn();
    expect(answers).toEqual(['3: overloaded', '1: waiting 1', '2: waiting 2']);
  });

  it('past their deadline, or given up by their caller, are not sent', async () => {
    const { calls, clock, store, answers, submit } = makePlaces();
    const first = Promise.withResolvers<PlaceDecision[][]>();
    store.reply = () => first.promise;
    submit(request(1));
    await clock.turn();
    submit(request(2), 5);
    submit(request(3)).abandoned = true;
    submit(request(4));
    await clock.advance(10);
    expect(calls).toEqual(['serve join 1', 'serve join 4']);
    expect(answers).toEqual(['2: overloaded', '3: overloaded']);
    first.resolve([[waiting(request(1))]]);
  });

  it.each<[string, (groups: readonly PlaceGroup[]) => Promise<PlaceDecision[][]>]>([
    ['answers for too few groups', async () => [[waiting(request(1))]]],
    ['answers for too few requests of a group', async () => [[waiting(request(1))], []]],
    ['rejects', () => Promise.reject(new Error('a slip'))],
    [
      'throws',
      () => {
        throw new Error('a slip');
      },
    ],
  ])('all have an answer when the store %s', async (_, reply) => {
    const { clock, store, answers, submit } = makePlaces();
    store.reply = reply;
    submit(request(1));
    submit(request(2, { performanceId: 2 }));
    await clock.advance(100);
    expect(answers).toHaveLength(2);
    expect(answers).toContain('2: unavailable');
  });
});

describe('a cold performance', () => {
  it('is loaded once, and those who wait for it are served in order of arrival', async () => {
    const { calls, clock, store, loads, answers, submit } = makePlaces();
    store.decide = () => cold;
    for (const userId of [1, 2, 3]) submit(request(userId));
    await clock.turn();
    expect(calls).toEqual(['serve join 1, join 2, join 3', 'warm 1']);
    expect(answers).toEqual([]);
    store.decide = waiting;
    loads[0]!.resolve('warm');
    await clock.turn();
    expect(calls.slice(2)).toEqual(['serve join 1, join 2, join 3']);
    expect(answers).toEqual(['1: waiting 1', '2: waiting 2', '3: waiting 3']);
  });

  it('serves who came while it was loaded behind those who came before', async () => {
    const { calls, clock, store, loads, answers, submit } = makePlaces();
    store.decide = () => cold;
    submit(request(1));
    await clock.turn();
    submit(request(2));
    await clock.turn();
    submit(request(3));
    await clock.turn();
    store.decide = waiting;
    for (const load of loads) load.resolve('warm');
    await clock.turn();
    expect(calls.filter((call) => call.startsWith('warm'))).toEqual(['warm 1']);
    const served = calls.slice(calls.lastIndexOf('serve join 3') + 1).filter((call) => call.startsWith('serve'));
    expect(served.join(', ').replaceAll('serve ', '')).toBe('join 1, join 2, join 3');
    expect(answers).toEqual(['1: waiting 1', '2: waiting 2', '3: waiting 3']);
  });

  it('does not hold up the other rooms', async () => {
    const { clock, store, answers, submit } = makePlaces();
    store.decide = (of) => (of.performanceId === 1 ? cold : waiting(of));
    submit(request(1));
    submit(request(2, { performanceId: 2 }));
    await clock.turn();
    submit(request(3, { performanceId: 2 }));
    await clock.turn();
    expect(answers).toEqual(['2: waiting 2', '3: waiting 3']);
  });

  it('that does not exist is not found', async () => {
    const { clock, store, loads, answers, submit } = makePlaces();
    store.decide = () => cold;
    submit(request(1));
    submit(look(2));
    await clock.turn();
    loads[0]!.resolve('not_found');
    await clock.turn();
    expect(answers).toEqual(['1: performance_not_found', '2: performance_not_found']);
  });

  it('that cannot be loaded is unavailable, said in the log, and tried again by the next one', async () => {
    const { clock, store, loads, answers, errors, submit } = makePlaces();
    store.decide = () => cold;
    submit(request(1));
    await clock.turn();
    loads[0]!.reject();
    await clock.turn();
    expect([answers, errors]).toEqual([['1: unavailable'], ['cold performance could not be loaded']]);
    submit(request(2));
    await clock.turn();
    expect(loads).toHaveLength(2);
  });

  it('that is loaded too late for a request leaves that one out', async () => {
    const { calls, clock, store, loads, answers, submit } = makePlaces();
    store.decide = () => cold;
    submit(request(1), 100);
    submit(request(2), 1000);
    await clock.advance(500);
    store.decide = waiting;
    loads[0]!.resolve('warm');
    await clock.turn();
    expect(answers).toEqual(['1: overloaded', '2: waiting 2']);
    expect(calls.at(-1)).toBe('serve join 2');
  });

  it('that is cold again after its load is loaded again', async () => {
    const { clock, store, loads, answers, submit } = makePlaces();
    store.decide = () => cold;
    submit(request(1));
    await clock.turn();
    loads[0]!.resolve('warm');
    await clock.turn();
    expect(loads).toHaveLength(2);
    store.decide = waiting;
    loads[1]!.resolve('warm');
    await clock.turn();
    expect(answers).toEqual(['1: waiting 1']);
  });
});

describe('a ticket that Redis has lost', () => {
  const draw: Draw = { performanceId: 1, firstArrival: 1, lastArrival: 20, seed: 'ab'.repeat(32) };
  const loses = ({ kind, userId, number }: PlaceRequest): PlaceDecision =>
    kind === 'look' ? lost : waiting(request(userId), { number: number === 0 ? userId : number });

  it('gets its place back by its arrival where there was no draw', async () => {
    const { calls, clock, store, places, answers, submit } = makePlaces();
    store.decide = loses;
    submit(look(7));
    await clock.turn();
    expect(calls).toEqual(['serve look 7', 'draws of 1', 'serve restore 7=0']);
    expect(answers).toEqual(['7: waiting 7']);
    expect(places.counters.restored).toBe(1);
  });

  it('gets the number that the draw gave it; one that came later has none', async () => {
    const { calls, clock, store, ledger, submit } = makePlaces();
    const later: Draw = { performanceId: 1, firstArrival: 31, lastArrival: 33, seed: 'cd'.repeat(32) };
    ledger.draws = [draw, later];
    store.decide = loses;
    for (const userId of [1, 20, 21, 30, 31, 33, 34]) submit(look(userId));
    await clock.turn();
    const [first, second] = [await drawNumbers(draw), await drawNumbers(later)];
    const wanted = [
      [1, first[0]],
      [20, first[19]],
      [21, 0],
      [30, 0],
      [31, second[0]],
      [33, second[2]],
      [34, 0],
    ].map(([userId, number]) => `restore ${userId}=${number}`);
    expect(calls.at(-1)).toBe(`serve ${wanted.join(', ')}`);
  });

  it('is looked up with all others of its room in one question to MySQL', async () => {
    const { calls, clock, store, ledger, places, answers, submit } = makePlaces();
    ledger.draws = [draw];
    store.decide = loses;
    for (let userId = 1; userId <= 20; userId++) submit(look(userId));
    submit(look(1, { performanceId: 2 }));
    await clock.advance(100);
    submit(look(9));
    await clock.advance(100);
    expect(calls.filter((call) => call.startsWith('draws'))).toEqual(['draws of 1', 'draws of 2']);
    expect(answers).toHaveLength(22);
    expect(places.counters.restored).toBe(22);
  });

  it('is looked up again a second later: there may have been a draw', async () => {
    const { calls, clock, store, ledger, answers, submit } = makePlaces();
    store.decide = loses;
    submit(look(3));
    await clock.advance(1000);
    ledger.draws = [draw];
    submit(look(4));
    await clock.turn();
    expect(calls.filter((call) => call.startsWith('draws'))).toHaveLength(2);
    const numbers = await drawNumbers(draw);
    expect(answers).toEqual(['3: waiting 3', `4: waiting ${numbers[3]}`]);
  });

  it('is unavailable while MySQL cannot say its number, and no place is given to it', async () => {
    const { calls, clock, store, ledger, errors, answers, submit } = makePlaces();
    store.decide = loses;
    ledger.fault = new StoreUnavailable('mysql', 'away');
    submit(look(3));
    await clock.turn();
    expect(answers).toEqual(['3: unavailable']);
    expect(errors).toEqual(['a ticket could not be restored']);
    expect(calls.filter((call) => call.includes('restore'))).toEqual([]);
    ledger.fault = null;
    await clock.advance(1000);
    submit(look(3));
    await clock.turn();
    expect(answers).toEqual(['3: unavailable', '3: waiting 3']);
  });

  it('is not restored past its deadline', async () => {
    const { calls, clock, store, ledger, answers, submit } = makePlaces();
    const read = Promise.withResolvers<Draw[]>();
    ledger.readDraws = () => read.promise;
    store.decide = loses;
    submit(look(3), 100);
    await clock.advance(200);
    read.resolve([]);
    await clock.turn();
    expect(answers).toEqual(['3: overloaded']);
    expect(calls.filter((call) => call.includes('restore'))).toEqual([]);
  });

  it('waits for the load of a performance that is cold by then', async () => {
    const { calls, clock, store, loads, answers, submit } = makePlaces();
    store.decide = (of) => (of.kind === 'look' ? lost : cold);
    submit(look(3));
    await clock.turn();
    store.decide = loses;
    loads[0]!.resolve('warm');
    await clock.turn();
    expect(calls.slice(-2)).toEqual(['warm 1', 'serve restore 3=0']);
    expect(answers).toEqual(['3: waiting 3']);
  });

  it('stays lost when it is lost once more: nobody is asked for ever', async () => {
    const { calls, clock, store, answers, submit } = makePlaces();
    store.decide = () => lost;
    submit(look(3));
    await clock.turn();
    expect(answers).toEqual(['3: lost']);
    expect(calls).toHaveLength(3);
  });

  it('is restored by a look alone; leaving gives it up', async () => {
    const { calls, clock, store, answers, submit } = makePlaces();
    store.decide = ({ kind }) => (kind === 'leave' ? { status: 'left' } : lost);
    submit(request(3, { kind: 'leave', arrival: 3 }));
    await clock.turn();
    expect([calls, answers]).toEqual([['serve leave 3'], ['3: left']]);
  });

  it('does not keep the queue from being drained', async () => {
    const { clock, store, places, submit } = makePlaces();
    store.decide = loses;
    submit(look(3));
    let isDrained = false;
    void places.queue.drained().then(() => {
      isDrained = true;
    });
    await clock.turn();
    await settled();
    expect(isDrained).toBe(true);
  });
});
