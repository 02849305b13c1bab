import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ManualClock, settled } from '../../test/manual-clock.ts';
import { Batcher, type BatcherOptions, type Pending } from './batcher.ts';

type Item = number;
type Result = string;
type Batch = readonly Pending<Item, Result>[];

interface Flush {
  readonly batch: Batch;
  readonly items: readonly Item[];
  /** Settles every item with `done` and ends the flush. */
  finish(): Promise<void>;
  /** Ends the flush as it is. */
  leave(): Promise<void>;
  fail(reason: string): Promise<void>;
}

/** A batcher whose flushes are ended by the test, and what it did. */
function makeBatcher(options: Partial<BatcherOptions<Item, Result>> = {}) {
  const clock = new ManualClock();
  const flushes: Flush[] = [];
  const answers: [Item, Result][] = [];
  const batcher = new Batcher<Item, Result>({
    clock,
    batchSizeMax: 3,
    flushDelayMsMax: 10,
    depthMax: 100,
    flushesMax: 2,
    overloaded: 'overloaded',
    failed: (thrown) => `failed: ${(thrown as Error).message}`,
    flush: (batch) =>
      new Promise((resolve, reject) => {
        flushes.push({
          batch,
          items: batch.map((pending) => pending.item),
          finish() {
            for (const pending of batch) pending.settle('done');
            return this.leave();
          },
          leave() {
            resolve();
            return settled();
          },
          fail(reason) {
            reject(new Error(reason));
            return settled();
          },
        });
      }),
    ...options,
  });
  const submit = (item: Item, deadlineAtMs = Number.POSITIVE_INFINITY): Pending<Item, Result> =>
    batcher.submit(item, deadlineAtMs, (result) => answers.push([item, result]));
  return { clock, batcher, flushes, answers, submit };
}

/** One item whose flush is under way, so that the next ones have to wait. */
async function makeBusy(options: Partial<BatcherOptions<Item, Result>> = {}) {
  const made = makeBatcher(options);
  made.submit(0);
  await made.clock.turn();
  expect(made.flushes).toHaveLength(1);
  return made;
}

describe('a batch goes out', () => {
  it('at once when no flush is under way, with all that came in the same turn of the loop', async () => {
    const { clock, flushes, submit } = makeBatcher();
    submit(1);
    submit(2);
    expect(flushes).toHaveLength(0);
    await clock.turn();
    expect(flushes.map((flush) => flush.items)).toEqual([[1, 2]]);
    expect(clock.nowMs()).toBe(0);
  });

  it('before the turn of the loop ends when batchSizeMax are waiting', () => {
    const { flushes, submit } = makeBatcher();
    for (const item of [1, 2, 3]) submit(item);
    expect(flushes.map((flush) => flush.items)).toEqual([[1, 2, 3]]);
  });

  it('when batchSizeMax are waiting behind a flush under way', async () => {
    const { flushes, submit } = await makeBusy();
    for (const item of [1, 2, 3]) submit(item);
    expect(flushes.map((flush) => flush.items)).toEqual([[0], [1, 2, 3]]);
  });

  it('flushDelayMsMax after its first item while a flush is under way, not sooner', async () => {
    const { clock, flushes, submit } = await makeBusy();
    submit(1);
    await clock.advance(9);
    submit(2);
    expect(flushes).toHaveLength(1);
    await clock.advance(1);
    expect(flushes.map((flush) => flush.items)).toEqual([[0], [1, 2]]);
  });

  it('in the turn of the loop in which the last flush under way ends', async () => {
    const { clock, flushes, submit } = await makeBusy();
    submit(1);
    await flushes[0]!.finish();
    await clock.turn();
    expect(flushes.map((flush) => flush.items)).toEqual([[0], [1]]);
    expect(clock.nowMs()).toBe(0);
  });

  it('with never more than batchSizeMax items and flushesMax flushes under way', async () => {
    const { clock, flushes, submit } = makeBatcher();
    for (let item = 1; item <= 10; item++) submit(item);
    await clock.advance(100);
    expect(flushes.map((flush) => flush.items)).toEqual([
      [1, 2, 3],
      [4, 5, 6],
    ]);
    await flushes[1]!.finish();
    expect(flushes.map((flush) => flush.items).slice(2)).toEqual([[7, 8, 9]]);
  });

  it('when a flush ends, if its first item has waited flushDelayMsMax while all flushes were under way', async () => {
    const { clock, flushes, submit } = makeBatcher();
    for (let item = 1; item <= 7; item++) submit(item);
    await clock.advance(50);
    expect(flushes).toHaveLength(2);
    await flushes[0]!.finish();
    await clock.turn();
    expect(flushes.map((flush) => flush.items).slice(2)).toEqual([[7]]);
  });

  it('leaving no timer behind when there is nothing to wait for', async () => {
    const { clock, flushes, submit } = await makeBusy();
    for (const item of [1, 2]) submit(item);
    expect(clock.timers).toBe(1);
    submit(3);
    expect(clock.timers).toBe(0);
    for (const flush of flushes) await flush.finish();
    expect(clock.timers).toBe(0);
  });
});

