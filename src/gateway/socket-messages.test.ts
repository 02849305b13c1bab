import fc from 'fast-check';
import { pack, Unpackr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { chooseSubprotocol, readMessage, writeMessage } from './socket-messages.ts';

const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

/** Reads a text frame of the JSON subprotocol. */
const readText = (text: string) => readMessage(bufferOf(Buffer.from(text)), false, false);
/** Reads a value as either subprotocol would send it. */
const readJson = (value: unknown) => readText(JSON.stringify(value));
const readPacked = (value: unknown) => readMessage(bufferOf(pack(value)), true, true);
const readBytes = (...bytes: number[]) => readMessage(bufferOf(Uint8Array.from(bytes)), true, true);

const good: [string, Record<string, unknown>][] = [
  ['ping', { type: 'ping' }],
  ['a ticket to watch', { type: 'queue.watch', ticket: 'a.b.c' }],
  ['seats to watch', { type: 'seats.watch', performanceId: 1 }],
  ['the last performance there may be', { type: 'seats.watch', performanceId: Number.MAX_SAFE_INTEGER }],
  ['a hold', { type: 'reserve', id: 'a', performanceId: 1, seats: [1, 2] }],
  [
    'a hold with everything',
    { type: 'reserve', id: 7, performanceId: 1, partySize: 2, idempotencyKey: 'k', pass: 'p' },
  ],
  ['a hold that is none: HTTP says what is wrong', { type: 'reserve', id: 0, performanceId: 'x', seats: {} }],
  ['a hold by a negative id', { type: 'reserve', id: Number.MIN_SAFE_INTEGER }],
  ['fields nobody knows', { type: 'ping', more: { and: [null, true, 1.5] } }],
];

const bad: [string, unknown][] = [
  ['null', null],
  ['true', true],
  ['a number', 4711],
  ['a text', 'ping'],
  ['a list', [{ type: 'ping' }]],
  ['a list with a type', Object.assign([], { type: 'ping' })],
  ['nothing', {}],
  ['no type', { performanceId: 1 }],
  ['an unknown type', { type: 'seats.unwatch', performanceId: 1 }],
  ['a type of another case', { type: 'PING' }],
  ['a type as a list', { type: ['ping'] }],
  ['a type as a number', { type: 1 }],
  ['an answer of ours', { type: 'pong' }],
  ['the name of what every object has', { type: 'toString' }],
  ['the name of its prototype', { type: '__proto__' }],
  ['the name of its constructor', { type: 'constructor' }],
  ['no ticket', { type: 'queue.watch' }],
  ['an empty ticket', { type: 'queue.watch', ticket: '' }],
  ['a ticket as a number', { type: 'queue.watch', ticket: 5 }],
  ['a ticket too long', { type: 'queue.watch', ticket: 't'.repeat(513) }],
  ['no performance', { type: 'seats.watch' }],
  ['a performance as text', { type: 'seats.watch', performanceId: '1' }],
  ['performance 0', { type: 'seats.watch', performanceId: 0 }],
  ['a performance below 0', { type: 'seats.watch', performanceId: -1 }],
  ['a broken performance', { type: 'seats.watch', performanceId: 1.5 }],
  ['a performance past the safe integers', { type: 'seats.watch', performanceId: 2 ** 53 }],
  ['a huge performance', { type: 'seats.watch', performanceId: 1e300 }],
  ['several performances', { type: 'seats.watch', performanceId: [1, 2] }],
  ['a hold without an id', { type: 'reserve', performanceId: 1, seats: [1] }],
  ['a hold with an empty id', { type: 'reserve', id: '', performanceId: 1, seats: [1] }],
  ['a hold with an id too long', { type: 'reserve', id: 'i'.repeat(65), performanceId: 1, seats: [1] }],
  ['a hold with null as its id', { type: 'reserve', id: null, performanceId: 1, seats: [1] }],
  ['a hold with an object as its id', { type: 'reserve', id: {}, performanceId: 1, seats: [1] }],
  ['a hold with half an id', { type: 'reserve', id: 0.5, performanceId: 1, seats: [1] }],
  ['a hold with an id past the safe integers', { type: 'reserve', id: 2 ** 53, performanceId: 1, seats: [1] }],
  ['a hold with a number as its key', { type: 'reserve', id: 1, performanceId: 1, seats: [1], idempotencyKey: 5 }],
  ['a hold with null as its pass', { type: 'reserve', id: 1, performanceId: 1, seats: [1], pass: null }],
];

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return { type: 'ping', value };
}

