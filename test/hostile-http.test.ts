/**
 * Clients that are slow, many, or not quite HTTP. The gateway stays the same process and answers everybody else; nothing is
 * done twice, and nothing with the authority of somebody else.
 */
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  call,
  createPerformance,
  type GatewayProcess,
  metricOf,
  newUserId,
  spawnGateway,
  tokenOf,
  until,
} from './harness.ts';
import { balanceOf, hold } from './money.ts';
import { type RawOutcome, requestText, sendRaw } from './raw-http.ts';

let gateway: GatewayProcess;
let url = '';
let firing: Promise<void>;

beforeAll(async () => {
  gateway = await spawnGateway();
  url = gateway.url;
  // What is never answered waits for the timeout of uWebSockets.js, beside the slow clients.
  firing = fireShapes();
});

afterEach(async () => {
  expect(gateway.child.exitCode, 'the gateway is the same process').toBeNull();
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

afterAll(async () => {
  await gateway.stop();
  expect(gateway.child.exitCode).toBe(0);
  expect(gateway.output()).not.toMatch(/a request failed|uncaught|unhandled/i);
});

/** uWebSockets.js looks at its timeouts every four seconds: the ten that it gives are eight to twelve. */
const endedWithinMs = 16_000;
const answeredWithinMs = 3000;

/** Holds of new users, one after the other, until `isOver`; returns how long the slowest took. */
async function serveOthers(isOver: () => boolean): Promise<number> {
  const performanceId = await createPerformance(url, { seating: { kind: 'capacity', capacity: 100_000 } });
  let slowestMs = 0;
  while (!isOver()) {
    const startedAtMs = performance.now();
    expect(await hold(url, newUserId(), { performanceId, partySize: 1 })).toMatchObject({ status: 201 });
    slowestMs = Math.max(slowestMs, performance.now() - startedAtMs);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return slowestMs;
}

const count = 10_000;
const growthBytesMax = 150 * 1024 * 1024;

/** Opens connections, a hundred at a time; `onOpen` writes on each. */
async function openMany(onOpen: (socket: Socket, index: number) => void): Promise<Socket[]> {
  const { hostname, port } = new URL(url);
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const batch = Array.from({ length: 100 }, (_, i) => {
      const socket = connect({ host: hostname, port: Number(port) });
      socket.on('error', () => socket.destroy());
      const index = sockets.length + i;
      return new Promise<Socket>((resolve, reject) => {
        socket.once('connect', () => {
          onOpen(socket, index);
          resolve(socket);
        });
        socket.once('close', () => reject(new Error(`connection ${index} was not taken`)));
      });
    });
    sockets.push(...(await Promise.all(batch)));
  }
  return sockets;
}

const json = 'Content-Type: application/json';

describe('slow clients', { concurrent: true }, () => {
  const post = `POST /v1/sessions HTTP/1.1\r\nHost: test\r\n${json}\r\n`;
  const drips: readonly (readonly [string, string, string])[] = [
    ['nothing at all', '', ''],
    ['a head that never ends', 'GET /healthz HTTP/1.1\r\nX-A: ', 'a'],
    ['headers without end', 'GET /healthz HTTP/1.1\r\n', 'X-A: a\r\n'],
    ['a body', `${post}Content-Length: 16000\r\n\r\n`, 'a'],
    ['a body in chunks', `${post}Transfer-Encoding: chunked\r\n\r\n`, '1\r\na\r\n'],
    ['a chunk size', `${post}Transfer-Encoding: chunked\r\n\r\n`, '0'],
    ['a body that nobody asked for', 'GET /v1/events HTTP/1.1\r\nHost: test\r\nContent-Length: 16000\r\n\r\n', 'a'],
    ['a body to a path that is none', 'POST /none HTTP/1.1\r\nHost: test\r\nContent-Length: 16000\r\n\r\n', 'a'],
    ['a second head', `${requestText('GET /healthz', [])}GET /healthz HTTP/1.1\r\nX-A: `, 'a'],
  ];
  const ofEachKind = 20;

  async function dripAll() {
    return Promise.all(
      drips.map(([name, bytes, drip]) =>
        Promise.all(
          Array.from({ length: ofEachKind }, async () => {
            const drop = drip === '' ? {} : { drip: { bytes: drip, everyMs: 1000 } };
            return { name, ...(await sendRaw(url, bytes, { timeoutMs: 25_000, ...drop })) };
          }),
        ),
      ),
    );
  }

  it('that send a byte a second are ended in bounded time, whatever they send, and others are served meanwhile', async () => {
    let isOver = false;
    const others = serveOthers(() => isOver);
    const outcomes = await dripAll().finally(() => {
      isOver = true;
    });
    for (const { name, endedAfterMs } of outcomes.flat()) {
      expect(endedAfterMs, name).not.toBeNull();
      expect(endedAfterMs, name).toBeLessThan(endedWithinMs);
    }
    expect(await others).toBeLessThan(answeredWithinMs);
  });

  it('that send nothing, 10,000 of them, are ended after some seconds, and others are served meanwhile', async () => {
    const before = await metricOf(url, 'process_resident_memory_bytes');
    let closed = 0;
    const sockets = await openMany((socket) => {
      socket.resume();
      socket.on('close', () => closed++);
    });
    const others = serveOthers(() => closed === count);
    expect((await metricOf(url, 'process_resident_memory_bytes')) - before).toBeLessThan(growthBytesMax);
    await until('all are closed', () => closed === count, endedWithinMs).finally(() => {
      for (const socket of sockets) socket.destroy();
    });
    expect(await others).toBeLessThan(answeredWithinMs);
  });
});

describe('answers that are not read', () => {
  const growthBytesMax = 120 * 1024 * 1024;

  /** Sends the bytes on so many connections and reads nothing; the most memory that the gateway takes over two seconds. */
  async function growthOf(bytes: string, connections: number): Promise<number> {
    const before = await metricOf(url, 'process_resident_memory_bytes');
    const { hostname, port } = new URL(url);
    const sockets = Array.from({ length: connections }, () => {
      const socket = connect({ host: hostname, port: Number(port) });
      socket.pause();
      socket.on('error', () => socket.destroy());
      socket.write(bytes);
      return socket;
    });
    let most = before;
    const endMs = performance.now() + 2000;
    while (performance.now() < endMs) most = Math.max(most, await metricOf(url, 'process_resident_memory_bytes'));
    for (const socket of sockets) socket.destroy();
    return most - before;
  }

  it('cost bounded memory when a client asks for the document 10,000 times at once', async () => {
    expect(await growthOf(requestText('GET /openapi.json', []).repeat(10_000), 2)).toBeLessThan(growthBytesMax);
  });

  it('cost bounded memory when 100 clients ask for a hall of 100,000 seats', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 100_000 } });
    const path = `/v1/performances/${performanceId}/seats`;
    const text = await (await fetch(url + path)).text();
    expect(text.length).toBeGreaterThan(5_000_000);
    expect(await growthOf(requestText(`GET ${path}`, []), 100)).toBeLessThan(growthBytesMax);
  });

  it('of a hall of 100,000 seats are made once, in msgpack too, however often they are asked for', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 100_000 } });
    const ask = async (accept: string): Promise<void> => {
      const response = await fetch(`${url}/v1/performances/${performanceId}/seats`, { headers: { accept } });
      expect((await response.arrayBuffer()).byteLength).toBeGreaterThan(1_000_000);
    };
    /** Seconds of the processor for 20 of them, after one. */
    const costOf = async (accept: string): Promise<number> => {
      await ask(accept);
      const before = await metricOf(url, 'process_cpu_user_seconds_total');
      for (let i = 0; i < 20; i++) await ask(accept);
      return (await metricOf(url, 'process_cpu_user_seconds_total')) - before;
    };
    const json = await costOf('application/json');
    expect(await costOf('application/msgpack')).toBeLessThan(4 * json + 0.3);
  });

  it('arrive whole when they are read late, in pieces, and the connection is good for the next request', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 100_000 } });
    const path = `/v1/performances/${performanceId}/seats`;
    const expected = await (await fetch(url + path)).text();
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) });
    socket.pause();
    socket.write(requestText(`GET ${path}`, []));
    for (let i = 0; i < 20; i++) await fetch(`${url}/healthz`);
    let received = '';
    let isNextAsked = false;
    socket.on('data', (data) => {
      received += data.toString('latin1');
      // Reads a piece at a time, so that the gateway has to wait for it again and again.
      socket.pause();
      setImmediate(() => socket.resume());
      if (isNextAsked || !received.endsWith(expected.slice(-100))) return;
      isNextAsked = true;
      socket.write(requestText('GET /healthz', []));
    });
    socket.resume();
    await until('the next answer is there', () => received.endsWith('{"status":"ok"}'));
    socket.destroy();
    const start = received.indexOf('\r\n\r\n') + 4;
    expect(received.slice(start, start + expected.length) === expected).toBe(true);
  });
});

