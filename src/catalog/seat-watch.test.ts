import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/manual-clock.ts';
import type { SeatStatus } from '../domain/reservation.ts';
import { sleep } from '../lib/clock.ts';
import type { SeatNews } from '../lua/seats.ts';
import { type OnSeats, SeatWatch } from './seat-watch.ts';

const frameMs = 250;
const announceMs = 5000;
/** Whatever was missed is found out by then. */
const foundOutMs = 2 * announceMs;

type Change = readonly [number, SeatStatus];

/** One performance as Redis keeps it, and the way to it: each call takes `callMs`, each message `messageMs`. */
class FakeHall {
  readonly clock: ManualClock;
  exists = true;
  isWarm = true;
  revision = 0;
  taken = new Map<number, SeatStatus>();
  watchedUntilMs = Number.NEGATIVE_INFINITY;
  callMs = 0;
  messageMs = 0;
  /** Messages that get lost from now on, like those of a connection that is gone. */
  isDeaf = false;
  fault: Error | null = null;
  reads = 0;
  loads = 0;
  announced = 0;
  subscriptions = 0;
  #listener: ((news: SeatNews) => void) | null = null;
  #lastArrivalMs = 0;

  constructor(clock: ManualClock) {
    this.clock = clock;
  }

  get isHeard(): boolean {
    return this.#listener !== null;
  }

  async subscribe(onNews: (news: SeatNews) => void): Promise<void> {
    this.#listener = onNews;
    this.subscriptions++;
    await this.#call();
  }

  unsubscribe(): void {
    this.#listener = null;
  }

  async announce(forMs: number): Promise<number | null> {
    await this.#call();
    this.announced++;
    const revision = this.isWarm ? this.revision : null;
    if (this.isWarm) this.watchedUntilMs = this.clock.nowMs() + forMs;
    await this.#pause();
    return revision;
  }

  async warm(): Promise<'warm' | 'not_found'> {
    await this.#call();
    if (!this.exists) return 'not_found';
    this.load();
    await this.#pause();
    return 'warm';
  }

  async readTaken(): Promise<ReadonlyMap<number, SeatStatus>> {
    await this.#call();
    this.reads++;
    const taken = new Map(this.taken);
    await this.#pause();
    return taken;
  }

  /** As one script call: all in one step, told in one message. */
  change(...changes: readonly Change[]): void {
    this.load();
    this.revision++;
    for (const [seat, status] of changes) {
      if (status === 'AVAILABLE') this.taken.delete(seat);
      else this.taken.set(seat, status);
    }
    if (this.watchedUntilMs > this.clock.nowMs()) this.publish({ revision: this.revision, changes });
  }

  /** The truth changes where Redis does not hear of it. */
  changeUnseen(seat: number, status: SeatStatus): void {
    this.isWarm = false;
    if (status === 'AVAILABLE') this.taken.delete(seat);
    else this.taken.set(seat, status);
  }

  load(): void {
    if (this.isWarm) return;
    this.isWarm = true;
    this.loads++;
    this.revision = 0;
    this.watchedUntilMs = Number.NEGATIVE_INFINITY;
    this.publish({ revision: -1, changes: [] });
  }

  publish(news: SeatNews): void {
    if (this.isDeaf) return;
    if (this.messageMs === 0) return this.#listener?.(news);
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, this.clock.nowMs() + this.messageMs);
    this.clock.after(this.#lastArrivalMs - this.clock.nowMs(), () => this.#listener?.(news));
  }

  #pause(): Promise<void> {
    return this.callMs === 0 ? Promise.resolve() : sleep(this.clock, this.callMs);
  }

  async #call(): Promise<void> {
    await this.#pause();
    if (this.fault !== null) throw this.fault;
  }
}

