/**
 * asyncapi.yaml: valid AsyncAPI 3.0, and true. What it says of messages from clients is compared with the schemas that check
 * them, message by message; what a running gateway sends is checked against it.
 */
import { readFileSync } from 'node:fs';
import specs from '@asyncapi/specs';
import { Ajv, type ValidateFunction } from 'ajv';
import formats from 'ajv-formats';
import { Packr } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { parse } from 'yaml';
import { Code, codeTable } from '../src/domain/codes.ts';
import { held } from '../src/gateway/answers.ts';
import { isIdempotencyKey } from '../src/gateway/idempotency.ts';
import { problemExample } from '../src/gateway/problems.ts';
import { holdBody } from '../src/gateway/schemas.ts';
import { CloseCode } from '../src/gateway/socket-client.ts';
import { readMessage } from '../src/gateway/socket-messages.ts';
import { call, createPerformance, newUserId, startGateway, type TestGateway, tokenOf } from './harness.ts';
import { closed, type Json, operationsOf, outcomesOf } from './operations.ts';
import { lint } from './redocly.ts';
import { openSocket, type TestSocket } from './socket.ts';

const packr = new Packr({ useRecords: false });
const text = readFileSync(new URL('../asyncapi.yaml', import.meta.url), 'utf8');
const document: Json = parse(text);
const messages: Record<string, Json> = document.components.messages;

const ajv = new Ajv({ strict: false, allErrors: true });
formats.default(ajv);
/** Types of the messages that one side sends. */
function typesOf(action: 'receive' | 'send'): string[] {
  const operations = Object.values<Json>(document.operations);
  const own = operations.filter((operation) => operation.action === action).flatMap((operation) => operation.messages);
  const replies = operations.flatMap((operation) => operation.reply?.messages ?? []);
  const references = action === 'send' ? [...own, ...replies] : own;
  return references.map(({ $ref }: Json) => $ref.split('/').at(-1)).sort();
}

// Clients may send more than is described; the gateway does not.
const fromClients = typesOf('receive');
ajv.addSchema({ ...document, $id: 'https://clients/asyncapi.yaml' }, undefined, undefined, false);
ajv.addSchema({ ...closed(document), $id: 'https://gateway/asyncapi.yaml' }, undefined, undefined, false);
const validators = new Map<string, ValidateFunction>(
  Object.keys(messages).map((type) => {
    const side = fromClients.includes(type) ? 'clients' : 'gateway';
    return [type, ajv.compile({ $ref: `https://${side}/asyncapi.yaml#/components/messages/${type}/payload` })];
  }),
);

/** Why a message does not fit the document; empty when it does. */
function faultsOf(type: string, message: unknown): string {
  const validator = validators.get(type);
  if (validator === undefined) return `no message ${type}`;
  return validator(message) ? '' : `${type}: ${ajv.errorsText(validator.errors)}; ${JSON.stringify(message)}`;
}

const examples = Object.entries(messages).flatMap(([type, message]) =>
  message.examples.map(({ payload }: Json) => ({ type, payload })),
);

describe('the document', () => {
  it('is valid AsyncAPI 3.0, for its own schema and for redocly lint', async () => {
    // It brings the schema of schemas itself.
    const own = new Ajv({ strict: false, validateFormats: false, meta: false, validateSchema: false });
    const validate = own.compile(specs.schemas['3.0.0'] as object);
    expect([validate(document), own.errorsText(validate.errors)]).toEqual([true, 'No errors']);
    expect(await lint('asyncapi.yaml', text)).toEqual([]);
  });

  it('has every message with an example that fits, on the channel and in an operation', () => {
    for (const { type, payload } of examples) expect(faultsOf(type, payload)).toBe('');
    expect(new Set(examples.map(({ type }) => type))).toEqual(new Set(Object.keys(messages)));
    expect(Object.keys(document.channels.socket.messages).sort()).toEqual(Object.keys(messages).sort());
    expect([...typesOf('receive'), ...typesOf('send')].sort()).toEqual(Object.keys(messages).sort());
  });

  it('has the close codes of the gateway', () => {
    expect(document.channels.socket['x-close-codes']).toEqual(CloseCode);
    for (const code of Object.values(CloseCode)) expect(document.info.description).toContain(`| ${code} |`);
  });
});

/** Whether the gateway takes a message, as its own schemas say. */
function isTaken(message: Json): boolean {
  const frame = Buffer.from(JSON.stringify(message));
  const read = readMessage(new Uint8Array(frame).buffer, false, false);
  if (typeof read === 'string') return false;
  if (read.type !== 'reserve') return true;
  const { type: _, id: __, idempotencyKey = '', pass: ___, ...body } = read;
  return (idempotencyKey === '' || isIdempotencyKey(idempotencyKey)) && holdBody.validator.Check(body);
}

