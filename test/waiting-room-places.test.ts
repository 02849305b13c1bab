/** A place in the line is one person's: kept over sockets, tabs, gateways and restarts, and given up by leaving alone. */
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { performanceKeys } from '../src/lua/keys.ts';
import {
  call,
  countByStatus,
  crowd,
  newUserId,
  type Reply,
  redisClient,
  spawnGateway,
  startGateway,
  type TestGateway,
  until,
} from './harness.ts';
import {
  closeSockets,
  configure,
  isFalling,
  join,
  joinAll,
  joinSending,
  lastPositionOf,
  leave,
  look,
  openRoom,
  positionsOf,
  roomPath,
  socketOf,
  untilState,
  untilStatus,
  type Visitor,
  waitingIn,
  watch,
  whileListening,
} from './rooms.ts';

const absenceMs = 60_000;

let gateway: TestGateway;
let other: TestGateway;
let url: string;
let redis: Redis;

beforeAll(async () => {
  gateway = await startGateway();
  other = await startGateway();
  url = gateway.url;
  redis = redisClient();
});

afterAll(async () => {
  closeSockets();
  redis.disconnect();
  await gateway.stop();
  await other.stop();
});

const paused = { admitPerSecond: 0 };

const redisNowMs = async (): Promise<number> => {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
};

/** The moment at which the absence of a user counts as leaving. */
const absentAtMs = async (id: number, userId: number): Promise<number> =>
  Number(await redis.zscore(performanceKeys(id).seen, String(userId)));

const setAbsentAt = async (id: number, userId: number, ms: number): Promise<void> => {
  expect(await redis.zadd(performanceKeys(id).seen, 'XX', 'CH', ms, String(userId))).toBe(1);
};

const isWaiting = async (id: number, { userId }: Visitor): Promise<boolean> =>
  (await redis.zscore(performanceKeys(id).waiting, String(userId))) !== null;

/** How a ticket stands at both gateways; both must say the same. */
async function lookAtBoth(id: number, { userId, ticket }: Visitor): Promise<Reply['body']> {
  const [here, there] = [await look(url, id, userId, ticket), await look(other.url, id, userId, ticket)];
  expect([here.status, here.body]).toEqual([there.status, there.body]);
  return here.body;
}

