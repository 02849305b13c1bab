/**
 * Texts made to break out of SQL, of Redis' protocol, of Lua and of objects, through every field, header and parameter of the
 * served OpenAPI document (a new one is covered by itself) and of the socket: nothing but text to us.
 */
import type { Redis } from 'ioredis';
import { pack } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  call,
  createPerformance,
  type GatewayProcess,
  newUserId,
  patient,
  query,
  redisClient,
  spawnGateway,
  tokenOf,
} from './harness.ts';
import { hold } from './money.ts';
import {
  bodiesOf,
  type Json,
  type Operation,
  operationsOf,
  type Prepared,
  send,
  type Way,
  World,
} from './operations.ts';
import { logIn, newAddress, newEmail } from './people.ts';
import { sendRaw } from './raw-http.ts';
import { openSocket } from './socket.ts';

const canaryKey = 'canary of the injection tests';

let gateway: GatewayProcess;
let url = '';
let redis: Redis;
let operations: Operation[] = [];
let world: World;
let canaryBefore = '';
let adminsBefore = '';
let tablesBefore = '';
let canary: { readonly performanceId: number; readonly userId: number; readonly reservationId: string };

const adminsOf = async (): Promise<string> => JSON.stringify(await query("SELECT id FROM users WHERE role = 'admin'"));
const tablesOf = async (): Promise<string> =>
  JSON.stringify(
    await query(
      `SELECT table_name, column_name, column_type FROM information_schema.columns
       WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position`,
    ),
  );

/** All that MySQL and Redis have of a sale and an account that nothing here has to do with. */
async function canaryState(): Promise<string> {
  const { performanceId, userId } = canary;
  const parts = await Promise.all([
    query('SELECT * FROM performances p JOIN events e ON e.id = p.event_id WHERE p.id = ?', [performanceId]),
    query('SELECT * FROM seats WHERE performance_id = ? ORDER BY seat', [performanceId]),
    query('SELECT HEX(id), user_id, status, amount FROM reservations WHERE performance_id = ?', [performanceId]),
    query('SELECT * FROM balances WHERE user_id = ?', [userId]),
    query("SELECT * FROM users WHERE email = 'canary@example.org'"),
    redis.get(canaryKey),
  ]);
  return JSON.stringify(parts);
}

beforeAll(async () => {
  gateway = await spawnGateway(patient);
  url = gateway.url;
  redis = redisClient();
  world = new World(url);
  operations = operationsOf((await call(url, 'GET', '/openapi.json')).body);
  const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 3 }, holdSeconds: 3600 });
  const userId = newUserId();
  await world.charge(userId, 4200);
  const { reservationId } = (await hold(url, userId, { performanceId, seats: [2] })).body;
  await call(url, 'POST', '/v1/users', { body: { email: 'canary@example.org', password: 'canary canary' } });
  await redis.set(canaryKey, 'sings');
  canary = { performanceId, userId, reservationId };
  [canaryBefore, adminsBefore, tablesBefore] = await Promise.all([canaryState(), adminsOf(), tablesOf()]);
});

afterAll(async () => {
  await redis.del(canaryKey);
  redis.disconnect();
  await gateway.stop();
  expect(gateway.child.exitCode).toBe(0);
  expect(gateway.output()).not.toMatch(/a request failed|uncaught|unhandled/i);
});

async function expectWhole(): Promise<void> {
  expect(gateway.child.exitCode).toBeNull();
  expect(await tablesOf()).toBe(tablesBefore);
  expect(await adminsOf()).toBe(adminsBefore);
  expect(await canaryState()).toBe(canaryBefore);
  expect(await logIn(url, 'canary@example.org', 'canary canary')).toMatchObject({
    status: 201,
    body: { role: 'user' },
  });
}

