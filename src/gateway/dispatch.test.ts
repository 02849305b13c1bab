import { expect, it } from 'vitest';
import { StoreUnavailable } from '../lib/errors.ts';
import { Dispatch, type Opened, type Responder } from './dispatch.ts';
import type { Idempotency } from './idempotency.ts';
import type { Answer } from './reply.ts';
import type { Route } from './route.ts';

/** Runs a request whose handler throws; returns what was logged and answered. */
async function failWith(thrown: unknown, requestId: string) {
  const lines: Record<string, unknown>[] = [];
  const answers: Answer[] = [];
  const dispatch = new Dispatch({
    idempotency: null as unknown as Idempotency,
    onAnswer: () => {},
    log: { error: (message, fields) => void lines.push({ message, ...fields }) },
  });
  const exchange: Responder = {
    startedAtMs: 0,
    requestId,
    pending: null,
    send: (answer) => void answers.push(answer),
  };
  const route = { handle: () => Promise.reject(thrown) } as unknown as Route;
  dispatch.run({ route, index: 7, exchange, idempotencyKey: '' } as unknown as Opened);
  await dispatch.idle();
  return { lines, answers };
}

it('a request that fails by a fault of ours is one line, with the id that its client was told', async () => {
  const { lines, answers } = await failWith(new RangeError('a fault'), 'the id');
  expect(answers).toMatchObject([{ status: 503, code: 'unavailable' }]);
  const stack = expect.stringContaining('dispatch.test.ts');
  expect(lines).toEqual([{ message: 'a request failed', requestId: 'the id', route: 7, error: 'a fault', stack }]);
});

it('a request that fails by a store is no line: the store has its own', async () => {
  const { lines, answers } = await failWith(new StoreUnavailable('redis', 'is away'), 'the id');
  expect(answers).toMatchObject([{ status: 503, code: 'unavailable' }]);
  expect(lines).toEqual([]);
});
