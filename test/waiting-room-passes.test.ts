/** The pass: who has none, a wrong one or an old one holds nothing, and one pass makes one reservation. */
import { createSigner } from 'fast-jwt';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { performanceKeys } from '../src/lua/keys.ts';
import {
  acknowledged,
  call,
  countByStatus,
  createPerformance,
  crowd,
  holdSending,
  newUserId,
  redisClient,
  serverFaults,
  startGateway,
  storedReservations,
  storedStatus,
  type TestGateway,
  testSecret,
  tokenOf,
  until,
} from './harness.ts';
import {
  admittedVisitor,
  closeSockets,
  configure,
  join,
  joinAll,
  leave,
  look,
  openRoom,
  socketOf,
  stateOf,
  untilState,
  untilStatus,
  type Visitor,
  watch,
  whileListening,
} from './rooms.ts';
import { type Message, openSocket } from './socket.ts';

let gateway: TestGateway;
let url: string;
let redis: Redis;

beforeAll(async () => {
  gateway = await startGateway();
  url = gateway.url;
  redis = redisClient();
});

afterAll(async () => {
  closeSockets();
  redis.disconnect();
  await gateway.stop();
});

/** Resolves as soon as Redis' clock, by which passes end, says so. */
const untilRedisTime = (endMs: number): Promise<void> =>
  until('the time has come', async () => {
    const [seconds, microseconds] = await redis.time();
    return Number(seconds) * 1000 + Number(microseconds) / 1000 > endMs;
  });

/** The answer as fields, its HTTP status among them. */
type Hold = (performanceId: number, userId: number, seat: number, pass?: string) => Promise<Message>;

const overHttp: Hold = async (performanceId, userId, seat, pass) => {
  const headers = pass === undefined ? {} : { 'queue-pass': pass };
  const reply = await call(url, 'POST', '/v1/reservations', {
    userId,
    body: { performanceId, seats: [seat] },
    headers,
  });
  return { ...reply.body, status: reply.status };
};

const overSocket: Hold = async (performanceId, userId, seat, pass) => {
  const socket = await socketOf(url, userId);
  socket.send({ type: 'reserve', id: 'hold', performanceId, seats: [seat], ...(pass === undefined ? {} : { pass }) });
  const result = await socket.message('reserve.result');
  closeSockets([socket]);
  return result;
};

const cancel = (userId: number, reservationId: string) =>
  call(url, 'DELETE', `/v1/reservations/${reservationId}`, { userId });

const passRequired = { status: 403, code: 'queue_pass_required' };
const passInvalid = { status: 403, code: 'queue_pass_invalid' };

