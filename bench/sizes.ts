/**
 * What is kept: halls of several sizes held to the last seat and waiting rooms full of tickets, made over HTTP, then the
 * memory of every key of theirs in Redis and the bytes of a row in MySQL.
 */
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { mintToken } from '../src/gateway/auth.ts';
import { performanceKeys } from '../src/lua/keys.ts';
import { headText, requestText, targetOf } from './load/connection.ts';
import { fire, openConnections } from './load/fire.ts';
import { type Gateway, startGateway } from './load/gateway.ts';
import { say } from './load/progress.ts';
import { onStage, type Stage } from './load/stage.ts';
import { startStores } from './load/stores.ts';
import { createSale, userIdOf } from './rush/sale.ts';
import { Room } from './sockets/room.ts';

export const help = `npm run bench -- sizes [options]
  --halls N,N,...    seats of the halls, each held two by two    (1000,20000,100000)
  --tickets N,N,...  people in the waiting rooms                 (10000,100000)
  --json             the result as JSON on stdout
  --help`;

const jwtSecret = 'a-secret-of-the-bench-32-bytes-long!!';
const tokenSeconds = 3600;
const seatsEach = 2;
const holders = 200;
const countMax = 1_000_000;
/** Of the hot path; the outbox is emptied as it fills. */
const tables = ['seats', 'reservations', 'reservation_seats'];

/** Everything that Redis keeps of one performance. */
interface Kept {
  readonly count: number;
  readonly bytes: number;
  /** By what a key is for. */
  readonly keys: Readonly<Record<string, number>>;
}

interface TableSize {
  readonly table: string;
  readonly rows: number;
  readonly bytes: number;
}

export interface SizesResult {
  readonly seatsEach: number;
  readonly halls: readonly Kept[];
  readonly tickets: readonly Kept[];
  readonly tables: readonly TableSize[];
}

/** The journal is left out: what stands there is gone when MySQL has it. */
async function keptOf(redis: Redis, performanceId: number, count: number): Promise<Kept> {
  const keys: Record<string, number> = {};
  for (const [name, key] of Object.entries(performanceKeys(performanceId))) {
    if (name === 'journal' || name.endsWith('Channel')) continue;
    // Every field, not a sample.
    const bytes = await redis.memory('USAGE', key, 'SAMPLES', 0);
    if (bytes !== null) keys[name] = bytes;
  }
  return { count, bytes: Object.values(keys).reduce((sum, bytes) => sum + bytes, 0), keys };
}

/** Holds every seat of a new hall, two by two, for a user each. Rejects when a hold is refused. */
async function holdHall(gateway: Gateway, seats: number): Promise<number> {
  const target = targetOf(gateway.url);
  const performanceId = await createSale(target, jwtSecret, { kind: 'seated', seats, seatsPerRequest: seatsEach });
  const total = Math.floor(seats / seatsEach);
  let fault = '';
  await fire({
    target,
    connections: await openConnections(target, Math.min(holders, total)),
    total,
    textOf(index) {
      const authorization = `Bearer ${mintToken(jwtSecret, userIdOf(index), 'user', tokenSeconds)}`;
      const head = { authorization, 'content-type': 'application/json' };
      const first = index * seatsEach + 1;
      const body = JSON.stringify({ performanceId, seats: Array.from({ length: seatsEach }, (_, i) => first + i) });
      return requestText(headText('POST', target, '/v1/reservations', head), body);
    },
    onAnswer(_index, { status, body }) {
      if (status !== 201) fault = `${status} ${body}`;
    },
    onLost(_index, reason) {
      fault = reason;
    },
  });
  if (fault !== '') throw new Error(`a seat could not be held: ${fault}`);
  return performanceId;
}

