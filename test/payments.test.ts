/** Payment and refund: a hold becomes a sale exactly once, or nothing happens; what is cancelled gives money and seats back. */
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { silentLog } from '../src/logger.ts';
import { idempotencyKey, performanceKeys } from '../src/lua/keys.ts';
import { Database } from '../src/persist/database.ts';
import { pay as payInMysql } from '../src/persist/payments.ts';
import { startApart } from './apart.ts';
import {
  call,
  createPerformance,
  disagreements,
  newUserId,
  query,
  type Reply,
  redisClient,
  startGateway,
  storedReservations,
  storedStatus,
  type TestGateway,
  until,
  untilLapsed,
  whileLocked,
} from './harness.ts';
import { balanceOf, brokenBooks, brokenSales, cancel, charge, hold, pay, storedEntries } from './money.ts';
import { openSocket, type TestSocket } from './socket.ts';

const uuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

let gateway: TestGateway;
let other: TestGateway;
let url: string;
let redis: Redis;

beforeAll(async () => {
  redis = redisClient();
  gateway = await startGateway();
  other = await startGateway();
  url = gateway.url;
});

afterAll(async () => {
  await Promise.all([gateway.stop(), other.stop()]);
  redis.disconnect();
});

/** One of the two gateways, in turns. */
const at = (i: number): string => (i % 2 === 0 ? url : other.url);

const seated = (seats: number, fields: Readonly<Record<string, unknown>> = {}): Promise<number> =>
  createPerformance(url, { seating: { kind: 'seated', seats }, price: 1000, ...fields });

const read = async (userId: number, reservationId: string): Promise<Reply> =>
  call(url, 'GET', `/v1/reservations/${reservationId}`, { userId });

interface Held {
  readonly userId: number;
  readonly performanceId: number;
  readonly reservationId: string;
}

/** A hold of a new user with money. */
async function heldBy(performanceId: number, what: unknown = { seats: [1] }, money = 5000): Promise<Held> {
  const userId = newUserId();
  if (money > 0) await charge(url, userId, money);
  const held = await hold(url, userId, { performanceId, ...(what as object) });
  expect(held.status).toBe(201);
  return { userId, performanceId, reservationId: held.body.reservationId };
}

async function storedPayments(reservationId: string): Promise<{ status: number; amount: number; balance: number }[]> {
  const rows = await query('SELECT status, amount, balance FROM payments WHERE reservation_id = UNHEX(?)', [
    reservationId.replaceAll('-', ''),
  ]);
  return rows.map((row) => ({ ...row }) as unknown as { status: number; amount: number; balance: number });
}

async function seatStatuses(performanceId: number, from = url): Promise<string[]> {
  const { body } = await call(from, 'GET', `/v1/performances/${performanceId}/seats`);
  return body.seats.map(({ status }: { status: string }) => status);
}

/** Money and seats are as they must be, in MySQL and in what is shown. */
async function expectSalesRight(...performanceIds: readonly number[]): Promise<void> {
  for (const performanceId of performanceIds) {
    expect(await brokenSales(performanceId)).toEqual([]);
    for (const each of [url, other.url]) expect(await disagreements(each, performanceId)).toEqual([]);
  }
}

/** Resolves when the time of a hold is over by the clocks of Redis and of MySQL. */
async function untilOver(reservationId: string, expiresAt: string): Promise<void> {
  await until('the time of the hold is over', async () => {
    const [seconds] = await redis.time();
    const [row] = await query('SELECT hold_ends_at <= NOW(3) AS is_over FROM reservations WHERE id = UNHEX(?)', [
      reservationId.replaceAll('-', ''),
    ]);
    return Number(seconds) * 1000 > Date.parse(expiresAt) && row!['is_over'] === 1;
  });
}

