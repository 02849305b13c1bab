import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';
import { exhibits, type FloorResult } from './report.ts';

const mainPath = fileURLToPath(new URL('../main.ts', import.meta.url));

test('the floor bench measures every contestant and each store alone, and prints the shares of their limits', async () => {
  const tiny = ['--seconds', '1', '--rounds', '1', '--connections', '5', '--users', '50', '--seats', '20000'];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [mainPath, 'floor', ...tiny, '--generator', 'autocannon', '--json'],
    { env: { ...process.env, REDIS_URL: inject('redisUrl'), MYSQL_URL: inject('mysqlUrl') } },
  );
  const result: FloorResult = JSON.parse(stdout);
  expect(result.rows.map((row) => row.name)).toEqual(['floor', 'refusal', 'held', 'persisted']);
  for (const { perSecond, cpuUs } of result.rows) {
    expect(perSecond).toBeGreaterThan(0);
    expect(cpuUs.server).toBeGreaterThan(0);
    // The stores of the tests are not the bench's own: what they take, others may have asked for.
    expect([cpuUs.redis, cpuUs.mysql]).toEqual([null, null]);
  }
  expect(result.limits.map(({ name, batchSize }) => [name, batchSize])).toEqual([
    ['redis', 100],
    ['mysql', 100],
    ['mysql', 200],
  ]);
  for (const { perSecond } of result.limits) expect(perSecond).toBeGreaterThan(0);
  expect(result.half.map(({ name }) => name)).toEqual(['held', 'persisted']);
  for (const { perSecond, p99Ms } of result.half) expect(Math.min(perSecond, p99Ms)).toBeGreaterThan(0);
  for (const { columns, rows } of exhibits(result).tables)
    for (const row of rows) expect(row.length).toBe(columns.length);
  expect(result.idleMs).toBeGreaterThan(0);
}, 90_000);

test('an unknown bench ends with exit code 2 and the names there are', async () => {
  const failure = await promisify(execFile)(process.execPath, [mainPath, 'nothing']).catch((thrown) => thrown);
  expect(failure.code).toBe(2);
  expect(failure.stderr).toContain('npm run bench -- floor');
});
