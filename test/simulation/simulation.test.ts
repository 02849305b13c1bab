/** A short run of the simulation; `npm run simulate` plays as many seeds as there is time for. */
import { describe, expect, it } from 'vitest';
import { simulate } from './run.ts';

const seeds = 150;
const steps = 150;
const first = Number(process.env['SIMULATE_SEED'] ?? 1);

describe('the simulation', () => {
  it(`keeps every promise in any weather (seeds ${first} to ${first + seeds - 1})`, async () => {
    let acknowledged = 0;
    const weathers = new Set<string>();
    for (let seed = first; seed < first + seeds; seed++) {
      const run = await simulate(seed, steps);
      expect(run.broken, `npm run simulate -- --seed ${seed} --steps ${steps} (${run.weather})`).toEqual([]);
      acknowledged += run.acknowledged;
      weathers.add(run.weather);
    }
    // It did something, and not the same each time.
    expect(acknowledged).toBeGreaterThan(seeds);
    expect(weathers.size).toBeGreaterThan(seeds / 3);
  });

  it('plays a seed the same way every time', async () => {
    for (const seed of [3, 7, 11]) {
      const runs = [await simulate(seed, steps), await simulate(seed, steps)];
      expect(runs[0]!.trace).toEqual(runs[1]!.trace);
    }
  });
});