describe('paying', () => {
  it('answers with the payment, confirms the reservation and occupies its seats everywhere', async () => {
    const performanceId = await seated(3);
    const { userId, reservationId } = await heldBy(performanceId, { seats: [3, 1] });
    const paid = await pay(url, userId, reservationId);
    const { paymentId, ...rest } = paid.body;
    expect(paid.status).toBe(201);
    expect(paymentId).toMatch(uuid7);
    expect(rest).toEqual({ reservationId, amount: 2000, balance: 3000, status: 'PAID' });
    for (const each of [url, other.url]) {
      const shown = await call(each, 'GET', `/v1/reservations/${reservationId}`, { userId });
      expect(shown.body).toMatchObject({ status: 'CONFIRMED', amount: 2000 });
      expect(await seatStatuses(performanceId, each)).toEqual(['OCCUPIED', 'AVAILABLE', 'OCCUPIED']);
    }
    const seats = await query('SELECT seat, status, version FROM seats WHERE performance_id = ?', [performanceId]);
    expect(seats).toEqual([
      { seat: 1, status: 2, version: 2 },
      { seat: 2, status: 0, version: 0 },
      { seat: 3, status: 2, version: 2 },
    ]);
    const keys = performanceKeys(performanceId);
    expect(await redis.hmget(keys.seats, '1', '3')).toEqual([`O 2 0 ${reservationId}`, `O 2 0 ${reservationId}`]);
    expect(await redis.hget(keys.reservations, reservationId)).toBe(`${userId} 0 0 3,1`);
    expect(await storedPayments(reservationId)).toEqual([{ status: 1, amount: 2000, balance: 3000 }]);
    const { body } = await call(url, 'GET', '/v1/reservations?status=CONFIRMED', { userId });
    expect(body.items.map((item: Held) => item.reservationId)).toEqual([reservationId]);
    expect((await hold(url, newUserId(), { performanceId, seats: [1] })).body.code).toBe('seat_taken');
    await expectSalesRight(performanceId);
  });

  it('again gives the first answer again, with a key, without one, and at another gateway', async () => {
    const performanceId = await seated(1);
    const { userId, reservationId } = await heldBy(performanceId);
    const first = await pay(url, userId, reservationId, 'once');
    await charge(url, userId, 77);
    const again = [
      await pay(url, userId, reservationId),
      await pay(other.url, userId, reservationId),
      await pay(other.url, userId, reservationId, 'once'),
      await pay(url, userId, reservationId, 'twice'),
      await pay(url, userId, reservationId.toUpperCase()),
    ];
    for (const { status, body } of again) expect([status, body]).toEqual([201, first.body]);
    expect(again[2]!.headers.get('idempotency-replayed')).toBe('true');
    expect(await balanceOf(url, userId)).toBe(4077);
    await expectSalesRight(performanceId);
  });

  it('with an upper-case id is the same to every store', async () => {
    const performanceId = await seated(1);
    const { userId, reservationId } = await heldBy(performanceId);
    const paid = await pay(url, userId, reservationId.toUpperCase());
    expect(paid).toMatchObject({ status: 201, body: { reservationId } });
    expect(await redis.hget(performanceKeys(performanceId).seats, '1')).toBe(`O 2 0 ${reservationId}`);
    await expectSalesRight(performanceId);
  });

  it('for places of a party takes the price of each, and the places stay taken', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'capacity', capacity: 5 }, price: 300 });
    const { userId, reservationId } = await heldBy(performanceId, { partySize: 4 });
    expect((await pay(url, userId, reservationId)).body).toMatchObject({ amount: 1200, balance: 3800 });
    const keys = performanceKeys(performanceId);
    expect(await redis.hget(keys.reservations, reservationId)).toBe(`${userId} 0 4 `);
    expect(await redis.zscore(keys.expiry, reservationId)).toBeNull();
    expect((await hold(url, newUserId(), { performanceId, partySize: 2 })).body.code).toBe('sold_out');
    expect((await hold(url, newUserId(), { performanceId, partySize: 1 })).status).toBe(201);
    await expectSalesRight(performanceId);
    expect((await cancel(url, userId, reservationId)).body.refunded).toBe(1200);
    expect((await hold(url, newUserId(), { performanceId, partySize: 4 })).status).toBe(201);
    await expectSalesRight(performanceId);
  });

  it('for what costs nothing needs no money, and is a payment all the same', async () => {
    const performanceId = await seated(1, { price: 0 });
    const { userId, reservationId } = await heldBy(performanceId, { seats: [1] }, 0);
    const paid = await pay(url, userId, reservationId);
    expect(paid).toMatchObject({ status: 201, body: { amount: 0, balance: 0, status: 'PAID' } });
    expect((await pay(url, userId, reservationId)).body).toEqual(paid.body);
    await expectSalesRight(performanceId);
    expect(await cancel(url, userId, reservationId)).toMatchObject({ status: 200, body: { refunded: 0 } });
    await expectSalesRight(performanceId);
  });

  it('with the last of one’s money leaves 0', async () => {
    const performanceId = await seated(1);
    const { userId, reservationId } = await heldBy(performanceId, { seats: [1] }, 1000);
    expect((await pay(url, userId, reservationId)).body.balance).toBe(0);
    await expectSalesRight(performanceId);
  });

  it('with too little money is insufficient_balance and changes nothing; after a charge it works', async () => {
    const performanceId = await seated(1);
    const { userId, reservationId } = await heldBy(performanceId, { seats: [1] }, 999);
    const before = (await read(userId, reservationId)).body;
    for (const key of [undefined, 'the-same-key', 'the-same-key']) {
      const refused = await pay(url, userId, reservationId, key);
      expect(refused).toMatchObject({ status: 402, body: { code: 'insufficient_balance' } });
    }
    expect((await read(userId, reservationId)).body).toEqual(before);
    expect(await balanceOf(url, userId)).toBe(999);
    expect(await storedEntries(userId)).toHaveLength(1);
    expect(await storedPayments(reservationId)).toEqual([]);
    expect(await query('SELECT status, version FROM seats WHERE performance_id = ?', [performanceId])).toEqual([
      { status: 1, version: 1 },
    ]);
    expect(await seatStatuses(performanceId)).toEqual(['HELD']);
    await charge(url, userId, 1);
    expect(await pay(url, userId, reservationId, 'the-same-key')).toMatchObject({ status: 201, body: { balance: 0 } });
    await expectSalesRight(performanceId);
  });

  it('by who has never had money is insufficient_balance too, and leaves no trace of a balance', async () => {
    const performanceId = await seated(1);
    const { userId, reservationId } = await heldBy(performanceId, { seats: [1] }, 0);
    expect((await pay(url, userId, reservationId)).status).toBe(402);
    expect(await query('SELECT * FROM balances WHERE user_id = ?', [userId])).toEqual([]);
    await expectSalesRight(performanceId);
  });

  it('what is cancelled or refunded is reservation_not_payable', async () => {
    const performanceId = await seated(2);
    const [dropped, refunded] = [await heldBy(performanceId), await heldBy(performanceId, { seats: [2] })];
    await cancel(url, dropped.userId, dropped.reservationId);
    await pay(url, refunded.userId, refunded.reservationId);
    await cancel(url, refunded.userId, refunded.reservationId);
    for (const { userId, reservationId } of [dropped, refunded]) {
      const refused = await pay(url, userId, reservationId);
      expect(refused).toMatchObject({ status: 409, body: { code: 'reservation_not_payable' } });
      expect(await balanceOf(url, userId)).toBe(5000);
    }
    await expectSalesRight(performanceId);
  });

  it('what has expired is reservation_expired', async () => {
    const performanceId = await seated(1, { holdSeconds: 1 });
    const { userId, reservationId } = await heldBy(performanceId);
    await until('the hold is over', async () => (await read(userId, reservationId)).body.status === 'EXPIRED');
    const refused = await pay(url, userId, reservationId);
    expect(refused).toMatchObject({ status: 409, body: { code: 'reservation_expired' } });
    expect(await balanceOf(url, userId)).toBe(5000);
    await until('MySQL has expired it', async () => {
      return (await storedReservations(performanceId))[0]!.status === storedStatus.EXPIRED;
    });
    expect((await pay(url, userId, reservationId)).body.code).toBe('reservation_expired');
    await until('Redis knows it, too', async () => (await disagreements(url, performanceId)).length === 0);
    expect(await seatStatuses(performanceId)).toEqual(['AVAILABLE']);
    await expectSalesRight(performanceId);
  });

  it('what has ended by the clock of MySQL is reservation_expired before anybody has expired it', async () => {
    const performanceId = await seated(1);
    const { userId, reservationId } = await heldBy(performanceId);
    // In one transaction, so that nobody expires it before: the payment itself must see that its time is over.
    const database = new Database(inject('mysqlUrl'), silentLog, 1);
    onTestFinished(() => database.close());
    const result = await database.transaction(async (transaction) => {
      const id = reservationId.replaceAll('-', '');
      await transaction.write('UPDATE reservations SET hold_ends_at = NOW(3) WHERE id = UNHEX(?)', [id]);
      const inside = { transaction: (work: (of: typeof transaction) => unknown) => work(transaction) };
      return payInMysql(inside as unknown as Database, reservationId, userId);
    });
    expect(result).toEqual({ kind: 'not_held' });
    expect(await pay(url, userId, reservationId)).toMatchObject({
      status: 409,
      body: { code: 'reservation_expired' },
    });
    expect(await balanceOf(url, userId)).toBe(5000);
  });

  it('what nobody has, or what is no id at all, is refused as such', async () => {
    const userId = newUserId();
    await charge(url, userId, 5000);
    for (const id of ['01890000-0000-7000-8000-000000000000', randomUUID()]) {
      expect(await pay(url, userId, id)).toMatchObject({ status: 404, body: { code: 'reservation_not_found' } });
    }
    for (const id of ['17', 'null', '01890000-0000-7000-8000-00000000000', '%27%20OR%201=1']) {
      expect(await pay(url, userId, id)).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    }
    expect(await balanceOf(url, userId)).toBe(5000);
  });

  it('after the hold request, the same key gives the first 201 of the hold again', async () => {
    const performanceId = await seated(2);
    const userId = newUserId();
    await charge(url, userId, 1000);
    const body = { performanceId, seats: [1] };
    const first = await hold(url, userId, body, 'my-hold');
    expect((await pay(url, userId, first.body.reservationId)).status).toBe(201);
    for (const each of [url, other.url]) {
      const again = await hold(each, userId, body, 'my-hold');
      expect([again.status, again.body]).toEqual([201, first.body]);
      expect(again.headers.get('idempotency-replayed')).toBe('true');
      expect(again.headers.get('location')).toBe(first.headers.get('location'));
    }
    // Also where the first answer was lost on its way: the id stands, the answer does not.
    const key = idempotencyKey(userId, 'my-hold');
    const claim = JSON.parse((await redis.get(key))!);
    await redis.set(key, JSON.stringify({ ...claim, isOpen: true, answer: null }));
    const anew = await hold(url, userId, body, 'my-hold');
    expect([anew.status, anew.body]).toEqual([201, first.body]);
    await expectSalesRight(performanceId);
    expect(await storedReservations(performanceId)).toHaveLength(1);
  });
});

