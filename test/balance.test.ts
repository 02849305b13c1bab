/** The balance as a ledger: every change an entry, the sum of the entries the balance, never below 0. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { silentLog } from '../src/logger.ts';
import { balanceMax, charge as chargeInMysql } from '../src/persist/balances.ts';
import { Database } from '../src/persist/database.ts';
import {
  call,
  createPerformance,
  disagreements,
  newUserId,
  patient,
  query,
  type Reply,
  seededRandom,
  startGateway,
  type TestGateway,
} from './harness.ts';
import { balanceOf, brokenBooks, brokenSales, cancel, charge, hold, pay, storedEntries } from './money.ts';

const seed = Number(process.env['RUSH_SEED'] ?? 20_260_403);

let gateway: TestGateway;
let other: TestGateway;
let url: string;
let database: Database;

beforeAll(async () => {
  gateway = await startGateway(patient);
  other = await startGateway(patient);
  url = gateway.url;
  database = new Database(inject('mysqlUrl'), silentLog, 1);
});

afterAll(async () => {
  await Promise.all([gateway.stop(), other.stop(), database.close()]);
});

/** One of the two gateways, in turns. */
const at = (i: number): string => (i % 2 === 0 ? url : other.url);

interface Item {
  readonly id: number;
  readonly type: string;
  readonly amount: number;
  readonly balance: number;
  readonly reservationId?: string;
  readonly at: string;
}

async function historyOf(userId: number, search = ''): Promise<{ items: Item[]; next: string | null }> {
  const reply = await call(url, 'GET', `/v1/balance/history${search}`, { userId });
  expect(reply.status).toBe(200);
  return reply.body;
}

describe('a balance', () => {
  it('is 0, with no history, for who has never had any', async () => {
    const userId = newUserId();
    expect(await call(url, 'GET', '/v1/balance', { userId })).toMatchObject({ status: 200, body: { balance: 0 } });
    expect(await historyOf(userId)).toEqual({ items: [], next: null });
  });

  it('grows with each charge, which answers with the balance after it', async () => {
    const userId = newUserId();
    const replies = [await charge(url, userId, 1), await charge(other.url, userId, 999), await charge(url, userId, 50)];
    expect(replies.map(({ status, body }) => [status, body])).toEqual([
      [201, { balance: 1 }],
      [201, { balance: 1000 }],
      [201, { balance: 1050 }],
    ]);
    expect(await balanceOf(other.url, userId)).toBe(1050);
    const { items } = await historyOf(userId);
    expect(items.map(({ type, amount, balance }) => [type, amount, balance])).toEqual([
      ['charge', 50, 1050],
      ['charge', 999, 1000],
      ['charge', 1, 1],
    ]);
    for (const item of items) {
      expect(Object.keys(item).sort()).toEqual(['amount', 'at', 'balance', 'id', 'type']);
      expect(new Date(item.at).toISOString()).toBe(item.at);
      expect(Math.abs(Date.parse(item.at) - Date.now())).toBeLessThan(60_000);
    }
  });

  it.each<[string, unknown]>([
    ['0', 0],
    ['less than 0', -1],
    ['a broken one', 1.5],
    ['a very small one', 1e-9],
    ['more than the most', 1_000_000_001],
    ['a number past the safe ones', 2 ** 53],
    ['one that is text', '100'],
    ['true', true],
    ['null', null],
    ['a list', [100]],
    ['none', undefined],
  ])('takes no amount that is %s', async (_name, amount) => {
    const userId = newUserId();
    const refused = await charge(url, userId, amount);
    expect(refused).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    expect(new Set(refused.body.errors.map(({ path }: { path: string }) => path))).toEqual(new Set(['/amount']));
    expect(await storedEntries(userId)).toEqual([]);
  });

  it('takes the most that one charge may be', async () => {
    expect((await charge(url, newUserId(), 1_000_000_000)).body).toEqual({ balance: 1_000_000_000 });
  });

  it('grows to the most that a balance may be and not by one more', async () => {
    const userId = newUserId();
    await chargeInMysql(database, userId, balanceMax - 10, randomUUID());
    const refused = await charge(url, userId, 11);
    expect(refused).toMatchObject({ status: 400, body: { code: 'validation_failed', errors: [{ path: '/amount' }] } });
    expect(await balanceOf(url, userId)).toBe(balanceMax - 10);
    expect((await charge(url, userId, 10)).body).toEqual({ balance: balanceMax });
    expect((await charge(url, userId, 1)).status).toBe(400);
    expect(await storedEntries(userId)).toHaveLength(2);
    expect(await brokenBooks([userId])).toEqual([]);
  });

  it('takes a refund also where it has been filled up meanwhile: nobody loses what was paid', async () => {
    const userId = newUserId();
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 1 }, price: 100 });
    await charge(url, userId, 100);
    const { reservationId } = (await hold(url, userId, { performanceId, seats: [1] })).body;
    expect((await pay(url, userId, reservationId)).status).toBe(201);
    await chargeInMysql(database, userId, balanceMax, randomUUID());
    const cancelled = await cancel(url, userId, reservationId);
    expect([cancelled.status, cancelled.body.refunded]).toEqual([200, 100]);
    expect(await balanceOf(url, userId)).toBe(balanceMax + 100);
    // And it can be spent.
    const again = (await hold(url, userId, { performanceId, seats: [1] })).body;
    expect((await pay(url, userId, again.reservationId)).body).toMatchObject({ amount: 100, balance: balanceMax });
    expect(await brokenSales(performanceId)).toEqual([]);
  });
});

