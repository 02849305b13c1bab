/** Rehearsal rushes: what they hold is given back whichever way they end, one a performance, and only where nothing is sold. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { FastpassClient, type Rehearsal } from '../src/client/index.ts';
import { rehearsalKeys } from '../src/lua/keys.ts';
import { spawnWorkers } from './doors.ts';
import {
  brokenPromises,
  call,
  createPerformance,
  disagreements,
  newUserId,
  patient,
  query,
  redisClient,
  spawnGateway,
  startGateway,
  storedReservations,
  storedStatus,
  type TestGateway,
  tokenOf,
  until as untilWithin,
} from './harness.ts';

const demo = { isDemo: true } as const;
const seated = { seating: { kind: 'seated', rows: 4, seatsPerRow: 10 } } as const;
/** Where nobody is refused by chance. */
const forParties = { seating: { kind: 'capacity', capacity: 40 } } as const;
/** Its limit of a minute, and what giving everything back may take, on a machine that has other things to do. */
const endedWithinMs = 90_000;

/** Longer than a lease and a hold here last, on such a machine, too. */
const until: typeof untilWithin = (what, check, timeoutMs = 30_000) => untilWithin(what, check, timeoutMs);

let gateway: TestGateway;
let admin: FastpassClient;

beforeAll(async () => {
  gateway = await startGateway(patient);
  admin = adminOf(gateway);
});

afterAll(() => gateway.stop());

function adminOf({ url }: TestGateway): FastpassClient {
  return new FastpassClient({ baseUrl: url, token: tokenOf(newUserId(), 'admin') });
}

async function readRehearsal(client: FastpassClient, performanceId: number): Promise<Rehearsal> {
  const result = await client.rehearsal(performanceId);
  if (!result.ok) throw new Error(result.problem.detail);
  return result.value;
}

async function start(client: FastpassClient, performanceId: number, people: number, places = 1): Promise<Rehearsal> {
  const result = await client.startRehearsal(performanceId, { people, places });
  if (!result.ok) throw new Error(result.problem.detail);
  expect(result.status).toBe(202);
  return result.value;
}

async function untilDone(client: FastpassClient, performanceId: number): Promise<Rehearsal> {
  let last = await readRehearsal(client, performanceId);
  const isDone = async (): Promise<boolean> => {
    last = await readRehearsal(client, performanceId);
    expect(sumOf(last)).toBe(last.people);
    return last.state === 'done';
  };
  await until('the rehearsal is done', isDone, endedWithinMs);
  return last;
}

function sumOf({ waiting, held, refused, failed }: Rehearsal): number {
  return waiting + held + failed + Object.values(refused).reduce((sum, count) => sum + count, 0);
}

/** Nothing of it is held any more, for either store. */
async function expectAllGivenBack(performanceId: number, places: number, client = admin): Promise<void> {
  expect(await client.performance(performanceId)).toMatchObject({ value: { remaining: places } });
  const live = (await storedReservations(performanceId)).filter(({ status }) => status === storedStatus.HELD);
  expect(live).toEqual([]);
  expect(await brokenPromises(performanceId)).toEqual([]);
  expect(await disagreements(client.baseUrl, performanceId)).toEqual([]);
}

