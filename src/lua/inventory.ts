/**
 * Reads all that Redis says of a performance, in small pieces: a hall of 100,000 seats must not keep the others waiting. So
 * the parts are of different moments, unless nothing changed meanwhile.
 */
import type { ArbiterView, JournalledHold, ViewedReservation, ViewedSeat } from '../domain/drift.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';
import { parseJournalEntry } from './journal.ts';
import { type PerformanceKeys, performanceKeys, warmPerformancesKey } from './keys.ts';
import { headCall } from './scripts.ts';

/** 0.2 ms of Redis (500: 0.5 ms). A cursor cannot run ahead of its answer: what is pipelined are the four hashes. */
const fieldsPerCommandMax = 200;
/** An entry holds up to a batch of holds. */
const entriesPerCommandMax = 50;

interface Head {
  readonly isSeated: boolean;
  readonly places: number;
  readonly remaining: number;
  readonly load: string;
  readonly revision: string;
  readonly nowMs: number;
}

/** The performances that have been warm, in no order. Rejects with StoreUnavailable. */
export async function readPerformanceIds(connection: RedisConnection): Promise<number[]> {
  const ids = new Set<number>();
  await scan(
    (cursor) => connection.client.sscan(warmPerformancesKey, cursor, 'COUNT', fieldsPerCommandMax),
    (members) => {
      for (const member of members) ids.add(Number(member));
    },
  );
  return [...ids];
}

/** What Redis says of a performance; null when it is not warm or was loaded meanwhile. Rejects with StoreUnavailable. */
export async function readView(connection: RedisConnection, performanceId: number): Promise<ArbiterView | null> {
  const keys = performanceKeys(performanceId);
  const before = await readHead(connection, keys);
  if (before === null) return null;
  const [seats, reservations, users, expiry, journal] = await Promise.all([
    readHash(connection, keys.seats, Number, seatOf),
    readHash(connection, keys.reservations, String, reservationOf),
    readHash(connection, keys.users, Number, (ids) => ids.split(' ')),
    readEnds(connection, keys.expiry),
    readJournal(connection, performanceId),
  ]);
  const after = await readHead(connection, keys);
  if (after === null || after.load !== before.load) return null;
  return {
    isSeated: before.isSeated,
    places: before.places,
    remaining: before.remaining,
    nowMs: before.nowMs,
    isStill: after.revision === before.revision && after.remaining === before.remaining,
    seats,
    reservations,
    users,
    expiry,
    journal,
  };
}

async function readHead(connection: RedisConnection, keys: PerformanceKeys): Promise<Head | null> {
  const reply = await connection.runOne(headCall(keys));
  if (!Array.isArray(reply)) return null;
  const [kind = '', places, remaining, load = '', revision = '', nowMs] = reply.map(String);
  return {
    isSeated: kind === 'seated',
    places: Number(places),
    remaining: Number(remaining),
    load,
    revision,
    nowMs: Number(nowMs),
  };
}

async function readHash<Key, Value>(
  { client }: RedisConnection,
  key: string,
  keyOf: (field: string) => Key,
  itemOf: (value: string) => Value,
): Promise<Map<Key, Value>> {
  const map = new Map<Key, Value>();
  await scan(
    (cursor) => client.hscan(key, cursor, 'COUNT', fieldsPerCommandMax),
    (pairs) => addPairs(map, pairs, keyOf, itemOf),
  );
  return map;
}

async function readEnds({ client }: RedisConnection, key: string): Promise<Map<string, number>> {
  const map = new Map<string, number>();
  await scan(
    (cursor) => client.zscan(key, cursor, 'COUNT', fieldsPerCommandMax),
    (pairs) => addPairs(map, pairs, String, Number),
  );
  return map;
}

/** `pairs`: fields and values, alternating; a field may come twice. */
function addPairs<Key, Value>(
  map: Map<Key, Value>,
  pairs: readonly string[],
  keyOf: (field: string) => Key,
  itemOf: (value: string) => Value,
): void {
  for (let i = 0; i < pairs.length; i += 2) map.set(keyOf(pairs[i]!), itemOf(pairs[i + 1]!));
}

/** Each piece is read before the next one is asked for: no long work at the end either. */
async function scan(
  next: (cursor: string) => Promise<[cursor: string, elements: string[]]>,
  onElements: (elements: readonly string[]) => void,
): Promise<void> {
  try {
    let cursor = '0';
    do {
      const [after, elements] = await next(cursor);
      onElements(elements);
      cursor = after;
    } while (cursor !== '0');
  } catch (thrown) {
    throw new StoreUnavailable('redis', thrown);
  }
}

/** The holds that were on their way when this began; later ones are not in the other parts of a second look either. */
async function readJournal({ client }: RedisConnection, performanceId: number): Promise<JournalledHold[]> {
  const { journal } = performanceKeys(performanceId);
  const holds: JournalledHold[] = [];
  try {
    const [last] = await client.xrevrangeBuffer(journal, '+', '-', 'COUNT', 1);
    if (last === undefined) return holds;
    let first = '-';
    for (;;) {
      const entries = await client.xrangeBuffer(journal, first, last[0], 'COUNT', entriesPerCommandMax);
      for (const entry of entries) holds.push(...parseJournalEntry(performanceId, entry, 0));
      if (entries.length < entriesPerCommandMax) return holds;
      first = `(${entries.at(-1)![0].toString()}`;
    }
  } catch (thrown) {
    throw new StoreUnavailable('redis', thrown);
  }
}

/** See hold.lua for the values. */
function seatOf(value: string): ViewedSeat {
  const [state = '', version, , owner = ''] = value.split(' ');
  return { state, version: Number(version), owner };
}

function reservationOf(value: string): ViewedReservation {
  const [userId, endMs, partySize, seats = ''] = value.split(' ');
  return {
    userId: Number(userId),
    endMs: Number(endMs),
    partySize: Number(partySize),
    seats: seats === '' ? [] : seats.split(',').map(Number),
  };
}
