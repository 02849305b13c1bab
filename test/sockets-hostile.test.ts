/**
 * What a hostile or broken client can do to `/v1/ws`: frames that are no messages, frames that are no frames, floods, readers
 * that never read. The gateway goes on as the same process, and other sockets do not notice.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { pack, Unpackr } from 'msgpackr';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { performanceKeys } from '../src/lua/keys.ts';
import { QueueTokens } from '../src/waiting-room/tokens.ts';
import {
  brokenPromises,
  call,
  createPerformance,
  disagreements,
  type GatewayProcess,
  metricOf,
  newUserId,
  patient,
  redisClient,
  seededRandom,
  spawnGateway,
  testSecret,
  tokenOf,
  until,
  untilJournalsEmpty,
} from './harness.ts';
import { type Message, openSocket, type SocketOptions, type TestSocket } from './socket.ts';

const seed = Number(process.env['FUZZ_SEED'] ?? 20_260_404);
const messageBytesMax = 16 * 1024;
const ping = '{"type":"ping"}';

let gateway: GatewayProcess;
let url = '';
let log = '';
const opened: { close(): void }[] = [];

beforeAll(async () => {
  gateway = await spawnGateway(patient);
  url = gateway.url;
  for (const stream of [gateway.child.stdout, gateway.child.stderr]) {
    stream?.on('data', (data: Buffer) => {
      log += data.toString();
    });
  }
});

afterEach(async () => {
  for (const socket of opened.splice(0)) socket.close();
  expect(gateway.child.exitCode, 'the gateway is the same process').toBeNull();
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

afterAll(async () => {
  await gateway.stop();
  expect(gateway.child.exitCode).toBe(0);
  expect(log).not.toMatch(/a request failed|uncaught|unhandled/i);
});

async function open(userId = newUserId(), options: SocketOptions = {}): Promise<TestSocket> {
  const socket = await openSocket(url, userId, options);
  opened.push(socket);
  return socket;
}

async function isAlive(socket: TestSocket): Promise<boolean> {
  const before = socket.of('pong').length;
  if (socket.raw.protocol === 'fastpass.v1.msgpack') socket.sendPacked({ type: 'ping' });
  else socket.send({ type: 'ping' });
  return socket.until('a pong', () => socket.of('pong').length > before);
}

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

interface FrameOptions {
  readonly isFinal?: boolean;
  readonly isMasked?: boolean;
  /** The three bits RFC 6455 keeps for extensions. */
  readonly reserved?: number;
  /** What the head claims, whatever follows. */
  readonly length?: number;
  /** Of the length: 7, 16 or 64; as few as there need to be by default. */
  readonly lengthBits?: number;
}

/** One frame as RFC 6455 has it, or nearly. */
function frameOf(opcode: number, payload: string | Uint8Array, options: FrameOptions = {}): Buffer {
  const data = Buffer.from(payload as Uint8Array);
  const { isFinal = true, isMasked = true, reserved = 0, length = data.length } = options;
  const { lengthBits = length > 0xffff ? 64 : length > 125 ? 16 : 7 } = options;
  const head = Buffer.alloc(2 + (lengthBits === 7 ? 0 : lengthBits / 8));
  head[0] = (isFinal ? 0x80 : 0) | (reserved << 4) | opcode;
  head[1] = (isMasked ? 0x80 : 0) | (lengthBits === 7 ? length : lengthBits === 16 ? 126 : 127);
  if (lengthBits === 16) head.writeUInt16BE(length, 2);
  if (lengthBits === 64) head.writeBigUInt64BE(BigInt(length), 2);
  if (!isMasked) return Buffer.concat([head, data]);
  const mask = randomBytes(4);
  for (let i = 0; i < data.length; i++) data[i] = data[i]! ^ mask[i % 4]!;
  return Buffer.concat([head, mask, data]);
}

interface ReceivedFrame {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** A WebSocket by hand: writes any bytes, reads when it is told to, and checks the form of what it is sent. */
class RawSocket {
  readonly frames: ReceivedFrame[] = [];
  /** How its connection ended; null while it has not. */
  ended: 'end' | 'error' | null = null;
  readonly isMsgpack: boolean;
  readonly #socket: Socket;
  #parts: Buffer[] = [];
  #isOpen = false;

