/** The contract's catalogue: events, performances, seat maps, warming. */
import { Agent, request } from 'node:http';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { leaseKey, performanceKeys } from '../src/lua/keys.ts';
import {
  call,
  closeEarlierSales,
  createPerformance,
  newUserId,
  query,
  type Reply,
  redisClient,
  startGateway,
  type TestGateway,
  until,
} from './harness.ts';
import { startMysqlTap } from './mysql-tap.ts';

let gateway: TestGateway;
let url: string;
const admin = { userId: newUserId(), role: 'admin' } as const;
const nobody = 999_999_999;
const plan = { startsAt: '2030-01-01T20:00:00Z', price: 1500, seating: { kind: 'seated', seats: 6 } };

beforeAll(async () => {
  gateway = await startGateway();
  url = gateway.url;
});

afterAll(() => gateway.stop());

async function createEvent(body: unknown = { name: 'Concert' }): Promise<Reply> {
  return call(url, 'POST', '/v1/events', { ...admin, body });
}

async function create(fields: Readonly<Record<string, unknown>>): Promise<Reply> {
  const event = await createEvent();
  const body = { ...plan, ...fields };
  return call(url, 'POST', `/v1/events/${event.body.eventId}/performances`, { ...admin, body });
}

describe('events', () => {
  it('are created by an admin and listed for everybody', async () => {
    const created = await createEvent({ name: 'Ōsaka 大阪 🎫', description: 'One night' });
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({ name: 'Ōsaka 大阪 🎫', description: 'One night' });
    expect(created.body.eventId).toBeGreaterThan(0);
    const { status, body } = await call(url, 'GET', '/v1/events');
    expect(status).toBe(200);
    expect(body.items).toContainEqual(created.body);
  });

  it('are no demo unless they are said to be', async () => {
    const [real, demo] = [await createEvent(), await createEvent({ name: 'To try', isDemo: true })];
    expect([real.body.isDemo, demo.body.isDemo]).toEqual([false, true]);
    const { body } = await call(url, 'GET', '/v1/events');
    expect(body.items).toEqual(expect.arrayContaining([real.body, demo.body]));
  });

  it.each([
    [{ name: 'a', isDemo: 1 }, '/isDemo'],
    [{}, '/name'],
    [{ name: '' }, '/name'],
    [{ name: 'x'.repeat(201) }, '/name'],
    [{ name: 7 }, '/name'],
    [{ name: 'a', description: 7 }, '/description'],
    [{ name: 'a', description: 'x'.repeat(2001) }, '/description'],
  ])('are refused as %j', async (body, path) => {
    const refused = await createEvent(body);
    expect(refused).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    expect(refused.body.errors.map((error: { path: string }) => error.path)).toContain(path);
  });

  it('are made once for one Idempotency-Key', async () => {
    const options = { ...admin, body: { name: 'Once' }, headers: { 'idempotency-key': crypto.randomUUID() } };
    const [first, second] = await Promise.all([
      call(url, 'POST', '/v1/events', options),
      call(url, 'POST', '/v1/events', options),
    ]);
    expect(second!.body).toEqual(first!.body);
    const replayed = [first, second].filter((reply) => reply!.headers.get('idempotency-replayed') === 'true');
    expect(replayed).toHaveLength(1);
  });
});