describe.each([
  ['over HTTP', overHttp],
  ['over a socket', overSocket],
])('a hold %s', (_, hold) => {
  describe('side by side', { concurrent: true }, () => {
    it('needs a pass while the room is on', async () => {
      const id = await openRoom(url);
      const { userId, ticket, pass } = await admittedVisitor(url, id);
      expect(await hold(id, newUserId(), 1)).toMatchObject(passRequired);
      // Being admitted is not enough: the pass must be shown.
      expect(await hold(id, userId, 1)).toMatchObject(passRequired);
      expect((await look(url, id, userId, ticket)).body.pass).toBe(pass);
      expect(await hold(id, userId, 1, pass)).toMatchObject({ status: 201, seats: [1] });
    });

    it('is refused with the pass of another user, be the holder admitted or not', async () => {
      const id = await openRoom(url);
      const [one, two] = [await admittedVisitor(url, id), await admittedVisitor(url, id)];
      expect(await hold(id, newUserId(), 1, one.pass)).toMatchObject(passInvalid);
      expect(await hold(id, two.userId, 1, one.pass)).toMatchObject(passInvalid);
      expect(await hold(id, one.userId, 1, one.pass)).toMatchObject({ status: 201 });
    });

    it("is refused with the user's own pass of another performance", async () => {
      const [here, there] = [await openRoom(url), await openRoom(url)];
      const { userId, pass } = await admittedVisitor(url, there);
      expect(await hold(here, userId, 1, pass)).toMatchObject(passInvalid);
      const { body } = await join(url, here, userId);
      const own = await untilStatus(url, here, { userId, ticket: body.ticket, number: body.number }, 'admitted');
      // The same user and the same number: only the performance tells the two apart.
      expect(own.number).toBe(1);
      expect(await hold(here, userId, 1, pass)).toMatchObject(passInvalid);
      expect(await hold(here, userId, 1, own.pass)).toMatchObject({ status: 201 });
      expect(await hold(there, userId, 1, pass)).toMatchObject({ status: 201 });
    });

    it('is refused with a pass that was spent: its reservation was cancelled', async () => {
      const id = await openRoom(url);
      const visitor = await admittedVisitor(url, id);
      const { userId, ticket, pass } = visitor;
      const { reservationId } = await hold(id, userId, 1, pass);
      expect((await cancel(userId, reservationId)).status).toBe(200);
      expect(await hold(id, userId, 2, pass)).toMatchObject(passInvalid);
      expect((await look(url, id, userId, ticket)).body).toEqual({ status: 'left' });
      await untilState(url, id, { active: 0, admitted: 1 });
    });

    it('is refused with a pass that was given back, and what was held with it before stays held', async () => {
      const id = await openRoom(url);
      const [unused, used] = [await admittedVisitor(url, id), await admittedVisitor(url, id)];
      expect((await leave(url, id, unused.userId, unused.ticket)).status).toBe(204);
      expect(await hold(id, unused.userId, 1, unused.pass)).toMatchObject(passInvalid);

      const { reservationId } = await hold(id, used.userId, 2, used.pass);
      expect((await leave(url, id, used.userId, used.ticket)).status).toBe(204);
      expect(await hold(id, used.userId, 3, used.pass)).toMatchObject(passInvalid);
      const kept = await call(url, 'GET', `/v1/reservations/${reservationId}`, { userId: used.userId });
      expect(kept.body).toMatchObject({ status: 'HELD', seats: [2] });
    });

    it('is refused with a pass whose time is over, and its ticket says so', async () => {
      const id = await openRoom(url, { passSeconds: 2 });
      // The second of a round begins, and ends, between two rounds.
      const [, visitor] = (await joinAll(url, id, 2)) as [Visitor, Visitor];
      const { pass, passExpiresAt } = await untilStatus(url, id, visitor, 'admitted');
      // At its end, before a round of admission notices, and after that.
      await untilRedisTime(Date.parse(passExpiresAt));
      expect(await hold(id, visitor.userId, 1, pass)).toMatchObject(passInvalid);
      await untilStatus(url, id, visitor, 'expired');
      expect(await hold(id, visitor.userId, 1, pass)).toMatchObject(passInvalid);
      expect((await look(url, id, visitor.userId, visitor.ticket)).body).toEqual({ status: 'expired' });
    });

    it('is refused with an old pass after joining again, also while the new one is good', async () => {
      const id = await openRoom(url);
      const old = await admittedVisitor(url, id);
      const { userId } = old;
      await leave(url, id, userId, old.ticket);
      await configure(url, id, { admitPerSecond: 0 });
      const again = (await join(url, id, userId)).body;
      expect(again).toMatchObject({ status: 'waiting', number: 2 });
      expect(await hold(id, userId, 1, old.pass)).toMatchObject(passInvalid);
      await configure(url, id);
      const fresh = await untilStatus(url, id, { userId, ticket: again.ticket, number: again.number }, 'admitted');
      expect(fresh.pass).not.toBe(old.pass);
      expect(await hold(id, userId, 1, old.pass)).toMatchObject(passInvalid);
      expect(await hold(id, userId, 1, fresh.pass)).toMatchObject({ status: 201 });
    });

    it('is refused with a forged pass, whatever it is made of', async () => {
      const id = await openRoom(url);
      const { userId, ticket, number, pass } = await admittedVisitor(url, id);
      const [header, claims, signature] = pass.split('.') as [string, string, string];
      const middle = signature[10] === 'A' ? 'B' : 'A';
      const text = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
      const right = { p: id, u: userId, n: number };
      const forged = {
        garbage: 'let me in',
        'three parts of garbage': 'a.b.c',
        'a signature changed': `${header}.${claims}.${signature.slice(0, 10)}${middle}${signature.slice(11)}`,
        'claims changed': `${header}.${text({ ...right, n: number! + 1 })}.${signature}`,
        'no signature': `${text({ alg: 'none', typ: 'JWT' })}.${claims}.`,
        'the ticket': ticket,
        'an access token': tokenOf(userId),
        'the right claims under the secret of the access tokens': createSigner({ key: testSecret })(right),
        'very long': 'x'.repeat(2000),
      };
      expect(JSON.parse(Buffer.from(claims, 'base64url').toString()), 'what the forger knows').toEqual(right);
      const answers: Record<string, unknown> = {};
      for (const [what, value] of Object.entries(forged)) {
        const { status, code } = await hold(id, userId, 1, value);
        answers[what] = { status, code };
      }
      expect(answers).toEqual(Object.fromEntries(Object.keys(forged).map((what) => [what, passInvalid])));
      expect(await hold(id, userId, 1, pass)).toMatchObject({ status: 201 });
    });

    it('makes one reservation a pass, however many the user may have', async () => {
      const id = await openRoom(url, {}, { maxReservationsPerUser: 10 });
      const { userId, pass } = await admittedVisitor(url, id);
      expect(await hold(id, userId, 1, pass)).toMatchObject({ status: 201 });
      expect(await hold(id, userId, 2, pass)).toMatchObject(passInvalid);
    });

    it('that finds the seat taken, or no such seat, leaves the pass as it was', async () => {
      const id = await openRoom(url);
      const [one, two] = [await admittedVisitor(url, id), await admittedVisitor(url, id)];
      expect(await hold(id, one.userId, 1, one.pass)).toMatchObject({ status: 201 });
      expect(await hold(id, two.userId, 1, two.pass)).toMatchObject({ status: 409, code: 'seat_taken', seats: [1] });
      expect(await hold(id, two.userId, 101, two.pass)).toMatchObject({ status: 404, code: 'seat_not_found' });
      expect(await hold(id, two.userId, 2, two.pass)).toMatchObject({ status: 201 });
    });

    it('that has expired leaves the pass to its user for the rest of its time', async () => {
      const id = await openRoom(url, { passSeconds: 300 }, { holdSeconds: 2 });
      const { userId, ticket, pass } = await admittedVisitor(url, id);
      const first = await hold(id, userId, 1, pass);
      expect(first.status).toBe(201);
      expect((await hold(id, userId, 2, pass)).status).toBeGreaterThan(400);
      const statusOf = async (): Promise<string> =>
        (await call(url, 'GET', `/v1/reservations/${first.reservationId}`, { userId })).body.status;
      await until('the hold has expired', async () => (await statusOf()) === 'EXPIRED');
      let again = first;
      await until('its user may use the pass again', async () => {
        again = await hold(id, userId, 2, pass);
        return again.status === 201;
      });
      expect(again).toMatchObject({ status: 201, seats: [2] });
      expect(again.reservationId).not.toBe(first.reservationId);
      expect((await look(url, id, userId, ticket)).body).toMatchObject({ status: 'admitted', pass });
    });

    it('asks for no pass while the room is off, and a forged one does no harm', async () => {
      const id = await openRoom(url, { mode: 'off' });
      const roomless = await createPerformance(url, { seating: { kind: 'seated', seats: 10 } });
      for (const performanceId of [id, roomless]) {
        expect(await hold(performanceId, newUserId(), 1)).toMatchObject({ status: 201 });
        expect(await hold(performanceId, newUserId(), 2, 'forged')).toMatchObject({ status: 201 });
        expect(await hold(performanceId, newUserId(), 3, tokenOf(1))).toMatchObject({ status: 201 });
      }
    });
  });
});

