/** Lanes are a bound: never more at once, everything in turn, and nothing is lost by a failure. */
import { expect, it } from 'vitest';
import { Lanes } from './lanes.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('at most so many are under way, in the order asked, and all come to their end', async () => {
  const lanes = new Lanes(3);
  let underWay = 0;
  let most = 0;
  const begun: number[] = [];
  const values = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      lanes.run(async () => {
        begun.push(index);
        most = Math.max(most, ++underWay);
        await turn();
        underWay--;
        return index;
      }),
    ),
  );
  expect(most).toBe(3);
  expect(begun).toEqual(values);
  expect(values).toHaveLength(20);
});

it('a failure gives its lane back, and so does one who has gone before the turn', async () => {
  const lanes = new Lanes(1);
  const gone = new AbortController();
  const failing = lanes.run(() => turn().then(() => Promise.reject(new Error('no'))));
  const leaving = lanes.run(() => Promise.resolve('never begun'), gone.signal);
  const staying = lanes.run(() => Promise.resolve('begun'));
  gone.abort(new Error('gone'));
  await expect(failing).rejects.toThrow('no');
  await expect(leaving).rejects.toThrow('gone');
  expect(await staying).toBe('begun');
});
