/** What the end-to-end tests share: gateways on the run's own servers, in this process or as a process of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import mysql from 'mysql2/promise';
import { inject } from 'vitest';
import { type App, startApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import { mintToken, type Role } from '../src/gateway/auth.ts';
import { silentLog } from '../src/logger.ts';

export const testSecret = 'a-secret-of-the-tests-32-bytes-long!';

type Settings = Readonly<Record<string, string>>;

/** The environment of a gateway on the test servers: any free port, no rate limit unless set. */
export function testEnvironment(settings: Settings = {}): Record<string, string> {
  return {
    REDIS_URL: inject('redisUrl'),
    MYSQL_URL: inject('mysqlUrl'),
    JWT_SECRET: testSecret,
    PORT: '0',
    HOST: '127.0.0.1',
    LOG_LEVEL: 'error',
    FASTPASS_RATE_LIMIT_PER_SECOND: '0',
    ...settings,
  };
}

export interface TestGateway {
  readonly url: string;
  stop(): Promise<void>;
}

/** A gateway in this process. */
export async function startGateway(settings: Settings = {}): Promise<TestGateway & { app: App }> {
  const config = readConfig(testEnvironment(settings));
  const app = await startApp({ ...config, mysqlUrl: config.mysqlUrl ?? '' }, silentLog);
  return { url: `http://127.0.0.1:${app.port}`, app, stop: () => app.stop() };
}

export interface GatewayProcess extends TestGateway {
  readonly child: ChildProcess;
  /** SIGKILL, resolved when it is gone. */
  kill(): Promise<void>;
}

const mainPath = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** A gateway as a process of its own, ready to serve; `PORT` in the settings, or any free one. */
export async function spawnGateway(settings: Settings = {}): Promise<GatewayProcess> {
  const child = spawn(process.execPath, [mainPath], {
    env: { PATH: process.env['PATH'] ?? '', ...testEnvironment({ LOG_LEVEL: 'info', ...settings }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const port = await new Promise<string>((resolve, reject) => {
    let output = '';
    const onData = (data: Buffer): void => {
      output += data.toString();
      const match = /listening .*port=(\d+)/.exec(output);
      if (match !== null) resolve(match[1]!);
    };
    child.stdout.on('data', onData);
    child.stderr.on('data', onData);
    child.once('exit', () => reject(new Error(`the gateway did not start:\n${output}`)));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    child,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever field it asserts on
  readonly body: any;
}

export interface CallOptions {
  readonly userId?: number;
  readonly role?: Role;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One HTTP call with a token for `userId` (none: no token); JSON both ways. */
export async function call(url: string, method: string, path: string, options: CallOptions = {}): Promise<Reply> {
  const { userId, role = 'user', body, headers = {} } = options;
  const response = await fetch(url + path, {
    method,
    headers: {
      ...(userId === undefined ? {} : { authorization: `Bearer ${tokenOf(userId, role)}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
}

const tokens = new Map<string, string>();

/** A token for a user, the same one every time. */
export function tokenOf(userId: number, role: Role = 'user'): string {
  const name = `${role} ${userId}`;
  let token = tokens.get(name);
  if (token === undefined) {
    token = mintToken(testSecret, userId, role, 3600);
    tokens.set(name, token);
  }
  return token;
}

let lastUserId = Math.floor(Math.random() * 1_000_000) * 1_000_000;

/** A user nobody has used. */
export function newUserId(): number {
  return ++lastUserId;
}

/** Creates an event with one performance over the API; returns the performance's id. */
export async function createPerformance(url: string, fields: Readonly<Record<string, unknown>>): Promise<number> {
  const admin = { userId: newUserId(), role: 'admin' } as const;
  const event = await call(url, 'POST', '/v1/events', { ...admin, body: { name: 'Test event' } });
  const body = { startsAt: '2030-01-01T20:00:00Z', price: 1000, ...fields };
  const created = await call(url, 'POST', `/v1/events/${event.body.eventId}/performances`, { ...admin, body });
  if (created.status !== 201) throw new Error(`no performance: ${JSON.stringify(created.body)}`);
  return created.body.performanceId;
}

/** Rows straight from MySQL. */
export async function query(
  sql: string,
  parameters: readonly (string | number)[] = [],
): Promise<mysql.RowDataPacket[]> {
  const connection = await mysql.createConnection(inject('mysqlUrl'));
  try {
    return (await connection.query<mysql.RowDataPacket[]>(sql, [...parameters]))[0];
  } finally {
    await connection.end();
  }
}

/** Waits until `check` is true, asking every 10 ms; fails after `timeoutMs`. */
export async function until(what: string, check: () => Promise<boolean> | boolean, timeoutMs = 10_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await check())) {
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
