/** Accounts: sign-up, log-in and its limits, log-out on every gateway, the first admin. */
import { randomUUID } from 'node:crypto';
import { connect } from 'node:net';
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { startApart } from './apart.ts';
import {
  call,
  newUserId,
  query,
  type Reply,
  redisClient,
  spawnGateway,
  startGateway,
  type TestGateway,
  testEnvironment,
  tokenOf,
  until,
} from './harness.ts';
import {
  callFrom,
  callWith,
  logIn,
  newAddress,
  newEmail,
  outsideToken,
  type Person,
  signUp,
  tokenFor,
} from './people.ts';
import { openSocket } from './socket.ts';
import { startTcpProxy } from './tcp-proxy.ts';

/** The promise: a token given back is refused everywhere in this time. */
const refusedWithinMs = 1000;
const wrongFreeMax = 6;

let gateway: TestGateway;
let other: TestGateway;
let url: string;
let redis: Redis;

beforeAll(async () => {
  redis = redisClient();
  gateway = await startGateway();
  other = await startGateway();
  url = gateway.url;
});

afterAll(async () => {
  await Promise.all([gateway.stop(), other.stop()]);
  redis.disconnect();
});

async function storedUsers(email: string): Promise<{ id: number; role: string; password_hash: string }[]> {
  const rows = await query('SELECT id, role, password_hash FROM users WHERE email = ?', [email]);
  return rows.map((row) => ({ ...row }) as unknown as { id: number; role: string; password_hash: string });
}

