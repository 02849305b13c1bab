import mysql from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, onTestFinished } from 'vitest';
import { startTcpProxy, type TcpProxy } from '../../test/tcp-proxy.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { silentLog } from '../logger.ts';
import { Database } from './database.ts';
import { MysqlHealth } from './health.ts';

/** The longest that a statement may take, plus what a loaded machine adds. */
const answerMsMax = 5000;

/** Waits until `check` is true, asking every 10 ms. */
async function until(what: string, check: () => boolean | Promise<boolean>, timeoutMs = 3000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await check())) {
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The promise, or a rejection when it takes longer. */
function within<Value>(timeoutMs: number, promise: Promise<Value>): Promise<Value> {
  const late = new Promise<never>((_, reject) => {
    const timeout = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    promise.then(
      () => clearTimeout(timeout),
      () => clearTimeout(timeout),
    );
  });
  return Promise.race([promise, late]);
}

const table = `test_locks_${Math.random().toString(36).slice(2)}`;

beforeAll(async () => {
  const connection = await mysql.createConnection(inject('mysqlUrl'));
  await connection.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, value INT NOT NULL) ENGINE=InnoDB`);
  await connection.query(`INSERT INTO ${table} VALUES ${Array.from({ length: 100 }, (_, i) => `(${i}, 0)`).join(',')}`);
  await connection.end();
});
afterAll(async () => {
  const connection = await mysql.createConnection(inject('mysqlUrl'));
  await connection.query(`DROP TABLE ${table}`);
  await connection.end();
});

describe('a transaction', () => {
  let database: Database;
  let rival: mysql.Connection;
  beforeEach(async () => {
    database = new Database(inject('mysqlUrl'), silentLog);
    rival = await mysql.createConnection(inject('mysqlUrl'));
  });
  afterEach(async () => {
    rival.destroy();
    await database.close();
  });

  it('that loses a deadlock runs again and succeeds', async () => {
    await rival.query('START TRANSACTION');
    // The one with more changes survives a deadlock: that is the rival.
    await rival.query(`UPDATE ${table} SET value = value + 1 WHERE id >= 2`);
    let attempts = 0;
    let release: Promise<unknown> | null = null;
    await database.transaction(async (transaction) => {
      attempts++;
      await transaction.write(`UPDATE ${table} SET value = 7 WHERE id = 1`);
      release ??= rival.query(`UPDATE ${table} SET value = 8 WHERE id = 1`).then(() => rival.query('COMMIT'));
      await transaction.write(`UPDATE ${table} SET value = 7 WHERE id = 2`);
    });
    await release;
    expect(attempts).toBe(2);
    const rows = await database.rows(`SELECT value FROM ${table} WHERE id IN (1, 2)`);
    expect(rows.map((row) => row['value'])).toEqual([7, 7]);
    expect(database.isAvailable).toBe(true);
  });

  it('that waits too long for a lock runs again and succeeds', async () => {
    await rival.query('START TRANSACTION');
    await rival.query(`UPDATE ${table} SET value = 3 WHERE id = 3`);
    let attempts = 0;
    await database.transaction(async (transaction) => {
      attempts++;
      if (attempts === 1) await transaction.write('SET SESSION innodb_lock_wait_timeout = 1');
      else await rival.query('COMMIT');
      await transaction.write(`UPDATE ${table} SET value = value + 1 WHERE id = 3`);
    });
    expect(attempts).toBe(2);
    expect((await database.rows(`SELECT value FROM ${table} WHERE id = 3`))[0]?.['value']).toBe(4);
    expect(database.isAvailable).toBe(true);
  });

  it('gives up waiting for a lock before its statement times out: a lock is no fault of the server', async () => {
    const [row] = await database.rows('SELECT @@SESSION.innodb_lock_wait_timeout AS seconds');
    expect(Number(row?.['seconds'])).toBeLessThan(3);
  });

  it('that throws leaves nothing behind and gives its error on', async () => {
    const error = Object.assign(new Error('no such thing'), { code: 'ER_NO_SUCH_THING' });
    const work = database.transaction(async (transaction) => {
      await transaction.write(`UPDATE ${table} SET value = 99 WHERE id = 5`);
      throw error;
    });
    await expect(work).rejects.toBe(error);
    expect((await database.rows(`SELECT value FROM ${table} WHERE id = 5`))[0]?.['value']).not.toBe(99);
  });

  it('that fails by a slip of ours does not make the server unavailable', async () => {
    const work = database.transaction(async () => {
      throw new RangeError('not an integer');
    });
    await expect(work).rejects.toThrow(RangeError);
    expect(database.isAvailable).toBe(true);
  });

  it('that asks for a rollback leaves nothing behind and gives its result', async () => {
    const result = await database.transaction(async (transaction) => {
      await transaction.write(`UPDATE ${table} SET value = 99 WHERE id = 6`);
      transaction.isRollback = true;
      return 'rolled back';
    });
    expect(result).toBe('rolled back');
    expect((await database.rows(`SELECT value FROM ${table} WHERE id = 6`))[0]?.['value']).not.toBe(99);
  });

  it('that reads one moment does not see what is committed meanwhile', async () => {
    const seen = await database.snapshot(async (transaction) => {
      const [before] = await transaction.rows(`SELECT value FROM ${table} WHERE id = 7`);
      await rival.query(`UPDATE ${table} SET value = value + 1 WHERE id = 7`);
      const [after] = await transaction.rows(`SELECT value FROM ${table} WHERE id = 7`);
      return [before?.['value'], after?.['value']];
    });
    expect(seen[1]).toBe(seen[0]);
    // The connection is READ COMMITTED again for whoever has it next.
    await database.transaction(async (transaction) => {
      const [before] = await transaction.rows(`SELECT value FROM ${table} WHERE id = 7`);
      await rival.query(`UPDATE ${table} SET value = value + 1 WHERE id = 7`);
      const [after] = await transaction.rows(`SELECT value FROM ${table} WHERE id = 7`);
      expect(after?.['value']).toBe(before?.['value'] + 1);
    });
  });

  it('has a session in UTC and in strict mode', async () => {
    const [row] = await database.rows('SELECT @@SESSION.time_zone AS zone, @@SESSION.sql_mode AS mode');
    expect(row?.['zone']).toBe('+00:00');
    expect(row?.['mode']).toContain('STRICT_ALL_TABLES');
    await expect(database.write(`UPDATE ${table} SET value = 'text' WHERE id = 8`)).rejects.toThrow();
    expect(database.isAvailable).toBe(true);
  });
});

describe('a flood of statements', () => {
  it('is refused past the limit of the queue, and the server does not count as away for it', async () => {
    const database = new Database(inject('mysqlUrl'), silentLog, 1);
    const results = await Promise.allSettled(Array.from({ length: 2500 }, () => database.rows('SELECT 1')));
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const result of refused) expect(result.reason).toBeInstanceOf(StoreUnavailable);
    expect(database.isAvailable).toBe(true);
    expect(await database.rows('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await database.close();
  });
});

describe('a server', () => {
  async function behindProxy(): Promise<{ database: Database; proxy: TcpProxy; health: MysqlHealth }> {
    const url = new URL(inject('mysqlUrl'));
    const proxy = await startTcpProxy(url.hostname, Number(url.port));
    url.port = String(proxy.port);
    const health = new MysqlHealth(url.href, silentLog);
    const database = new Database(url.href, silentLog, 10, health);
    onTestFinished(async () => {
      const closed = [database.close(), health.close()];
      await proxy.close();
      await Promise.all(closed);
    });
    await health.start();
    await database.rows('SELECT 1');
    return { database, proxy, health };
  }

  it('whose connections are lost is unavailable, and available again by itself', async () => {
    const { database, proxy } = await behindProxy();
    const work = database.transaction(async (transaction) => {
      await transaction.write(`UPDATE ${table} SET value = 55 WHERE id = 10`);
      proxy.cut();
      await transaction.write(`UPDATE ${table} SET value = 55 WHERE id = 11`);
    });
    await expect(work).rejects.toThrow(StoreUnavailable);
    await expect(database.rows('SELECT 1')).rejects.toThrow(StoreUnavailable);
    await until('that is known', () => !database.isAvailable);
    await expect(database.rows('SELECT 1')).rejects.toThrow('it does not answer');
    proxy.restore();
    await until('the server is available again', () => database.isAvailable);
    // What the lost connection had begun is undone once the server has noticed.
    await until('the change is undone', async () => {
      const rows = await database.rows(`SELECT value FROM ${table} WHERE id IN (10, 11)`);
      return rows.every((row) => row['value'] !== 55);
    });
  });

  it('that ends one connection is unavailable for that statement alone', async () => {
    const { database, health } = await behindProxy();
    const killer = await mysql.createConnection(inject('mysqlUrl'));
    onTestFinished(() => killer.destroy());
    const work = database.transaction(async (transaction) => {
      const [row] = await transaction.rows('SELECT CONNECTION_ID() AS id');
      await killer.query(`KILL ${row?.['id']}`);
      await transaction.rows('SELECT 1');
    });
    await expect(work).rejects.toThrow(StoreUnavailable);
    for (let i = 0; i < 20; i++) expect(await database.rows('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(health.counters.outages).toBe(0);
  });

  it('that ends the connection of the heartbeat too, and takes a new one, is not away', async () => {
    const { database, health } = await behindProxy();
    const killer = await mysql.createConnection(inject('mysqlUrl'));
    onTestFinished(() => killer.destroy());
    const sessions = async (): Promise<number[]> => {
      const [rows] = await killer.query<mysql.RowDataPacket[]>(
        "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE COMMAND = 'Sleep' AND ID <> CONNECTION_ID()",
      );
      return rows.map((row) => row['id'] as number);
    };
    // Whichever of them it is: everything that sleeps, twice.
    for (let round = 0; round < 2; round++) {
      for (const id of await sessions()) await killer.query(`KILL ${id}`).catch(() => {});
      await database.rows('SELECT 1').catch(() => {});
    }
    for (let i = 0; i < 20; i++) expect(await database.rows('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(health.counters.outages).toBe(0);
  });

  it('that goes silent is known to be away before a statement has waited for its time, without anybody asking', async () => {
    const { database, proxy, health } = await behindProxy();
    proxy.stall();
    await until('that is known', () => !database.isAvailable);
    const startMs = performance.now();
    await expect(database.rows('SELECT 1')).rejects.toThrow('it does not answer');
    await expect(database.transaction(async (each) => each.rows('SELECT 1'))).rejects.toThrow(StoreUnavailable);
    // No statement was sent: those would have waited for seconds.
    expect(performance.now() - startMs).toBeLessThan(1000);
    expect(health.counters.outages).toBe(1);
    proxy.restore();
    await until('the server is available again', () => database.isAvailable, answerMsMax);
    expect(await within(answerMsMax, database.rows('SELECT 1 AS one'))).toEqual([{ one: 1 }]);
  });

  it('that goes silent is unavailable within the time of a statement, for every statement under way', async () => {
    const { database, proxy } = await behindProxy();
    proxy.stall();
    // More than there are connections: those who wait for one must not wait without end.
    const startMs = performance.now();
    const work = Array.from({ length: 15 }, (_, i) =>
      i % 3 === 0
        ? database.transaction(async (transaction) => transaction.rows('SELECT 1'))
        : database.rows('SELECT 1'),
    );
    const results = await within(2 * answerMsMax, Promise.allSettled(work));
    for (const result of results) {
      expect(result.status === 'rejected' && result.reason).toBeInstanceOf(StoreUnavailable);
    }
    expect(performance.now() - startMs).toBeLessThan(answerMsMax);
    expect(database.isAvailable).toBe(false);
  });

  it('whose connections have gone silent for good is available again over new ones', async () => {
    const { database, proxy } = await behindProxy();
    // A connection each, so that the pool has no room for another.
    await Promise.all(Array.from({ length: 10 }, () => database.rows('SELECT SLEEP(0.05)')));
    proxy.stall();
    const lost = Promise.allSettled(Array.from({ length: 10 }, () => database.rows('SELECT 1')));
    for (const result of await within(answerMsMax, lost)) expect(result.status).toBe('rejected');
    expect(database.isAvailable).toBe(false);
    proxy.restore();
    await until('the server is available again', () => database.isAvailable, answerMsMax);
    expect(await within(answerMsMax, database.rows('SELECT 1 AS one'))).toEqual([{ one: 1 }]);
  });
});
