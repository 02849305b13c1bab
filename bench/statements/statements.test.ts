import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { createFilledDatabase, type OwnDatabase } from '../../test/own-database.ts';
import { type Shape, shapeFor } from './model.ts';
import { shapeOfSql } from './recorder.ts';
import { faultsOfResult, reportOf, type StatementsResult } from './report.ts';

const mainPath = fileURLToPath(new URL('../main.ts', import.meta.url));

test('the statements bench explains and measures every statement on a database of its own', async () => {
  // Past some thousands of rows the plans are those of a large database.
  const tiny = ['--rows', '10000', '--rounds', '2', '--buffer-pool', '128', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, [mainPath, 'statements', ...tiny]);
  const result: StatementsResult = JSON.parse(stdout);
  expect(result).toMatchObject({ reservations: 10_000, rounds: 2, bufferPoolMb: 128, faults: [] });
  expect(result.statements.length).toBeGreaterThan(100);
  for (const { calls, minMs, p50Ms, maxMs } of [...result.statements, ...result.batches, result.starts, result.ends]) {
    expect(calls).toBeGreaterThan(0);
    expect(minMs).toBeGreaterThan(0);
    expect(p50Ms).toBeGreaterThanOrEqual(minMs);
    expect(maxMs).toBeGreaterThanOrEqual(p50Ms);
  }
  for (const table of ['reservations', 'seats', 'balances', 'payments', 'users', 'outbox', 'revoked_tokens']) {
    expect(result.statements.some(({ sql, indexes }) => sql.includes(` ${table} `) && indexes !== null)).toBe(true);
  }
  expect(reportOf(result)).toContain('10,000 reservations');
}, 120_000);

test('a statement that takes too long is a fault, and so is a plan', () => {
  const times = { calls: 20, minMs: 1, p50Ms: 1, maxMs: 90 };
  const statement = {
    question: 'list',
    sql: 'SELECT a FROM b WHERE c = ?',
    indexes: 'c',
    examined: '1',
    rows: 1,
    ...times,
  };
  expect(faultsOfResult({ statements: [statement], faults: [] })).toEqual([]);
  const slow = { ...statement, p50Ms: 5 };
  expect(faultsOfResult({ statements: [slow], faults: ['list: b is scanned'] })).toHaveLength(2);
});

test('a statement has one shape, however many rows it is about', () => {
  const insert = (rows: string): string => shapeOfSql(`INSERT INTO a (b, c)\n  VALUES ${rows}`);
  expect(insert("(x'0a',NOW(3)+INTERVAL 5 SECOND),(x'0b',NOW(3)+INTERVAL 6 SECOND)")).toBe(
    insert("(x'0c',NOW(3)+INTERVAL 7 SECOND)"),
  );
  expect(insert('(?, ?), (?, ?)')).toBe(insert('(?, ?)'));
  const update = (terms: string): string => shapeOfSql(`UPDATE a SET b = b + 1 WHERE ${terms}`);
  expect(update('(b = 1 AND c IN (1,2)) OR (b = 2 AND c IN (3))')).toBe(update('(b = 7 AND c IN (8))'));
});

describe('the sale that the bench fills a database with', () => {
  const shape: Shape = shapeFor(6000);
  let own: OwnDatabase;

  beforeAll(async () => {
    own = await createFilledDatabase(shape);
  });
  afterAll(async () => {
    await own.drop();
  });

  async function count(sql: string): Promise<number> {
    const [rows] = await own.server.query<RowDataPacket[]>(`SELECT COUNT(*) AS number FROM ${sql}`);
    return rows[0]!['number'];
  }

  it('has reservations of every kind', async () => {
    expect(await count('reservations')).toBe(shape.reservations);
    expect(await count('reservations WHERE status = 1 AND hold_ends_at > NOW(3) - INTERVAL 1 MINUTE')).toBe(shape.held);
    for (const status of [2, 3, 4]) expect(await count(`reservations WHERE status = ${status}`)).toBeGreaterThan(300);
    expect(await count('revoked_tokens WHERE ends_at > NOW(3)')).toBeGreaterThan(50);
  });

  it('gives every live seat one owner, with the state and the version it has', async () => {
    const owned = `seats s JOIN reservation_seats r ON r.performance_id = s.performance_id AND r.seat = s.seat AND r.live = 1
      JOIN reservations v ON v.id = r.reservation_id AND v.status = s.status AND s.version = r.version + v.status - 1`;
    const taken = await count('seats WHERE status > 0');
    expect(taken).toBeGreaterThan(1000);
    expect(await count(owned)).toBe(taken);
    expect(await count('reservation_seats WHERE live = 1')).toBe(taken);
  });

  it('leaves as many places as the live reservations do not take', async () => {
    const places = `performances p LEFT JOIN (SELECT performance_id, SUM(party_size) AS taken FROM reservations
      WHERE status IN (1, 2) GROUP BY performance_id) v ON v.performance_id = p.id WHERE p.kind = 'capacity'`;
    expect(await count(`${places} AND p.remaining <> p.places - COALESCE(v.taken, 0)`)).toBe(0);
    expect(await count(`${places} AND v.taken > 0`)).toBeGreaterThan(10);
  });

  it('has a payment for whatever was sold, and balances that are the sum of their entries', async () => {
    const paid =
      'payments p JOIN reservations v ON v.id = p.reservation_id AND v.amount = p.amount AND v.user_id = p.user_id';
    expect(await count(`${paid} WHERE p.status = 1 AND v.status = 2`)).toBe(
      await count('reservations WHERE status = 2'),
    );
    expect(await count(`${paid} WHERE p.status = 2 AND v.status = 3`)).toBe(await count('payments WHERE status = 2'));
    const sums = `balances b LEFT JOIN (SELECT user_id, SUM(amount) AS total, MAX(id) AS newest FROM balance_entries
      GROUP BY user_id) e ON e.user_id = b.user_id LEFT JOIN balance_entries n ON n.id = e.newest`;
    expect(await count(`${sums} WHERE b.balance <> COALESCE(e.total, 0) OR b.balance <> COALESCE(n.balance, 0)`)).toBe(
      0,
    );
    expect(await count('balance_entries')).toBeGreaterThan(shape.reservations / 2);
  });
});