async function readTables(url: string): Promise<TableSize[]> {
  const connection = await mysql.createConnection(url);
  try {
    const sizes: TableSize[] = [];
    for (const table of tables) {
      await connection.query(`ANALYZE TABLE ${table}`);
      const [counts] = await connection.query<RowDataPacket[]>(`SELECT COUNT(*) AS n FROM ${table}`);
      const [sums] = await connection.query<RowDataPacket[]>(
        `SELECT DATA_LENGTH + INDEX_LENGTH AS bytes FROM information_schema.TABLES
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?`,
        [table],
      );
      sizes.push({ table, rows: Number(counts[0]!['n']), bytes: Number(sums[0]!['bytes']) });
    }
    return sizes;
  } finally {
    connection.destroy();
  }
}

async function run(stage: Stage, hallSizes: readonly number[], crowds: readonly number[]): Promise<SizesResult> {
  const { REDIS_URL: redisUrl, MYSQL_URL: mysqlUrl } = process.env;
  const stores = await stage.add(() => startStores({ name: 'bench', redisUrl, mysqlUrl, say }));
  const common = { redisUrl: stores.redisUrl, mysqlUrl: stores.mysqlUrl, jwtSecret, workers: 1 };
  const gateway = await stage.add(() => startGateway(common));
  const redis = new Redis(stores.redisUrl);
  await stage.add(async () => ({ stop: async () => redis.disconnect() }));
  const halls: Kept[] = [];
  for (const seats of hallSizes) {
    say(`holding ${seats} seats ...`);
    halls.push(await keptOf(redis, await holdHall(gateway, seats), seats));
  }
  const tickets: Kept[] = [];
  for (const people of crowds) {
    say(`${people} people join ...`);
    const room = await Room.create(gateway.url, jwtSecret);
    await room.admit(0);
    await room.join(0, people);
    tickets.push(await keptOf(redis, room.performanceId, people));
  }
  return { seatsEach, halls, tickets, tables: await readTables(stores.mysqlUrl) };
}

function lineOf(what: string, count: number, bytes: number): string {
  const each = count === 0 ? '' : (bytes / count).toFixed(0);
  const kib = Math.ceil(bytes / 1024).toLocaleString('en');
  return `  ${what.padEnd(32)}${count.toLocaleString('en').padStart(10)}${kib.padStart(12)}${each.padStart(10)}\n`;
}

function render({ halls, tickets, tables: rows }: SizesResult): string {
  const heading = `  ${''.padEnd(32)}${'count'.padStart(10)}${'KiB'.padStart(12)}${'bytes'.padStart(10)}\n`;
  const keysOf = ({ count, keys }: Kept): string =>
    Object.entries(keys)
      .filter(([, bytes]) => bytes > count)
      .map(([name, bytes]) => lineOf(`  of these ${name}`, count, bytes))
      .join('');
  let text = `\nRedis, a seat held or a ticket\n\n${heading}`;
  for (const kept of halls) text += lineOf(`seats, held by ${seatsEach}`, kept.count, kept.bytes) + keysOf(kept);
  for (const kept of tickets) text += lineOf('tickets', kept.count, kept.bytes) + keysOf(kept);
  text += `\nMySQL, a row with its index entries\n\n${heading}`;
  for (const { table, rows: count, bytes } of rows) text += lineOf(table, count, bytes);
  return `${text}\n`;
}

/** Runs the bench; returns the exit code: 0 measured, 2 usage. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      halls: { type: 'string', default: '1000,20000,100000' },
      tickets: { type: 'string', default: '10000,100000' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${help}\n`);
    return 0;
  }
  const [halls, tickets] = [values.halls, values.tickets].map((text) => text.split(',').map(Number)) as [
    number[],
    number[],
  ];
  const isUsable = [...halls, ...tickets].every((count) => Number.isInteger(count) && count > 0 && count <= countMax);
  if (!isUsable) {
    process.stderr.write(`${help}\n`);
    return 2;
  }
  const result = await onStage((stage) => run(stage, halls, tickets));
  process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : render(result));
  return 0;
}