/** A listener that notes what it is told, and when. */
class Ear {
  readonly frames: { readonly atMs: number; readonly performanceId: number; readonly changes: readonly Change[] }[] =
    [];
  /** What it believes, from what it has been told over what it knew. */
  readonly view = new Map<number, SeatStatus>();
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  readonly listen: OnSeats = (performanceId, changes) => {
    this.frames.push({ atMs: this.#clock.nowMs(), performanceId, changes });
    for (const [seat, status] of changes) {
      if (status === 'AVAILABLE') this.view.delete(seat);
      else this.view.set(seat, status);
    }
  };

  get changes(): Change[] {
    return this.frames.flatMap(({ changes }) => changes);
  }
}

function setUp() {
  const clock = new ManualClock();
  const halls = new Map<number, FakeHall>();
  const hallOf = (performanceId: number): FakeHall => {
    const known = halls.get(performanceId);
    if (known !== undefined) return known;
    const hall = new FakeHall(clock);
    halls.set(performanceId, hall);
    return hall;
  };
  const warnings: string[] = [];
  const watch = new SeatWatch({
    clock,
    subscribe: (id, onNews) => hallOf(id).subscribe(onNews),
    unsubscribe: (id) => hallOf(id).unsubscribe(),
    announce: (id, forMs) => hallOf(id).announce(forMs),
    warm: (id) => hallOf(id).warm(),
    readTaken: (id) => hallOf(id).readTaken(),
    log: { warn: (message) => void warnings.push(message) },
  });
  return { clock, watch, hallOf, hall: hallOf(1), warnings, ear: new Ear(clock) };
}

type SetUp = ReturnType<typeof setUp>;

/** Runs the clock until a promise settles, at most `forMs`. */
async function within<Value>(clock: ManualClock, promise: Promise<Value>, forMs = 1000): Promise<Value> {
  let isSettled = false;
  const note = (): void => {
    isSettled = true;
  };
  promise.then(note, note);
  for (let ms = 0; !isSettled && ms < forMs; ms += 10) await clock.advance(10);
  expect(isSettled, `settled within ${forMs} ms`).toBe(true);
  return promise;
}

/** An ear that watches performance 1, knowing the seats as they are when the watch is on. */
async function watching({ clock, watch, hall, ear }: SetUp): Promise<void> {
  expect(await within(clock, watch.add(1, ear.listen))).toBe(true);
  for (const [seat, status] of hall.taken) ear.view.set(seat, status);
}

describe('a watcher of seats', () => {
  it('hears of changes, of its performance alone, and not of what was before', async () => {
    const all = setUp();
    const { clock, hall, hallOf, watch, ear } = all;
    hall.change([1, 'HELD'], [2, 'OCCUPIED']);
    await watching(all);
    const elsewhere = new Ear(clock);
    await within(clock, watch.add(2, elsewhere.listen));
    await clock.advance(1000);
    expect(ear.frames).toEqual([]);
    hall.change([3, 'HELD']);
    await clock.advance(frameMs);
    hall.change([1, 'AVAILABLE'], [2, 'HELD']);
    hallOf(2).change([9, 'OCCUPIED']);
    await clock.advance(frameMs);
    expect(ear.frames.map(({ performanceId, changes }) => [performanceId, changes])).toEqual([
      [1, [[3, 'HELD']]],
      [
        1,
        [
          [1, 'AVAILABLE'],
          [2, 'HELD'],
        ],
      ],
    ]);
    expect(elsewhere.frames.map(({ performanceId, changes }) => [performanceId, changes])).toEqual([
      [2, [[9, 'OCCUPIED']]],
    ]);
  });

  it('hears of a first change at once, and of those behind it together, 250 ms after the frame before', async () => {
    const all = setUp();
    const { clock, hall, ear } = all;
    await watching(all);
    await clock.advance(10_000);
    const startMs = clock.nowMs();
    for (let i = 1; i <= 100; i++) {
      hall.change([i, 'HELD']);
      await clock.advance(10);
    }
    await clock.advance(1000);
    expect(ear.frames.map(({ atMs }) => atMs - startMs)).toEqual([0, 250, 500, 750, 1000]);
    expect(ear.changes).toEqual(Array.from({ length: 100 }, (_, i) => [i + 1, 'HELD']));
  });

  it('hears once a frame of a seat that changed several times, and what it came to', async () => {
    const all = setUp();
    const { clock, hall, ear } = all;
    await watching(all);
    hall.change([1, 'HELD']);
    await clock.advance(1);
    hall.change([2, 'HELD']);
    hall.change([2, 'AVAILABLE']);
    hall.change([2, 'OCCUPIED']);
    hall.change([1, 'AVAILABLE']);
    hall.change([1, 'HELD']);
    await clock.advance(1000);
    expect(ear.frames).toHaveLength(2);
    expect(ear.frames[1]!.changes).toHaveLength(2);
    expect(ear.view).toEqual(hall.taken);
  });

  it('hears nothing of a change that changes nothing', async () => {
    const all = setUp();
    const { clock, hall, ear } = all;
    hall.change([1, 'HELD']);
    await watching(all);
    hall.change([1, 'HELD'], [2, 'AVAILABLE']);
    await clock.advance(1000);
    expect(ear.frames).toEqual([]);
  });

  it('shares one subscription, one reading and one list of changes with all others of its performance', async () => {
    const all = setUp();
    const { clock, watch, hall, ear } = all;
    await watching(all);
    const others = Array.from({ length: 5 }, () => new Ear(clock));
    for (const other of others) expect(await within(clock, watch.add(1, other.listen))).toBe(true);
    expect([hall.subscriptions, hall.reads]).toEqual([1, 1]);
    hall.change([4, 'HELD']);
    await clock.advance(frameMs);
    for (const other of others) expect(other.frames[0]!.changes).toBe(ear.frames[0]!.changes);
    expect(watch.counters.frames).toBe(1);
  });

  it('is one of thousands: they are told over several turns of the loop, and who has left meanwhile is not', async () => {
    const { clock, watch, hall } = setUp();
    const ears = Array.from({ length: 1200 }, () => new Ear(clock));
    await within(clock, watch.add(1, ears[0]!.listen));
    for (const ear of ears.slice(1)) await watch.add(1, ear.listen);
    const told = (): number => ears.filter(({ frames }) => frames.length > 0).length;
    const toldByTurn: number[] = [];
    const { soon } = clock;
    clock.soon = (callback) => {
      toldByTurn.push(told());
      watch.remove(1, ears[1199]!.listen);
      soon.call(clock, callback);
    };
    hall.change([1, 'HELD']);
    await clock.advance(1);
    expect(toldByTurn).toEqual([500, 1000]);
    expect(told()).toBe(1199);
    expect(ears[1199]!.frames).toEqual([]);
  });

  it('keeps the changes coming for as long as it watches, and no longer', async () => {
    const all = setUp();
    const { clock, watch, hall, ear } = all;
    await watching(all);
    await clock.advance(120_000);
    expect(hall.watchedUntilMs).toBeGreaterThan(clock.nowMs());
    hall.change([1, 'HELD']);
    await clock.advance(frameMs);
    expect(ear.frames).toHaveLength(1);

    const announced = hall.announced;
    hall.change([2, 'HELD']);
    watch.remove(1, ear.listen);
    expect(hall.isHeard).toBe(false);
    expect(clock.timers).toBe(0);
    await clock.advance(60_000);
    expect(hall.announced).toBe(announced);
    expect(hall.watchedUntilMs).toBeLessThan(clock.nowMs());
    expect(ear.frames).toHaveLength(1);
  });

  it('leaves the others where it goes, and may come again', async () => {
    const all = setUp();
    const { clock, watch, hall, ear } = all;
    await watching(all);
    const other = new Ear(clock);
    await watch.add(1, other.listen);
    watch.remove(1, other.listen);
    watch.remove(1, other.listen);
    watch.remove(77, other.listen);
    hall.change([1, 'HELD']);
    await clock.advance(frameMs);
    expect([ear.frames.length, other.frames.length]).toEqual([1, 0]);
    watch.remove(1, ear.listen);
    await within(clock, watch.add(1, other.listen));
    hall.change([1, 'AVAILABLE']);
    await clock.advance(frameMs);
    expect([ear.frames.length, other.changes]).toEqual([1, [[1, 'AVAILABLE']]]);
  });

  it('hears nothing more once the process stops', async () => {
    const all = setUp();
    const { clock, watch, hall, ear } = all;
    await watching(all);
    hall.change([1, 'HELD']);
    watch.stop();
    expect(clock.timers).toBe(0);
    expect(hall.isHeard).toBe(false);
    await clock.advance(60_000);
    expect(ear.frames).toEqual([]);
  });
});

describe('beginning to watch', () => {
  it('warms a cold performance', async () => {
    const all = setUp();
    const { clock, hall, ear } = all;
    hall.changeUnseen(1, 'HELD');
    await watching(all);
    expect(hall.loads).toBe(1);
    hall.change([1, 'AVAILABLE']);
    await clock.advance(frameMs);
    expect(ear.changes).toEqual([[1, 'AVAILABLE']]);
  });

  it('says so when there is no such performance, and leaves nothing behind', async () => {
    const { clock, watch, hall, ear } = setUp();
    hall.isWarm = false;
    hall.exists = false;
    hall.callMs = 5;
    expect(await within(clock, watch.add(1, ear.listen))).toBe(false);
    expect(hall.isHeard).toBe(false);
    await clock.advance(foundOutMs);
    expect(clock.timers).toBe(0);
    hall.exists = true;
    expect(await within(clock, watch.add(1, ear.listen))).toBe(true);
  });

  it('says so to everybody who asked at once when there is no such performance', async () => {
    const { clock, watch, hall, ear } = setUp();
    hall.isWarm = false;
    hall.exists = false;
    hall.callMs = 5;
    const answers = [
      watch.add(1, ear.listen),
      watch.add(1, new Ear(clock).listen),
      watch.add(1, new Ear(clock).listen),
    ];
    expect(await within(clock, Promise.all(answers))).toEqual([false, false, false]);
  });

  it.each(['subscribe', 'warm'])('fails for everybody who asked at once when %s does', async (what) => {
    const { clock, watch, hall, ear } = setUp();
    hall.callMs = 5;
    const answers = [watch.add(1, ear.listen), watch.add(1, new Ear(clock).listen)];
    const outcomes = Promise.allSettled(answers);
    if (what === 'warm') await clock.advance(7);
    hall.fault = new Error('redis is away');
    await clock.advance(20);
    hall.fault = null;
    expect((await within(clock, outcomes)).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(hall.isHeard).toBe(false);
    // Nothing is left of it: the next one begins anew.
    expect(await within(clock, watch.add(1, ear.listen))).toBe(true);
    hall.change([1, 'HELD']);
    await clock.advance(frameMs);
    expect(ear.changes).toEqual([[1, 'HELD']]);
  });

  it('may be given up before it is done, and leaves nothing behind', async () => {
    const { clock, watch, hall, ear } = setUp();
    hall.callMs = 5;
    const adding = watch.add(1, ear.listen);
    await clock.advance(1);
    watch.remove(1, ear.listen);
    await within(clock, adding);
    hall.change([1, 'HELD']);
    await clock.advance(foundOutMs);
    expect(hall.isHeard).toBe(false);
    expect(clock.timers).toBe(0);
    expect(ear.frames).toEqual([]);
  });

  it('works for another one who begins while the first one gives up', async () => {
    const all = setUp();
    const { clock, watch, hall, ear } = all;
    hall.callMs = 5;
    const first = new Ear(clock);
    const givenUp = watch.add(1, first.listen);
    await clock.advance(1);
    watch.remove(1, first.listen);
    await watching(all);
    await within(clock, givenUp);
    hall.change([1, 'HELD']);
    await clock.advance(frameMs);
    expect([first.frames.length, ear.changes]).toEqual([0, [[1, 'HELD']]]);
    await clock.advance(foundOutMs);
    hall.change([2, 'HELD']);
    await clock.advance(frameMs);
    expect(ear.view).toEqual(hall.taken);
  });

  it('works for another one also where the first one has given up and fails', async () => {
    const all = setUp();
    const { clock, watch, hall, ear } = all;
    hall.callMs = 5;
    const first = new Ear(clock);
    const givenUp = watch.add(1, first.listen);
    const failed = expect(givenUp).rejects.toThrow('redis is away');
    watch.remove(1, first.listen);
    await clock.advance(3);
    const added = watch.add(1, ear.listen);
    await clock.advance(1);
    hall.fault = new Error('redis is away');
    await clock.advance(2);
    hall.fault = null;
    expect(await within(clock, added)).toBe(true);
    await failed;
    hall.change([1, 'HELD']);
    await clock.advance(frameMs);
    expect(ear.changes).toEqual([[1, 'HELD']]);
  });

  it('waits for Redis where the seats cannot be read yet, and says so', async () => {
    const { clock, watch, hall, ear, warnings } = setUp();
    hall.callMs = 5;
    const adding = watch.add(1, ear.listen);
    // The subscription and the look at the performance are through.
    await clock.advance(17);
    hall.fault = new Error('redis is away');
    await clock.advance(3000);
    expect(warnings.length).toBeGreaterThan(0);
    hall.fault = null;
    expect(await within(clock, adding)).toBe(true);
    hall.change([1, 'HELD']);
    await clock.advance(frameMs);
    expect(ear.changes).toEqual([[1, 'HELD']]);
  });
});

describe('what was missed', () => {
  it('is read and told when the next message shows the gap', async () => {
    const all = setUp();
    const { clock, hall, ear } = all;
    hall.change([5, 'HELD']);
    await watching(all);
    hall.isDeaf = true;
    hall.change([1, 'HELD']);
    hall.change([5, 'AVAILABLE']);
    hall.isDeaf = false;
    hall.change([2, 'HELD']);
    await clock.advance(frameMs);
    expect(ear.view).toEqual(hall.taken);
    expect(hall.reads).toBe(2);
    expect(ear.frames).toHaveLength(1);
  });

  it('is found out without any message, by what is announced', async () => {
    const all = setUp();
    const { clock, hall, ear } = all;
    await watching(all);
    hall.isDeaf = true;
    hall.change([1, 'HELD']);
    hall.isDeaf = false;
    await clock.advance(foundOutMs);
    expect(ear.view).toEqual(hall.taken);
    const { reads } = hall;
    await clock.advance(10 * announceMs);
    expect(hall.reads, 'quiet again').toBe(reads);
  });

  it('is read at once when the connection is back', async () => {
    const all = setUp();
    const { clock, watch, hall, ear } = all;
    await watching(all);
    hall.isDeaf = true;
    hall.change([1, 'HELD']);
    hall.isDeaf = false;
    watch.readAll();
    await clock.advance(1);
    expect(ear.changes).toEqual([[1, 'HELD']]);
  });

  it('is read when a load put other seats in place, and those behind it are heard of again', async () => {
    const all = setUp();
    const { clock, hall, ear } = all;
    hall.change([1, 'HELD']);
    hall.change([2, 'HELD']);
    await watching(all);
    hall.changeUnseen(1, 'AVAILABLE');
    hall.changeUnseen(3, 'OCCUPIED');
    hall.load();
    await clock.advance(frameMs);
    expect(ear.view).toEqual(hall.taken);
    hall.change([4, 'HELD']);
    await clock.advance(frameMs);
    expect(ear.view).toEqual(hall.taken);
    expect(hall.reads).toBe(2);
  });

  it('while nobody loads the performance is brought back by whoever watches', async () => {
    const all = setUp();
    const { clock, hall, ear } = all;
    await watching(all);
    hall.changeUnseen(3, 'OCCUPIED');
    await clock.advance(foundOutMs);
    expect(hall.loads).toBe(1);
    expect(ear.view).toEqual(hall.taken);
  });

  it('is read again after a fault, and told once Redis answers', async () => {
    const all = setUp();
    const { clock, watch, hall, ear, warnings } = all;
    await watching(all);
    hall.isDeaf = true;
    hall.change([1, 'HELD']);
    hall.isDeaf = false;
    hall.fault = new Error('redis is away');
    watch.readAll();
    await clock.advance(20_000);
    expect(ear.frames).toEqual([]);
    // Twice a second, not as fast as it goes.
    expect(warnings.length).toBeGreaterThan(10);
    expect(warnings.length).toBeLessThan(60);
    hall.fault = null;
    await clock.advance(announceMs);
    expect(ear.view).toEqual(hall.taken);
  });

  it('ends with its last watcher: a reading under way tells nobody and is not tried again', async () => {
    const all = setUp();
    const { clock, watch, hall, ear } = all;
    await watching(all);
    hall.fault = new Error('redis is away');
    watch.readAll();
    await clock.advance(100);
    watch.remove(1, ear.listen);
    await clock.advance(foundOutMs);
    expect(clock.timers).toBe(0);
    expect(ear.frames).toEqual([]);
  });
});

describe('messages that come in while the seats are read', () => {
  it('count behind what was read, in their order', async () => {
    const all = setUp();
    const { clock, watch, hall, ear } = all;
    await watching(all);
    hall.callMs = 20;
    watch.readAll();
    for (let i = 1; i <= 30; i++) {
      hall.change([i, 'HELD'], [i + 100, 'OCCUPIED']);
      if (i > 10) hall.change([i - 10, 'AVAILABLE']);
      await clock.advance(5);
    }
    await clock.advance(1000);
    expect(ear.view).toEqual(hall.taken);
  });

  it('are not kept without bound: past a thousand the seats are read again', async () => {
    const all = setUp();
    const { clock, watch, hall, ear } = all;
    await watching(all);
    hall.callMs = 50;
    watch.readAll();
    await clock.advance(60);
    for (let i = 1; i <= 3000; i++) hall.change([i, 'HELD']);
    await clock.advance(1000);
    expect(ear.view).toEqual(hall.taken);
    // Read anew, not once a message.
    expect(hall.reads).toBeLessThan(6);
  });
});

/** One thing that happens to a hall. */
type Event =
  | { readonly kind: 'change'; readonly changes: readonly Change[] }
  | { readonly kind: 'unseen'; readonly seat: number; readonly status: SeatStatus }
  | { readonly kind: 'load' | 'deaf' | 'back' | 'fault' | 'works' | 'late' };

const status = fc.constantFrom<SeatStatus>('AVAILABLE', 'HELD', 'OCCUPIED');
const seat = fc.integer({ min: 1, max: 12 });
const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc
      .uniqueArray(fc.tuple(seat, status), { minLength: 1, maxLength: 4, selector: ([number]) => number })
      .map((changes) => ({ kind: 'change', changes }) as const),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unseen' as const), seat, status }) },
  {
    weight: 3,
    arbitrary: fc.constantFrom('load', 'deaf', 'back', 'fault', 'works', 'late').map((kind) => ({ kind }) as Event),
  },
);
const history = fc.array(fc.record({ event, thenMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 400 })) }), {
  maxLength: 60,
});