  private constructor(socket: Socket, isMsgpack: boolean) {
    this.#socket = socket;
    this.isMsgpack = isMsgpack;
    socket.on('data', (data) => {
      this.#parts.push(data);
      if (this.#parts.length === 1 || data.length < 65_536) this.#parse();
    });
    socket.on('error', () => {
      this.ended = 'error';
    });
    socket.on('close', () => {
      this.#parse();
      this.ended ??= 'end';
    });
  }

  static async open(userId = newUserId(), protocol = ''): Promise<RawSocket> {
    const { hostname, port } = new URL(url);
    const raw = new RawSocket(
      connect({ host: hostname, port: Number(port), noDelay: true }),
      protocol === 'fastpass.v1.msgpack',
    );
    opened.push(raw);
    const lines = [
      'GET /v1/ws HTTP/1.1',
      'Host: test',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      `Authorization: Bearer ${tokenOf(userId)}`,
    ];
    if (protocol !== '') lines.push(`Sec-WebSocket-Protocol: ${protocol}`);
    raw.write(`${lines.join('\r\n')}\r\n\r\n`);
    await until('it is open', () => raw.#isOpen || raw.ended !== null);
    expect(raw.#isOpen).toBe(true);
    return raw;
  }

  write(bytes: string | Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Says that nothing more will come, and resolves with everything once the gateway has ended its side. */
  async finish(): Promise<void> {
    this.#socket.end();
    await this.untilEnded();
  }

  untilEnded(timeoutMs = 10_000): Promise<void> {
    return until('the connection ends', () => this.ended !== null, timeoutMs);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** The code of the close frame; null where there is none, 1005 where it has none. */
  get closeCode(): number | null {
    const frame = this.frames.find(({ opcode }) => opcode === opcodes.close);
    if (frame === undefined) return null;
    return frame.payload.length < 2 ? 1005 : frame.payload.readUInt16BE(0);
  }

  /** Bytes behind the last whole frame. */
  get rest(): number {
    return this.#parts.reduce((sum, { length }) => sum + length, 0);
  }

  get messages(): Message[] {
    const ofMessages = this.frames.filter(({ opcode }) => opcode === opcodes.text || opcode === opcodes.binary);
    return ofMessages.map(({ opcode, payload }) => {
      expect(opcode).toBe(this.isMsgpack ? opcodes.binary : opcodes.text);
      if (this.isMsgpack) return new Unpackr({ useRecords: false, mapsAsObjects: true }).unpack(payload);
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
    });
  }

  #parse(): void {
    let bytes = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts);
    if (!this.#isOpen) {
      const headEnd = bytes.indexOf('\r\n\r\n');
      if (headEnd >= 0 && bytes.toString('latin1').startsWith('HTTP/1.1 101 ')) {
        this.#isOpen = true;
        bytes = bytes.subarray(headEnd + 4);
      }
    }
    while (this.#isOpen && bytes.length >= 2) {
      // Ours are whole, unmasked and without extensions.
      expect([bytes[0]! & 0x70, bytes[0]! & 0x80, bytes[1]! & 0x80]).toEqual([0, 0x80, 0]);
      const short = bytes[1]! & 0x7f;
      const headLength = short === 127 ? 10 : short === 126 ? 4 : 2;
      if (bytes.length < headLength) break;
      const length = short === 127 ? Number(bytes.readBigUInt64BE(2)) : short === 126 ? bytes.readUInt16BE(2) : short;
      if (bytes.length < headLength + length) break;
      this.frames.push({ opcode: bytes[0]! & 15, payload: bytes.subarray(headLength, headLength + length) });
      bytes = bytes.subarray(headLength + length);
    }
    this.#parts = bytes.length === 0 ? [] : [bytes];
  }
}

async function droppedFor(reason: 'slow' | 'hostile'): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`fastpass_sockets_dropped_total\\{reason="${reason}"\\} (\\d+)`).exec(text)?.[1]);
}

const json = 'fastpass.v1.json';
const msgpack = 'fastpass.v1.msgpack';

describe('a frame that is no message', () => {
  const frames: [string, string, string | Buffer][] = [
    ['nothing', json, ''],
    ['half of JSON', json, '{"type":"ping"'],
    ['a list', json, '[{"type":"ping"}]'],
    ['a number', json, '4711'],
    ['a huge number', json, '9'.repeat(10_000)],
    ['null', json, 'null'],
    ['an unknown type', json, '{"type":"seats.unwatch","performanceId":1}'],
    ['no type', json, '{"performanceId":1}'],
    ['a missing field', json, '{"type":"seats.watch"}'],
    ['a huge performance', json, '{"type":"seats.watch","performanceId":1e999}'],
    ['a performance past the safe integers', json, '{"type":"seats.watch","performanceId":9007199254740993}'],
    ['a type in the prototype alone', json, '{"__proto__":{"type":"ping"}}'],
    ['the name of the prototype as type', json, '{"type":"__proto__"}'],
    ['a lone surrogate as type', json, '{"type":"\\ud800"}'],
    ['NUL', json, '\u0000'],
    ['NUL behind a message', json, `${ping}\u0000`],
    ['deep nesting', json, `{"type":"ping","x":${'['.repeat(8000)}${']'.repeat(8000)}}`],
    ['16 KiB of open brackets', json, '['.repeat(messageBytesMax)],
    ['a message in a binary frame', json, Buffer.from(ping)],
    ['msgpack to the JSON subprotocol', json, pack({ type: 'ping' })],
    ['a message in a text frame', msgpack, ping],
    ['JSON in a binary frame', msgpack, Buffer.from(ping)],
    ['an empty binary frame', msgpack, Buffer.alloc(0)],
    ['half of msgpack', msgpack, pack({ type: 'ping', more: 'text' }).subarray(0, -3)],
    ['a list in msgpack', msgpack, pack(['ping'])],
    ['deep nesting in msgpack', msgpack, Buffer.alloc(messageBytesMax, 0x91)],
    ['a claim of four billion fields', msgpack, Buffer.from([0xdf, 255, 255, 255, 255])],
    ['the byte that msgpack never uses', msgpack, Buffer.from([0xc1])],
  ];
  it.each(frames)(
    'gets error and costs nothing but a strike, the third the socket: %s',
    async (_name, protocol, payload) => {
      const [socket, other] = [await open(newUserId(), { protocols: [protocol] }), await open()];
      for (let i = 1; i <= 3; i++) {
        socket.raw.send(payload);
        await socket.until('its error', () => socket.of('error').length === i);
        expect(socket.of('error').at(-1)).toEqual({
          type: 'error',
          code: 'validation_failed',
          detail: expect.stringMatching(/./),
        });
        if (i < 3) expect(await isAlive(socket)).toBe(true);
      }
      expect(await socket.closeCode()).toBe(1007);
      expect(socket.messages).toHaveLength(5);
      expect(await isAlive(other)).toBe(true);
    },
  );

  it('is counted over the life of a socket, whatever comes in between, and whatever follows in the same packet is not read', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 2 } });
    const socket = await RawSocket.open();
    const before = await droppedFor('hostile');
    const frames = ['1', ping, '2', ping, '3', ping];
    const hold = `{"type":"reserve","id":1,"performanceId":${performanceId},"seats":[1]}`;
    socket.write(Buffer.concat([...frames, hold].map((text) => frameOf(opcodes.text, text))));
    await socket.untilEnded();
    expect(socket.messages.map(({ type }) => type)).toEqual(['error', 'pong', 'error', 'pong', 'error']);
    expect([socket.closeCode, socket.rest]).toEqual([1007, 0]);
    expect(await droppedFor('hostile')).toBe(before + 1);
    const held = await call(url, 'POST', '/v1/reservations', {
      userId: newUserId(),
      body: { performanceId, seats: [1] },
    });
    expect(held.status).toBe(201);
  });

  it('is not one that is odd and yet in form', async () => {
    const socket = await open();
    const odd = [
      `{"type":"ping","__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}`,
      `{"type":"reserve","type":"ping"}`,
      ` \n{"type":"ping","x":"\\ud800\\u0000","y":1e308,"z":${'9'.repeat(400)}}`,
      JSON.stringify({ type: 'ping', x: 'a'.repeat(messageBytesMax - JSON.stringify({ type: 'ping', x: '' }).length) }),
    ];
    for (let i = 0; i < odd.length; i++) {
      socket.raw.send(odd[i]!);
      await socket.until('its pong', () => socket.of('pong').length === i + 1);
    }
    const id = '\ud800\u0000\udfff';
    socket.raw.send(`{"type":"reserve","id":${JSON.stringify(id)},"performanceId":0,"pass":"\\ud800"}`);
    expect(await socket.message('reserve.result')).toMatchObject({ id, status: 400 });
    expect(socket.of('error')).toEqual([]);
  });
});

