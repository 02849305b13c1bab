import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { newUser } from '../../test/hold-store.contract.ts';
import { ManualClock } from '../../test/manual-clock.ts';
import { Code } from '../domain/codes.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { silentLog } from '../logger.ts';
import { RedisConnection } from '../lua/connection.ts';
import { IdempotencyStore } from '../lua/idempotency.ts';
import { idempotencyKey } from '../lua/keys.ts';
import { fingerprintOf, Idempotency, isIdempotencyKey } from './idempotency.ts';
import { type Answer, bodyValueOf, problem } from './reply.ts';

const created: Answer = { status: 201, headers: [['location', '/v1/things/1']], json: '{"thing":1}' };
const key = 'key-1';
const deadlineMs = 2000;
/** A poll gives up after a second else. */
const patient = { timeout: 10_000 };
const print = fingerprintOf('post /v1/things', { a: 1 });

let connection: RedisConnection;
beforeAll(async () => {
  connection = new RedisConnection([inject('redisUrl')], silentLog);
  await connection.connect();
});
afterAll(() => connection.close());

/** A gateway process as far as keys go. */
function gateway(clock: Clock = systemClock): Idempotency {
  return new Idempotency(new IdempotencyStore(connection), clock, deadlineMs, silentLog);
}

/** An action that answers as told, and the ids it was run with. */
function acting(...answers: readonly (Answer | Promise<Answer>)[]) {
  const ids: string[] = [];
  const act = async (id: string): Promise<Answer> => {
    ids.push(id);
    return answers[Math.min(ids.length, answers.length) - 1]!;
  };
  return { ids, act };
}

function isReplayed(answer: Answer): boolean {
  return answer.headers?.some(([name, value]) => name === 'idempotency-replayed' && value === 'true') === true;
}