function happen({ hall, watch }: SetUp, what: Event): void {
  if (what.kind === 'change') hall.change(...what.changes);
  else if (what.kind === 'unseen') hall.changeUnseen(what.seat, what.status);
  else if (what.kind === 'load') hall.load();
  else if (what.kind === 'deaf') hall.isDeaf = true;
  else if (what.kind === 'fault') hall.fault = new Error('redis is away');
  else if (what.kind === 'works') hall.fault = null;
  else if (what.kind === 'late') hall.messageMs = hall.messageMs === 0 ? 30 : 0;
  else {
    // Messages get lost with their connection, and the new one says so.
    hall.isDeaf = false;
    watch.readAll();
  }
}

describe('whatever happens', () => {
  it('all watchers come to know the seats as they are, by frames at least 250 ms apart', async () => {
    await fc.assert(
      fc.asyncProperty(history, fc.integer({ min: 0, max: 40 }), async (events, callMs) => {
        const all = setUp();
        const { clock, watch, hall, ear } = all;
        hall.callMs = callMs;
        hall.change([1, 'HELD'], [2, 'OCCUPIED']);
        await watching(all);
        for (const { event: what, thenMs } of events) {
          happen(all, what);
          await clock.advance(thenMs);
        }
        happen(all, { kind: 'back' });
        happen(all, { kind: 'works' });
        await clock.advance(foundOutMs + 1000);
        expect(ear.view).toEqual(hall.taken);
        for (let i = 1; i < ear.frames.length; i++) {
          expect(ear.frames[i]!.atMs - ear.frames[i - 1]!.atMs).toBeGreaterThanOrEqual(frameMs);
        }
        watch.stop();
        await clock.advance(1000);
        expect(clock.timers).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it('where no message is lost, each change is told within 250 ms and the seats are read once', async () => {
    const changes = fc.array(
      fc.record({
        changes: fc.uniqueArray(fc.tuple(seat, status), {
          minLength: 1,
          maxLength: 4,
          selector: ([number]) => number,
        }),
        thenMs: fc.integer({ min: 0, max: 300 }),
      }),
      { minLength: 1, maxLength: 60 },
    );
    await fc.assert(
      fc.asyncProperty(changes, fc.nat(60), fc.constantFrom(0, 3), async (list, lateAt, messageMs) => {
        const all = setUp();
        const { clock, watch, hall, ear } = all;
        hall.messageMs = messageMs;
        await watching(all);
        const late = new Ear(clock);
        const moments: { readonly atMs: number; readonly taken: ReadonlyMap<number, SeatStatus> }[] = [];
        for (let i = 0; i < list.length; i++) {
          if (i === lateAt) {
            // One more watcher: it reads the seats once it watches, and knows what was before.
            await watch.add(1, late.listen);
            for (const [number, now] of hall.taken) late.view.set(number, now);
          }
          hall.change(...list[i]!.changes);
          moments.push({ atMs: clock.nowMs(), taken: new Map(hall.taken) });
          await clock.advance(list[i]!.thenMs);
        }
        await clock.advance(frameMs + messageMs);
        expect(ear.view).toEqual(hall.taken);
        if (lateAt < list.length) expect(late.view).toEqual(hall.taken);
        if (clock.nowMs() < announceMs) expect(hall.reads).toBe(1);

        // What it believes of a seat 250 ms after a change has been true since.
        for (let i = 0; i < list.length; i++) {
          const dueMs = moments[i]!.atMs + frameMs + messageMs;
          const since = moments.slice(i).filter(({ atMs }) => atMs <= dueMs);
          const told = new Map(ear.frames.filter(({ atMs }) => atMs <= dueMs).flatMap(({ changes: each }) => each));
          for (const [number] of list[i]!.changes) {
            const truths = since.map(({ taken }) => taken.get(number) ?? 'AVAILABLE');
            expect(truths).toContain(told.get(number) ?? 'AVAILABLE');
          }
        }
      }),
      { numRuns: 150 },
    );
  });
});
