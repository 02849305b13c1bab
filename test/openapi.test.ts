/**
 * The served OpenAPI document: valid for a public validator, the same as the route table, and true: every example is sent
 * to a running gateway, and every code that it names is provoked.
 */
import { Agent } from 'node:http';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { Code } from '../src/domain/codes.ts';
import type { Route } from '../src/gateway/route.ts';
import { Metrics } from '../src/metrics.ts';
import { QueueTokens } from '../src/waiting-room/tokens.ts';
import { call, newUserId, patient, startGateway, type TestGateway, testSecret, until, whileLocked } from './harness.ts';
import {
  type Answered,
  bodiesOf,
  Checker,
  type Json,
  newAddress,
  type Operation,
  operationsOf,
  outcomesOf,
  type Prepared,
  send,
  type Way,
  World,
} from './operations.ts';
import { lint } from './redocly.ts';
import { startTcpProxy } from './tcp-proxy.ts';

let gateway: TestGateway;
let routes: readonly Route[] = [];
let document: Json;
let operations: Operation[] = [];
let world: World;
let checker: Checker;

beforeAll(async () => {
  // The table that the server is given, at the one place that sees all of it.
  const spy = vi.spyOn(Metrics.prototype, 'countAnswersOf');
  gateway = await startGateway(patient);
  routes = spy.mock.calls[0]![0] as readonly Route[];
  spy.mockRestore();
  document = (await call(gateway.url, 'GET', '/openapi.json')).body;
  operations = operationsOf(document);
  world = new World(gateway.url);
  checker = new Checker(document);
});

afterAll(() => gateway.stop());

function operationOf(id: string): Operation {
  const found = operations.find((operation) => operation.id === id);
  if (found === undefined) throw new Error(`no operation ${id}`);
  return found;
}

/** Operations that may answer a code. */
function operationsWith(code: Code): Operation[] {
  return operations.filter((operation) => outcomesOf(operation).some((outcome) => outcome.endsWith(` ${code}`)));
}

/** Prepares it with its first example and sends it, with this much changed. */
async function sendChanged(operation: Operation, change: Partial<Prepared> = {}, way: Way = {}): Promise<Answered> {
  const prepared = await world.prepare(operation, bodiesOf(operation)[0]);
  return send(gateway.url, operation, { ...prepared, ...change }, way);
}

