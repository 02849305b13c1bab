import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';
import { exhibits, type WaysResult } from './main.ts';
import { wayNames } from './ways.ts';

const mainPath = fileURLToPath(new URL('../main.ts', import.meta.url));
const run = promisify(execFile);
/** An earlier run has fetched it: no network is wanted any more. Where there is none yet, the bench may leave it out. */
const hasRabbitmq = existsSync(new URL('../../.data/rabbitmq', import.meta.url));

test('every way sells every seat it is asked for once, tells everybody else so, and stands in the tables', async () => {
  const tiny = ['--seconds', '1', '--rounds', '1', '--connections', '10', '--users', '50', '--seats', '10000'];
  const { stdout } = await run(process.execPath, [mainPath, 'ways', ...tiny, '--json'], {
    env: { ...process.env, REDIS_URL: inject('redisUrl'), MYSQL_URL: inject('mysqlUrl') },
  });
  const result: WaysResult = JSON.parse(stdout);
  expect(result.rows.map(({ name }) => name)).toEqual(wayNames);
  for (const { name, figures, faults } of result.rows) {
    expect(faults).toEqual([]);
    if (name === 'rabbitmq' && figures === null && !hasRabbitmq) continue;
    expect(figures?.perSecond).toBeGreaterThan(0);
    expect(figures?.p95Ms).toBeGreaterThanOrEqual(figures?.p50Ms ?? Number.NaN);
    expect(figures?.p99Ms).toBeGreaterThanOrEqual(figures?.p95Ms ?? Number.NaN);
    expect(figures?.cpu.server).toBeGreaterThan(0);
    expect(figures?.drainMs).toBeGreaterThanOrEqual(0);
  }
  for (const { columns, rows } of exhibits(result).tables) {
    expect(rows).toHaveLength(wayNames.length);
    for (const row of rows) expect(row).toHaveLength(columns.length);
  }
}, 600_000);

test('a way that is not there ends with exit code 2 and the names there are', async () => {
  const failure = await run(process.execPath, [mainPath, 'ways', '--ways', 'mutex,luck']).catch((thrown) => thrown);
  expect(failure.code).toBe(2);
  expect(failure.stderr).toContain('pubsub-lock');
});
