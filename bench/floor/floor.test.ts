import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';
import type { FloorResult } from './main.ts';

const mainPath = fileURLToPath(new URL('../main.ts', import.meta.url));

test('the floor bench measures every contestant and prints its share of the floor', async () => {
  const tiny = ['--seconds', '1', '--rounds', '1', '--connections', '5', '--users', '50', '--seats', '20000'];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [mainPath, 'floor', ...tiny, '--generator', 'autocannon', '--json'],
    { env: { ...process.env, REDIS_URL: inject('redisUrl'), MYSQL_URL: inject('mysqlUrl') } },
  );
  const result: FloorResult = JSON.parse(stdout);
  expect(result.rows.map((row) => row.name)).toEqual(['floor', 'refusal', 'held', 'persisted']);
  for (const row of result.rows) expect(row.perSecond).toBeGreaterThan(0);
  expect(result.idleMs).toBeGreaterThan(0);
});

test('an unknown bench ends with exit code 2 and the names there are', async () => {
  const failure = await promisify(execFile)(process.execPath, [mainPath, 'nothing']).catch((thrown) => thrown);
  expect(failure.code).toBe(2);
  expect(failure.stderr).toContain('npm run bench -- floor');
});