describe('signing up', () => {
  const good = { email: 'somebody@example.org', password: 'correct horse' };

  it('answers with the user and nothing of the password, and stores argon2id of it alone', async () => {
    const [email, password] = [newEmail(), 'correct horse battery'];
    const reply = await call(url, 'POST', '/v1/users', { body: { email, password, name: 'Ōsaka 🎫' } });
    expect(reply.status).toBe(201);
    const { userId } = reply.body;
    expect(reply.body).toEqual({ userId, email, name: 'Ōsaka 🎫', role: 'user' });
    expect(userId).toBeGreaterThan(0);
    expect(reply.headers.get('cache-control')).toBe('no-store');
    const [stored] = await storedUsers(email);
    expect(stored).toMatchObject({ id: userId, role: 'user' });
    // At least what OWASP names: 19 MiB, two passes.
    const [, memory, passes] = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=\d+\$/.exec(stored!.password_hash) ?? [];
    expect(Number(memory)).toBeGreaterThanOrEqual(19 * 1024);
    expect(Number(passes)).toBeGreaterThanOrEqual(2);
    const rows = await query('SELECT * FROM users WHERE email = ?', [email]);
    expect(JSON.stringify(rows)).not.toContain(password);
  });

  it('salts: two with one password have two hashes', async () => {
    const people = [await signUp(url, { password: 'the same one' }), await signUp(url, { password: 'the same one' })];
    const hashes = await Promise.all(people.map(async ({ email }) => (await storedUsers(email))[0]!.password_hash));
    expect(hashes[0]).not.toBe(hashes[1]);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['no address', { email: undefined }, '/email'],
    ['null as address', { email: null }, '/email'],
    ['a number as address', { email: 7 }, '/email'],
    ['an empty address', { email: '' }, '/email'],
    ['an address without @', { email: 'somebody' }, '/email'],
    ['an address without a name', { email: '@example.org' }, '/email'],
    ['an address without a domain', { email: 'somebody@' }, '/email'],
    ['an address with two @', { email: 'a@b@example.org' }, '/email'],
    ['an address with a space inside', { email: 'some body@example.org' }, '/email'],
    ['an address with a line end', { email: 'somebody@example.org\n' }, '/email'],
    ['an address that is not ASCII', { email: 'jürgen@example.org' }, '/email'],
    ['an address of 255 characters', { email: `${'a'.repeat(243)}@example.org` }, '/email'],
    ['no password', { password: undefined }, '/password'],
    ['null as password', { password: null }, '/password'],
    ['a number as password', { password: 12_345_678 }, '/password'],
    ['a password of 7 characters', { password: '1234567' }, '/password'],
    ['a password of 257 characters', { password: 'x'.repeat(257) }, '/password'],
    ['an empty name', { name: '' }, '/name'],
    ['a number as name', { name: 7 }, '/name'],
    ['a name of 101 characters', { name: 'x'.repeat(101) }, '/name'],
  ])('with %s is refused, and says where', async (_name, fields, path) => {
    const refused = await call(url, 'POST', '/v1/users', { body: { ...good, ...fields } });
    expect(refused).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    expect(refused.body.errors.map((error: { path: string }) => error.path)).toContain(path);
    expect(JSON.stringify(refused.body)).not.toContain('correct horse');
  });

  it.each<[string, Record<string, unknown>]>([
    ['an address of 254 characters', { email: `${'a'.repeat(230)}-${newUserId()}@x.org`.slice(-254) }],
    ['a password of 8 characters', { password: '12345678' }],
    ['a password of 256 characters', { password: 'é'.repeat(256) }],
    ['no name', { name: null }],
    ['a name of 100 characters', { name: 'x'.repeat(100) }],
  ])('takes %s, and lets that user in', async (_name, fields) => {
    const person = await signUp(url, fields);
    expect((await logIn(url, person.email, person.password)).status).toBe(201);
  });

  it.each([
    ['of 100 signs outside the basic plane', '🎫'.repeat(100)],
    ['whose letters carry many accents', `e${'\u0301'.repeat(40)}`.repeat(50)],
    ['of half a surrogate pair', 'a\ud800'],
    ['with a zero byte', 'a\u0000b'],
  ])('with a name %s is taken or refused, and no fault of the server', async (_name, name) => {
    const { status } = await call(url, 'POST', '/v1/users', { body: { ...good, email: newEmail(), name } });
    expect([201, 400]).toContain(status);
  });

  it('with an address that differs from another in case alone is email_taken', async () => {
    const { email, password } = await signUp(url);
    for (const variant of [email, email.toUpperCase(), email.replace('person', 'Person')]) {
      const refused = await call(url, 'POST', '/v1/users', { body: { email: variant, password: 'another one' } });
      expect(refused).toMatchObject({ status: 409, body: { code: 'email_taken' } });
      expect((await logIn(url, variant, password)).status).toBe(201);
    }
    expect(await storedUsers(email)).toHaveLength(1);
    const mixed = newEmail().replace('person', 'PeRsOn');
    expect((await signUp(url, { email: mixed })).email).toBe(mixed);
    const refused = await call(url, 'POST', '/v1/users', {
      body: { email: mixed.toLowerCase(), password: 'another one' },
    });
    expect(refused).toMatchObject({ status: 409, body: { code: 'email_taken' } });
  });

  it('with spaces around an address makes no second account, and they do not matter at log-in', async () => {
    const { email, password } = await signUp(url);
    for (const variant of [` ${email}`, `${email} `, `\t${email}\n`]) {
      const refused = await call(url, 'POST', '/v1/users', { body: { email: variant, password: 'another one' } });
      expect([400, 409]).toContain(refused.status);
      expect((await logIn(url, variant, password)).status).toBe(201);
    }
    expect(await query('SELECT id FROM users WHERE email LIKE ?', [`%${email}%`])).toHaveLength(1);
  });

  it('fifty times at once with one address, at two gateways, makes one user', async () => {
    const email = newEmail();
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, i) => {
        const body = { email: i % 3 === 0 ? email.toUpperCase() : email, password: `password ${i}` };
        return call(i % 2 === 0 ? url : other.url, 'POST', '/v1/users', { body });
      }),
    );
    const made = replies.filter(({ status }) => status === 201);
    expect(made).toHaveLength(1);
    const refused = replies.filter(({ status }) => status !== 201);
    expect(new Set(refused.map(({ status, body }) => `${status} ${body.code}`))).toEqual(new Set(['409 email_taken']));
    expect((await storedUsers(email)).map(({ id }) => id)).toEqual([made[0]!.body.userId]);
    // The winner's password is the one that counts.
    const winner = replies.indexOf(made[0]!);
    expect((await logIn(url, email, `password ${winner}`)).status).toBe(201);
  });
});

