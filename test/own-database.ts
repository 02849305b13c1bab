/** A database of a test's own on the run's MySQL. */
import { randomBytes } from 'node:crypto';
import mysql from 'mysql2/promise';
import { inject } from 'vitest';
import { bringUpToDate, fillDatabase } from '../bench/statements/fill.ts';
import type { Shape } from '../bench/statements/model.ts';
import { migrate } from '../src/persist/migrate.ts';

export interface OwnDatabase {
  readonly url: string;
  /** A connection that uses it. */
  readonly server: mysql.Connection;
  drop(): Promise<void>;
}

/** An empty one. */
export async function createOwnDatabase(): Promise<OwnDatabase> {
  const name = `fastpass_own_${randomBytes(8).toString('hex')}`;
  const server = await mysql.createConnection(inject('mysqlUrl'));
  await server.query(`CREATE DATABASE ${name}`);
  await server.query(`USE ${name}`);
  const url = new URL(inject('mysqlUrl'));
  url.pathname = `/${name}`;
  return {
    url: url.href,
    server,
    async drop() {
      await server.query(`DROP DATABASE ${name}`);
      await server.end();
    },
  };
}

/** One with the sale that the bench fills a database with. */
export async function createFilledDatabase(shape: Shape): Promise<OwnDatabase> {
  const own = await createOwnDatabase();
  await migrate(own.url);
  await fillDatabase(own.url, shape, { done: 0 }, () => {});
  await bringUpToDate(own.url, shape);
  return own;
}
