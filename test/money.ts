/** Money in the tests: charging, paying, cancelling, and the promises that the books of MySQL must keep. */
import { randomBytes } from 'node:crypto';
import { brokenPromises, call, query, type Reply, storedStatus } from './harness.ts';

function withKey(key: string | undefined): { headers?: Record<string, string> } {
  return key === undefined ? {} : { headers: { 'idempotency-key': key } };
}

export function charge(url: string, userId: number, amount: unknown, key?: string): Promise<Reply> {
  return call(url, 'POST', '/v1/balance/charges', { userId, body: { amount }, ...withKey(key) });
}

export function hold(url: string, userId: number, body: unknown, key?: string): Promise<Reply> {
  return call(url, 'POST', '/v1/reservations', { userId, body, ...withKey(key) });
}

export function pay(url: string, userId: number, reservationId: string, key?: string): Promise<Reply> {
  return call(url, 'POST', `/v1/reservations/${reservationId}/payments`, { userId, body: {}, ...withKey(key) });
}

export function cancel(url: string, userId: number, reservationId: string): Promise<Reply> {
  return call(url, 'DELETE', `/v1/reservations/${reservationId}`, { userId });
}

export async function balanceOf(url: string, userId: number): Promise<number> {
  return (await call(url, 'GET', '/v1/balance', { userId })).body.balance;
}

/** Charges many users, who have nothing, in two statements: the rows are those of a charge. */
export async function giveMoney(userIds: readonly number[], amount: number): Promise<void> {
  await query(`INSERT INTO balances VALUES ${userIds.map((userId) => `(${userId},${amount})`).join(',')}`);
  const entries = userIds.map((userId) => {
    return `(${userId},1,${amount},${amount},x'${randomBytes(16).toString('hex')}',NOW(3))`;
  });
  await query(
    `INSERT INTO balance_entries (user_id, type, amount, balance, request_id, created_at) VALUES ${entries.join(',')}`,
  );
}

export interface Entry {
  readonly id: number;
  readonly type: number;
  readonly amount: number;
  readonly balance: number;
}

/** The entries of a user in MySQL, the oldest first. */
export async function storedEntries(userId: number): Promise<Entry[]> {
  const sql = 'SELECT id, type, amount, balance FROM balance_entries WHERE user_id = ? ORDER BY id';
  return (await query(sql, [userId])).map((row) => ({ ...row }) as unknown as Entry);
}

/**
 * The promises of the ledger: nobody is overdrawn, each entry has the sum up to it, the balance is the sum of all. Returns
 * what is broken.
 */
export async function brokenBooks(userIds: readonly number[]): Promise<string[]> {
  if (userIds.length === 0) return [];
  const broken: string[] = [];
  const whose = `user_id IN (${userIds.join(',')})`;
  const entries = await query(
    `SELECT user_id, id, amount, balance FROM balance_entries WHERE ${whose} ORDER BY user_id, id`,
  );
  const sumOf = new Map<number, number>();
  for (const { user_id: userId, id, amount, balance } of entries) {
    const sum = (sumOf.get(userId) ?? 0) + amount;
    sumOf.set(userId, sum);
    if (sum !== balance) broken.push(`entry ${id} of user ${userId} says ${balance}, the sum up to it is ${sum}`);
    if (sum < 0) broken.push(`user ${userId} was overdrawn by entry ${id}`);
  }
  const balances = await query(`SELECT user_id, balance FROM balances WHERE ${whose}`);
  for (const { user_id: userId, balance } of balances) {
    if (balance !== (sumOf.get(userId) ?? 0)) {
      broken.push(`user ${userId} has ${balance}, the sum of the entries is ${sumOf.get(userId)}`);
    }
    sumOf.delete(userId);
  }
  for (const [userId, sum] of sumOf) if (sum !== 0) broken.push(`user ${userId} has entries of ${sum} and no balance`);
  return broken;
}

/**
 * The promises of sales at any moment of rest: what is confirmed is paid once and has its seats, what is not confirmed has
 * cost nothing, and the books of everybody concerned are right. Returns what is broken.
 */
export async function brokenSales(performanceId: number): Promise<string[]> {
  const broken = await brokenPromises(performanceId);
  const rows = await query(
    `SELECT LOWER(HEX(r.id)) AS id, r.user_id, r.status, r.amount, r.party_size,
       (SELECT GROUP_CONCAT(CONCAT(p.status, ':', p.amount, ':', p.user_id)) FROM payments p
        WHERE p.reservation_id = r.id) AS payments,
       (SELECT GROUP_CONCAT(CONCAT(e.type, ':', e.amount) ORDER BY e.id) FROM balance_entries e
        WHERE e.user_id = r.user_id AND e.reservation_id = r.id) AS entries,
       (SELECT GROUP_CONCAT(DISTINCT s.status) FROM reservation_seats rs
        JOIN seats s ON s.performance_id = rs.performance_id AND s.seat = rs.seat
        WHERE rs.reservation_id = r.id AND rs.live = 1) AS seats
     FROM reservations r WHERE r.performance_id = ?`,
    [performanceId],
  );
  for (const { id, user_id: userId, status, amount, party_size: partySize, ...has } of rows) {
    const paidEntry = `2:${-amount}`;
    const [held, sold] = partySize === 0 ? ['1', '2'] : [null, null];
    const nothing = { payments: null, entries: null, seats: null };
    const allowed: Readonly<Record<number, readonly Record<string, string | null>[]>> = {
      [storedStatus.HELD]: [{ ...nothing, seats: held! }],
      [storedStatus.CONFIRMED]: [{ payments: `1:${amount}:${userId}`, entries: paidEntry, seats: sold! }],
      [storedStatus.EXPIRED]: [nothing],
      [storedStatus.CANCELLED]: [
        nothing,
        { payments: `2:${amount}:${userId}`, entries: `${paidEntry},3:${amount}`, seats: null },
      ],
    };
    const shown = JSON.stringify({ payments: has['payments'], entries: has['entries'], seats: has['seats'] });
    if (!(allowed[status] ?? []).some((one) => JSON.stringify(one) === shown)) {
      broken.push(`${id} of status ${status} and amount ${amount} has ${shown}`);
    }
  }
  return [...broken, ...(await brokenBooks([...new Set(rows.map((row) => row['user_id'] as number))]))];
}
