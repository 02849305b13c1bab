/** Numbered migrations: each file of migrations/ once, in order, guarded against two processes starting at once. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import mysql from 'mysql2/promise';
import { StoreUnavailable } from '../lib/errors.ts';
import type { Statements } from './database.ts';

const folder = new URL('./migrations/', import.meta.url);
const lockWaitSeconds = 60;

/** The names of all migrations, in order. */
export function migrationNames(): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort();
}

/** The statements of a migration: no statement of ours has a semicolon inside. */
function statementsOf(name: string): string[] {
  return readFileSync(new URL(name, folder), 'utf8')
    .replace(/^--.*$/gm, '')
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}

/** True when every migration of this version is applied. Rejects with StoreUnavailable. */
export async function isMigrated(statements: Statements): Promise<boolean> {
  const applied = new Set((await statements.rows('SELECT name FROM migrations')).map((row) => row['name']));
  return migrationNames().every((name) => applied.has(name));
}

/** Applies what is missing; returns the names applied. Rejects with StoreUnavailable when the server does not answer. */
export async function migrate(url: string): Promise<string[]> {
  let connection: Connection;
  try {
    connection = await mysql.createConnection({ uri: url, connectTimeout: 5000 });
  } catch (thrown) {
    throw new StoreUnavailable('mysql', thrown);
  }
  try {
    // Held by the connection, so it ends with it whatever happens.
    const [locks] = await connection.query<RowDataPacket[]>("SELECT GET_LOCK('fastpass.migrate', ?) AS locked", [
      lockWaitSeconds,
    ]);
    if (locks[0]?.['locked'] !== 1) throw new Error('another process has been migrating for too long');
    await connection.query(
      'CREATE TABLE IF NOT EXISTS migrations (name VARCHAR(100) NOT NULL PRIMARY KEY, applied_at DATETIME(3) NOT NULL)',
    );
    const [rows] = await connection.query<RowDataPacket[]>('SELECT name FROM migrations');
    const applied = new Set(rows.map((row) => row['name']));
    const missing = migrationNames().filter((name) => !applied.has(name));
    for (const name of missing) {
      for (const statement of statementsOf(name)) await connection.query(statement);
      await connection.query('INSERT INTO migrations (name, applied_at) VALUES (?, NOW(3))', [name]);
    }
    return missing;
  } finally {
    connection.destroy();
  }
}
