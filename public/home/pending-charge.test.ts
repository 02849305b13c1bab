/** A charge without an answer is asked for again with the key it had, as long as the gateway knows that key. */
import { expect, it } from 'vitest';
import { isSettled, newPendingCharge, readPendingCharge } from './pending-charge.ts';

const nowMs = 1_900_000_000_000;
const hourMs = 3_600_000;

it('it is kept as it was, until the gateway may have forgotten its key', () => {
  const pending = newPendingCharge(2000, nowMs);
  expect(pending.key).toMatch(/^[\x21-\x7e]{20,64}$/);
  expect(newPendingCharge(2000, nowMs).key).not.toBe(pending.key);
  const kept = JSON.stringify(pending);
  expect(readPendingCharge(kept, nowMs)).toEqual(pending);
  expect(readPendingCharge(kept, nowMs + 19 * hourMs)).toEqual(pending);
  expect(readPendingCharge(kept, nowMs + 21 * hourMs)).toBeNull();
  expect(readPendingCharge(kept, nowMs - hourMs)).toBeNull();
});

it.for([null, '', 'no JSON', '5', '[]', '{}', '{"amount":1.5,"key":"a","atMs":0}', '{"amount":1,"key":2,"atMs":0}'])(
  'nothing is made of what is none: %s',
  (kept) => {
    expect(readPendingCharge(kept, nowMs)).toBeNull();
  },
);

it('only what says for good what became of it settles it', () => {
  expect([200, 201, 400, 403, 409, 422].filter((status) => !isSettled(status))).toEqual([]);
  expect([401, 429, 500, 503].filter(isSettled)).toEqual([]);
});
