/** The first second of a sale, against a gateway that is a process of its own, on real Redis and MySQL. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { performanceKeys } from '../src/lua/keys.ts';
import {
  acknowledged,
  brokenPromises,
  call,
  closeEarlierSales,
  countByStatus,
  createPerformance,
  crowd,
  disagreements,
  type GatewayProcess,
  holdSending,
  metricOf,
  newUserId,
  patient,
  redisClient,
  type Sending,
  seededRandom,
  serverFaults,
  spawnGateway,
  storedReservations,
  storedStatus,
  untilJournalsEmpty,
} from './harness.ts';

/** A different order of arrival a run; the number is in the name of what failed. */
const seed = Number(process.env['RUSH_SEED'] ?? 20_260_401);

function users(count: number): number[] {
  return Array.from({ length: count }, newUserId);
}

/** Fisher-Yates. */
function shuffled<Item>(items: readonly Item[], random: (max: number) => number): Item[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const k = random(i + 1);
    [result[i], result[k]] = [result[k]!, result[i]!];
  }
  return result;
}

describe.each(['persisted', 'held'])('a rush with FASTPASS_ACK=%s', (ack) => {
  let gateway: GatewayProcess;
  let url: string;

  beforeAll(async () => {
    await closeEarlierSales();
    gateway = await spawnGateway({ ...patient, FASTPASS_ACK: ack });
    url = gateway.url;
  });

  afterAll(() => gateway.stop());

  const seated = (seats: number): Promise<number> => createPerformance(url, { seating: { kind: 'seated', seats } });
  const capacity = (places: number): Promise<number> =>
    createPerformance(url, { seating: { kind: 'capacity', capacity: places } });

  it('of 2,000 users who each send three times for 40 places by 4 makes exactly 10 reservations', async () => {
    const performanceId = await capacity(40);
    const once = users(2000).map((userId) => holdSending(userId, { performanceId, partySize: 4 }));
    const sent = await crowd(url, shuffled([...once, ...once, ...once], seededRandom(seed)), { connections: 500 });

    const ids = acknowledged(sent);
    expect(ids).toHaveLength(10);
    expect(sent.filter(({ status }) => status >= 400 && status < 500)).toHaveLength(5990);
    expect(countByStatus(sent)).toEqual({ 201: 10, 409: 5990 });
    const winners = new Set(sent.filter(({ status }) => status === 201).map(({ body }) => body.userId));
    expect(winners.size).toBe(10);
    for (const { sending, status, body } of sent) {
      if (status === 409) expect(['sold_out', 'already_reserved']).toContain(body.code);
      if (status === 409 && body.code === 'already_reserved') expect(winners.has(sending.userId)).toBe(true);
    }

    await untilJournalsEmpty([performanceId]);
    const stored = await storedReservations(performanceId);
    expect(stored.map(({ id }) => id).sort()).toEqual(ids.sort());
    expect(stored.every(({ status, partySize }) => status === storedStatus.HELD && partySize === 4)).toBe(true);
    expect(await brokenPromises(performanceId)).toEqual([]);
    expect(await disagreements(url, performanceId)).toEqual([]);
  });

  it('of 5,000 users for 500 seats, two a request, overlapping at random, sells no seat twice', async () => {
    const performanceId = await seated(500);
    const random = seededRandom(seed);
    const sendings = users(5000).map((userId) => {
      const seat = random(500) + 1;
      return holdSending(userId, { performanceId, seats: [seat, ((seat + random(499)) % 500) + 1] });
    });
    const sent = await crowd(url, sendings, { connections: 500 });

    const held = sent.filter(({ status }) => status === 201);
    const soldTo = new Map<number, string>();
    for (const { body, sending } of held) {
      expect(body.seats).toEqual((sending.body as { seats: number[] }).seats);
      for (const seat of body.seats) {
        expect(soldTo.get(seat), `seat ${seat}`).toBeUndefined();
        soldTo.set(seat, body.reservationId);
      }
    }
    expect(held.length + sent.filter(({ body }) => body?.code === 'seat_taken').length).toBe(5000);
    // Nobody was refused for a seat that was left in the end.
    for (const { sending, status } of sent) {
      const { seats } = sending.body as { seats: number[] };
      if (status === 409) expect(seats.some((seat) => soldTo.has(seat))).toBe(true);
    }

    await untilJournalsEmpty([performanceId]);
    const stored = await storedReservations(performanceId);
    expect(stored.map(({ id }) => id).sort()).toEqual(acknowledged(sent).sort());
    for (const { id, seats } of stored) expect(seats.map((seat) => soldTo.get(seat))).toEqual([id, id]);
    expect(await brokenPromises(performanceId)).toEqual([]);
    expect(await disagreements(url, performanceId)).toEqual([]);
  });

  it('of 10,000 requests for a cold performance costs one load', async () => {
    const performanceId = await seated(1000);
    const redis = redisClient();
    await redis.del(performanceKeys(performanceId).meta);
    redis.disconnect();
    const loadsBefore = await metricOf(url, 'fastpass_cold_loads_total');
    const random = seededRandom(seed);
    const sendings = users(10_000).map((userId) => holdSending(userId, { performanceId, seats: [random(1000) + 1] }));
    const sent = await crowd(url, sendings, { connections: 1000 });

    expect(serverFaults(sent)).toEqual([]);
    const counts = countByStatus(sent);
    expect(Object.keys(counts).sort()).toEqual(['201', '409']);
    expect((await metricOf(url, 'fastpass_cold_loads_total')) - loadsBefore).toBe(1);
    await untilJournalsEmpty([performanceId]);
    expect((await storedReservations(performanceId)).map(({ id }) => id).sort()).toEqual(acknowledged(sent).sort());
    expect(await brokenPromises(performanceId)).toEqual([]);
  });

  it('of many performances at once sells each one out, exactly', async () => {
    const seatedIds = await Promise.all(Array.from({ length: 25 }, () => seated(20)));
    const capacityIds = await Promise.all(Array.from({ length: 25 }, () => capacity(20)));
    const sendings: Sending[] = [];
    for (const userId of users(120)) {
      // The same user buys everywhere: limits are a performance's own.
      for (const performanceId of seatedIds)
        sendings.push(holdSending(userId, { performanceId, seats: [1 + (userId % 20)] }));
      for (const performanceId of capacityIds) sendings.push(holdSending(userId, { performanceId, partySize: 2 }));
    }
    const sent = await crowd(url, shuffled(sendings, seededRandom(seed)), { connections: 500 });

    expect(countByStatus(sent)).toEqual({ 201: 25 * 20 + 25 * 10, 409: 6000 - 750 });
    await untilJournalsEmpty([...seatedIds, ...capacityIds]);
    const stored = await Promise.all([...seatedIds, ...capacityIds].map(storedReservations));
    expect(
      stored
        .flat()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(acknowledged(sent).sort());
    expect(stored.map((reservations) => reservations.length)).toEqual([
      ...seatedIds.map(() => 20),
      ...capacityIds.map(() => 10),
    ]);
    for (const performanceId of [...seatedIds, ...capacityIds]) {
      expect(await brokenPromises(performanceId)).toEqual([]);
      expect((await call(url, 'GET', `/v1/performances/${performanceId}`)).body.remaining).toBe(0);
    }
  });

  it('that holds and cancels all the time keeps every promise', async () => {
    const performanceId = await seated(10);
    const random = seededRandom(seed);
    let held = users(0).map(String);
    // Each round the ones who won give their seats back, and others want them meanwhile.
    for (let round = 0; round < 5; round++) {
      const wishes: Sending[] = users(200).map((userId) => {
        const seat = random(10) + 1;
        return holdSending(userId, { performanceId, seats: [seat, (seat % 10) + 1] });
      });
      const cancels = held.map((line) => {
        const [userId, id] = line.split(' ') as [string, string];
        return { method: 'DELETE', path: `/v1/reservations/${id}`, userId: Number(userId) };
      });
      const sent = await crowd(url, shuffled([...wishes, ...cancels], random), { connections: 100 });
      const isCancel = ({ method }: Sending): boolean => method === 'DELETE';
      for (const { sending, status } of sent) {
        expect(isCancel(sending) ? [200] : [201, 409], `${status}`).toContain(status);
      }
      held = sent
        .filter(({ sending, status }) => status === 201 && !isCancel(sending))
        .map(({ body }) => `${body.userId} ${body.reservationId}`);
      await untilJournalsEmpty([performanceId]);
      expect(await brokenPromises(performanceId)).toEqual([]);
      expect(await disagreements(url, performanceId)).toEqual([]);
      const live = (await storedReservations(performanceId)).filter(({ status }) => status === storedStatus.HELD);
      expect(live.map(({ id }) => id).sort()).toEqual(held.map((line) => line.split(' ')[1]).sort());
    }
  });
});

it('on a cold performance at two gateways costs one load in all', async () => {
  const gateways = [await spawnGateway(patient), await spawnGateway(patient)];
  const redis = redisClient();
  try {
    const performanceId = await createPerformance(gateways[0]!.url, { seating: { kind: 'seated', seats: 200 } });
    const loads = async (): Promise<number> => {
      const each = await Promise.all(gateways.map(({ url }) => metricOf(url, 'fastpass_cold_loads_total')));
      return each.reduce((sum, count) => sum + count, 0);
    };
    const loadsBefore = await loads();
    await redis.del(performanceKeys(performanceId).meta);
    const random = seededRandom(seed);
    const rushes = gateways.map(({ url }) => {
      const sendings = users(1000).map((userId) => holdSending(userId, { performanceId, seats: [random(200) + 1] }));
      return crowd(url, sendings, { connections: 100 });
    });
    const sent = (await Promise.all(rushes)).flat();
    expect(serverFaults(sent)).toEqual([]);
    expect(Object.keys(countByStatus(sent)).sort()).toEqual(['201', '409']);
    expect((await loads()) - loadsBefore).toBe(1);
    await untilJournalsEmpty([performanceId]);
    expect((await storedReservations(performanceId)).map(({ id }) => id).sort()).toEqual(acknowledged(sent).sort());
    expect(await brokenPromises(performanceId)).toEqual([]);
    expect(await disagreements(gateways[1]!.url, performanceId)).toEqual([]);
  } finally {
    redis.disconnect();
    await Promise.all(gateways.map((gateway) => gateway.stop()));
  }
});
