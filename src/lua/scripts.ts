/** The Lua scripts: whole files beside this one, their argument order standing once, in a typed function each. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type OutboxRow, outboxKinds } from '../domain/account.ts';
import { eventsKey, type PerformanceKeys } from './keys.ts';

/** A script ready for EVALSHA; `keyCount`, of a performance, is checked against the file's head by a test. */
export interface Script {
  readonly name: string;
  readonly source: string;
  readonly sha: string;
  readonly keyCount: number;
}

/** One call of a script: what EVALSHA gets behind the sha and the number of keys. */
export interface ScriptCall {
  readonly script: Script;
  readonly keys: readonly string[];
  readonly args: readonly (string | Buffer)[];
}

function readLua(path: string): string {
  return readFileSync(new URL(path, import.meta.url), 'utf8');
}

/** Reads `<name>.lua` and puts `include/<part>.lua` where a line says `-- @include <part>`. */
function loadScript(name: string, keyCount: number): Script {
  const source = readLua(`./${name}.lua`).replace(/^-- @include (\S+)$/gm, (_, part: string) =>
    readLua(`./include/${part}.lua`),
  );
  return { name, source, keyCount, sha: createHash('sha1').update(source).digest('hex') };
}

export const holdScript = loadScript('hold', 9);
export const releaseScript = loadScript('release', 9);
export const confirmScript = loadScript('confirm', 8);
export const coolScript = loadScript('cool', 5);
export const forgetScript = loadScript('forget', 3);
export const journalScript = loadScript('journal', 1);
export const timeScript = loadScript('time', 1);
export const warmScript = loadScript('warm', 13);
export const queueServeScript = loadScript('queue-serve', 9);
export const queueAdmitScript = loadScript('queue-admit', 8);
export const queueDrawScript = loadScript('queue-draw', 5);
export const queueSetScript = loadScript('queue-set', 3);
export const queueSeenScript = loadScript('queue-seen', 1);
export const watchSeatsScript = loadScript('watch-seats', 1);
export const headScript = loadScript('head', 1);
export const attemptsScript = loadScript('attempts', 1);
export const appendEventsScript = loadScript('append-events', 1);
export const leaseScript = loadScript('lease', 1);
export const leaseEndScript = loadScript('lease-end', 1);

/**
 * hold.lua, for one performance or, on one node, for several: `requests` is msgpack of a list
 * `[[reservationId, userId as text, partySize, [seat, ...], pass], ...]` a performance.
 */
export function holdCall(performances: readonly PerformanceKeys[], requests: Buffer): ScriptCall {
  const keys: string[] = [];
  const args: (string | Buffer)[] = [requests];
  for (let i = 0; i < performances.length; i++) {
    const { meta, seats, reservations, users, expiry, journal, tickets, active, used, seatsChannel } = performances[i]!;
    keys.push(meta, seats, reservations, users, expiry, journal, tickets, active, used);
    args.push(seatsChannel);
  }
  return { script: holdScript, keys, args };
}

/** release.lua: `releases` is msgpack of `[[reservationId, userId as text, endsPass, [seat, version, ...]], ...]`. */
export function releaseCall(keys: PerformanceKeys, releases: Buffer): ScriptCall {
  const { meta, seats, reservations, users, expiry, tickets, active, used, seatsChannel } = keys;
  return {
    script: releaseScript,
    keys: [meta, seats, reservations, users, expiry, keys.late, tickets, active, used],
    args: [releases, seatsChannel],
  };
}

/** confirm.lua: `sales` is msgpack of `[[reservationId, userId as text, [seat, version, ...]], ...]`. */
export function confirmCall(keys: PerformanceKeys, sales: Buffer): ScriptCall {
  const { meta, seats, reservations, expiry, tickets, active, used, seatsChannel } = keys;
  return {
    script: confirmScript,
    keys: [meta, seats, reservations, expiry, keys.late, tickets, active, used],
    args: [sales, seatsChannel],
  };
}

/** cool.lua. */
export function coolCall(keys: PerformanceKeys, reservationIds: readonly string[]): ScriptCall {
  return {
    script: coolScript,
    keys: [keys.meta, keys.seats, keys.reservations, keys.users, keys.expiry],
    args: [keys.seatsChannel, ...reservationIds],
  };
}

/** forget.lua, for one performance or, on one node, for several: the entries of each. */
export function forgetCall(
  entriesOf: readonly { readonly keys: PerformanceKeys; readonly entryIds: readonly string[] }[],
): ScriptCall {
  return {
    script: forgetScript,
    keys: entriesOf.flatMap(({ keys }) => [keys.meta, keys.journal, keys.void]),
    args: entriesOf.map(({ entryIds }) => entryIds.join(' ')),
  };
}

/** journal.lua, for one performance or, on one node, for several. */
export function journalCall(performances: readonly PerformanceKeys[], ageMs: number, countMax: number): ScriptCall {
  const keys = performances.map(({ journal }) => journal);
  return { script: journalScript, keys, args: [String(ageMs), String(countMax)] };
}

