/** What others have published of rushes for 40 places by 4: figures of their machines, for the order of magnitude only. */

export interface Published {
  /** From the first request to the last answer; null where only the latency was published. */
  readonly totalMs: number | null;
  readonly p95Ms: number | null;
  /** For people; null for nothing. */
  readonly text: string | null;
}

const totalSecondsOf: Readonly<Record<number, number>> = { 100: 5.0, 200: 7.9, 400: 15.8, 800: 31.3 };
const nothing: Published = { totalMs: null, p95Ms: null, text: null };

/** What is known of a rush of so many users with so many requests each. */
export function publishedOf(users: number, repeat: number): Published {
  if (users === 2000 && repeat === 3) return { totalMs: null, p95Ms: 1660, text: 'p95 1,660 ms at best, 790/s' };
  const seconds = repeat === 1 ? totalSecondsOf[users] : undefined;
  return seconds === undefined
    ? nothing
    : { totalMs: seconds * 1000, p95Ms: null, text: `${seconds.toFixed(1)} s in all` };
}

/** The published time as a multiple of the one here; null where there is nothing to compare with. */
export function timesAsFast({ totalMs, p95Ms }: Published, totalMsHere: number, p95MsHere: number): number | null {
  if (totalMs !== null) return totalMs / totalMsHere;
  return p95Ms === null ? null : p95Ms / p95MsHere;
}
