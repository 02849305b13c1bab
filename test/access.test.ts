/** Who may do what: forged and ended tokens on every route, other people's reservations, what is for admins alone. */
import { createHmac, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accountRoutes } from '../src/gateway/account-routes.ts';
import { catalogRoutes } from '../src/gateway/catalog-routes.ts';
import { queueRoutes } from '../src/gateway/queue-routes.ts';
import { rehearsalRoutes } from '../src/gateway/rehearsal-routes.ts';
import { reservationRoutes } from '../src/gateway/reservation-routes.ts';
import {
  call,
  createPerformance,
  disagreements,
  newUserId,
  startGateway,
  type TestGateway,
  testSecret,
  until,
} from './harness.ts';
import { balanceOf, brokenSales, cancel, charge, hold, pay } from './money.ts';
import { callWith, outsideToken, signUp, tokenFor } from './people.ts';
import { openSocket } from './socket.ts';

let gateway: TestGateway;
let other: TestGateway;
let url: string;

beforeAll(async () => {
  gateway = await startGateway();
  other = await startGateway();
  url = gateway.url;
});

afterAll(async () => {
  await Promise.all([gateway.stop(), other.stop()]);
});

/** The table that requests are served from; no route is asked for its work here. */
const routes = [
  ...reservationRoutes({} as never),
  ...accountRoutes({} as never),
  ...queueRoutes({} as never),
  ...catalogRoutes({} as never),
  ...rehearsalRoutes({} as never),
];
const nobodys = '01890000-0000-7000-8000-000000000000';

/** A path of the table with ids in it that exist nowhere. */
function pathOf(path: string): string {
  return path.replace('{reservationId}', nobodys).replace(/\{\w+Id\}/g, '999999999');
}

function send(method: string, path: string, token: string | null, at = url) {
  const headers = token === null ? {} : { authorization: `Bearer ${token}` };
  return call(at, method.toUpperCase(), pathOf(path), { headers, ...(method === 'get' ? {} : { body: {} }) });
}

describe('a token', () => {
  const nowSeconds = Math.floor(Date.now() / 1000);
  // An admin's: what refuses it is not the role.
  const claims = { sub: String(newUserId()), role: 'admin', exp: nowSeconds + 3600, jti: randomUUID() };
  const good = outsideToken(claims);
  const [, payload] = good.split('.');
  const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rsaText = `${base64url({ alg: 'RS256', typ: 'JWT' })}.${payload}`;
  const rsaSigned = `${rsaText}.${sign('sha256', Buffer.from(rsaText), rsa.privateKey).toString('base64url')}`;
  // The old confusion: the secret of HS256 is taken for the key of whatever the header names.
  const rsaByHmac = `${rsaText}.${createHmac('sha256', testSecret).update(rsaText).digest('base64url')}`;
  const noneHeads = ['none', 'None', 'NONE', 'nOnE'].map((alg) => base64url({ alg, typ: 'JWT' }));

  const bad: readonly (readonly [string, string])[] = [
    ...noneHeads.map((head, i) => [`alg none, spelling ${i + 1}`, `${head}.${payload}.`] as const),
    ['alg none with the signature of HS256', `${noneHeads[0]}.${good.split('.').slice(1).join('.')}`],
    ['alg none, signed', outsideToken(claims, { alg: 'none' })],
    ['alg RS256, signed by a key of its own', rsaSigned],
    ['alg RS256 in the head, signed with our secret', rsaByHmac],
    ['alg HS512', outsideToken(claims, { alg: 'HS512', hash: 'sha512' })],
    ['alg HS384', outsideToken(claims, { alg: 'HS384', hash: 'sha384' })],
    ['alg HS512 in the head, signed by HS256', outsideToken(claims, { alg: 'HS512' })],
    ['alg hs256', outsideToken(claims, { alg: 'hs256' })],
    ['no alg', `${base64url({ typ: 'JWT' })}.${good.split('.').slice(1).join('.')}`],
    ['another secret', outsideToken(claims, { secret: `${testSecret}x` })],
    ['the empty secret', outsideToken(claims, { secret: '' })],
    ['other claims under the same signature', good.replace(/\..*\./, `.${base64url({ ...claims, sub: '1' })}.`)],
    ['no signature', good.slice(0, good.lastIndexOf('.') + 1)],
    ['that ended a second ago', outsideToken({ ...claims, exp: nowSeconds - 1 })],
    ['that ended long ago', outsideToken({ ...claims, exp: 1 })],
    ['that never ends', outsideToken({ ...claims, exp: undefined })],
    ['that is not good before tomorrow', outsideToken({ ...claims, nbf: nowSeconds + 86_400 })],
    ['of no user', outsideToken({ ...claims, sub: undefined })],
    ['of a role that there is not', outsideToken({ ...claims, role: 'root' })],
    ['of nothing', ''],
  ];
  const guarded = routes.filter(({ auth }) => auth !== 'none');

  it.each(bad)('%s is refused on every route that needs one, and on the socket', async (_name, token) => {
    const replies = await Promise.all(
      guarded.map(async ({ method, path }) => {
        const { status, body } = await send(method, path, token);
        return `${method} ${path} ${status} ${body?.code}`;
      }),
    );
    expect(replies).toEqual(guarded.map(({ method, path }) => `${method} ${path} 401 unauthorized`));
    if (token !== '') await expect(openSocket(url, 1, { token })).rejects.toThrow('status 401');
  });

  it('that was given back is refused on every route, of every gateway', async () => {
    const token = await tokenFor(url, await signUp(url));
    // Where a token is not refused, the route is: else there is nothing to see below.
    for (const { method, path } of guarded) {
      const fresh = outsideToken({ ...claims, jti: randomUUID() });
      expect((await send(method, path, fresh)).status, path).not.toBe(401);
    }
    expect((await callWith(url, token)).status).toBe(200);
    expect((await callWith(url, token, 'DELETE', '/v1/sessions/current')).status).toBe(204);
    for (const { method, path } of guarded) {
      expect(await send(method, path, token), path).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
    }
    await until('the other gateway refuses it', async () => (await callWith(other.url, token)).status === 401, 1000);
    for (const { method, path } of guarded) expect((await send(method, path, token, other.url)).status, path).toBe(401);
  });

  it('is needed wherever there is something of somebody, and nowhere else', async () => {
    const open = routes.filter(({ auth }) => auth === 'none').map(({ method, path }) => `${method} ${path}`);
    expect(open.sort()).toEqual([
      'get /v1/events',
      'get /v1/events/{eventId}/performances',
      'get /v1/performances/{performanceId}',
      'get /v1/performances/{performanceId}/queue',
      'get /v1/performances/{performanceId}/seats',
      'post /v1/sessions',
      'post /v1/users',
    ]);
    for (const { method, path } of guarded) {
      expect(await send(method, path, null), path).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
    }
  });
});