describe('an item', () => {
  it('past depthMax is answered overloaded before submit returns, and leaves the others alone', async () => {
    const { clock, batcher, flushes, answers, submit } = makeBatcher({ depthMax: 4 });
    for (let item = 1; item <= 5; item++) submit(item);
    expect(answers).toEqual([[5, 'overloaded']]);
    expect(batcher.depth).toBe(4);
    expect(batcher.counters.overloaded).toBe(1);
    await flushes[0]!.finish();
    await clock.turn();
    submit(6);
    await clock.advance(10);
    for (const flush of flushes) await flush.finish();
    expect(answers.slice(1).map(([item, result]) => `${item} ${result}`)).toEqual([
      '1 done',
      '2 done',
      '3 done',
      '4 done',
      '6 done',
    ]);
  });

  it('under way still counts for depthMax', async () => {
    const { flushes, answers, submit } = await makeBusy({ depthMax: 1 });
    submit(1);
    expect(answers).toEqual([[1, 'overloaded']]);
    await flushes[0]!.finish();
    submit(2);
    expect(answers).toEqual([
      [1, 'overloaded'],
      [0, 'done'],
    ]);
  });

  it('past its deadline is dropped when its turn comes', async () => {
    const { clock, batcher, flushes, answers, submit } = await makeBusy();
    submit(1, 5);
    submit(2, 10);
    await clock.advance(10);
    expect(answers).toEqual([[1, 'overloaded']]);
    expect(flushes.map((flush) => flush.items)).toEqual([[0], [2]]);
    expect(batcher.counters.expired).toBe(1);
  });

  it('handed over before its deadline is not dropped after it', async () => {
    const { clock, batcher, flushes, answers, submit } = makeBatcher();
    submit(1, 5);
    await clock.turn();
    await clock.advance(1000);
    expect(answers).toEqual([]);
    await flushes[0]!.finish();
    expect(answers).toEqual([[1, 'done']]);
    expect(batcher.counters.expired).toBe(0);
  });

  it('given up by its caller is dropped when its turn comes', async () => {
    const { clock, batcher, flushes, answers, submit } = await makeBusy();
    submit(1).abandoned = true;
    submit(2);
    await clock.advance(10);
    expect(flushes.map((flush) => flush.items)).toEqual([[0], [2]]);
    expect(answers).toEqual([[1, 'overloaded']]);
    expect(batcher.counters.abandoned).toBe(1);
  });

  it('given up after it was handed over is answered as it is decided', async () => {
    const { clock, flushes, answers, submit } = makeBatcher();
    const pending = submit(1);
    await clock.turn();
    pending.abandoned = true;
    await flushes[0]!.finish();
    expect(answers).toEqual([[1, 'done']]);
  });

  it('takes its first answer and no other', async () => {
    const { clock, batcher, answers, submit } = makeBatcher();
    const pending = submit(1);
    expect(pending.settle('first')).toBe(true);
    expect(pending.settle('second')).toBe(false);
    await clock.turn();
    expect(answers).toEqual([[1, 'first']]);
    expect(batcher.depth).toBe(0);
    expect(batcher.counters.flushes).toBe(0);
  });

  it('submitted by the answer to another one neither overtakes it nor breaks the limit of flushes', async () => {
    const { clock, batcher, flushes, submit } = makeBatcher({ batchSizeMax: 2, flushesMax: 1 });
    submit(0);
    await clock.turn();
    batcher.submit(1, 5, () => submit(5));
    for (const item of [2, 3, 4]) submit(item);
    await clock.advance(10);
    await flushes[0]!.finish();
    expect(flushes.map((flush) => flush.items)).toEqual([[0], [2, 3]]);
  });
});