describe('bytes that uWebSockets.js refuses by itself', () => {
  const long = 'a'.repeat(messageBytesMax + 1);
  const pieces = (count: number, payload: string): Buffer =>
    Buffer.concat(
      Array.from({ length: count }, (_, i) => frameOf(i === 0 ? opcodes.text : 0, payload, { isFinal: false })),
    );
  const refused: [string, Buffer][] = [
    ['a message of 16 KiB and one byte', frameOf(opcodes.text, long)],
    ['the same in a binary frame', frameOf(opcodes.binary, long)],
    ['the same in pieces', Buffer.concat([pieces(1, long.slice(0, 9000)), frameOf(0, long.slice(9000))])],
    ['pieces without end', pieces(3000, 'aaaaaaaa')],
    ['a claim of 20,000 bytes', frameOf(opcodes.text, 'aaaa', { length: 20_000 })],
    ['a claim of 2^53 bytes', frameOf(opcodes.text, 'aaaa', { length: 2 ** 53 })],
    ['text that is not UTF-8', frameOf(opcodes.text, Buffer.from([0x22, 0xff, 0x22]))],
    ['a surrogate in UTF-8', frameOf(opcodes.text, Buffer.from([0xed, 0xa0, 0x80]))],
    ['the first reserved bit', frameOf(opcodes.text, ping, { reserved: 4 })],
    ['the other reserved bits', frameOf(opcodes.text, ping, { reserved: 3 })],
    ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((code): [string, Buffer] => [`opcode ${code}`, frameOf(code, ping)]),
    ['a continuation of nothing', frameOf(opcodes.continuation, ping)],
    ['a message within another', Buffer.concat([pieces(1, 'a'), frameOf(opcodes.text, ping)])],
    ['a control frame of 126 bytes', frameOf(opcodes.ping, 'x'.repeat(126))],
    ['a control frame in pieces', frameOf(opcodes.ping, 'x', { isFinal: false })],
    ['a close frame of 126 bytes', frameOf(opcodes.close, 'x'.repeat(126))],
    ['HTTP', Buffer.from('GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n')],
  ];
  it.each(refused)('end the connection without a close frame (1006), and nothing else: %s', async (_name, bytes) => {
    const [socket, other] = [await RawSocket.open(), await open()];
    socket.write(bytes);
    // What might come behind is not read any more.
    socket.write(frameOf(opcodes.text, ping));
    await socket.untilEnded();
    expect([socket.frames, socket.rest]).toEqual([[], 0]);
    expect(await isAlive(other)).toBe(true);
  });

  it('look like 1006 to a WebSocket client', async () => {
    const socket = await open();
    socket.raw.send(long);
    expect(await socket.closeCode()).toBe(1006);
  });

  const silent: [string, Buffer][] = [
    ['half of a head', frameOf(opcodes.text, ping).subarray(0, 1)],
    ['a head and half of its mask', frameOf(opcodes.text, ping).subarray(0, 4)],
    ['all of a frame but its last byte', frameOf(opcodes.text, ping).subarray(0, -1)],
    ['all of a long frame but its last byte', frameOf(opcodes.text, 'a'.repeat(messageBytesMax)).subarray(0, -1)],
    ['a first piece', pieces(1, ping)],
    // uWebSockets.js does not look at the mask bit: it takes four bytes of the message for the mask.
    ['a message without a mask', frameOf(opcodes.text, ping, { isMasked: false })],
    ['thousands of empty pieces', pieces(3000, '')],
    ['a pong nobody asked for', frameOf(opcodes.pong, 'x')],
  ];
  it.each(silent)('are no message yet, and wait for more without an answer: %s', async (_name, bytes) => {
    const [socket, other] = [await RawSocket.open(), await open()];
    socket.write(bytes);
    await socket.finish();
    expect([socket.frames, socket.rest]).toEqual([[], 0]);
    expect(await isAlive(other)).toBe(true);
  });

  const answered: [string, Buffer][] = [
    ['a byte at a time', frameOf(opcodes.text, ping)],
    [
      'in pieces with a ping in between',
      Buffer.concat([pieces(1, ping.slice(0, 5)), frameOf(opcodes.ping, 'x'), frameOf(0, ping.slice(5))]),
    ],
    ['with its length in 16 bits', frameOf(opcodes.text, ping, { lengthBits: 16 })],
    ['with its length in 64 bits', frameOf(opcodes.text, ping, { lengthBits: 64 })],
  ];
  it.each(answered)('are a message all the same when they come %s', async (_name, bytes) => {
    const socket = await RawSocket.open();
    for (let i = 0; i < bytes.length; i++) socket.write(bytes.subarray(i, i + 1));
    await until('its pong', () => socket.messages.length > 0);
    expect(socket.messages).toEqual([{ type: 'pong' }]);
    expect(socket.ended).toBeNull();
  });

  const closes: [string, number[], number][] = [
    ['no code', [], 1005],
    ['half a code', [3], 1005],
    ['1000', [3, 232], 1000],
    ['4000', [15, 160], 4000],
    ['a code that nobody may send', [3, 237], 1005],
    ['a reason that is not UTF-8', [3, 232, 255], 1005],
  ];
  it.each(closes)('are a close frame, and are answered with one: %s', async (_name, payload, code) => {
    const socket = await RawSocket.open();
    socket.write(Buffer.concat([frameOf(opcodes.close, Buffer.from(payload)), frameOf(opcodes.text, ping)]));
    await socket.untilEnded();
    expect([socket.closeCode, socket.frames.length]).toEqual([code, 1]);
  });
});

