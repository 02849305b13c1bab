/** Stands between src/persist and MySQL: hands each statement of its functions to a watcher, and asks how it would run. */
import type { Parameter, Statements } from '../../src/persist/database.ts';

/** A statement that is about to run. */
export interface Asked {
  readonly sql: string;
  readonly parameters: readonly Parameter[];
  /** Where it runs, past the watcher: the pool, or the transaction it is part of. */
  readonly on: Statements;
  /** Runs it; the watcher calls it once. */
  run(): Promise<unknown>;
}

export interface Watcher {
  /** Runs the statement and returns its answer, or rejects as it does. */
  statement(asked: Asked): Promise<unknown>;
  /** What a transaction took beside its statements: START, with a connection found for it, and COMMIT or ROLLBACK. */
  transaction?(startMs: number, endMs: number): void;
}

type Work = (transaction: Statements) => Promise<unknown>;

/** The same database or transaction, with every statement, also those inside its transactions, handed to the watcher. */
export function watched<Target extends Statements>(target: Target, watcher: Watcher): Target {
  return new Proxy(target, {
    get(of, name) {
      const value: unknown = Reflect.get(of, name, of);
      if (typeof value !== 'function') return value;
      if (name === 'rows' || name === 'write') {
        return (sql: string, parameters: readonly Parameter[] = []) =>
          watcher.statement({ sql, parameters, on: of, run: () => value.call(of, sql, parameters) });
      }
      if (name === 'writeAll') {
        // What goes out as one is watched one by one.
        return async (texts: readonly string[]) => {
          const headers: unknown[] = [];
          for (const sql of texts) {
            headers.push(await watcher.statement({ sql, parameters: [], on: of, run: () => of.write(sql) }));
          }
          return headers;
        };
      }
      if (name === 'transaction' || name === 'snapshot') {
        return (work: Work) => timed((inner) => value.call(of, inner), work, watcher);
      }
      return (...args: unknown[]): unknown => value.apply(of, args);
    },
    set: (of, name, value) => Reflect.set(of, name, value, of),
  });
}

async function timed(begin: (work: Work) => Promise<unknown>, work: Work, watcher: Watcher): Promise<unknown> {
  const askedMs = performance.now();
  let begunMs = askedMs;
  let doneMs = askedMs;
  const result = await begin(async (transaction) => {
    begunMs = performance.now();
    const value = await work(watched(transaction, watcher));
    doneMs = performance.now();
    return value;
  });
  watcher.transaction?.(begunMs - askedMs, performance.now() - doneMs);
  return result;
}

/** One line of EXPLAIN: how one table is read. */
export interface PlanLine {
  /** Null where no table is read: the answer is known from constants. */
  readonly table: string | null;
  readonly type: string | null;
  readonly key: string | null;
  readonly rows: number;
  readonly extra: string;
}

/** How the statement would find its rows, here and now; null for those that find none (INSERT). */
export async function explain({ sql, parameters, on }: Asked): Promise<PlanLine[] | null> {
  if (!/^[\s(]*(SELECT|UPDATE|DELETE)\s/i.test(sql)) return null;
  const rows = await on.rows(`EXPLAIN ${sql}`, parameters);
  return rows.map((row) => ({
    table: row['table'],
    type: row['type'],
    key: row['key'],
    rows: Number(row['rows'] ?? 0),
    extra: row['Extra'] ?? '',
  }));
}

/** Rows that the plan expects to look at; those it has made itself, in brackets, are not looked up. */
export function rowsOf(plan: readonly PlanLine[]): number {
  return plan.reduce((sum, { table, rows }) => sum + (table?.startsWith('<') ? 0 : rows), 0);
}

/** Tables whose every row is the answer: a row a migration. */
const wholeTables: ReadonlySet<string> = new Set(['migrations']);

/** What is wrong with a plan: tables read without an index or as a whole, lists that are sorted before they are cut. */
export function faultsOf(sql: string, plan: readonly PlanLine[]): string[] {
  const isLimited = /\bLIMIT\b/.test(sql) && !/\bWHERE\b/.test(sql);
  const faults: string[] = [];
  for (const { table, type, key, extra } of plan) {
    // A table in brackets is made of the statement's own values.
    if (table === null || table.startsWith('<') || wholeTables.has(table)) continue;
    const isScan = type === 'ALL' || key === null || (type === 'index' && !isLimited);
    if (isScan) faults.push(`${table} is scanned (${type})`);
    if (/ORDER BY .* LIMIT/s.test(sql) && /filesort/i.test(extra)) faults.push(`${table} is sorted for its first rows`);
  }
  return faults;
}

/** The statement without its values: the same text for one row and for a batch. */
export function shapeOfSql(sql: string): string {
  return sql
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/x'[0-9a-f]*'|'[^']*'|\b\d+\b/g, '?')
    .replace(/\(\?(?:, ?\?)+\)/g, '(?)')
    .replace(/VALUES (\(.*?\)), ?\(.*\)$/, 'VALUES $1')
    .replace(/(\((?:[^()]|\([^()]*\))*\))(?: OR \1)+/g, '$1')
    .replace(/(SELECT \?(?: AS \w+)?)(?: UNION ALL \1)+/g, '$1');
}
