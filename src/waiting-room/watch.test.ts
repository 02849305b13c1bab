import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../bench/load/statistics.ts';
import { ManualClock, settled } from '../../test/manual-clock.ts';
import type { Line, PlaceRequest, RoomNews } from '../domain/waiting-room.ts';
import type { PlaceOutcome, Places } from './places.ts';
import { RoomWatch, type RoomWatchOptions, type Watcher, type WatcherState } from './watch.ts';

const room = 1;
const roundMs = 500;

/** A socket that writes down what it is told. */
class FakeWatcher implements Watcher {
  readonly performanceId: number;
  readonly userId: number;
  readonly arrival: number;
  state: WatcherState = 'asked';
  number: number | null = null;
  position: number | null = null;
  missed = 0;
  readonly told: string[] = [];
  readonly toldAtMs: number[] = [];
  readonly #clock: ManualClock;

  constructor(clock: ManualClock, userId: number, performanceId = room) {
    this.#clock = clock;
    this.performanceId = performanceId;
    this.userId = userId;
    this.arrival = userId;
  }

  onPosition(number: number | null, position: number | null, eta: number | null, opensAtMs: number | null): void {
    const rest = [eta === null ? '' : ` in ${eta} s`, opensAtMs === null ? '' : ` opens at ${opensAtMs}`].join('');
    this.#note(`number ${number} position ${position}${rest}`);
  }

  onAdmitted(number: number | null, passEndsAtMs: number | null): void {
    this.#note(`admitted ${number} until ${passEndsAtMs}`);
  }

  onOver(why: 'left' | 'expired'): void {
    this.#note(why);
  }

  onRefused({ refusal }: Extract<PlaceOutcome, { status: 'refused' }>): void {
    this.#note(refusal.code);
  }

  /** The positions told, in order. */
  get positions(): number[] {
    return this.told.flatMap((text) => /position (\d+)/.exec(text)?.[1] ?? []).map(Number);
  }

  #note(text: string): void {
    this.told.push(text);
    this.toldAtMs.push(this.#clock.nowMs());
  }
}

interface Ask {
  readonly request: PlaceRequest;
  readonly deadlineAtMs: number;
  answer(outcome: PlaceOutcome): void;
}

function waiting(number: number | null, position = number, opensAtMs: number | null = null): PlaceOutcome {
  return { status: 'waiting', arrival: 1, number, position, etaSeconds: null, opensAtMs, isNew: false };
}

function admitted(number: number, passEndsAtMs = 9000): PlaceOutcome {
  return { status: 'admitted', arrival: number, number, passEndsAtMs };
}

const unavailable: PlaceOutcome = { status: 'refused', refusal: { code: 'unavailable', detail: 'Away.' } };

/** Who waits, as Redis publishes it. */
function lineOf(numbers: readonly number[], watermark: number): Line {
  const firstNumber = Math.floor((watermark + 1) / 8) * 8;
  const bits = new Uint8Array(Math.max(0, Math.ceil((Math.max(0, ...numbers) + 1 - firstNumber) / 8)));
  for (const number of numbers) bits[(number - firstNumber) >> 3]! |= 0x80 >> ((number - firstNumber) & 7);
  return { firstNumber, bits };
}

function range(first: number, last: number): number[] {
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i);
}

