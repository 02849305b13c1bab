import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { type Connection, createConnection } from 'mysql2/promise';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type EmbeddedServer,
  runningMysqlUrl,
  runningRedisUrl,
  startEmbeddedMysql,
  startEmbeddedRedis,
} from './index.ts';
import { processIdentity } from './process-identity.ts';
import { socketFileFor } from './socket-file.ts';

const here = dirname(fileURLToPath(import.meta.url));
const scratch = join(here, '..', '..', '.data');

let dataDir: string;
let lines: string[];
let started: EmbeddedServer[];

const say = (line: string) => {
  lines.push(line);
};

beforeEach(() => {
  mkdirSync(scratch, { recursive: true });
  dataDir = mkdtempSync(join(scratch, `test-${process.pid} embedded `));
  lines = [];
  started = [];
});

afterEach(async () => {
  await Promise.all(started.map((server) => server.stop()));
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
});

async function startRedis(port?: number): Promise<EmbeddedServer> {
  const server = await startEmbeddedRedis(port === undefined ? { dataDir, say } : { dataDir, say, port });
  started.push(server);
  return server;
}

async function startMysql(): Promise<EmbeddedServer> {
  const server = await startEmbeddedMysql({ dataDir, say, bufferPoolMb: 64 });
  started.push(server);
  return server;
}

async function withRedis<T>(url: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { retryStrategy: () => null, commandTimeout: 2_000 });
  // The work's own commands reject with the same errors.
  redis.on('error', () => undefined);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}

async function withMysql<T>(url: string, work: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await createConnection({ uri: url, connectTimeout: 2_000 });
  try {
    return await work(connection);
  } finally {
    await connection.end();
  }
}

async function waitUntil(what: string, isTrue: () => boolean, timeoutMs: number): Promise<void> {
  const deadlineMs = Date.now() + timeoutMs;
  while (!isTrue()) {
    if (Date.now() > deadlineMs) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await sleep(20);
  }
}

test('both servers start, answer, keep their data over a second start, and stop', async () => {
  const [redis, mysql] = await Promise.all([startRedis(), startMysql()]);
  expect(redis.url).toMatch(/^redis:\/\/:[\w-]{32}@127\.0\.0\.1:\d+$/);
  expect(mysql.url).toMatch(/^mysql:\/\/fastpass:[\w-]{32}@127\.0\.0\.1:\d+\/fastpass$/);
  await withRedis(redis.url, async (client) => {
    expect(await client.set('seat', 'held')).toBe('OK');
  });
  await withMysql(mysql.url, async (connection) => {
    await connection.query('CREATE TABLE seat (id INT PRIMARY KEY)');
    await connection.query('INSERT INTO seat VALUES (7)');
  });
  await Promise.all([redis.stop(), mysql.stop(), redis.stop()]);
  expect(processIdentity(redis.pid)).toBeUndefined();
  expect(processIdentity(mysql.pid)).toBeUndefined();
  expect(lines.filter((line) => line.includes('unexpectedly'))).toEqual([]);

  const secondStartMs = Date.now();
  const [redisAgain, mysqlAgain] = await Promise.all([startRedis(), startMysql()]);
  expect(Date.now() - secondStartMs).toBeLessThan(3_000);
  expect(await withRedis(redisAgain.url, (client) => client.get('seat'))).toBe('held');
  const [rows] = await withMysql(mysqlAgain.url, (connection) => connection.query('SELECT id FROM seat'));
  expect(rows).toEqual([{ id: 7 }]);
});

test('a tool finds the servers that run on a folder, and starts none', async () => {
  expect([runningRedisUrl(dataDir), runningMysqlUrl(dataDir)]).toEqual([undefined, undefined]);
  expect(readdirSync(dataDir)).toEqual([]);
  const [redis, mysql] = await Promise.all([startRedis(), startMysql()]);
  expect([runningRedisUrl(dataDir), runningMysqlUrl(dataDir)]).toEqual([redis.url, mysql.url]);
  // Gone without a word.
  process.kill(redis.pid, 'SIGKILL');
  await waitUntil('Redis is gone', () => runningRedisUrl(dataDir) === undefined, 5_000);
  await mysql.stop();
  expect(runningMysqlUrl(dataDir)).toBeUndefined();
});

test('nobody comes in without the password, and the user of the database has no other rights', async () => {
  const [redis, mysql] = await Promise.all([startRedis(), startMysql()]);
  for (const file of ['redis.password', 'mysql.password', 'redis/redis.conf', 'mysql/accounts.sql']) {
    expect(statSync(join(dataDir, file)).mode & 0o777, file).toBe(0o600);
  }
  const redisUrl = new URL(redis.url);
  redisUrl.password = '';
  await expect(withRedis(redisUrl.href, (client) => client.get('seat'))).rejects.toThrow(/NOAUTH/);
  const root = { host: '127.0.0.1', port: Number(new URL(mysql.url).port), user: 'root', connectTimeout: 2_000 };
  await expect(createConnection(root)).rejects.toThrow(/Access denied/);
  await withMysql(mysql.url, async (connection) => {
    await connection.query('CREATE DATABASE fastpass_other_test');
    await connection.query('DROP DATABASE fastpass_other_test');
    await expect(connection.query('CREATE DATABASE fastpasses')).rejects.toThrow(/Access denied/);
    await expect(connection.query('SELECT * FROM mysql.user')).rejects.toThrow(/denied/);
  });
});