const fault = expect.stringMatching(/./);

describe('a frame that is a message', () => {
  it.each(good)('is read from JSON and from msgpack: %s', (_name, message) => {
    expect(readJson(message)).toEqual(message);
    expect(readPacked(message)).toEqual(message);
  });

  it('may be nested as deep as a body of HTTP', () => {
    expect(readJson(nested(31))).toEqual(nested(31));
    expect(readPacked(nested(31))).toEqual(nested(31));
    expect(readJson(nested(32))).toEqual(fault);
    expect(readPacked(nested(32))).toEqual(fault);
  });

  it('may carry any text: lone surrogates, NUL, signs outside the first plane', () => {
    for (const id of ['\ud800', 'a\u0000b', '💥', '"\\', '\u2028']) {
      expect(readJson({ type: 'reserve', id })).toEqual({ type: 'reserve', id });
    }
    expect(readPacked({ type: 'reserve', id: 'a\u0000💥' })).toEqual({ type: 'reserve', id: 'a\u0000💥' });
  });

  it('is its own copy: the memory of the frame may be used again', () => {
    const message = { type: 'reserve', id: 'i'.repeat(60), idempotencyKey: 'k'.repeat(60), note: 'ü'.repeat(40) };
    for (const isMsgpack of [false, true]) {
      const frame = bufferOf(isMsgpack ? pack(message) : Buffer.from(JSON.stringify(message)));
      const read = readMessage(frame, isMsgpack, isMsgpack);
      new Uint8Array(frame).fill(0x41);
      expect(read).toEqual(message);
    }
  });

  it('takes numbers of 64 bits as numbers where they are exact', () => {
    // {type: 'seats.watch', performanceId: 5 as uint64}
    const head = [...pack({ type: 'seats.watch', performanceId: 0 })].slice(0, -1);
    expect(readBytes(...head, 0xcf, 0, 0, 0, 0, 0, 0, 0, 5)).toEqual({ type: 'seats.watch', performanceId: 5 });
    expect(readBytes(...head, 0xcf, 255, 255, 255, 255, 255, 255, 255, 255)).toEqual(fault);
  });
});