describe('the admin’s routes', () => {
  const ofAdmins = routes.filter(({ auth }) => auth === 'admin');

  it('are those that write the catalogue and the waiting rooms, and the rehearsals', () => {
    expect(ofAdmins.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
      'get /v1/performances/{performanceId}/rehearsals/current',
      'post /v1/events',
      'post /v1/events/{eventId}/performances',
      'post /v1/performances/{performanceId}/rehearsals',
      'post /v1/performances/{performanceId}/warm',
      'put /v1/performances/{performanceId}/queue',
    ]);
  });

  it.each(ofAdmins.map(({ method, path }) => [method, path] as const))(
    '%s %s is forbidden to a user, whatever is sent',
    async (method, path) => {
      const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats: 1 } });
      const performance = await call(url, 'GET', `/v1/performances/${performanceId}`);
      const real = path
        .replace('{performanceId}', String(performanceId))
        .replace('{eventId}', String(performance.body.eventId));
      const tokens = [
        await tokenFor(url, await signUp(url, { role: 'admin' })),
        outsideToken({ sub: '7', exp: Math.floor(Date.now() / 1000) + 3600 }),
      ];
      for (const token of tokens) {
        for (const body of [{}, { name: 'Mine' }, { mode: 'off', admitPerSecond: 1, maxActive: 1, role: 'admin' }]) {
          const headers = { authorization: `Bearer ${token}` };
          const sent = method === 'get' ? { headers } : { headers, body };
          const reply = await call(url, method.toUpperCase(), real, sent);
          expect(reply).toMatchObject({ status: 403, body: { code: 'forbidden' } });
        }
      }
      expect((await call(url, 'GET', `/v1/performances/${performanceId}`)).body).toEqual(performance.body);
    },
  );
});