function makeWatch(options: Partial<RoomWatchOptions> = {}) {
  const clock = new ManualClock();
  const asks: Ask[] = [];
  /** How a look is answered at once; null leaves it to the test. */
  const looks: { answer: ((request: PlaceRequest) => PlaceOutcome) | null } = { answer: null };
  const heard = new Map<number, (news: RoomNews) => void>();
  const calls: string[] = [];
  const warnings: string[] = [];
  const places = {
    submit(request: PlaceRequest, deadlineAtMs: number, onOutcome: (outcome: PlaceOutcome) => void) {
      asks.push({ request, deadlineAtMs, answer: onOutcome });
      if (looks.answer !== null) onOutcome(looks.answer(request));
    },
  };
  const watch = new RoomWatch({
    clock,
    places: places as unknown as Places,
    async subscribe(performanceId, onNews) {
      calls.push(`subscribe ${performanceId}`);
      heard.set(performanceId, onNews);
    },
    unsubscribe(performanceId) {
      calls.push(`unsubscribe ${performanceId}`);
      heard.delete(performanceId);
    },
    async seen(performanceId, userIds, forMs) {
      calls.push(`seen ${performanceId}: ${userIds.join(' ')} for ${forMs}`);
    },
    absenceMs: 60_000,
    requestDeadlineMs: 2000,
    log: { warn: (message) => warnings.push(message) },
    ...options,
  });
  const publish = (news: Partial<RoomNews>): void => {
    const performanceId = news.performanceId ?? room;
    heard.get(performanceId)?.({
      performanceId,
      roundMs,
      watermark: 0,
      rate: 0,
      admitted: [],
      expired: [],
      line: null,
      isDrawn: false,
      ...news,
    });
  };
  /** A tick: these wait, everybody up to the watermark is in or gone. */
  const tick = (numbers: readonly number[], watermark: number, rate = 0): void =>
    publish({ watermark, rate, line: lineOf(numbers, watermark) });
  const admit = (numbers: readonly number[], passEndsAtMs = 9000): void =>
    publish({ admitted: numbers.map((number) => ({ userId: number, number, passEndsAtMs })) });
  const newWatcher = (userId: number, performanceId = room): FakeWatcher => {
    const watcher = new FakeWatcher(clock, userId, performanceId);
    watch.add(watcher);
    return watcher;
  };
  /** Somebody who waits with the user's id for a number, and has been told so. */
  const waiters = async (...userIds: readonly number[]): Promise<FakeWatcher[]> => {
    const before = looks.answer;
    looks.answer = ({ userId }) => waiting(userId);
    const watchers = userIds.map((userId) => newWatcher(userId));
    await clock.turn();
    looks.answer = before;
    for (const watcher of watchers) {
      expect(watcher.told).toEqual([`number ${watcher.userId} position ${watcher.userId}`]);
      watcher.told.length = 0;
      watcher.toldAtMs.length = 0;
    }
    asks.length = 0;
    return watchers;
  };
  return { clock, watch, asks, looks, calls, warnings, publish, tick, admit, newWatcher, waiters };
}

describe('a watcher', () => {
  it('is looked up once its room is heard, not before: nothing may happen in between', async () => {
    const subscribed = Promise.withResolvers<void>();
    const { clock, asks, newWatcher } = makeWatch({ subscribe: () => subscribed.promise });
    await clock.advance(100);
    newWatcher(4);
    await clock.advance(50);
    expect(asks).toEqual([]);
    subscribed.resolve();
    await settled();
    expect(asks.map(({ request, deadlineAtMs }) => [request, deadlineAtMs])).toEqual([
      [{ kind: 'look', performanceId: room, userId: 4, arrival: 4, number: 0 }, 2150],
    ]);
  });

  it.each<[string, PlaceOutcome, string[], number]>([
    ['its place', waiting(7, 3), ['number 7 position 3'], 1],
    ['when its room opens', waiting(null, null, 99), ['number null position null opens at 99'], 1],
    ['its pass', admitted(7), ['admitted 7 until 9000'], 1],
    ['that no pass is needed', { status: 'open' }, ['admitted null until null'], 0],
    ['that it has left', { status: 'left' }, ['left'], 0],
    ['that its pass has ended', { status: 'expired' }, ['expired'], 0],
    ['that it has left, where its ticket stays lost', { status: 'lost' }, ['left'], 0],
    ['that it could not be looked up', unavailable, ['unavailable'], 0],
  ])('is told %s', async (_, outcome, told, watched) => {
    const { clock, watch, looks, calls, newWatcher } = makeWatch();
    looks.answer = () => outcome;
    const watcher = newWatcher(7);
    await clock.turn();
    expect(watcher.told).toEqual(told);
    expect(watch.watcherCount).toBe(watched);
    expect(calls).toEqual(['subscribe 1', ...(watched === 0 ? ['unsubscribe 1'] : [])]);
  });

  it('that is removed before it is known hears nothing', async () => {
    const { clock, watch, asks, newWatcher } = makeWatch();
    const watcher = newWatcher(7);
    await clock.turn();
    watch.remove(watcher);
    asks[0]!.answer(waiting(7));
    expect(watcher.told).toEqual([]);
    expect(watch.watcherCount).toBe(0);
  });

  it('is watched once, and removed once', async () => {
    const { watch, calls, waiters } = makeWatch();
    const [one, two] = await waiters(1, 2);
    watch.remove(one!);
    watch.remove(one!);
    expect([watch.watcherCount, calls]).toEqual([1, ['subscribe 1']]);
    watch.remove(two!);
    expect([watch.watcherCount, calls]).toEqual([0, ['subscribe 1', 'unsubscribe 1']]);
    await waiters(3);
    expect(calls.at(-1)).toBe('subscribe 1');
  });

  it('hears of its own room only', async () => {
    const { clock, looks, publish, newWatcher } = makeWatch();
    looks.answer = () => waiting(5);
    const [here, there] = [newWatcher(5, 1), newWatcher(5, 2)];
    await clock.turn();
    publish({ performanceId: 2, line: lineOf([5], 0) });
    publish({ performanceId: 3, line: lineOf([5], 0) });
    expect([here.told.length, there.told]).toEqual([1, ['number 5 position 5', 'number 5 position 1']]);
  });
});

