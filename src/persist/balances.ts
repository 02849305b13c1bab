/** Balances as a ledger: every change is an entry with the balance after it, in the transaction that changes the balance. */
import { type BalanceEntry, EntryType, entryTypeName } from '../domain/account.ts';
import { uuidFromBytes, uuidToBytes } from '../domain/ids.ts';
import { codeOf } from '../lib/errors.ts';
import type { Database, Parameter, Row, Statements } from './database.ts';

/** Past it a charge is refused: numbers of JSON are exact up to 2^53. */
export const balanceMax = 1_000_000_000_000_000;

export async function readBalance(statements: Statements, userId: number): Promise<number> {
  const rows = await statements.rows('SELECT balance FROM balances WHERE user_id = ?', [userId]);
  return rows[0]?.['balance'] ?? 0;
}

export interface Change {
  readonly userId: number;
  readonly type: EntryType;
  /** Below 0 where money goes. */
  readonly amount: number;
  readonly reservationId: string | null;
  /** UUID of the request: a second change with it is none. */
  readonly requestId: string;
}

/**
 * Changes a balance inside a transaction and writes the entry. Returns the balance after it; null when there is too little,
 * or it would be too much: nothing is changed then. The row stays locked until the transaction ends.
 */
export async function changeBalance(statements: Statements, change: Change): Promise<number | null> {
  const { userId, type, amount, reservationId, requestId } = change;
  const sql = 'UPDATE balances SET balance = balance + ? WHERE user_id = ? AND balance + ? BETWEEN 0 AND ?';
  // What was paid is given back wherever it came from: the limit is one of charges.
  const values = [amount, userId, amount, type === 'charge' ? balanceMax : Number.MAX_SAFE_INTEGER];
  let { affectedRows } = await statements.write(sql, values);
  if (affectedRows === 0) {
    await statements.write(
      'INSERT INTO balances (user_id, balance) VALUES (?, 0) ON DUPLICATE KEY UPDATE balance = balance',
      [userId],
    );
    ({ affectedRows } = await statements.write(sql, values));
    if (affectedRows === 0) return null;
  }
  const balance = await readBalance(statements, userId);
  await statements.write(
    `INSERT INTO balance_entries (user_id, type, amount, balance, reservation_id, request_id, created_at)
     VALUES (?, ?, ?, ?, ?, ?, NOW(3))`,
    [
      userId,
      EntryType[type],
      amount,
      balance,
      reservationId === null ? null : uuidToBytes(reservationId),
      uuidToBytes(requestId),
    ],
  );
  return balance;
}

/** The balance that an earlier request with this id has left; null where there was none. */
async function balanceOfRequest(statements: Statements, requestId: string): Promise<number | null> {
  const rows = await statements.rows('SELECT balance FROM balance_entries WHERE request_id = ?', [
    uuidToBytes(requestId),
  ]);
  return rows[0]?.['balance'] ?? null;
}

/** Charges an account; a repeat with the same request id gives the first balance again. Null: it would be too much. */
export async function charge(
  database: Database,
  userId: number,
  amount: number,
  requestId: string,
): Promise<number | null> {
  try {
    const charged = await database.transaction(async (transaction) => {
      const change = { userId, type: 'charge', amount, reservationId: null, requestId } as const;
      const balance = await changeBalance(transaction, change);
      if (balance === null) transaction.isRollback = true;
      return balance;
    });
    // No room for it a second time is what a repeat meets where the first one has filled the account.
    return charged ?? (await balanceOfRequest(database, requestId));
  } catch (thrown) {
    if (codeOf(thrown) !== 'ER_DUP_ENTRY') throw thrown;
    const balance = await balanceOfRequest(database, requestId);
    if (balance === null) throw thrown;
    return balance;
  }
}

function entryOf(row: Row): BalanceEntry {
  return {
    id: row['id'],
    type: entryTypeName(row['type']),
    amount: row['amount'],
    balance: row['balance'],
    reservationId: row['reservation_id'] === null ? null : uuidFromBytes(row['reservation_id']),
    atMs: (row['created_at'] as Date).getTime(),
  };
}

/** The user's entries, newest first; only those before `before` where given. */
export async function listEntries(
  statements: Statements,
  userId: number,
  before: number | null,
  limit: number,
): Promise<BalanceEntry[]> {
  const parameters: Parameter[] = before === null ? [userId, limit] : [userId, before, limit];
  const rows = await statements.rows(
    `SELECT id, type, amount, balance, reservation_id, created_at FROM balance_entries
     WHERE user_id = ?${before === null ? '' : ' AND id < ?'} ORDER BY id DESC LIMIT ?`,
    parameters,
  );
  return rows.map(entryOf);
}
