import mysql, { type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { StoreUnavailable } from '../lib/errors.ts';
import { migrate, migrationNames } from './migrate.ts';

describe('migrations', () => {
  const name = `fastpass_migrate_${Math.random().toString(36).slice(2)}`;
  let server: mysql.Connection;
  let url: string;
  beforeAll(async () => {
    server = await mysql.createConnection(inject('mysqlUrl'));
    await server.query(`CREATE DATABASE ${name}`);
    const target = new URL(inject('mysqlUrl'));
    target.pathname = `/${name}`;
    url = target.href;
  });
  afterAll(async () => {
    await server.query(`DROP DATABASE ${name}`);
    await server.end();
  });

  it('are each applied once, in order, also by three processes that start together, and never again', async () => {
    const applied = await Promise.all([migrate(url), migrate(url), migrate(url)]);
    expect(migrationNames().length).toBeGreaterThan(0);
    expect(applied.flat()).toEqual(migrationNames());
    expect(await migrate(url)).toEqual([]);
    const [rows] = await server.query<RowDataPacket[]>(`SELECT name FROM ${name}.migrations ORDER BY name`);
    expect(rows.map((row) => row['name'])).toEqual(migrationNames());
  });

  it('are numbered without a gap and never twice', () => {
    const numbers = migrationNames().map((migration) => /^(\d{4})_[a-z_]+\.sql$/.exec(migration)?.[1]);
    expect(numbers).toEqual(numbers.map((_, i) => String(i + 1).padStart(4, '0')));
  });

  it('make a table of each other database of a server on their own', async () => {
    const [rows] = await server.query<RowDataPacket[]>(
      'SELECT table_name AS name, engine FROM information_schema.tables WHERE table_schema = ?',
      [name],
    );
    expect(rows.length).toBeGreaterThan(5);
    for (const row of rows) expect(row['engine']).toBe('InnoDB');
  });

  it('say that the server does not answer', async () => {
    const away = new URL(url);
    away.port = '1';
    await expect(migrate(away.href)).rejects.toThrow(StoreUnavailable);
  });
});