/** time.lua. */
export function timeCall(keys: PerformanceKeys): ScriptCall {
  return { script: timeScript, keys: [keys.meta], args: [] };
}

/** warm.lua: `loaded` are the keys the load has written, `isLoaded` where there was anything to write,
 * `voidBefore` what `void` held before it, `room` msgpack of the waiting room or empty, `meta` field, value, ... */
export function warmCall(
  keys: PerformanceKeys,
  loaded: readonly string[],
  voidBefore: string,
  isLoaded: readonly boolean[],
  room: Buffer,
  meta: readonly string[],
): ScriptCall {
  const { seats, reservations, users, expiry, journal, queue, seatsChannel } = keys;
  return {
    script: warmScript,
    keys: [keys.meta, seats, reservations, users, expiry, journal, keys.void, keys.late, queue, ...loaded],
    args: [voidBefore, isLoaded.map(Number).join(''), room, seatsChannel, ...meta],
  };
}

/** queue-serve.lua: `requests` is msgpack of `[[kind, userId as text, arrival, number], ...]`. */
export function queueServeCall(keys: PerformanceKeys, requests: Buffer, absenceMs: number): ScriptCall {
  const { meta, queue, tickets, waiting, early, active, seen, line, used } = keys;
  return {
    script: queueServeScript,
    keys: [meta, queue, tickets, waiting, early, active, seen, line, used],
    args: [requests, String(absenceMs)],
  };
}

/** queue-admit.lua. */
export function queueAdmitCall(keys: PerformanceKeys, roundMs: number): ScriptCall {
  const { queue, tickets, waiting, early, active, seen, line, used, queueChannel } = keys;
  return {
    script: queueAdmitScript,
    keys: [queue, tickets, waiting, early, active, seen, line, used],
    args: [String(roundMs), queueChannel],
  };
}

/** queue-draw.lua: `numbers` is msgpack of `[first arrival, [number, ...]]`; `range` is `'firstArrival lastArrival'`. */
export function queueDrawCall(keys: PerformanceKeys, numbers: Buffer, range: string, isLast: boolean): ScriptCall {
  const { queue, tickets, waiting, early, line, queueChannel } = keys;
  return {
    script: queueDrawScript,
    keys: [queue, tickets, waiting, early, line],
    args: [numbers, range, isLast ? queueChannel : ''],
  };
}

/** queue-set.lua: `settings` are fields and values. */
export function queueSetCall(keys: PerformanceKeys, revision: number, settings: readonly string[]): ScriptCall {
  return { script: queueSetScript, keys: [keys.meta, keys.queue, keys.void], args: [String(revision), ...settings] };
}

/** queue-seen.lua. */
export function queueSeenCall(keys: PerformanceKeys, absenceMs: number, userIds: readonly string[]): ScriptCall {
  return { script: queueSeenScript, keys: [keys.seen], args: [String(absenceMs), ...userIds] };
}

/** watch-seats.lua. */
export function watchSeatsCall(keys: PerformanceKeys, forMs: number): ScriptCall {
  return { script: watchSeatsScript, keys: [keys.meta], args: [String(forMs)] };
}

/** head.lua. */
export function headCall(keys: PerformanceKeys): ScriptCall {
  return { script: headScript, keys: [keys.meta], args: [] };
}

/** Numbers of attempts.lua. */
export interface AttemptLimit {
  readonly freeMax: number;
  readonly waitMsMax: number;
  readonly forgetMs: number;
}

/** What attempts.lua is told. */
export type AttemptStep = 'begin' | 'right' | 'look' | 'wrong';

/** attempts.lua. */
export function attemptsCall(key: string, limit: AttemptLimit, what: AttemptStep): ScriptCall {
  const { freeMax, waitMsMax, forgetMs } = limit;
  return { script: attemptsScript, keys: [key], args: [String(freeMax), String(waitMsMax), String(forgetMs), what] };
}

/** Kept in the stream, about: a consumer group may be that far behind. */
const eventsKeptMax = 1_000_000;

/** append-events.lua. */
export function appendEventsCall(rows: readonly OutboxRow[]): ScriptCall {
  const pairs = rows.flatMap(({ id, lines }) => [String(id), lines]);
  const args = [outboxKinds.join(' '), String(eventsKeptMax), ...pairs];
  return { script: appendEventsScript, keys: [eventsKey], args };
}

/** lease.lua: takes or renews the lease for `owner`. */
export function leaseCall(key: string, owner: string, durationMs: number): ScriptCall {
  return { script: leaseScript, keys: [key], args: [owner, String(durationMs)] };
}

/** lease-end.lua: gives the lease back if `owner` still has it. */
export function leaseEndCall(key: string, owner: string): ScriptCall {
  return { script: leaseEndScript, keys: [key], args: [owner] };
}
