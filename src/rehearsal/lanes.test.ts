import { afterEach, expect, it, vi } from 'vitest';
import { Lanes } from './lanes.ts';

const url = 'http://gateway.test/v1/reservations';

afterEach(() => vi.unstubAllGlobals());

/** A gateway that answers when it is told to. */
function gatewayOf(): { answers: ((fault?: Error) => void)[]; mostAtOnce: () => number } {
  const answers: ((fault?: Error) => void)[] = [];
  let open = 0;
  let most = 0;
  vi.stubGlobal('fetch', () => {
    most = Math.max(most, ++open);
    return new Promise((resolve, reject) => {
      answers.push((fault) => {
        open--;
        if (fault === undefined) resolve(new Response('{}', { status: 409 }));
        else reject(fault);
      });
    });
  });
  return { answers, mostAtOnce: () => most };
}

it('no more than 64 requests are under way at once, and each has its turn, whatever becomes of those before', async () => {
  const { answers, mostAtOnce } = gatewayOf();
  let held = 0;
  const fetch = new Lanes().fetch(() => held++);
  const init = { method: 'POST', headers: {}, signal: new AbortController().signal };
  const asked = Array.from({ length: 200 }, () => fetch(url, init));
  const outcomes = Promise.allSettled(asked);
  for (let i = 0; i < 200; i++) {
    await vi.waitFor(() => expect(answers.length).toBeGreaterThan(i));
    answers[i]!(i % 3 === 0 ? new Error('broken') : undefined);
  }
  const answered = (await outcomes).filter(({ status }) => status === 'fulfilled');
  expect(answered).toHaveLength(133);
  expect(held).toBe(133);
  expect(mostAtOnce()).toBe(64);
});

it('a request given up while it waits is not sent, and one that is no hold is not measured', async () => {
  const { answers } = gatewayOf();
  let held = 0;
  const fetch = new Lanes().fetch(() => held++);
  const controller = new AbortController();
  const init = { method: 'GET', headers: {}, signal: new AbortController().signal };
  const first = Array.from({ length: 64 }, () => fetch(url, init));
  const late = fetch(url, { ...init, signal: controller.signal });
  controller.abort(new Error('gone'));
  for (const answer of answers.slice()) answer();
  await expect(late).rejects.toThrow('gone');
  const [answer] = await Promise.all(first);
  expect([answer!.status, await answer!.text()]).toEqual([409, '{}']);
  expect(answers).toHaveLength(64);
  expect(held).toBe(0);
});