describe('a tick', () => {
  it('tells everybody how many wait before them, and how long it will take', async () => {
    const { tick, waiters } = makeWatch();
    const [ten, twelve, last] = await waiters(10, 12, 30);
    tick([9, 10, 12, 20, 30], 8, 2);
    expect([ten!.told, twelve!.told, last!.told]).toEqual([
      ['number 10 position 2 in 1 s'],
      ['number 12 position 3 in 2 s'],
      ['number 30 position 5 in 3 s'],
    ]);
  });

  it('tells nothing that was told before, and never a greater position', async () => {
    const { clock, tick, waiters } = makeWatch();
    const [watcher] = await waiters(10);
    tick([5, 10], 4);
    tick([5, 10], 4);
    tick([5, 6, 7, 10], 4);
    await clock.turn();
    tick([10], 9);
    expect(watcher!.positions).toEqual([2, 1]);
  });

  it('of any room, with leavers and newcomers at random, tells exact positions that only fall', async () => {
    const random = seededRandom(7);
    const { clock, tick, waiters } = makeWatch();
    const watchers = await waiters(...range(1, 700).filter((number) => number % 2 === 0));
    let line = range(1, 700);
    let watermark = 0;
    let last = 700;
    for (let i = 0; i < 60; i++) {
      watermark += Math.floor(random() * 10);
      line = line.filter((number) => number > watermark && random() > 0.01);
      const newcomers = Math.floor(random() * 8);
      line.push(...range(last + 1, last + newcomers));
      last += newcomers;
      const before = watchers.map((watcher) => watcher.told.length);
      tick(line, watermark);
      await clock.turn();
      const positionOf = new Map(line.map((number, k) => [number, k + 1]));
      for (const [k, watcher] of watchers.entries()) {
        expect(watcher.told.length - before[k]!).toBeLessThanOrEqual(1);
        const position = positionOf.get(watcher.userId);
        if (position !== undefined) expect(watcher.position).toBe(position);
      }
    }
    for (const { positions } of watchers) {
      for (let i = 1; i < positions.length; i++) expect(positions[i]!).toBeLessThan(positions[i - 1]!);
    }
    expect(watchers.reduce((sum, { told }) => sum + told.length, 0)).toBeGreaterThan(5000);
  });

  it('over many watchers leaves the loop to others in between', async () => {
    const { clock, watch, tick, waiters } = makeWatch();
    const watchers = await waiters(...range(2, 1401));
    const toldSoFar = (): number => watchers.filter(({ told }) => told.length > 0).length;
    tick(range(2, 1401), 1);
    const first = toldSoFar();
    expect(first).toBeGreaterThan(0);
    expect(first).toBeLessThanOrEqual(500);
    await clock.turn();
    expect(toldSoFar()).toBe(1400);
    expect(watch.counters).toMatchObject({ ticks: 1, told: 1400 });
  });

  it('gives way to a newer one that comes while it is under way', async () => {
    const { clock, tick, waiters } = makeWatch();
    const watchers = await waiters(...range(11, 1210));
    tick(range(6, 1210), 5);
    tick(range(11, 1210), 10);
    await clock.turn();
    const last = watchers.at(-1)!;
    expect(last.positions).toEqual([1200]);
    expect(watchers[0]!.positions).toEqual([6, 1]);
    for (const { position, userId } of watchers) expect(position).toBe(userId - 10);
  });

  it('does not trip over those who go while it is under way, or come', async () => {
    const { clock, watch, tick, newWatcher, waiters } = makeWatch();
    const watchers = await waiters(...range(2, 1001));
    tick(range(2, 1001), 1);
    const gone = watchers.slice(400, 700);
    for (const watcher of gone) watch.remove(watcher);
    const late = newWatcher(5000);
    await clock.turn();
    expect(gone.filter(({ told }) => told.length > 0)).toHaveLength(100);
    expect(late.told).toEqual([]);
    expect(watchers.slice(700).every(({ positions }) => positions.length === 1)).toBe(true);
  });

  it('is nothing to those who are inside or not known yet', async () => {
    const { clock, looks, tick, newWatcher } = makeWatch();
    looks.answer = () => admitted(3);
    const inside = newWatcher(3);
    await clock.turn();
    looks.answer = null;
    const unknown = newWatcher(4);
    await clock.turn();
    tick([3, 4], 0);
    expect([inside.told.length, unknown.told.length]).toEqual([1, 0]);
  });
});