describe('the same key and body', () => {
  it('gives the first answer again, from any process, and acts once', async () => {
    const user = newUser();
    const { ids, act } = acting(created);
    const first = gateway();
    const answers = [
      await first.run(user, key, print, 'id-1', act),
      await first.run(user, key, print, 'id-2', act),
      await gateway().run(user, key, print, 'id-3', act),
    ];
    expect(ids).toEqual(['id-1']);
    expect(answers.map(isReplayed)).toEqual([false, true, true]);
    for (const answer of answers) {
      expect([answer.status, bodyValueOf(answer)]).toEqual([201, { thing: 1 }]);
      expect(answer.headers).toContainEqual(['location', '/v1/things/1']);
    }
    const ttl = await connection.client.ttl(idempotencyKey(user, key));
    expect(ttl).toBeGreaterThan(23 * 3600);
  });

  it('while the first is under way waits for it, in this process and in another', async () => {
    const user = newUser();
    const answer = Promise.withResolvers<Answer>();
    const { ids, act } = acting(answer.promise);
    const here = gateway();
    const repeats = [here.run(user, key, print, 'id-1', act), here.run(user, key, print, 'id-2', act)];
    await expect.poll(() => ids.length, patient).toBe(1);
    repeats.push(gateway().run(user, key, print, 'id-3', act));
    answer.resolve(created);
    expect((await Promise.all(repeats)).map((each) => each.status)).toEqual([201, 201, 201]);
    expect(ids).toEqual(['id-1']);
  });

  it('gives a refusal again that states a fact, with its code', async () => {
    const user = newUser();
    const { ids, act } = acting(problem({ code: Code.seatNotFound, detail: 'No such seat.', seats: [9] }));
    await gateway().run(user, key, print, 'id-1', act);
    const again = await gateway().run(user, key, print, 'id-2', act);
    expect(ids).toHaveLength(1);
    expect(again).toMatchObject({ status: 404, code: 'seat_not_found', value: { seats: [9] } });
  });

  it.each([Code.seatTaken, Code.soldOut, Code.alreadyReserved, Code.overloaded])(
    'is decided anew, with an id of its own, after %s',
    async (code) => {
      const user = newUser();
      const { ids, act } = acting(problem({ code, detail: 'Not now.' }), created);
      const here = gateway();
      await here.run(user, key, print, 'id-1', act);
      // Written down after the answer: a repeat that comes before waits in memory for that.
      await expect.poll(() => connection.client.exists(idempotencyKey(user, key)), patient).toBe(0);
      const again = await gateway().run(user, key, print, 'id-2', act);
      expect([again.status, isReplayed(again)]).toEqual([201, false]);
      expect(ids).toEqual(['id-1', 'id-2']);
    },
  );

  it('goes on with the first id at once when the outcome was unknown', async () => {
    const user = newUser();
    const { ids, act } = acting(problem({ code: Code.unavailable, detail: 'No store.' }), created);
    const here = gateway();
    await here.run(user, key, print, 'id-1', act);
    await expect
      .poll(async () => (await connection.client.get(idempotencyKey(user, key))) ?? '', patient)
      .toContain('"isOpen":true');
    const again = await gateway().run(user, key, print, 'id-2', act);
    expect(again.status).toBe(201);
    expect(ids).toEqual(['id-1', 'id-1']);
    expect(isReplayed(await gateway().run(user, key, print, 'id-3', act))).toBe(true);
  });

  it('goes on with the first id after a while when the process of the first has died', async () => {
    const user = newUser();
    const dead = gateway();
    void dead.run(user, key, print, 'id-1', () => new Promise(() => {}));
    await expect.poll(() => connection.client.exists(idempotencyKey(user, key)), patient).toBe(1);
    const clock = new ManualClock();
    const { ids, act } = acting(created);
    const answers: number[] = [];
    const here = gateway(clock);
    const ask = (id: string) => here.run(user, key, print, id, act).then(({ status }) => void answers.push(status));
    const passUntil = async (what: () => boolean): Promise<void> => {
      const passed = async () => {
        await clock.advance(100);
        return what();
      };
      await expect.poll(passed, { ...patient, interval: 1 }).toBe(true);
    };
    const startMs = clock.nowMs();
    void ask('id-2');
    // Its own deadline comes first; the next one is told what became of it.
    await passUntil(() => answers.length === 1);
    expect(answers).toEqual([503]);
    expect(clock.nowMs() - startMs).toBeLessThanOrEqual(deadlineMs + 100);
    void ask('id-3');
    await passUntil(() => answers.length === 2);
    expect(answers).toEqual([503, 201]);
    expect(ids).toEqual(['id-1']);
    expect(clock.nowMs() - startMs).toBeGreaterThan(deadlineMs);
  });

  it('goes on with the first id at once when the process of the first has died before', async () => {
    const user = newUser();
    void gateway().run(user, key, print, 'id-1', () => new Promise(() => {}));
    await expect.poll(() => connection.client.exists(idempotencyKey(user, key)), patient).toBe(1);
    // As if that had been three seconds ago.
    await connection.client.pexpire(idempotencyKey(user, key), (24 * 3600 - 3) * 1000);
    const { ids, act } = acting(created);
    expect((await gateway(new ManualClock()).run(user, key, print, 'id-2', act)).status).toBe(201);
    expect(ids).toEqual(['id-1']);
  });

  it('while the first is under way in this process waits for its own deadline at most', async () => {
    const user = newUser();
    const clock = new ManualClock();
    const answer = Promise.withResolvers<Answer>();
    const { ids, act } = acting(answer.promise);
    const here = gateway(clock);
    const first = here.run(user, key, print, 'id-1', act);
    await expect.poll(() => ids.length, patient).toBe(1);
    await clock.advance(500);
    const repeat = here.run(user, key, print, 'id-2', act);
    await clock.advance(deadlineMs);
    expect(await repeat).toMatchObject({ status: 503, code: 'unavailable' });
    answer.resolve(created);
    expect((await first).status).toBe(201);
    expect(isReplayed(await here.run(user, key, print, 'id-3', act))).toBe(true);
    expect(clock.timers).toBe(0);
  });

  it('may be tried again after the first one threw', async () => {
    const user = newUser();
    const clock = new ManualClock();
    const here = gateway(clock);
    const thrown = here.run(user, key, print, 'id-1', () => Promise.reject(new Error('a slip')));
    await expect(thrown).rejects.toThrow('a slip');
    const { ids, act } = acting(created);
    let answer: Answer | null = null;
    void here.run(user, key, print, 'id-2', act).then((given) => {
      answer = given;
    });
    await expect
      .poll(
        async () => {
          await clock.advance(100);
          return answer;
        },
        { ...patient, interval: 1 },
      )
      .not.toBeNull();
    expect(ids).toEqual(['id-1']);
  });
});