describe('a rehearsal', () => {
  it('with a queue holds places for its people, counts everyone, and gives everything back', async () => {
    const performanceId = await createPerformance(gateway.url, seated, demo);
    await admin.setQueue(performanceId, { mode: 'on', admitPerSecond: 100, maxActive: 20 });
    const begun = await start(admin, performanceId, 30, 2);
    expect(begun).toMatchObject({ performanceId, state: 'running', people: 30, places: 2, waiting: 30, endedAt: null });
    await until('seats are held', async () => {
      const { body } = await call(gateway.url, 'GET', `/v1/performances/${performanceId}`);
      return body.remaining < 40;
    });
    const done = await untilDone(admin, performanceId);
    expect(done).toMatchObject({ waiting: 0, failed: 0 });
    expect(done.held).toBeGreaterThan(0);
    expect(done.p50Ms).toBeGreaterThan(0);
    expect(done.p99Ms).toBeGreaterThanOrEqual(done.p95Ms!);
    expect(Date.parse(done.endedAt!)).toBeGreaterThan(Date.parse(done.startedAt!));
    await expectAllGivenBack(performanceId, 40);
    // Each held what it was told to ask for, beside each other.
    const stored = await storedReservations(performanceId);
    expect(stored).toHaveLength(done.held);
    const seats = await query(
      'SELECT reservation_id, MIN(seat) AS first, MAX(seat) AS last FROM reservation_seats WHERE performance_id = ? GROUP BY reservation_id',
      [performanceId],
    );
    expect(seats.filter(({ first, last }) => last - first !== 1)).toEqual([]);
    expect(await admin.queue(performanceId)).toMatchObject({ value: { waiting: 0, active: 0, issued: 30 } });
  });

  it('of more people than places tells why the others got none', async () => {
    const performanceId = await createPerformance(gateway.url, forParties, demo);
    await start(admin, performanceId, 100, 4);
    const done = await untilDone(admin, performanceId);
    expect(done).toMatchObject({ waiting: 0, failed: 0 });
    expect(Object.keys(done.refused)).toEqual(['sold_out']);
    expect(done.held).toBeGreaterThanOrEqual(10);
    await expectAllGivenBack(performanceId, 40);
  });

  it('is none before the first, and may follow another', async () => {
    const performanceId = await createPerformance(gateway.url, forParties, demo);
    expect(await readRehearsal(admin, performanceId)).toEqual({
      performanceId,
      state: 'none',
      people: 0,
      places: 0,
      waiting: 0,
      held: 0,
      refused: {},
      failed: 0,
      p50Ms: null,
      p95Ms: null,
      p99Ms: null,
      startedAt: null,
      endedAt: null,
    });
    for (const people of [1, 2]) {
      await start(admin, performanceId, people);
      expect(await untilDone(admin, performanceId)).toMatchObject({ people, held: people });
    }
    await expectAllGivenBack(performanceId, 40);
  });

  it('is one, however many start it at once, at however many gateways, and each of them can see it', async () => {
    const other = await startGateway(patient);
    onTestFinished(() => other.stop());
    const performanceId = await createPerformance(gateway.url, forParties, demo);
    const room = { mode: 'on', admitPerSecond: 0, maxActive: 5 } as const;
    await admin.setQueue(performanceId, room);
    const clients = [admin, adminOf(other), admin, adminOf(other)];
    const results = await Promise.all(clients.map((client) => client.startRehearsal(performanceId, { people: 3 })));
    expect(results.map(({ status }) => status).sort()).toEqual([200, 200, 200, 202]);
    const startedAt = new Set(results.map((result) => result.ok && result.value.startedAt));
    expect(startedAt.size).toBe(1);
    // It does not end before all have asked.
    await admin.setQueue(performanceId, { ...room, admitPerSecond: 100 });
    for (const client of clients.slice(0, 2)) {
      expect(await untilDone(client, performanceId)).toMatchObject({ people: 3, held: 3 });
    }
    expect(await storedReservations(performanceId)).toHaveLength(3);
    await expectAllGivenBack(performanceId, 40);
  });
});

describe('no rehearsal is started', () => {
  it('against a performance that is for sale', async () => {
    const performanceId = await createPerformance(gateway.url, seated, { isDemo: false });
    const refused = await admin.startRehearsal(performanceId, { people: 5 });
    expect(refused).toMatchObject({ status: 403, problem: { code: 'forbidden' } });
    expect(!refused.ok && refused.problem.detail).toContain('demo');
    expect(await readRehearsal(admin, performanceId)).toMatchObject({ state: 'none' });
    expect(await storedReservations(performanceId)).toEqual([]);
  });

  it('against a performance that there is not', async () => {
    const missing = { status: 404, problem: { code: 'performance_not_found' } };
    expect(await admin.startRehearsal(999_999_999)).toMatchObject(missing);
    expect(await admin.rehearsal(999_999_999)).toMatchObject(missing);
  });

  it('by anybody but an admin', async () => {
    const performanceId = await createPerformance(gateway.url, seated, demo);
    const user = new FastpassClient({ baseUrl: gateway.url, token: tokenOf(newUserId()) });
    expect(await user.startRehearsal(performanceId)).toMatchObject({ status: 403, problem: { code: 'forbidden' } });
    expect(await user.rehearsal(performanceId)).toMatchObject({ status: 403, problem: { code: 'forbidden' } });
    user.token = null;
    expect(await user.startRehearsal(performanceId)).toMatchObject({ status: 401 });
    expect(await readRehearsal(admin, performanceId)).toMatchObject({ state: 'none' });
  });

  it.each([
    [{ people: 0 }, '/people'],
    [{ people: 1001 }, '/people'],
    [{ places: 11 }, '/places'],
    [{ places: 1.5 }, '/places'],
  ])('with %j', async (request, path) => {
    const refused = await admin.startRehearsal(1, request);
    expect(refused).toMatchObject({ status: 400, problem: { code: 'validation_failed', errors: [{ path }] } });
  });
});