describe('an admission', () => {
  it('is told to who came in, and to nobody else', async () => {
    const { clock, watch, admit, waiters } = makeWatch();
    const [one, two, three] = await waiters(1, 2, 3);
    admit([1, 2, 77], 1234);
    await clock.advance(roundMs);
    expect([one!.told, two!.told, three!.told]).toEqual([['admitted 1 until 1234'], ['admitted 2 until 1234'], []]);
    expect([one!.state, three!.state]).toEqual(['admitted', 'waiting']);
    expect(watch.watcherCount).toBe(3);
  });

  it('of many is told evenly over the round, in the order of their numbers', async () => {
    const { clock, admit, waiters } = makeWatch();
    const watchers = await waiters(...range(1, 100));
    const order: number[] = [];
    for (const watcher of watchers) {
      const { onAdmitted } = watcher;
      watcher.onAdmitted = (number, passEndsAtMs) => {
        order.push(number!);
        onAdmitted.call(watcher, number, passEndsAtMs);
      };
    }
    const startedMs = clock.nowMs();
    admit(range(1, 100));
    await clock.turn();
    expect(order).toEqual(range(1, 10));
    await clock.advance(roundMs - 1);
    expect(order).toEqual(range(1, 100));
    const atMs = watchers.map(({ toldAtMs }) => toldAtMs[0]! - startedMs);
    for (let i = 0; i < 100; i++) expect(Math.abs(atMs[i]! - i * 5)).toBeLessThanOrEqual(50);
    expect(Math.max(...atMs)).toBeLessThan(roundMs);
  });

  it('of others takes its time of the round too', async () => {
    const { clock, admit, waiters } = makeWatch();
    // The last one of a hundred, of whom one is watched here.
    const [watcher] = await waiters(100);
    const startedMs = clock.nowMs();
    admit(range(1, 100));
    await clock.advance(roundMs);
    expect(watcher!.toldAtMs[0]! - startedMs).toBe(450);
  });

  it('published twice is told once', async () => {
    const { clock, admit, waiters } = makeWatch();
    const [watcher] = await waiters(1);
    admit([1]);
    admit([1]);
    await clock.advance(roundMs);
    admit([1]);
    await clock.advance(roundMs);
    expect(watcher!.told).toEqual(['admitted 1 until 9000']);
  });

  it('of the same user with another ticket is not this one’s', async () => {
    const { clock, publish, waiters } = makeWatch();
    const [watcher] = await waiters(5);
    publish({ admitted: [{ userId: 5, number: 2, passEndsAtMs: 1 }] });
    await clock.advance(roundMs);
    expect(watcher!.told).toEqual([]);
  });

  it('is told to all sockets of the user', async () => {
    const { clock, looks, admit, newWatcher } = makeWatch();
    looks.answer = () => waiting(4);
    const tabs = [newWatcher(4), newWatcher(4), newWatcher(4)];
    await clock.turn();
    admit([4]);
    await clock.advance(roundMs);
    for (const tab of tabs) expect(tab.told.at(-1)).toBe('admitted 4 until 9000');
  });

  it('is not told to a socket that has gone before its turn', async () => {
    const { clock, watch, admit, waiters } = makeWatch();
    const watchers = await waiters(...range(1, 10));
    admit(range(1, 10));
    await clock.advance(200);
    for (const watcher of watchers) watch.remove(watcher);
    await clock.advance(roundMs);
    expect(watchers.filter(({ told }) => told.length > 0).map(({ userId }) => userId)).toEqual(range(1, 5));
    expect(clock.timers).toBeLessThanOrEqual(1);
  });

  it('that was missed is found by the ticks after it', async () => {
    const { clock, asks, tick, waiters } = makeWatch();
    const [watcher] = await waiters(3);
    tick([4, 5], 3);
    // The admission of this round may be told a moment later.
    expect(asks).toHaveLength(0);
    await clock.advance(1000);
    tick([5], 4);
    await clock.turn();
    expect(asks).toHaveLength(1);
    asks[0]!.answer(admitted(3, 77));
    expect(watcher!.told).toEqual(['admitted 3 until 77']);
    tick([], 5);
    await clock.turn();
    expect(asks).toHaveLength(1);
  });

  it('is told once when it is heard while the place is being looked up', async () => {
    const { clock, watch, asks, admit, waiters } = makeWatch();
    const [watcher] = await waiters(3);
    watch.askAll();
    await clock.turn();
    admit([3]);
    await clock.advance(roundMs);
    expect(watcher!.told).toEqual([]);
    asks[0]!.answer(admitted(3));
    expect(watcher!.told).toEqual(['admitted 3 until 9000']);
  });
});