describe('too many messages', () => {
  it('past 50 a second get rate_limited, and the socket goes on', async () => {
    const socket = await open();
    for (let i = 0; i < 100; i++) socket.send({ type: 'ping' });
    await socket.until('all answers', () => socket.messages.length >= 100);
    const errors = socket.of('error');
    expect(errors.length).toBeGreaterThan(0);
    expect(100 - errors.length).toBeGreaterThanOrEqual(50);
    for (const error of errors) {
      expect(error).toEqual({ type: 'error', code: 'rate_limited', detail: expect.stringMatching(/./) });
    }
    const pongs = socket.of('pong').length;
    await until('it may send again', async () => {
      const before = socket.messages.length;
      socket.send({ type: 'ping' });
      await socket.until('an answer', () => socket.messages.length > before);
      return socket.of('pong').length > pongs;
    });
    expect(socket.closed).toBeNull();
  });

  it('are not looked at, whatever they hold: neither a strike nor a hold', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 1 } });
    const socket = await RawSocket.open();
    const hold = `{"type":"reserve","id":1,"performanceId":${performanceId},"seats":[1]}`;
    const texts = [...new Array(110).fill(ping), ...new Array(20).fill('nonsense'), hold];
    // All of it in one packet, so that no time passes in which another message is earned.
    socket.write(Buffer.concat(texts.map((text) => frameOf(opcodes.text, text))));
    await until('all answers', () => socket.messages.length >= texts.length || socket.ended !== null);
    expect(socket.ended).toBeNull();
    const kinds = socket.messages.map(({ type, code }) => code ?? type);
    expect(new Set(kinds)).toEqual(new Set(['pong', 'rate_limited']));
    expect(kinds.indexOf('rate_limited')).toBeGreaterThanOrEqual(50);
    const map = await call(url, 'GET', `/v1/performances/${performanceId}/seats`);
    expect(map.body.seats[0].status).toBe('AVAILABLE');
  });

  it('without end close the socket with 1008, and no other one of its user', async () => {
    const userId = newUserId();
    const [socket, other] = [await open(userId), await open(userId)];
    const before = await droppedFor('hostile');
    for (let i = 0; i < 1000; i++) socket.send({ type: 'ping' });
    expect(await socket.closeCode()).toBe(1008);
    expect(socket.of('pong').length).toBeGreaterThanOrEqual(50);
    expect(socket.messages.length).toBeLessThan(400);
    expect(await droppedFor('hostile')).toBe(before + 1);
    expect(await isAlive(other)).toBe(true);
    expect(other.messages).toHaveLength(1);
  });

  it('are not those of a socket that keeps to 40 a second', async () => {
    const socket = await open();
    for (let i = 0; i < 100; i++) {
      // The pace itself is what is tested.
      await new Promise((resolve) => setTimeout(resolve, 25));
      socket.send({ type: 'ping' });
    }
    await socket.until('all answers', () => socket.messages.length >= 100);
    expect(socket.of('error')).toEqual([]);
  });

  it('from one socket leave the others their answers in time', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 60 } });
    const hostile = await Promise.all(Array.from({ length: 10 }, () => RawSocket.open()));
    const flood = Buffer.concat(Array.from({ length: 2000 }, () => frameOf(opcodes.text, ping)));
    const socket = await open();
    for (const each of hostile) each.write(flood);
    for (let i = 1; i <= 10; i++) {
      socket.send({ type: 'reserve', id: i, performanceId, seats: [i] });
      const result = await socket.message('reserve.result', ({ id }) => id === i);
      expect([201, 409]).toContain(result.status);
    }
    for (const each of hostile) await each.untilEnded();
    expect(hostile.map(({ closeCode }) => closeCode)).toEqual(new Array(10).fill(1008));
  });

  it('as control frames neither end the gateway nor keep it from others', async () => {
    const [hostile, socket] = [await RawSocket.open(), await open()];
    const count = 5000;
    hostile.write(Buffer.concat(Array.from({ length: count }, () => frameOf(opcodes.ping, 'x'.repeat(125)))));
    expect(await isAlive(socket)).toBe(true);
    hostile.write(frameOf(opcodes.text, ping));
    await until('it is through with them', () => hostile.messages.length > 0 || hostile.ended !== null);
    expect(hostile.frames.length).toBeLessThanOrEqual(count + 1);
  });
});