describe('fifty payments at once of one hold, at two gateways', () => {
  it.each<[string, (i: number) => string | undefined]>([
    ['without a key', () => undefined],
    ['with one key', () => 'one-key'],
    ['with a key each', (i) => `key-${i}`],
    ['with a key or without', (i) => (i % 3 === 0 ? undefined : `key-${i % 5}`)],
  ])('%s are one charge, one payment, and one answer', async (_name, keyOf) => {
    const performanceId = await seated(2);
    const { userId, reservationId } = await heldBy(performanceId, { seats: [1, 2] });
    const keys = Array.from({ length: 50 }, (_, i) => keyOf(i));
    const replies = await Promise.all(keys.map((key, i) => pay(at(i), userId, reservationId, key)));
    const paid = replies.filter(({ status }) => status === 201);
    expect(paid.length).toBeGreaterThan(0);
    for (const { body } of paid) expect(body).toEqual(paid[0]!.body);
    const rest = replies.filter(({ status }) => status !== 201).map(({ status, body }) => `${status} ${body.code}`);
    expect(rest.filter((text) => !text.startsWith('4'))).toEqual([]);
    expect(await balanceOf(url, userId)).toBe(3000);
    expect(await storedEntries(userId)).toHaveLength(2);
    expect(await storedPayments(reservationId)).toEqual([{ status: 1, amount: 2000, balance: 3000 }]);
    await expectSalesRight(performanceId);
  });
});

