/** The contract's reservations: hold, read, list, cancel; the same in both ways to acknowledge. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  call,
  createPerformance,
  disagreements,
  newUserId,
  query,
  type Reply,
  startGateway,
  storedReservations,
  storedStatus,
  type TestGateway,
  until,
} from './harness.ts';

const uuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const iso = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe.each(['persisted', 'held'])('with FASTPASS_ACK=%s', (ack) => {
  let gateway: TestGateway;
  let url: string;

  beforeAll(async () => {
    gateway = await startGateway({ FASTPASS_ACK: ack });
    url = gateway.url;
  });

  afterAll(() => gateway.stop());

  const seated = (seats: number, fields: Readonly<Record<string, unknown>> = {}): Promise<number> =>
    createPerformance(url, { seating: { kind: 'seated', seats }, ...fields });
  const capacity = (places: number, fields: Readonly<Record<string, unknown>> = {}): Promise<number> =>
    createPerformance(url, { seating: { kind: 'capacity', capacity: places }, ...fields });
  const hold = (userId: number, body: unknown): Promise<Reply> =>
    call(url, 'POST', '/v1/reservations', { userId, body });
  const read = (userId: number, id: string, role: 'user' | 'admin' = 'user'): Promise<Reply> =>
    call(url, 'GET', `/v1/reservations/${id}`, { userId, role });
  const cancel = (userId: number, id: string): Promise<Reply> =>
    call(url, 'DELETE', `/v1/reservations/${id}`, { userId });
  const listed = async (userId: number, search = ''): Promise<{ ids: string[]; next: string | null }> => {
    const { body } = await call(url, 'GET', `/v1/reservations${search}`, { userId });
    return { ids: body.items.map((item: { reservationId: string }) => item.reservationId), next: body.next };
  };
  /** `held` answers before MySQL has it: what is asserted there needs a moment. */
  const untilStored = (performanceId: number, count: number): Promise<void> =>
    until(`${count} reservations stored`, async () => (await storedReservations(performanceId)).length >= count);
  const statusOf = async (performanceId: number, id: string): Promise<number | undefined> =>
    (await storedReservations(performanceId)).find((reservation) => reservation.id === id)?.status;

  describe('a hold', () => {
    it('of seats is answered 201 with all the contract names, and stored', async () => {
      const [performanceId, userId] = [await seated(10, { price: 1500, holdSeconds: 60 }), newUserId()];
      const beforeMs = Date.now();
      const held = await hold(userId, { performanceId, seats: [4, 2] });
      expect(held.status).toBe(201);
      const { reservationId, expiresAt, ...rest } = held.body;
      expect(rest).toEqual({ performanceId, userId, status: 'HELD', seats: [4, 2], amount: 3000 });
      expect(reservationId).toMatch(uuid7);
      expect(held.headers.get('location')).toBe(`/v1/reservations/${reservationId}`);
      expect(expiresAt).toMatch(iso);
      expect(Date.parse(expiresAt)).toBeGreaterThanOrEqual(beforeMs + 59_000);
      expect(Date.parse(expiresAt)).toBeLessThanOrEqual(Date.now() + 61_000);

      await untilStored(performanceId, 1);
      expect(await storedReservations(performanceId)).toEqual([
        { id: reservationId, userId, status: storedStatus.HELD, partySize: 0, seats: [2, 4] },
      ]);
      expect(await disagreements(url, performanceId)).toEqual([]);
      const shown = await read(userId, reservationId);
      expect(shown.status).toBe(200);
      expect({ ...shown.body, seats: shown.body.seats.toSorted() }).toMatchObject({ ...held.body, seats: [2, 4] });
    });

    it('of places for a party is answered 201 and stored', async () => {
      const [performanceId, userId] = [await capacity(10, { price: 700 }), newUserId()];
      const held = await hold(userId, { performanceId, partySize: 4 });
      expect(held.status).toBe(201);
      const { reservationId, expiresAt: _, ...rest } = held.body;
      expect(rest).toEqual({ performanceId, userId, status: 'HELD', partySize: 4, amount: 2800 });
      expect(held.headers.get('location')).toBe(`/v1/reservations/${reservationId}`);
      await untilStored(performanceId, 1);
      expect(await storedReservations(performanceId)).toMatchObject([{ id: reservationId, userId, partySize: 4 }]);
      expect((await call(url, 'GET', `/v1/performances/${performanceId}`)).body.remaining).toBe(6);
      expect((await read(userId, reservationId)).body).toMatchObject(held.body);
    });

    it('of one seat that is taken holds none of the others and names those taken', async () => {
      const performanceId = await seated(6);
      await hold(newUserId(), { performanceId, seats: [2, 3] });
      const loser = newUserId();
      const refused = await hold(loser, { performanceId, seats: [1, 2, 3, 4] });
      expect(refused).toMatchObject({ status: 409, body: { code: 'seat_taken', seats: [2, 3] } });
      expect((await hold(newUserId(), { performanceId, seats: [1, 4] })).status).toBe(201);
      expect((await listed(loser)).ids).toEqual([]);
    });

    it('of a seat that does not exist is seat_not_found and holds none of the others', async () => {
      const performanceId = await seated(6);
      for (const seat of [7, 100_001, Number.MAX_SAFE_INTEGER]) {
        const refused = await hold(newUserId(), { performanceId, seats: [1, seat] });
        expect(refused).toMatchObject({ status: 404, body: { code: 'seat_not_found', seats: [seat] } });
      }
      expect((await hold(newUserId(), { performanceId, seats: [1, 6] })).status).toBe(201);
    });

    it('of more places than are left is sold_out, while a smaller party still fits', async () => {
      const performanceId = await capacity(10);
      expect((await hold(newUserId(), { performanceId, partySize: 7 })).status).toBe(201);
      const refused = await hold(newUserId(), { performanceId, partySize: 4 });
      expect(refused).toMatchObject({ status: 409, body: { code: 'sold_out' } });
      await until('a party of 3 fits', async () => {
        return (await hold(newUserId(), { performanceId, partySize: 3 })).status === 201;
      });
      expect(await hold(newUserId(), { performanceId, partySize: 1 })).toMatchObject({ body: { code: 'sold_out' } });
    });

    it('of a party larger than maxPartySize, or by the wrong kind, is validation_failed', async () => {
      const [seatedId, capacityId] = [await seated(5), await capacity(40)];
      const smallId = await createPerformance(url, { seating: { kind: 'capacity', capacity: 40, maxPartySize: 2 } });
      for (const [body, path] of [
        [{ performanceId: capacityId, partySize: 11 }, '/partySize'],
        [{ performanceId: smallId, partySize: 3 }, '/partySize'],
        [{ performanceId: capacityId, seats: [1] }, '/seats'],
        [{ performanceId: seatedId, partySize: 1 }, '/partySize'],
      ] as const) {
        const refused = await hold(newUserId(), body);
        expect(refused).toMatchObject({ status: 400, body: { code: 'validation_failed', errors: [{ path }] } });
      }
      expect((await hold(newUserId(), { performanceId: capacityId, partySize: 10 })).status).toBe(201);
      expect((await hold(newUserId(), { performanceId: smallId, partySize: 2 })).status).toBe(201);
    });

    it('before booking opens, or after it closed, is refused', async () => {
      const hourMs = 3_600_000;
      const soon = new Date(Date.now() + hourMs).toISOString();
      const past = new Date(Date.now() - hourMs).toISOString();
      for (const [fields, code] of [
        [{ bookingOpensAt: soon }, 'booking_not_open'],
        [{ bookingClosesAt: past }, 'booking_closed'],
      ] as const) {
        const refused = await hold(newUserId(), { performanceId: await seated(2, fields), seats: [1] });
        expect(refused).toMatchObject({ status: 403, body: { code } });
      }
      const open = await seated(2, { bookingOpensAt: past, bookingClosesAt: soon });
      expect((await hold(newUserId(), { performanceId: open, seats: [1] })).status).toBe(201);
    });

    it('beyond the limit of a user is already_reserved and names the one that stands in the way', async () => {
      const [performanceId, userId] = [await seated(5), newUserId()];
      const first = await hold(userId, { performanceId, seats: [1] });
      const { reservationId } = first.body;
      const expected = { status: 409, body: { code: 'already_reserved', reservationId } };
      expect(await hold(userId, { performanceId, seats: [2] })).toMatchObject(expected);
      // The user's own seat again: the limit is what the user is told, not that the seat is taken.
      expect(await hold(userId, { performanceId, seats: [1] })).toMatchObject(expected);
      // Another performance has a limit of its own.
      expect((await hold(userId, { performanceId: await seated(5), seats: [1] })).status).toBe(201);
    });

    it('may be had as often as maxReservationsPerUser says', async () => {
      const [performanceId, userId] = [await seated(5, { maxReservationsPerUser: 2 }), newUserId()];
      const [first, second, third] = [
        await hold(userId, { performanceId, seats: [1] }),
        await hold(userId, { performanceId, seats: [2, 3] }),
        await hold(userId, { performanceId, seats: [4] }),
      ];
      expect([first.status, second.status]).toEqual([201, 201]);
      expect(third).toMatchObject({ status: 409, body: { code: 'already_reserved' } });
      expect([first.body.reservationId, second.body.reservationId]).toContain(third.body.reservationId);
      expect((await cancel(userId, second.body.reservationId)).status).toBe(200);
      expect((await hold(userId, { performanceId, seats: [4] })).status).toBe(201);
      expect((await hold(userId, { performanceId, seats: [5] })).status).toBe(409);
    });
  });

  describe('reading', () => {
    it('shows a reservation to its owner and to an admin, and to nobody else', async () => {
      const [performanceId, owner] = [await seated(3), newUserId()];
      const { reservationId } = (await hold(owner, { performanceId, seats: [1] })).body;
      expect(await read(owner, reservationId)).toMatchObject({ status: 200, body: { userId: owner, status: 'HELD' } });
      expect((await read(owner, reservationId.toUpperCase())).status).toBe(200);
      expect(await read(newUserId(), reservationId, 'admin')).toMatchObject({ status: 200, body: { userId: owner } });
      const hidden = { status: 404, body: { code: 'reservation_not_found' } };
      expect(await read(newUserId(), reservationId)).toMatchObject(hidden);
      expect(await read(owner, '01890000-0000-7000-8000-000000000000')).toMatchObject(hidden);
      expect(await read(owner, crypto.randomUUID())).toMatchObject(hidden);
    });

    it('lists a user’s own, newest first, in pages, by status', async () => {
      const [performanceId, userId] = [await seated(10, { maxReservationsPerUser: 10 }), newUserId()];
      const ids: string[] = [];
      for (let seat = 1; seat <= 5; seat++) {
        ids.unshift((await hold(userId, { performanceId, seats: [seat] })).body.reservationId);
      }
      await hold(newUserId(), { performanceId, seats: [6] });
      await untilStored(performanceId, 6);

      expect(await listed(userId)).toEqual({ ids, next: null });
      const first = await listed(userId, '?limit=2');
      expect(first.ids).toEqual(ids.slice(0, 2));
      const second = await listed(userId, `?limit=2&cursor=${first.next}`);
      expect(second.ids).toEqual(ids.slice(2, 4));
      expect(await listed(userId, `?limit=2&cursor=${second.next}`)).toEqual({ ids: ids.slice(4), next: null });
      expect(await listed(userId, '?limit=5')).toEqual({ ids, next: null });

      await cancel(userId, ids[3]!);
      expect((await listed(userId, '?status=CANCELLED')).ids).toEqual([ids[3]]);
      expect((await listed(userId, '?status=HELD')).ids).toEqual(ids.filter((id) => id !== ids[3]));
      expect((await listed(userId, '?status=CONFIRMED')).ids).toEqual([]);
      const { body } = await call(url, 'GET', '/v1/reservations', { userId });
      const shown = await read(userId, ids[0]!);
      expect(body.items[0]).toEqual(shown.body);
    });

    it('lists nothing for a user who has nothing', async () => {
      expect(await call(url, 'GET', '/v1/reservations', { userId: newUserId() })).toMatchObject({
        status: 200,
        body: { items: [], next: null },
      });
    });
  });

  describe('cancelling', () => {
    it('frees the seats at once for somebody else', async () => {
      const [performanceId, userId] = [await seated(3), newUserId()];
      const { reservationId } = (await hold(userId, { performanceId, seats: [1, 2] })).body;
      const cancelled = await cancel(userId, reservationId);
      expect(cancelled.status).toBe(200);
      expect(cancelled.body).toEqual({ reservationId, status: 'CANCELLED', refunded: 0 });
      const next = await hold(newUserId(), { performanceId, seats: [2, 3] });
      expect(next.status).toBe(201);
      expect((await read(userId, reservationId)).body.status).toBe('CANCELLED');
      await untilStored(performanceId, 2);
      expect(await statusOf(performanceId, reservationId)).toBe(storedStatus.CANCELLED);
      const seats = await query('SELECT seat, status, version FROM seats WHERE performance_id = ?', [performanceId]);
      expect(seats).toEqual([
        { seat: 1, status: 0, version: 2 },
        { seat: 2, status: 1, version: 3 },
        { seat: 3, status: 1, version: 1 },
      ]);
      expect(await disagreements(url, performanceId)).toEqual([]);
    });

    it('frees the places of a party at once for somebody else', async () => {
      const [performanceId, userId] = [await capacity(4), newUserId()];
      const { reservationId } = (await hold(userId, { performanceId, partySize: 4 })).body;
      expect(await hold(newUserId(), { performanceId, partySize: 4 })).toMatchObject({ body: { code: 'sold_out' } });
      expect((await cancel(userId, reservationId)).status).toBe(200);
      expect((await hold(newUserId(), { performanceId, partySize: 4 })).status).toBe(201);
      await untilStored(performanceId, 2);
      expect(await disagreements(url, performanceId)).toEqual([]);
    });

    it('lets the same user reserve the same seats again, and that is stored', async () => {
      const userId = newUserId();
      for (const [performanceId, what] of [
        [await seated(2), { seats: [1, 2] }],
        [await capacity(4), { partySize: 4 }],
      ] as const) {
        const ids: string[] = [];
        for (let round = 1; round <= 3; round++) {
          const held = await hold(userId, { performanceId, ...what });
          expect(held.status).toBe(201);
          ids.push(held.body.reservationId);
          await untilStored(performanceId, round);
          expect(await statusOf(performanceId, held.body.reservationId)).toBe(storedStatus.HELD);
          expect((await cancel(userId, held.body.reservationId)).status).toBe(200);
        }
        expect(new Set(ids).size).toBe(3);
        expect((await listed(userId, '?status=CANCELLED')).ids).toEqual(expect.arrayContaining(ids));
      }
    });

    it('twice answers as once, and frees nothing that somebody else has by now', async () => {
      const [performanceId, userId] = [await seated(1), newUserId()];
      const { reservationId } = (await hold(userId, { performanceId, seats: [1] })).body;
      const first = await cancel(userId, reservationId);
      const next = await hold(newUserId(), { performanceId, seats: [1] });
      expect(next.status).toBe(201);
      const second = await cancel(userId, reservationId);
      expect([second.status, second.body]).toEqual([first.status, first.body]);
      expect((await hold(newUserId(), { performanceId, seats: [1] })).status).toBe(409);
      await untilStored(performanceId, 2);
      expect(await statusOf(performanceId, next.body.reservationId)).toBe(storedStatus.HELD);
    });

    it('many times at once is one cancellation', async () => {
      const [performanceId, userId] = [await capacity(5), newUserId()];
      const { reservationId } = (await hold(userId, { performanceId, partySize: 3 })).body;
      const replies = await Promise.all(Array.from({ length: 10 }, () => cancel(userId, reservationId)));
      expect(replies.map(({ status }) => status)).toEqual(new Array(10).fill(200));
      expect((await call(url, 'GET', `/v1/performances/${performanceId}`)).body.remaining).toBe(5);
      expect(await disagreements(url, performanceId)).toEqual([]);
    });

    it('is for the owner alone', async () => {
      const [performanceId, owner] = [await seated(1), newUserId()];
      const { reservationId } = (await hold(owner, { performanceId, seats: [1] })).body;
      const hidden = { status: 404, body: { code: 'reservation_not_found' } };
      expect(await cancel(newUserId(), reservationId)).toMatchObject(hidden);
      expect(await cancel(owner, '01890000-0000-7000-8000-000000000000')).toMatchObject(hidden);
      expect((await read(owner, reservationId)).body.status).toBe('HELD');
    });

    it('comes too late once the hold has ended', async () => {
      const [performanceId, userId] = [await seated(1, { holdSeconds: 1 }), newUserId()];
      const { reservationId } = (await hold(userId, { performanceId, seats: [1] })).body;
      await until('the hold has ended', async () => (await read(userId, reservationId)).body.status === 'EXPIRED');
      const refused = await cancel(userId, reservationId);
      expect(refused).toMatchObject({ status: 409, body: { code: 'reservation_expired' } });
    });
  });
});