describe('performances', () => {
  it('are created with numbered seats, and with the defaults', async () => {
    const created = await create({});
    expect(created.status).toBe(201);
    const { performanceId } = created.body;
    expect(created.headers.get('location')).toBe(`/v1/performances/${performanceId}`);
    expect(created.body).toMatchObject({
      startsAt: '2030-01-01T20:00:00.000Z',
      price: 1500,
      holdSeconds: 300,
      maxReservationsPerUser: 1,
      seating: { kind: 'seated', seats: 6 },
      remaining: 6,
    });
    expect((await call(url, 'GET', `/v1/performances/${performanceId}`)).body).toEqual(created.body);
    expect(await query('SELECT seat, status, version FROM seats WHERE performance_id = ?', [performanceId])).toEqual(
      [1, 2, 3, 4, 5, 6].map((seat) => ({ seat, status: 0, version: 0 })),
    );
  });

  it('are created with rows of seats, labelled by row', async () => {
    const { body } = await create({ seating: { kind: 'seated', rows: 28, seatsPerRow: 3 } });
    expect(body.remaining).toBe(84);
    const map = await call(url, 'GET', `/v1/performances/${body.performanceId}/seats`);
    expect(map.status).toBe(200);
    expect(map.body.performanceId).toBe(body.performanceId);
    expect(map.body.seats.map(({ seat }: { seat: number }) => seat)).toEqual(
      Array.from({ length: 84 }, (_, i) => i + 1),
    );
    expect(map.body.seats[0]).toEqual({ seat: 1, label: 'A-1', price: 1500, status: 'AVAILABLE' });
    expect(map.body.seats[3]).toEqual({ seat: 4, label: 'B-1', price: 1500, status: 'AVAILABLE' });
    expect(map.body.seats[83].label).toBe('AB-3');
  });

  it('are created with places for parties, and all they can be told', async () => {
    const fields = {
      bookingOpensAt: '2029-12-01T12:00:00+02:00',
      bookingClosesAt: '2029-12-31T00:00:00Z',
      price: 0,
      holdSeconds: 60,
      maxReservationsPerUser: 2,
      seating: { kind: 'capacity', capacity: 40, maxPartySize: 4 },
    };
    const { status, body } = await create(fields);
    expect(status).toBe(201);
    expect(body).toMatchObject({
      ...fields,
      bookingOpensAt: '2029-12-01T10:00:00.000Z',
      bookingClosesAt: '2029-12-31T00:00:00.000Z',
      remaining: 40,
    });
    expect((await call(url, 'GET', `/v1/performances/${body.performanceId}/seats`)).body.seats).toEqual([]);
  });

  it('may have 100,000 seats and not one more', async () => {
    const { status, body } = await create({ seating: { kind: 'seated', seats: 100_000 } });
    expect(status).toBe(201);
    expect(body.remaining).toBe(100_000);
    expect(await create({ seating: { kind: 'seated', seats: 100_001 } })).toMatchObject({ status: 400 });
    expect(await create({ seating: { kind: 'seated', rows: 1001, seatsPerRow: 100 } })).toMatchObject({ status: 400 });
  });

  it.each([
    ['no startsAt', { startsAt: undefined }, '/startsAt'],
    ['a startsAt that is no time', { startsAt: 'tomorrow' }, '/startsAt'],
    ['a startsAt that no calendar has', { startsAt: '2030-02-30T20:00:00Z' }, '/startsAt'],
    ['no price', { price: undefined }, '/price'],
    ['a price below 0', { price: -1 }, '/price'],
    ['a broken price', { price: 9.99 }, '/price'],
    ['holdSeconds 0', { holdSeconds: 0 }, '/holdSeconds'],
    ['maxReservationsPerUser 0', { maxReservationsPerUser: 0 }, '/maxReservationsPerUser'],
    ['no seating', { seating: undefined }, '/seating'],
    ['an unknown kind', { seating: { kind: 'standing' } }, '/seating/kind'],
    ['seats 0', { seating: { kind: 'seated', seats: 0 } }, '/seating/seats'],
    ['neither seats nor rows', { seating: { kind: 'seated' } }, '/seating/rows'],
    ['rows alone', { seating: { kind: 'seated', rows: 3 } }, '/seating/seatsPerRow'],
    ['no capacity', { seating: { kind: 'capacity' } }, '/seating/capacity'],
    ['capacity 0', { seating: { kind: 'capacity', capacity: 0 } }, '/seating/capacity'],
    [
      'booking that closes before it opens',
      { bookingOpensAt: '2029-01-02T00:00:00Z', bookingClosesAt: '2029-01-01T00:00:00Z' },
      '/bookingClosesAt',
    ],
  ])('are refused with %s', async (_name, fields, path) => {
    const refused = await create(fields);
    expect(refused).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    const paths = refused.body.errors.map((error: { path: string }) => error.path);
    expect(
      paths.some((found: string) => found.startsWith(path)),
      `${path} among ${paths}`,
    ).toBe(true);
  });

  it('are listed by event, each with what remains', async () => {
    const { body: event } = await createEvent();
    const path = `/v1/events/${event.eventId}/performances`;
    const created = [];
    for (const seats of [3, 5]) {
      const body = { ...plan, seating: { kind: 'seated', seats } };
      created.push((await call(url, 'POST', path, { ...admin, body })).body);
    }
    const body = { performanceId: created[1].performanceId, seats: [1, 2] };
    await call(url, 'POST', '/v1/reservations', { userId: newUserId(), body });
    const { status, body: list } = await call(url, 'GET', path);
    expect(status).toBe(200);
    expect(list.items).toEqual([created[0], { ...created[1], remaining: 3 }]);
  });

  it('need an event that exists', async () => {
    const path = `/v1/events/${nobody}/performances`;
    const expected = { status: 404, body: { code: 'event_not_found' } };
    expect(await call(url, 'POST', path, { ...admin, body: plan })).toMatchObject(expected);
    expect(await call(url, 'GET', path)).toMatchObject(expected);
  });

  it('that do not exist are performance_not_found, whatever is asked of them', async () => {
    const expected = { status: 404, body: { code: 'performance_not_found' } };
    expect(await call(url, 'GET', `/v1/performances/${nobody}`)).toMatchObject(expected);
    expect(await call(url, 'GET', `/v1/performances/${nobody}/seats`)).toMatchObject(expected);
    expect(await call(url, 'POST', `/v1/performances/${nobody}/warm`, admin)).toMatchObject(expected);
    for (const what of [{ seats: [1] }, { partySize: 1 }]) {
      const body = { performanceId: nobody, ...what };
      expect(await call(url, 'POST', '/v1/reservations', { userId: newUserId(), body })).toMatchObject(expected);
    }
  });
});

