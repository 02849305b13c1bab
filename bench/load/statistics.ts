/** Percentiles of measured times. A run has at most some million samples: they are kept and sorted, nothing is estimated. */

/** All in milliseconds; 0 when there was no sample. */
export interface Latency {
  readonly count: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** The value that `fraction` (0 to 1) of the samples do not exceed, by nearest rank; `sorted` rises. 0 for none. */
export function percentile(sorted: Float64Array, fraction: number): number {
  if (sorted.length === 0) return 0;
  const rank = Math.max(1, Math.ceil(fraction * sorted.length));
  return sorted[Math.min(rank, sorted.length) - 1]!;
}

/** Sums samples up, in milliseconds and any order. The samples stay as they are. */
export function latencyOf(samplesMs: Float64Array): Latency {
  const sorted = samplesMs.slice().sort();
  return {
    count: sorted.length,
    p50Ms: percentile(sorted, 0.5),
    p95Ms: percentile(sorted, 0.95),
    p99Ms: percentile(sorted, 0.99),
    maxMs: percentile(sorted, 1),
  };
}

/** The middle one; 0 of none. */
export function middle(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

/** The one of `items` whose number is the middle one. Throws RangeError for no items. */
export function middleOf<Item>(items: readonly Item[], numberOf: (item: Item) => number): Item {
  if (items.length === 0) throw new RangeError('the middle of nothing');
  return [...items].sort((a, b) => numberOf(a) - numberOf(b))[Math.floor(items.length / 2)]!;
}

/** Numbers between 0 and 1 that are the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