describe('logging in', () => {
  it('gives a token that works on every gateway until the time it says', async () => {
    const person = await signUp(url);
    const reply = await logIn(url, person.email, person.password);
    expect(reply.status).toBe(201);
    const { accessToken, expiresAt, ...rest } = reply.body;
    expect(rest).toEqual({ userId: person.userId, role: 'user' });
    expect(reply.headers.get('cache-control')).toBe('no-store');
    const claims = JSON.parse(Buffer.from(accessToken.split('.')[1], 'base64url').toString());
    expect(claims).toMatchObject({ sub: String(person.userId), role: 'user' });
    expect(claims.jti).toMatch(/^[0-9a-f-]{36}$/);
    expect(Math.abs(Date.parse(expiresAt) - claims.exp * 1000)).toBeLessThanOrEqual(1000);
    expect(Date.parse(expiresAt)).toBeGreaterThan(Date.now());
    for (const each of [url, other.url]) expect((await callWith(each, accessToken)).status).toBe(200);
  });

  it('twice gives two tokens', async () => {
    const person = await signUp(url);
    expect(await tokenFor(url, person)).not.toBe(await tokenFor(url, person));
  });

  it('answers a wrong password and an unknown address alike', async () => {
    const { email } = await signUp(url);
    const wrong = await logIn(url, email, 'not the password');
    const unknown = await logIn(url, newEmail(), 'not the password');
    expect(wrong.status).toBe(401);
    expect(wrong.body).toMatchObject({ code: 'unauthorized' });
    expect([unknown.status, unknown.body]).toEqual([wrong.status, wrong.body]);
    const namesOf = ({ headers }: Reply): string[] => [...headers.keys()].sort();
    expect(namesOf(unknown)).toEqual(namesOf(wrong));
  });

  it('takes as long for an unknown address as for a wrong password, give or take', async () => {
    const people = await Promise.all([1, 2, 3].map(() => signUp(url)));
    const attempts = people.flatMap(({ email }) => new Array<string>(5).fill(email));
    const from = newAddress();
    const timeOf = async (email: string): Promise<number> => {
      const startMs = performance.now();
      expect((await logIn(url, email, 'not the password', from)).status).toBe(401);
      return performance.now() - startMs;
    };
    await timeOf(newEmail());
    const wrong: number[] = [];
    const unknown: number[] = [];
    // In turns, so that what slows the machine down slows both.
    for (const email of attempts) {
      wrong.push(await timeOf(email));
      unknown.push(await timeOf(newEmail()));
    }
    const median = (times: number[]): number => times.sort((a, b) => a - b)[Math.floor(times.length / 2)]!;
    const ratio = median(unknown) / median(wrong);
    expect(ratio).toBeGreaterThan(1 / 3);
    expect(ratio).toBeLessThan(3);
  });

  it.each<[string, unknown]>([
    ['nothing', {}],
    ['no password', { email: 'a@example.org' }],
    ['no address', { password: 'password' }],
    ['numbers', { email: 1, password: 2 }],
    ['a password of 257 characters', { email: 'a@example.org', password: 'x'.repeat(257) }],
  ])('with %s is validation_failed', async (_name, body) => {
    const refused = await callFrom(newAddress(), url, 'POST', '/v1/sessions', body);
    expect(refused).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
  });

  it.each(['jürgen@example.org', 'a\u0000@example.org', "' OR 1=1 -- ", '%', '', '\u212a@x.org'])(
    'with the address %j, which nobody has, is refused as any other',
    async (email) => {
      expect(await logIn(url, email, 'not the password')).toMatchObject({
        status: 401,
        body: { code: 'unauthorized' },
      });
    },
  );
});