describe('the seat map', () => {
  it('shows a held seat, has an ETag, and is not sent again while nothing changed', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 3 } });
    const path = `/v1/performances/${performanceId}/seats`;
    const first = await call(url, 'GET', path);
    const etag = first.headers.get('etag')!;
    expect(etag).toMatch(/^(W\/)?".+"$/);

    const same = await call(url, 'GET', path, { headers: { 'if-none-match': etag } });
    expect(same).toMatchObject({ status: 304, body: null });
    expect(same.headers.get('etag')).toBe(etag);
    expect((await call(url, 'GET', path, { headers: { 'if-none-match': `W/${etag}` } })).status).toBe(304);
    expect((await call(url, 'GET', path, { headers: { 'if-none-match': '"another"' } })).status).toBe(200);

    const body = { performanceId, seats: [2] };
    const held = await call(url, 'POST', '/v1/reservations', { userId: newUserId(), body });
    expect(held.status).toBe(201);
    const changed = await call(url, 'GET', path, { headers: { 'if-none-match': etag } });
    expect(changed.status).toBe(200);
    expect(changed.headers.get('etag')).not.toBe(etag);
    const statuses = changed.body.seats.map(({ status }: { status: string }) => status);
    expect(statuses).toEqual(['AVAILABLE', 'HELD', 'AVAILABLE']);
  });
});

describe('warming', () => {
  it('says how many places there are and whether the performance had been cold', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 7 } });
    const path = `/v1/performances/${performanceId}/warm`;
    expect(await call(url, 'POST', path, admin)).toMatchObject({
      status: 200,
      body: { performanceId, seats: 7, warmed: false },
    });
    const redis = redisClient();
    await redis.del(performanceKeys(performanceId).meta);
    redis.disconnect();
    expect((await call(url, 'POST', path, admin)).body).toEqual({ performanceId, seats: 7, warmed: true });
    expect((await call(url, 'POST', path, admin)).body).toEqual({ performanceId, seats: 7, warmed: false });
  });
});

