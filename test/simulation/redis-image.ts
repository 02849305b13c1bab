/** Everything that one performance has in Redis, read from the real one and from the fake in the same words. */
import type { RedisConnection } from '../../src/lua/connection.ts';
import { performanceKeys, roomsKey, warmPerformancesKey } from '../../src/lua/keys.ts';
import type { MemoryRedis, Queue } from './memory-redis.ts';
import type { SortedSet } from './sorted-set.ts';

type Fields = Record<string, string>;

export interface RedisImage {
  readonly hashes: Readonly<Record<string, Fields>>;
  /** Members with their scores, in order. */
  readonly sets: Readonly<Record<string, readonly (readonly [string, number])[]>>;
  /** Users and when their absence counts: written by a clock that the other one is read a moment later. */
  readonly seen: ReadonlyMap<string, number>;
  readonly line: readonly number[];
}

const hashNames = ['meta', 'seats', 'reservations', 'users', 'queue', 'tickets', 'used'] as const;
const setNames = ['expiry', 'waiting', 'early', 'active'] as const;
/** Of the queue, as numbers: a field that is missing is 0. */
const queueNumbers = [
  ...['revision', 'rate', 'maxActive', 'passMs', 'opensAt', 'issued', 'admitted', 'watermark', 'earlyFrom', 'earlyTo'],
  ...['at', 'allowance', 'sweptAt', 'saidAt', 'graceUntil', 'measuredRate', 'measuredFrom'],
];

/** What two servers cannot have in common is left out: the name of a load, and a moment in whole seconds. */
function commonMeta({ load: _, watchedUntil, unsureUntil, queue, ...meta }: Fields): Fields {
  const [isWatched, isUnsure] = [String(watchedUntil !== undefined), String(unsureUntil !== undefined)];
  return { ...meta, isQueue: String(queue === '1'), isWatched, isUnsure };
}

function commonQueue(queue: Fields): Fields {
  const numbers = queueNumbers.map((name) => [name, String(Number(queue[name] ?? 0))]);
  return { mode: queue['mode'] ?? '', draw: queue['draw'] ?? '', ...Object.fromEntries(numbers) };
}

/** Reads real Redis. */
export async function realImage({ client }: RedisConnection, performanceId: number): Promise<RedisImage> {
  const keys = performanceKeys(performanceId);
  const [hashes, sets, line] = await Promise.all([
    Promise.all(hashNames.map((name) => client.hgetall(keys[name]))),
    Promise.all([...setNames, 'seen' as const].map((name) => client.zrange(keys[name], '0', '-1', 'WITHSCORES'))),
    client.getBuffer(keys.line),
  ]);
  const pairs = (flat: readonly string[]): [string, number][] =>
    flat.flatMap((member, i) => (i % 2 === 0 ? [[member, Number(flat[i + 1])] as [string, number]] : []));
  const named = Object.fromEntries(hashNames.map((name, i) => [name, hashes[i]!]));
  if (Object.keys(named['meta']!).length > 0) named['meta'] = commonMeta(named['meta']!);
  if (Object.keys(named['queue']!).length > 0) named['queue'] = commonQueue(named['queue']!);
  return {
    hashes: named,
    sets: Object.fromEntries(setNames.map((name, i) => [name, pairs(sets[i]!)])),
    seen: new Map(pairs(sets.at(-1)!)),
    line: [...(line ?? [])],
  };
}

function fieldsOf<Key, Value>(map: ReadonlyMap<Key, Value>, textOf: (value: Value) => string): Fields {
  return Object.fromEntries([...map].map(([key, value]) => [String(key), textOf(value)]));
}

function textsOf(record: object): Fields {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, String(value)]));
}

function queueFields(queue: Queue): Fields {
  return commonQueue({ ...textsOf(queue), draw: queue.draw ? '1' : '0' });
}

/** Reads the fake. */
export function fakeImage(redis: MemoryRedis, performanceId: number): RedisImage {
  const data = redis.of(performanceId);
  const { meta, queue } = data;
  const pairs = (set: SortedSet<string> | SortedSet<number>): [string, number][] =>
    set.entries().map(({ member, score }) => [String(member), score]);
  return {
    hashes: {
      meta: meta === null ? {} : commonMeta({ ...textsOf(meta), queue: meta.queue ? '1' : '0' }),
      seats: fieldsOf(data.seats, ({ state, version, endMs, owner }) =>
        state === 'A' ? `A ${version}` : `${state} ${version} ${endMs} ${owner}`,
      ),
      reservations: fieldsOf(
        data.reservations,
        ({ userId, endMs, partySize, seats }) => `${userId} ${endMs} ${partySize} ${seats.join(',')}`,
      ),
      users: fieldsOf(data.users, (ids) => ids.join(' ')),
      queue: queue === null ? {} : queueFields(queue),
      tickets: fieldsOf(data.tickets, ({ state, arrival, number }) => `${state} ${arrival} ${number}`),
      used: fieldsOf(data.used, (id) => id),
    },
    sets: Object.fromEntries(setNames.map((name) => [name, pairs(data[name])])),
    seen: new Map(pairs(data.seen)),
    line: [...data.line.from(0)],
  };
}

/** What Redis has of one performance, for `restoreKeys`. */
export interface KeysCopy {
  /** Null where there was no such key. */
  readonly dumps: readonly { readonly key: string; readonly dump: Buffer | null }[];
  /** The sets of performances that name it. */
  readonly memberOf: readonly string[];
}

const performanceSets = [warmPerformancesKey, roomsKey];

function keysOf(performanceId: number): string[] {
  const { seatsChannel: _, queueChannel: __, ...keys } = performanceKeys(performanceId);
  return Object.values(keys);
}

export async function copyKeys({ client }: RedisConnection, performanceId: number): Promise<KeysCopy> {
  const isMember = await Promise.all(performanceSets.map((set) => client.sismember(set, performanceId)));
  return {
    dumps: await Promise.all(keysOf(performanceId).map(async (key) => ({ key, dump: await client.dumpBuffer(key) }))),
    memberOf: performanceSets.filter((_, i) => isMember[i] === 1),
  };
}

/** Goes back to a copy: what a failover that lost writes leaves. */
export async function restoreKeys(
  connection: RedisConnection,
  performanceId: number,
  { dumps, memberOf }: KeysCopy,
): Promise<void> {
  const { client } = connection;
  await removeKeys(connection, performanceId);
  for (const { key, dump } of dumps) if (dump !== null) await client.restore(key, 0, dump);
  for (const set of memberOf) await client.sadd(set, performanceId);
}

/** As if Redis had been emptied. */
export async function removeKeys({ client }: RedisConnection, performanceId: number): Promise<void> {
  await client.unlink(...keysOf(performanceId));
  for (const set of performanceSets) await client.srem(set, performanceId);
}