describe('one user has one place', { concurrent: true }, () => {
  it('and joining again, here or at another gateway, with the ticket or without, finds it', async () => {
    const id = await openRoom(url, paused);
    await joinAll(url, id, 2);
    const userId = newUserId();
    const first = await join(url, id, userId);
    expect(first.status).toBe(201);
    expect(first.body).toMatchObject({ status: 'waiting', number: 3, position: 3, etaSeconds: null });
    const { ticket } = first.body;
    const repeats = [
      await join(url, id, userId),
      await join(other.url, id, userId),
      await join(url, id, userId, ticket),
      await join(other.url, id, userId, ticket),
      await look(url, id, userId, ticket),
      await look(other.url, id, userId, ticket),
    ];
    for (const { status, body } of repeats) expect([status, body]).toEqual([200, first.body]);
    await untilState(other.url, id, { issued: 3, waiting: 3 });

    await configure(url, id);
    const admitted = await untilStatus(url, id, { userId, ticket, number: 3 }, 'admitted');
    expect(admitted).toMatchObject({ ticket, number: 3, pass: expect.any(String), passExpiresAt: expect.any(String) });
    // The pass is the same, too, wherever it is asked for.
    expect((await join(other.url, id, userId)).body).toEqual(admitted);
    expect((await join(url, id, userId, ticket)).body).toEqual(admitted);
    expect(await lookAtBoth(id, { userId, ticket, number: 3 })).toEqual(admitted);
  });

  it('however often and wherever it joins at the same moment', async () => {
    const id = await openRoom(url, paused);
    const userId = newUserId();
    const sendings = Array.from({ length: 50 }, () => joinSending(id, userId));
    const sent = (await Promise.all([crowd(url, sendings), crowd(other.url, sendings)])).flat();
    expect(countByStatus(sent)).toEqual({ 200: 99, 201: 1 });
    expect(new Set(sent.map(({ body }) => JSON.stringify(body))).size).toBe(1);
    await untilState(url, id, { issued: 1, waiting: 1 });
  });

  it('and a thousand who join at two gateways at once get a number each, without a hole', async () => {
    const id = await openRoom(url, paused);
    const sendings = Array.from({ length: 500 }, () => joinSending(id, newUserId()));
    const others = Array.from({ length: 500 }, () => joinSending(id, newUserId()));
    const sent = (await Promise.all([crowd(url, sendings), crowd(other.url, others)])).flat();
    expect(countByStatus(sent)).toEqual({ 201: 1000 });
    const numbers = sent.map(({ body }) => body.number).sort((a, b) => a - b);
    expect(numbers).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
    // Nobody has left: the position at joining is the number.
    expect(sent.filter(({ body }) => body.position !== body.number)).toEqual([]);
    expect(new Set(sent.map(({ body }) => body.ticket)).size).toBe(1000);
  });

  it('and every socket of it, at any gateway, is told the same, and of the admission', async () => {
    const id = await openRoom(url, paused);
    const ahead = await joinAll(url, id, 5);
    const [visitor] = await joinAll(url, id, 1);
    const sockets = [
      await watch(url, visitor!),
      await watch(url, visitor!),
      await watch(other.url, visitor!),
      await watch(other.url, visitor!),
    ];
    for (const socket of sockets) {
      expect(await socket.message('queue.position')).toMatchObject({ performanceId: id, number: 6, position: 6 });
    }
    await leave(url, id, ahead[1]!.userId, ahead[1]!.ticket);
    await Promise.all(sockets.map((socket) => socket.message('queue.position', ({ position }) => position === 5)));
    await configure(url, id);
    const told = await Promise.all(sockets.map((socket) => socket.message('queue.admitted')));
    const { pass, passExpiresAt } = await untilStatus(url, id, visitor!, 'admitted');
    expect(told).toEqual(
      told.map(() => ({ type: 'queue.admitted', performanceId: id, number: 6, pass, passExpiresAt })),
    );
    await untilState(url, id, { issued: 6, admitted: 5, active: 5 });
    await whileListening(id, (listener) => listener.pass(1));
    expect(sockets.map((socket) => socket.of('queue.admitted').length)).toEqual([1, 1, 1, 1]);
  });

  it('that nobody else can watch, look at or give up', async () => {
    const id = await openRoom(url, paused);
    const elsewhere = await openRoom(url, paused);
    const [visitor] = await joinAll(url, id, 1);
    const { userId, ticket } = visitor!;
    const stranger = newUserId();
    const replies = [
      await look(url, id, stranger, ticket),
      await leave(url, id, stranger, ticket),
      await join(url, id, stranger, ticket),
    ];
    expect(replies.map(({ status, body }) => [status, body.code])).toEqual(replies.map(() => [403, 'forbidden']));
    const misplaced = [await look(url, elsewhere, userId, ticket), await join(url, elsewhere, userId, ticket)];
    expect(misplaced.map(({ status }) => status)).toEqual([400, 400]);
    const noTicket = await call(url, 'GET', `${roomPath(id)}/tickets/current`, { userId });
    expect([noTicket.status, noTicket.body.code]).toEqual([400, 'validation_failed']);
    const noToken = await call(url, 'GET', `${roomPath(id)}/tickets/current`, { headers: { 'queue-ticket': ticket } });
    expect(noToken.status).toBe(401);

    const socket = await socketOf(url, stranger);
    socket.send({ type: 'queue.watch', ticket });
    expect(await socket.message('error')).toMatchObject({ code: 'forbidden' });
    socket.send({ type: 'queue.watch', ticket: `${ticket}x` });
    expect(await socket.message('error', ({ code }) => code !== 'forbidden')).toMatchObject({
      code: 'validation_failed',
    });
    expect(socket.of('queue.position')).toEqual([]);
    expect((await look(url, id, userId, ticket)).body).toMatchObject({ status: 'waiting', number: 1 });
  });
});