const strange = [
  null,
  true,
  0,
  1,
  -1,
  1.5,
  100_000,
  100_001,
  2 ** 53 - 1,
  2 ** 53,
  '',
  'a',
  'a b',
  'é',
  'x'.repeat(64),
  'x'.repeat(65),
  'x'.repeat(512),
  'x'.repeat(513),
  [],
  [1],
  [0],
  ['1'],
  Array.from({ length: 100 }, (_, index) => index + 1),
  Array.from({ length: 101 }, (_, index) => index + 1),
  {},
];

/** The message, without each of its fields, and with each field something strange. */
function variantsOf(message: Json): Json[] {
  return Object.keys(message).flatMap((name) => {
    const { [name]: _, ...rest } = message;
    return [rest, ...strange.map((value) => ({ ...message, [name]: value }))];
  });
}

describe('messages from clients', () => {
  it('are those that the gateway knows', () => {
    const frame = new Uint8Array(Buffer.from('{"type":"none"}')).buffer;
    const known = String(readMessage(frame, false, false))
      .replace('the type is one of ', '')
      .split(', ');
    expect(fromClients).toEqual(known.sort());
  });

  it('are taken and refused as the gateway does it', () => {
    let refused = 0;
    for (const type of fromClients) {
      for (const example of examples.filter((each) => each.type === type)) {
        expect(isTaken(example.payload)).toBe(true);
        for (const variant of [...variantsOf(example.payload), { ...example.payload, note: 'more' }]) {
          // Another type is another message.
          const fits = variant.type === type && faultsOf(type, variant) === '';
          expect([JSON.stringify(variant), fits]).toEqual([JSON.stringify(variant), isTaken(variant)]);
          if (!fits) refused++;
        }
      }
    }
    expect(refused).toBeGreaterThan(100);
  });
});

