/** Did the sale come out exactly? Compares what clients were told with what stands in MySQL. */
import { setTimeout as sleep } from 'node:timers/promises';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import { uuidFromBytes } from '../../src/domain/ids.ts';
import type { Sale } from './options.ts';
import { userIdOf } from './sale.ts';
import type { Tally } from './tally.ts';

export interface Check {
  readonly name: string;
  readonly holds: boolean;
  readonly detail: string;
}

export interface Verdict {
  readonly holds: boolean;
  readonly checks: readonly Check[];
}

/** The performance in MySQL, live rows only. */
interface Books {
  /** By reservation id. */
  readonly reservations: ReadonlyMap<string, { userId: number; partySize: number }>;
  /** Rows of reservation_seats. */
  readonly owners: readonly { reservationId: string; seat: number; version: number }[];
  /** Rows of seats that are not free: the version by seat. */
  readonly taken: ReadonlyMap<number, number>;
  /** Free places by the performance's own counter; null when MySQL has no such performance. */
  readonly remaining: number | null;
}

const connectTimeoutMs = 5000;
const pollIntervalMs = 25;
/** Nothing new in MySQL for so long: it has all it will get. */
const quietMsMax = 1000;
const lagMsMax = 60_000;
const examplesMax = 3;

/**
 * Checks a rush. Where MySQL may be behind the answers (`isLagging`), waits while it still gains reservations.
 * Rejects when MySQL cannot be read.
 */
export async function checkVerdict(
  mysqlUrl: string,
  performanceId: number,
  sale: Sale,
  requests: number,
  tally: Tally,
  isLagging: boolean,
): Promise<Verdict> {
  const connection = await mysql.createConnection({ uri: mysqlUrl, connectTimeout: connectTimeoutMs });
  try {
    await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ');
    const books = isLagging
      ? await settledBooks(connection, performanceId, tally)
      : await readBooks(connection, performanceId);
    const checks = [
      checkAnswered(requests, tally),
      checkNoFault(tally),
      sale.kind === 'capacity' ? checkPlacesSold(sale, tally, books) : checkSeatsSold(sale, tally, books),
      sale.kind === 'capacity' ? checkPlacesOnce(sale, books) : checkSeatsOnce(books),
      checkSame(tally, books),
    ];
    return { holds: checks.every((check) => check.holds), checks };
  } finally {
    await connection.end();
  }
}

/** The books once they have every reservation that got a 201, or have stopped to grow. */
async function settledBooks(connection: Connection, performanceId: number, tally: Tally): Promise<Books> {
  const startedAtMs = Date.now();
  let books = await readBooks(connection, performanceId);
  let grewAtMs = startedAtMs;
  while (tally.granted.some(({ reservationId }) => !books.reservations.has(reservationId))) {
    const nowMs = Date.now();
    if (nowMs - grewAtMs > quietMsMax || nowMs - startedAtMs > lagMsMax) break;
    await sleep(pollIntervalMs);
    const sizeBefore = books.reservations.size;
    books = await readBooks(connection, performanceId);
    if (books.reservations.size > sizeBefore) grewAtMs = Date.now();
  }
  return books;
}

async function readBooks(connection: Connection, performanceId: number): Promise<Books> {
  const rows = async (sql: string): Promise<RowDataPacket[]> =>
    (await connection.query<RowDataPacket[]>({ sql, timeout: connectTimeoutMs }, [performanceId]))[0];
  // One state of all four tables: a gateway that answers before it commits may be committing now.
  await connection.query('START TRANSACTION WITH CONSISTENT SNAPSHOT');
  const reservations = await rows(
    'SELECT id, user_id, party_size FROM reservations WHERE performance_id = ? AND status IN (1, 2)',
  );
  const owners = await rows(
    'SELECT reservation_id, seat, version FROM reservation_seats WHERE performance_id = ? AND live = 1',
  );
  const taken = await rows('SELECT seat, version FROM seats WHERE performance_id = ? AND status <> 0');
  const performances = await rows('SELECT remaining FROM performances WHERE id = ?');
  await connection.query('COMMIT');
  return {
    reservations: new Map(
      reservations.map((row) => [
        uuidFromBytes(row['id']),
        { userId: Number(row['user_id']), partySize: Number(row['party_size']) },
      ]),
    ),
    owners: owners.map((row) => ({
      reservationId: uuidFromBytes(row['reservation_id']),
      seat: Number(row['seat']),
      version: Number(row['version']),
    })),
    taken: new Map(taken.map((row) => [Number(row['seat']), Number(row['version'])])),
    remaining: performances.length === 0 ? null : Number(performances[0]?.['remaining']),
  };
}

function checkAnswered(requests: number, tally: Tally): Check {
  const answered = tally.answered;
  return { name: 'every request answered', holds: answered === requests, detail: `${answered} of ${requests}` };
}

