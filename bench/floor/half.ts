/** How long a hold takes when a gateway has half of what it can do. */
import type { RoundOptions } from '../load/options.ts';
import { say } from '../load/progress.ts';
import { middle } from '../load/statistics.ts';
import { type LoadResult, load } from '../load/wrk.ts';
import type { HalfLoad } from './report.ts';
import type { Contestant } from './rounds.ts';

/** Sends half of `perSecond` in each round, from as many connections as before. Rejects when an answer was wrong. */
export async function atHalfLoad(
  options: RoundOptions,
  contestant: Contestant,
  tokensPath: string,
  perSecond: number,
): Promise<HalfLoad> {
  const { seconds, rounds, connections, generator } = options;
  const { name, url, performances, seats, settled } = contestant;
  const results: LoadResult[] = [];
  for (let round = 1; round <= rounds; round++) {
    const performanceIds = await performances();
    const asked = { url, connections, seconds, tokensPath, performanceIds, seatsPerPerformance: seats, first: 0 };
    const result = await load(generator, { ...asked, perSecond: Math.max(1, Math.round(perSecond / 2)) });
    if (result.refused + result.failed > 0) {
      throw new Error(`${name}, half load: ${result.refused} refusals, ${result.failed} requests without an answer`);
    }
    await settled();
    say(`half load, round ${round}: ${name} ${Math.round(result.perSecond)}/s, p99 ${result.p99Ms} ms`);
    results.push(result);
  }
  const middleOf = (of: (result: LoadResult) => number): number => Number(middle(results.map(of)).toFixed(2));
  return {
    name,
    perSecond: Math.round(middleOf((result) => result.perSecond)),
    p50Ms: middleOf((result) => result.p50Ms),
    p95Ms: middleOf((result) => result.p95Ms),
    p99Ms: middleOf((result) => result.p99Ms),
  };
}