describe('a running gateway', () => {
  let gateway: TestGateway;
  let url = '';
  const met = new Set<string>();
  const faults: string[] = [];

  beforeAll(async () => {
    gateway = await startGateway();
    url = gateway.url;
  });
  afterAll(() => gateway.stop());

  /** A socket all of whose messages are checked. */
  async function open(userId: number, protocols: readonly string[] = []): Promise<TestSocket> {
    const socket = await openSocket(url, userId, { protocols });
    socket.raw.on('message', () => {
      const message = socket.messages.at(-1);
      met.add(message.type);
      const fault = faultsOf(message.type, message);
      if (fault !== '') faults.push(fault);
    });
    return socket;
  }

  const seated = { seating: { kind: 'seated', seats: 10 } };
  const admin = { userId: newUserId(), role: 'admin' } as const;

  async function room(fields: Readonly<Record<string, unknown>>): Promise<number> {
    const performanceId = await createPerformance(url, seated);
    const body = { mode: 'on', admitPerSecond: 0, maxActive: 5, ...fields };
    expect((await call(url, 'PUT', `/v1/performances/${performanceId}/queue`, { ...admin, body })).status).toBe(200);
    return performanceId;
  }

  async function join(performanceId: number, userId: number): Promise<string> {
    const path = `/v1/performances/${performanceId}/queue/tickets`;
    return (await call(url, 'POST', path, { userId })).body.ticket;
  }

  it('sends places as described', async () => {
    const userId = newUserId();
    const socket = await open(userId);
    const still = await room({});
    socket.send({ type: 'queue.watch', ticket: await join(still, userId) });
    await socket.message('queue.position', ({ number }) => number === 1);
    const early = await room({ opensAt: '2035-01-01T00:00:00Z', drawBeforeOpen: true });
    socket.send({ type: 'queue.watch', ticket: await join(early, userId) });
    await socket.message('queue.position', ({ opensAt }) => opensAt === '2035-01-01T00:00:00.000Z');
    const quick = await room({ admitPerSecond: 50, passSeconds: 1 });
    socket.send({ type: 'queue.watch', ticket: await join(quick, userId) });
    await socket.message('queue.admitted');
    await socket.message('queue.expired');
    const body = { mode: 'off', admitPerSecond: 0, maxActive: 1 };
    const ticket = await join(still, userId);
    await call(url, 'PUT', `/v1/performances/${still}/queue`, { ...admin, body });
    socket.send({ type: 'queue.watch', ticket });
    await socket.message('queue.admitted', ({ pass }) => pass === null);
    socket.close();
    expect(faults).toEqual([]);
  });

  it('sends seats, answers to holds, and what became of them as described, in both subprotocols', async () => {
    for (const protocol of ['fastpass.v1.json', 'fastpass.v1.msgpack']) {
      const userId = newUserId();
      const socket = await open(userId, [protocol]);
      const send = (message: Json): void => {
        socket.raw.send(protocol.endsWith('json') ? JSON.stringify(message) : packr.pack(message));
      };
      const performanceId = await createPerformance(url, { ...seated, maxReservationsPerUser: 3 });
      send({ type: 'ping' });
      await socket.message('pong');
      send({ type: 'seats.watch', performanceId });
      const wish = { type: 'reserve', id: 'first', performanceId, seats: [1], idempotencyKey: 'once' };
      send(wish);
      const result = await socket.message('reserve.result', ({ id }) => id === 'first');
      expect(result.status).toBe(201);
      let other = 1;
      await vi.waitUntil(
        async () => {
          const body = { performanceId, seats: [++other] };
          await call(url, 'POST', '/v1/reservations', { userId: newUserId(), body });
          return socket.of('seats.changed').length > 0;
        },
        { timeout: 5000, interval: 300 },
      );
      send({ ...wish, id: 'again' });
      await socket.message('reserve.result', ({ id, replayed }) => id === 'again' && replayed === true);
      send({ ...wish, id: 2, idempotencyKey: '' });
      await socket.message('reserve.result', ({ id, code }) => id === 2 && code === Code.seatTaken);
      send({ type: 'reserve', id: 3 });
      await socket.message('reserve.result', ({ id, errors }) => id === 3 && errors?.[0].path === '/performanceId');
      expect((await call(url, 'POST', '/v1/balance/charges', { userId, body: { amount: 5000 } })).status).toBe(201);
      await call(url, 'POST', `/v1/reservations/${result.reservationId}/payments`, { userId, body: {} });
      await socket.message('reservation.confirmed');
      const party = await createPerformance(url, { seating: { kind: 'capacity', capacity: 4 }, holdSeconds: 1 });
      send({ type: 'reserve', id: 4, performanceId: party, partySize: 4 });
      await socket.message('reserve.result', ({ id, partySize }) => id === 4 && partySize === 4);
      await socket.message('reservation.expired');
      send({ type: 'seats.watch', performanceId: 999_999_999 });
      await socket.message('error', ({ code }) => code === Code.performanceNotFound);
      socket.close();
    }
    expect(faults).toEqual([]);
  });

  it('ends sockets as described', async () => {
    const hostile = await open(newUserId());
    for (let i = 0; i < 3; i++) hostile.raw.send('no message');
    expect(await hostile.closeCode()).toBe(CloseCode.invalidPayload);
    const loud = await open(newUserId());
    for (let i = 0; i < 300; i++) loud.send({ type: 'ping' });
    expect(await loud.closeCode()).toBe(CloseCode.policy);
    const large = await open(newUserId());
    large.send({ type: 'ping', note: 'x'.repeat(17_000) });
    expect(await large.closeCode()).toBe(1006);
    expect(faults).toEqual([]);
    for (const status of [400, 401]) {
      const token = status === 401 ? 'none' : tokenOf(newUserId());
      const protocol = status === 401 ? 'fastpass.v1.json' : 'another';
      const raw = new WebSocket(`${url.replace('http', 'ws')}/v1/ws?access_token=${token}`, [protocol]);
      expect(
        await new Promise((resolve) => raw.once('unexpected-response', (_, { statusCode }) => resolve(statusCode))),
      ).toBe(status);
    }
  });

  it('has sent everything that the document says it sends', () => {
    expect([...met].sort()).toEqual(typesOf('send'));
  });

  it('says over the socket what it says over HTTP', async () => {
    const { body } = await call(url, 'GET', '/openapi.json');
    const hold = operationsOf(body).find(({ id }) => id === 'createReservation')!;
    // What is decided before a hold, by the handshake and the frame.
    const before: string[] = [
      Code.unauthorized,
      Code.methodNotAllowed,
      Code.payloadTooLarge,
      Code.unsupportedMediaType,
    ];
    const codes = outcomesOf(hold).flatMap((outcome) => outcome.split(' ')[1] ?? []);
    const { refused } = document.components.schemas;
    expect([...refused.properties.code.enum].sort()).toEqual(codes.filter((code) => !before.includes(code)).sort());
    for (const example of Object.values(held.examples)) {
      expect(faultsOf('reserve.result', { ...example, status: 201, type: 'reserve.result', id: 1 })).toBe('');
    }
    for (const code of refused.properties.code.enum as Code[]) {
      const fields = problemExample(code) as object;
      const { status } = codeTable[code];
      expect(faultsOf('reserve.result', { ...fields, status, type: 'reserve.result', id: 1 })).toBe('');
    }
  });
});
