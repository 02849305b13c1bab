/** Tokens that are not what they are taken for, and ways around the role: what access.test.ts does not do already. */
import { createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mintToken } from '../src/gateway/auth.ts';
import { QueueTokens } from '../src/waiting-room/tokens.ts';
import {
  call,
  createPerformance,
  newUserId,
  query,
  type Reply,
  startGateway,
  type TestGateway,
  testSecret,
  tokenOf,
} from './harness.ts';
import { balanceOf, charge } from './money.ts';
import { bodiesOf, type Operation, operationsOf, type Prepared, World } from './operations.ts';
import { callWith, outsideToken } from './people.ts';
import { requestText, sendRaw } from './raw-http.ts';
import { admittedVisitor, look, openRoom } from './rooms.ts';
import { openSocket } from './socket.ts';

let gateway: TestGateway;
let url = '';

beforeAll(async () => {
  gateway = await startGateway();
  url = gateway.url;
});

afterAll(() => gateway.stop());

const inAnHour = Math.floor(Date.now() / 1000) + 3600;
const userId = newUserId();
const claims = { sub: String(userId), role: 'admin', exp: inAnHour, jti: randomUUID() };
const good = outsideToken(claims);

function base64url(text: string): string {
  return Buffer.from(text).toString('base64url');
}

/** A token of any head and claims, as text, signed by HMAC with a key. */
function tokenWith(head: unknown, payload: string = JSON.stringify(claims), key: string | Buffer = testSecret): string {
  const text = `${base64url(JSON.stringify(head))}.${base64url(payload)}`;
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
}

/** Claims of ours with something else in place of one, as JSON text where a value says so. */
const withClaim = (name: string, json: string): string =>
  tokenWith(
    { alg: 'HS256', typ: 'JWT' },
    JSON.stringify({ ...claims, [name]: '<it>' }).replace('"<it>"', () => json),
  );