describe('connections that never become sockets', () => {
  it('neither end the gateway nor keep others from opening theirs', async () => {
    const { hostname, port } = new URL(url);
    const lines = ['GET /v1/ws HTTP/1.1', 'Upgrade: websocket', `Authorization: Bearer ${tokenOf(newUserId())}`];
    const half = await Promise.all(
      Array.from(
        { length: 100 },
        (_, i) =>
          new Promise<Socket>((resolve) => {
            const socket = connect({ host: hostname, port: Number(port) }, () => {
              socket.write(lines.join('\r\n').slice(0, 20 + i));
              resolve(socket);
            });
            socket.on('error', () => {});
          }),
      ),
    );
    expect(await isAlive(await open())).toBe(true);
    for (const socket of half) socket.destroy();
  });
});

describe('a slow reader', () => {
  const seatsOfHall = 30_000;

  it('is dropped with 1013 at its limit, while others get everything and memory stays bounded', {
    timeout: 120_000,
  }, async () => {
    const redis = redisClient();
    try {
      const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: seatsOfHall } });
      const keys = performanceKeys(performanceId);
      // As hold.lua and release.lua tell of it: all seats at once, 400 to 500 KB a frame.
      const tell = async (status: 0 | 1, seats = seatsOfHall): Promise<void> => {
        const changes = Array.from({ length: 2 * seats }, (_, i) => (i % 2 === 0 ? i / 2 + 1 : status));
        const revision = await redis.hincrby(keys.meta, 'revision', 1);
        await redis.publish(keys.seatsChannel, pack([revision, changes]));
      };
      const readers = [await open(), await open(newUserId(), { protocols: [msgpack] })];
      readers[0]!.send({ type: 'seats.watch', performanceId });
      readers[1]!.sendPacked({ type: 'seats.watch', performanceId });
      const slow = await Promise.all(Array.from({ length: 4 }, () => RawSocket.open()));
      for (const socket of slow) {
        socket.write(frameOf(opcodes.text, JSON.stringify({ type: 'seats.watch', performanceId })));
      }
      await until('all watch', async () => {
        await tell(1, 1);
        await tell(0, 1);
        return readers.every(({ messages }) => messages.length > 0) && slow.every(({ frames }) => frames.length > 0);
      });
      for (const socket of slow) socket.pause();
      const bytesBefore = await metricOf(url, 'process_resident_memory_bytes');
      const before = await droppedFor('slow');

      let told = 0;
      let firstDroppedAtMs = Number.POSITIVE_INFINITY;
      const fulls = (socket: TestSocket): Message[] =>
        socket.of('seats.changed').filter(({ changes }) => changes.length === seatsOfHall);
      await until(
        'all slow readers are dropped',
        async () => {
          await tell(told++ % 2 === 0 ? 1 : 0);
          for (const reader of readers) await reader.until('its frame', () => fulls(reader).length === told);
          const dropped = (await droppedFor('slow')) - before;
          if (dropped > 0) firstDroppedAtMs = Math.min(firstDroppedAtMs, performance.now());
          return dropped === slow.length;
        },
        60_000,
      );
      const growth = (await metricOf(url, 'process_resident_memory_bytes')) - bytesBefore;
      expect(growth).toBeLessThan(150 * 1024 * 1024);
      for (const reader of readers) {
        expect(reader.closed).toBeNull();
        expect(await isAlive(reader)).toBe(true);
        expect(fulls(reader).map(({ changes }) => changes[0][1])).toEqual(
          Array.from({ length: told }, (_, i) => (i % 2 === 0 ? 'HELD' : 'AVAILABLE')),
        );
      }
      await until('they are gone', async () => (await metricOf(url, 'fastpass_sockets')) === readers.length);

      // Whoever reads at last finds whole frames, and why it is over.
      for (const socket of slow) socket.resume();
      // After a while uWebSockets.js gives the connection up, with what was left to read.
      const isInTime = performance.now() - firstDroppedAtMs < 5000;
      for (const socket of slow) {
        await socket.untilEnded(20_000);
        if (isInTime)
          expect([socket.rest, socket.frames.at(-1)!.opcode, socket.closeCode]).toEqual([0, opcodes.close, 1013]);
        expect(socket.messages.every(({ type }) => type === 'seats.changed')).toBe(true);
      }
    } finally {
      redis.disconnect();
    }
  });

  it('of answers to control frames costs bounded memory, and leaves others alone', async () => {
    const [socket, other] = [await RawSocket.open(), await open()];
    socket.pause();
    const bytesBefore = await metricOf(url, 'process_resident_memory_bytes');
    const thousand = Buffer.concat(Array.from({ length: 1000 }, () => frameOf(opcodes.ping, 'x'.repeat(125))));
    // 13 MB of answers: more than the kernel and uWebSockets.js keep for a socket.
    for (let i = 0; i < 100; i++) {
      socket.write(thousand);
      if (i % 10 === 0) expect(await isAlive(other)).toBe(true);
    }
    socket.write(frameOf(opcodes.close, ''));
    await until('all of it is read', async () => (await metricOf(url, 'fastpass_sockets')) === 1);
    expect((await metricOf(url, 'process_resident_memory_bytes')) - bytesBefore).toBeLessThan(50 * 1024 * 1024);
    expect(await isAlive(other)).toBe(true);
  });
});