describe('one pass', () => {
  it.each([1, 10])('in 500 holds at once makes one reservation, where a user may have %i', async (perUser) => {
    const seating = { kind: 'seated', seats: 500 };
    const id = await openRoom(url, {}, { seating, maxReservationsPerUser: perUser });
    const { userId, pass } = await admittedVisitor(url, id);
    const sendings = Array.from({ length: 500 }, (_, i) =>
      holdSending(userId, { performanceId: id, seats: [i + 1] }, { 'Queue-Pass': pass }),
    );
    const sent = await crowd(url, sendings, { connections: 500 });
    expect(serverFaults(sent)).toEqual([]);
    const refusal = perUser === 1 ? 409 : 403;
    expect(countByStatus(sent)).toEqual({ 201: 1, [refusal]: 499 });
    const codes = new Set(sent.filter(({ status }) => status === refusal).map(({ body }) => body.code));
    expect([...codes]).toEqual([perUser === 1 ? 'already_reserved' : 'queue_pass_invalid']);
    const stored = await storedReservations(id);
    expect(stored.map((each) => each.id)).toEqual(acknowledged(sent));
    expect(stored[0]!.status).toBe(storedStatus.HELD);
  });
});

describe('a place inside', { concurrent: true }, () => {
  it('goes to the next in line when a reservation is cancelled, and when a pass is given back', async () => {
    const id = await openRoom(url, { maxActive: 1 });
    const visitors = await joinAll(url, id, 3);
    const [one, two, three] = visitors as [(typeof visitors)[0], (typeof visitors)[0], (typeof visitors)[0]];
    const [socketTwo, socketThree] = [await watch(url, two), await watch(url, three)];
    const { pass } = await untilStatus(url, id, one, 'admitted');
    const held = await overHttp(id, one.userId, 1, pass);
    await whileListening(id, (listener) => listener.pass(2));
    expect(socketTwo.of('queue.admitted'), 'not while the first is inside').toEqual([]);
    expect(await stateOf(url, id)).toMatchObject({ admitted: 1, active: 1, waiting: 2 });

    expect((await cancel(one.userId, held.reservationId)).status).toBe(200);
    const admitted = await socketTwo.message('queue.admitted');
    expect(admitted).toMatchObject({ performanceId: id, number: 2 });
    await socketThree.message('queue.position', ({ position }) => position === 1);
    await whileListening(id, (listener) => listener.pass(1));
    expect(socketThree.of('queue.admitted')).toEqual([]);

    expect((await leave(url, id, two.userId, two.ticket)).status).toBe(204);
    expect((await socketThree.message('queue.admitted')).number).toBe(3);
    await untilState(url, id, { admitted: 3, active: 1, waiting: 0 });
  });

  it('goes to the next in line when a pass ends unused; who had it is told', async () => {
    const id = await openRoom(url, { maxActive: 1, passSeconds: 1 });
    const [one, two] = await joinAll(url, id, 2);
    const [socketOne, socketTwo] = [await watch(url, one!), await watch(url, two!)];
    const first = await socketOne.message('queue.admitted');
    const second = await socketTwo.message('queue.admitted');
    expect(Date.parse(second.passExpiresAt) - 1000, 'after the end of the first pass').toBeGreaterThanOrEqual(
      Date.parse(first.passExpiresAt),
    );
    expect(await socketOne.message('queue.expired')).toMatchObject({ performanceId: id });
    expect((await look(url, id, one!.userId, one!.ticket)).body).toEqual({ status: 'expired' });
  });

  it('is kept by whoever holds, longer than the pass was good for', async () => {
    const passSeconds = 3;
    const id = await openRoom(url, { maxActive: 1, passSeconds });
    const [one, two] = await joinAll(url, id, 2);
    const socketTwo = await watch(url, two!);
    const { pass, passExpiresAt } = await untilStatus(url, id, one!, 'admitted');
    expect((await overHttp(id, one!.userId, 1, pass)).status).toBe(201);
    await untilRedisTime(Date.parse(passExpiresAt));
    await whileListening(id, (listener) => listener.pass(2));
    expect(await redis.zcard(performanceKeys(id).active)).toBe(1);
    expect(socketTwo.of('queue.admitted')).toEqual([]);
    expect(socketTwo.of('queue.position').at(-1)).toMatchObject({ number: 2, position: 1 });
    expect(await stateOf(url, id)).toMatchObject({ admitted: 1, active: 1, waiting: 1 });
  });
});

describe('tickets, passes and access tokens', () => {
  it('are not taken for each other', async () => {
    const id = await openRoom(url);
    const { userId, ticket, pass } = await admittedVisitor(url, id);
    for (const token of [ticket, pass]) {
      const headers = { authorization: `Bearer ${token}` };
      expect((await call(url, 'GET', '/v1/reservations', { headers })).status).toBe(401);
      expect((await call(url, 'POST', `/v1/performances/${id}/queue/tickets`, { headers })).status).toBe(401);
      await expect(openSocket(url, userId, { token })).rejects.toThrow('status 401');
    }
    for (const token of [pass, tokenOf(userId), 'garbage', '']) {
      const replies = [await look(url, id, userId, token), await leave(url, id, userId, token)];
      expect(replies.map(({ status, body }) => [status, body.code])).toEqual([
        [400, 'validation_failed'],
        [400, 'validation_failed'],
      ]);
    }
    expect((await look(url, id, userId, ticket)).body.status).toBe('admitted');
  });
});
