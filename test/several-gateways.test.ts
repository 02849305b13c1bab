/** Gateways that share their stores are one to their clients, whether each has a port of its own or all are workers of one. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { performanceKeys } from '../src/lua/keys.ts';
import { type Doors, openTwoPorts, openTwoWorkers, spawnWorkers } from './doors.ts';
import {
  acknowledged,
  brokenPromises,
  call,
  createPerformance,
  crowd,
  type GatewayProcess,
  holdSending,
  newUserId,
  patient,
  type Reply,
  redisClient,
  storedReservations,
  until,
  untilJournalsEmpty,
  whileLocked,
} from './harness.ts';
import { charge, hold } from './money.ts';
import { callWith, logIn, signUp } from './people.ts';
import { openRoom, roomPath } from './rooms.ts';
import type { TestSocket } from './socket.ts';

const ways = [
  ['two gateways on two ports', openTwoPorts],
  ['two workers on one port', openTwoWorkers],
] as const;
const perSecond = 50;

describe.each(ways)('%s', (_name, open) => {
  let doors: Doors;
  const sockets: TestSocket[] = [];

  beforeAll(async () => {
    doors = await open({ FASTPASS_RATE_LIMIT_PER_SECOND: String(perSecond) });
  });

  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.close();
  });

  afterAll(() => doors.close());

  async function socketAt(door: Doors['first'], userId: number): Promise<TestSocket> {
    const socket = await door.socket(userId);
    sockets.push(socket);
    return socket;
  }

  it('make one reservation of one Idempotency-Key, sent to both at the same time, and give one answer', async () => {
    const performanceId = await createPerformance(doors.url, { seating: { kind: 'capacity', capacity: 100 } });
    for (let i = 0; i < 10; i++) {
      const options = {
        userId: newUserId(),
        body: { performanceId, partySize: 1 },
        headers: { 'idempotency-key': `key-${i}` },
      };
      const replies = await Promise.all(
        [doors.first, doors.second].map((door) => door.call('POST', '/v1/reservations', options)),
      );
      expect(replies.map(({ status }) => status)).toEqual([201, 201]);
      expect(replies[0]!.body).toEqual(replies[1]!.body);
      const replayed = replies.map(({ headers }) => headers.get('idempotency-replayed'));
      expect(replayed.filter((value) => value === 'true')).toHaveLength(1);
    }
    await untilJournalsEmpty([performanceId]);
    expect(await storedReservations(performanceId)).toHaveLength(10);
    expect(await brokenPromises(performanceId)).toEqual([]);
  });

  it('are one waiting room: joined at one, watched and admitted at the other, the pass good at the first', async () => {
    const performanceId = await openRoom(doors.url, { admitPerSecond: 0 });
    const userId = newUserId();
    const joined = await doors.first.call('POST', `${roomPath(performanceId)}/tickets`, { userId });
    expect(joined.status).toBe(201);
    const { ticket } = joined.body;
    const headers = { 'queue-ticket': ticket };
    const current = `${roomPath(performanceId)}/tickets/current`;
    const seen = await doors.second.call('GET', current, { userId, headers });
    expect(seen.body).toMatchObject({ status: 'waiting', number: joined.body.number, position: joined.body.position });
    const socket = await socketAt(doors.second, userId);
    socket.send({ type: 'queue.watch', ticket });
    await socket.message('queue.position');

    const settings = { mode: 'on', admitPerSecond: 1000, maxActive: 10 };
    const admin = { userId: newUserId(), role: 'admin' } as const;
    expect((await doors.first.call('PUT', roomPath(performanceId), { ...admin, body: settings })).status).toBe(200);
    const { pass } = await socket.message('queue.admitted');
    const body = { performanceId, seats: [1] };
    expect((await doors.second.call('POST', '/v1/reservations', { userId, body })).status).toBe(403);
    const held = await doors.first.call('POST', '/v1/reservations', { userId, body, headers: { 'queue-pass': pass } });
    expect(held.status).toBe(201);
  });

  it('refuse a token that was given back at the other one, within a second', async () => {
    const person = await signUp(doors.url);
    const { accessToken } = (await logIn(doors.url, person.email, person.password)).body;
    const headers = { authorization: `Bearer ${accessToken}` };
    for (const door of [doors.first, doors.second]) {
      expect((await door.call('GET', '/v1/balance', { headers })).status).toBe(200);
    }
    expect((await doors.first.call('DELETE', '/v1/sessions/current', { headers })).status).toBe(204);
    await until(
      'the other one refuses it',
      async () => (await doors.second.call('GET', '/v1/balance', { headers })).status === 401,
      1000,
    );
    expect((await callWith(doors.url, accessToken)).status).toBe(401);
  });

  it('push a seat taken at one to the sockets of the other, and its return', async () => {
    const performanceId = await createPerformance(doors.url, { seating: { kind: 'seated', seats: 10 } });
    const [watcher, userId] = [newUserId(), newUserId()];
    const socket = await socketAt(doors.second, watcher);
    socket.send({ type: 'seats.watch', performanceId });
    await socket.message('seats.changed');
    for (const seat of [3, 4, 5]) {
      const startedAtMs = performance.now();
      const body = { performanceId, seats: [seat] };
      const held = await doors.first.call('POST', '/v1/reservations', { userId, body });
      expect(held.status).toBe(201);
      await socket.message('seats.changed', ({ changes }) =>
        changes.some(([one, to]: [number, string]) => one === seat && to === 'HELD'),
      );
      // It takes 250 ms at most on a machine that has nothing else to do.
      expect(performance.now() - startedAtMs).toBeLessThan(2000);
      const path = `/v1/reservations/${held.body.reservationId}`;
      expect((await doors.second.call('DELETE', path, { userId })).status).toBe(200);
      await socket.message('seats.changed', ({ changes }) =>
        changes.some(([one, to]: [number, string]) => one === seat && to === 'AVAILABLE'),
      );
    }
  });

  it('tell a user at one what becomes of the reservations made at the other', async () => {
    const performanceId = await createPerformance(doors.url, {
      seating: { kind: 'seated', seats: 10 },
      holdSeconds: 2,
      maxReservationsPerUser: 2,
    });
    const userId = newUserId();
    await charge(doors.url, userId, 10_000);
    const [socket, stranger] = [await socketAt(doors.second, userId), await socketAt(doors.second, newUserId())];
    const hold = async (seat: number): Promise<string> => {
      const body = { performanceId, seats: [seat] };
      return (await doors.first.call('POST', '/v1/reservations', { userId, body })).body.reservationId;
    };
    const paid = await hold(1);
    expect((await doors.first.call('POST', `/v1/reservations/${paid}/payments`, { userId, body: {} })).status).toBe(
      201,
    );
    const expired = await hold(2);
    await socket.message('reservation.confirmed', ({ reservationId }) => reservationId === paid);
    await socket.message('reservation.expired', ({ reservationId }) => reservationId === expired, 20_000);
    expect(socket.of('reservation.expired').map(({ reservationId }) => reservationId)).toEqual([expired]);
    expect(stranger.messages).toEqual([]);
  });

  it('show what the other one has put into the catalogue, also where they had looked before', async () => {
    const admin = { userId: newUserId(), role: 'admin' } as const;
    const name = `event ${newUserId()}`;
    await doors.second.call('GET', '/v1/events');
    const { eventId } = (await doors.first.call('POST', '/v1/events', { ...admin, body: { name } })).body;
    await until('the event is there', async () => {
      const { items } = (await doors.second.call('GET', '/v1/events')).body;
      return items.some((event: { name: string }) => event.name === name);
    });
    const path = `/v1/events/${eventId}/performances`;
    expect((await doors.second.call('GET', path)).body.items).toEqual([]);
    const body = { startsAt: '2030-01-01T20:00:00Z', price: 1000, seating: { kind: 'seated', seats: 5 } };
    const { performanceId } = (await doors.first.call('POST', path, { ...admin, body })).body;
    await until('the performance is there', async () => {
      const { items } = (await doors.second.call('GET', path)).body;
      return items.some((one: { performanceId: number }) => one.performanceId === performanceId);
    });
    expect((await doors.second.call('GET', `/v1/performances/${performanceId}`)).body).toMatchObject({ remaining: 5 });
    await doors.first.call('POST', '/v1/reservations', { userId: newUserId(), body: { performanceId, seats: [1] } });
    await until('its seat is gone', async () => {
      return (await doors.second.call('GET', `/v1/performances/${performanceId}`)).body.remaining === 4;
    });
  });

  it('give a user the whole rate limit on one connection, and no more than it at each process', async () => {
    const userId = newUserId();
    const ask = (door: Doors['first']) => door.call('GET', '/v1/balance', { userId });
    const startedAtMs = performance.now();
    const first = await Promise.all(Array.from({ length: perSecond }, () => ask(doors.first)));
    expect(first.map(({ status }) => status)).toEqual(new Array(perSecond).fill(200));
    const both = [doors.first, doors.second].flatMap((door) => Array.from({ length: 3 * perSecond }, () => ask(door)));
    const served = perSecond + (await Promise.all(both)).filter(({ status }) => status === 200).length;
    const seconds = (performance.now() - startedAtMs) / 1000;
    expect(served).toBeGreaterThanOrEqual(2 * perSecond);
    expect(served).toBeLessThanOrEqual(2 * perSecond * (1 + seconds) + 2);
    const other = await ask(doors.first).then(() => doors.first.call('GET', '/v1/balance', { userId: newUserId() }));
    expect(other.status, 'another user').toBe(200);
  });
});

describe('workers', () => {
  let primary: GatewayProcess;
  let workers: number[] = [];

  async function childrenOf(pid: number): Promise<number[]> {
    const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,stat=']);
    const rows = stdout
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/));
    return rows
      .filter(([, parent, state]) => Number(parent) === pid && !state!.startsWith('Z'))
      .map(([child]) => Number(child));
  }

  function isAlive(pid: number): boolean {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  }

  const areGone = (): boolean => !workers.some(isAlive);
  const isPrimaryGone = (): boolean => primary.child.exitCode !== null || primary.child.signalCode !== null;

  beforeEach(async () => {
    primary = await spawnWorkers(patient);
    workers = await childrenOf(primary.child.pid!);
    expect(workers).toHaveLength(2);
  });

  afterEach(async () => {
    if (!isPrimaryGone()) await primary.stop();
    await until('the workers are gone', areGone, 15_000);
  });

  /** Runs `work` while a hold waits for MySQL, as long as `work` lasts; returns the answer to it, or null for none. */
  async function whileHolding(work: () => Promise<void>): Promise<Reply | null> {
    const performanceId = await createPerformance(primary.url, { seating: { kind: 'capacity', capacity: 10 } });
    const redis = redisClient();
    let answer: Promise<Reply | null> = Promise.resolve(null);
    await whileLocked('SELECT id FROM performances WHERE id = ? FOR UPDATE', [performanceId], async () => {
      answer = hold(primary.url, newUserId(), { performanceId, partySize: 1 }).catch(() => null);
      const { journal } = performanceKeys(performanceId);
      await until('it is granted', async () => (await redis.xlen(journal)) === 1);
      await work();
    }).finally(() => redis.disconnect());
    return answer;
  }

  const stoppingCount = (): number => (primary.output().match(/info stopping/g) ?? []).length;

  it('that are killed amid a rush are started again, no answer was a lie, and all end well at SIGTERM to their primary', async () => {
    const performanceId = await createPerformance(primary.url, { seating: { kind: 'capacity', capacity: 10_000 } });
    const sendings = Array.from({ length: 3000 }, () => holdSending(newUserId(), { performanceId, partySize: 1 }));
    const victim = workers[0]!;
    let answers = 0;
    const sent = await crowd(primary.url, sendings, {
      connections: 60,
      onAnswer: () => {
        if (++answers === 500) process.kill(victim, 'SIGKILL');
      },
    });
    expect(acknowledged(sent).length).toBeGreaterThan(1000);
    await until('there are two again', async () => {
      const now = await childrenOf(primary.child.pid!);
      workers = [...new Set([...workers.filter((pid) => pid !== victim), ...now])];
      const listening = primary.output().match(/listening/g) ?? [];
      return now.length === 2 && !now.includes(victim) && listening.length === 4;
    });
    expect(primary.output()).toContain('it is started again');
    // What the dead one left is taken over from the journal.
    await untilJournalsEmpty([performanceId], 20_000);
    const stored = new Set((await storedReservations(performanceId)).map(({ id }) => id));
    expect(acknowledged(sent).filter((id) => !stored.has(id))).toEqual([]);
    expect(await brokenPromises(performanceId)).toEqual([]);
    const statuses = await Promise.all(
      Array.from({ length: 20 }, async () => (await call(primary.url, 'GET', '/readyz')).status),
    );
    expect(new Set(statuses)).toEqual(new Set([200]));
    await primary.stop();
    expect(primary.child.exitCode).toBe(0);
    expect(areGone()).toBe(true);
  });

  it('answer what is under way when a service manager tells all processes at once, and end well', async () => {
    const answer = await whileHolding(async () => {
      for (const pid of [...workers, primary.child.pid!]) process.kill(pid, 'SIGTERM');
      // The primary tells them a second time, first of all.
      await until('all of them stop', () => stoppingCount() >= 2);
    });
    expect(answer).toMatchObject({ status: 201 });
    await until('the primary is gone', isPrimaryGone, 15_000);
    expect(primary.child.exitCode, primary.output().slice(-600)).toBe(0);
    expect(areGone()).toBe(true);
  });

  it('end at once at a second SIGTERM to their primary, whatever is under way', async () => {
    await whileHolding(async () => {
      primary.child.kill('SIGTERM');
      await until('both stop', () => stoppingCount() >= 2);
      primary.child.kill('SIGTERM');
      await until('all are gone', () => isPrimaryGone() && areGone(), 2500);
    });
    expect(primary.child.exitCode).toBe(1);
  });

  it('end when their primary is killed', async () => {
    await primary.kill();
    await until('the workers are gone', areGone, 15_000);
  });

  it('end when their primary is killed while one starts', async () => {
    const starts = (): number => (primary.output().match(/redis is ready/g) ?? []).length;
    const before = starts();
    const victim = workers[0]!;
    process.kill(victim, 'SIGKILL');
    await until('there is another one', async () => {
      workers = await childrenOf(primary.child.pid!);
      return workers.length === 2 && !workers.includes(victim);
    });
    await until('it has begun to start', () => starts() > before);
    await primary.kill();
    await until('the workers are gone', areGone, 15_000);
  });
});