describe('a flush', () => {
  it('that rejects has its open items failed, each once, and the next flush goes on', async () => {
    const { clock, batcher, flushes, answers, submit } = makeBatcher();
    for (const item of [1, 2, 3, 4]) submit(item);
    flushes[0]!.batch[1]!.settle('done');
    await flushes[0]!.fail('no store');
    await clock.advance(10);
    expect(flushes.map((flush) => flush.items)).toEqual([[1, 2, 3], [4]]);
    expect(answers).toEqual([
      [2, 'done'],
      [1, 'failed: no store'],
      [3, 'failed: no store'],
    ]);
    await flushes[1]!.finish();
    expect(batcher.depth).toBe(0);
  });

  it('that throws before it returns a promise is one that rejects', async () => {
    const { clock, batcher, answers, submit } = makeBatcher({
      flush: () => {
        throw new Error('a slip');
      },
    });
    submit(1);
    await clock.turn();
    submit(2);
    await clock.turn();
    expect(answers).toEqual([
      [1, 'failed: a slip'],
      [2, 'failed: a slip'],
    ]);
    expect(batcher.depth).toBe(0);
  });

  it('that leaves items frees its slot; they count until somebody settles them', async () => {
    const { clock, batcher, flushes, answers, submit } = makeBatcher();
    submit(1);
    await clock.turn();
    await flushes[0]!.leave();
    let isDrained = false;
    void batcher.drained().then(() => {
      isDrained = true;
    });
    submit(2);
    await clock.turn();
    await flushes[1]!.finish();
    expect([batcher.depth, isDrained]).toEqual([1, false]);
    flushes[0]!.batch[0]!.settle('late');
    await settled();
    expect([batcher.depth, isDrained]).toEqual([0, true]);
    expect(answers).toEqual([
      [2, 'done'],
      [1, 'late'],
    ]);
  });
});

describe('requeue', () => {
  it('puts items back before those that wait, in their order', async () => {
    const { clock, batcher, flushes, submit } = makeBatcher({ flushesMax: 1 });
    for (const item of [1, 2, 3, 4, 5]) submit(item);
    batcher.requeue(flushes[0]!.batch);
    await flushes[0]!.leave();
    expect(flushes.map((flush) => flush.items)).toEqual([
      [1, 2, 3],
      [1, 2, 3],
    ]);
    await flushes[1]!.finish();
    await clock.turn();
    expect(flushes[2]!.items).toEqual([4, 5]);
  });

  it('starts a flush when none is under way', async () => {
    const { clock, batcher, flushes, submit } = makeBatcher();
    submit(1);
    await clock.turn();
    await flushes[0]!.leave();
    batcher.requeue(flushes[0]!.batch);
    await clock.turn();
    expect(flushes.map((flush) => flush.items)).toEqual([[1], [1]]);
  });

  it('drops what is past its deadline by then', async () => {
    const { clock, batcher, flushes, answers, submit } = makeBatcher();
    submit(1, 5);
    submit(2, 50);
    await clock.turn();
    await clock.advance(20);
    await flushes[0]!.leave();
    batcher.requeue(flushes[0]!.batch);
    await clock.turn();
    expect(answers).toEqual([[1, 'overloaded']]);
    expect(flushes[1]!.items).toEqual([2]);
  });

  it('of items that are settled already hands none of them over', async () => {
    const { clock, batcher, flushes, submit } = makeBatcher();
    submit(1);
    await clock.turn();
    await flushes[0]!.finish();
    batcher.requeue(flushes[0]!.batch);
    await clock.turn();
    expect(flushes).toHaveLength(1);
    expect(batcher.waiting).toBe(0);
  });
});

describe('drained', () => {
  it('resolves at once when nothing is on its way', async () => {
    await makeBatcher().batcher.drained();
  });

  it('waits for items that came later too', async () => {
    const { clock, batcher, flushes, submit } = await makeBusy();
    let isDrained = false;
    void batcher.drained().then(() => {
      isDrained = true;
    });
    submit(1);
    await flushes[0]!.finish();
    expect(isDrained).toBe(false);
    await clock.turn();
    await flushes[1]!.finish();
    expect(isDrained).toBe(true);
  });
});

/** What a random schedule does next. */
type Step =
  | { readonly kind: 'submit'; readonly count: number; readonly deadlineMs: number }
  | { readonly kind: 'abandon' | 'settle'; readonly at: number }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'turn' }
  | { readonly kind: 'end'; readonly at: number; readonly how: 'finish' | 'fail' | 'half' | 'leave' | 'requeue' };

const index = fc.nat(1000);
const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('submit'), count: fc.nat(6), deadlineMs: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('abandon', 'settle'), at: index }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('advance'), ms: fc.nat(15) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn') }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('end'),
      at: index,
      how: fc.constantFrom('finish', 'fail', 'half', 'leave', 'requeue'),
    }),
  },
) as fc.Arbitrary<Step>;