describe('a frame that is no message', () => {
  it.each(bad)('is told so, and why: %s', (_name, value) => {
    expect(readJson(value)).toEqual(fault);
    expect(readPacked(value)).toEqual(fault);
  });

  const texts = ['', ' ', '{', '{"type":"ping"', "{'type':'ping'}", '{"type":"ping"}{}', '\u0000', 'NaN', 'undefined'];
  it.each([
    ...texts,
    '['.repeat(16_000),
    '{"a":'.repeat(3000),
    `{"type":"ping","x":${'['.repeat(8000)}${']'.repeat(8000)}}`,
  ])('is told so, and why: the text %.30s', (text) => {
    expect(readText(text)).toEqual(fault);
  });

  it('is told so where the text is not UTF-8', () => {
    for (const bytes of [[0x22, 0xff, 0x22], [0xed, 0xa0, 0x80], [0xc0, 0x80], [0x80]]) {
      expect(readMessage(bufferOf(Uint8Array.from(bytes)), false, false)).toEqual(fault);
    }
  });

  it('is told so where it is of the other kind', () => {
    const ping = { type: 'ping' };
    expect(readMessage(bufferOf(Buffer.from(JSON.stringify(ping))), true, false)).toMatch(/JSON in text/);
    expect(readMessage(bufferOf(pack(ping)), false, true)).toMatch(/msgpack in binary/);
    expect(readMessage(bufferOf(Buffer.from(JSON.stringify(ping))), true, true)).toEqual(fault);
    expect(readMessage(bufferOf(pack(ping)), false, false)).toEqual(fault);
  });

  it('is told so where msgpack says what JSON cannot', () => {
    const ping = [...pack({ type: 'ping', x: 0 })].slice(0, -1);
    expect(readBytes(...ping, 0)).toEqual({ type: 'ping', x: 0 });
    const values: Record<string, number[]> = {
      'a date': [0xd6, 0xff, 0, 0, 0, 1],
      bytes: [0xc4, 1, 65],
      'a big integer': [0xc7, 9, 0x42, 1, 0, 0, 0, 0, 0, 0, 0, 0],
      'an extension nobody knows': [0xd4, 0x55, 0],
      undefined: [0xd4, 0, 0],
      'the byte that is never used': [0xc1],
      'a list that claims four billion': [0xdd, 255, 255, 255, 255],
      'a text that claims four billion': [0xdb, 255, 255, 255, 255],
      'a map that claims four billion': [0xdf, 255, 255, 255, 255],
      nothing: [],
      'two values': [0, 0],
    };
    for (const [name, bytes] of Object.entries(values)) expect(readBytes(...ping, ...bytes), name).toEqual(fault);
    expect(readBytes(...Array.from({ length: 16_000 }, () => 0x91))).toEqual(fault);
    expect(readBytes(...Array.from({ length: 16_000 }, () => 0x81))).toEqual(fault);
    expect(readBytes()).toEqual(fault);
  });

  it('leaves the prototypes of everything as they were', () => {
    for (const text of [
      '{"type":"ping","__proto__":{"polluted":true}}',
      '{"type":"reserve","id":1,"constructor":{"prototype":{"polluted":true}}}',
      '{"__proto__":{"type":"ping"}}',
    ]) {
      readText(text);
      readMessage(bufferOf(pack(JSON.parse(text))), true, true);
    }
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(readText('{"__proto__":{"type":"ping"}}')).toEqual(fault);
  });

  it('never throws and never passes as one, whatever the bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 80 }),
      fc.json().map((text) => Buffer.from(text)),
      fc.anything({ maxDepth: 3 }).map((value) => {
        try {
          return pack(value);
        } catch {
          return Buffer.alloc(0);
        }
      }),
      fc.tuple(fc.constantFrom(...good), fc.nat(), fc.nat(255)).map(([[, message], at, byte]) => {
        const packed = pack(message);
        packed[at % packed.length] = byte;
        return packed;
      }),
    );
    const types = ['ping', 'queue.watch', 'seats.watch', 'reserve'];
    fc.assert(
      fc.property(bytes, fc.boolean(), fc.boolean(), (frame, isBinary, isMsgpack) => {
        const read = readMessage(bufferOf(frame), isBinary, isMsgpack);
        if (typeof read === 'string') expect(read).toEqual(fault);
        else expect(types).toContain(read.type);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('a frame of ours', () => {
  it('is JSON text or msgpack that any reader understands, without extensions', () => {
    const message = {
      type: 'seats.changed',
      performanceId: 7,
      changes: [
        [1, 'HELD'],
        [2, 'AVAILABLE'],
      ],
      etaSeconds: null,
    };
    expect(JSON.parse(writeMessage(message, false) as string)).toEqual(message);
    const packed = writeMessage(message, true) as Buffer;
    expect(unpackr.unpack(packed)).toEqual(message);
    // A map of four fields, not a record of msgpackr's own.
    expect([...packed.subarray(0, 3)]).toEqual([0xde, 0, 4]);
  });

  it('keeps whatever a client may have sent as an id', () => {
    for (const id of ['💥', '\u0000', '"', 'ü'.repeat(64), -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
      expect(JSON.parse(writeMessage({ id }, false) as string)).toEqual({ id });
      const back = unpackr.unpack(writeMessage({ id }, true) as Buffer);
      expect(Number.isInteger(id) ? Number(back.id) : back.id).toBe(id);
    }
  });

  it('writes each frame apart from the one before', () => {
    const [first, second] = [1, 2].map((id) => writeMessage({ type: 'pong', id }, true) as Buffer);
    expect([unpackr.unpack(first!), unpackr.unpack(second!)]).toEqual([1, 2].map((id) => ({ type: 'pong', id })));
  });
});

describe('the subprotocol', () => {
  const choices: [string, string | null][] = [
    ['', ''],
    ['  ', ''],
    ['fastpass.v1.json', 'fastpass.v1.json'],
    ['fastpass.v1.msgpack', 'fastpass.v1.msgpack'],
    ['fastpass.v1.msgpack, fastpass.v1.json', 'fastpass.v1.msgpack'],
    ['fastpass.v1.json,fastpass.v1.msgpack', 'fastpass.v1.json'],
    ['chat,\tfastpass.v1.msgpack ,x', 'fastpass.v1.msgpack'],
    ['chat', null],
    [',', null],
    ['fastpass.v1', null],
    ['FASTPASS.V1.JSON', null],
    ['fastpass.v1.jsonx', null],
    ['fastpass.v1.json fastpass.v1.msgpack', null],
  ];
  it.each(choices)('offered as "%s" is "%s"', (offered, chosen) => {
    expect(chooseSubprotocol(offered)).toBe(chosen);
  });
});