describe('10,000 idle clients', () => {
  it('on WebSockets keep nobody from being served, and cost bounded memory', async () => {
    const before = await metricOf(url, 'process_resident_memory_bytes');
    let upgraded = 0;
    const users = Array.from({ length: count / 20 }, newUserId);
    const sockets = await openMany((socket, index) => {
      socket.once('data', (data) => {
        if (data.toString('latin1').startsWith('HTTP/1.1 101 ')) upgraded++;
      });
      socket.write(
        requestText('GET /v1/ws', [
          'Upgrade: websocket',
          'Connection: Upgrade',
          'Sec-WebSocket-Version: 13',
          'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
          `Authorization: Bearer ${tokenOf(users[Math.floor(index / 20)]!)}`,
        ]),
      );
    });
    try {
      await until('all are WebSockets', () => upgraded === count, 30_000);
      expect(await metricOf(url, 'fastpass_sockets')).toBe(count);
      const endMs = performance.now() + 1000;
      expect(await serveOthers(() => performance.now() > endMs)).toBeLessThan(answeredWithinMs);
      expect((await metricOf(url, 'process_resident_memory_bytes')) - before).toBeLessThan(growthBytesMax);
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    await until('all are gone', async () => (await metricOf(url, 'fastpass_sockets')) === 0, 30_000);
  });
});

describe('more connections than the process may open files', () => {
  const openFilesMax = 300;
  let small: GatewayProcess;

  beforeAll(async () => {
    small = await spawnGateway({}, openFilesMax);
  });

  afterAll(async () => {
    await small.stop();
    expect(small.child.exitCode).toBe(0);
  });

  it('are closed at once; those before them are served, and new ones as soon as some have gone', async () => {
    const { hostname, port } = new URL(small.url);
    const kept = sendRaw(small.url, '', {
      answers: 10,
      drip: { bytes: requestText('GET /readyz', []), everyMs: 200 },
    });
    let closed = 0;
    const sockets = Array.from({ length: 2 * openFilesMax }, () => {
      const socket = connect({ host: hostname, port: Number(port) });
      socket.on('error', () => socket.destroy());
      socket.on('close', () => closed++);
      return socket.resume();
    });
    // Half of the files are for the stores and the like.
    await until('what is too much is closed', () => closed >= 1.5 * openFilesMax, 5000);
    expect(closed).toBeLessThan(2 * openFilesMax);
    expect((await kept).statuses).toEqual(new Array(10).fill(200));
    for (const socket of sockets) socket.destroy();
    await until(
      'a new one is served',
      async () => (await call(small.url, 'GET', '/readyz').catch(() => null))?.status === 200,
    );
  });

  it('are not those that were WebSockets and have gone', async () => {
    const userId = newUserId();
    const upgrade = requestText('GET /v1/ws', [
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      `Authorization: Bearer ${tokenOf(userId)}`,
    ]);
    for (let opened = 0; opened < 2 * openFilesMax; opened += 15) {
      await until('the last ones are gone', async () => (await metricOf(small.url, 'fastpass_sockets')) === 0);
      const batch = Array.from({ length: 15 }, async () => {
        const { hostname, port } = new URL(small.url);
        const socket = connect({ host: hostname, port: Number(port) });
        socket.on('error', () => socket.destroy());
        socket.write(upgrade);
        const answer = await new Promise<string>((resolve) => {
          socket.once('data', (data) => resolve(data.toString('latin1')));
          socket.once('close', () => resolve('closed'));
        });
        socket.destroy();
        return answer.slice(0, 12);
      });
      expect(new Set(await Promise.all(batch))).toEqual(new Set(['HTTP/1.1 101']));
    }
    expect((await call(small.url, 'GET', '/readyz')).status).toBe(200);
  });
});

/** A charge of one: what was done shows in the balance. */
const body = '{"amount":1}';
const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;

function chargeText(userId: number, headers: readonly string[], sent: string): string {
  const lines = ['POST /v1/balance/charges HTTP/1.1', 'Host: test', json, `Authorization: Bearer ${tokenOf(userId)}`];
  return `${[...lines, ...headers].join('\r\n')}\r\n\r\n${sent}`;
}

const chargeOf = (userId: number): string => chargeText(userId, [`Content-Length: ${body.length}`], body);
/** What a smuggler would like to be done for whoever comes next on the connection. */
const withoutToken = `POST /v1/balance/charges HTTP/1.1\r\nHost: test\r\n${json}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** Whether anything may have been done: never more than once, by nobody else. */
type Allowed = 'done' | 'refused' | 'either';

type Shape = readonly [name: string, allowed: Allowed, bytes: (userId: number) => string];

const withLength =
  (length: string, sent = body) =>
  (userId: number) =>
    chargeText(userId, [`Content-Length: ${length}`], sent);
const withEncoding =
  (...encodings: string[]) =>
  (userId: number) =>
    chargeText(
      userId,
      encodings.map((encoding) => `Transfer-Encoding: ${encoding}`),
      chunked,
    );
const withChunks = (sent: string) => (userId: number) => chargeText(userId, ['Transfer-Encoding: chunked'], sent);
const withHeader = (header: string) => (userId: number) =>
  chargeText(userId, [header, `Content-Length: ${body.length}`], body);
const withLine = (line: string) => (userId: number) =>
  chargeOf(userId).replace('POST /v1/balance/charges HTTP/1.1', line);

const shapes: readonly Shape[] = [
  ['a charge as it should be', 'done', chargeOf],
  ['a charge in a chunk', 'done', withChunks(chunked)],

  [
    'Content-Length and Transfer-Encoding',
    'refused',
    (userId) => chargeText(userId, ['Content-Length: 4', 'Transfer-Encoding: chunked'], chunked),
  ],
  [
    'Transfer-Encoding and Content-Length',
    'refused',
    (userId) => chargeText(userId, ['Transfer-Encoding: chunked', 'Content-Length: 4'], chunked),
  ],
  [
    'Transfer-Encoding: identity and Content-Length',
    'refused',
    (userId) => chargeText(userId, ['Transfer-Encoding: identity', `Content-Length: ${body.length}`], body),
  ],
  ['a list of equal lengths', 'refused', withLength(`${body.length}, ${body.length}`)],
  ['a list of lengths', 'refused', withLength(`0, ${withoutToken.length}`, withoutToken)],
  // The first one is taken, always: what is behind it is a request of its own, without a token.
  [
    'two lengths',
    'either',
    (userId) => chargeText(userId, [`Content-Length: ${body.length}`, 'Content-Length: 5'], body),
  ],
  [
    'two lengths with a request in between',
    'either',
    (userId) => chargeText(userId, ['Content-Length: 0', `Content-Length: ${withoutToken.length}`], withoutToken),
  ],

  ['a length of -1', 'refused', withLength('-1')],
  ['a length with a plus', 'refused', withLength(`+${body.length}`)],
  ['a length of 20 digits', 'refused', withLength('99999999999999999999')],
  ['a length of 2^64 and what it is', 'refused', withLength(String(2n ** 64n + BigInt(body.length)))],
  ['a length of 2^32 and what it is', 'refused', withLength(String(2 ** 32 + body.length))],
  ['a length of 2^63', 'refused', withLength(String(2n ** 63n))],
  ['a length in base 16', 'refused', withLength(`0x${body.length.toString(16)}`)],
  ['a length with an exponent', 'refused', withLength('1e1')],
  ['a length with a fraction', 'refused', withLength(`${body.length}.0`)],
  ['a length with a space in it', 'refused', withLength('1 2')],
  ['a length with a semicolon', 'refused', withLength(`${body.length};`)],
  ['a length that is empty', 'refused', withLength('')],
  ['a length that is a word', 'refused', withLength('abc')],
  ['a length with leading zeros', 'either', withLength(`00${body.length}`)],
  ['a length between spaces', 'done', withLength(`   ${body.length}   `)],
  ['no length', 'refused', (userId) => chargeText(userId, [], body)],
  ['a length by another name', 'refused', (userId) => chargeText(userId, [`Content_Length: ${body.length}`], body)],
  [
    'a space before the colon of the length',
    'refused',
    (userId) => chargeText(userId, [`Content-Length : ${body.length}`], body),
  ],

  ['the encoding xchunked', 'refused', withEncoding('xchunked')],
  ['the encoding gzip', 'refused', withEncoding('gzip')],
  ['the encoding gzip, chunked', 'refused', withEncoding('gzip, chunked')],
  ['the encoding chunked, identity', 'refused', withEncoding('chunked, identity')],
  ['the encoding "chunked"', 'refused', withEncoding('"chunked"')],
  ['the encoding chunked;a=b', 'refused', withEncoding('chunked;a=b')],
  ['two encodings', 'refused', withEncoding('chunked', 'identity')],
  ['chunked twice', 'refused', withEncoding('chunked', 'chunked')],
  ['identity, and chunked in the next header', 'refused', withEncoding('identity', 'chunked')],
  ['the encoding CHUNKED', 'done', withEncoding('CHUNKED')],
  ['the encoding behind a tab', 'either', withEncoding('\tchunked')],
  ['the encoding behind a vertical tab', 'refused', withEncoding('\vchunked')],
  [
    'a space before the colon of the encoding',
    'refused',
    (userId) => chargeText(userId, ['Transfer-Encoding : chunked'], chunked),
  ],
  [
    'the encoding on a line of its own',
    'refused',
    (userId) => chargeText(userId, ['Transfer-Encoding:\r\n chunked'], chunked),
  ],

  ['a chunk of another length than it says', 'refused', withChunks(`5\r\n${body}\r\n0\r\n\r\n`)],
  ['a chunk size with 0x', 'refused', withChunks(`0x${chunked}`)],
  ['a negative chunk size', 'refused', withChunks(`-${chunked}`)],
  ['a chunk size with a plus', 'refused', withChunks(`+${chunked}`)],
  ['a chunk size of 2^64 - 1', 'refused', withChunks(`ffffffffffffffff\r\n${body}\r\n0\r\n\r\n`)],
  ['a chunk size of 2^64 and what it is', 'refused', withChunks(`1000000000000000${chunked}`)],
  ['a chunk size of 2^32 and what it is', 'refused', withChunks(`10000000${chunked}`)],
  ['a chunk size of nothing', 'refused', withChunks(`\r\n${body}\r\n0\r\n\r\n`)],
  ['a chunk size with leading zeros', 'either', withChunks(`000000${chunked}`)],
  ['a chunk with an extension', 'either', withChunks(`c;a=b\r\n${body}\r\n0\r\n\r\n`)],
  ['a chunk with line feeds alone', 'either', withChunks(`c\n${body}\n0\n\n`)],
  ['a chunk with other bytes for its end', 'either', withChunks(`c\r\n${body}XX0\r\n\r\n`)],
  ['chunks and a trailer', 'either', withChunks(`c\r\n${body}\r\n0\r\nContent-Length: 5\r\n\r\n`)],
  ['chunks and a request for a trailer', 'either', withChunks(`c\r\n${body}\r\n0\r\n${withoutToken}`)],

  ['a folded header', 'refused', withHeader('X-A: b\r\n c')],
  ['a header that begins with a space', 'refused', withHeader(' X-A: b')],
  ['a line feed alone in a header', 'refused', withHeader('X-A: b\nX-B: c')],
  ['a line feed and another encoding', 'refused', withHeader('X-A: b\nTransfer-Encoding: chunked')],
  ['a carriage return alone in a header', 'refused', withHeader('X-A: b\rTransfer-Encoding: chunked')],
  ['NUL in a value', 'refused', withHeader('X-A: b\0c')],
  ['NUL in a name', 'refused', withHeader('X\0A: b')],
  ['a header without a colon', 'refused', withHeader('X-A')],
  ['a header without a name', 'either', withHeader(': a')],
  ['line feeds alone', 'refused', (userId) => chargeOf(userId).replaceAll('\r\n', '\n')],
  ['two hosts', 'either', withHeader('Host: other')],
  ['no host', 'refused', (userId) => chargeOf(userId).replace('Host: test\r\n', '')],
  ['a hundred headers more', 'refused', withHeader(Array.from({ length: 100 }, (_, i) => `X-${i}: a`).join('\r\n'))],
  ['a header of 16 KiB', 'refused', withHeader(`X-A: ${'a'.repeat(16_384)}`)],
  ['a header of a megabyte', 'refused', withHeader(`X-A: ${'a'.repeat(1_000_000)}`)],
  [
    'names in odd case',
    'done',
    (userId) => chargeOf(userId).replace('Content-Length', 'cONTENT-lENGTH').replace('Authorization', 'AUTHORIZATION'),
  ],

  ['an absolute target', 'refused', withLine('POST http://test/v1/balance/charges HTTP/1.1')],
  ['an absolute target elsewhere', 'refused', withLine('POST http://other.example/v1/balance/charges HTTP/1.1')],
  ['a target of authority', 'refused', withLine('CONNECT test:443 HTTP/1.1')],
  ['an asterisk', 'refused', withLine('OPTIONS * HTTP/1.1')],
  ['HTTP/1.0', 'refused', withLine('POST /v1/balance/charges HTTP/1.0')],
  ['HTTP/1.2', 'refused', withLine('POST /v1/balance/charges HTTP/1.2')],
  ['HTTP/2.0', 'refused', withLine('POST /v1/balance/charges HTTP/2.0')],
  ['http/1.1', 'refused', withLine('POST /v1/balance/charges http/1.1')],
  ['no version', 'refused', withLine('POST /v1/balance/charges')],
  ['two spaces', 'refused', withLine('POST  /v1/balance/charges HTTP/1.1')],
  ['tabs', 'refused', withLine('POST\t/v1/balance/charges\tHTTP/1.1')],
  ['a space behind the version', 'refused', withLine('POST /v1/balance/charges HTTP/1.1 ')],
  ['an empty line first', 'either', (userId) => `\r\n${chargeOf(userId)}`],
  ['a method in small letters', 'either', withLine('post /v1/balance/charges HTTP/1.1')],
  ['NUL behind the path', 'refused', withLine('POST /v1/balance/charges\0 HTTP/1.1')],
  ['%00 behind the path', 'refused', withLine('POST /v1/balance/charges%00 HTTP/1.1')],
  ['two slashes', 'refused', withLine('POST //v1/balance/charges HTTP/1.1')],
  ['two slashes inside', 'refused', withLine('POST /v1//balance/charges HTTP/1.1')],
  ['a slash behind the path', 'refused', withLine('POST /v1/balance/charges/ HTTP/1.1')],
  ['dots', 'refused', withLine('POST /v1/events/../balance/charges HTTP/1.1')],
  ['dots, encoded', 'refused', withLine('POST /v1/events/%2e%2e/balance/charges HTTP/1.1')],
  ['a letter, encoded', 'refused', withLine('POST /v1/%62alance/charges HTTP/1.1')],
  ['a slash, encoded', 'refused', withLine('POST /v1%2fbalance%2fcharges HTTP/1.1')],
  ['a backslash', 'refused', withLine('POST \\v1\\balance\\charges HTTP/1.1')],
  ['capitals', 'refused', withLine('POST /V1/Balance/Charges HTTP/1.1')],
  ['a fragment', 'refused', withLine('POST /v1/balance/charges#a HTTP/1.1')],
  ['a path of 4,000', 'refused', withLine(`POST /${'a'.repeat(4000)} HTTP/1.1`)],
  ['a path of 100,000', 'refused', withLine(`POST /${'a'.repeat(100_000)} HTTP/1.1`)],
];

const outcomes = new Map<string, { readonly outcome: RawOutcome; readonly userId: number }>();

async function fireShapes(): Promise<void> {
  await Promise.all(
    shapes.map(async ([name, allowed, bytes]) => {
      const userId = newUserId();
      const more = allowed === 'done' ? { answers: 1 } : {};
      outcomes.set(name, { outcome: await sendRaw(url, bytes(userId), { timeoutMs: endedWithinMs, ...more }), userId });
    }),
  );
}

describe('a charge that is not quite HTTP', () => {
  beforeAll(() => firing);

  it.each(shapes)('with %s is %s, done once at most, and its connection ends', async (name, allowed) => {
    const { outcome, userId } = outcomes.get(name)!;
    const { statuses, text, endedAfterMs } = outcome;
    // 505 is the parser's word for what it does not take for HTTP/1.1.
    const faults = statuses.filter((status) => status >= 500 && !(status === 505 && text.includes('uWebSockets')));
    expect(faults, text).toEqual([]);
    const balance = await balanceOf(url, userId);
    if (allowed === 'done') expect([statuses, balance]).toEqual([[201], 1]);
    else expect(endedAfterMs, 'the connection ends').not.toBeNull();
    if (allowed === 'refused') {
      expect(statuses.filter((status) => status < 400)).toEqual([]);
      expect(balance).toBe(0);
    }
    expect(statuses.filter((status) => status === 201)).toHaveLength(statuses.includes(201) ? 1 : 0);
    expect(balance).toBeLessThanOrEqual(1);
  });
});

describe('requests behind each other on one connection', () => {
  const get = (path: string, userId: number | null, headers: readonly string[] = []): string =>
    requestText(`GET ${path}`, [...(userId === null ? [] : [`Authorization: Bearer ${tokenOf(userId)}`]), ...headers]);

  it('each need a token of their own', async () => {
    const userId = newUserId();
    const bytes = get('/healthz', userId) + withoutToken + get('/v1/balance', null) + get('/v1/none', userId);
    expect((await sendRaw(url, bytes, { answers: 4 })).statuses).toEqual([200, 401, 401, 404]);
    expect(await balanceOf(url, userId)).toBe(0);
  });

  it('without waiting are not run beside the one under way: the connection is closed, the first is done at most', async () => {
    const [first, second] = [newUserId(), newUserId()];
    const { statuses } = await sendRaw(url, chargeOf(first) + chargeOf(second));
    expect(statuses.filter((status) => status >= 400)).toEqual([]);
    expect(await balanceOf(url, second)).toBe(0);
    await until('the first one is done', async () => (await balanceOf(url, first)) === 1);
  });

  it('are not read out of a body that nobody asked for', async () => {
    const userId = newUserId();
    const inside = chargeOf(userId);
    const open = get('/healthz', null, [`Content-Length: ${inside.length}`]) + inside;
    const none = get('/none', null, [`Content-Length: ${inside.length}`]) + inside;
    const refused = requestText('POST /v1/sessions', ['Content-Type: text/plain'], inside);
    for (const bytes of [open, none, refused]) {
      const { statuses } = await sendRaw(url, bytes + get('/healthz', null), { answers: 2 });
      expect(statuses).toHaveLength(2);
      expect(statuses[1]).toBe(200);
    }
    expect(await balanceOf(url, userId)).toBe(0);
  });

  it('after a body that was too large are not read out of it', async () => {
    const userId = newUserId();
    const inside = chargeOf(userId).repeat(100);
    const large = requestText('POST /v1/sessions', [json], inside);
    const { statuses } = await sendRaw(url, large, { answers: 2, timeoutMs: 2000 });
    expect(statuses).toEqual([413]);
    expect(await balanceOf(url, userId)).toBe(0);
  });

  it.each([
    ['first', 0],
    ['second', 1],
  ] as const)(
    'with two Authorization headers are those of the first one, the good one being the %s',
    async (_name, at) => {
      const userId = newUserId();
      const headers = [`Authorization: Bearer ${tokenOf(userId)}`];
      headers.splice(1 - at, 0, 'Authorization: Bearer a.b.c');
      const { statuses } = await sendRaw(url, requestText('GET /v1/balance', headers), { answers: 1 });
      expect(statuses).toEqual([at === 0 ? 200 : 401]);
    },
  );
});
