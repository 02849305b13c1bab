/** What the end-to-end tests share: gateways on the run's own servers, in this process or as a process of their own. */
import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import mysql from 'mysql2/promise';
import { inject } from 'vitest';
import { type App, startApp } from '../src/app.ts';
import { readConfig } from '../src/config.ts';
import type { Role } from '../src/domain/account.ts';
import { mintToken } from '../src/gateway/auth.ts';
import { silentLog } from '../src/logger.ts';
import { performanceKeys, warmPerformancesKey } from '../src/lua/keys.ts';
import { migrate } from '../src/persist/migrate.ts';

export const testSecret = 'a-secret-of-the-tests-32-bytes-long!';

type Settings = Readonly<Record<string, string>>;

interface Stores {
  readonly redisUrl?: string;
  readonly mysqlUrl?: string;
}

let stores: Stores = {};

/** From now on the gateways and questions of this file go to stores of its own; what is left out stays the run's. */
export function useStores(own: Stores): void {
  stores = own;
}

function redisUrl(): string {
  return stores.redisUrl ?? inject('redisUrl');
}

function mysqlUrl(): string {
  return stores.mysqlUrl ?? inject('mysqlUrl');
}

/** The environment of a gateway on the test servers: any free port, no rate limit unless set. */
export function testEnvironment(settings: Settings = {}): Record<string, string> {
  return {
    REDIS_URL: redisUrl(),
    MYSQL_URL: mysqlUrl(),
    JWT_SECRET: testSecret,
    PORT: '0',
    HOST: '127.0.0.1',
    LOG_LEVEL: 'error',
    FASTPASS_RATE_LIMIT_PER_SECOND: '0',
    ...settings,
  };
}

/** For who asks much at once and wants no 503: what others do on this machine must not use up the time of a request. */
export const patient = { FASTPASS_REQUEST_DEADLINE_MS: '20000' } as const;

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
  /** All it has written so far. */
  output(): string;
  /** SIGKILL, resolved when it is gone. */
  kill(): Promise<void>;
}

const mainPath = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/**
 * A gateway as a process of its own, ready to serve; `PORT` in the settings, or any free one. It may have `openFilesMax`
 * files and connections open.
 */
