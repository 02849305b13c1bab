import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, inject, it } from 'vitest';
import { faultsOfNumbers, faultsOfPositions, type Told } from './check.ts';
import { exhibits, type QueueResult } from './report.ts';

const mainPath = fileURLToPath(new URL('../main.ts', import.meta.url));
const queue = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [mainPath, 'queue', ...args], {
    env: { ...process.env, REDIS_URL: inject('redisUrl'), MYSQL_URL: inject('mysqlUrl') },
  });

describe('npm run bench -- queue', () => {
  it('gives out and polls every ticket at each rate, and finds all that people were told true', async () => {
    const args = ['--rates', '50,150', '--seconds', '1', '--rounds', '1', '--connections', '20', '--admit', '10'];
    const { stdout } = await queue(...args, '--json');
    const result: QueueResult = JSON.parse(stdout);
    expect({ rooms: result.rooms, faults: result.faults }).toEqual({ rooms: 4, faults: [] });
    const counts = result.rows.map(({ what, asked, answered, errors }) => [what, asked, answered, errors]);
    expect(counts).toEqual([
      ['issue', 50, 50, 0],
      ['issue', 150, 150, 0],
      ['poll', 50, 50, 0],
      ['poll', 150, 150, 0],
    ]);
    for (const { latency, lateness } of result.rows) {
      expect(latency.meanMs).toBeGreaterThan(lateness.meanMs);
      expect(latency.maxMs).toBeGreaterThanOrEqual(latency.p50Ms);
    }
    const [rows, told] = exhibits(result).tables;
    for (const row of rows!.rows) expect(row).toHaveLength(rows!.columns.length);
    expect(told?.rows).toEqual([[4, 0, 'numbers 1 to n, every position right']]);
  }, 90_000);

  it('refuses more seconds than a place is kept without a sign of life, with exit code 2', async () => {
    const failure = await queue('--seconds', '60').catch((thrown) => thrown);
    expect(failure.code).toBe(2);
    expect(failure.stderr).toContain('--seconds must be a whole number from 1 to 15');
  });
});

/** Asked and answered one after the other: user, number, position. */
function toldOf(...list: readonly (readonly [number, number, number])[]): Told[] {
  return list.map(([user, number, position], i) => {
    return { user, number, position, writtenAtMs: 2 * i, answeredAtMs: 2 * i + 1 };
  });
}

describe('the numbers', () => {
  it('are right where they are 1 to n, in whatever order', () => {
    expect(faultsOfNumbers(toldOf([0, 2, 2], [1, 1, 1]), { issued: 2, admitted: 0 }, true)).toEqual([]);
  });

  it.each([
    ['given twice', toldOf([0, 1, 1], [1, 1, 1]), 2, true, 'number 1 went to user 0 and to user 1'],
    ['beyond those that are out', toldOf([0, 1, 1], [1, 3, 2]), 2, true, 'user 1 got number 3 of 2'],
    ['given to nobody', toldOf([0, 1, 1], [1, 3, 2]), 3, true, '3 numbers are out for 2 tickets'],
  ])('are wrong where one is %s', (_name, told, issued, isComplete, fault) => {
    expect(faultsOfNumbers(told, { issued, admitted: 0 }, isComplete)).toEqual([fault]);
  });

  it('may be out without an answer where requests were lost', () => {
    expect(faultsOfNumbers(toldOf([0, 1, 1], [1, 3, 3]), { issued: 3, admitted: 0 }, false)).toEqual([]);
  });
});

describe('the positions', () => {
  it('are right where they fall by those admitted', () => {
    const told = toldOf([0, 1, 1], [1, 2, 2], [2, 3, 3], [1, 2, 1], [0, 1, 0], [2, 3, 1]);
    expect(faultsOfPositions(told, { issued: 3, admitted: 2 })).toEqual([]);
  });

  it('may cross on their way', () => {
    const [late, early] = toldOf([1, 2, 2], [2, 3, 2]);
    const told = [{ ...late!, answeredAtMs: 10 }, early!];
    expect(faultsOfPositions(told, { issued: 3, admitted: 1 })).toEqual([]);
  });

  it.each([
    ['that grows', toldOf([1, 2, 1], [1, 2, 2]), 1, 'user 1, number 2, is told position 2 with 1 inside'],
    ['that skips somebody', toldOf([1, 2, 1]), 0, 'user 1, number 2, is told position 1 with 0 ever admitted'],
    ['of another number', toldOf([1, 2, 2], [1, 3, 3]), 0, 'user 1 has number 2 and number 3'],
  ])('are wrong with one %s', (_name, told, admitted, fault) => {
    expect(faultsOfPositions(told, { issued: 3, admitted })).toEqual([fault]);
  });
});