function checkNoFault(tally: Tally): Check {
  const count = tally.countOf(5);
  return { name: 'no 5xx', holds: count === 0, detail: `${count} in 5xx, ${tally.countOf(4)} in 4xx` };
}

function checkPlacesSold({ capacity, party }: Sale & { kind: 'capacity' }, tally: Tally, books: Books): Check {
  if (books.remaining === null) return { name: 'sold exactly', holds: false, detail: 'MySQL has no such performance' };
  const expected = Math.min(Math.floor(capacity / party), tally.usersDecided);
  const sold = books.reservations.size;
  const holds = sold === expected && books.remaining === capacity - expected * party;
  const detail = `${sold} reservations by ${party} where ${expected} are possible, ${books.remaining} of ${capacity} places free`;
  return { name: 'sold exactly', holds, detail };
}

function checkPlacesOnce({ capacity }: Sale & { kind: 'capacity' }, books: Books): Check {
  const remaining = books.remaining ?? 0;
  let places = 0;
  const users = new Set<number>();
  for (const { userId, partySize } of books.reservations.values()) {
    places += partySize;
    users.add(userId);
  }
  const holds = places + remaining === capacity && users.size === books.reservations.size;
  const detail = `${places} places sold and ${remaining} free of ${capacity}; ${books.reservations.size} reservations of ${users.size} users`;
  return { name: 'none twice', holds, detail };
}

function checkSeatsSold({ seats, seatsPerRequest }: Sale & { kind: 'seated' }, tally: Tally, books: Books): Check {
  const seatsOf = new Map<string, number>();
  for (const { reservationId } of books.owners) seatsOf.set(reservationId, (seatsOf.get(reservationId) ?? 0) + 1);
  const faults: string[] = [];
  for (const id of books.reservations.keys()) {
    if (seatsOf.get(id) !== seatsPerRequest) faults.push(`${id} has ${seatsOf.get(id) ?? 0} seats`);
  }
  for (const id of seatsOf.keys())
    if (!books.reservations.has(id)) faults.push(`seats of ${id}, which is no reservation`);
  for (const seat of tally.seatsRefused)
    if (!books.taken.has(seat)) faults.push(`seat ${seat} was refused and is free`);
  if (books.remaining === null) faults.push('MySQL has no such performance');
  if (books.reservations.size === 0 && tally.usersDecided > 0) faults.push('nothing was sold');
  const detail = `${books.owners.length} of ${seats} seats in ${books.reservations.size} reservations of ${seatsPerRequest}, each whole; all ${tally.seatsRefused.size} seats that anybody was refused are sold`;
  return { name: 'sold exactly', holds: faults.length === 0, detail: faults.length === 0 ? detail : examples(faults) };
}

function checkSeatsOnce(books: Books): Check {
  const ownerOf = new Map<number, string>();
  const faults: string[] = [];
  for (const { seat, reservationId, version } of books.owners) {
    if (ownerOf.has(seat)) faults.push(`seat ${seat} belongs to ${ownerOf.get(seat)} and ${reservationId}`);
    ownerOf.set(seat, reservationId);
    if (books.taken.get(seat) !== version)
      faults.push(`seat ${seat} of ${reservationId} has not the version of its hold`);
  }
  for (const seat of books.taken.keys()) if (!ownerOf.has(seat)) faults.push(`seat ${seat} is taken by nobody`);
  const detail = `${ownerOf.size} seats, each with one owner, the same in seats and in reservation_seats`;
  return { name: 'none twice', holds: faults.length === 0, detail: faults.length === 0 ? detail : examples(faults) };
}

/** Every 201 is a row with the same user and seats, and every row had a 201. */
function checkSame(tally: Tally, books: Books): Check {
  const faults: string[] = [];
  const ownerOf = new Map(books.owners.map(({ seat, reservationId }) => [seat, reservationId]));
  const told = new Set<string>();
  for (const { reservationId, user, seats } of tally.granted) {
    if (told.has(reservationId)) faults.push(`two 201 for ${reservationId}`);
    told.add(reservationId);
    const row = books.reservations.get(reservationId);
    if (row === undefined) faults.push(`a 201 for ${reservationId}, which MySQL does not have`);
    else if (row.userId !== userIdOf(user)) faults.push(`${reservationId} belongs to user ${row.userId}`);
    for (const seat of seats) {
      if (ownerOf.get(seat) !== reservationId) faults.push(`seat ${seat} is not of ${reservationId}`);
    }
  }
  for (const id of books.reservations.keys()) if (!told.has(id)) faults.push(`${id} is in MySQL and had no 201`);
  const detail = `${told.size} answers 201, the same ${books.reservations.size} reservations in MySQL`;
  return { name: 'MySQL agrees', holds: faults.length === 0, detail: faults.length === 0 ? detail : examples(faults) };
}

function examples(faults: readonly string[]): string {
  const more = faults.length > examplesMax ? `; and ${faults.length - examplesMax} more` : '';
  return `${faults.slice(0, examplesMax).join('; ')}${more}`;
}
