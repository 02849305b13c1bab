import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, inject, test } from 'vitest';
import { exhibits, type SocketsResult } from './report.ts';

const mainPath = fileURLToPath(new URL('../main.ts', import.meta.url));
const run = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [mainPath, 'sockets', ...args], {
    env: { ...process.env, REDIS_URL: inject('redisUrl'), MYSQL_URL: inject('mysqlUrl') },
  });

test('every socket is told every tick, by the gateway and by the bare server, in frames of one size', async () => {
  const { stdout } = await run('--sockets', '50', '--ticks', '2', '--rate', '20', '--json');
  const result: SocketsResult = JSON.parse(stdout);
  expect(result.bare).toHaveLength(2);
  for (const { ticks, frames, missing, grown } of [...result.bare, result.gateway]) {
    // A busy machine may put one more between two quiet moments.
    expect(ticks).toBeGreaterThanOrEqual(2);
    expect({ frames, missing, grown }).toEqual({ frames: 50 * ticks, missing: 0, grown: 0 });
  }
  const holding = result.requirements.filter(({ holds }) => holds).map(({ name }) => name);
  // Of 50 sockets neither processor time nor memory says anything.
  expect(holding).toEqual(
    expect.arrayContaining(['positions not told', 'positions that grew', 'frame size, off bare']),
  );
  expect(result.redisCommandsByName).toMatchObject({ evalsha: expect.any(Number), publish: expect.any(Number) });
  // What the gateway does without a room is subtracted: of three ticks it says nothing.
  expect(result.redisCommands).toEqual(expect.any(Number));
  for (const { columns, rows } of exhibits(result).tables)
    for (const row of rows) expect(row.length).toBe(columns.length);
}, 90_000);

test('more sockets than a process may have is wrong usage', async () => {
  const failure = await run('--sockets', '20000').catch((thrown) => thrown);
  expect(failure.code).toBe(2);
  expect(failure.stderr).toContain('npm run bench -- sockets');
});
