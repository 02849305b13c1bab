/** What must never stand in a log: secrets, passwords, tokens. A gateway that says all it can is put through everything. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import {
  call,
  type GatewayProcess,
  newUserId,
  spawnGateway,
  testEnvironment,
  testSecret,
  tokenOf,
  until,
} from './harness.ts';
import { bodiesOf, operationsOf, send, World } from './operations.ts';
import { callWith, logIn, newEmail, outsideToken, signUp } from './people.ts';
import { admittedVisitor, look, openRoom } from './rooms.ts';
import { openSocket } from './socket.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

const adminPassword = 'the-password-of-the-first-admin';

/** As it is, and as it may be written otherwise. */
function spellingsOf(secret: string): string[] {
  const ways = [encodeURIComponent, (text: string) => Buffer.from(text).toString('base64').replace(/=+$/, '')];
  const hex = Buffer.from(secret).toString('hex');
  return [secret, JSON.stringify(secret).slice(1, -1), hex, ...ways.map((way) => way(secret))];
}

function expectNone(output: string, secrets: readonly string[]): void {
  const found = secrets.filter((secret) => spellingsOf(secret).some((spelling) => output.includes(spelling)));
  expect(found).toEqual([]);
}

function passwordOf(url: string): string {
  const password = decodeURIComponent(new URL(url).password);
  expect(password).not.toBe('');
  return password;
}

describe.each([
  ['in development', {}],
  ['in production', { NODE_ENV: 'production' }],
])('a gateway that logs everything, %s', (_name, settings) => {
  let gateway: GatewayProcess;
  let proxies: TcpProxy[] = [];
  const secrets = [testSecret, adminPassword];

  beforeAll(async () => {
    const urls = [new URL(inject('redisUrl')), new URL(inject('mysqlUrl'))];
    secrets.push(...urls.map((url) => passwordOf(url.href)));
    proxies = await Promise.all(urls.map((url) => startTcpProxy(url.hostname, Number(url.port))));
    for (const [index, url] of urls.entries()) url.port = String(proxies[index]!.port);
    gateway = await spawnGateway({
      REDIS_URL: urls[0]!.href,
      MYSQL_URL: urls[1]!.href,
      LOG_LEVEL: 'silly',
      ADMIN_EMAIL: `admin-${newUserId()}@example.org`,
      ADMIN_PASSWORD: adminPassword,
      ...settings,
    });
  });

  afterAll(async () => {
    if (gateway.child.exitCode === null) await gateway.stop();
    await Promise.all(proxies.map((proxy) => proxy.close()));
  });

  it('tells none of its secrets nor those of its users, whatever is asked of it and whichever store is down', async () => {
    const { url } = gateway;
    const world = new World(url);
    const operations = operationsOf((await call(url, 'GET', '/openapi.json')).body);

    const person = await signUp(url);
    secrets.push(person.password);
    const { accessToken } = (await logIn(url, person.email, person.password)).body;
    const wrong = 'a-password-that-is-wrong';
    secrets.push(accessToken, wrong, tokenOf(person.userId));
    await logIn(url, person.email, wrong);
    await call(url, 'POST', '/v1/users', { body: { email: person.email, password: wrong } });
    await call(url, 'POST', '/v1/users', { body: { email: 'none', password: wrong } });
    const forged = outsideToken({ sub: '1', exp: 9_999_999_999, role: 'admin' }, { secret: 'x' });
    secrets.push(forged);
    expect((await callWith(url, forged)).status).toBe(401);

    const performanceId = await openRoom(url);
    const visitor = await admittedVisitor(url, performanceId);
    secrets.push(visitor.ticket, visitor.pass, tokenOf(visitor.userId));
    await look(url, performanceId, visitor.userId, `${visitor.ticket}x`);
    const socket = await openSocket(url, 0, { token: '', query: `access_token=${accessToken}` });
    socket.send({ type: 'queue.watch', ticket: visitor.ticket });
    socket.raw.send(`{"type":"queue.watch","ticket":"${visitor.ticket}`);
    await socket.message('error');
    socket.send({ type: 'reserve', id: 1, performanceId, seats: [1], pass: visitor.pass });
    await socket.message('reserve.result');

    const prepared = await Promise.all(
      operations.map(async (operation) => ({
        operation,
        prepared: await world.prepare(operation, bodiesOf(operation)[0]),
      })),
    );
    secrets.push('correct horse battery', ...prepared.map((one) => tokenOf(one.prepared.userId, one.prepared.role)));
    for (const one of prepared) await send(url, one.operation, one.prepared);

    for (const proxy of proxies) {
      proxy.cut();
      const replies = prepared.map((one) => send(url, one.operation, one.prepared));
      replies.push(send(url, operations.find(({ id }) => id === 'logIn')!, { ...prepared[0]!.prepared, body: person }));
      await Promise.all(replies);
      await until('it sees that', async () => (await call(url, 'GET', '/readyz')).status === 503);
      proxy.restore();
      await until('it is back', async () => (await call(url, 'GET', '/readyz')).status === 200);
    }
    expect((await callWith(url, accessToken, 'DELETE', '/v1/sessions/current')).status).toBe(204);
    socket.close();
    await gateway.stop();
    expect(gateway.child.exitCode).toBe(0);

    const output = gateway.output();
    // It does say things: what is looked at is not nothing.
    expect(output).toContain('listening');
    expect(output.length).toBeGreaterThan(500);
    expectNone(output, [...new Set(secrets)]);
    // Nor any token that is not known here.
    expect(output).not.toMatch(/eyJ[\w-]+\.[\w-]+\.[\w-]+/);
    expect(output).not.toMatch(/bearer /i);
  });
});