describe('money for one of two holds', () => {
  it('pays exactly one of them, whichever gateways they are paid at', async () => {
    const performances = await Promise.all(Array.from({ length: 10 }, () => seated(2, { maxReservationsPerUser: 2 })));
    await Promise.all(
      performances.map(async (performanceId, i) => {
        const userId = newUserId();
        await charge(url, userId, 1500);
        const ids: string[] = [];
        for (const seat of [1, 2]) {
          ids.push((await hold(url, userId, { performanceId, seats: [seat] })).body.reservationId);
        }
        const replies = await Promise.all(ids.map((id, k) => pay(at(i % 3 === 0 ? 0 : k), userId, id)));
        expect(replies.map(({ status }) => status).sort()).toEqual([201, 402]);
        expect(await balanceOf(url, userId)).toBe(500);
        const winner = ids[replies.findIndex(({ status }) => status === 201)]!;
        expect((await read(userId, winner)).body.status).toBe('CONFIRMED');
      }),
    );
    await expectSalesRight(...performances);
  });
});

describe('a paid reservation', () => {
  it('never lapses: its time passes, others expire, and it stays', async () => {
    const performanceId = await seated(2, { holdSeconds: 2 });
    const userId = newUserId();
    await charge(url, userId, 1000);
    const held = await hold(url, userId, { performanceId, seats: [1] });
    expect((await pay(url, userId, held.body.reservationId)).status).toBe(201);
    // A hold made later, and not paid: once it has expired, whoever expires has passed over the other.
    const later = await heldBy(performanceId, { seats: [2] });
    await untilOver(held.body.reservationId, held.body.expiresAt);
    await until('the later hold has expired', async () => {
      const stored = await storedReservations(performanceId);
      return stored.find(({ id }) => id === later.reservationId)!.status === storedStatus.EXPIRED;
    });
    await until('Redis knows it, too', async () => (await disagreements(url, performanceId)).length === 0);
    expect((await read(userId, held.body.reservationId)).body.status).toBe('CONFIRMED');
    expect(await hold(url, newUserId(), { performanceId, seats: [1] })).toMatchObject({
      status: 409,
      body: { code: 'seat_taken', seats: [1] },
    });
    expect(await hold(url, userId, { performanceId, seats: [2] })).toMatchObject({
      status: 409,
      body: { code: 'already_reserved', reservationId: held.body.reservationId },
    });
    expect(await seatStatuses(performanceId)).toEqual(['OCCUPIED', 'AVAILABLE']);
    await expectSalesRight(performanceId);
  });

  it.each([
    ['seated', { kind: 'seated', seats: 2 }, { seats: [1] }, { seats: [1] }, 'seat_taken'],
    ['capacity', { kind: 'capacity', capacity: 4 }, { partySize: 3 }, { partySize: 2 }, 'sold_out'],
  ] as const)('is known after a cold start and after FLUSHALL: %s', async (_kind, seating, what, wish, code) => {
    const performanceId = await createPerformance(url, { seating, holdSeconds: 2, price: 10 });
    const { userId, reservationId } = await heldBy(performanceId, what);
    expect((await pay(url, userId, reservationId)).status).toBe(201);
    for (const forget of [
      () => redis.del(performanceKeys(performanceId).meta),
      () => redis.flushall(),
      () => redis.flushall(),
    ]) {
      await forget();
      const refused = await hold(url, newUserId(), { performanceId, ...wish });
      expect(refused).toMatchObject({ status: 409, body: { code } });
      const again = { performanceId, ...(code === 'sold_out' ? { partySize: 1 } : what) };
      expect((await hold(url, userId, again)).body).toMatchObject({ code: 'already_reserved', reservationId });
      await expectSalesRight(performanceId);
    }
    expect((await cancel(url, userId, reservationId)).body).toMatchObject({ status: 'CANCELLED' });
    expect((await hold(url, newUserId(), { performanceId, ...wish })).status).toBe(201);
    await expectSalesRight(performanceId);
  });

  it('whose gateway died before it told Redis is not sold again when the hold would have ended', async () => {
    const database = new Database(inject('mysqlUrl'), silentLog, 1);
    onTestFinished(() => database.close());
    const performances = [
      await seated(1, { holdSeconds: 2 }),
      await createPerformance(url, { seating: { kind: 'capacity', capacity: 4 }, holdSeconds: 2, price: 10 }),
    ];
    const wishes = [{ seats: [1] }, { partySize: 4 }];
    for (const [i, performanceId] of performances.entries()) {
      const userId = newUserId();
      await charge(url, userId, 5000);
      const held = await hold(url, userId, { performanceId, ...wishes[i] });
      const { reservationId, expiresAt } = held.body;
      expect((await payInMysql(database, reservationId, userId)).kind).toBe('paid');
      await untilOver(reservationId, expiresAt);
      await untilLapsed(performanceId, reservationId);
      const rival = await hold(url, newUserId(), { performanceId, ...wishes[i] });
      expect(rival).toMatchObject({ status: 409, body: { code: i === 0 ? 'seat_taken' : 'sold_out' } });
      expect((await read(userId, reservationId)).body.status).toBe('CONFIRMED');
    }
    await expectSalesRight(...performances);
  });
});

