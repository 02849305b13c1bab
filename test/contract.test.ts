/** The contract's conventions: errors, tokens, media types, limits, operations. Each code of this page appears once. */
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { pack, unpack } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, createPerformance, newUserId, startGateway, type TestGateway, testSecret, tokenOf } from './harness.ts';

let gateway: TestGateway;
let url: string;
let seatedId: number;

beforeAll(async () => {
  gateway = await startGateway();
  url = gateway.url;
  seatedId = await createPerformance(url, { seating: { kind: 'seated', seats: 50 } });
});

afterAll(() => gateway.stop());

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

const nowSeconds = Math.floor(Date.now() / 1000);
const goodClaims = { sub: '4711', role: 'user', exp: nowSeconds + 3600, jti: 'a' };

/** A token as anybody could make it, signed by HMAC. */
function token(claims: unknown, { alg = 'HS256', hash = 'sha256', secret = testSecret } = {}): string {
  const text = `${base64url({ alg, typ: 'JWT' })}.${base64url(claims)}`;
  return `${text}.${createHmac(hash, secret).update(text).digest('base64url')}`;
}

function tokenOfRsa(): string {
  const text = `${base64url({ alg: 'RS256', typ: 'JWT' })}.${base64url(goodClaims)}`;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`;
}

async function expectProblem(response: Response, status: number, code: string): Promise<Record<string, unknown>> {
  expect(response.status).toBe(status);
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const body = (await response.json()) as Record<string, unknown>;
  expect(body).toMatchObject({ status, code });
  for (const field of ['type', 'title', 'detail']) expect(body[field], field).toEqual(expect.stringMatching(/./));
  return body;
}

function post(
  path: string,
  body: string | Uint8Array<ArrayBuffer> | undefined,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${tokenOf(newUserId())}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body }),
  });
}

describe('tokens', () => {
  async function hold(authorization: string): Promise<Response> {
    const body = JSON.stringify({ performanceId: 999_999_999, seats: [1] });
    return post('/v1/reservations', body, { authorization });
  }

  it('accepts any token signed with the secret, whoever minted it and whether the user has a row or not', async () => {
    await expectProblem(await hold(`Bearer ${token(goodClaims)}`), 404, 'performance_not_found');
    await expectProblem(await hold(`bearer ${token(goodClaims)}`), 404, 'performance_not_found');
    const { role: _, jti: __, ...least } = goodClaims;
    await expectProblem(await hold(`Bearer ${token(least)}`), 404, 'performance_not_found');
  });

  const { exp: _, ...withoutEnd } = goodClaims;
  const { sub: __, ...withoutUser } = goodClaims;
  const good = token(goodClaims);
  const refused: Record<string, string> = {
    'no header value': '',
    'no token': 'Bearer ',
    'no scheme': good,
    'another scheme': `Basic ${good}`,
    'no token at all but text': 'Bearer hello',
    'three empty parts': 'Bearer ..',
    'another secret': `Bearer ${token(goodClaims, { secret: `${testSecret}?` })}`,
    'a changed payload': `Bearer ${good.replace(/\..*\./, `.${base64url({ ...goodClaims, role: 'admin' })}.`)}`,
    'a cut signature': `Bearer ${good.slice(0, -2)}`,
    'no signature': `Bearer ${good.slice(0, good.lastIndexOf('.') + 1)}`,
    'alg none': `Bearer ${base64url({ alg: 'none', typ: 'JWT' })}.${base64url(goodClaims)}.`,
    'alg none with a signature': `Bearer ${token(goodClaims, { alg: 'none' })}`,
    'alg HS512': `Bearer ${token(goodClaims, { alg: 'HS512', hash: 'sha512' })}`,
    'alg HS384': `Bearer ${token(goodClaims, { alg: 'HS384', hash: 'sha384' })}`,
    'alg RS256': `Bearer ${tokenOfRsa()}`,
    'expired a second ago': `Bearer ${token({ ...goodClaims, exp: nowSeconds - 1 })}`,
    'no exp': `Bearer ${token(withoutEnd)}`,
    'exp as text': `Bearer ${token({ ...goodClaims, exp: String(nowSeconds + 3600) })}`,
    'not valid before tomorrow': `Bearer ${token({ ...goodClaims, nbf: nowSeconds + 86_400 })}`,
    'no sub': `Bearer ${token(withoutUser)}`,
    'a number as sub': `Bearer ${token({ ...goodClaims, sub: 4711 })}`,
    'sub 0': `Bearer ${token({ ...goodClaims, sub: '0' })}`,
    'sub -1': `Bearer ${token({ ...goodClaims, sub: '-1' })}`,
    'sub 1.5': `Bearer ${token({ ...goodClaims, sub: '1.5' })}`,
    'sub 1e3': `Bearer ${token({ ...goodClaims, sub: '1e3' })}`,
    'sub with a space': `Bearer ${token({ ...goodClaims, sub: '47 11' })}`,
    'sub past the safe integers': `Bearer ${token({ ...goodClaims, sub: '9007199254740993' })}`,
    'sub as an address': `Bearer ${token({ ...goodClaims, sub: 'me@example.org' })}`,
    'an unknown role': `Bearer ${token({ ...goodClaims, role: 'root' })}`,
    'claims that are no object': `Bearer ${token('4711')}`,
  };
  it.each(Object.entries(refused))('refuses %s with unauthorized', async (_name, authorization) => {
    const response = await hold(authorization);
    await expectProblem(response, 401, 'unauthorized');
    expect(response.headers.get('www-authenticate')).toBe('Bearer');
  });

  it('needs a token for everything about reservations', async () => {
    const id = '01890000-0000-7000-8000-000000000000';
    for (const [method, path] of [
      ['POST', '/v1/reservations'],
      ['GET', '/v1/reservations'],
      ['GET', `/v1/reservations/${id}`],
      ['DELETE', `/v1/reservations/${id}`],
      ['POST', '/v1/events'],
      ['POST', '/v1/events/1/performances'],
      ['POST', `/v1/performances/${seatedId}/warm`],
    ] as const) {
      await expectProblem(await fetch(url + path, { method }), 401, 'unauthorized');
    }
  });

  it('answers forbidden to a user who would write the catalogue', async () => {
    const event = JSON.stringify({ name: 'Mine' });
    await expectProblem(await post('/v1/events', event), 403, 'forbidden');
    await expectProblem(await post('/v1/events/1/performances', '{}'), 403, 'forbidden');
    await expectProblem(await post(`/v1/performances/${seatedId}/warm`, undefined), 403, 'forbidden');
  });
});

describe('validation', () => {
  const hold = { performanceId: 1 };
  const faults: [string, unknown, string][] = [
    ['nothing', {}, '/performanceId'],
    ['a performance as text', { performanceId: '1', seats: [1] }, '/performanceId'],
    ['performance 0', { performanceId: 0, seats: [1] }, '/performanceId'],
    ['a performance below 0', { performanceId: -1, seats: [1] }, '/performanceId'],
    ['a broken performance', { performanceId: 1.5, seats: [1] }, '/performanceId'],
    ['a performance past the safe integers', { performanceId: 2 ** 53, seats: [1] }, '/performanceId'],
    ['neither seats nor partySize', hold, '/seats'],
    ['seats and partySize', { ...hold, seats: [1], partySize: 1 }, '/partySize'],
    ['no seat', { ...hold, seats: [] }, '/seats'],
    ['101 seats', { ...hold, seats: Array.from({ length: 101 }, (_, i) => i + 1) }, '/seats'],
    ['the same seat twice', { ...hold, seats: [3, 3] }, '/seats'],
    ['the same seat twice among many', { ...hold, seats: [3, 4, 5, 3] }, '/seats'],
    ['a seat as text', { ...hold, seats: ['1'] }, '/seats/0'],
    ['seat 0', { ...hold, seats: [1, 0] }, '/seats/1'],
    ['seats as a number', { ...hold, seats: 1 }, '/seats'],
    ['seats as null', { ...hold, seats: null }, '/seats'],
    ['partySize 0', { ...hold, partySize: 0 }, '/partySize'],
    ['partySize as text', { ...hold, partySize: '4' }, '/partySize'],
    ['a list', [], ''],
    ['null', null, ''],
    ['a text', 'seats', ''],
  ];
  it.each(faults)('says where a hold with %s is wrong', async (_name, body, path) => {
    const problem = await expectProblem(await post('/v1/reservations', JSON.stringify(body)), 400, 'validation_failed');
    const errors = problem['errors'] as { path: string; message: string }[];
    expect(errors.map((error) => error.path)).toContain(path);
    for (const { message } of errors) expect(message).toMatch(/./);
  });

  it('says so when a body is no JSON, or none at all', async () => {
    for (const text of ['{', '{"performanceId":1,}', 'nonsense', '\u0000']) {
      const problem = await expectProblem(await post('/v1/reservations', text), 400, 'validation_failed');
      expect(problem['errors']).toEqual([{ path: '', message: 'is not JSON' }]);
    }
    await expectProblem(await post('/v1/reservations', undefined), 400, 'validation_failed');
    const notUtf8 = await post('/v1/reservations', new Uint8Array([0x22, 0xff, 0xfe, 0x22]));
    await expectProblem(notUtf8, 400, 'validation_failed');
  });

  it('refuses ids in a path that can be none', async () => {
    const options = { headers: { authorization: `Bearer ${tokenOf(newUserId())}` } };
    for (const path of [
      '/v1/performances/0',
      '/v1/performances/abc/seats',
      '/v1/performances/-1',
      '/v1/events/1.5/performances',
      '/v1/performances/99999999999999999999',
      '/v1/reservations/17',
    ]) {
      await expectProblem(await fetch(url + path, options), 400, 'validation_failed');
    }
  });

  it.each([
    ['status=SOLD', '/status'],
    ['limit=0', '/limit'],
    ['limit=101', '/limit'],
    ['limit=ten', '/limit'],
    ['cursor=', '/cursor'],
    ['cursor=elsewhere', '/cursor'],
  ])('refuses the list query %s', async (query, path) => {
    const { status, body } = await call(url, 'GET', `/v1/reservations?${query}`, { userId: newUserId() });
    expect(status).toBe(400);
    expect(body.code).toBe('validation_failed');
    expect(body.errors[0].path).toBe(path);
  });

  it.each([
    ['a key of 65 characters', 'k'.repeat(65)],
    ['a key with a space', 'a b'],
    ['a key with a tab', 'a\tb'],
  ])('refuses %s as Idempotency-Key', async (_name, key) => {
    const body = JSON.stringify({ performanceId: seatedId, seats: [1] });
    const response = await post('/v1/reservations', body, { 'idempotency-key': key });
    const problem = await expectProblem(response, 400, 'validation_failed');
    expect(problem['errors']).toMatchObject([{ path: 'Idempotency-Key' }]);
  });
});

describe('media types', () => {
  it('takes JSON with a charset, and without any Content-Type', async () => {
    for (const type of ['application/json; charset=utf-8', 'Application/JSON']) {
      const body = JSON.stringify({ performanceId: 999_999_999, seats: [1] });
      await expectProblem(await post('/v1/reservations', body, { 'content-type': type }), 404, 'performance_not_found');
    }
  });

  it('answers unsupported_media_type to anything else', async () => {
    for (const type of ['text/plain', 'application/xml', 'multipart/form-data; boundary=x', 'application/jsonx']) {
      const response = await post('/v1/reservations', '{}', { 'content-type': type });
      await expectProblem(response, 415, 'unsupported_media_type');
    }
  });

  it('takes msgpack where Content-Type says so, and gives it where Accept asks for it', async () => {
    const [first, second] = [newUserId(), newUserId()];
    const msgpack = 'application/msgpack';
    const asJson = await post('/v1/reservations', new Uint8Array(pack({ performanceId: seatedId, seats: [1, 2] })), {
      'content-type': msgpack,
      authorization: `Bearer ${tokenOf(first)}`,
    });
    expect(asJson.status).toBe(201);
    expect(asJson.headers.get('content-type')).toBe('application/json');
    expect(await asJson.json()).toMatchObject({ userId: first, seats: [1, 2], status: 'HELD' });

    const asMsgpack = await post('/v1/reservations', JSON.stringify({ performanceId: seatedId, seats: [3] }), {
      accept: msgpack,
      authorization: `Bearer ${tokenOf(second)}`,
    });
    expect(asMsgpack.status).toBe(201);
    expect(asMsgpack.headers.get('content-type')).toBe(msgpack);
    const held = unpack(Buffer.from(await asMsgpack.arrayBuffer()));
    expect(held).toMatchObject({ userId: second, seats: [3], status: 'HELD' });

    const read = await fetch(`${url}/v1/reservations/${held.reservationId}`, {
      headers: { accept: msgpack, authorization: `Bearer ${tokenOf(second)}` },
    });
    expect(unpack(Buffer.from(await read.arrayBuffer()))).toMatchObject({ ...held });
  });

  it('gives errors and seat maps in msgpack too', async () => {
    const headers = { accept: 'application/msgpack' };
    const map = await fetch(`${url}/v1/performances/${seatedId}/seats`, { headers });
    expect(map.headers.get('content-type')).toBe('application/msgpack');
    expect(unpack(Buffer.from(await map.arrayBuffer())).seats).toHaveLength(50);
    const missing = await fetch(`${url}/v1/performances/999999999`, { headers });
    expect(missing.status).toBe(404);
    expect(unpack(Buffer.from(await missing.arrayBuffer()))).toMatchObject({ code: 'performance_not_found' });
  });

  it('says so when a body is no msgpack', async () => {
    const response = await post('/v1/reservations', new Uint8Array([0xc1, 0xff]), {
      'content-type': 'application/msgpack',
    });
    const problem = await expectProblem(response, 400, 'validation_failed');
    expect(problem['errors']).toEqual([{ path: '', message: 'is not msgpack' }]);
  });
});

describe('limits', () => {
  it('takes a body of 16 KiB and answers payload_too_large to one byte more', async () => {
    const fill = (bytes: number): string => {
      const body = { performanceId: 999_999_999, seats: [1], note: '' };
      return JSON.stringify({ ...body, note: 'x'.repeat(bytes - JSON.stringify(body).length) });
    };
    await expectProblem(await post('/v1/reservations', fill(16 * 1024)), 404, 'performance_not_found');
    await expectProblem(await post('/v1/reservations', fill(16 * 1024 + 1)), 413, 'payload_too_large');
    await expectProblem(await post('/v1/reservations', fill(200_000)), 413, 'payload_too_large');
  });

  it('answers rate_limited with Retry-After to a user who asks too often, and to nobody else', async () => {
    const limited = await startGateway({ FASTPASS_RATE_LIMIT_PER_SECOND: '5' });
    try {
      const [often, once] = [newUserId(), newUserId()];
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => call(limited.url, 'GET', '/v1/reservations', { userId: often })),
      );
      const refused = answers.filter(({ status }) => status === 429);
      expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(5);
      expect(refused.length).toBeGreaterThan(0);
      expect(refused[0]!.body.code).toBe('rate_limited');
      expect(Number(refused[0]!.headers.get('retry-after'))).toBeGreaterThan(0);
      expect((await call(limited.url, 'GET', '/v1/reservations', { userId: once })).status).toBe(200);
      // What needs no token is not counted to anybody.
      for (let i = 0; i < 20; i++) expect((await call(limited.url, 'GET', '/healthz')).status).toBe(200);
    } finally {
      await limited.stop();
    }
  });
});

describe('paths and methods', () => {
  it('answers not_found to a path that is none', async () => {
    for (const path of ['/v1', '/v1/nothing', '/v1/events/1/nothing', '/v1/reservations/1/2/3', '/%00', '//']) {
      await expectProblem(await fetch(url + path), 404, 'not_found');
    }
  });

  it('answers method_not_allowed and says what a path allows', async () => {
    const id = '01890000-0000-7000-8000-000000000000';
    for (const [method, path, allow] of [
      ['PUT', '/v1/reservations', ['GET', 'HEAD', 'POST']],
      ['PATCH', `/v1/reservations/${id}`, ['DELETE', 'GET', 'HEAD']],
      ['DELETE', '/v1/events', ['GET', 'HEAD', 'POST']],
      ['POST', `/v1/performances/${seatedId}/seats`, ['GET', 'HEAD']],
      ['GET', `/v1/performances/${seatedId}/warm`, ['POST']],
      ['POST', '/healthz', ['GET', 'HEAD']],
    ] as const) {
      const response = await fetch(url + path, { method });
      await expectProblem(response, 405, 'method_not_allowed');
      expect(response.headers.get('allow')?.split(', ').sort()).toEqual(allow);
    }
  });

  it('answers HEAD as GET, without the body', async () => {
    for (const path of [
      '/v1/events',
      `/v1/performances/${seatedId}`,
      `/v1/performances/${seatedId}/seats`,
      '/healthz',
    ]) {
      const [head, get] = [await fetch(url + path, { method: 'HEAD' }), await fetch(url + path)];
      expect(head.status).toBe(200);
      expect(await head.text()).toBe('');
      expect(head.headers.get('content-type')).toBe(get.headers.get('content-type'));
      expect(Number(head.headers.get('content-length'))).toBe((await get.arrayBuffer()).byteLength);
    }
    const missing = await fetch(`${url}/v1/performances/999999999`, { method: 'HEAD' });
    expect(missing.status).toBe(404);
    expect(await missing.text()).toBe('');
  });
});

describe('operations', () => {
  it('says that the process lives and that both stores are usable', async () => {
    expect(await call(url, 'GET', '/healthz')).toMatchObject({ status: 200 });
    expect(await call(url, 'GET', '/readyz')).toMatchObject({ status: 200 });
  });

  it('serves metrics as Prometheus text', async () => {
    const response = await fetch(`${url}/metrics`);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toMatch(/^text\/plain/);
    const text = await response.text();
    expect(text).toMatch(/^# TYPE fastpass_http_requests_total counter$/m);
    expect(text).toMatch(/^fastpass_store_up\{store="mysql"\} 1$/m);
    for (const line of text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))) {
      expect(line).toMatch(/^[a-z0-9_]+(\{.*\})? \S+$/);
    }
  });

  it('serves the contract as OpenAPI 3.1, with every call and the schemas that validate', async () => {
    const { status, body } = await call(url, 'GET', '/openapi.json');
    expect(status).toBe(200);
    expect(body.openapi).toMatch(/^3\.1\./);
    const calls = Object.entries<Record<string, unknown>>(body.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(calls).toEqual(
      expect.arrayContaining([
        'post /v1/events',
        'get /v1/events',
        'post /v1/events/{eventId}/performances',
        'get /v1/events/{eventId}/performances',
        'get /v1/performances/{performanceId}',
        'get /v1/performances/{performanceId}/seats',
        'post /v1/performances/{performanceId}/warm',
        'post /v1/reservations',
        'get /v1/reservations',
        'get /v1/reservations/{reservationId}',
        'delete /v1/reservations/{reservationId}',
        'get /healthz',
        'get /readyz',
        'get /metrics',
        'get /openapi.json',
      ]),
    );
    const hold = body.paths['/v1/reservations'].post;
    const schema = hold.requestBody.content['application/json'].schema;
    expect(schema.required).toEqual(['performanceId']);
    expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(['performanceId', 'seats', 'partySize']));
    expect(Object.keys(hold.responses)).toEqual(
      expect.arrayContaining(['201', '400', '401', '403', '404', '409', '413', '415', '422', '429', '503']),
    );
    const parameters = hold.parameters.map((parameter: { name: string }) => parameter.name);
    expect(parameters).toContain('Idempotency-Key');
  });
});
