import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';
import type { SizesResult } from './sizes.ts';

const mainPath = fileURLToPath(new URL('./main.ts', import.meta.url));
const run = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [mainPath, 'sizes', ...args], {
    env: { ...process.env, REDIS_URL: inject('redisUrl'), MYSQL_URL: inject('mysqlUrl') },
  });

test('the sizes bench measures every key of a held hall and of a full waiting room, and the tables', async () => {
  const { stdout } = await run('--halls', '600', '--tickets', '300', '--json');
  const { halls, tickets, tables }: SizesResult = JSON.parse(stdout);
  expect(halls.map(({ count }) => count)).toEqual([600]);
  expect(Object.keys(halls[0]!.keys)).toEqual(expect.arrayContaining(['meta', 'seats', 'reservations', 'users']));
  expect(Object.keys(tickets[0]!.keys)).toEqual(
    expect.arrayContaining(['queue', 'tickets', 'waiting', 'seen', 'line']),
  );
  for (const { count, bytes } of [...halls, ...tickets]) expect(bytes).toBeGreaterThan(10 * count);
  const rowsOf = new Map(tables.map(({ table, rows }) => [table, rows]));
  expect(rowsOf.get('reservations')).toBeGreaterThanOrEqual(300);
  expect(rowsOf.get('reservation_seats')).toBeGreaterThanOrEqual(600);
}, 60_000);

test('a hall without seats is wrong usage', async () => {
  const failure = await run('--halls', '0').catch((thrown) => thrown);
  expect(failure.code).toBe(2);
  expect(failure.stderr).toContain('npm run bench -- sizes');
});