const frameCount = 6000;
const lanes = 25;

interface Shot {
  readonly userId: number;
  readonly isMsgpack: boolean;
  readonly bytes: readonly Buffer[];
  readonly frames: number;
  /** Every frame is one of RFC 6455, whatever it carries: the stream stays in step. */
  readonly isClean: boolean;
}

/** What sockets send, from a seeded sequence. */
class Hostility {
  readonly #random: (max: number) => number;
  readonly #seatedId: number;
  readonly #tickets: QueueTokens;

  constructor(seedOfRun: number, seatedId: number) {
    this.#random = seededRandom(seedOfRun);
    this.#seatedId = seatedId;
    this.#tickets = new QueueTokens(testSecret);
  }

  #one<Value>(values: readonly Value[]): Value {
    return values[this.#random(values.length)]!;
  }

  #bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#random(256)));
  }

  #oddValue(depth = 0): unknown {
    const odd = [
      null,
      true,
      '',
      'ping',
      '\ud800',
      '\u0000',
      '💥',
      0,
      -1,
      1.5,
      1e308,
      2 ** 53,
      -0,
      1e-7,
      'x'.repeat(600),
    ];
    const kind = this.#random(depth > 3 ? 1 : 3);
    if (kind === 0) return this.#one(odd);
    if (kind === 1) return Array.from({ length: this.#random(4) }, () => this.#oddValue(depth + 1));
    return Object.fromEntries(
      Array.from({ length: this.#random(4) }, () => [
        this.#one(['type', 'id', '__proto__', 'constructor', 'toString', '', '\u0000', 'performanceId']),
        this.#oddValue(depth + 1),
      ]),
    );
  }

  #goodMessage(userId: number): Record<string, unknown> {
    const performanceId = this.#one([this.#seatedId, this.#seatedId, this.#seatedId, 999_999_999_000, 1]);
    const ticket = { performanceId, userId: this.#one([userId, userId + 1]), arrival: 1 + this.#random(5) };
    return this.#one([
      { type: 'ping' },
      { type: 'queue.watch', ticket: this.#tickets.signTicket(ticket) },
      { type: 'seats.watch', performanceId },
      { type: 'reserve', id: this.#random(1000), performanceId, seats: [1 + this.#random(45)] },
      { type: 'reserve', id: 'a', performanceId, seats: [1 + this.#random(40)], idempotencyKey: this.#one(['k', 'l']) },
      { type: 'reserve', id: 'b', performanceId, partySize: 1 + this.#random(3), pass: 'a.b.c' },
    ]);
  }

  /** A message, nearly one, or none at all. */
  #value(userId: number): unknown {
    const message = this.#goodMessage(userId);
    const kind = this.#random(8);
    if (kind < 4) return message;
    if (kind === 4) return { ...message, [this.#one(Object.keys(message))]: this.#oddValue() };
    if (kind === 5) return { ...message, [this.#one(['seats', 'id', 'extra', 'idempotencyKey'])]: this.#oddValue() };
    if (kind === 6) delete message[this.#one(Object.keys(message))];
    return kind === 6 ? message : this.#oddValue();
  }

  #payload(userId: number, isMsgpack: boolean): Buffer {
    const value = this.#value(userId);
    const depth = this.#random(20) === 0 ? this.#random(8000) : 0;
    const whole = isMsgpack
      ? Buffer.concat([Buffer.alloc(depth, 0x91), pack(value)])
      : Buffer.from(`${'['.repeat(depth)}${JSON.stringify(value)}${']'.repeat(depth)}`);
    const kind = this.#random(16);
    if (kind === 0) {
      const part = whole.subarray(0, this.#random(whole.length + 1));
      // Half a letter is no UTF-8, which ends a connection: those are fired elsewhere.
      return isMsgpack ? part : Buffer.from(part.toString());
    }
    if (kind === 1 && isMsgpack && whole.length > 0) whole[this.#random(whole.length)] = this.#random(256);
    if (kind === 2)
      return isMsgpack ? this.#bytes(this.#random(60)) : Buffer.from(JSON.stringify(this.#oddValue()).slice(1));
    return kind === 3 ? Buffer.concat([whole, whole]) : whole;
  }

  /** Frames of RFC 6455 that carry a payload: whole or in pieces, with control frames in between. */
  #cleanFrames(payload: Buffer, isMsgpack: boolean): Buffer[] {
    const isOther = this.#random(25) === 0;
    const opcode = isMsgpack !== isOther ? opcodes.binary : opcodes.text;
    // Text of the wrong kind may not be UTF-8, and then the connection ends: bytes below 128 are.
    const data = opcode === opcodes.text && isOther ? Buffer.from(payload.map((byte) => byte & 0x7f)) : payload;
    if (this.#random(4) > 0 || data.length < 2) return [frameOf(opcode, data)];
    const at = 1 + this.#random(data.length - 1);
    return [
      frameOf(opcode, data.subarray(0, at), { isFinal: false }),
      ...(this.#random(2) === 0 ? [frameOf(opcodes.ping, this.#bytes(this.#random(126)))] : []),
      frameOf(opcodes.continuation, data.subarray(at)),
    ];
  }

  /** Nearly frames. */
  #dirtyFrame(payload: Buffer): Buffer {
    switch (this.#random(7)) {
      case 0:
        return this.#bytes(this.#random(200));
      case 1:
        return frameOf(this.#random(16), payload, { isFinal: this.#random(2) === 0, reserved: this.#random(8) });
      case 2:
        return frameOf(this.#random(16), payload, { length: this.#random(65_536), lengthBits: this.#one([16, 64]) });
      case 3:
        return frameOf(opcodes.text, payload, { isMasked: false });
      case 4:
        return frameOf(opcodes.text, payload).subarray(0, this.#random(payload.length + 6));
      case 5:
        return frameOf(opcodes.close, this.#bytes(this.#random(126)));
      default:
        return frameOf(this.#one([opcodes.text, opcodes.binary]), this.#bytes(this.#random(18_000)));
    }
  }

  shot(): Shot {
    const [userId, isMsgpack, isClean] = [newUserId(), this.#random(3) === 0, this.#random(3) > 0];
    const parts: Buffer[] = [];
    const frames = 1 + this.#random(14);
    for (let i = 0; i < frames; i++) {
      const payload = this.#payload(userId, isMsgpack);
      if (payload.length > messageBytesMax) continue;
      if (!isClean && this.#random(4) === 0) parts.push(this.#dirtyFrame(payload));
      else parts.push(...this.#cleanFrames(payload, isMsgpack));
    }
    const whole = Buffer.concat(parts);
    const cuts = Array.from({ length: this.#random(3) }, () => this.#random(whole.length + 1)).sort((a, b) => a - b);
    const bytes = [0, ...cuts].map((from, i) => whole.subarray(from, cuts[i] ?? whole.length));
    return { userId, isMsgpack, bytes, frames, isClean };
  }
}

it(`${frameCount} hostile frames over many sockets leave a working gateway (seed ${seed})`, {
  timeout: 120_000,
}, async () => {
  const seatedId = await createPerformance(url, { seating: { kind: 'seated', seats: 40 } });
  const quietId = await createPerformance(url, {
    seating: { kind: 'seated', seats: 10_000 },
    maxReservationsPerUser: 1000,
  });
  const { pid } = gateway.child;
  const bytesBefore = await metricOf(url, 'process_resident_memory_bytes');
  const hostility = new Hostility(seed, seatedId);
  const seen = new Map<string, number>();
  const faults: string[] = [];
  let frames = 0;
  let lastSeat = 1000;

  async function fire(shot: Shot): Promise<void> {
    const socket = await RawSocket.open(shot.userId, shot.isMsgpack ? msgpack : '');
    for (const part of shot.bytes) {
      socket.write(part);
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (shot.isClean) {
      // The last word is a hold that is granted: it takes as long as those before it.
      const last = { type: 'reserve', id: 'last', performanceId: quietId, seats: [++lastSeat] };
      socket.write(shot.isMsgpack ? frameOf(opcodes.binary, pack(last)) : frameOf(opcodes.text, JSON.stringify(last)));
      await until('the answer to the last word, or an end', () => {
        return socket.ended !== null || socket.messages.some(({ id }) => id === 'last');
      });
    }
    await socket.finish();
    const types = socket.messages.map(({ type, code, status }) => [type, code, status].filter(Boolean).join(' '));
    if (socket.closeCode !== null) types.push(`close ${shot.isClean ? socket.closeCode : ''}`);
    for (const type of types) seen.set(type, (seen.get(type) ?? 0) + 1);
    const strange = types.filter(
      (type) => !/^(pong|error|reserve\.result|seats\.changed|queue\.\w+|close)\b/.test(type),
    );
    if (strange.length > 0) faults.push(`${strange}`);
    if (types.some((type) => / 5\d\d$/.test(type))) faults.push(`a 5xx: ${types}`);
    if (socket.rest > 0) faults.push(`half a frame behind ${types}`);
    if (!shot.isClean) return;
    const errors = types.filter((type) => type === 'error validation_failed').length;
    if (socket.closeCode !== null && (socket.closeCode !== 1007 || errors < 3)) faults.push(`ended by ${types}`);
    if (socket.closeCode === null && !socket.messages.some(({ id }) => id === 'last')) faults.push(`cut off: ${types}`);
  }

  let isOver = false;
  /** Somebody who only wants a seat, meanwhile. */
  async function live(protocol: string): Promise<number> {
    const socket = await open(newUserId(), { protocols: [protocol] });
    const send = (message: unknown): void => (protocol === msgpack ? socket.sendPacked(message) : socket.send(message));
    send({ type: 'seats.watch', performanceId: quietId });
    let held = 0;
    for (let i = 1; !isOver; i++) {
      const seat = 2 * i + (protocol === msgpack ? 1 : 0);
      if (seat > 1000) break;
      send({ type: 'reserve', id: i, performanceId: quietId, seats: [seat] });
      const result = await socket.message('reserve.result', ({ id }) => id === i);
      expect(result).toMatchObject({ status: 201 });
      held++;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(socket.closed).toBeNull();
    expect(await isAlive(socket)).toBe(true);
    await socket.until('all its seats', () => {
      const told = socket.of('seats.changed').flatMap(({ changes }) => changes.map(([number]: [number]) => number));
      return socket
        .of('reserve.result')
        .slice(-3)
        .every(({ seats }) => told.includes(seats[0]));
    });
    return held;
  }

  const lives = Promise.all([live(json), live(msgpack)]);
  lives.catch(() => {
    // Seen below, unless something else fails before.
  });
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (frames < frameCount) {
        const shot = hostility.shot();
        frames += shot.frames;
        await fire(shot);
      }
    }),
  ).finally(() => {
    isOver = true;
  });
  const held = await lives;
  expect(Math.min(...held)).toBeGreaterThan(0);
  console.log(`socket fuzz: ${frames} frames, seed ${seed}, answers`, Object.fromEntries([...seen].sort()));

  expect(faults.sort((a, b) => a.length - b.length).slice(0, 3), `of ${faults.length} faults`).toEqual([]);
  // It reaches what it is for.
  for (const kind of [
    'pong',
    'error validation_failed',
    'error forbidden',
    'error performance_not_found',
    'reserve.result 201',
    'reserve.result validation_failed 400',
    'reserve.result seat_taken 409',
    'close 1007',
  ]) {
    expect([...seen.keys()]).toContain(kind);
  }
  expect([gateway.child.pid, gateway.child.exitCode]).toEqual([pid, null]);
  await untilJournalsEmpty([seatedId, quietId]);
  for (const id of [seatedId, quietId]) {
    expect(await brokenPromises(id)).toEqual([]);
    expect(await disagreements(url, id)).toEqual([]);
  }
  await until('the sockets are gone', async () => (await metricOf(url, 'fastpass_sockets')) === 2);
  const growth = (await metricOf(url, 'process_resident_memory_bytes')) - bytesBefore;
  expect(growth).toBeLessThan(150 * 1024 * 1024);
});