describe('under any schedule', () => {
  it('every item is settled once, in order, within the limits, and the depth returns to 0', async () => {
    const limits = fc.record({
      batchSizeMax: fc.integer({ min: 1, max: 5 }),
      flushesMax: fc.integer({ min: 1, max: 3 }),
      depthMax: fc.integer({ min: 5, max: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(limits, fc.array(stepArbitrary, { maxLength: 60 }), fc.array(fc.boolean()), runSchedule),
      { numRuns: 300 },
    );
  });
});

async function runSchedule(
  limits: { readonly batchSizeMax: number; readonly flushesMax: number; readonly depthMax: number },
  steps: readonly Step[],
  isThrowing: readonly boolean[],
): Promise<void> {
  const clock = new ManualClock();
  const all: Pending<Item, Result>[] = [];
  const answersOf: Result[][] = [];
  const left: Pending<Item, Result>[] = [];
  const underWay: { readonly batch: Batch; readonly resolve: () => void; readonly reject: () => void }[] = [];
  /** What must come next, in this order; items that are settled by then are passed over. */
  let expected: Pending<Item, Result>[] = [];
  let flushes = 0;

  const batcher = new Batcher<Item, Result>({
    clock,
    flushDelayMsMax: 10,
    ...limits,
    overloaded: 'overloaded',
    failed: () => 'failed',
    flush: (batch) => {
      expect(batch.length).toBeGreaterThan(0);
      expect(batch.length).toBeLessThanOrEqual(limits.batchSizeMax);
      const due = expected.filter((pending) => !pending.isSettled);
      expect(batch.map((pending) => pending.item)).toEqual(due.slice(0, batch.length).map((pending) => pending.item));
      for (const pending of batch) expect(pending.abandoned || clock.nowMs() > pending.deadlineAtMs).toBe(false);
      expected = due.slice(batch.length);
      if (isThrowing[flushes++] === true) throw new Error('a slip');
      return new Promise<void>((resolve, reject) => {
        underWay.push({ batch, resolve, reject: () => reject(new Error('no store')) });
        expect(underWay.length).toBeLessThanOrEqual(limits.flushesMax);
      });
    },
  });

  const submit = (deadlineMs: number): void => {
    const item = all.length;
    const answers: Result[] = [];
    answersOf.push(answers);
    const depthBefore = batcher.depth;
    // Handed over before submit returns, an item must be expected by then.
    const wanted = { item, isSettled: false, abandoned: false } as Pending<Item, Result>;
    if (depthBefore < limits.depthMax) expected.push(wanted);
    const pending = batcher.submit(item, clock.nowMs() + deadlineMs, (result) => answers.push(result));
    if (depthBefore >= limits.depthMax) expect(answers).toEqual(['overloaded']);
    expected = expected.map((other) => (other === wanted ? pending : other));
    all.push(pending);
  };
  const end = async (at: number, how: 'finish' | 'fail' | 'half' | 'leave' | 'requeue'): Promise<void> => {
    const [flush] = underWay.splice(at % underWay.length, 1);
    if (flush === undefined) return;
    const { batch } = flush;
    if (how === 'finish') for (const pending of batch) pending.settle('done');
    if (how === 'half') batch[0]!.settle('done');
    if (how === 'leave') left.push(...batch);
    if (how === 'requeue') {
      expected.unshift(...batch);
      // The slot is free first, as for a load that ends later: a requeued item may go out before this returns.
      flush.resolve();
      await settled();
      expected = [...batch, ...expected.filter((pending) => !batch.includes(pending))];
      batcher.requeue(batch);
    } else if (how === 'fail' || how === 'half') flush.reject();
    else flush.resolve();
    await settled();
  };

  for (const step of steps) {
    if (step.kind === 'submit') for (let i = 0; i < step.count; i++) submit(step.deadlineMs);
    else if (step.kind === 'abandon' && all.length > 0) all[step.at % all.length]!.abandoned = true;
    else if (step.kind === 'settle' && left.length > 0) left.splice(step.at % left.length, 1)[0]!.settle('late');
    else if (step.kind === 'advance') await clock.advance(step.ms);
    else if (step.kind === 'turn') await clock.turn();
    else if (step.kind === 'end' && underWay.length > 0) await end(step.at, step.how);
  }

  const drained = batcher.drained();
  for (const pending of left) pending.settle('late');
  for (let round = 0; round < 1000 && batcher.depth > 0; round++) {
    if (underWay.length > 0) await end(0, 'finish');
    await clock.advance(10);
  }
  expect(batcher.depth).toBe(0);
  expect(batcher.waiting).toBe(0);
  await drained;
  for (const answers of answersOf) expect(answers).toHaveLength(1);
}