const texts: readonly string[] = [
  "'",
  '"',
  '`',
  '\\',
  "\\'",
  "' OR '1'='1",
  "' OR 1=1 -- ",
  '" OR ""="',
  "'; DROP TABLE seats; -- ",
  "'); DELETE FROM users; #",
  "x', 'admin') ON DUPLICATE KEY UPDATE role = 'admin' -- ",
  '1; UPDATE users SET role = 0x61646d696e',
  "' UNION SELECT password_hash FROM users -- ",
  '/*!50000 DROP TABLE users */',
  "canary@example.org' -- ",
  'canary@example.org',
  '%',
  '_',
  '?',
  ':name',
  '\u0000',
  "\u0000' OR 1=1 -- ",
  "\u00bf' OR 1=1 -- ",
  '\u2019 OR 1=1',
  '\u{1f4a5}\u{1f469}\u200d\u{1f680}',
  '\ufeff\u202e\u200b',
  ' ',
  '\r\nFLUSHALL\r\n',
  '*1\r\n$8\r\nFLUSHALL\r\n',
  "' redis.call('FLUSHALL') --",
  ']] redis.call("FLUSHALL") --[[',
  `{${canaryKey}}`,
  '{}',
  '*',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the attack
  '${process.exit()}',
  '{{7*7}}',
  '<script>alert(1)</script>',
  'NaN',
  '1e3',
  '-1',
  '0',
  '9223372036854775808',
  'x'.repeat(3000),
];

/** Where something else can be put: into the body by its path of names, a header, a parameter of the path or the query. */
interface Place {
  readonly kind: 'body' | 'header' | 'path' | 'query';
  readonly names: readonly string[];
}

/** Every field of an object schema, those of objects in it too; of a list, its elements. */
function fieldsOf(schema: Json, names: readonly string[] = []): string[][] {
  const inner: Json[] = [schema, ...(schema.anyOf ?? [])];
  const properties = inner.flatMap((one) => Object.entries<Json>(one.properties ?? {}));
  const own = properties.flatMap(([name, field]) => [[...names, name], ...fieldsOf(field, [...names, name])]);
  return [...own, ...inner.flatMap(({ items }) => (items === undefined ? [] : [[...names, '0']]))];
}

function placesOf({ described }: Operation, document: Json): Place[] {
  const resolve = (value: Json): Json =>
    value?.$ref === undefined
      ? value
      : value.$ref
          .slice(2)
          .split('/')
          .reduce((at: Json, name: string) => at[name], document);
  const schema = resolve(resolve(described.requestBody)?.content['application/json'].schema) ?? {};
  const parameters = (described.parameters ?? []).map((parameter: Json) => resolve(parameter));
  return [
    ...fieldsOf(schema).map((names) => ({ kind: 'body', names }) as const),
    ...parameters.map((parameter: Json) => ({ kind: parameter.in, names: [parameter.name] })),
  ];
}

function withField(body: Json, [name, ...rest]: readonly string[], value: unknown): Json {
  if (name === undefined) return value;
  const copy = Array.isArray(body) ? [...body] : { ...body };
  copy[name] = withField(copy[name] ?? {}, rest, value);
  return copy;
}

interface Target {
  readonly operation: Operation;
  readonly place: Place;
  readonly prepared: Prepared;
}

let targets: Target[] = [];

beforeAll(async () => {
  const document = (await call(url, 'GET', '/openapi.json')).body;
  for (const operation of operations) {
    const places = placesOf(operation, document);
    if (places.length === 0) continue;
    for (const example of bodiesOf(operation)) {
      const prepared = await world.prepare(operation, example);
      targets.push(...places.map((place) => ({ operation, place, prepared })));
    }
  }
  // The first example of a body that has the field is enough, but each has others.
  targets = targets.filter(
    ({ operation, place }, index) =>
      place.kind === 'body' ||
      targets.findIndex((other) => other.operation === operation && other.place.names[0] === place.names[0]) === index,
  );
});

/** A request with the text in its place, or null where HTTP has no way to send it there. */
async function shoot({ operation, place, prepared }: Target, text: string) {
  const { kind, names } = place;
  const way: { -readonly [Key in keyof Way]: Way[Key] } = { from: newAddress() };
  let changed = prepared;
  const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) =>
    kind === 'path' && name === names[0] ? encodeURIComponent(text) : String(prepared.parameters[name]),
  );
  way.target = kind === 'query' ? `${path}?${names[0]}=${encodeURIComponent(text)}` : path;
  if (kind === 'body') changed = { ...prepared, body: withField(prepared.body, names, text) };
  if (kind === 'header') {
    // What a header may hold at all.
    if (!/^[\x20-\x7e]*$/.test(text)) return null;
    changed = { ...prepared, headers: { ...prepared.headers, [names[0]!.toLowerCase()]: text } };
  }
  return send(url, operation, changed, way);
}

/** Runs all of it, some at a time. */
async function inLanes<Item>(items: readonly Item[], work: (item: Item) => Promise<void>, lanes = 16): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) await work(items[next++]!);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