describe('a token', () => {
  const own = Buffer.from('a key that came with the token, 32 bytes or more');
  const jwk = { kty: 'oct', k: own.toString('base64url'), alg: 'HS256', kid: 'own' };
  const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const edwards = generateKeyPairSync('ed25519');
  const publicJwk = elliptic.publicKey.export({ format: 'jwk' });
  const byKey = (alg: string, key: typeof elliptic.privateKey, hash: string | null, head: object = {}): string => {
    const text = `${base64url(JSON.stringify({ alg, typ: 'JWT', ...head }))}.${base64url(JSON.stringify(claims))}`;
    return `${text}.${sign(hash, Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  };
  const [head, payload, signature] = good.split('.') as [string, string, string];
  const ofUser = mintToken(testSecret, userId, 'user', 3600).split('.');
  const queue = new QueueTokens(testSecret);
  const place = { performanceId: 1, userId };

  const bad: readonly (readonly [string, string])[] = [
    ['whose key is in its head', tokenWith({ alg: 'HS256', jwk }, undefined, own)],
    ['whose key is named in its head', tokenWith({ alg: 'HS256', kid: '/dev/null' }, undefined, '')],
    [
      'whose key is somewhere else',
      tokenWith({ alg: 'HS256', jku: 'http://127.0.0.1:1/keys', x5u: 'x' }, undefined, own),
    ],
    ['of ES256, its key in its head', byKey('ES256', elliptic.privateKey, 'sha256', { jwk: publicJwk })],
    ['of EdDSA', byKey('EdDSA', edwards.privateKey, null)],
    ['of ES256, signed with our secret', tokenWith({ alg: 'ES256', typ: 'JWT' })],
    ['of an algorithm that is a list', tokenWith({ alg: ['HS256'], typ: 'JWT' })],
    ['of an algorithm that is a name of objects', tokenWith({ alg: '__proto__', typ: 'JWT' })],
    ['of five parts', `${good}.${signature}.${signature}`],
    ['of two parts', `${head}.${payload}`],
    ['with two signatures', `${good}${signature}`],
    ['with half a signature', good.slice(0, -20)],
    ['that makes an admin of a user', `${ofUser[0]}.${base64url(JSON.stringify(claims))}.${ofUser[2]}`],
    ['behind another one', `${good}, Bearer ${good}`],
    ['in quotes', `"${good}"`],
    ['whose claims are no object', tokenWith({ alg: 'HS256', typ: 'JWT' }, JSON.stringify([claims]))],
    ['whose claims are no JSON', tokenWith({ alg: 'HS256', typ: 'JWT' }, '{')],
    ...[
      '1',
      '1e3',
      '"1e3"',
      '"-1"',
      '"0"',
      '"007"',
      '" 7 "',
      '"7\\n"',
      '"7.0"',
      '"0x7"',
      '"+7"',
      '"١"',
      '""',
      '[7]',
      '["7"]',
      'true',
      'null',
      '{"toString":"7"}',
      '"9007199254740993"',
      `"${'9'.repeat(400)}"`,
    ].map((sub) => [`of the user ${sub.slice(0, 30)}`, withClaim('sub', sub)] as const),
    ...['["admin"]', '{"admin":true}', '1', 'true', 'null', '"Admin"', '"admin "', '"user,admin"', '""'].map(
      (role) => [`of the role ${role}`, withClaim('role', role)] as const,
    ),
    ...['"9999999999"', 'null', '[9999999999]', 'true', '{}', '-1', '0', '1e-300'].map(
      (exp) => [`that ends at ${exp}`, withClaim('exp', exp)] as const,
    ),
    ...['"tomorrow"', '9999999999', '1e300'].map((nbf) => [`that begins at ${nbf}`, withClaim('nbf', nbf)] as const),
    ['that is a queue ticket', queue.signTicket({ ...place, arrival: 1 })],
    ['that is a queue pass', queue.signPass({ ...place, number: 1 })],
  ];

  it('made as those below are, with nothing wrong, is good', async () => {
    expect((await callWith(url, tokenWith({ alg: 'HS256', typ: 'JWT' }))).status).toBe(200);
    expect((await callWith(url, withClaim('sub', `"${userId}"`))).status).toBe(200);
  });

  it.each(bad)('%s is refused over HTTP and on the socket', async (_name, token) => {
    // The second time it would come from the memory of good ones.
    for (let i = 0; i < 2; i++) {
      expect(await callWith(url, token)).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
      expect((await callWith(url, token, 'POST', '/v1/performances/1/warm')).status).toBe(401);
    }
    await expect(openSocket(url, 1, { token })).rejects.toThrow('status 401');
    const inQuery = { token: '', query: `access_token=${encodeURIComponent(token)}` };
    await expect(openSocket(url, 1, inQuery)).rejects.toThrow('status 401');
  });

  it.each(['Bearer', 'Bearer\t', 'Bearer', 'Token ', 'Basic ', 'bearer:', 'Bearer=', ''])(
    'behind %j is none',
    async (scheme) => {
      const { statuses } = await sendRaw(url, requestText('GET /v1/balance', [`Authorization: ${scheme}${good}`]), {
        answers: 1,
      });
      expect(statuses).toEqual([401]);
    },
  );

  it('of 5,000 bytes is not read: what all headers may have is less', async () => {
    const long = withClaim('note', JSON.stringify('x'.repeat(4000)));
    const head = requestText('GET /v1/balance', [`Authorization: Bearer ${long}`]);
    expect((await sendRaw(url, head)).statuses).toEqual([431]);
  });

  it('in the query is not looked at over HTTP, alone or beside another one', async () => {
    const rich = newUserId();
    await charge(url, rich, 77);
    for (const name of ['access_token', 'token', 'authorization', 'Authorization', 'jwt', 'bearer']) {
      const path = `/v1/balance?${name}=${tokenOf(rich)}`;
      expect((await call(url, 'GET', path)).status, name).toBe(401);
      const beside = await call(url, 'GET', path, { userId });
      expect([beside.status, beside.body]).toEqual([200, { balance: 0 }]);
    }
    for (const name of ['Cookie', 'X-Access-Token', 'Proxy-Authorization', 'Sec-WebSocket-Protocol']) {
      const headers = { [name]: `access_token=${tokenOf(rich)}` };
      expect((await call(url, 'GET', '/v1/balance', { headers })).status, name).toBe(401);
    }
  });

  it('that ends in tens of thousands of years can be given back all the same', async () => {
    for (const exp of ['1795273437000', '1e300']) {
      const fresh = tokenWith(
        { alg: 'HS256' },
        JSON.stringify({ sub: String(newUserId()), exp: Number(exp), jti: exp }),
      );
      expect((await callWith(url, fresh)).status).toBe(200);
      expect(await callWith(url, fresh, 'DELETE', '/v1/sessions/current')).toMatchObject({ status: 204 });
      expect((await callWith(url, fresh)).status).toBe(401);
    }
  });

  it('of one kind is no token of another kind: access, ticket and pass', async () => {
    const performanceId = await openRoom(url);
    const { userId: visitor, ticket, pass } = await admittedVisitor(url, performanceId);
    const access = tokenOf(visitor);
    const derived = [access, pass, `${ticket}x`, outsideToken({ p: performanceId, u: visitor, n: 1 }), '{}', 'a.b.c'];
    for (const token of derived) {
      expect((await look(url, performanceId, visitor, token)).status, token).toBe(400);
    }
    for (const token of ['', access, ticket, outsideToken({ p: performanceId, u: visitor, n: 1 }), 'a.b.c']) {
      const refused = await call(url, 'POST', '/v1/reservations', {
        userId: visitor,
        body: { performanceId, seats: [1] },
        headers: { 'queue-pass': token },
      });
      expect(refused.status, token).toBe(403);
    }
    for (const token of [ticket, pass]) expect((await callWith(url, token)).status).toBe(401);
    // The pass of somebody else, and the own one for another performance.
    const other = await openRoom(url);
    const attempts: [number, number][] = [
      [newUserId(), performanceId],
      [visitor, other],
    ];
    for (const [who, where] of attempts) {
      const body = { performanceId: where, seats: [1] };
      const refused = await call(url, 'POST', '/v1/reservations', {
        userId: who,
        body,
        headers: { 'queue-pass': pass },
      });
      expect(refused.status).toBe(403);
    }
    const held = await call(url, 'POST', '/v1/reservations', {
      userId: visitor,
      body: { performanceId, seats: [1] },
      headers: { 'queue-pass': pass },
    });
    expect(held.status).toBe(201);
  });
});

describe('the admin’s operations of the served document', () => {
  let admins: readonly { readonly operation: Operation; readonly prepared: Prepared }[] = [];
  // Of the rooms what an admin sets: the rest moves by itself.
  const state = async (): Promise<string> =>
    JSON.stringify([
      await query('CHECKSUM TABLE events, performances, seats EXTENDED'),
      await query(
        'SELECT performance_id, mode, admit_per_second, max_active FROM waiting_rooms ORDER BY performance_id',
      ),
    ]);

  beforeAll(async () => {
    const world = new World(url);
    const operations = operationsOf((await call(url, 'GET', '/openapi.json')).body);
    const marked = operations.filter(({ described }) => described.security[0]?.bearer.includes('admin') === true);
    admins = await Promise.all(
      marked.map(async (operation) => ({
        operation,
        prepared: await world.prepare(operation, bodiesOf(operation)[0]),
      })),
    );
  });

  function pathOf({ path }: Operation, { parameters }: Prepared): string {
    return path.replace(/\{(\w+)\}/g, (_, name: string) => String(parameters[name]));
  }

  const tricks: readonly (readonly [string, string])[] = [
    ['X-HTTP-Method-Override', 'POST'],
    ['X-HTTP-Method', 'PUT'],
    ['X-Method-Override', 'POST'],
    ['X-Forwarded-For', '127.0.0.1'],
    ['X-Forwarded-Host', 'localhost'],
    ['X-Forwarded-User', 'admin'],
    ['X-Forwarded-Proto', 'https'],
    ['X-Real-IP', '127.0.0.1'],
    ['Forwarded', 'for=127.0.0.1;by=admin'],
    ['X-Original-URL', '/v1/events'],
    ['X-Rewrite-URL', '/v1/events'],
    ['X-User-Id', '1'],
    ['X-Role', 'admin'],
    ['Role', 'admin'],
    ['Cookie', 'role=admin'],
    ['Via', '1.1 localhost'],
  ];

  it('are marked: there are some', () => {
    expect(admins.length).toBeGreaterThanOrEqual(4);
  });

  it('stay 401 without and 403 with a user’s token, whatever headers say', async () => {
    const before = await state();
    const replies: Promise<readonly [string, Reply, number]>[] = [];
    const all = Object.fromEntries(tricks);
    for (const { operation, prepared } of admins) {
      for (const headers of [...tricks.map(([name, value]) => ({ [name]: value })), all]) {
        for (const [expected, who] of [
          [401, {}],
          [403, { userId }],
        ] as const) {
          const options = { ...who, headers, ...bodyOf(operation, prepared) };
          const name = `${operation.id} ${Object.keys(headers).join(' ')}`;
          const sent = call(url, operation.method, pathOf(operation, prepared), options);
          replies.push(sent.then((reply) => [name, reply, expected] as const));
        }
      }
    }
    for (const [name, reply, expected] of await Promise.all(replies)) expect(reply.status, name).toBe(expected);
    expect(await state()).toBe(before);
  });

  it('are not reached by another method that a header overrides', async () => {
    const before = await state();
    for (const { operation, prepared } of admins) {
      for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override', '_method']) {
        for (const method of ['GET', 'POST', 'PATCH', 'DELETE'].filter((other) => other !== operation.method)) {
          const path = `${pathOf(operation, prepared)}?_method=${operation.method}`;
          const sent = method === 'GET' ? {} : { body: prepared.body ?? {} };
          const reply = await call(url, method, path, { userId, headers: { [name]: operation.method }, ...sent });
          expect([200, 403, 404, 405], `${method} ${path}`).toContain(reply.status);
        }
      }
    }
    expect(await state()).toBe(before);
  });

  it('are not reached by another spelling of their path', async () => {
    const before = await state();
    for (const { operation, prepared } of admins) {
      const path = pathOf(operation, prepared);
      const last = path.slice(path.lastIndexOf('/') + 1);
      const parent = path.slice(0, path.lastIndexOf('/'));
      const spellings = [
        `${path}/`,
        `/${path}`,
        path.replace('/v1/', '/v1//'),
        path.replace('/v1/', '/v1/./'),
        path.replace('/v1/', '/v1/events/../'),
        path.replace('/v1/', '/v1/%2e%2e/v1/'),
        path.toUpperCase(),
        `${parent}/%${last.charCodeAt(0).toString(16)}${last.slice(1)}`,
        `${parent}%2f${last}`,
        `${path};a=b`,
        `${path};.json`,
        `${path}.json`,
        `${path}%00`,
        `${path}%20`,
        `${path}..;/`,
        `${path}?role=admin`,
        `${path}?access_token=${tokenOf(userId, 'user')}`,
        `${path}#admin`,
      ];
      const text = JSON.stringify(prepared.body ?? {});
      for (const spelling of spellings) {
        for (const token of [null, tokenOf(userId)]) {
          const headers = [
            'Content-Type: application/json',
            ...(token === null ? [] : [`Authorization: Bearer ${token}`]),
          ];
          const bytes = requestText(`${operation.method} ${spelling}`, headers, text);
          const { statuses } = await sendRaw(url, bytes, { answers: 1 });
          expect([400, 401, 403, 404, 405], `${operation.method} ${spelling}`).toContain(statuses[0]);
        }
      }
    }
    expect(await state()).toBe(before);
  });

  it('are done for an admin, by the same requests', async () => {
    const before = await state();
    for (const { operation, prepared } of admins) {
      const options = { userId, role: prepared.role, ...bodyOf(operation, prepared) };
      const reply = await call(url, operation.method, pathOf(operation, prepared), options);
      expect(reply.status, operation.id).toBeLessThan(300);
    }
    expect(await state()).not.toBe(before);
  });
});

/** A body for those that take one: fetch sends none with a GET. */
function bodyOf({ method }: Operation, { body }: Prepared): { body?: unknown } {
  return method === 'GET' ? {} : { body: body ?? {} };
}

describe('a user', () => {
  it('gets no role from what a sign-up, a log-in or a body says', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 1 } });
    const person = { email: `person-${newUserId()}@example.org`, password: 'correct horse battery' };
    const more = { role: 'admin', userId: 1, isAdmin: true, admin: true, __proto__: { role: 'admin' } };
    expect((await call(url, 'POST', '/v1/users', { body: { ...person, ...more } })).status).toBe(201);
    const { body } = await call(url, 'POST', '/v1/sessions', { body: { ...person, ...more } });
    expect(body.role).toBe('user');
    expect((await callWith(url, body.accessToken, 'POST', `/v1/performances/${performanceId}/warm`)).status).toBe(403);
    expect(await balanceOf(url, 1)).toBe(0);
  });
});