describe('whoever is not in the line any more', () => {
  it('has left elsewhere, and is told so after two ticks', async () => {
    const { clock, watch, asks, tick, waiters } = makeWatch();
    const [here, left] = await waiters(5, 6);
    tick([5, 7], 4);
    await clock.advance(1000);
    tick([5, 7], 4);
    await clock.turn();
    expect(asks.map(({ request }) => request.userId)).toEqual([6]);
    asks[0]!.answer({ status: 'left' });
    expect([left!.told, here!.told, watch.watcherCount]).toEqual([['left'], ['number 5 position 1'], 1]);
  });

  it('may have joined after the line was made: one tick is no reason to ask', async () => {
    const { clock, asks, tick, waiters } = makeWatch();
    const [watcher] = await waiters(9);
    for (let i = 0; i < 5; i++) {
      tick([3, 4], 2);
      await clock.advance(1000);
      tick([3, 4, 9], 2);
      await clock.advance(1000);
    }
    expect(asks).toEqual([]);
    expect(watcher!.told).toEqual(['number 9 position 3']);
  });
});

describe('the draw', () => {
  it('has all who were early looked up, and told their numbers', async () => {
    const { clock, asks, looks, publish, newWatcher, waiters } = makeWatch();
    const [numbered] = await waiters(1);
    looks.answer = () => waiting(null, null, 99);
    const early = [newWatcher(2), newWatcher(3)];
    await clock.turn();
    asks.length = 0;
    looks.answer = ({ userId }) => waiting(userId + 10, userId + 5);
    publish({ isDrawn: true });
    await clock.turn();
    expect(asks.map(({ request }) => request.userId)).toEqual([2, 3]);
    expect(early.map(({ told }) => told.at(-1))).toEqual(['number 12 position 7', 'number 13 position 8']);
    expect(numbered!.told).toEqual([]);
  });

  it('is no concern of the ticks before it', async () => {
    const { clock, asks, looks, tick, newWatcher } = makeWatch();
    looks.answer = () => waiting(null, null, 99);
    const early = newWatcher(2);
    await clock.turn();
    asks.length = 0;
    for (let i = 0; i < 5; i++) {
      tick([1], 0);
      await clock.advance(1000);
    }
    expect([early.told.length, asks.length]).toEqual([1, 0]);
  });

  it('is found out though the look after it failed', async () => {
    const { clock, watch, asks, looks, publish, tick, newWatcher } = makeWatch();
    looks.answer = () => waiting(null, null, 99);
    const early = newWatcher(2);
    await clock.turn();
    looks.answer = () => unavailable;
    publish({ isDrawn: true });
    await clock.turn();
    expect([early.told, watch.watcherCount]).toEqual([['number null position null opens at 99'], 1]);
    looks.answer = () => waiting(7);
    asks.length = 0;
    for (let i = 0; i < 10; i++) {
      tick([1, 7], 0);
      await clock.advance(1000);
    }
    expect(early.told.slice(1)).toEqual(['number 7 position 7', 'number 7 position 2']);
    expect(asks).toHaveLength(1);
  });
});