describe('cancelling', () => {
  it('what is paid refunds it once, and frees the seats for another at once', async () => {
    const performanceId = await seated(2);
    const { userId, reservationId } = await heldBy(performanceId, { seats: [1, 2] });
    await pay(url, userId, reservationId);
    const cancelled = await cancel(url, userId, reservationId);
    expect([cancelled.status, cancelled.body]).toEqual([200, { reservationId, status: 'CANCELLED', refunded: 2000 }]);
    const next = await heldBy(performanceId, { seats: [2, 1] });
    expect(await balanceOf(url, userId)).toBe(5000);
    expect((await read(userId, reservationId)).body.status).toBe('CANCELLED');
    expect(await storedPayments(reservationId)).toEqual([{ status: 2, amount: 2000, balance: 3000 }]);
    // Again, at another gateway: the same answer, nothing more.
    const again = await cancel(other.url, userId, reservationId);
    expect([again.status, again.body]).toEqual([200, cancelled.body]);
    expect(await balanceOf(url, userId)).toBe(5000);
    expect((await pay(url, next.userId, next.reservationId)).status).toBe(201);
    await expectSalesRight(performanceId);
  });

  it('what is paid, twenty times at once at two gateways, refunds it once', async () => {
    const performances = await Promise.all([1, 2, 3, 4, 5].map(() => seated(1)));
    await Promise.all(
      performances.map(async (performanceId) => {
        const { userId, reservationId } = await heldBy(performanceId);
        await pay(url, userId, reservationId);
        const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => cancel(at(i), userId, reservationId)));
        for (const { status, body } of replies) {
          expect([status, body]).toEqual([200, { reservationId, status: 'CANCELLED', refunded: 1000 }]);
        }
        expect(await balanceOf(url, userId)).toBe(5000);
        expect(await storedEntries(userId)).toHaveLength(3);
      }),
    );
    await expectSalesRight(...performances);
  });

  it('what is paid, after the time of its hold too', async () => {
    const performanceId = await seated(1, { holdSeconds: 2 });
    const userId = newUserId();
    await charge(url, userId, 1000);
    const held = await hold(url, userId, { performanceId, seats: [1] });
    await pay(url, userId, held.body.reservationId);
    await untilOver(held.body.reservationId, held.body.expiresAt);
    expect((await cancel(url, userId, held.body.reservationId)).body.refunded).toBe(1000);
    await expectSalesRight(performanceId);
  });

  it('and buying again, over and over, keeps the books and the versions of the seat', async () => {
    const performanceId = await seated(1);
    const userId = newUserId();
    await charge(url, userId, 1000);
    for (let round = 0; round < 5; round++) {
      const held = await hold(at(round), userId, { performanceId, seats: [1] });
      expect(held.status).toBe(201);
      const { reservationId } = held.body;
      expect((await pay(at(round + 1), userId, reservationId)).body).toMatchObject({ balance: 0 });
      expect((await cancel(at(round), userId, reservationId)).body.refunded).toBe(1000);
    }
    expect(await query('SELECT status, version FROM seats WHERE performance_id = ?', [performanceId])).toEqual([
      { status: 0, version: 15 },
    ]);
    expect(await balanceOf(url, userId)).toBe(1000);
    expect(await storedEntries(userId)).toHaveLength(11);
    await expectSalesRight(performanceId);
  });
});