describe('a text that wants to be more than a text', () => {
  it('is that in every field, header and parameter of the document', { timeout: 120_000 }, async () => {
    expect(new Set(targets.map(({ place }) => place.kind))).toEqual(new Set(['body', 'header', 'path', 'query']));
    expect(targets.length).toBeGreaterThan(50);
    const faults: string[] = [];
    const shots = targets.flatMap((target) => texts.map((text) => ({ target, text })));
    await inLanes(shots, async ({ target, text }) => {
      const answered = await shoot(target, text);
      if (answered === null) return;
      const { operation, place } = target;
      const name = `${operation.id} ${place.kind} ${place.names.join('.')} ${JSON.stringify(text.slice(0, 60))}`;
      const { status, body } = answered;
      if (status >= 500) faults.push(`${name}: ${status} ${JSON.stringify(body)}`);
      if (place.kind === 'path' && status < 400) faults.push(`${name}: ${status}`);
      if (status >= 400 && JSON.stringify(body ?? '').match(/SQL|syntax|ER_|WRONGTYPE|ERR |user_script|\.ts:/)) {
        // What was sent may come back, what a store says of it may not.
        if (!/SQL|ERR|syntax/.test(text)) faults.push(`${name}: tells ${JSON.stringify(body)}`);
      }
    });
    expect(faults.slice(0, 5), `of ${faults.length}`).toEqual([]);
    await expectWhole();
  });

  const kept = texts.filter((text) => text.length <= 100);

  it.each(['fastpass.v1.json', 'fastpass.v1.msgpack'])('is that on the socket too, in %s', async (protocol) => {
    const { performanceId } = canary;
    const say = async (message: unknown): Promise<Json> => {
      // Frames that are no messages end a socket: each has its own.
      const socket = await openSocket(url, newUserId(), { protocols: [protocol] });
      try {
        if (protocol.endsWith('json')) socket.send(message);
        else socket.sendPacked(message);
        return await socket.until('an answer', () => socket.messages[0]);
      } finally {
        socket.close();
      }
    };
    await inLanes(texts, async (text) => {
      for (const message of [
        { type: text },
        { type: 'queue.watch', ticket: text },
        { type: 'seats.watch', performanceId: text },
        { type: 'reserve', id: 1, performanceId: text, seats: [1] },
        { type: 'reserve', id: 1, performanceId, seats: [text] },
        { type: 'reserve', id: 1, performanceId, partySize: text },
      ]) {
        const answer = await say(message);
        expect(['error', 'reserve.result']).toContain(answer.type);
        expect(answer).toMatchObject({ code: 'validation_failed' });
      }
      const seats = [9];
      const byPass = await say({ type: 'reserve', id: 1, performanceId, seats, pass: text });
      // There is no seat 9, and no waiting room that would ask for a pass.
      expect(byPass).toMatchObject({ type: 'reserve.result', status: 404 });
      const byKey = await say({ type: 'reserve', id: 1, performanceId, seats, idempotencyKey: text });
      expect(byKey).toMatchObject({ type: 'reserve.result', status: /^[\x21-\x7e]{1,64}$/.test(text) ? 404 : 400 });
      if (text.length > 64) return;
      expect(await say({ type: 'reserve', id: text, performanceId, seats })).toMatchObject({ id: text, status: 404 });
    });
    await expectWhole();
  });

  it('is kept byte for byte where it is stored: names, descriptions, addresses, passwords', {
    timeout: 120_000,
  }, async () => {
    const admin = { userId: newUserId(), role: 'admin' } as const;
    const made: { readonly eventId: number; readonly text: string }[] = [];
    await inLanes(kept, async (text) => {
      const event = await call(url, 'POST', '/v1/events', { ...admin, body: { name: text, description: text } });
      expect(event).toMatchObject({ status: 201, body: { name: text, description: text } });
      made.push({ eventId: event.body.eventId, text });

      // An address takes less than a name does.
      const inAddress = text.replace(/[^!-?A-~]/g, '').slice(0, 60);
      const person = { email: `${inAddress}${newEmail()}`, password: `password ${text}`, name: text };
      const user = await call(url, 'POST', '/v1/users', { body: person });
      expect(user).toMatchObject({ status: 201, body: { name: text } });
      const [row] = await query('SELECT name, email FROM users WHERE id = ?', [user.body.userId]);
      expect([row!['name'], row!['email']]).toEqual([text, person.email.toLowerCase()]);
      expect((await logIn(url, person.email, person.password)).status).toBe(201);
    });
    const other = await spawnGateway();
    try {
      const { items } = (await call(other.url, 'GET', '/v1/events')).body;
      for (const { eventId, text } of made) {
        const [row] = await query('SELECT name, description FROM events WHERE id = ?', [eventId]);
        expect([row!['name'], row!['description']]).toEqual([text, text]);
        const listed = items.find((event: Json) => event.eventId === eventId);
        expect(listed).toMatchObject({ name: text, description: text });
      }
    } finally {
      await other.stop();
    }
    await expectWhole();
  });

  it('that is none, half a character, is not kept as something else', async () => {
    const admin = { userId: newUserId(), role: 'admin' } as const;
    for (const half of ['\ud800', 'a\udc00b', '\ud83d']) {
      const event = await call(url, 'POST', '/v1/events', { ...admin, body: { name: half } });
      expect(event).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
      const described = await call(url, 'POST', '/v1/events', { ...admin, body: { name: 'a', description: half } });
      expect(described.status).toBe(400);
      const person = { email: newEmail(), password: `long enough ${half}`, name: 'a' };
      expect((await call(url, 'POST', '/v1/users', { body: person })).status).toBe(400);
      const named = { email: newEmail(), password: 'long enough', name: half };
      expect((await call(url, 'POST', '/v1/users', { body: named })).status).toBe(400);
    }
  });

  it('as an Idempotency-Key names one request and no other', async () => {
    const userId = newUserId();
    const keys = kept.filter((text) => /^[\x21-\x7e]{1,64}$/.test(text));
    await inLanes(keys, async (key) => {
      const send = () =>
        call(url, 'POST', '/v1/balance/charges', { userId, body: { amount: 1 }, headers: { 'idempotency-key': key } });
      const [first, second] = [await send(), await send()];
      expect([first.status, second.status, second.headers.get('idempotency-replayed')]).toEqual([201, 201, 'true']);
      expect(second.body).toEqual(first.body);
    });
    expect((await call(url, 'GET', '/v1/balance', { userId })).body).toEqual({ balance: keys.length });
    await expectWhole();
  });
});

