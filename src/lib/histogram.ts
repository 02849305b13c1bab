/** Counts of observations by size, as plain numbers: the metrics read them at a scrape, nothing is allocated in between. */

/** Seconds, from half a millisecond to what a client still waits for. */
export const secondsBounds: readonly number[] = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
];

/** Seconds that people wait in a room. */
export const longSecondsBounds: readonly number[] = [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800];

/** Items of a batch. */
export const batchBounds: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200];

export class Histogram {
  /** Upper bounds, each included in its bucket; rising. */
  readonly bounds: readonly number[];
  /** Observations a bucket, not summed up; the last one is of those above every bound. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  /** Counts one observation, in the unit of the bounds. */
  observe(value: number): void {
    const { bounds, counts } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    counts[bucket]!++;
    this.sum += value;
  }
}