describe('who is told', () => {
  const isOf =
    (seat: number, status: string) =>
    ({ changes }: { changes: [number, string][] }): boolean =>
      changes.some(([changed, now]) => changed === seat && now === status);

  /** Resolves when a socket is told of changes: holds and cancels a seat until it hears of it. */
  async function watch(socket: TestSocket, performanceId: number, bell: number): Promise<void> {
    socket.send({ type: 'seats.watch', performanceId });
    await until('the seats are watched', async () => {
      const { userId, reservationId } = await heldBy(performanceId, { seats: [bell] }, 0);
      const told = await socket.message('seats.changed', isOf(bell, 'HELD'), 400).catch(() => null);
      await cancel(url, userId, reservationId);
      return told !== null;
    });
  }

  it('those who watch the seats, on every gateway: sold, and free again', async () => {
    const performanceId = await seated(9);
    const sockets = await Promise.all([url, other.url].map((each) => openSocket(each, newUserId())));
    onTestFinished(() => {
      for (const socket of sockets) socket.close();
    });
    for (const socket of sockets) await watch(socket, performanceId, 9);
    const { userId, reservationId } = await heldBy(performanceId, { seats: [4, 5] });
    await pay(url, userId, reservationId);
    for (const socket of sockets) {
      for (const seat of [4, 5]) await socket.message('seats.changed', isOf(seat, 'OCCUPIED'));
    }
    await cancel(other.url, userId, reservationId);
    for (const socket of sockets) {
      for (const seat of [4, 5]) await socket.message('seats.changed', isOf(seat, 'AVAILABLE'));
      const of4 = socket
        .of('seats.changed')
        .flatMap(({ changes }) => changes as [number, string][])
        .filter(([seat]) => seat === 4)
        .map(([, status]) => status);
      expect(of4.filter((status) => status !== 'HELD')).toEqual(['OCCUPIED', 'AVAILABLE']);
    }
  });

  it('the owner alone, on whichever gateway, of the confirmation', async () => {
    const performanceId = await seated(2);
    const [owner, stranger] = [await heldBy(performanceId), await heldBy(performanceId, { seats: [2] })];
    const mine = await Promise.all([url, other.url].map((each) => openSocket(each, owner.userId)));
    const theirs = await openSocket(other.url, stranger.userId);
    onTestFinished(() => {
      for (const socket of [...mine, theirs]) socket.close();
    });
    await pay(url, owner.userId, owner.reservationId);
    for (const socket of mine) {
      expect(await socket.message('reservation.confirmed')).toEqual({
        type: 'reservation.confirmed',
        reservationId: owner.reservationId,
      });
    }
    // What comes after would have come after the other's.
    await pay(url, stranger.userId, stranger.reservationId);
    await theirs.message('reservation.confirmed', ({ reservationId }) => reservationId === stranger.reservationId);
    expect(theirs.of('reservation.confirmed')).toHaveLength(1);
    // A repeat tells nobody anything new.
    await pay(url, owner.userId, owner.reservationId);
    for (const socket of mine) {
      socket.send({ type: 'ping' });
      await socket.message('pong');
      expect(socket.of('reservation.confirmed')).toHaveLength(1);
    }
  });
});

