/** The contract's Idempotency-Key: one reservation a key, whoever repeats it, when and where. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  call,
  createPerformance,
  newUserId,
  type Reply,
  startGateway,
  storedReservations,
  type TestGateway,
  until,
} from './harness.ts';

describe.each(['persisted', 'held'])('with FASTPASS_ACK=%s', (ack) => {
  let first: TestGateway;
  let second: TestGateway;

  beforeAll(async () => {
    first = await startGateway({ FASTPASS_ACK: ack });
    second = await startGateway({ FASTPASS_ACK: ack });
  });

  afterAll(async () => {
    await first.stop();
    await second.stop();
  });

  const seated = (fields: Readonly<Record<string, unknown>> = {}): Promise<number> =>
    createPerformance(first.url, { seating: { kind: 'seated', seats: 40 }, ...fields });
  const hold = (userId: number, key: string, body: unknown, gateway = first): Promise<Reply> =>
    call(gateway.url, 'POST', '/v1/reservations', { userId, body, headers: { 'idempotency-key': key } });
  const isReplayed = (reply: Reply): boolean => reply.headers.get('idempotency-replayed') === 'true';
  /** The one reservation that was stored, and that no other one was. */
  const expectOneStored = async (performanceId: number, id: string): Promise<void> => {
    await until('it is stored', async () => (await storedReservations(performanceId)).length > 0);
    expect((await storedReservations(performanceId)).map((reservation) => reservation.id)).toEqual([id]);
  };

  it('gives the first answer again, body and Location, and says so', async () => {
    const [performanceId, userId, key] = [await seated(), newUserId(), crypto.randomUUID()];
    const answer = await hold(userId, key, { performanceId, seats: [1, 2] });
    expect(answer.status).toBe(201);
    expect(isReplayed(answer)).toBe(false);
    for (const body of [
      { performanceId, seats: [1, 2] },
      { seats: [1, 2], performanceId },
    ]) {
      const repeat = await hold(userId, key, body);
      expect([repeat.status, repeat.body]).toEqual([201, answer.body]);
      expect(repeat.headers.get('location')).toBe(answer.headers.get('location'));
      expect(isReplayed(repeat)).toBe(true);
    }
    await expectOneStored(performanceId, answer.body.reservationId);
  });

  it('gives it again even where a second hold would be allowed', async () => {
    const [performanceId, userId] = [await seated({ maxReservationsPerUser: 5 }), newUserId()];
    const [one, again, other] = [
      await hold(userId, 'one', { performanceId, seats: [1] }),
      await hold(userId, 'one', { performanceId, seats: [1] }),
      await hold(userId, 'other', { performanceId, seats: [2] }),
    ];
    expect(again.body).toEqual(one.body);
    expect(other.status).toBe(201);
    expect(other.body.reservationId).not.toBe(one.body.reservationId);
  });

  it('makes one reservation of twenty repeats at once', async () => {
    const [performanceId, userId, key] = [
      await seated({ maxReservationsPerUser: 5 }),
      newUserId(),
      crypto.randomUUID(),
    ];
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => hold(userId, key, { performanceId, seats: [3] })),
    );
    expect(replies.map(({ status }) => status)).toEqual(new Array(20).fill(201));
    expect(new Set(replies.map(({ body }) => body.reservationId)).size).toBe(1);
    expect(replies.filter((reply) => !isReplayed(reply))).toHaveLength(1);
    await expectOneStored(performanceId, replies[0]!.body.reservationId);
  });

  it('makes one reservation of twenty repeats at once at two gateways', async () => {
    const [performanceId, userId, key] = [
      await seated({ maxReservationsPerUser: 5 }),
      newUserId(),
      crypto.randomUUID(),
    ];
    const replies = await Promise.all(
      Array.from({ length: 20 }, (_, i) => hold(userId, key, { performanceId, seats: [3] }, i % 2 ? first : second)),
    );
    expect(replies.map(({ status }) => status)).toEqual(new Array(20).fill(201));
    expect(new Set(replies.map(({ body }) => body.reservationId)).size).toBe(1);
    await expectOneStored(performanceId, replies[0]!.body.reservationId);
  });

  it('is known at the other gateway', async () => {
    const [performanceId, userId, key] = [await seated(), newUserId(), crypto.randomUUID()];
    const answer = await hold(userId, key, { performanceId, seats: [1] }, first);
    const repeat = await hold(userId, key, { performanceId, seats: [1] }, second);
    expect([repeat.status, repeat.body]).toEqual([201, answer.body]);
    expect(isReplayed(repeat)).toBe(true);
    const other = await hold(userId, key, { performanceId, seats: [2] }, second);
    expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
  });

  it('with another body, or for another performance, is idempotency_key_reused', async () => {
    const [performanceId, other] = [await seated(), await seated()];
    const [userId, key] = [newUserId(), crypto.randomUUID()];
    const answer = await hold(userId, key, { performanceId, seats: [1] });
    for (const body of [
      { performanceId, seats: [2] },
      { performanceId, seats: [1, 2] },
      { performanceId: other, seats: [1] },
    ]) {
      expect(await hold(userId, key, body)).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    }
    expect((await hold(userId, key, { performanceId, seats: [1] })).body).toEqual(answer.body);
    expect((await storedReservations(other)).length).toBe(0);
  });

  it('with another body while the first is under way is idempotency_key_reused too', async () => {
    const [performanceId, userId, key] = [
      await seated({ maxReservationsPerUser: 5 }),
      newUserId(),
      crypto.randomUUID(),
    ];
    const replies = await Promise.all(
      [1, 2, 3, 4].map((seat) => hold(userId, key, { performanceId, seats: [seat] }, seat % 2 ? first : second)),
    );
    expect(replies.map(({ status }) => status).sort()).toEqual([201, 422, 422, 422]);
  });

  it('is each user’s own', async () => {
    const [performanceId, key] = [await seated(), crypto.randomUUID()];
    const [one, other] = [
      await hold(newUserId(), key, { performanceId, seats: [1] }),
      await hold(newUserId(), key, { performanceId, seats: [2] }),
    ];
    expect([one.status, other.status]).toEqual([201, 201]);
    expect(isReplayed(other)).toBe(false);
  });

  it('remembers no 409: the repeat runs anew and may win', async () => {
    const performanceId = await seated();
    const capacityId = await createPerformance(first.url, { seating: { kind: 'capacity', capacity: 2 } });
    for (const [body, code] of [
      [{ performanceId, seats: [5] }, 'seat_taken'],
      [{ performanceId: capacityId, partySize: 2 }, 'sold_out'],
    ] as const) {
      const [winner, userId, key] = [newUserId(), newUserId(), crypto.randomUUID()];
      const won = await call(first.url, 'POST', '/v1/reservations', { userId: winner, body });
      expect(won.status).toBe(201);
      expect(await hold(userId, key, body)).toMatchObject({ status: 409, body: { code } });
      await call(first.url, 'DELETE', `/v1/reservations/${won.body.reservationId}`, { userId: winner });
      const repeat = await hold(userId, key, body);
      expect(repeat.status).toBe(201);
      expect(isReplayed(repeat)).toBe(false);
      expect((await hold(userId, key, body)).body).toEqual(repeat.body);
    }
  });

  it('remembers a 4xx that states a fact about the request', async () => {
    const [performanceId, userId, key] = [await seated(), newUserId(), crypto.randomUUID()];
    const answer = await hold(userId, key, { performanceId, seats: [41] });
    expect(answer).toMatchObject({ status: 404, body: { code: 'seat_not_found', seats: [41] } });
    const repeat = await hold(userId, key, { performanceId, seats: [41] });
    expect([repeat.status, repeat.body]).toEqual([404, answer.body]);
    expect(isReplayed(repeat)).toBe(true);
    expect(repeat.headers.get('content-type')).toBe('application/problem+json');
  });

  it('gives the answer of a hold again after it was cancelled, and holds nothing', async () => {
    const [performanceId, userId, key] = [await seated(), newUserId(), crypto.randomUUID()];
    const answer = await hold(userId, key, { performanceId, seats: [1] });
    await call(first.url, 'DELETE', `/v1/reservations/${answer.body.reservationId}`, { userId });
    expect((await hold(userId, key, { performanceId, seats: [1] })).body).toEqual(answer.body);
    const other = await call(first.url, 'POST', '/v1/reservations', {
      userId: newUserId(),
      body: { performanceId, seats: [1] },
    });
    expect(other.status).toBe(201);
  });
});