describe('attempts to log in', () => {
  /** Tries wrong passwords until one is refused for the attempts; how many were not. */
  async function wrongUntilRefused(at: string, email: string, from = newAddress()): Promise<number> {
    for (let count = 0; ; count++) {
      const { status } = await logIn(at, email, 'not the password', from);
      if (status === 429) return count;
      expect(status).toBe(401);
    }
  }

  /** The attempts of accounts and addresses: the time they have to wait is over. */
  async function endWaits(): Promise<void> {
    for (const key of await redis.keys('fastpass:attempts:*')) await redis.hset(key, 'until', '0');
  }

  it('after a few wrong passwords are rate_limited, with Retry-After, and then the right one too', async () => {
    const { email, password } = await signUp(url);
    expect(await wrongUntilRefused(url, email)).toBe(wrongFreeMax);
    const refused = await logIn(url, email, password);
    expect(refused).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
    await until('the wait is over', async () => (await logIn(url, email, password)).status === 201);
  });

  it('have to wait twice as long each time, up to a minute', async () => {
    const { email } = await signUp(url);
    await wrongUntilRefused(url, email);
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
      const refused = await logIn(url, email, 'not the password');
      expect(refused.status).toBe(429);
      const retryAfter = Number(refused.headers.get('retry-after'));
      expect(retryAfter).toBeLessThanOrEqual(seconds);
      expect(retryAfter).toBeGreaterThan(seconds / 2);
      await endWaits();
      expect((await logIn(url, email, 'not the password')).status).toBe(401);
    }
  });

  it('that are refused do not make the wait longer', async () => {
    const { email } = await signUp(url);
    await wrongUntilRefused(url, email);
    let longestSeconds = 1;
    for (let i = 0; i < 20; i++) {
      const { status, headers } = await logIn(url, email, 'not the password');
      // On a slow machine a wait may be over meanwhile: then there is an attempt, and the next wait is longer.
      if (status === 401) longestSeconds *= 2;
      else expect(Number(headers.get('retry-after'))).toBeLessThanOrEqual(longestSeconds);
    }
  });

  it('on one account leave the others alone, from the same address too', async () => {
    const [attacked, bystander] = [await signUp(url), await signUp(url)];
    const from = newAddress();
    await wrongUntilRefused(url, attacked.email, from);
    expect((await logIn(url, bystander.email, bystander.password, from)).status).toBe(201);
    expect((await logIn(url, bystander.email, 'not the password', from)).status).toBe(401);
  });

  it('count from nothing again after a right password', async () => {
    const { email, password } = await signUp(url);
    for (let round = 0; round < 3; round++) {
      for (let i = 1; i < wrongFreeMax; i++) expect((await logIn(url, email, 'wrong')).status).toBe(401);
      expect((await logIn(url, email, password)).status).toBe(201);
    }
  });

  it('are counted by account, however the address is written', async () => {
    const { email } = await signUp(url);
    const variants = [email, email.toUpperCase(), ` ${email}`, `${email} `];
    const replies: number[] = [];
    for (let i = 0; i <= wrongFreeMax; i++) replies.push((await logIn(url, variants[i % 4]!, 'wrong')).status);
    expect(replies).toEqual([...new Array(wrongFreeMax).fill(401), 429]);
  });

  it('are counted for an address that nobody has as well: nobody learns which there are', async () => {
    expect(await wrongUntilRefused(url, newEmail())).toBe(wrongFreeMax);
  });

  it('are counted for all gateways together', async () => {
    const { email } = await signUp(url);
    for (let i = 0; i < wrongFreeMax; i++) {
      expect((await logIn(i % 2 === 0 ? url : other.url, email, 'wrong')).status).toBe(401);
    }
    for (const each of [url, other.url]) expect((await logIn(each, email, 'wrong')).status).toBe(429);
  });

  it('that come all at once get no more passwords checked than one after the other', async () => {
    const { email } = await signUp(url);
    const replies = await Promise.all(
      Array.from({ length: 40 }, (_, i) => logIn(i % 2 === 0 ? url : other.url, email, `guess ${i}`)),
    );
    expect(replies.filter(({ status }) => status === 401)).toHaveLength(wrongFreeMax);
    expect(replies.filter(({ status }) => status === 429)).toHaveLength(40 - wrongFreeMax);
  });

  it('from one address with a list of many accounts are rate_limited, and other addresses are not', async () => {
    const { email, password } = await signUp(url);
    const from = newAddress();
    const emails = Array.from({ length: 60 }, newEmail);
    const replies: number[] = [];
    for (const [i, each] of emails.entries()) {
      replies.push((await logIn(i % 2 === 0 ? url : other.url, each, 'password1', from)).status);
    }
    expect(replies.slice(0, 50)).toEqual(new Array(50).fill(401));
    expect(replies.slice(50)).toContain(429);
    expect((await logIn(url, email, password)).status).toBe(201);
  });

  it('with the right password are no failures: an office of many people behind one address gets in', async () => {
    const people = await Promise.all(Array.from({ length: 12 }, () => signUp(url)));
    const from = newAddress();
    for (let round = 0; round < 5; round++) {
      for (const { email, password } of people) {
        expect((await logIn(url, email, password, from)).status).toBe(201);
      }
    }
  });

  it('keep no e-mail address and no address of a person in Redis', async () => {
    const [{ email }, from] = [await signUp(url), newAddress()];
    await logIn(url, email, 'wrong', from);
    const kept: string[] = [];
    for (const key of await redis.keys('fastpass:attempts:*')) {
      kept.push(key, JSON.stringify(await redis.hgetall(key)));
      expect(await redis.pttl(key), 'is forgotten some time').toBeGreaterThan(0);
    }
    expect(kept.length).toBeGreaterThan(0);
    for (const text of kept) {
      expect(text).not.toContain(email);
      expect(text).not.toContain(from);
    }
  });
});

