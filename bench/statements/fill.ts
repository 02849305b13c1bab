/**
 * Writes the sale of statements-model.ts into an empty, migrated database: rows as literals, thousands a statement, every
 * table in the order of its primary key and on a connection of its own. The schema stays as the migrations made it.
 */
import mysql, { type Connection } from 'mysql2/promise';
import { EntryType } from '../../src/domain/account.ts';
import { toDateTime } from '../../src/persist/literals.ts';
import {
  capacityOf,
  type Entry,
  isSeated,
  performancesPerEvent,
  priceOf,
  Sale,
  type Shape,
  type Sold,
} from './model.ts';

const reservationsPerStatement = 4000;
const rowsPerStatement = 10_000;
const dayMs = 24 * 3_600_000;
/** From the first ticket to the performance. */
const daysAhead = 60;
/** One performance in so many has a waiting room. */
const performancesPerRoom = 10;
const outboxRows = 30;
const holdMs = 300_000;
const tokenDays = 1;
/** A hash of argon2id is as long as this. */
const passwordHash = `$argon2id$v=19$m=19456,t=2,p=1$${'a'.repeat(22)}$${'b'.repeat(43)}`;

/** What the display shows. */
export interface FillProgress {
  done: number;
}

/** The rows of some tables, to be written together. */
type Batch = Record<'reservations' | 'reservation_seats' | 'payments' | 'balance_entries', string[]>;

const columnsOf: Record<keyof Batch, string> = {
  reservations: 'id, performance_id, user_id, status, party_size, amount, expires_at, hold_ends_at, created_at',
  reservation_seats: 'reservation_id, seat, performance_id, version, live',
  payments: 'id, reservation_id, performance_id, user_id, amount, balance, status, created_at',
  balance_entries: 'user_id, type, amount, balance, reservation_id, request_id, created_at',
};
const tables = Object.keys(columnsOf) as (keyof Batch)[];

/** Fills the database; `progress` counts reservations, `say` tells of the rest. */
export async function fillDatabase(
  url: string,
  shape: Shape,
  progress: FillProgress,
  say: (line: string) => void,
): Promise<void> {
  const sale = new Sale(shape, Date.now());
  const connections = new Map<keyof Batch, Connection>();
  try {
    for (const table of tables) connections.set(table, await connect(url));
    await writeReservations(sale, connections, progress);
    say('seats, performances, users, balances ...');
    const [first, second] = [...connections.values()];
    await Promise.all([writePlaces(first!, sale), writePeople(second!, sale)]);
    say('statistics ...');
    const names = [...tables, 'events', 'performances', 'seats', 'users', 'balances', 'waiting_rooms', 'queue_draws'];
    await first!.query(`ANALYZE TABLE ${names.join(', ')}`);
  } finally {
    for (const connection of connections.values()) connection.destroy();
  }
}

/** The text is sent as it is: looking for placeholders in it would take longer than writing the rows. */
function connect(url: string): Promise<Connection> {
  return mysql.createConnection({ uri: url, queryFormat: (sql: string) => sql });
}

async function writeReservations(
  sale: Sale,
  connections: ReadonlyMap<keyof Batch, Connection>,
  progress: FillProgress,
): Promise<void> {
  const { reservations } = sale.shape;
  let underWay: Promise<unknown> = Promise.resolve();
  for (let first = 0; first < reservations; first += reservationsPerStatement) {
    const end = Math.min(reservations, first + reservationsPerStatement);
    // The next batch is made while the server writes this one.
    const batch = batchOf(sale, first, end);
    await underWay;
    progress.done = first;
    underWay = Promise.all(
      tables.map((table) => insert(connections.get(table)!, table, columnsOf[table], batch[table])),
    );
    // Whoever awaits it next has its error.
    underWay.catch(() => {});
  }
  await underWay;
  progress.done = reservations;
}

async function insert(connection: Connection, table: string, columns: string, rows: readonly string[]): Promise<void> {
  if (rows.length > 0) await connection.query(`INSERT INTO ${table} (${columns}) VALUES ${rows.join(',')}`);
}

function batchOf(sale: Sale, first: number, end: number): Batch {
  const batch: Batch = { reservations: [], reservation_seats: [], payments: [], balance_entries: [] };
  for (let number = first; number < end; number++) {
    const sold = sale.sell(number);
    batch.reservations.push(reservationRow(sold));
    const { id, performanceId, seats, versions, isLive } = sold;
    for (let i = 0; i < seats.length; i++) {
      batch.reservation_seats.push(`(x'${id}',${seats[i]},${performanceId},${versions[i]},${isLive ? '1' : 'NULL'})`);
    }
    for (const entry of sale.entriesOf(sold)) {
      batch.balance_entries.push(entryRow(sold, entry));
      if (entry.type === 'payment') batch.payments.push(paymentRow(sold, entry));
    }
  }
  return batch;
}

function reservationRow({ id, performanceId, userId, status, partySize, amount, atMs }: Sold): string {
  const ends = toDateTime(atMs + holdMs);
  const numbers = `${performanceId},${userId},${status},${partySize},${amount}`;
  return `(x'${id}',${numbers},'${ends}','${ends}','${toDateTime(atMs)}')`;
}

function entryRow({ id, userId }: Sold, { type, amount, balance, requestId, atMs }: Entry): string {
  const reservation = type === 'charge' ? 'NULL' : `x'${id}'`;
  const numbers = `${userId},${EntryType[type]},${amount},${balance}`;
  return `(${numbers},${reservation},x'${requestId}','${toDateTime(atMs)}')`;
}

