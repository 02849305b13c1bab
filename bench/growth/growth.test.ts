import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, inject, it, test } from 'vitest';
import type { LinePlot } from '../load/exhibits.ts';
import { axes } from './axes.ts';
import { exhibits, type GrowthResult, type Measured, rowOf, targetsOf } from './report.ts';

const mainPath = fileURLToPath(new URL('../main.ts', import.meta.url));
const run = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [mainPath, 'growth', ...args], {
    env: { ...process.env, REDIS_URL: inject('redisUrl'), MYSQL_URL: inject('mysqlUrl') },
  });

const sample: Measured = {
  perSecond: 1000,
  ratio: 1,
  p50Ms: 5,
  p99Ms: 9,
  gatewayUs: 50,
  redisUs: null,
  mysqlUs: null,
  gatewayMib: 200,
  redisBytes: 300,
};

test('the growth bench measures the points of an axis, spread and refused ones among them', async () => {
  const tiny = ['--points', '2', '--seconds', '1', '--rounds', '1', '--connections', '10'];
  const { stdout } = await run('--axes', 'performances,refusals', ...tiny, '--json');
  const result: GrowthResult = JSON.parse(stdout);
  expect(result.axes.map(({ name }) => name)).toEqual(['performances', 'refusals']);
  expect(result.axes.map(({ rows }) => rows.map(({ value }) => value))).toEqual([
    [1, 10],
    [0, 50],
  ]);
  for (const { rows } of result.axes) {
    expect(rows[0]!.ratio).toBe(1);
    for (const row of rows) {
      expect(row.perSecond).toBeGreaterThan(0);
      expect(row.gatewayUs).toBeGreaterThan(0);
      expect(row.gatewayMib).toBeGreaterThan(10);
      // Few holds, if the machine is busy: then it is not said.
      if (row.redisBytes !== null) expect(row.redisBytes).toBeGreaterThan(10);
    }
  }
}, 120_000);

test('an unknown axis is wrong usage', async () => {
  const failure = await run('--axes', 'weather').catch((thrown) => thrown);
  expect(failure.code).toBe(2);
  expect(failure.stderr).toContain('npm run bench -- growth');
});

describe('what growth found', () => {
  const measured = axes.map(({ name, points }) => ({
    name,
    rows: points.map((point, index) => {
      return rowOf(
        point,
        10,
        [0.9, 1, 1.1].map((ratio) => ({ ...sample, ratio: ratio - 0.06 * index })),
      );
    }),
  }));

  it('is a table and a plot an axis, in the order of its points', () => {
    const result = { generator: 'wrk', connections: 1, seconds: 1, rounds: 3, axes: measured, targets: [] } as const;
    const { tables, plots } = exhibits(result);
    expect(tables.map(({ title }) => title)).toEqual(axes.map(({ title }) => title));
    for (const { columns, rows } of tables) for (const row of rows) expect(row).toHaveLength(columns.length);
    const lines = plots as LinePlot[];
    expect(lines.map(({ name }) => name)).toEqual(axes.map(({ name }) => `growth-${name}`));
    expect(lines[0]!.series[0]!.points).toEqual([
      [1000, 1],
      [10_000, 0.94],
      [100_000, 0.88],
      [1_000_000, 0.82],
    ]);
  });

  it('is held against what is required of 100,000 seats and of 10,000 performances', () => {
    expect(targetsOf(measured)).toEqual([
      { name: '100,000 seats, of 1,000', ratio: 0.88, min: 0.9, holds: false },
      { name: '10,000 performances, of one', ratio: 0.76, min: 0.8, holds: false },
    ]);
    const short = measured.map(({ name, rows }) => ({ name, rows: rows.slice(0, 2) }));
    expect(targetsOf(short)).toEqual([]);
  });
});
