import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';
import type { MetricsResult } from './metrics.ts';

const mainPath = fileURLToPath(new URL('./main.ts', import.meta.url));

test('the metrics bench measures refusals and holds with metrics and without, and prints what they cost', async () => {
  const tiny = ['--seconds', '1', '--rounds', '1', '--connections', '5', '--users', '50', '--seats', '20000'];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [mainPath, 'metrics', ...tiny, '--generator', 'autocannon', '--json'],
    { env: { ...process.env, REDIS_URL: inject('redisUrl'), MYSQL_URL: inject('mysqlUrl') } },
  );
  const result: MetricsResult = JSON.parse(stdout);
  expect(result.rows.map((row) => row.name)).toEqual(['refusal', 'persisted']);
  for (const { on, off, ratio, cost } of result.rows) {
    for (const measured of [on, off]) {
      expect(measured.perSecond).toBeGreaterThan(0);
      expect(measured.cpuUs).toBeGreaterThan(0);
    }
    expect(ratio).toBeGreaterThan(0);
    expect(cost).toBeGreaterThan(-1);
  }
});