describe('another’s reservation', () => {
  const hidden = { status: 404, body: { code: 'reservation_not_found' } };
  const seated = (): Promise<number> => createPerformance(url, { seating: { kind: 'seated', seats: 2 }, price: 700 });

  it.each(['held', 'confirmed', 'cancelled'])('that is %s is not there for a user', async (state) => {
    const [owner, stranger] = [newUserId(), newUserId()];
    const performanceId = await seated();
    await charge(url, owner, 1000);
    await charge(url, stranger, 5000);
    const { reservationId } = (await hold(url, owner, { performanceId, seats: [1] })).body;
    if (state !== 'held') expect((await pay(url, owner, reservationId)).status).toBe(201);
    if (state === 'cancelled') expect((await cancel(url, owner, reservationId)).status).toBe(200);
    const path = `/v1/reservations/${reservationId}`;
    const before = (await call(url, 'GET', path, { userId: owner })).body;

    // As it is for one that nobody has.
    for (const id of [reservationId, nobodys, randomUUID()]) {
      expect(await call(url, 'GET', `/v1/reservations/${id}`, { userId: stranger })).toMatchObject(hidden);
      expect(await pay(url, stranger, id)).toMatchObject(hidden);
      expect(await cancel(url, stranger, id)).toMatchObject(hidden);
    }
    expect((await call(url, 'GET', '/v1/reservations', { userId: stranger })).body.items).toEqual([]);
    expect((await call(url, 'GET', '/v1/balance/history', { userId: stranger })).body.items).toHaveLength(1);
    expect((await call(url, 'GET', path, { userId: owner })).body).toEqual(before);
    expect(await balanceOf(url, stranger)).toBe(5000);
    expect(await brokenSales(performanceId)).toEqual([]);
    expect(await disagreements(url, performanceId)).toEqual([]);
  });

  it('can be read and cancelled by an admin, and the money goes back to its owner', async () => {
    const [owner, admin] = [newUserId(), newUserId()];
    const asAdmin = { userId: admin, role: 'admin' } as const;
    const performanceId = await seated();
    await charge(url, owner, 1000);
    await charge(url, admin, 1000);
    const { reservationId } = (await hold(url, owner, { performanceId, seats: [1] })).body;
    expect((await pay(url, owner, reservationId)).status).toBe(201);
    const path = `/v1/reservations/${reservationId}`;
    expect((await call(url, 'GET', path, asAdmin)).body).toMatchObject({ userId: owner, status: 'CONFIRMED' });
    const cancelled = await call(url, 'DELETE', path, asAdmin);
    expect([cancelled.status, cancelled.body]).toEqual([200, { reservationId, status: 'CANCELLED', refunded: 700 }]);
    expect(await balanceOf(url, owner)).toBe(1000);
    expect(await balanceOf(url, admin)).toBe(1000);
    expect(await brokenSales(performanceId)).toEqual([]);
  });

  it('cannot be paid by an admin: nobody spends for others, nor with the money of others', async () => {
    const [owner, admin] = [newUserId(), newUserId()];
    const performanceId = await seated();
    await charge(url, owner, 1000);
    await charge(url, admin, 1000);
    const { reservationId } = (await hold(url, owner, { performanceId, seats: [1] })).body;
    const path = `/v1/reservations/${reservationId}/payments`;
    expect(await call(url, 'POST', path, { userId: admin, role: 'admin', body: {} })).toMatchObject(hidden);
    expect([await balanceOf(url, owner), await balanceOf(url, admin)]).toEqual([1000, 1000]);
    expect((await call(url, 'GET', `/v1/reservations/${reservationId}`, { userId: owner })).body.status).toBe('HELD');
  });
});

describe('another’s money', () => {
  it('is neither seen nor moved: balance, charges and history are those of the token', async () => {
    const [rich, poor] = [newUserId(), newUserId()];
    await charge(url, rich, 4200);
    const search = `?userId=${rich}&user_id=${rich}`;
    expect((await call(url, 'GET', `/v1/balance${search}`, { userId: poor })).body).toEqual({ balance: 0 });
    const history = await call(url, 'GET', `/v1/balance/history${search}`, { userId: poor });
    expect(history.body).toEqual({ items: [], next: null });
    const body = { amount: 10, userId: rich };
    await call(url, 'POST', '/v1/balance/charges', { userId: poor, body });
    expect([await balanceOf(url, rich), await balanceOf(url, poor)]).toEqual([4200, 10]);
    // A cursor is a place in one's own list.
    const { items } = (await call(url, 'GET', '/v1/balance/history', { userId: rich })).body;
    const beyond = await call(url, 'GET', `/v1/balance/history?cursor=${items[0].id + 1}`, { userId: poor });
    expect(beyond.body.items).toEqual([]);
  });
});