describe('a place is kept', { concurrent: true }, () => {
  it('when its socket closes and another one opens, at this gateway or another', async () => {
    const id = await openRoom(url, paused);
    const visitors = await joinAll(url, id, 4);
    const last = visitors[3]!;
    const first = await watch(url, last);
    await first.message('queue.position', ({ position }) => position === 4);
    closeSockets([first]);
    await leave(url, id, visitors[0]!.userId, visitors[0]!.ticket);
    for (const at of [url, other.url, url]) {
      const again = await watch(at, last);
      expect(await again.message('queue.position')).toMatchObject({ number: 4, position: 3 });
      closeSockets([again]);
    }
    expect(await lookAtBoth(id, last)).toMatchObject({ status: 'waiting', number: 4, position: 3 });
  });

  it('and so is a pass, by whoever comes back after the admission', async () => {
    const id = await openRoom(url, paused);
    const [visitor] = await joinAll(url, id, 1);
    const before = await watch(url, visitor!);
    await before.message('queue.position');
    closeSockets([before]);
    await configure(url, id);
    const { pass, passExpiresAt } = await untilStatus(url, id, visitor!, 'admitted');
    for (const at of [url, other.url]) {
      const socket = await watch(at, visitor!);
      expect(await socket.message('queue.admitted')).toMatchObject({ number: 1, pass, passExpiresAt });
      expect(socket.of('queue.position')).toEqual([]);
    }
  });

  // A gateway that is stopped tells Redis who was there; one that is killed does not.
  it.each(['stopped', 'killed'])('when its gateway is %s and started again', async (end) => {
    const doomed = await spawnGateway();
    const id = await openRoom(doomed.url, paused);
    const visitors = await joinAll(doomed.url, id, 6);
    const sockets = await Promise.all(visitors.map((visitor) => watch(doomed.url, visitor)));
    await Promise.all(sockets.map((socket) => socket.message('queue.position')));
    const [gone] = visitors;
    await leave(doomed.url, id, gone!.userId, gone!.ticket);
    if (end === 'stopped') await doomed.stop();
    else await doomed.kill();
    const codes = await Promise.all(sockets.map((socket) => socket.closeCode()));
    expect(codes).toEqual(codes.map(() => (end === 'stopped' ? 1001 : 1006)));

    const next = await spawnGateway();
    try {
      const stayed = visitors.slice(1);
      const again = await Promise.all(stayed.map((visitor) => watch(next.url, visitor)));
      const told = await Promise.all(again.map((socket) => socket.message('queue.position')));
      expect(told.map(({ number, position }) => [number, position])).toEqual(
        stayed.map(({ number }) => [number, number! - 1]),
      );
      for (const { userId, ticket } of stayed) {
        expect((await join(next.url, id, userId)).body.ticket).toBe(ticket);
      }
      expect(await join(next.url, id, newUserId())).toMatchObject({ status: 201, body: { number: 7, position: 6 } });
      expect((await look(next.url, id, gone!.userId, gone!.ticket)).body).toEqual({ status: 'left' });
      await configure(next.url, id);
      const admitted = await Promise.all(again.map((socket) => socket.message('queue.admitted')));
      expect(admitted.map(({ number }) => number)).toEqual(stayed.map(({ number }) => number));
    } finally {
      await next.stop();
    }
  });
});