describe('a key', () => {
  it('with another body or route is reused, and nothing is done', async () => {
    const user = newUser();
    const { ids, act } = acting(created);
    const here = gateway();
    await here.run(user, key, print, 'id-1', act);
    for (const other of [fingerprintOf('post /v1/things', { a: 2 }), fingerprintOf('post /v1/others', { a: 1 })]) {
      for (const process of [here, gateway()]) {
        expect(await process.run(user, key, other, 'id-2', act)).toMatchObject({ status: 422 });
      }
    }
    expect(ids).toHaveLength(1);
  });

  it('with another body while the first is under way is reused at once', async () => {
    const user = newUser();
    const answer = Promise.withResolvers<Answer>();
    const { ids, act } = acting(answer.promise);
    const here = gateway();
    const first = here.run(user, key, print, 'id-1', act);
    await expect.poll(() => ids.length, patient).toBe(1);
    const other = fingerprintOf('post /v1/things', { a: 2 });
    expect(await here.run(user, key, other, 'id-2', act)).toMatchObject({ status: 422 });
    expect(await gateway().run(user, key, other, 'id-3', act)).toMatchObject({ status: 422 });
    answer.resolve(created);
    expect((await first).status).toBe(201);
  });

  it('is of its user alone', async () => {
    const { ids, act } = acting(created);
    await gateway().run(newUser(), key, print, 'id-1', act);
    await gateway().run(newUser(), key, print, 'id-2', act);
    expect(ids).toEqual(['id-1', 'id-2']);
  });

  it('that cannot be claimed does nothing', async () => {
    const gone = new RedisConnection([inject('redisUrl')], silentLog);
    const { ids, act } = acting(created);
    const here = new Idempotency(new IdempotencyStore(gone), systemClock, deadlineMs, silentLog);
    await expect(here.run(newUser(), randomUUID(), print, 'id-1', act)).rejects.toThrow(StoreUnavailable);
    expect(ids).toEqual([]);
  });

  it('is 1 to 64 visible ASCII characters', () => {
    for (const good of ['a', '!~', 'x'.repeat(64), randomUUID()]) expect(isIdempotencyKey(good)).toBe(true);
    for (const bad of ['', ' ', 'a b', 'x'.repeat(65), 'é', 'a\n', '\u0000']) expect(isIdempotencyKey(bad)).toBe(false);
  });
});

describe('the fingerprint of a body', () => {
  it('does not depend on the order of its fields', () => {
    expect(fingerprintOf('r', { a: 1, b: { c: [1, 2], d: null } })).toBe(
      fingerprintOf('r', { b: { d: null, c: [1, 2] }, a: 1 }),
    );
  });

  it('depends on everything else', () => {
    const bodies = [
      {},
      { a: 1 },
      { a: '1' },
      { a: [1, 2] },
      { a: [2, 1] },
      { a: [12] },
      { a: null },
      { 'a":1,"b': 1 },
      [],
      'a',
      1,
    ];
    expect(new Set(bodies.map((body) => fingerprintOf('r', body))).size).toBe(bodies.length);
    expect(fingerprintOf('r', {})).not.toBe(fingerprintOf('s', {}));
  });
});