describe('the document', () => {
  it('is valid for redocly lint, without a warning', async () => {
    expect(await lint('openapi.json', JSON.stringify(document))).toEqual([]);
  });

  it('has the routes of the gateway, all of them and no other', async () => {
    const served = routes.map(({ method, path }) => `${method.toUpperCase()} ${path}`).sort();
    expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(served);
    expect(new Set(operations.map(({ id }) => id)).size).toBe(operations.length);
  });

  it('says of every operation what it is for, and of every value that it takes what it means', () => {
    for (const { id, described } of operations) {
      expect(described.summary, id).toMatch(/./);
      expect(described.tags, id).toHaveLength(1);
      for (const parameter of described.parameters ?? []) expect(parameter.description, id).toMatch(/./);
    }
  });

  it('has an example that fits for every body, and for every code', () => {
    for (const operation of operations) {
      const { id, described } = operation;
      const { requestBody, responses } = described;
      if (requestBody !== undefined) {
        expect(Object.keys(requestBody.content)).toEqual(['application/json', 'application/msgpack']);
      }
      for (const [status, { content = {} }] of Object.entries<Json>(responses)) {
        for (const [mediaType, { examples }] of Object.entries<Json>(content)) {
          expect(Object.keys(examples).length, `${id} ${status}`).toBeGreaterThan(0);
          for (const { value, $ref } of Object.values<Json>(examples)) {
            const example = $ref === undefined ? value : document.components.examples[$ref.split('/').at(-1)].value;
            checker.expectFits(operation, Number(status), mediaType, example);
          }
        }
      }
    }
    const named = new Set(operations.flatMap(outcomesOf).map((outcome) => outcome.split(' ')[1]));
    // A path that is none belongs to no operation.
    expect(Object.values(Code).filter((code) => !named.has(code))).toEqual([Code.notFound]);
  });

  it('takes its page and all that the page loads from this gateway', async () => {
    const page = await fetch(`${gateway.url}/docs`);
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    const html = await page.text();
    expect(html).not.toMatch(/<script(?![^>]* src=)|<style|\son\w+=|\bstyle=|\/\//);
    const loaded = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
    expect(loaded).toContain('docs/viewer.js');
    for (const path of loaded.filter((path) => !path.startsWith('data:'))) {
      const file = await fetch(new URL(path, page.url));
      expect([path, file.status]).toEqual([path, 200]);
      expect(file.headers.get('x-content-type-options') ?? file.headers.get('content-type')).toMatch(/nosniff|json/);
      expect((await file.arrayBuffer()).byteLength).toBeGreaterThan(100);
    }
    for (const path of ['/docs/', '/docs/swagger-ui.css', '/docs/..%2fpackage.json', '/docs/../package.json']) {
      const missing = await fetch(gateway.url + path);
      expect([missing.status, missing.headers.get('content-type')]).toEqual([404, 'application/problem+json']);
    }
  });
});

describe('against a running gateway', () => {
  it('every example is answered as the document says, in JSON and in msgpack', async () => {
    for (const operation of operations) {
      const status = Number(Object.keys(operation.described.responses).find((each) => each.startsWith('2')));
      const success = { joinQueue: 201, startRehearsal: 202 }[operation.id] ?? status;
      for (const example of bodiesOf(operation)) {
        for (const isMsgpack of [false, true]) {
          const prepared = await world.prepare(operation, example);
          const answered = await send(gateway.url, operation, prepared, { isMsgpack });
          checker.expectDescribed(operation, answered, success);
          if (isMsgpack && answered.body !== undefined && !answered.type.startsWith('text/')) {
            expect(answered.type).toBe('application/msgpack');
          }
        }
      }
    }
  });

  it('every query parameter is taken as its example writes it', async () => {
    for (const operation of operations) {
      const query = (operation.described.parameters ?? []).filter((parameter: Json) => parameter.in === 'query');
      if (query.length === 0) continue;
      const values = query.map(({ name, schema }: Json) => [name, schema.examples[0]]);
      const target = `${operation.path}?${new URLSearchParams(values)}`;
      checker.expectDescribed(operation, await sendChanged(operation, {}, { target }), 200);
    }
  });

  it('the other ways to succeed are as the document says', async () => {
    for (const [id, first] of [['joinQueue', 201] as const, ['startRehearsal', 202] as const]) {
      const operation = operationOf(id);
      const prepared = await world.prepare(operation, bodiesOf(operation)[0]);
      checker.expectDescribed(operation, await send(gateway.url, operation, prepared), first);
      checker.expectDescribed(operation, await send(gateway.url, operation, prepared), 200);
    }
    for (const operation of operations.filter(({ described }) => described.responses[304] !== undefined)) {
      const wanted = await world.prepare(operation);
      const first = await send(gateway.url, operation, wanted);
      const headers = { ...wanted.headers, 'if-none-match': String(first.headers['etag']) };
      checker.expectDescribed(operation, await send(gateway.url, operation, { ...wanted, headers }), 304);
    }
  });

  it('an answer that is given again says so', async () => {
    for (const operation of operationsWith(Code.idempotencyKeyReused)) {
      const prepared = await world.prepare(operation, bodiesOf(operation)[0]);
      const keyed = { ...prepared, headers: { 'idempotency-key': 'again' } };
      const first = await send(gateway.url, operation, keyed);
      const second = await send(gateway.url, operation, keyed);
      expect(second.headers['idempotency-replayed'], operation.id).toBe('true');
      expect(second.body).toEqual(first.body);
      checker.expectDescribed(operation, second, first.status);
    }
  });
});

describe('the codes that stand before every operation', () => {
  it('unauthorized, forbidden', async () => {
    for (const operation of operations.filter(({ described }) => described.security.length > 0)) {
      checker.expectDescribed(operation, await sendChanged(operation, { userId: 0 }), Code.unauthorized);
      if (operation.described.security[0].bearer.length === 0) continue;
      checker.expectDescribed(operation, await sendChanged(operation, { role: 'user' }), Code.forbidden);
    }
  });

  it('validation_failed', async () => {
    for (const operation of operationsWith(Code.validationFailed)) {
      const { path, described } = operation;
      const target = path.includes('{') ? path.replace(/\{\w+\}/g, 'nonsense') : `${path}?limit=0`;
      const way: Way = { target, ...(described.requestBody === undefined ? {} : { raw: { type: '', body: '[]' } }) };
      checker.expectDescribed(operation, await sendChanged(operation, {}, way), Code.validationFailed);
    }
  });

  it('payload_too_large, unsupported_media_type', async () => {
    for (const operation of operationsWith(Code.payloadTooLarge)) {
      const large = { type: 'application/json', body: JSON.stringify({ note: 'x'.repeat(17_000) }) };
      checker.expectDescribed(operation, await sendChanged(operation, {}, { raw: large }), Code.payloadTooLarge);
      const text = { type: 'text/plain', body: '{}' };
      checker.expectDescribed(operation, await sendChanged(operation, {}, { raw: text }), Code.unsupportedMediaType);
    }
  });

  it('method_not_allowed', async () => {
    for (const operation of operations) {
      const answered = await sendChanged(operation, { body: undefined }, { method: 'PATCH' });
      checker.expectDescribed(operation, answered, Code.methodNotAllowed);
      expect(String(answered.headers['allow']).split(', ')).toContain(operation.method);
    }
  });

  it('idempotency_key_reused', async () => {
    for (const operation of operationsWith(Code.idempotencyKeyReused)) {
      const prepared = await world.prepare(operation, bodiesOf(operation)[0]);
      const headers = { 'idempotency-key': 'used' };
      await world.charge(prepared.userId, 7, headers);
      const answered = await send(gateway.url, operation, { ...prepared, headers });
      checker.expectDescribed(operation, answered, Code.idempotencyKeyReused);
    }
  });

  it('rate_limited', async () => {
    const limited = await startGateway({ FASTPASS_RATE_LIMIT_PER_SECOND: '1' });
    try {
      const balance = operationOf('readBalance');
      for (const operation of operationsWith(Code.rateLimited).filter(({ id }) => id !== 'logIn')) {
        let answered: Answered | null = null;
        // A machine that stands still for a second has earned the next request.
        for (let tries = 0; answered?.status !== 429 && tries < 3; tries++) {
          const prepared = await world.prepare(operation, bodiesOf(operation)[0]);
          await Promise.all([1, 2].map(() => send(limited.url, balance, { ...prepared, body: undefined })));
          answered = await send(limited.url, operation, prepared);
        }
        checker.expectDescribed(operation, answered!, Code.rateLimited);
      }
    } finally {
      await limited.stop();
    }
  });

  it('overloaded: the memory queues are full', async () => {
    const small = await startGateway({ FASTPASS_QUEUE_DEPTH_MAX: '1', FASTPASS_BATCH_SIZE_MAX: '1' });
    try {
      for (const id of ['createReservation', 'joinQueue', 'readTicket', 'leaveQueue']) {
        const operation = operationOf(id);
        const prepared = await world.prepare(operation, bodiesOf(operation)[0]);
        const crowd = await Promise.all(Array.from({ length: 40 }, () => send(small.url, operation, prepared)));
        const refused = crowd.find(({ body }) => body?.code === Code.overloaded);
        checker.expectDescribed(operation, refused ?? crowd[0]!, Code.overloaded);
      }
    } finally {
      await small.stop();
    }
  });

  it('overloaded: requests of one user wait for each other', async () => {
    const charge = operationOf('chargeBalance');
    const prepared = await world.prepare(charge, bodiesOf(charge)[0]);
    const { userId } = prepared;
    await world.charge(userId, 20_000);
    const parameters = { reservationId: await world.hold(userId) };
    const crowd: Promise<unknown>[] = [];
    await whileLocked('SELECT balance FROM balances WHERE user_id = ? FOR UPDATE', [userId], async () => {
      let refused: Answered | null = null;
      for (let i = 0; i < 220; i++) {
        const sent = send(gateway.url, charge, prepared).then((answered) => {
          if (answered.status === 503) refused ??= answered;
        });
        crowd.push(sent);
      }
      checker.expectDescribed(charge, await vi.waitUntil(() => refused, { timeout: 10_000 }), Code.overloaded);
      for (const id of ['payReservation', 'cancelReservation']) {
        const operation = operationOf(id);
        const wanted = { ...prepared, parameters, body: bodiesOf(operation)[0] };
        checker.expectDescribed(operation, await send(gateway.url, operation, wanted), Code.overloaded);
      }
    });
    await Promise.all(crowd);
  });

  it('overloaded: passwords wait for each other', async () => {
    const [signUp, logIn] = [operationOf('signUp'), operationOf('logIn')];
    const crowd = await Promise.all(
      Array.from({ length: 160 }, async (_, index) => {
        const operation = index % 4 === 0 ? logIn : signUp;
        const body = { email: `crowd-${newUserId()}@example.org`, password: 'correct horse battery' };
        const prepared: Prepared = { userId: 0, role: 'user', parameters: {}, headers: {}, body };
        return { operation, answered: await send(gateway.url, operation, prepared, { from: newAddress() }) };
      }),
    );
    for (const operation of [signUp, logIn]) {
      const answers = crowd.filter((each) => each.operation === operation).map(({ answered }) => answered);
      checker.expectDescribed(operation, answers.find(({ status }) => status === 503) ?? answers[0]!, Code.overloaded);
    }
  });

  it('unavailable: a store is down, or the gateway stops', async () => {
    const proxies = await Promise.all(
      [inject('redisUrl'), inject('mysqlUrl')].map((text) => {
        const url = new URL(text);
        return startTcpProxy(url.hostname, Number(url.port));
      }),
    );
    const [REDIS_URL = '', MYSQL_URL = ''] = [inject('redisUrl'), inject('mysqlUrl')].map((text, index) => {
      const url = new URL(text);
      url.port = String(proxies[index]!.port);
      return url.href;
    });
    const lonely = await startGateway({ REDIS_URL, MYSQL_URL });
    // A connection each, there before the gateway takes no more.
    const withoutStore = operations.filter(({ id, path }) => !path.startsWith('/v1/') && id !== 'readReadiness');
    const withStore = operations.filter((operation) => !withoutStore.includes(operation));
    const prepared = new Map<Operation, Prepared>();
    for (const operation of withStore) {
      prepared.set(operation, await world.prepare(operation, bodiesOf(operation)[0]));
    }
    for (const proxy of proxies) proxy.cut();
    await Promise.all(
      withStore.map(async (operation) => {
        const answered = await send(lonely.url, operation, prepared.get(operation)!);
        checker.expectDescribed(operation, answered, Code.unavailable);
      }),
    );
    const agents = withoutStore.map(() => new Agent({ keepAlive: true, maxSockets: 1 }));
    const nobody: Prepared = { userId: 0, role: 'user', parameters: {}, headers: {} };
    await Promise.all(agents.map((agent) => send(lonely.url, operationOf('readHealth'), nobody, { agent })));
    for (const proxy of proxies) proxy.restore();
    await until('both stores are back', async () => (await fetch(`${lonely.url}/readyz`)).status === 200);
    for (const proxy of proxies) proxy.stall();
    // Keeps the gateway from its end: a statement that was sent, and is not answered.
    const waiting = operationOf('readBalance');
    const unanswered = send(lonely.url, waiting, prepared.get(waiting)!).catch(() => null);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const stopped = lonely.stop();
    await Promise.all(
      withoutStore.map(async (operation, index) => {
        const answered = await send(lonely.url, operation, nobody, { agent: agents[index]! });
        checker.expectDescribed(operation, answered, Code.unavailable);
      }),
    );
    // A connection that is silent for good may make the end a rejection.
    await Promise.allSettled([stopped, unanswered]);
    for (const agent of agents) agent.destroy();
    for (const proxy of proxies) await proxy.close();
  });
});

describe('the codes of the operations', () => {
  const unknown = { performanceId: 999_999_999, eventId: 999_999_999, reservationId: crypto.randomUUID() };

  it('what is not there', async () => {
    for (const code of [Code.performanceNotFound, Code.eventNotFound, Code.reservationNotFound]) {
      for (const operation of operationsWith(code)) {
        const { id, path } = operation;
        if (id === 'createReservation') {
          const body = { performanceId: unknown.performanceId, seats: [1] };
          checker.expectDescribed(operation, await sendChanged(operation, { body }), code);
          continue;
        }
        const prepared = await world.prepare(operation, bodiesOf(operation)[0]);
        const { userId } = prepared;
        // A ticket of a performance that is none, as only we can sign it.
        const ticket = new QueueTokens(testSecret).signTicket({ ...unknown, userId, arrival: 1 });
        const headers = path.endsWith('/current') ? { 'queue-ticket': ticket } : {};
        checker.expectDescribed(
          operation,
          await send(gateway.url, operation, { ...prepared, parameters: unknown, headers }),
          code,
        );
      }
    }
  });

  it('a ticket of somebody else', async () => {
    for (const id of ['joinQueue', 'readTicket', 'leaveQueue']) {
      const performanceId = await world.performanceWithRoom();
      const headers = { 'queue-ticket': await world.join(performanceId, newUserId()) };
      const answered = await sendChanged(operationOf(id), { parameters: { performanceId }, headers });
      checker.expectDescribed(operationOf(id), answered, Code.forbidden);
    }
  });

  it('an account', async () => {
    const [signUp, logIn] = [operationOf('signUp'), operationOf('logIn')];
    const taken = { email: await world.signUp(), password: 'correct horse battery' };
    checker.expectDescribed(signUp, await sendChanged(signUp, { body: taken }), Code.emailTaken);
    const wrong = { ...taken, password: 'wrong' };
    const from = newAddress();
    checker.expectDescribed(logIn, await sendChanged(logIn, { body: wrong }, { from }), Code.unauthorized);
    for (let i = 0; i < 5; i++) await sendChanged(logIn, { body: wrong }, { from });
    checker.expectDescribed(logIn, await sendChanged(logIn, { body: wrong }, { from }), Code.rateLimited);
  });

  it('a hold', async () => {
    const operation = operationOf('createReservation');
    const expectRefused = async (code: Code, body: unknown, change: Partial<Prepared> = {}): Promise<void> => {
      checker.expectDescribed(operation, await sendChanged(operation, { body, ...change }), code);
    };
    const seated = await world.performance();
    await expectRefused(Code.seatNotFound, { performanceId: seated, seats: [51] });
    const userId = newUserId();
    const first = await call(gateway.url, 'POST', '/v1/reservations', {
      userId,
      body: { performanceId: seated, seats: [1] },
    });
    expect(first.status).toBe(201);
    await expectRefused(Code.seatTaken, { performanceId: seated, seats: [1] });
    await expectRefused(Code.alreadyReserved, { performanceId: seated, seats: [2] }, { userId });
    const capacity = await world.performance({ seating: { kind: 'capacity', capacity: 3 } });
    await expectRefused(Code.soldOut, { performanceId: capacity, partySize: 4 });
    const later = await world.performance({ bookingOpensAt: '2029-01-01T00:00:00Z' });
    await expectRefused(Code.bookingNotOpen, { performanceId: later, seats: [1] });
    const over = await world.performance({ bookingClosesAt: '2020-01-01T00:00:00Z' });
    await expectRefused(Code.bookingClosed, { performanceId: over, seats: [1] });
    const performanceId = await world.performanceWithRoom();
    await expectRefused(Code.queuePassRequired, { performanceId, seats: [1] });
    const headers = { 'queue-pass': 'none' };
    await expectRefused(Code.queuePassInvalid, { performanceId, seats: [1] }, { headers });
  });

  it('a payment and a cancellation', async () => {
    const [pay, cancel] = [operationOf('payReservation'), operationOf('cancelReservation')];
    const userId = newUserId();
    const poor = { userId, parameters: { reservationId: await world.hold(userId) } };
    checker.expectDescribed(pay, await sendChanged(pay, poor), Code.insufficientBalance);
    checker.expectDescribed(cancel, await sendChanged(cancel, poor), 200);
    checker.expectDescribed(pay, await sendChanged(pay, poor), Code.reservationNotPayable);
    const late = { userId, parameters: { reservationId: await world.hold(userId, { holdSeconds: 1 }) } };
    await vi.waitUntil(
      async () => {
        const { body } = await call(gateway.url, 'GET', `/v1/reservations/${late.parameters.reservationId}`, {
          userId,
        });
        return body.status === 'EXPIRED';
      },
      { timeout: 15_000, interval: 100 },
    );
    checker.expectDescribed(pay, await sendChanged(pay, late), Code.reservationExpired);
    checker.expectDescribed(cancel, await sendChanged(cancel, late), Code.reservationExpired);
  });

  it('are met by this file, all that the document names', () => {
    // Takes a gateway that dies between a hold and its answer: test/contract-idempotency.test.ts.
    const elsewhere = ['createReservation 409 reservation_expired'];
    const missed = operations.flatMap((operation) =>
      outcomesOf(operation)
        .filter((outcome) => !checker.hasMet(operation, outcome))
        .map((outcome) => `${operation.id} ${outcome}`),
    );
    expect(missed).toEqual(elsewhere);
  });
});