describe('the queue pass', () => {
  const passed = { seating: { kind: 'seated', seats: 5 }, price: 100, maxReservationsPerUser: 3 };
  const ticketOf = (performanceId: number, userId: number, ticket: string): Promise<Reply> =>
    call(url, 'GET', `/v1/performances/${performanceId}/queue/tickets/current`, {
      userId,
      headers: { 'queue-ticket': ticket },
    });
  const holdWith = (userId: number, performanceId: number, seats: number[], pass: string): Promise<Reply> =>
    call(url, 'POST', '/v1/reservations', {
      userId,
      body: { performanceId, seats },
      headers: { 'queue-pass': pass },
    });

  /** A gateway tells the counts of a room as they were up to 100 ms ago, of before a test's last step perhaps. */
  const untilCounted = (path: string, counts: { waiting: number; active: number }): Promise<void> =>
    until(`${counts.waiting} waiting, ${counts.active} active`, async () => {
      const { body } = await call(url, 'GET', path);
      return body.waiting === counts.waiting && body.active === counts.active;
    });

  /** A room for one at a time; two have joined, the first one is in and holds seat 1. */
  async function roomForOne() {
    const performanceId = await createPerformance(url, passed);
    const path = `/v1/performances/${performanceId}/queue`;
    const body = { mode: 'on', admitPerSecond: 1000, maxActive: 1 };
    expect((await call(url, 'PUT', path, { userId: 1, role: 'admin', body })).status).toBe(200);
    const people: { userId: number; ticket: string }[] = [];
    for (const userId of [newUserId(), newUserId()]) {
      await charge(url, userId, 1000);
      const joined = await call(url, 'POST', `${path}/tickets`, { userId });
      people.push({ userId, ticket: joined.body.ticket });
    }
    const [first, second] = people as [(typeof people)[0], (typeof people)[0]];
    const passOf = async ({ userId, ticket }: (typeof people)[0]): Promise<string> => {
      let pass = '';
      await until('admitted', async () => {
        const { body } = await ticketOf(performanceId, userId, ticket);
        pass = body.pass ?? '';
        return body.status === 'admitted';
      });
      return pass;
    };
    const pass = await passOf(first);
    const held = await holdWith(first.userId, performanceId, [1], pass);
    expect(held.status).toBe(201);
    return { performanceId, path, first, second, passOf, pass, reservationId: held.body.reservationId as string };
  }

  it('is spent by the payment: the next one comes in, and it is good for nothing more', async () => {
    const { performanceId, path, first, second, passOf, pass, reservationId } = await roomForOne();
    expect((await ticketOf(performanceId, second.userId, second.ticket)).body.status).toBe('waiting');
    await untilCounted(path, { waiting: 1, active: 1 });
    expect((await pay(other.url, first.userId, reservationId)).status).toBe(201);
    const nextPass = await passOf(second);
    expect(await holdWith(first.userId, performanceId, [2], pass)).toMatchObject({
      status: 403,
      body: { code: 'queue_pass_invalid' },
    });
    expect((await ticketOf(performanceId, first.userId, first.ticket)).body).toEqual({ status: 'left' });

    // The money comes back, the pass does not.
    expect((await cancel(url, first.userId, reservationId)).body.refunded).toBe(100);
    expect(await holdWith(first.userId, performanceId, [2], pass)).toMatchObject({
      status: 403,
      body: { code: 'queue_pass_invalid' },
    });
    await untilCounted(path, { waiting: 0, active: 1 });
    expect((await holdWith(second.userId, performanceId, [1], nextPass)).status).toBe(201);
    await expectSalesRight(performanceId);
  });

  it('is kept by a payment that was refused for want of money', async () => {
    const { performanceId, path, first, second, reservationId } = await roomForOne();
    // The money is spent elsewhere.
    const elsewhere = await seated(1);
    const spent = await hold(url, first.userId, { performanceId: elsewhere, seats: [1] });
    expect((await pay(url, first.userId, spent.body.reservationId)).status).toBe(201);
    expect((await pay(url, first.userId, reservationId)).status).toBe(402);
    await untilCounted(path, { waiting: 1, active: 1 });
    expect((await ticketOf(performanceId, first.userId, first.ticket)).body.status).toBe('admitted');
    expect((await ticketOf(performanceId, second.userId, second.ticket)).body.status).toBe('waiting');
    await charge(url, first.userId, 100);
    expect((await pay(url, first.userId, reservationId)).status).toBe(201);
  });
});

describe('with FASTPASS_ACK=held', () => {
  it('a hold can be paid as soon as it is answered, before MySQL has it perhaps', async () => {
    const lazy = await startGateway({ FASTPASS_ACK: 'held' });
    onTestFinished(() => lazy.stop());
    const performanceId = await seated(30);
    const users = Array.from({ length: 30 }, newUserId);
    await Promise.all(users.map((userId) => charge(url, userId, 1000)));
    const replies = await Promise.all(
      users.map(async (userId, i) => {
        const held = await hold(lazy.url, userId, { performanceId, seats: [i + 1] });
        expect(held.status).toBe(201);
        return pay(i % 2 === 0 ? lazy.url : url, userId, held.body.reservationId);
      }),
    );
    // The other gateway answers in `persisted`: it knows what is in MySQL and nothing else.
    const here = replies.filter((_, i) => i % 2 === 0);
    expect(here.map(({ status }) => status)).toEqual(new Array(15).fill(201));
    for (const { status } of replies.filter((_, i) => i % 2 === 1)) expect([201, 404]).toContain(status);
    await until('all that was held is stored', async () => (await storedReservations(performanceId)).length === 30);
    await expectSalesRight(performanceId);
  });

  it('a hold that MySQL does not have yet is waited for', async () => {
    const lazy = await startGateway({ FASTPASS_ACK: 'held' });
    onTestFinished(() => lazy.stop());
    const performanceId = await seated(1);
    const userId = newUserId();
    await charge(url, userId, 1000);
    const lock = 'SELECT seat FROM seats WHERE performance_id = ? FOR UPDATE';
    const paying = await whileLocked(lock, [performanceId], async () => {
      const held = await hold(lazy.url, userId, { performanceId, seats: [1] });
      expect(held.status).toBe(201);
      expect(await storedReservations(performanceId)).toEqual([]);
      return [pay(lazy.url, userId, held.body.reservationId)];
    });
    expect((await paying[0])?.status).toBe(201);
    await expectSalesRight(performanceId);
  });
});