/** The id of a payment is the request id of its entry. */
function paymentRow({ id, performanceId, userId, amount, isRefunded }: Sold, entry: Entry): string {
  const numbers = `${performanceId},${userId},${amount},${entry.balance},${isRefunded ? 2 : 1}`;
  return `(x'${entry.requestId}',x'${id}',${numbers},'${toDateTime(entry.atMs)}')`;
}

/** Writes rows 1 to `count`. */
async function insertAll(
  connection: Connection,
  table: string,
  columns: string,
  count: number,
  rowOf: (number: number) => string,
): Promise<void> {
  for (let first = 1; first <= count; first += rowsPerStatement) {
    const rows: string[] = [];
    for (let number = first; number < first + rowsPerStatement && number <= count; number++) rows.push(rowOf(number));
    await insert(connection, table, columns, rows);
  }
}

/** Events, performances, their seats, and some waiting rooms. */
async function writePlaces(connection: Connection, sale: Sale): Promise<void> {
  const { events, performances, seatsPerHall } = sale.shape;
  await insertAll(connection, 'events', 'id, name, description, created_at', events, (eventId) => {
    return `(${eventId},'Show ${eventId}','Fifty evenings','${toDateTime(sale.onSaleAtMs(eventId))}')`;
  });
  const columns = `id, event_id, starts_at, price, hold_seconds, max_reservations_per_user, kind, places, seats_per_row,
    max_party_size, remaining, created_at`;
  await insertAll(connection, 'performances', columns, performances, (id) => performanceRow(sale, id));
  for (let id = 1; id <= performances; id++) {
    if (!isSeated(id)) continue;
    const index = (id - 1) * seatsPerHall - 1;
    await insertAll(connection, 'seats', 'performance_id, seat, status, version', seatsPerHall, (seat) => {
      return `(${id},${seat},${sale.seatStatus[index + seat]},${sale.seatVersion[index + seat]})`;
    });
  }
  const rooms = Math.floor(performances / performancesPerRoom);
  const roomColumns =
    'performance_id, revision, mode, admit_per_second, max_active, pass_seconds, draw_before_open, issued';
  await insertAll(connection, 'waiting_rooms', roomColumns, rooms, (number) => {
    return `(${number * performancesPerRoom},1,'on',50,500,300,1,1000)`;
  });
  const drawColumns = 'performance_id, first_arrival, last_arrival, seed, drawn_at';
  await insertAll(connection, 'queue_draws', drawColumns, rooms, (number) => {
    return `(${number * performancesPerRoom},1,500,'${'0a'.repeat(32)}','${toDateTime(sale.endMs)}')`;
  });
}

function performanceRow(sale: Sale, id: number): string {
  const { seatsPerHall } = sale.shape;
  const eventId = Math.ceil(id / performancesPerEvent);
  const onSaleAtMs = sale.onSaleAtMs(eventId);
  // One evening after the other.
  const startsAtMs = onSaleAtMs + (daysAhead + (id % performancesPerEvent)) * dayMs;
  const capacity = capacityOf(sale.shape);
  const seating = isSeated(id)
    ? `'seated',${seatsPerHall},50,0,0`
    : `'capacity',${capacity},0,10,${capacity - sale.placesTaken[id - 1]!}`;
  const times = [startsAtMs, onSaleAtMs].map((ms) => `'${toDateTime(ms)}'`);
  return `(${id},${eventId},${times[0]},${priceOf(id)},300,4,${seating},${times[1]})`;
}

async function writePeople(connection: Connection, sale: Sale): Promise<void> {
  const { users } = sale.shape;
  const atText = toDateTime(sale.madeAtMs(0));
  await insertAll(connection, 'users', 'id, email, name, role, password_hash, created_at', users, (id) => {
    return `(${id},'user.${id}@example.org','User ${id}','user','${passwordHash}','${atText}')`;
  });
  await insertAll(connection, 'balances', 'user_id, balance', users, (id) => `(${id},${sale.balances[id - 1]})`);
}

/**
 * What has to be around now: holds that end from now on, evenly over an hour; tokens that end within a day, some of them
 * over; a few events that wait to be told. May be called again on a database that was kept.
 */
export async function bringUpToDate(url: string, shape: Shape): Promise<void> {
  const connection = await connect(url);
  try {
    await connection.query(
      `UPDATE reservations SET hold_ends_at = NOW(3) + INTERVAL (CONV(HEX(RIGHT(id, 2)), 16, 10) % 3600) SECOND
       WHERE status = 1`,
    );
    await connection.query('DELETE FROM revoked_tokens');
    await insertAll(connection, 'revoked_tokens', 'token_id, ends_at', shape.revokedTokens, (number) => {
      const ends = `NOW(3) + INTERVAL ${(number * 7919) % (tokenDays * 86_400)} - 3600 SECOND`;
      return `(UNHEX(MD5('token ${number}')),${ends})`;
    });
    await connection.query('DELETE FROM outbox');
    await insertAll(connection, 'outbox', 'events', outboxRows, () => {
      const reservationId = '00000000-0000-7000-8000-000000000000';
      return `('${JSON.stringify([{ kind: 'reservation.held', reservationId, performanceId: 1, userId: 1 }])}')`;
    });
    await connection.query('ANALYZE TABLE revoked_tokens, outbox');
  } finally {
    connection.destroy();
  }
}