describe('charges at once', () => {
  it('a hundred of one account, at two gateways, are all there, each with the sum up to it', async () => {
    const userId = newUserId();
    const random = seededRandom(seed);
    const amounts = Array.from({ length: 100 }, () => 1 + random(1000));
    const replies = await Promise.all(amounts.map((amount, i) => charge(at(i), userId, amount)));
    expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([201]));

    const total = amounts.reduce((sum, amount) => sum + amount, 0);
    expect(await balanceOf(url, userId)).toBe(total);
    const entries = await storedEntries(userId);
    expect(entries.map(({ amount }) => amount).sort((a, b) => a - b)).toEqual(amounts.sort((a, b) => a - b));
    let sum = 0;
    for (const { amount, balance } of entries) {
      sum += amount;
      expect(balance).toBe(sum);
    }
    // Each was told the balance of its own entry.
    const told = replies.map(({ body }) => body.balance).sort((a, b) => a - b);
    expect(told).toEqual(entries.map(({ balance }) => balance));
  });

  it('of many accounts, some of them new, do not disturb each other', async () => {
    const users = Array.from({ length: 20 }, newUserId);
    const replies = await Promise.all(
      Array.from({ length: 400 }, (_, i) => charge(at(i), users[Math.floor(i / 2) % 20]!, i + 1)),
    );
    expect(replies.filter(({ status }) => status !== 201)).toEqual([]);
    for (let k = 0; k < 20; k++) {
      const mine = Array.from({ length: 400 }, (_, i) => i).filter((i) => Math.floor(i / 2) % 20 === k);
      expect(await balanceOf(url, users[k]!)).toBe(mine.reduce((sum, i) => sum + i + 1, 0));
    }
    expect(await brokenBooks(users)).toEqual([]);
  });
});

describe('one charge sent again', () => {
  it('with its Idempotency-Key is one, however often and at whichever gateway', async () => {
    const [userId, key] = [newUserId(), randomUUID()];
    await charge(url, userId, 1000);
    const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => charge(at(i), userId, 300, key)));
    for (const { status, body } of replies) expect([status, body]).toEqual([201, { balance: 1300 }]);
    expect(replies.filter(({ headers }) => !headers.has('idempotency-replayed'))).toHaveLength(1);
    await charge(url, userId, 1);
    // The first answer, though the balance has moved on.
    expect((await charge(other.url, userId, 300, key)).body).toEqual({ balance: 1300 });
    expect(await storedEntries(userId)).toHaveLength(3);
    expect(await balanceOf(url, userId)).toBe(1301);
  });

  it('with its Idempotency-Key says so once', async () => {
    const [userId, key] = [newUserId(), randomUUID()];
    const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => charge(at(i), userId, 300, key)));
    const said = replies.map(({ headers }) => headers.get('idempotency-replayed')).filter((text) => text !== null);
    expect(said).toEqual(new Array(19).fill('true'));
  });

  it('with its Idempotency-Key and another amount is refused and charges nothing', async () => {
    const [userId, key] = [newUserId(), randomUUID()];
    await charge(url, userId, 300, key);
    expect(await charge(url, userId, 301, key)).toMatchObject({
      status: 422,
      body: { code: 'idempotency_key_reused' },
    });
    expect(await balanceOf(url, userId)).toBe(300);
  });

  it('without a key is another charge', async () => {
    const userId = newUserId();
    await charge(url, userId, 300);
    expect((await charge(url, userId, 300)).body).toEqual({ balance: 600 });
  });
});