describe('while Redis is away', () => {
  it('a payment is taken, and Redis learns of it afterwards', async () => {
    const { url: apart, proxy } = await startApart();
    const performances = [
      await seated(2),
      await createPerformance(url, { seating: { kind: 'capacity', capacity: 5 }, price: 100 }),
    ];
    const paidSeats = await heldBy(performances[0]!, { seats: [2] });
    const paidPlaces = await heldBy(performances[1]!, { partySize: 3 });
    proxy.cut();
    for (const { userId, reservationId } of [paidSeats, paidPlaces]) {
      const paid = await pay(apart, userId, reservationId);
      expect(paid).toMatchObject({ status: 201, body: { status: 'PAID' } });
      expect((await pay(apart, userId, reservationId)).body).toEqual(paid.body);
      const shown = await call(apart, 'GET', `/v1/reservations/${reservationId}`, { userId });
      expect(shown.body.status).toBe('CONFIRMED');
    }
    expect(await seatStatuses(performances[0]!, apart)).toEqual(['AVAILABLE', 'OCCUPIED']);
    expect(await seatStatuses(performances[0]!), 'Redis has not been told').toEqual(['AVAILABLE', 'HELD']);
    proxy.restore();
    await until('Redis shows it as sold', async () => (await seatStatuses(performances[0]!))[1] === 'OCCUPIED');
    await until('Redis has the party as sold', async () => {
      const stored = await redis.hget(performanceKeys(performances[1]!).reservations, paidPlaces.reservationId);
      // Whoever reads it loads it, where it is cold.
      await call(url, 'GET', `/v1/performances/${performances[1]!}/seats`);
      return stored === `${paidPlaces.userId} 0 3 `;
    });
    await expectSalesRight(...performances);
  });

  it('a refund is given, and the seats are free in Redis afterwards', async () => {
    const { url: apart, proxy } = await startApart();
    const performanceId = await seated(1);
    const { userId, reservationId } = await heldBy(performanceId);
    await pay(url, userId, reservationId);
    proxy.cut();
    expect((await cancel(apart, userId, reservationId)).body).toMatchObject({ refunded: 1000 });
    expect(await balanceOf(apart, userId)).toBe(5000);
    proxy.restore();
    await until('another can hold it', async () => {
      return (await hold(url, newUserId(), { performanceId, seats: [1] })).status === 201;
    });
    await expectSalesRight(performanceId);
  });

  it('a payment with an Idempotency-Key is refused before anything is done, and taken with the same key later', async () => {
    const { url: apart, proxy } = await startApart();
    const performanceId = await seated(1);
    const { userId, reservationId } = await heldBy(performanceId);
    proxy.cut();
    const refused = await pay(apart, userId, reservationId, 'my-payment');
    expect(refused).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await storedPayments(reservationId)).toEqual([]);
    proxy.restore();
    await until('it can be paid', async () => (await pay(apart, userId, reservationId, 'my-payment')).status === 201);
    expect(await balanceOf(url, userId)).toBe(4000);
    await expectSalesRight(performanceId);
  });
});

describe('a lock that somebody else has', () => {
  it('of the balance is waited for', async () => {
    const performanceId = await seated(1);
    const { userId, reservationId } = await heldBy(performanceId);
    const lock = 'SELECT balance FROM balances WHERE user_id = ? FOR UPDATE';
    const [paying, charging] = await whileLocked(lock, [userId], async () => {
      const works = [pay(url, userId, reservationId), charge(other.url, userId, 10)];
      await until('both wait', async () => {
        const rows = await query("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
        return Number(rows[0]!['Value']) >= 2;
      });
      return works;
    });
    expect([(await paying)!.status, (await charging)!.status]).toEqual([201, 201]);
    expect(await balanceOf(url, userId)).toBe(4010);
    expect(await brokenBooks([userId])).toEqual([]);
    await expectSalesRight(performanceId);
  });

  it('of the balance for too long is an answer within the deadline of a request, give or take', async () => {
    const performanceId = await seated(1);
    const { userId, reservationId } = await heldBy(performanceId);
    const lock = 'SELECT balance FROM balances WHERE user_id = ? FOR UPDATE';
    await whileLocked(lock, [userId], async () => {
      const startMs = performance.now();
      const refused = await pay(url, userId, reservationId);
      expect(refused.status).toBe(503);
      // FASTPASS_REQUEST_DEADLINE_MS is 2000.
      expect(performance.now() - startMs).toBeLessThan(3500);
    });
  });
});