describe('a rehearsal whose gateway', () => {
  it('stops gives everything back before that, in time', async () => {
    const stopped = await startGateway(patient);
    const performanceId = await createPerformance(stopped.url, seated, demo);
    await admin.setQueue(performanceId, { mode: 'on', admitPerSecond: 5, maxActive: 20 });
    await start(adminOf(stopped), performanceId, 40);
    await until('some hold', async () => (await readRehearsal(admin, performanceId)).held > 3);
    const startedAtMs = performance.now();
    await stopped.stop();
    expect(performance.now() - startedAtMs).toBeLessThan(10_000);
    const done = await readRehearsal(admin, performanceId);
    expect(done.state).toBe('done');
    expect(done.waiting).toBeGreaterThan(0);
    expect(sumOf(done)).toBe(40);
    await expectAllGivenBack(performanceId, 40);
    expect(await admin.queue(performanceId)).toMatchObject({ value: { waiting: 0, active: 0 } });
  });

  it('is killed is not running for ever, and may be followed by another at once its claim has lapsed', async () => {
    const doomed = await spawnGateway(patient);
    onTestFinished(() => doomed.kill());
    const performanceId = await createPerformance(doomed.url, { ...forParties, holdSeconds: 3 }, demo);
    await start(adminOf(doomed), performanceId, 20);
    await until('some hold', async () => (await readRehearsal(admin, performanceId)).held > 0);
    await doomed.kill();
    expect(await readRehearsal(admin, performanceId)).toMatchObject({ state: 'running' });
    await until('nobody says that it runs', async () => {
      return (await readRehearsal(admin, performanceId)).state === 'none';
    });
    await until('its holds have lapsed', async () => {
      const { body } = await call(gateway.url, 'GET', `/v1/performances/${performanceId}`);
      return body.remaining === 40;
    });
    let result = await admin.startRehearsal(performanceId, { people: 2 });
    await until('another may begin', async () => {
      if (!result.ok) result = await admin.startRehearsal(performanceId, { people: 2 });
      return result.ok;
    });
    expect(result.status).toBe(202);
    expect(await untilDone(admin, performanceId)).toMatchObject({ people: 2, held: 2 });
    await expectAllGivenBack(performanceId, 40);
  });

  it('has several workers is played against the port that they share', async () => {
    const several = await spawnWorkers(patient);
    onTestFinished(() => several.stop());
    const performanceId = await createPerformance(several.url, forParties, demo);
    const client = adminOf(several);
    await start(client, performanceId, 20);
    expect(await untilDone(client, performanceId)).toMatchObject({ held: 20, failed: 0 });
    await start(client, performanceId, 20);
    await until('some hold', async () => (await readRehearsal(admin, performanceId)).held > 0);
    // The other worker takes no more at once: what is given back goes to the one that plays.
    await several.stop();
    const stopped = await readRehearsal(admin, performanceId);
    expect(stopped).toMatchObject({ state: 'done', people: 20 });
    expect(sumOf(stopped)).toBe(20);
    await expectAllGivenBack(performanceId, 40);
  });

  it('loses its claim ends early, and says nothing more', async () => {
    const redis = redisClient();
    onTestFinished(() => redis.disconnect());
    const performanceId = await createPerformance(gateway.url, seated, demo);
    await admin.setQueue(performanceId, { mode: 'on', admitPerSecond: 0, maxActive: 5 });
    await start(admin, performanceId, 5);
    await until('all wait', async () => {
      return (await call(gateway.url, 'GET', `/v1/performances/${performanceId}/queue`)).body.waiting === 5;
    });
    await redis.set(rehearsalKeys(performanceId).lease, 'another process', 'PX', 60_000);
    await until('they have left', async () => {
      return (await call(gateway.url, 'GET', `/v1/performances/${performanceId}/queue`)).body.waiting === 0;
    });
    await until('nothing is told', async () => (await readRehearsal(admin, performanceId)).state === 'none');
  });
});