export async function spawnGateway(settings: Settings = {}, openFilesMax?: number): Promise<GatewayProcess> {
  const limit = openFilesMax === undefined ? '' : `ulimit -n ${openFilesMax}; `;
  const child = spawn('/bin/sh', ['-c', `${limit}exec "$@"`, 'sh', process.execPath, mainPath], {
    env: { PATH: process.env['PATH'] ?? '', ...testEnvironment({ LOG_LEVEL: 'info', ...settings }) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return untilListening(child);
}

/** A gateway process that was just started, with its output in pipes, once it listens; its log level must be `info`. */
export async function untilListening(child: ChildProcessByStdio<null, Readable, Readable>): Promise<GatewayProcess> {
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  // Behind the exit: its last lines have been read by then.
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let output = '';
  const port = await new Promise<string>((resolve, reject) => {
    const onData = (data: Buffer): void => {
      output += data.toString();
      const match = /listening.*port"?[=:](\d+)\D/.exec(output);
      if (match !== null) resolve(match[1]!);
    };
    child.stdout.on('data', onData);
    child.stderr.on('data', onData);
    // Its workers may keep the pipes open behind it.
    const soon = exited.then(() => new Promise((go) => setTimeout(go, 1000)));
    void Promise.race([closed, soon]).then(() => reject(new Error(`the gateway did not start:\n${output}`)));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    child,
    output: () => output,
    async stop() {
      child.kill('SIGTERM');
      await closed;
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
export async function createPerformance(
  url: string,
  fields: Readonly<Record<string, unknown>>,
  ofEvent: Readonly<Record<string, unknown>> = {},
): Promise<number> {
  const admin = { userId: newUserId(), role: 'admin' } as const;
  const event = await call(url, 'POST', '/v1/events', { ...admin, body: { name: 'Test event', ...ofEvent } });
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
  const connection = await mysql.createConnection(mysqlUrl());
  try {
    return (await connection.query<mysql.RowDataPacket[]>(sql, [...parameters]))[0];
  } finally {
    await connection.end();
  }
}

/** Keeps a lock in MySQL while `work` runs: a SELECT ... FOR UPDATE of a transaction of its own. */
export async function whileLocked<Result>(
  sql: string,
  parameters: readonly (string | number | Buffer)[],
  work: () => Promise<Result>,
): Promise<Result> {
  const connection = await mysql.createConnection(mysqlUrl());
  try {
    await connection.query('START TRANSACTION');
    await connection.query(sql, [...parameters]);
    return await work();
  } finally {
    await connection.query('COMMIT');
    await connection.end();
  }
}

/**
 * The performances that other tests have left are on sale no more: call it before a gateway starts that must not warm them,
 * and whose jobs must not look at them first.
 */
export async function closeEarlierSales(): Promise<void> {
  // The first file of a run meets an empty database.
  await migrate(mysqlUrl());
  await query('UPDATE performances SET starts_at = NOW(3) - INTERVAL 1 DAY');
  const redis = redisClient();
  await redis.del(warmPerformancesKey);
  redis.disconnect();
}

/** A counter of the MySQL server, of all its sessions. */
export async function mysqlStatus(name: string): Promise<number> {
  return Number((await query('SHOW GLOBAL STATUS LIKE ?', [name]))[0]!['Value']);
}

/** Waits until `check` is true, asking every 10 ms; fails after `timeoutMs`. */
export async function until(what: string, check: () => Promise<boolean> | boolean, timeoutMs = 10_000): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!(await check())) {
    if (performance.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A Redis client on the test server; the caller disconnects it. */
export function redisClient(): Redis {
  return new Redis(redisUrl());
}

/** The sum of a metric over its labels, as `/metrics` serves it. */
export async function metricOf(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  let sum = 0;
  for (const line of text.split('\n')) {
    if (line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}

/** The next number below `max` of a seeded sequence (mulberry32), so that a failed run can be run again. */
export function seededRandom(seed: number): (max: number) => number {
  let state = seed;
  return (max) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * max);
  };
}

/** What one user sends in a crowd. */
export interface Sending {
  readonly method?: string;
  readonly path?: string;
  readonly userId: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What came back; status 0: no connection, or it was closed before an answer. */
export interface Sent {
  readonly sending: Sending;
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever field it asserts on
  readonly body: any;
  /** Whether any byte of the request was written to a connection. */
  readonly wasSent: boolean;
  /** `performance.now()` when it was written. */
  readonly sentAtMs: number;
}

export interface CrowdOptions {
  readonly connections?: number;
  /** Called with every answer as it comes. */
  readonly onAnswer?: (sent: Sent) => void;
}

/**
 * Sends everything over keep-alive connections, each with one request under way, in the order given. Resolves with one
 * result a sending, in their order; never rejects, whatever happens to the gateway.
 */
export async function crowd(url: string, sendings: readonly Sending[], options: CrowdOptions = {}): Promise<Sent[]> {
  const { connections = 200, onAnswer } = options;
  const { hostname, port } = new URL(url);
  const results: Sent[] = new Array(sendings.length);
  let next = 0;
  const lanes = Array.from({ length: Math.min(connections, sendings.length) }, async () => {
    const lane = new Lane(hostname, Number(port));
    while (next < sendings.length) {
      const index = next++;
      const sending = sendings[index]!;
      const answer = await lane.exchange(requestText(sending));
      const sent = { sending, ...answer, body: answer.text === '' ? null : JSON.parse(answer.text) };
      results[index] = sent;
      onAnswer?.(sent);
    }
    lane.close();
  });
  await Promise.all(lanes);
  return results;
}

/** A hold of a crowd's user. */
export function holdSending(userId: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Sending {
  return { userId, body, headers };
}

function requestText({ method = 'POST', path = '/v1/reservations', userId, body, headers = {} }: Sending): string {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: test', `Authorization: Bearer ${tokenOf(userId)}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  const text = body === undefined ? '' : JSON.stringify(body);
  if (body !== undefined) lines.push('Content-Type: application/json', `Content-Length: ${Buffer.byteLength(text)}`);
  return `${lines.join('\r\n')}\r\n\r\n${text}`;
}

interface LaneAnswer {
  readonly status: number;
  readonly text: string;
  readonly wasSent: boolean;
  readonly sentAtMs: number;
}

/** One keep-alive connection, opened again when the other side closed it. */
class Lane {
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | null = null;
  #received = '';
  #sentAtMs = 0;
  #wasSent = false;
  #settle: ((answer: LaneAnswer) => void) | null = null;

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  exchange(request: string): Promise<LaneAnswer> {
    return new Promise((resolve) => {
      this.#received = '';
      this.#wasSent = false;
      this.#settle = resolve;
      const socket = this.#socket ?? this.#open();
      const write = (): void => {
        this.#sentAtMs = performance.now();
        this.#wasSent = true;
        socket.write(request, 'latin1');
      };
      if (socket.connecting) socket.once('connect', write);
      else write();
    });
  }

  close(): void {
    this.#socket?.destroy();
  }

  #open(): Socket {
    const socket = connect({ host: this.#host, port: this.#port, noDelay: true });
    this.#socket = socket;
    socket.on('data', (data) => {
      this.#received += data.toString('latin1');
      const answer = parseAnswer(this.#received);
      if (answer !== null) this.#done(answer.status, answer.text);
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#socket = null;
      this.#done(0, '');
    });
    return socket;
  }

  #done(status: number, text: string): void {
    const settle = this.#settle;
    this.#settle = null;
    settle?.({ status, text, wasSent: this.#wasSent, sentAtMs: this.#sentAtMs });
  }
}

/** The first answer in what was received; null while it is not whole. */
export function parseAnswer(received: string): { status: number; text: string } | null {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd < 0) return null;
  const head = received.slice(0, headEnd);
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0);
  const text = received.slice(headEnd + 4, headEnd + 4 + length);
  return text.length < length ? null : { status: Number(head.slice(9, 12)), text };
}

/** How many answers came with each status. */
export function countByStatus(sent: readonly Sent[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of sent) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** What the answers with a 5xx say; empty when there are none. */
export function serverFaults(sent: readonly Sent[]): string[] {
  const faults = new Map<string, number>();
  for (const { status, body } of sent) {
    if (status < 500) continue;
    const fault = `${status} ${body?.code}: ${body?.detail}`;
    faults.set(fault, (faults.get(fault) ?? 0) + 1);
  }
  return [...faults].map(([fault, count]) => `${count} x ${fault}`);
}

/** The ids of the reservations that clients were told of. */
export function acknowledged(sent: readonly Sent[]): string[] {
  return sent.filter(({ status }) => status === 201).map(({ body }) => body.reservationId);
}

export interface StoredReservation {
  readonly id: string;
  readonly userId: number;
  readonly status: number;
  readonly partySize: number;
  readonly seats: readonly number[];
}

/** What MySQL stores for a status; written out, since the numbers in old rows never change. */
export const storedStatus = { HELD: 1, CONFIRMED: 2, CANCELLED: 3, EXPIRED: 4 } as const;

/** What MySQL has of a performance: its reservations with the seats that they own now. */
export async function storedReservations(performanceId: number): Promise<StoredReservation[]> {
  const rows = await query(
    `SELECT LOWER(HEX(r.id)) AS id, r.user_id, r.status, r.party_size,
            (SELECT GROUP_CONCAT(s.seat ORDER BY s.seat) FROM reservation_seats s
             WHERE s.reservation_id = r.id AND s.live = 1) AS seats
     FROM reservations r WHERE r.performance_id = ?`,
    [performanceId],
  );
  return rows.map((row) => ({
    id: row['id'].replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    userId: row['user_id'],
    status: row['status'],
    partySize: row['party_size'],
    seats: row['seats'] === null ? [] : String(row['seats']).split(',').map(Number),
  }));
}

/**
 * The promises that hold for a performance at any moment of rest, whatever happened before. Returns what is broken:
 * a seat sold twice, a reservation half held, places sold beyond the capacity.
 */
export async function brokenPromises(performanceId: number): Promise<string[]> {
  const broken: string[] = [];
  const reservations = await storedReservations(performanceId);
  const live = reservations.filter(({ status }) => status === storedStatus.HELD || status === storedStatus.CONFIRMED);
  const [row] = await query(
    'SELECT kind, places, remaining, max_reservations_per_user FROM performances WHERE id = ?',
    [performanceId],
  );
  const ownerOf = new Map<number, string>();
  for (const { id, seats } of live) {
    for (const seat of seats) {
      if (ownerOf.has(seat)) broken.push(`seat ${seat} belongs to ${ownerOf.get(seat)} and ${id}`);
      ownerOf.set(seat, id);
    }
  }
  for (const { id, status, seats } of reservations) {
    if (!live.some((other) => other.id === id) && seats.length > 0) broken.push(`${id} of status ${status} owns seats`);
  }
  const asked = await query(
    `SELECT LOWER(HEX(r.id)) AS id, COUNT(s.seat) AS asked, COALESCE(SUM(s.live), 0) AS owned
     FROM reservations r JOIN reservation_seats s ON s.reservation_id = r.id
     WHERE r.performance_id = ? AND r.status IN (1, 2) GROUP BY r.id HAVING asked <> owned`,
    [performanceId],
  );
  for (const half of asked) broken.push(`${half['id']} owns ${half['owned']} of its ${half['asked']} seats`);
  if (row!['kind'] === 'seated') {
    const seats = await query('SELECT seat, status FROM seats WHERE performance_id = ?', [performanceId]);
    for (const { seat, status } of seats) {
      const owner = ownerOf.get(seat);
      if ((status === 0) !== (owner === undefined)) {
        broken.push(`seat ${seat} has status ${status} and belongs to ${owner}`);
      }
    }
  } else {
    const taken = live.reduce((sum, { partySize }) => sum + partySize, 0);
    if (taken > row!['places']) broken.push(`${taken} places sold of ${row!['places']}`);
    if (row!['remaining'] !== row!['places'] - taken) broken.push(`remaining ${row!['remaining']}, taken ${taken}`);
  }
  const countOf = new Map<number, number>();
  for (const { userId } of live) countOf.set(userId, (countOf.get(userId) ?? 0) + 1);
  for (const [userId, count] of countOf) {
    if (count > row!['max_reservations_per_user']) broken.push(`user ${userId} has ${count} reservations`);
  }
  return broken;
}

const seatStatusNames = ['AVAILABLE', 'HELD', 'OCCUPIED'];

/** How what the gateway shows of a performance (Redis) differs from what MySQL has; empty when they agree. */
export async function disagreements(url: string, performanceId: number): Promise<string[]> {
  const different: string[] = [];
  const map = await call(url, 'GET', `/v1/performances/${performanceId}/seats`);
  const stored = await query('SELECT seat, status FROM seats WHERE performance_id = ? ORDER BY seat', [performanceId]);
  if (stored.length !== map.body.seats.length) different.push(`${map.body.seats.length} seats of ${stored.length}`);
  for (let i = 0; i < stored.length; i++) {
    const shown = map.body.seats[i]?.status;
    const truth = seatStatusNames[stored[i]!['status']];
    if (shown !== truth) different.push(`seat ${stored[i]!['seat']} is shown ${shown}, MySQL has ${truth}`);
  }
  const [row] = await query(
    `SELECT IF(kind = 'capacity', remaining,
               (SELECT COUNT(*) FROM seats s WHERE s.performance_id = p.id AND s.status = 0)) AS places
     FROM performances p WHERE id = ?`,
    [performanceId],
  );
  const { remaining } = (await call(url, 'GET', `/v1/performances/${performanceId}`)).body;
  if (remaining !== row!['places']) different.push(`${remaining} shown to remain, MySQL has ${row!['places']}`);
  return different;
}

/** Resolves once the journals of the performances are empty: MySQL has, or has refused, every hold granted. */
export async function untilJournalsEmpty(performanceIds: readonly number[], timeoutMs = 10_000): Promise<void> {
  const redis = redisClient();
  try {
    await until(
      'the journals are empty',
      async () => {
        const lengths = await Promise.all(performanceIds.map((id) => redis.xlen(performanceKeys(id).journal)));
        return lengths.every((length) => length === 0);
      },
      timeoutMs,
    );
  } finally {
    redis.disconnect();
  }
}

/** Resolves once Redis keeps a hold no longer that has ended: it stands there until a script takes its places over. */
export async function untilLapsed(performanceId: number, reservationId: string): Promise<void> {
  const redis = redisClient();
  try {
    const [, finishMs] = (await redis.hget(performanceKeys(performanceId).reservations, reservationId))!.split(' ');
    await until('Redis keeps it no longer', async () => Number((await redis.time())[0]) * 1000 > Number(finishMs));
  } finally {
    redis.disconnect();
  }
}