describe('cached reads', () => {
  const readers = 10_000;

  /** Sends a read that many times, 200 at once, and reads past the bodies; resolves with the statuses there were. */
  async function stampede(at: string, path: string, onAllWaiting: () => void = () => {}): Promise<Set<number>> {
    const lanes = 200;
    const agent = new Agent({ keepAlive: true, maxSockets: lanes });
    const statuses = new Set<number>();
    let left = readers;
    let waiting = 0;
    const readOne = (): Promise<number> =>
      new Promise((resolve, reject) => {
        const sent = request(at + path, { agent }, (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode ?? 0));
        });
        sent.on('error', reject);
        // Written to its socket: the gateway has it, or is about to.
        sent.on('finish', () => {
          if (++waiting === lanes) onAllWaiting();
        });
        sent.end();
      });
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        while (left-- > 0) statuses.add(await readOne());
      }),
    );
    agent.destroy();
    return statuses;
  }

  /** A gateway that has read nothing yet, and what it asks of MySQL. */
  async function startCold() {
    const tap = await startMysqlTap(inject('mysqlUrl'));
    const cold = await startGateway({ MYSQL_URL: tap.url });
    onTestFinished(async () => {
      tap.release();
      await cold.stop();
      await tap.close();
    });
    return { tap, url: cold.url };
  }

  it('of a cold entry cost one query each, 10,000 of them at once: the events, the performances of one, a performance', {
    timeout: 120_000,
  }, async () => {
    // Nobody else is to ask while the cold gateway's questions are counted: it would warm what others have left, and where the
    // first one is too busy to keep its lease, compare the stores.
    await closeEarlierSales();
    const redis = redisClient();
    await redis.set(leaseKey, 'nobody', 'PX', 120_000);
    onTestFinished(async () => {
      await redis.del(leaseKey);
      redis.disconnect();
    });
    const { body: event } = await createEvent();
    const made = await call(url, 'POST', `/v1/events/${event.eventId}/performances`, { ...admin, body: plan });
    const { performanceId } = made.body;
    const { tap, url: cold } = await startCold();
    for (const [path, pattern] of [
      ['/v1/events', /FROM events ORDER BY id DESC LIMIT/],
      [`/v1/events/${event.eventId}/performances`, new RegExp(`FROM performances WHERE event_id = ${event.eventId} `)],
      [`/v1/performances/${performanceId}`, new RegExp(`FROM performances WHERE id = ${performanceId}\\b`)],
    ] as const) {
      expect(tap.count(pattern), path).toBe(0);
      // The one answer comes when two hundred wait for it.
      tap.keep();
      expect(await stampede(cold, path, () => tap.release())).toEqual(new Set([200]));
      expect(tap.count(pattern), path).toBe(1);
    }
    expect(tap.count(new RegExp(`FROM events WHERE id = ${event.eventId}\\b`))).toBeLessThanOrEqual(1);
    expect(tap.count(new RegExp(`FROM seats WHERE performance_id = ${performanceId} `))).toBe(0);
  });

  it('show a new event and a new performance at once on another gateway that had the lists', async () => {
    const { body: event } = await createEvent();
    const path = `/v1/events/${event.eventId}/performances`;
    await call(url, 'POST', path, { ...admin, body: plan });
    const { tap, url: second } = await startCold();
    const idsOf = async (at: string, list: string): Promise<number[]> =>
      (await call(at, 'GET', list)).body.items.map((item: Record<string, number>) =>
        list === path ? item['performanceId'] : item['eventId'],
      );
    // Both gateways have both lists now, and ask no more.
    for (let i = 0; i < 5; i++) {
      for (const at of [url, second]) await Promise.all([idsOf(at, path), idsOf(at, '/v1/events')]);
    }
    expect(tap.count(/FROM events ORDER BY id DESC LIMIT/)).toBe(1);
    for (const [from, to] of [
      [url, second],
      [second, url],
    ] as const) {
      const made = await call(from, 'POST', path, { ...admin, body: plan });
      const { performanceId } = made.body;
      expect(await idsOf(from, path)).toContain(performanceId);
      await until('the other lists it', async () => (await idsOf(to, path)).includes(performanceId), 1000);
      const created = await call(from, 'POST', '/v1/events', { ...admin, body: { name: 'New' } });
      expect(await idsOf(from, '/v1/events')).toContain(created.body.eventId);
      await until(
        'the other lists it too',
        async () => (await idsOf(to, '/v1/events')).includes(created.body.eventId),
        1000,
      );
      expect(await call(to, 'GET', `/v1/performances/${performanceId}`)).toMatchObject({ status: 200 });
    }
  });

  it('show what was created while this gateway heard nothing, once its subscription is back', async () => {
    const redis = redisClient();
    onTestFinished(() => redis.disconnect());
    const { url: second } = await startCold();
    for (let round = 0; round < 5; round++) {
      await call(second, 'GET', '/v1/events');
      const [created] = await Promise.all([createEvent(), redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')]);
      await until('it lists the new one', async () => {
        const { body } = await call(second, 'GET', '/v1/events');
        return body.items.some((item: { eventId: number }) => item.eventId === created.body.eventId);
      });
    }
  });

  it('of an id that nobody has cost no query each either', async () => {
    const { tap, url: cold } = await startCold();
    const statuses = await Promise.all(
      Array.from({ length: 300 }, async () => (await call(cold, 'GET', `/v1/performances/${nobody - 1}`)).status),
    );
    expect(new Set(statuses)).toEqual(new Set([404]));
    expect(tap.count(new RegExp(`FROM performances WHERE id = ${nobody - 1}\\b`))).toBeLessThanOrEqual(5);
  });

  it('of a performance that Redis has forgotten cost no query each either', async () => {
    // No gateway warms it at its start: it was long ago.
    const { performanceId } = (await create({ startsAt: '2020-01-01T20:00:00Z' })).body;
    const { tap, url: cold } = await startCold();
    const redis = redisClient();
    onTestFinished(() => redis.disconnect());
    await redis.del(performanceKeys(performanceId).meta);
    for (let i = 0; i < 100; i++) {
      expect((await call(cold, 'GET', `/v1/performances/${performanceId}`)).body.remaining).toBe(6);
    }
    expect(tap.count(new RegExp(`FROM seats WHERE performance_id = ${performanceId} `))).toBeLessThan(50);
  });
});