describe('a place is given up', { concurrent: true }, () => {
  it('by leaving, for good: whoever joins again stands at the end', async () => {
    const id = await openRoom(url, paused);
    const visitors = await joinAll(url, id, 5);
    const { userId, ticket } = visitors[1]!;
    const left = await leave(url, id, userId, ticket);
    expect([left.status, left.body]).toEqual([204, null]);
    expect(await lookAtBoth(id, visitors[1]!)).toEqual({ status: 'left' });
    expect((await leave(other.url, id, userId, ticket)).status, 'again').toBe(204);
    const socket = await watch(url, visitors[1]!);
    expect(await socket.message('queue.expired')).toMatchObject({ performanceId: id, status: 'left' });

    const again = await join(other.url, id, userId);
    expect([again.status, again.body]).toMatchObject([201, { status: 'waiting', number: 6, position: 5 }]);
    expect(again.body.ticket).not.toBe(ticket);
    // The old ticket is worth nothing: not to look, and not to take the new place away.
    expect(await lookAtBoth(id, visitors[1]!)).toEqual({ status: 'left' });
    expect((await leave(url, id, userId, ticket)).status).toBe(204);
    expect((await look(url, id, userId, again.body.ticket)).body).toMatchObject({ number: 6, position: 5 });
    // Joining with the old ticket is joining: it finds the new place.
    expect(await join(url, id, userId, ticket)).toMatchObject({ status: 200, body: { number: 6, position: 5 } });
    expect((await look(url, id, visitors[4]!.userId, visitors[4]!.ticket)).body.position).toBe(4);
  });

  it('by leaving in one tab, and the others are told', async () => {
    const id = await openRoom(url, paused);
    const visitors = await joinAll(url, id, 3);
    const { userId, ticket } = visitors[1]!;
    const sockets = [await watch(url, visitors[1]!), await watch(other.url, visitors[1]!)];
    await Promise.all(sockets.map((socket) => socket.message('queue.position')));
    expect((await leave(url, id, userId, ticket)).status).toBe(204);
    const told = await Promise.all(sockets.map((socket) => socket.message('queue.expired')));
    expect(told).toMatchObject([
      { performanceId: id, status: 'left' },
      { performanceId: id, status: 'left' },
    ]);
  });

  it('with a ticket that has expired: joining again is a new place at the end', async () => {
    const id = await openRoom(url, { passSeconds: 1 });
    const [visitor] = await joinAll(url, id, 1);
    await untilStatus(url, id, visitor!, 'expired');
    expect(await lookAtBoth(id, visitor!)).toEqual({ status: 'expired' });
    await configure(url, id, paused);
    const socket = await watch(url, visitor!);
    expect(await socket.message('queue.expired')).toMatchObject({ performanceId: id, status: 'expired' });
    await joinAll(url, id, 2);
    const again = await join(url, id, visitor!.userId, visitor!.ticket);
    expect([again.status, again.body]).toMatchObject([201, { status: 'waiting', number: 4, position: 3 }]);
  });

  it('by absence: a poll is a sign of life for a minute, and after it those behind move up', async () => {
    const id = await openRoom(url, paused);
    const visitors = await joinAll(url, id, 3);
    const [absent, poller, last] = visitors as [Visitor, Visitor, Visitor];
    const joinedMs = await redisNowMs();
    expect(await absentAtMs(id, absent.userId)).toBeGreaterThan(joinedMs + absenceMs - 10_000);
    expect(await absentAtMs(id, absent.userId)).toBeLessThanOrEqual(joinedMs + absenceMs);

    // Most of the minute is over for one who polls, and nearly all of it for one who does not.
    await setAbsentAt(id, poller.userId, (await redisNowMs()) + 10_000);
    const polledMs = await redisNowMs();
    expect((await look(url, id, poller.userId, poller.ticket)).body).toMatchObject({ status: 'waiting' });
    expect(await absentAtMs(id, poller.userId)).toBeGreaterThanOrEqual(polledMs + absenceMs);
    const soonMs = (await redisNowMs()) + 1500;
    await setAbsentAt(id, absent.userId, soonMs);
    await until('the absent one has left', async () => !(await isWaiting(id, absent)));
    expect(await redisNowMs(), 'not before').toBeGreaterThanOrEqual(soonMs);
    expect((await look(url, id, poller.userId, poller.ticket)).body).toMatchObject({ number: 2, position: 1 });
    expect((await look(url, id, last.userId, last.ticket)).body).toMatchObject({ number: 3, position: 2 });
    await whileListening(id, async (listener) => expect(waitingIn(await listener.pass(1))).toEqual([2, 3]));
    expect((await look(url, id, absent.userId, absent.ticket)).body).toEqual({ status: 'left' });
    expect(await join(url, id, absent.userId)).toMatchObject({ status: 201, body: { number: 4, position: 3 } });
  });

  it('not by those who have a socket open, and a minute after their last one has closed', {
    timeout: 120_000,
  }, async () => {
    const id = await openRoom(url, paused);
    const visitors = await joinAll(url, id, 3);
    const [present, absent, closing] = visitors as [Visitor, Visitor, Visitor];
    const socket = await watch(url, present);
    const sockets = [await watch(url, closing), await watch(other.url, closing)];
    await Promise.all([socket, ...sockets].map((each) => each.message('queue.position')));

    // The first of two sockets closes; the gateway that still has one says every 20 seconds that its user is here.
    closeSockets(sockets.slice(0, 1));
    const endMs = (await redisNowMs()) + 26_000;
    for (const { userId } of [present, absent]) await setAbsentAt(id, userId, endMs);
    await until('the absent one has left', async () => !(await isWaiting(id, absent)), 60_000);
    expect(await redisNowMs(), 'not before').toBeGreaterThanOrEqual(endMs);
    expect([await isWaiting(id, present), await isWaiting(id, closing)]).toEqual([true, true]);
    expect(await absentAtMs(id, present.userId)).toBeGreaterThan(endMs);
    expect(lastPositionOf(socket)).toBe(1);
    await sockets[1]!.message('queue.position', ({ position }) => position === 2);

    // From when the last one closes there is a minute left, whatever was said before.
    await setAbsentAt(id, closing.userId, endMs + 1_000_000);
    const closedMs = await redisNowMs();
    closeSockets(sockets);
    await until('its end is known', async () => (await absentAtMs(id, closing.userId)) < endMs + 900_000);
    const absentAt = await absentAtMs(id, closing.userId);
    expect(absentAt).toBeGreaterThanOrEqual(closedMs + absenceMs);
    expect(absentAt).toBeLessThanOrEqual((await redisNowMs()) + absenceMs);
    expect(isFalling(positionsOf(socket))).toBe(true);
  });

  it('by nobody after an outage: while no round was made no sign of life could count', async () => {
    const id = await openRoom(url, paused);
    const [visitor] = await joinAll(url, id, 1);
    const { queue, seen } = performanceKeys(id);
    // The last round was eleven seconds ago, and the minute of absence is over.
    const nowMs = await redisNowMs();
    await redis
      .multi()
      .hset(queue, 'at', nowMs - 11_000)
      .zadd(seen, 'XX', nowMs - 5000, String(visitor!.userId))
      .exec();
    await whileListening(id, (listener) => listener.pass(3));
    expect(await isWaiting(id, visitor!)).toBe(true);
    // The grace is a minute: once it is over, absence counts again.
    await redis.hset(queue, 'graceUntil', nowMs);
    await until('the absent one has left', async () => !(await isWaiting(id, visitor!)));
  });
});