describe('logging out', () => {
  const logOut = (at: string, token: string): Promise<Reply> => callWith(at, token, 'DELETE', '/v1/sessions/current');

  /** Asks until it is refused; the last moment at which it was not. */
  async function lastGoodAtMs(at: string, token: string): Promise<number> {
    let goodAtMs = 0;
    await until('the token is refused', async () => {
      const askedAtMs = performance.now();
      if ((await callWith(at, token)).status === 401) return true;
      goodAtMs = askedAtMs;
      return false;
    });
    return goodAtMs;
  }

  function soon(seconds = 3600): number {
    return Math.floor(Date.now() / 1000) + seconds;
  }

  it('refuses the token at once here and within a second everywhere, and leaves the user’s other tokens alone', async () => {
    const person = await signUp(url);
    const [token, kept] = [await tokenFor(url, person), await tokenFor(other.url, person)];
    for (const each of [url, other.url]) expect((await callWith(each, token)).status).toBe(200);
    const out = await logOut(url, token);
    const outAtMs = performance.now();
    expect([out.status, out.body]).toEqual([204, null]);
    expect(await callWith(url, token)).toMatchObject({ status: 401, body: { code: 'unauthorized' } });
    expect((await lastGoodAtMs(other.url, token)) - outAtMs).toBeLessThan(refusedWithinMs);
    for (const each of [url, other.url]) {
      expect((await callWith(each, kept)).status).toBe(200);
      expect((await logOut(each, token)).status).toBe(401);
    }
    // Whoever logs in again is in.
    expect((await callWith(url, await tokenFor(url, person))).status).toBe(200);
  });

  it('ends the sockets of the token with 1008 on every gateway, and no other socket of the user', async () => {
    const person = await signUp(url);
    const [token, kept] = [await tokenFor(url, person), await tokenFor(url, person)];
    const ended = await Promise.all([url, other.url].map((each) => openSocket(each, person.userId, { token })));
    const open = await Promise.all([url, other.url].map((each) => openSocket(each, person.userId, { token: kept })));
    onTestFinished(() => {
      for (const socket of [...ended, ...open]) socket.close();
    });
    expect((await logOut(url, token)).status).toBe(204);
    for (const socket of ended) expect(await socket.closeCode()).toBe(1008);
    for (const each of [url, other.url]) {
      await expect(openSocket(each, person.userId, { token })).rejects.toThrow('status 401');
    }
    for (const socket of open) {
      socket.send({ type: 'ping' });
      await socket.message('pong');
      expect(socket.closed).toBeNull();
    }
  });

  it('is known to a gateway that starts later, also when Redis has forgotten everything', async () => {
    const person = await signUp(url);
    const token = await tokenFor(url, person);
    expect((await logOut(url, token)).status).toBe(204);
    await redis.flushall();
    const later = await startGateway();
    onTestFinished(() => later.stop());
    for (const each of [later.url, url, other.url]) expect((await callWith(each, token)).status).toBe(401);
    expect((await callWith(later.url, await tokenFor(later.url, person))).status).toBe(200);
  });

  it('is made up for by a gateway that was cut off when it was told', async () => {
    const { url: apart, proxy } = await startApart();
    const person = await signUp(url);
    const token = await tokenFor(url, person);
    expect((await callWith(apart, token)).status).toBe(200);
    proxy.cut();
    expect((await logOut(url, token)).status).toBe(204);
    expect((await callWith(apart, token)).status, 'it cannot know yet').toBe(200);
    proxy.restore();
    await lastGoodAtMs(apart, token);
  });

  it('is made up for when every subscription is lost around it', async () => {
    const person = await signUp(url);
    for (let round = 0; round < 5; round++) {
      const token = await tokenFor(url, person);
      const [reply] = await Promise.all([logOut(url, token), redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')]);
      expect(reply.status).toBe(204);
      for (const each of [url, other.url]) await lastGoodAtMs(each, token);
    }
  });

  it('with a token of another provider works as well: with a jti and without', async () => {
    const sub = String(newUserId());
    const claims = [
      { sub, exp: soon(), jti: 'first' },
      { sub, exp: soon(), jti: 'second' },
      { sub, exp: soon() },
      { sub, exp: soon(1800) },
    ];
    const [named, otherName, unnamed, otherUnnamed] = claims.map((each) => outsideToken(each)) as [
      string,
      string,
      string,
      string,
    ];
    for (const token of [named, unnamed]) {
      expect((await logOut(url, token)).status).toBe(204);
      expect((await callWith(url, token)).status).toBe(401);
      await lastGoodAtMs(other.url, token);
    }
    for (const token of [otherName, otherUnnamed]) expect((await callWith(url, token)).status).toBe(200);
  });

  it('cannot be undone by writing the token another way', async () => {
    const token = outsideToken({ sub: String(newUserId()), exp: soon() });
    expect((await logOut(url, token)).status).toBe(204);
    // The last sign of 43 carries two bits of nothing: four spellings are one signature.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(token.at(-1)!);
    const spellings = [0, 1, 2, 3].map((bits) => `${token.slice(0, -1)}${alphabet[(last & ~3) | bits]}`);
    for (const spelling of [...spellings, `${token}=`, ` ${token}`, `${token} `]) {
      for (const scheme of ['Bearer', 'bearer']) {
        const reply = await call(url, 'GET', '/v1/balance', { headers: { authorization: `${scheme} ${spelling}` } });
        expect([spelling.slice(-3), reply.status]).toEqual([spelling.slice(-3), 401]);
      }
    }
  });

  it('of one user leaves another user’s token with the same jti alone', async () => {
    const [one, two] = [newUserId(), newUserId()].map((userId) =>
      outsideToken({ sub: String(userId), exp: soon(), jti: 'the same name' }),
    ) as [string, string];
    expect((await logOut(url, one)).status).toBe(204);
    expect((await callWith(url, one)).status).toBe(401);
    await lastGoodAtMs(other.url, one);
    for (const each of [url, other.url]) expect((await callWith(each, two)).status).toBe(200);
    expect((await logOut(other.url, two)).status).toBe(204);
  });

  it.each([
    ['in a fraction of a second', Date.now() / 1000 + 3600.5],
    ['at the end of the calendar of MySQL', 253_402_300_799],
    ['after the end of the calendar of MySQL', 253_402_300_800],
    ['in milliseconds by mistake', Date.now() + 3_600_000],
    ['as far away as numbers go', 1e300],
  ])('takes a token of another provider that ends %s', async (_name, exp) => {
    const token = outsideToken({ sub: String(newUserId()), exp, jti: randomUUID() });
    expect((await callWith(url, token)).status).toBe(200);
    expect((await logOut(url, token)).status).toBe(204);
    expect((await callWith(url, token)).status).toBe(401);
    await lastGoodAtMs(other.url, token);
  });

  it('leaves its connection as good as it was', async () => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    onTestFinished(() => {
      socket.destroy();
    });
    let received = '';
    socket.on('data', (data: Buffer) => {
      received += data.toString();
    });
    let isClosed = false;
    socket.on('close', () => {
      isClosed = true;
    });
    const authorization = `Authorization: Bearer ${outsideToken({ sub: '7', exp: soon(), jti: randomUUID() })}`;
    socket.write(`DELETE /v1/sessions/current HTTP/1.1\r\nHost: test\r\n${authorization}\r\n\r\n`);
    await until('it is answered', () => received.includes('\r\n\r\n'));
    expect(received).toMatch(/^HTTP\/1\.1 204 /);
    expect(received).not.toMatch(/content-length: [1-9]/i);
    received = '';
    socket.write('GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n');
    await until('the next is answered, or the connection has ended', () => received !== '' || isClosed);
    expect(received).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('needs a token', async () => {
    expect((await call(url, 'DELETE', '/v1/sessions/current')).status).toBe(401);
  });
});

describe('what a gateway says of people', () => {
  it('has no password and no token in its log, whatever goes wrong, nor any hash in its answers', async () => {
    // Everything it can say, in the form for people and in that of production.
    for (const settings of [{ LOG_LEVEL: 'silly' }, { LOG_LEVEL: 'silly', NODE_ENV: 'production' }]) {
      const target = new URL(inject('redisUrl'));
      const proxy = await startTcpProxy(target.hostname, Number(target.port));
      const proxied = new URL(target);
      proxied.port = String(proxy.port);
      const admin = { ADMIN_EMAIL: newEmail(), ADMIN_PASSWORD: `admin ${randomUUID()}` };
      const spawned = await spawnGateway({ ...settings, ...admin, REDIS_URL: proxied.href });
      const [password, wrong] = [`right ${randomUUID()}`, `wrong ${randomUUID()}`];
      const person = await signUp(spawned.url, { password });
      const token = await tokenFor(spawned.url, person);
      const answers: unknown[] = [
        await call(spawned.url, 'POST', '/v1/users', { body: { email: 'nobody', password, name: 7 } }),
        await call(spawned.url, 'POST', '/v1/users', { body: { ...person, password: wrong } }),
        await logIn(spawned.url, person.email, wrong),
        await logIn(spawned.url, person.email, `${wrong}${'x'.repeat(300)}`),
        await callWith(spawned.url, token),
        await callWith(spawned.url, `${token}x`),
        await call(spawned.url, 'GET', `/v1/ws?access_token=${token}`),
        await logIn(spawned.url, admin.ADMIN_EMAIL, admin.ADMIN_PASSWORD).then(({ status }) => status),
      ];
      const socket = await openSocket(spawned.url, person.userId, { token });
      socket.send({ type: 'nonsense', password, token });
      await socket.message('error');
      proxy.cut();
      answers.push(await logIn(spawned.url, person.email, password), await callWith(spawned.url, token, 'DELETE'));
      proxy.restore();
      await until('it serves again', async () => (await call(spawned.url, 'GET', '/readyz')).status === 200);
      answers.push(await callWith(spawned.url, token, 'DELETE', '/v1/sessions/current'), socket.messages);
      socket.close();
      await spawned.stop();
      await proxy.close();

      const output = spawned.output();
      expect(output).toMatch(/listening/);
      expect(output).toMatch(/stopped/);
      const [hash] = (await storedUsers(person.email)).map((user) => user.password_hash);
      const secrets = [password, wrong, token, token.split('.')[2]!, hash!, admin.ADMIN_PASSWORD];
      for (const secret of [...secrets, testEnvironment()['JWT_SECRET']!]) expect(output).not.toContain(secret);
      const told = JSON.stringify(answers);
      for (const secret of secrets) expect(told).not.toContain(secret);
    }
  });
});

describe('the first admin', () => {
  const credentials = (): Person => ({ userId: 0, email: newEmail(), password: `admin ${randomUUID()}` });
  const settingsOf = ({ email, password }: Person) => ({ ADMIN_EMAIL: email, ADMIN_PASSWORD: password });

  it('is made at start, may do what admins may, and is not made again', async () => {
    const admin = credentials();
    const first = await startGateway(settingsOf(admin));
    const token = await tokenFor(first.url, admin);
    const headers = { authorization: `Bearer ${token}` };
    const event = await call(first.url, 'POST', '/v1/events', { headers, body: { name: 'By the first admin' } });
    expect(event.status).toBe(201);
    await first.stop();
    const before = await storedUsers(admin.email);
    expect(before).toMatchObject([{ role: 'admin' }]);

    const second = await startGateway(settingsOf(admin));
    onTestFinished(() => second.stop());
    expect(await storedUsers(admin.email)).toEqual(before);
    expect((await logIn(second.url, admin.email, admin.password)).body.role).toBe('admin');
  });

  it('is made once by gateways that start at the same time', async () => {
    const admin = credentials();
    const gateways = await Promise.all([1, 2, 3].map(() => startGateway(settingsOf(admin))));
    onTestFinished(async () => {
      await Promise.all(gateways.map((each) => each.stop()));
    });
    expect(await storedUsers(admin.email)).toMatchObject([{ role: 'admin' }]);
    for (const each of gateways) expect((await logIn(each.url, admin.email, admin.password)).body.role).toBe('admin');
  });

  it('keeps a password that was set later by other means', async () => {
    const admin = credentials();
    await (await startGateway(settingsOf(admin))).stop();
    const second = await startGateway({ ...settingsOf(admin), ADMIN_PASSWORD: 'another password' });
    onTestFinished(() => second.stop());
    expect((await logIn(second.url, admin.email, admin.password)).status).toBe(201);
    expect((await logIn(second.url, admin.email, 'another password')).status).toBe(401);
  });

  it('is no stranger who had signed up with the address before: the password is the one of the configuration', async () => {
    const stranger = await signUp(url);
    const admin = { ...stranger, password: `admin ${randomUUID()}` };
    const started = await startGateway(settingsOf(admin));
    onTestFinished(() => started.stop());
    expect((await logIn(started.url, admin.email, stranger.password)).status).toBe(401);
    expect((await logIn(started.url, admin.email, admin.password)).body).toMatchObject({
      role: 'admin',
      userId: stranger.userId,
    });
    expect(await storedUsers(admin.email)).toHaveLength(1);
  });

  it('may be written with capitals and spaces in the configuration', async () => {
    const admin = credentials();
    const started = await startGateway({ ...settingsOf(admin), ADMIN_EMAIL: ` ${admin.email.toUpperCase()} ` });
    onTestFinished(() => started.stop());
    expect((await logIn(started.url, admin.email, admin.password)).body.role).toBe('admin');
  });

  it('is not made where the configuration names none', async () => {
    const count = async (): Promise<number> =>
      (await query("SELECT COUNT(*) AS count FROM users WHERE role = 'admin'"))[0]!['count'];
    const before = await count();
    await (await startGateway()).stop();
    expect(await count()).toBe(before);
    // No one gets the role by asking for it.
    const reply = await call(url, 'POST', '/v1/users', {
      body: { email: newEmail(), password: 'correct horse', role: 'admin' },
    });
    expect(reply.body.role).toBe('user');
    expect(await count()).toBe(before);
  });
});

it('a token of the tests is as good as one of a log-in: no row is needed', async () => {
  const userId = newUserId();
  expect((await callWith(url, tokenOf(userId))).body).toEqual({ balance: 0 });
});
