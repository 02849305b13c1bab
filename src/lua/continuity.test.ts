/** What makes a Redis known, on a node that is told who it is and what fails. */
import type { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { silentLog } from '../logger.ts';
import { Continuity } from './continuity.ts';

type Answer = [Error | null, unknown];

/** A node that has performances 1 to 3, all warm. */
function fixture() {
  const cooled: number[] = [];
  const state = { runId: 'a', fault: null as Error | null, answer: (_id: number): Answer => [null, 1], infos: 0 };
  const pipeline = () => {
    const answers: Answer[] = [];
    return {
      evalsha(_sha: string, _count: number, metaKey: string) {
        const id = Number(/\{p(\d+)\}/.exec(metaKey)![1]);
        const answer = state.answer(id);
        if (answer[0] === null) cooled.push(id);
        answers.push(answer);
      },
      exec: async () => answers,
    };
  };
  const node = {
    options: { host: 'redis', port: 1 },
    async info() {
      state.infos++;
      if (state.fault !== null) throw state.fault;
      return `redis_version:7.0.0\r\nrun_id:${state.runId}\r\n`;
    },
    smembers: async () => ['1', '2', '3'],
    script: async () => '',
    pipeline,
  } as unknown as Redis;
  return { node, state, cooled, continuity: new Continuity(node, silentLog) };
}

/** Loses the connection and checks the next one. */
async function reconnect(continuity: Continuity, node: Redis): Promise<void> {
  continuity.onLost(node);
  expect(continuity.isKnown(node)).toBe(false);
  await continuity.check(node, true);
}

describe('a connection to Redis', () => {
  it('is taken as it is when it is the first one, and when it leads to the same server again', async () => {
    const { node, cooled, continuity } = fixture();
    await continuity.check(node, true);
    expect(continuity.isKnown(node)).toBe(true);
    await reconnect(continuity, node);
    expect(continuity.isKnown(node)).toBe(true);
    expect(cooled).toEqual([]);
    expect(continuity.brokenAtMs).toBe(Number.NEGATIVE_INFINITY);
  });

  it('has every performance cooled before it is known when it leads to another server', async () => {
    const { node, state, cooled, continuity } = fixture();
    await continuity.check(node, true);
    state.runId = 'b';
    await reconnect(continuity, node);
    expect(cooled).toEqual([1, 2, 3]);
    expect(continuity.brokenAtMs).toBeGreaterThan(0);
    await reconnect(continuity, node);
    expect(cooled).toEqual([1, 2, 3]);
  });

  it('to a master never seen is not taken as it is, nor to one that was a replica meanwhile', async () => {
    const { node, cooled, continuity } = fixture();
    await continuity.check(node, false);
    expect(cooled).toEqual([1, 2, 3]);
    continuity.onReplica(node);
    expect(continuity.isKnown(node)).toBe(false);
    await continuity.check(node, false);
    expect(cooled).toEqual([1, 2, 3, 1, 2, 3]);
  });

  it('stays unknown while a check fails, and the next check makes up for it', async () => {
    const { node, state, cooled, continuity } = fixture();
    await continuity.check(node, true);
    state.runId = 'b';
    state.fault = new Error('gone again');
    await expect(reconnect(continuity, node)).rejects.toThrow('gone again');
    state.fault = null;
    state.answer = (id) => (id === 2 ? [new Error('LOADING'), null] : [null, 1]);
    await expect(continuity.check(node, true)).rejects.toThrow('LOADING');
    expect(continuity.isKnown(node)).toBe(false);
    state.answer = () => [null, 1];
    await continuity.check(node, true);
    expect(cooled.slice(-3)).toEqual([1, 2, 3]);
    expect(continuity.isKnown(node)).toBe(true);
  });

  it('is known though other nodes have some of the performances', async () => {
    const { node, state, cooled, continuity } = fixture();
    state.answer = (id) => (id === 2 ? [new Error('MOVED 5 redis:2'), null] : [null, 1]);
    await continuity.check(node, false);
    expect(cooled).toEqual([1, 3]);
    expect(continuity.isKnown(node)).toBe(true);
  });

  it('lost during its check stays unknown, and callers at the same time share one check', async () => {
    const { node, state, continuity } = fixture();
    const both = Promise.allSettled([continuity.check(node, true), continuity.check(node, true)]);
    continuity.onLost(node);
    expect((await both).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(state.infos).toBe(1);
    expect(continuity.isKnown(node)).toBe(false);
  });
});