describe('a pass that ended unused', () => {
  it('is told to the user’s sockets, which hear no more', async () => {
    const { clock, watch, looks, publish, tick, newWatcher, waiters } = makeWatch();
    const [waits] = await waiters(5);
    looks.answer = () => admitted(3);
    const inside = [newWatcher(3), newWatcher(3)];
    await clock.turn();
    publish({ expired: [3, 5, 99] });
    tick([5], 4);
    expect(inside.map(({ told }) => told)).toEqual(inside.map(() => ['admitted 3 until 9000', 'expired']));
    expect(watch.watcherCount).toBe(1);
    expect(waits!.told).toEqual(['number 5 position 1']);
  });
});

describe('after a gap', () => {
  it('everybody is looked up again, and told what has changed', async () => {
    const { clock, watch, asks, looks, newWatcher, waiters } = makeWatch();
    const [same, moved, inside, grown] = await waiters(1, 20, 3, 4);
    looks.answer = () => admitted(9);
    const before = newWatcher(9);
    await clock.turn();
    asks.length = 0;
    looks.answer = ({ userId }) => {
      if (userId === 1) return waiting(1, 1);
      if (userId === 20) return waiting(20, 8);
      if (userId === 4) return waiting(4, 44);
      return admitted(userId);
    };
    watch.askAll();
    await clock.turn();
    expect(asks).toHaveLength(5);
    expect([same, moved, inside, grown].map((watcher) => watcher!.told)).toEqual([
      [],
      ['number 20 position 8'],
      ['admitted 3 until 9000'],
      [],
    ]);
    expect(before.told).toEqual(['admitted 9 until 9000']);
    expect(grown!.position).toBe(4);
  });

  it('that has cost the place its number the new one is told', async () => {
    const { clock, watch, looks, waiters } = makeWatch();
    const [watcher] = await waiters(8);
    looks.answer = () => waiting(9, 8);
    watch.askAll();
    await clock.turn();
    expect(watcher!.told).toEqual(['number 9 position 8']);
  });

  it('whoever cannot be looked up stays watched, waiting or inside', async () => {
    const { clock, watch, looks, tick, newWatcher, waiters } = makeWatch();
    const [waits] = await waiters(6);
    looks.answer = () => admitted(2);
    const inside = newWatcher(2);
    looks.answer = ({ userId }) => (userId === 2 ? admitted(2) : waiting(null, null, 99));
    const early = newWatcher(7);
    await clock.turn();
    looks.answer = () => unavailable;
    watch.askAll();
    await clock.turn();
    expect(watch.watcherCount).toBe(3);
    expect([waits, inside, early].map((watcher) => watcher!.state)).toEqual(['waiting', 'admitted', 'waiting']);
    tick([4, 6], 3);
    expect(waits!.told).toEqual(['number 6 position 2']);
    expect([inside.told.length, early.told.length]).toEqual([1, 1]);
  });

  it('whoever is not known yet and cannot be looked up is told so', async () => {
    const { clock, watch, looks, newWatcher } = makeWatch();
    const watcher = newWatcher(2);
    await clock.turn();
    looks.answer = () => unavailable;
    watch.askAll();
    await clock.turn();
    expect([watcher.told, watch.watcherCount]).toEqual([['unavailable'], 0]);
  });
});