/** A process of its own that starts both servers, prints them as JSON and stays. */
async function spawnParent() {
  const script = `
    const { startEmbeddedMysql, startEmbeddedRedis } = await import(process.argv[1]);
    const options = { dataDir: process.argv[2], say: () => undefined };
    const servers = await Promise.all([startEmbeddedRedis(options), startEmbeddedMysql(options)]);
    process.on('SIGINT', () => undefined);
    console.log(JSON.stringify(servers));
    setInterval(() => undefined, 1000);
  `;
  const program = ['--input-type=module', '-e', script, '--', join(here, 'index.ts'), dataDir];
  const parent = spawn(process.execPath, program, { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
  const [data] = await once(parent.stdout, 'data', { signal: AbortSignal.timeout(15_000) });
  const servers: Pick<EmbeddedServer, 'url' | 'pid'>[] = JSON.parse(String(data));
  return { parent, parentPid: parent.pid ?? 0, servers };
}

test('the servers outlive Ctrl-C of their parent, refuse a second gateway, and go when the parent is killed', async () => {
  const { parent, parentPid, servers } = await spawnParent();
  expect(servers).toHaveLength(2);

  const refusal = `${dataDir} is in use by process ${parentPid}; stop it or set FASTPASS_DATA_DIR`;
  await expect(startRedis()).rejects.toThrow(refusal);
  await expect(startMysql()).rejects.toThrow(refusal);

  // What the terminal does on Ctrl-C: the whole group of the parent, which here waits as a gateway that drains.
  process.kill(-parentPid, 'SIGINT');
  await sleep(300);
  for (const { pid } of servers) expect(processIdentity(pid)).toBeDefined();

  process.kill(parentPid, 'SIGKILL');
  await once(parent, 'exit');
  // At once, while the old servers still stop: the start waits for them.
  const [redis, mysql] = await Promise.all([startRedis(), startMysql()]);
  for (const { pid } of servers) expect(processIdentity(pid)).toBeUndefined();
  expect(await withRedis(redis.url, (client) => client.ping())).toBe('PONG');
  await withMysql(mysql.url, (connection) => connection.query('SELECT 1'));
});

test('nothing is left behind when the parent is killed and nobody starts again', async () => {
  const { parentPid, servers } = await spawnParent();
  process.kill(parentPid, 'SIGKILL');
  const allGone = () => servers.every(({ pid }) => processIdentity(pid) === undefined);
  await waitUntil('both servers are gone', allGone, 5_000);
});

test('a killed Redis is reported and starts again on its data and port', async () => {
  const redis = await startRedis();
  await withRedis(redis.url, (client) => client.set('seat', 'held'));
  process.kill(redis.pid, 'SIGKILL');
  const again = await startRedis(Number(new URL(redis.url).port));
  expect(again.url).toBe(redis.url);
  expect(again.pid).not.toBe(redis.pid);
  expect(await withRedis(again.url, (client) => client.get('seat'))).toBe('held');
  const report = lines.find((line) => line.includes('ended unexpectedly'));
  expect(report).toContain(`Redis (process ${redis.pid}) ended unexpectedly with signal SIGKILL`);
  expect(report).toContain('Ready to accept connections');
});

test.runIf(process.platform === 'linux')(
  'a server whose guardian is killed is ended, and the folder is free afterwards',
  async () => {
    const redis = await startRedis();
    const status = readFileSync(`/proc/${redis.pid}/stat`, 'utf8');
    const guardianPid = Number(status.slice(status.lastIndexOf(')') + 2).split(' ')[1]);
    process.kill(guardianPid, 'SIGKILL');
    const again = await startRedis();
    expect(processIdentity(redis.pid)).toBeUndefined();
    expect(await withRedis(again.url, (client) => client.ping())).toBe('PONG');
  },
);

test('a server that cannot start is an error with the end of its log, and leaves the folder free', async () => {
  const redis = await startRedis();
  const otherFolder = join(dataDir, 'other');
  const onTakenPort = { dataDir: otherFolder, say, port: Number(new URL(redis.url).port) };
  await expect(startEmbeddedRedis(onTakenPort)).rejects.toThrow(/Redis did not start: .*Address already in use/s);
  expect(existsSync(join(otherFolder, 'redis', 'lock.json'))).toBe(false);
});

test('an initialisation that was interrupted is done again, and locks of earlier lives are leftovers', async () => {
  const remnant = join(dataDir, 'mysql', 'mariadb.unfinished-0123');
  mkdirSync(remnant, { recursive: true });
  writeFileSync(join(remnant, 'ibdata1'), 'half a file');
  // Process 1 always lives, but it was not started at this time.
  const lock = { token: 'x', gatewayPid: 1, gatewayIdentity: 'another time', serverPid: 1, serverIdentity: 'as well' };
  writeFileSync(join(dataDir, 'mysql', 'lock.json'), JSON.stringify(lock));
  const mysql = await startMysql();
  await withMysql(mysql.url, (connection) => connection.query('SELECT 1'));
  expect(readdirSync(join(dataDir, 'mysql')).filter((name) => name.includes('unfinished'))).toEqual([]);
});

test('the socket moves to a short path where the folder has a long one', () => {
  expect(socketFileFor(dataDir)).toBe(join(dataDir, 'mysqld.sock'));
  const deep = join(dataDir, 'a-long-name-'.repeat(10));
  const file = socketFileFor(deep);
  try {
    expect(Buffer.byteLength(file)).toBeLessThanOrEqual(100);
    expect(socketFileFor(deep)).toBe(file);
    expect(statSync(dirname(file)).mode & 0o777).toBe(0o700);
  } finally {
    rmSync(dirname(file), { recursive: true });
  }
});