describe('a gateway that does not start says why, without a secret', () => {
  const password = 'p4ssw0rd-0f-4-st0re';

  /** All that it says. */
  async function outputOf(settings: Readonly<Record<string, string>>): Promise<string> {
    const failed = await spawnGateway({ LOG_LEVEL: 'silly', ...settings }).then(
      async (gateway) => {
        await gateway.stop();
        throw new Error('it has started');
      },
      (thrown: Error) => thrown.message,
    );
    expect(failed).toMatch(/the gateway did not start:\n.*\w/);
    return failed;
  }

  function changed(url: string, change: (url: URL) => void): string {
    const copy = new URL(url);
    change(copy);
    return copy.href;
  }

  const faults: readonly (readonly [string, RegExp, () => Record<string, string>])[] = [
    [
      'the password of MySQL is wrong',
      /mysql/i,
      () => ({
        MYSQL_URL: changed(inject('mysqlUrl'), (url) => {
          url.password = password;
        }),
      }),
    ],
    [
      'the password of Redis is wrong',
      /redis/i,
      () => ({
        REDIS_URL: changed(inject('redisUrl'), (url) => {
          url.password = password;
        }),
      }),
    ],
    ['MySQL is not there', /mysql/i, () => ({ MYSQL_URL: `mysql://user:${password}@127.0.0.1:1/fastpass` })],
    ['Redis is not there', /redis/i, () => ({ REDIS_URL: `redis://user:${password}@127.0.0.1:1` })],
    [
      'a Redis Cluster is not there',
      /redis/i,
      () => ({ REDIS_URL: `redis://user:${password}@127.0.0.1:1,redis://user:${password}@127.0.0.1:2` }),
    ],
    [
      'there is no such database',
      /mysql/i,
      () => ({
        MYSQL_URL: changed(inject('mysqlUrl'), (url) => {
          url.pathname = '/none';
        }),
      }),
    ],
    ['a URL is none', /MYSQL_URL/, () => ({ MYSQL_URL: `mysql://user:${password}@127.0.0.1:none/fastpass` })],
    ['a URL is of something else', /REDIS_URL/, () => ({ REDIS_URL: `http://user:${password}@127.0.0.1` })],
    ['a secret is too short', /JWT_SECRET/, () => ({ JWT_SECRET: password })],
    ['the password of the admin is alone', /ADMIN_EMAIL/, () => ({ ADMIN_PASSWORD: password })],
    [
      'its port is taken',
      /cannot listen/,
      () => ({ PORT: new URL(inject('redisUrl')).port, ADMIN_EMAIL: 'a@example.org', ADMIN_PASSWORD: password }),
    ],
  ];

  it.concurrent.each(faults)('when %s', { timeout: 120_000 }, async (_name, reason, settings) => {
    const environment = testEnvironment(settings());
    const output = await outputOf(environment);
    expect(output).toMatch(reason);
    const own = [environment['REDIS_URL']!, environment['MYSQL_URL']!].filter((url) => URL.canParse(url));
    const passwords = own.map((url) => decodeURIComponent(new URL(url).password)).filter((text) => text !== '');
    expectNone(output, [password, ...passwords, ...(environment['JWT_SECRET'] === testSecret ? [testSecret] : [])]);
  });
});

describe('in production', () => {
  const production = { NODE_ENV: 'production', LOG_LEVEL: 'info' };
  const start = (settings: Record<string, string>): Promise<string> =>
    spawnGateway({ ...production, ...settings }).then(
      (gateway) => gateway.stop().then(() => 'started'),
      (thrown: Error) => thrown.message,
    );

  it('a gateway does not start with a secret or an admin that anybody may know', async () => {
    const development = { JWT_SECRET: 'fastpass-development-secret-not-for-production' };
    const admin = { ADMIN_EMAIL: newEmail(), ADMIN_PASSWORD: 'fastpass-admin' };
    expect(await start(development)).toMatch(/JWT_SECRET is the development secret/);
    expect(await start({ JWT_SECRET: '' })).toMatch(/JWT_SECRET is required/);
    expect(await start({ JWT_SECRET: 'x'.repeat(31) })).toMatch(/JWT_SECRET must have 32 bytes/);
    expect(await start({ JWT_SECRET: 'x'.repeat(64) })).toMatch(/JWT_SECRET has too few different characters/);
    expect(await start(admin)).toMatch(/ADMIN_PASSWORD is the one of development/);
    expect(await start({})).toBe('started');
  });
});