describe('a room that is turned off', () => {
  it('is open to who is looked up, admitted to who is told', async () => {
    const { clock, watch, looks, admit, waiters } = makeWatch();
    const [told, asked] = await waiters(1, 2);
    admit([1]);
    await clock.advance(roundMs);
    looks.answer = () => ({ status: 'open' });
    watch.askAll();
    await clock.turn();
    expect(told!.told[0]).toBe('admitted 1 until 9000');
    expect(asked!.told).toEqual(['admitted null until null']);
    expect(watch.watcherCount).toBe(0);
  });
});

describe('a room that is silent', () => {
  it('is asked for after three seconds, then every five, until it speaks', async () => {
    const { clock, asks, looks, tick, waiters } = makeWatch();
    await waiters(4);
    looks.answer = () => waiting(4);
    await clock.advance(2999);
    expect(asks).toHaveLength(0);
    await clock.advance(1);
    expect(asks).toHaveLength(1);
    await clock.advance(4999);
    expect(asks).toHaveLength(1);
    await clock.advance(1);
    expect(asks).toHaveLength(2);
    for (let i = 0; i < 10; i++) {
      tick([4], 0);
      await clock.advance(1000);
    }
    expect(asks).toHaveLength(2);
  });

  it('is not asked for any more when nobody watches it', async () => {
    const { clock, watch, asks, waiters } = makeWatch();
    const [watcher] = await waiters(4);
    watch.remove(watcher!);
    await clock.advance(10_000);
    expect(asks).toHaveLength(0);
    expect(clock.timers).toBe(0);
  });
});

describe('a room that cannot be heard yet', () => {
  it('is looked up all the same, and said in the log once, not once a socket', async () => {
    const { clock, looks, warnings, newWatcher } = makeWatch({
      subscribe: () => Promise.reject(new Error('no Redis')),
    });
    looks.answer = ({ userId }) => waiting(userId);
    const watchers = range(1, 50).map((userId) => newWatcher(userId));
    await clock.advance(20_000);
    for (const watcher of watchers) expect(watcher.told).toHaveLength(1);
    expect(warnings).toEqual(['a room is not heard yet']);
  });
});

describe('signs of life', () => {
  const seenCalls = (calls: readonly string[]): string[] => calls.filter((call) => call.startsWith('seen'));

  it('are given every 20 seconds for all who wait here, once a user, not for those inside', async () => {
    const { clock, calls, looks, publish, newWatcher, waiters } = makeWatch();
    await waiters(1, 2, 2);
    looks.answer = () => admitted(3);
    newWatcher(3);
    looks.answer = ({ userId }) => (userId === 3 ? admitted(3) : waiting(userId));
    for (let i = 0; i < 41; i++) {
      publish({});
      await clock.advance(1000);
    }
    expect(seenCalls(calls)).toEqual(['seen 1: 1 2 for 80000', 'seen 1: 1 2 for 80000']);
  });

  it('end with the last socket of a user: the absence is counted from then', async () => {
    const { clock, watch, calls, waiters } = makeWatch();
    const [first, second, other] = await waiters(1, 1, 2);
    watch.remove(first!);
    await clock.advance(1000);
    expect(seenCalls(calls)).toEqual([]);
    watch.remove(second!);
    await clock.advance(1000);
    expect(seenCalls(calls)).toEqual(['seen 1: 1 for 60000']);
    watch.remove(other!);
    await clock.advance(1000);
    expect(seenCalls(calls).at(-1)).toBe('seen 1: 2 for 60000');
  });

  it('are for everybody once more when the gateway stops', async () => {
    const { clock, watch, calls, waiters } = makeWatch();
    await waiters(1, 2);
    await watch.stop();
    expect(seenCalls(calls)).toEqual(['seen 1: 1 2 for 60000']);
    await clock.advance(100_000);
    expect(seenCalls(calls)).toHaveLength(1);
    expect(clock.timers).toBe(0);
  });
});
