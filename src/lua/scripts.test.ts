import { readdirSync, readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import { describe, expect, inject, it } from 'vitest';
import { HoldCode } from './decisions.ts';
import { performanceKeys } from './keys.ts';
import { PlaceCode } from './rooms.ts';
import * as scripts from './scripts.ts';

const folder = new URL('./', import.meta.url);
const readLua = (name: string): string => readFileSync(new URL(name, folder), 'utf8');
const luaNames = (path: string): string[] =>
  readdirSync(new URL(path, folder))
    .filter((name) => name.endsWith('.lua'))
    .map((name) => name.slice(0, -4))
    .sort();

function isScript(value: unknown): value is scripts.Script {
  return typeof value === 'object' && value !== null && 'sha' in value;
}
const loaded = Object.values(scripts).filter(isScript);

/** The comment that a file begins with. */
function headOf(name: string): string {
  const lines = readLua(`${name}.lua`).split('\n');
  return lines
    .slice(
      0,
      lines.findIndex((line) => !line.startsWith('--')),
    )
    .join('\n');
}

/** The text without comments. */
function codeOf(text: string): string {
  return text.replace(/--.*$/gm, '');
}

/** The indexes that `KEYS[n]` and `KEYS[n..m]` name. */
function indexesOf(text: string, array: 'KEYS' | 'ARGV'): number[] {
  const indexes = new Set<number>();
  for (const [, first, last] of text.matchAll(new RegExp(`${array}\\[(\\d+)(?:\\.\\.(\\d*))?\\]`, 'g'))) {
    for (let index = Number(first); index <= Number(last || first); index++) indexes.add(index);
  }
  return [...indexes].sort((a, b) => a - b);
}

const keys = performanceKeys(1);
const loadedKeys = ['a', 'b', 'c', 'd'];
const calls: readonly scripts.ScriptCall[] = [
  scripts.holdCall([keys], Buffer.alloc(0)),
  scripts.releaseCall(keys, Buffer.alloc(0)),
  scripts.confirmCall(keys, Buffer.alloc(0)),
  scripts.coolCall(keys, ['id']),
  scripts.forgetCall([{ keys, entryIds: ['1-1'] }]),
  scripts.journalCall([keys], 1, 1),
  scripts.timeCall(keys),
  scripts.warmCall(keys, loadedKeys, '', [true, false, false, false], Buffer.alloc(0), ['kind', 'seated']),
  scripts.queueServeCall(keys, Buffer.alloc(0), 1),
  scripts.queueAdmitCall(keys, 1),
  scripts.queueDrawCall(keys, Buffer.alloc(0), '1 2', true),
  scripts.queueSetCall(keys, 1, ['mode', 'on']),
  scripts.queueSeenCall(keys, 1, ['1']),
  scripts.watchSeatsCall(keys, 1),
  scripts.headCall(keys),
  scripts.attemptsCall('attempts', { freeMax: 1, waitMsMax: 1, forgetMs: 1 }, 'look'),
  scripts.appendEventsCall([{ id: 1, lines: '' }]),
  scripts.leaseCall('lease', 'owner', 1),
  scripts.leaseEndCall('lease', 'owner'),
];

describe('the scripts', () => {
  it('are all the Lua files there are, each with a call of its own', () => {
    expect(loaded.map((script) => script.name).sort()).toEqual(luaNames('.'));
    expect(calls.map((call) => call.script.name).sort()).toEqual(luaNames('.'));
  });

  it('include every shared part, and leave no include behind', () => {
    const used = new Set<string>();
    for (const { name } of loaded) {
      for (const [, part] of readLua(`${name}.lua`).matchAll(/^-- @include (\S+)$/gm)) used.add(part!);
    }
    expect([...used].sort()).toEqual(luaNames('include'));
    for (const { source } of loaded) expect(source).not.toContain('@include');
  });

  it('are known to Redis by the sha they are called with', async () => {
    const client = new Redis(inject('redisUrl'));
    try {
      for (const { source, sha } of loaded) expect(await client.script('LOAD', source)).toBe(sha);
    } finally {
      client.disconnect();
    }
  });
});

describe.each(loaded.map((script) => [script.name, script] as const))('%s.lua', (name, { source, keyCount }) => {
  const head = headOf(name);
  const call = calls.find((candidate) => candidate.script.name === name)!;

  it('begins with what it is for, its keys, its arguments and what it returns', () => {
    expect(head).toMatch(/^-- [A-Z]/);
    expect(head).toMatch(/^-- Returns /m);
    const wanted = Array.from({ length: keyCount }, (_, i) => i + 1);
    expect(indexesOf(head, 'KEYS')).toEqual(wanted);
    const documented = indexesOf(head, 'ARGV');
    if (call.args.length > 0) expect(documented[0]).toBe(1);
    const hasRest = /ARGV\[\d+\.\.\]/.test(head);
    for (const index of indexesOf(codeOf(source), 'ARGV')) {
      expect(documented.includes(index) || (hasRest && index > documented.at(-1)!)).toBe(true);
    }
  });

  it('is called with as many keys, in the order of its head', () => {
    expect(call.keys).toHaveLength(keyCount);
    for (const [, index, what] of head.matchAll(/(?:^-- |\s{3})KEYS\[(\d+)\]\s+([\w:]+)/gm)) {
      const key = call.keys[Number(index) - 1]!;
      if (key.startsWith('{p1}:')) expect(key).toBe(`{p1}:${what}`);
    }
  });

  it('touches no key it was not given', () => {
    const code = codeOf(source);
    for (const index of indexesOf(code, 'KEYS')) expect(index).toBeLessThanOrEqual(keyCount);
    // `local aKey, bKey = KEYS[1], KEYS[2]`: as many names as keys.
    const given = new Set<string>();
    for (const [, names, values] of code.matchAll(/^local ((?:\w+Key(?:, )?)+) = (.+)$/gm)) {
      const list = names!.split(', ');
      expect(values!.split(', ')).toEqual(list.map((_, i) => `KEYS[${i + 1}]`));
      for (const each of list) given.add(each);
    }
    for (const [, each] of code.matchAll(/\b(\w+Key)\b/g)) expect([...given]).toContain(each);
    for (const [, command, key] of code.matchAll(/redis\.p?call\(('\w+'|\w+)(?:, ([^,)]+))?/g)) {
      if (command === "'TIME'" || command === "'PUBLISH'") continue;
      const isGiven = given.has(key!) || /^KEYS\[(?:\d+|i(?: \+ \d+)?)\]$/.test(key!);
      // `key` is the first parameter of a helper of the file, which is called with a given one.
      expect([command, key, isGiven || key === 'key']).toEqual([command, key, true]);
    }
  });

  it('decides by no clock but that of Redis, and by no chance', () => {
    expect(codeOf(source)).not.toMatch(/os\.|math\.random|RANDOMKEY/);
  });
});

describe.each([
  ['hold', HoldCode],
  ['queue-serve', PlaceCode],
] as const)('%s.lua', (name, known) => {
  const code = codeOf(readLua(`${name}.lua`));

  it('answers with the codes that its caller reads', () => {
    const [, names, values] = /^local ([A-Z]+, [A-Z_, ]+) = ([\d, ]+)$/m.exec(code)!;
    const numbers = values!.split(', ').map(Number);
    const camel = (text: string): string => text.toLowerCase().replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
    const codes = Object.fromEntries(names!.split(', ').map((each, i) => [camel(each), numbers[i]]));
    expect(codes).toEqual(known);
  });

  it('documents every code', () => {
    const documented = [...headOf(name).matchAll(/\[(\d+)[\],]/g)].map(([, number]) => Number(number));
    for (const number of Object.values(known)) expect(documented).toContain(number);
  });
});