/** The bytes of a body in msgpack with these at a place in it. */
function packedWith(body: Json, names: readonly string[], bytes: Buffer): Buffer {
  const [name, ...rest] = names;
  if (name === undefined) return bytes;
  if (typeof body !== 'object' || body === null) body = {};
  if (Array.isArray(body)) return Buffer.concat([Buffer.from([0x91]), bytes]);
  const entries = Object.entries<Json>(body).filter(([other]) => other !== name);
  const fields = entries.flatMap(([other, value]) => [pack(other), pack(value)]);
  const own = [pack(name), packedWith(body[name], rest, bytes)];
  return Buffer.concat([Buffer.from([0x80 | (entries.length + 1)]), ...fields, ...own]);
}

describe('a body of odd values', () => {
  const oddBytes: readonly (readonly [string, Buffer])[] = [
    ['NaN', Buffer.from([0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0])],
    ['infinity', Buffer.from([0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 0])],
    ['-0', Buffer.from([0xcb, 0x80, 0, 0, 0, 0, 0, 0, 0])],
    ['2^64 - 1', Buffer.from([0xcf, 255, 255, 255, 255, 255, 255, 255, 255])],
    ['-2^63', Buffer.from([0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0])],
    ['2^53 + 1', Buffer.from([0xcf, 0, 0x20, 0, 0, 0, 0, 0, 1])],
    ['bytes', Buffer.from([0xc4, 2, 0x27, 0x22])],
    ['a text that is not UTF-8', Buffer.from([0xa3, 0xff, 0xfe, 0x27])],
    ['half a surrogate pair', Buffer.from([0xa3, 0xed, 0xa0, 0x80])],
    ['a time', Buffer.from([0xd6, 0xff, 0, 0, 0, 1])],
    ['a time that is none', Buffer.from([0xc7, 12, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255])],
    ['undefined', Buffer.from([0xd4, 0, 0])],
    ['a big integer', Buffer.from([0xd4, 0x42, 5])],
    ['an error', Buffer.concat([Buffer.from([0xc7, 4, 0x65]), Buffer.from([0x93, 0xa0, 0xa0, 0xc0])])],
    ['a regular expression', Buffer.concat([Buffer.from([0xc7, 9, 0x78]), pack(['(a+)+$', ''])])],
    ['a set', Buffer.concat([Buffer.from([0xd5, 0x73, 0x91, 1])])],
    ['a reference to itself', Buffer.from([0xd6, 0x69, 0, 0, 0, 1, 0x91, 0xd6, 0x70, 0, 0, 0, 1])],
    ['a list without end', Buffer.from([0xdd, 255, 255, 255, 255])],
    ['a map of numbers', Buffer.from([0x82, 1, 2, 0xc0, 3])],
    ['a map of a map', Buffer.from([0x81, 0x81, 1, 2, 3])],
    ['__proto__', Buffer.concat([Buffer.from([0x81]), pack('__proto__'), pack({ role: 'admin', length: 3 })])],
    ['constructor', Buffer.concat([Buffer.from([0x81]), pack('constructor'), pack({ prototype: { role: 'admin' } })])],
    ['toJSON', pack({ toJSON: 'x', toString: 'x', valueOf: 1, length: 1 })],
    ['10,000 lists', Buffer.alloc(10_000, 0x91)],
    ['a type of nobody', Buffer.from([0xd4, 0x55, 0])],
    ['the byte that is never used', Buffer.from([0xc1])],
  ];
  const oddJson: readonly string[] = [
    '1e999',
    '-0',
    '1.0000000000000001',
    '9007199254740993',
    '123456789012345678901234567890',
    '"\\ud800"',
    '"\\u0000"',
    '{"__proto__":{"role":"admin","length":1}}',
    '{"constructor":{"prototype":{"role":"admin"}}}',
    '{"toJSON":"x","toString":"x","valueOf":1,"then":1,"length":1}',
    '[[[[[[[[[[1]]]]]]]]]]',
    `${'['.repeat(6000)}${']'.repeat(6000)}`,
    `${'{"a":'.repeat(2500)}1${'}'.repeat(2500)}`,
    '{}',
    'true',
    'null',
  ];

  /** Sends a body as it is; its status, 0 where there was no answer. */
  async function post({ operation, prepared }: Target, type: string, body: Buffer): Promise<readonly [number, string]> {
    const path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => String(prepared.parameters[name]));
    const lines = [`${operation.method} ${path} HTTP/1.1`, 'Host: test', `Content-Type: ${type}`];
    if (prepared.userId !== 0) lines.push(`Authorization: Bearer ${tokenOf(prepared.userId, prepared.role)}`);
    const head = Buffer.from(`${lines.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n`);
    const { statuses, text } = await sendRaw(url, Buffer.concat([head, body]), { answers: 1 });
    return [statuses[0] ?? 0, text];
  }

  it('is refused or taken for what it is, in every field of the document and instead of it', {
    timeout: 120_000,
  }, async () => {
    // Passwords take their time, and log-ins are counted by address: what is odd about a body is found before both.
    const fields = targets.filter(({ place }) => place.kind === 'body');
    const wholes = fields
      .filter((target, index) => fields.findIndex(({ prepared }) => prepared === target.prepared) === index)
      .map((target) => ({ ...target, place: { kind: 'body', names: [] } as Place }));
    const shots = [...fields, ...wholes].flatMap((target) => {
      const { names } = target.place;
      const packed = oddBytes.map(([name, bytes]) => {
        return { target, name, type: 'application/msgpack', body: packedWith(target.prepared.body, names, bytes) };
      });
      const text = (value: string): string =>
        JSON.stringify(withField(target.prepared.body, names, '<it>')).replace('"<it>"', () => value);
      const plain = oddJson.map((value) => {
        return { target, name: value.slice(0, 40), type: 'application/json', body: Buffer.from(text(value)) };
      });
      return [...packed, ...plain];
    });
    const faults: string[] = [];
    await inLanes(shots, async ({ target, name, type, body }) => {
      const [status, answer] = await post(target, type, body);
      const { operation, place } = target;
      const what = `${operation.id} ${place.names.join('.')} ${type} ${name}`;
      if (status === 0 || status >= 500) faults.push(`${what}: ${status} ${answer.slice(-300)}`);
    });
    expect(faults.slice(0, 8), `of ${faults.length}`).toEqual([]);
    await expectWhole();
  });

  it('leaves objects as they were: nobody became an admin by a prototype', async () => {
    expect((await call(url, 'POST', '/v1/events', { userId: newUserId(), body: { name: 'mine' } })).status).toBe(403);
    const reply = await call(url, 'POST', '/v1/users', { body: { email: newEmail(), password: 'long enough' } });
    expect(reply).toMatchObject({ status: 201, body: { role: 'user' } });
  });
});
