import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ReadCache } from './read-cache.ts';

interface Value {
  readonly text: string;
}

/** A store whose reads end when the test says so. */
function fixture(freshMs = 60_000, entriesMax = 100) {
  const reads: { key: string; end: (value: Value | null) => void; fail: (fault: Error) => void }[] = [];
  const cache = new ReadCache<string, Value>({
    entriesMax,
    freshMs,
    read: (key) =>
      new Promise((resolve, reject) => {
        reads.push({ key, end: resolve, fail: reject });
      }),
  });
  /** Ends the read of that number, which has begun or is about to. */
  async function end(index: number, text: string | null): Promise<void> {
    await turns();
    reads[index]!.end(text === null ? null : { text });
  }
  /** What `get` gives while nothing more is read; undefined where it would read. */
  async function kept(key: string): Promise<string | undefined> {
    const before = reads.length;
    const value = cache.get(key);
    await turns();
    if (reads.length === before) return (await value)?.text;
    reads.at(-1)!.end(null);
    await value;
    return undefined;
  }
  return { cache, reads, end, kept };
}

/** Lets every promise settle that can. No timer is waited for. */
async function turns(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

describe('a cached read', () => {
  it('is one read for however many ask at the same time, and none for who asks later', async () => {
    const { cache, reads, end } = fixture();
    const asked = Array.from({ length: 10_000 }, () => cache.get('a'));
    await end(0, 'first');
    const values = await Promise.all(asked);
    expect(new Set(values)).toEqual(new Set([{ text: 'first' }]));
    for (let i = 0; i < 10; i++) expect(await cache.get('a')).toEqual({ text: 'first' });
    expect(reads).toHaveLength(1);
    expect(cache.counters).toEqual({ hits: 10, reads: 1 });
  });

  it('is one read a key', async () => {
    const { cache, reads, end } = fixture();
    const both = [cache.get('a'), cache.get('b')];
    await end(0, 'of a');
    await end(1, 'of b');
    expect(await Promise.all(both)).toEqual([{ text: 'of a' }, { text: 'of b' }]);
    expect(reads.map(({ key }) => key)).toEqual(['a', 'b']);
  });

  it('of what there is not is null, and is not kept', async () => {
    const { cache, reads, end } = fixture();
    const first = cache.get('a');
    await end(0, null);
    expect(await first).toBeNull();
    const second = cache.get('a');
    await end(1, 'made meanwhile');
    expect(await second).toEqual({ text: 'made meanwhile' });
    expect(reads).toHaveLength(2);
  });

  it('that failed fails for all who waited for it, and is not kept', async () => {
    const { cache, reads, end } = fixture();
    const asked = [cache.get('a'), cache.get('a')];
    await turns();
    reads[0]!.fail(new Error('mysql is away'));
    for (const each of await Promise.allSettled(asked)) {
      expect(each).toMatchObject({ status: 'rejected', reason: { message: 'mysql is away' } });
    }
    const again = cache.get('a');
    await end(1, 'back');
    expect(await again).toEqual({ text: 'back' });
  });
});

describe('a dropped value', () => {
  it('is read anew, once', async () => {
    const { cache, reads, end } = fixture();
    const first = cache.get('a');
    await end(0, 'old');
    await first;
    cache.drop('a');
    const asked = [cache.get('a'), cache.get('a')];
    await end(1, 'new');
    expect(await Promise.all(asked)).toEqual([{ text: 'new' }, { text: 'new' }]);
    expect(await cache.get('a')).toEqual({ text: 'new' });
    expect(reads).toHaveLength(2);
  });

  it('leaves the others alone', async () => {
    const { cache, end, kept } = fixture();
    const [a, b] = [cache.get('a'), cache.get('b')];
    await end(0, 'of a');
    await end(1, 'of b');
    await Promise.all([a, b]);
    cache.drop('a');
    expect(await kept('b')).toBe('of b');
    expect(await kept('a')).toBeUndefined();
  });

  it('while it is read is not kept, and who asks after the drop gets what is read after it', async () => {
    const { cache, end, kept } = fixture();
    const before = cache.get('a');
    await turns();
    cache.drop('a');
    const after = cache.get('a');
    await turns();
    // In either order: the old one must not come to stand over the new one.
    await end(1, 'new');
    expect(await after).toEqual({ text: 'new' });
    await end(0, 'old');
    expect(await before).toEqual({ text: 'old' });
    expect(await kept('a')).toBe('new');
  });

  it('while it is read is not kept though nobody asks in between', async () => {
    const { cache, end, kept } = fixture();
    const before = cache.get('a');
    await turns();
    cache.drop('a');
    await end(0, 'old');
    expect(await before).toEqual({ text: 'old' });
    expect(await kept('a')).toBeUndefined();
  });

  it('before its read has begun, and again while it is read, is not kept', async () => {
    const { cache, end, kept } = fixture();
    const before = cache.get('a');
    cache.drop('a');
    await turns();
    cache.drop('a');
    await end(0, 'old');
    await before;
    expect(await kept('a')).toBeUndefined();
  });

  it('in any order of asking, reading and dropping is never older than the last drop', async () => {
    // The value is the number of drops when its read began: whoever asks after a drop must see that drop.
    let random = 12_345;
    const next = (max: number): number => {
      random = (Math.imul(random, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (random >>> 8) % max;
    };
    for (let run = 0; run < 300; run++) {
      let drops = 0;
      const open: (() => void)[] = [];
      const cache = new ReadCache<string, Value>({
        entriesMax: 10,
        freshMs: 60_000,
        read: () => {
          const seen = String(drops);
          return new Promise((resolve) => open.push(() => resolve({ text: seen })));
        },
      });
      const checks: Promise<void>[] = [];
      for (let step = 0; step < 30; step++) {
        const what = next(4);
        if (what === 0) {
          const least = drops;
          checks.push(cache.get('a').then((value) => expect(Number(value!.text)).toBeGreaterThanOrEqual(least)));
        } else if (what === 1) open.splice(next(open.length + 1), 1)[0]?.();
        else if (what === 2) {
          // Not in the turn of the question: that case has a test of its own.
          await turns();
          drops++;
          cache.drop('a');
        }
        await turns();
      }
      for (const end of open.splice(0)) end();
      await Promise.all(checks);
    }
  });
});

describe('a cleared cache', () => {
  it('has nothing, and keeps nothing of what was being read', async () => {
    const { cache, end, kept } = fixture();
    const a = cache.get('a');
    await end(0, 'of a');
    await a;
    const b = cache.get('b');
    await turns();
    cache.clear();
    await end(1, 'of b');
    expect(await b).toEqual({ text: 'of b' });
    expect([await kept('a'), await kept('b')]).toEqual([undefined, undefined]);
  });
});

describe('time and size', () => {
  let nowMs = 0;
  beforeEach(() => {
    // lru-cache has kept the `performance` it found at its start: the method is replaced, not the object.
    nowMs = performance.now();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  async function pass(ms: number): Promise<void> {
    nowMs += ms;
    await vi.advanceTimersByTimeAsync(ms);
  }

  it('a value is read again once it is as old as it may be', async () => {
    let reads = 0;
    const cache = new ReadCache<string, Value>({
      entriesMax: 10,
      freshMs: 1000,
      read: async () => ({ text: String(++reads) }),
    });
    expect(await cache.get('a')).toEqual({ text: '1' });
    await pass(990);
    expect(await cache.get('a')).toEqual({ text: '1' });
    // Being asked for makes nothing younger.
    await pass(20);
    expect(await cache.get('a')).toEqual({ text: '2' });
    await pass(1010);
    const asked = [cache.get('a'), cache.get('a'), cache.get('a')];
    expect(new Set((await Promise.all(asked)).map((value) => value?.text))).toEqual(new Set(['3']));
  });

  it('there are never more values than there may be, and the last ones asked for stay', async () => {
    const reads: string[] = [];
    const cache = new ReadCache<string, Value>({
      entriesMax: 3,
      freshMs: 1000,
      read: async (key) => {
        reads.push(key);
        return { text: key };
      },
    });
    for (const key of ['a', 'b', 'c', 'a', 'd', 'a', 'b']) await cache.get(key);
    expect(reads).toEqual(['a', 'b', 'c', 'd', 'b']);
  });
});
