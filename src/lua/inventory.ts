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

/** 0.1 ms of Redis. A cursor cannot run ahead of its answer: what is pipelined are the four hashes. */
const fieldsPerCommandMax = 500;
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
  const ids: number[] = [];
  await scan((cursor) => connection.client.sscan(warmPerformancesKey, cursor, 'COUNT', fieldsPerCommandMax), ids);
  return [...new Set(ids.map(Number))];
}

/** What Redis says of a performance; null when it is not warm or was loaded meanwhile. Rejects with StoreUnavailable. */
export async function readView(connection: RedisConnection, performanceId: number): Promise<ArbiterView | null> {
  const keys = performanceKeys(performanceId);
  const before = await readHead(connection, keys);
  if (before === null) return null;
  const [seats, reservations, users, expiry, journal] = await Promise.all([
    readHash(connection, keys.seats),
    readHash(connection, keys.reservations),
    readHash(connection, keys.users),
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
    seats: mapOf(seats, Number, seatOf),
    reservations: mapOf(reservations, String, reservationOf),
    users: mapOf(users, Number, (ids) => ids.split(' ')),
    expiry: mapOf(expiry, String, Number),
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

/** Fields and values, alternating; a field may come twice. */
async function readHash({ client }: RedisConnection, key: string): Promise<string[]> {
  const pairs: string[] = [];
  await scan((cursor) => client.hscan(key, cursor, 'COUNT', fieldsPerCommandMax), pairs);
  return pairs;
}

async function readEnds({ client }: RedisConnection, key: string): Promise<string[]> {
  const pairs: string[] = [];
  await scan((cursor) => client.zscan(key, cursor, 'COUNT', fieldsPerCommandMax), pairs);
  return pairs;
}

async function scan(
  next: (cursor: string) => Promise<[cursor: string, elements: string[]]>,
  into: (string | number)[],
): Promise<void> {
  try {
    let cursor = '0';
    do {
      const [after, elements] = await next(cursor);
      for (const element of elements) into.push(element);
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

function mapOf<Key, Value>(
  pairs: readonly string[],
  keyOf: (text: string) => Key,
  itemOf: (text: string) => Value,
): Map<Key, Value> {
  const map = new Map<Key, Value>();
  for (let i = 0; i < pairs.length; i += 2) map.set(keyOf(pairs[i]!), itemOf(pairs[i + 1]!));
  return map;
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
