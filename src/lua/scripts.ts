/** The Lua scripts: whole files beside this one, their argument order standing once, in a typed function each. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { PerformanceKeys } from './keys.ts';

/** A script ready for EVALSHA; `keyCount` is checked against the file's head by a test. */
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

export const holdScript = loadScript('hold', 6);
export const releaseScript = loadScript('release', 6);
export const coolScript = loadScript('cool', 5);
export const forgetScript = loadScript('forget', 3);
export const warmScript = loadScript('warm', 11);
export const leaseScript = loadScript('lease', 1);
export const leaseEndScript = loadScript('lease-end', 1);

/** hold.lua: `requests` is msgpack of `[[reservationId, userId as text, partySize, [seat, ...]], ...]`. */
export function holdCall(keys: PerformanceKeys, requests: Buffer): ScriptCall {
  return {
    script: holdScript,
    keys: [keys.meta, keys.seats, keys.reservations, keys.users, keys.expiry, keys.journal],
    args: [requests],
  };
}

/** release.lua: `releases` is msgpack of `[[reservationId, seat, version, ...], ...]`. */
export function releaseCall(keys: PerformanceKeys, releases: Buffer): ScriptCall {
  return {
    script: releaseScript,
    keys: [keys.meta, keys.seats, keys.reservations, keys.users, keys.expiry, keys.void],
    args: [releases],
  };
}

/** cool.lua. */
export function coolCall(keys: PerformanceKeys, reservationIds: readonly string[]): ScriptCall {
  return {
    script: coolScript,
    keys: [keys.meta, keys.seats, keys.reservations, keys.users, keys.expiry],
    args: reservationIds,
  };
}

/** forget.lua. */
export function forgetCall(keys: PerformanceKeys, entryIds: readonly string[]): ScriptCall {
  return { script: forgetScript, keys: [keys.meta, keys.journal, keys.void], args: entryIds };
}

/** warm.lua: `loaded` are the keys the load has written, `isLoaded` where there was anything to write,
 * `voidBefore` what `void` held before it, `meta` field, value, ... */
export function warmCall(
  keys: PerformanceKeys,
  loaded: readonly string[],
  voidBefore: string,
  isLoaded: readonly boolean[],
  meta: readonly string[],
): ScriptCall {
  return {
    script: warmScript,
    keys: [keys.meta, keys.seats, keys.reservations, keys.users, keys.expiry, keys.journal, keys.void, ...loaded],
    args: [voidBefore, isLoaded.map(Number).join(''), ...meta],
  };
}

/** lease.lua: takes or renews the lease for `owner`. */
export function leaseCall(key: string, owner: string, durationMs: number): ScriptCall {
  return { script: leaseScript, keys: [key], args: [owner, String(durationMs)] };
}

/** lease-end.lua: gives the lease back if `owner` still has it. */
export function leaseEndCall(key: string, owner: string): ScriptCall {
  return { script: leaseEndScript, keys: [key], args: [owner] };
}