describe('the history', () => {
  it('comes in pages, newest first, without gaps or repeats, while more is charged', async () => {
    const userId = newUserId();
    for (let i = 1; i <= 47; i++) await charge(url, userId, i);
    const seen: Item[] = [];
    let cursor: string | null = null;
    let pages = 0;
    do {
      const { items, next }: { items: Item[]; next: string | null } = await historyOf(
        userId,
        `?limit=10${cursor === null ? '' : `&cursor=${cursor}`}`,
      );
      expect(items).toHaveLength(pages < 4 ? 10 : 7);
      seen.push(...items);
      cursor = next;
      pages++;
      await charge(url, userId, 1000 + pages);
    } while (cursor !== null);
    expect(pages).toBe(5);
    expect(seen.map(({ amount }) => amount)).toEqual(Array.from({ length: 47 }, (_, i) => 47 - i));
    expect(new Set(seen.map(({ id }) => id)).size).toBe(47);

    const all = await historyOf(userId, '?limit=100');
    expect(all.items).toHaveLength(52);
    expect(all.next).toBeNull();
    expect((await historyOf(userId)).items).toHaveLength(20);
    // A page that ends with the last entry says so.
    expect((await historyOf(userId, '?limit=52')).next).toBeNull();
    expect((await historyOf(userId, '?limit=51')).next).not.toBeNull();
  });

  it.each([
    'limit=0',
    'limit=101',
    'limit=-1',
    'limit=ten',
    'limit=1.5',
    'cursor=',
    'cursor=x',
    'cursor=-1',
    'cursor=0',
  ])('takes no %s', async (search) => {
    const refused = await call(url, 'GET', `/v1/balance/history?${search}`, { userId: newUserId() });
    expect(refused).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    expect(refused.body.errors[0].path).toBe(`/${search.split('=')[0]}`);
  });

  it('names the reservation of a payment and a refund, and the money that went and came', async () => {
    const userId = newUserId();
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 2 }, price: 300 });
    await charge(url, userId, 1000);
    const { reservationId } = (await hold(url, userId, { performanceId, seats: [1, 2] })).body;
    await pay(url, userId, reservationId);
    await cancel(url, userId, reservationId);
    const { items } = await historyOf(userId);
    expect(items.map(({ id: _, at: __, ...rest }) => rest)).toEqual([
      { type: 'refund', amount: 600, balance: 1000, reservationId },
      { type: 'payment', amount: -600, balance: 400, reservationId },
      { type: 'charge', amount: 1000, balance: 1000 },
    ]);
  });
});

describe('an overdraft is impossible', () => {
  it(`whatever is charged, paid and cancelled at once, at two gateways (seed ${seed})`, async () => {
    const random = seededRandom(seed);
    const performances = await Promise.all(
      [1, 7, 100, 999].map((price) =>
        createPerformance(url, {
          seating: { kind: 'capacity', capacity: 10_000 },
          maxReservationsPerUser: 1000,
          price,
        }),
      ),
    );
    const users = Array.from({ length: 8 }, newUserId);
    const faults: Reply[] = [];
    const paidOf = new Map<number, number>();
    let refusals = 0;
    for (let round = 0; round < 4; round++) {
      const held = await Promise.all(
        Array.from({ length: 120 }, async (_, i) => {
          const userId = users[random(8)]!;
          const body = { performanceId: performances[random(4)]!, partySize: 1 + random(10) };
          const reply = await hold(at(i), userId, body);
          expect(reply.status).toBe(201);
          return { userId, reservationId: reply.body.reservationId as string };
        }),
      );
      await Promise.all(
        held.flatMap(({ userId, reservationId }, i) => {
          const works: Promise<Reply>[] = [pay(at(random(2)), userId, reservationId)];
          if (random(2) === 0) works.push(pay(at(random(2)), userId, reservationId));
          if (random(3) === 0) works.push(cancel(at(random(2)), userId, reservationId));
          if (i % 2 === 0) works.push(charge(at(random(2)), userId, 1 + random(3000)));
          return works.map(async (work) => {
            const reply = await work;
            if (reply.status >= 500) faults.push(reply);
            if (reply.body.code === 'insufficient_balance') refusals++;
            if (reply.body.status === 'PAID') paidOf.set(userId, (paidOf.get(userId) ?? 0) + 1);
          });
        }),
      );
    }
    expect(faults.map(({ status, body }) => [status, body])).toEqual([]);
    // Money was short, and money was spent: else nothing was tested.
    expect(refusals).toBeGreaterThan(20);
    expect([...paidOf.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(20);
    expect(await brokenBooks(users)).toEqual([]);
    for (const performanceId of performances) {
      expect(await brokenSales(performanceId)).toEqual([]);
      expect(await disagreements(url, performanceId)).toEqual([]);
    }
    for (const userId of users) {
      const balance = await balanceOf(url, userId);
      expect(balance).toBeGreaterThanOrEqual(0);
      const entries = await storedEntries(userId);
      expect(balance).toBe(entries.reduce((sum, { amount }) => sum + amount, 0));
    }
  });

  it('MySQL itself refuses a balance below 0, whoever writes it', async () => {
    const userId = newUserId();
    await charge(url, userId, 5);
    await expect(query('UPDATE balances SET balance = balance - 6 WHERE user_id = ?', [userId])).rejects.toThrow(
      /balances_not_overdrawn/,
    );
  });
});
