/** The people of the account tests: each signs up, and calls from an address of its own, so that no test uses up another's attempts. */
import { createHmac, randomInt } from 'node:crypto';
import { request } from 'node:http';
import { expect } from 'vitest';
import { call, newUserId, type Reply, testSecret } from './harness.ts';

export interface Person {
  readonly userId: number;
  readonly email: string;
  readonly password: string;
}

/** An e-mail address nobody has. */
export function newEmail(): string {
  return `person-${newUserId()}@example.org`;
}

/** An address of this machine from which nobody has called. */
export function newAddress(): string {
  return `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`;
}

/** One HTTP call from a local address; JSON both ways, `token` as the bearer. */
export function callFrom(
  from: string,
  url: string,
  method: string,
  path: string,
  body?: unknown,
  token?: string,
): Promise<Reply> {
  const text = body === undefined ? '' : JSON.stringify(body);
  const headers = {
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
  };
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { method, headers, localAddress: from, agent: false }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const received = Buffer.concat(parts).toString();
        resolve({
          status: response.statusCode ?? 0,
          headers: new Headers(response.headers as Record<string, string>),
          body: received === '' ? null : JSON.parse(received),
        });
      });
    });
    sent.on('error', reject);
    sent.end(text);
  });
}

/** A new account. */
export async function signUp(url: string, fields: Readonly<Record<string, unknown>> = {}): Promise<Person> {
  const person = { email: newEmail(), password: `secret of ${newUserId()}`, ...fields };
  const reply = await call(url, 'POST', '/v1/users', { body: person });
  expect(reply).toMatchObject({ status: 201 });
  return { ...person, userId: reply.body.userId };
}

/** Tries to log in, from an address of its own unless one is given. */
export function logIn(url: string, email: string, password: string, from = newAddress()): Promise<Reply> {
  return callFrom(from, url, 'POST', '/v1/sessions', { email, password });
}

/** Logs in; returns the access token. */
export async function tokenFor(url: string, { email, password }: Person): Promise<string> {
  const reply = await logIn(url, email, password);
  expect(reply).toMatchObject({ status: 201 });
  return reply.body.accessToken;
}

/** A call with a token as it is. */
export function callWith(url: string, token: string, method = 'GET', path = '/v1/balance'): Promise<Reply> {
  return call(url, method, path, { headers: { authorization: `Bearer ${token}` } });
}

function base64url(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** A token as an outside provider makes it: whatever claims, signed by HMAC. */
export function outsideToken(claims: unknown, { alg = 'HS256', hash = 'sha256', secret = testSecret } = {}): string {
  const text = `${base64url({ alg, typ: 'JWT' })}.${base64url(claims)}`;
  return `${text}.${createHmac(hash, secret).update(text).digest('base64url')}`;
}
