/** A hold that is not paid comes back: by the scheduler within a second, and without it by whoever asks next. */
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidToBytes } from '../src/domain/ids.ts';
import { leaseKey, performanceKeys } from '../src/lua/keys.ts';
import {
  acknowledged,
  brokenPromises,
  call,
  countByStatus,
  createPerformance,
  crowd,
  disagreements,
  holdSending,
  metricOf,
  mysqlStatus,
  newUserId,
  query,
  type Reply,
  redisClient,
  startGateway,
  storedReservations,
  storedStatus,
  type TestGateway,
  until,
  untilJournalsEmpty,
  untilLapsed,
  whileLocked,
} from './harness.ts';

/** The promise: free again this long after the end of the hold. */
const freeWithinMs = 1000;

describe.each(['persisted', 'held'])('with FASTPASS_ACK=%s', (ack) => {
  let gateway: TestGateway;
  let other: TestGateway;
  let url: string;
  let redis: Redis;

  beforeAll(async () => {
    gateway = await startGateway({ FASTPASS_ACK: ack });
    other = await startGateway({ FASTPASS_ACK: ack });
    url = gateway.url;
    redis = redisClient();
  });

  afterAll(async () => {
    redis.disconnect();
    await gateway.stop();
    await other.stop();
  });

  const hold = (userId: number, body: unknown): Promise<Reply> =>
    call(url, 'POST', '/v1/reservations', { userId, body });
  const read = (userId: number, id: string): Promise<Reply> => call(url, 'GET', `/v1/reservations/${id}`, { userId });
  const statusOf = async (performanceId: number, id: string): Promise<number | undefined> =>
    (await storedReservations(performanceId)).find((reservation) => reservation.id === id)?.status;

  /** Asks until `isFree`; the last moment at which it was not is all that the promise is measured by. */
  async function lastBusyAtMs(isFree: () => Promise<boolean>): Promise<number> {
    let busyAtMs = 0;
    await until('it is free', async () => {
      const askedAtMs = Date.now();
      if (await isFree()) return true;
      busyAtMs = askedAtMs;
      return false;
    });
    return busyAtMs;
  }

  const kinds = [
    ['seated', { kind: 'seated', seats: 4 }, { seats: [2, 3] }],
    ['capacity', { kind: 'capacity', capacity: 4 }, { partySize: 4 }],
  ] as const;

  // Side by side: each waits for the end of its own hold.
  describe.concurrent.each(kinds)('a %s hold of 2 seconds', (kind, seating, what) => {
    it('is free for another user within a second after its end, in Redis and in MySQL', async () => {
      const performanceId = await createPerformance(url, { seating, holdSeconds: 2 });
      const [owner, other] = [newUserId(), newUserId()];
      const { reservationId, expiresAt } = (await hold(owner, { performanceId, ...what })).body;
      const endMs = Date.parse(expiresAt);
      expect((await hold(other, { performanceId, ...what })).status).toBe(409);
      expect((await read(owner, reservationId)).body.status).toBe('HELD');

      // Nobody asks for the seats: what frees them is the scheduler, in both stores.
      const isShownFree = async (): Promise<boolean> =>
        (await call(url, 'GET', `/v1/performances/${performanceId}`)).body.remaining === 4;
      const isExpired = async (): Promise<boolean> =>
        (await statusOf(performanceId, reservationId)) === storedStatus.EXPIRED;
      const [redisBusyAtMs, mysqlBusyAtMs] = await Promise.all([lastBusyAtMs(isShownFree), lastBusyAtMs(isExpired)]);
      expect(redisBusyAtMs).toBeLessThanOrEqual(endMs + freeWithinMs);
      expect(mysqlBusyAtMs).toBeLessThanOrEqual(endMs + freeWithinMs);
      expect(Date.now(), 'not before its end').toBeGreaterThanOrEqual(endMs);

      expect((await read(owner, reservationId)).body).toMatchObject({ reservationId, status: 'EXPIRED' });
      expect(await disagreements(url, performanceId)).toEqual([]);
      expect(await brokenPromises(performanceId)).toEqual([]);
      if (kind === 'seated') {
        const seats = await query('SELECT status, version FROM seats WHERE performance_id = ?', [performanceId]);
        expect(seats).toEqual([0, 2, 2, 0].map((version) => ({ status: 0, version })));
      }
      expect(await redis.hlen(performanceKeys(performanceId).reservations)).toBe(0);
      expect(await redis.hlen(performanceKeys(performanceId).users)).toBe(0);

      expect((await hold(other, { performanceId, ...what })).status).toBe(201);
      await untilJournalsEmpty([performanceId]);
      expect(await brokenPromises(performanceId)).toEqual([]);
    });

    it('can be taken by another user within a second after its end, and by its owner again', async () => {
      const performanceId = await createPerformance(url, { seating, holdSeconds: 2 });
      const [owner, other] = [newUserId(), newUserId()];
      const { expiresAt } = (await hold(owner, { performanceId, ...what })).body;
      const endMs = Date.parse(expiresAt);
      let taken: Reply | undefined;
      const busyAtMs = await lastBusyAtMs(async () => {
        taken = await hold(other, { performanceId, ...what });
        return taken.status === 201;
      });
      expect(busyAtMs).toBeLessThanOrEqual(endMs + freeWithinMs);
      expect(Date.parse(taken!.body.expiresAt), 'not before its end').toBeGreaterThanOrEqual(endMs + 2000);
      await until('the owner may reserve again', async () => {
        const again = await hold(owner, { performanceId, ...what });
        return again.status === 201;
      });
      await untilJournalsEmpty([performanceId]);
      expect((await storedReservations(performanceId)).length).toBe(3);
      expect(await brokenPromises(performanceId)).toEqual([]);
    });
  });

  it('many holds that end together all come back', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 1200 }, holdSeconds: 1 });
    const held = await Promise.all(
      Array.from({ length: 1200 }, (_, i) => hold(newUserId(), { performanceId, seats: [i + 1] })),
    );
    expect(held.filter(({ status }) => status === 201)).toHaveLength(1200);
    await until('all seats are free', async () => {
      return (await call(url, 'GET', `/v1/performances/${performanceId}`)).body.remaining === 1200;
    });
    expect(await disagreements(url, performanceId)).toEqual([]);
    expect(await brokenPromises(performanceId)).toEqual([]);
    expect(await redis.xlen(performanceKeys(performanceId).journal)).toBe(0);
  });

  describe('while no scheduler runs', () => {
    const stranger = `test ${randomUUID()}`;

    beforeAll(async () => {
      // Somebody else has the lease, and does nothing with it.
      await redis.set(leaseKey, stranger, 'EX', 600);
      await until(
        'nobody leads',
        async () => (await metricOf(url, 'fastpass_leader')) + (await metricOf(other.url, 'fastpass_leader')) === 0,
      );
    });

    afterAll(async () => {
      expect(await redis.get(leaseKey)).toBe(stranger);
      await redis.del(leaseKey);
    });

    /** Holds, and resolves once that hold has ended, in Redis too, and nothing has been done about it. */
    async function lapsed(performanceId: number, userId: number, what: unknown): Promise<string> {
      const held = await hold(userId, { performanceId, ...(what as object) });
      expect(held.status).toBe(201);
      const { reservationId } = held.body;
      await until('the hold has ended', async () => (await read(userId, reservationId)).body.status === 'EXPIRED');
      await untilLapsed(performanceId, reservationId);
      expect(await statusOf(performanceId, reservationId)).toBe(storedStatus.HELD);
      return reservationId;
    }

    it.each(kinds)('a %s hold that rests on a takeover not committed yet is not lost', async (kind, seating) => {
      const isSeated = kind === 'seated';
      const performanceId = await createPerformance(url, { seating, holdSeconds: 2 });
      const old = await lapsed(performanceId, newUserId(), isSeated ? { seats: [1, 2, 3, 4] } : { partySize: 4 });
      const holdOne = (seat: number, holdAt: string): Promise<Reply> =>
        call(holdAt, 'POST', '/v1/reservations', {
          userId: newUserId(),
          body: { performanceId, ...(isSeated ? { seats: [seat] } : { partySize: 1 }) },
        });
      // The takeover waits for the lock of the reservation it ends; the second hold does not need that lock.
      const lock = 'SELECT id FROM reservations WHERE id = ? FOR UPDATE';
      const replies = await whileLocked(lock, [uuidToBytes(old)], async () => {
        const rollbacksBefore = await mysqlStatus('Com_rollback');
        const takeover = holdOne(1, url);
        await until(
          'Redis has the takeover',
          async () => (await redis.xlen(performanceKeys(performanceId).journal)) > 0,
        );
        const second = holdOne(2, other.url);
        await until('the second hold met the takeover in MySQL: refused for now, or waiting like it', async () => {
          const refused = (await mysqlStatus('Com_rollback')) - rollbacksBefore;
          return refused > 0 || (await mysqlStatus('Innodb_row_lock_current_waits')) >= 2;
        });
        return [takeover, second];
      });
      const [takeover, second] = await Promise.all(replies);
      expect([takeover?.status, second?.status]).toEqual([201, 201]);
      await untilJournalsEmpty([performanceId]);
      const stored = (await storedReservations(performanceId)).map(({ id }) => id);
      expect(stored.sort()).toEqual([old, takeover?.body.reservationId, second?.body.reservationId].sort());
      expect(await brokenPromises(performanceId)).toEqual([]);
    });

    it.each(kinds)(
      'a %s hold that has ended is kept from others for a while, since it may still be paid',
      async (_, seating, what) => {
        const performanceId = await createPerformance(url, { seating, holdSeconds: 2 });
        const { reservationId, expiresAt } = (await hold(newUserId(), { performanceId, ...what })).body;
        await until('the hold has ended', async () => Date.now() > Date.parse(expiresAt) + 100);
        expect((await hold(newUserId(), { performanceId, ...what })).status).toBe(409);
        await until(
          'it is taken over',
          async () => (await hold(newUserId(), { performanceId, ...what })).status === 201,
        );
        expect(Date.now()).toBeGreaterThan(Date.parse(expiresAt) + 1500);
        await untilJournalsEmpty([performanceId]);
        expect(await statusOf(performanceId, reservationId)).toBe(storedStatus.EXPIRED);
        expect(await brokenPromises(performanceId)).toEqual([]);
      },
    );

    describe('and several things happen side by side', { concurrent: true }, () => {
      it('the seats of an ended hold go to whoever asks, and its other seats are free too', async () => {
        const seating = { kind: 'seated', seats: 5 };
        const performanceId = await createPerformance(url, { seating, holdSeconds: 2 });
        const [owner, other, third] = [newUserId(), newUserId(), newUserId()];
        const old = await lapsed(performanceId, owner, { seats: [1, 2, 3] });

        const taken = await hold(other, { performanceId, seats: [2] });
        expect(taken.status).toBe(201);
        const rest = await hold(third, { performanceId, seats: [1, 3, 4] });
        expect(rest.status).toBe(201);
        await untilJournalsEmpty([performanceId]);

        const stored = await storedReservations(performanceId);
        expect(stored.map(({ id, status, seats }) => [id, status, seats])).toEqual(
          expect.arrayContaining([
            [old, storedStatus.EXPIRED, []],
            [taken.body.reservationId, storedStatus.HELD, [2]],
            [rest.body.reservationId, storedStatus.HELD, [1, 3, 4]],
          ]),
        );
        expect(stored).toHaveLength(3);
        const seats = await query('SELECT seat, status, version FROM seats WHERE performance_id = ? ORDER BY seat', [
          performanceId,
        ]);
        expect(seats.map(({ status, version }) => [status, version])).toEqual([
          [1, 3],
          [1, 3],
          [1, 3],
          [1, 1],
          [0, 0],
        ]);
        expect(await brokenPromises(performanceId)).toEqual([]);
        expect(await disagreements(url, performanceId)).toEqual([]);
        expect((await read(owner, old)).body.status).toBe('EXPIRED');
      });

      it('all who take over from one ended hold at once, at two gateways, are stored', async () => {
        // The first takes over; the others rest on what its commit does, and may overtake it on their way to MySQL.
        const sales = await Promise.all(
          Array.from({ length: 20 }, async (_, i) => {
            const isSeated = i % 2 === 0;
            const seating = isSeated ? { kind: 'seated', seats: 8 } : { kind: 'capacity', capacity: 8 };
            const performanceId = await createPerformance(url, { seating, holdSeconds: 2 });
            const all = isSeated ? { seats: [1, 2, 3, 4, 5, 6, 7, 8] } : { partySize: 8 };
            await lapsed(performanceId, newUserId(), all);
            return { performanceId, isSeated };
          }),
        );
        const sendings = sales.flatMap(({ performanceId, isSeated }) =>
          [1, 2, 3, 4, 5, 6, 7, 8].map((seat) =>
            holdSending(newUserId(), { performanceId, ...(isSeated ? { seats: [seat] } : { partySize: 1 }) }),
          ),
        );
        const [here, there] = await Promise.all([
          crowd(
            url,
            sendings.filter((_, i) => i % 2 === 0),
          ),
          crowd(
            other.url,
            sendings.filter((_, i) => i % 2 === 1),
          ),
        ]);
        const sent = [...here, ...there];
        expect(countByStatus(sent)).toEqual({ 201: sendings.length });
        await untilJournalsEmpty(sales.map(({ performanceId }) => performanceId));
        const stored = (await Promise.all(sales.map(({ performanceId }) => storedReservations(performanceId)))).flat();
        const storedIds = new Set(stored.map(({ id }) => id));
        // Stored, and over by now perhaps: what was acknowledged is there.
        expect(acknowledged(sent).filter((id) => !storedIds.has(id))).toEqual([]);
        for (const { performanceId } of sales) expect(await brokenPromises(performanceId)).toEqual([]);
      });

      it('one request may take over from several ended holds', async () => {
        const seating = { kind: 'seated', seats: 4 };
        const performanceId = await createPerformance(url, { seating, holdSeconds: 2 });
        const [one, two] = await Promise.all([
          lapsed(performanceId, newUserId(), { seats: [1, 2] }),
          lapsed(performanceId, newUserId(), { seats: [3, 4] }),
        ]);
        const taken = await hold(newUserId(), { performanceId, seats: [2, 3] });
        expect(taken.status).toBe(201);
        await untilJournalsEmpty([performanceId]);
        expect(await statusOf(performanceId, one)).toBe(storedStatus.EXPIRED);
        expect(await statusOf(performanceId, two)).toBe(storedStatus.EXPIRED);
        expect(await brokenPromises(performanceId)).toEqual([]);
        expect(await disagreements(url, performanceId)).toEqual([]);
      });

      it('the places of an ended party go to whoever asks', async () => {
        const seating = { kind: 'capacity', capacity: 6 };
        const performanceId = await createPerformance(url, { seating, holdSeconds: 2 });
        const old = await lapsed(performanceId, newUserId(), { partySize: 5 });
        const taken = await hold(newUserId(), { performanceId, partySize: 4 });
        expect(taken.status).toBe(201);
        expect((await hold(newUserId(), { performanceId, partySize: 2 })).status).toBe(201);
        expect((await hold(newUserId(), { performanceId, partySize: 1 })).body.code).toBe('sold_out');
        await untilJournalsEmpty([performanceId]);
        expect(await statusOf(performanceId, old)).toBe(storedStatus.EXPIRED);
        expect(await brokenPromises(performanceId)).toEqual([]);
        expect(await disagreements(url, performanceId)).toEqual([]);
      });

      it('the owner of an ended hold may reserve the same seats again', async () => {
        const seating = { kind: 'seated', seats: 2 };
        const performanceId = await createPerformance(url, { seating, holdSeconds: 2 });
        const owner = newUserId();
        const old = await lapsed(performanceId, owner, { seats: [1] });
        const again = await hold(owner, { performanceId, seats: [1] });
        expect(again.status).toBe(201);
        await untilJournalsEmpty([performanceId]);
        expect(await statusOf(performanceId, old)).toBe(storedStatus.EXPIRED);
        expect(await statusOf(performanceId, again.body.reservationId)).toBe(storedStatus.HELD);
        expect(await brokenPromises(performanceId)).toEqual([]);
      });

      it('the owner of an ended hold may reserve other seats, and the old ones are still given away', async () => {
        const seating = { kind: 'seated', seats: 2 };
        const performanceId = await createPerformance(url, { seating, holdSeconds: 2 });
        const owner = newUserId();
        const old = await lapsed(performanceId, owner, { seats: [1] });
        const again = await hold(owner, { performanceId, seats: [2] });
        expect(again.status).toBe(201);
        expect((await hold(newUserId(), { performanceId, seats: [1] })).status).toBe(201);
        await untilJournalsEmpty([performanceId]);
        expect(await statusOf(performanceId, old)).toBe(storedStatus.EXPIRED);
        expect(await brokenPromises(performanceId)).toEqual([]);
        expect(await disagreements(url, performanceId)).toEqual([]);
      });
    });
  });
});
