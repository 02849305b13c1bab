import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, inject, it } from 'vitest';
import { exhibits, type LadderResult } from './ladder.ts';

const mainPath = fileURLToPath(new URL('../main.ts', import.meta.url));
const climb = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [mainPath, 'rush', ...args], {
    env: { ...process.env, REDIS_URL: inject('redisUrl'), MYSQL_URL: inject('mysqlUrl') },
  });

describe('npm run bench -- rush', () => {
  it.each(['persisted', 'held'])('sells exactly in every round of every rung, %s', async (ack) => {
    const args = ['--users', '5,20', '--repeat', '1,2', '--rounds', '2', '--capacity', '9', '--party', '2'];
    const { stdout } = await climb(...args, '--connections', '10', '--ack', ack, '--json');
    const result: LadderResult = JSON.parse(stdout);
    const sizes = result.rungs.map(({ users, repeat, requests, sold }) => [users, repeat, requests, sold]);
    expect(sizes).toEqual([
      [5, 1, 5, 4],
      [20, 1, 20, 4],
      [5, 2, 10, 4],
      [20, 2, 40, 4],
    ]);
    for (const { roundsExact, faults, totalMs, latencyFromStart } of result.rungs) {
      expect({ roundsExact, faults }).toEqual({ roundsExact: 2, faults: [] });
      expect(latencyFromStart.maxMs).toBeLessThanOrEqual(totalMs);
    }
  });

  it.each([
    [['--users', '100,few'], '--users must be a whole number'],
    [['--ack', 'never'], '--ack must be one of persisted, held'],
    [['--customers', '5'], '--customers'],
  ])('refuses %j with exit code 2', async (args, message) => {
    const failure = await climb(...args).catch((thrown) => thrown);
    expect(failure.code).toBe(2);
    expect(failure.stderr).toContain(message);
  });
});

it('the ladder shows what others have published beside the rungs that have it, and the ratio', () => {
  const latency = { count: 100, p50Ms: 10, p95Ms: 20, p99Ms: 25, maxMs: 30 };
  const rung = { requests: 100, totalMs: 50, requestsPerSecond: 2000, latencyFromStart: latency, latency };
  const rest = { generatorCpuMs: 5, sold: 10, roundsExact: 3, faults: [] };
  const rungs = [
    { users: 100, repeat: 1, ...rung, ...rest },
    { users: 2000, repeat: 3, ...rung, ...rest },
    { users: 5000, repeat: 3, ...rung, ...rest },
  ];
  const result = { capacity: 40, party: 4, ack: 'held', connections: 200, rounds: 3, rungs } as const;
  const { tables, plots } = exhibits(result);
  for (const row of tables[0]!.rows) expect(row).toHaveLength(tables[0]!.columns.length);
  expect(tables[0]?.rows.map((row) => row.slice(-3))).toEqual([
    ['3 of 3', '5.0 s in all', 100],
    ['3 of 3', 'p95 1,660 ms at best, 790/s', 83],
    ['3 of 3', null, null],
  ]);
  const [plot] = plots;
  if (plot === undefined || plot.kind === 'bars') throw new Error('no plot of lines');
  expect(plot.series.map(({ name, points }) => [name, points.length])).toEqual([
    ['fastpass, once each', 1],
    ['fastpass, 3 times each', 2],
    ['published, once each', 1],
  ]);
});
