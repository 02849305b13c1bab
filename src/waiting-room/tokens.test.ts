import { hkdfSync } from 'node:crypto';
import { createSigner } from 'fast-jwt';
import { describe, expect, it } from 'vitest';
import { createAuthenticate, mintToken } from '../gateway/auth.ts';
import { QueueTokens } from './tokens.ts';

const secret = 'a-secret-of-the-tests-32-bytes-long!';
const tokens = new QueueTokens(secret);
const place = { performanceId: 3, userId: 41, arrival: 7 };
const pass = { performanceId: 3, userId: 41, number: 7 };
const largest = Number.MAX_SAFE_INTEGER;

/** A token of any claims under the key of a kind. */
function forge(kind: string, claims: Readonly<Record<string, unknown>>, algorithm: 'HS256' | 'HS512' = 'HS256') {
  const key = Buffer.from(hkdfSync('sha256', secret, '', `fastpass ${kind}`, 32));
  return createSigner({ key, algorithm, noTimestamp: true })({ ...claims });
}

/** The token with its claims or its head replaced, the signature as it was. */
function tampered(token: string, part: 0 | 1, text: string): string {
  const parts = token.split('.');
  parts[part] = Buffer.from(text).toString('base64url');
  return parts.join('.');
}

describe('a ticket', () => {
  it('says whose place it is', () => {
    expect(tokens.readTicket(tokens.signTicket(place))).toEqual(place);
    const huge = { performanceId: largest, userId: largest, arrival: largest };
    expect(tokens.readTicket(tokens.signTicket(huge))).toEqual(huge);
  });

  it('of a place is the same always, from every gateway that has the secret', () => {
    const ticket = tokens.signTicket(place);
    expect(tokens.signTicket({ ...place })).toBe(ticket);
    expect(new QueueTokens(secret).signTicket(place)).toBe(ticket);
  });

  it('of another place is another one', () => {
    const tickets = [
      place,
      { ...place, arrival: 8 },
      { ...place, userId: 42 },
      { ...place, performanceId: 4 },
      { performanceId: 41, userId: 3, arrival: 7 },
    ].map((each) => tokens.signTicket(each));
    expect(new Set(tickets).size).toBe(5);
  });

  it('is short enough for a header, whatever the numbers', () => {
    const huge = { performanceId: largest, userId: largest, arrival: largest };
    expect(tokens.signTicket(huge).length).toBeLessThan(200);
    expect(tokens.signTicket(place)).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['no token', 'ticket'],
    ['of another secret', new QueueTokens(`${secret}!`).signTicket(place)],
    ['an access token', mintToken(secret, 41, 'user', 60)],
    ['signed with the secret itself', createSigner({ key: secret, algorithm: 'HS256' })({ p: 3, u: 41, n: 7 })],
    ['another place under its signature', tampered(tokens.signTicket(place), 1, '{"p":3,"u":41,"n":1}')],
    ['without a signature', `${btoa('{"alg":"none","typ":"JWT"}')}.${btoa('{"p":3,"u":41,"n":7}')}.`],
    ['with another head', tampered(tokens.signTicket(place), 0, '{"alg":"none","typ":"JWT"}')],
    ['without the last character', tokens.signTicket(place).slice(0, -1)],
    ['with another signature', `${tokens.signTicket(place).slice(0, -4)}AAAA`],
    ['of another algorithm', forge('queue ticket', { p: 3, u: 41, n: 7 }, 'HS512')],
    ['longer than one is', `${tokens.signTicket(place)}${'a'.repeat(600)}`],
    ['without a number', forge('queue ticket', { p: 3, u: 41 })],
    ['of user 0', forge('queue ticket', { p: 3, u: 0, n: 7 })],
    ['of a number below 1', forge('queue ticket', { p: 3, u: 41, n: -7 })],
    ['of half a number', forge('queue ticket', { p: 3, u: 41, n: 7.5 })],
    ['of a number past the safe ones', forge('queue ticket', { p: 3, u: 41, n: 2 ** 53 })],
    ['of a number as text', forge('queue ticket', { p: 3, u: '41', n: 7 })],
    ['of no object', forge('queue ticket', [] as unknown as Record<string, unknown>)],
  ])('is refused: %s', (_, token) => {
    expect(tokens.readTicket(token)).toBeNull();
    expect(tokens.passNumber(token, 3, 41)).toBe(token === '' ? 0 : -1);
  });

  it('made as ours are is taken: what is refused above is refused for its fault alone', () => {
    expect(tokens.readTicket(forge('queue ticket', { p: 3, u: 41, n: 7 }))).toEqual(place);
    expect(tokens.passNumber(forge('queue pass', { p: 3, u: 41, n: 7 }), 3, 41)).toBe(7);
  });
});

describe('a pass', () => {
  it('gives its number to its user, for its performance', () => {
    const token = tokens.signPass(pass);
    expect(tokens.passNumber(token, 3, 41)).toBe(7);
    expect(new QueueTokens(secret).passNumber(token, 3, 41)).toBe(7);
    expect(tokens.signPass({ ...pass })).toBe(token);
  });

  it('that is none is 0; of another user, another performance, or a ticket, it is -1', () => {
    const token = tokens.signPass(pass);
    expect(tokens.passNumber('', 3, 41)).toBe(0);
    expect(tokens.passNumber(token, 3, 42)).toBe(-1);
    expect(tokens.passNumber(token, 4, 41)).toBe(-1);
    expect(tokens.passNumber(tokens.signTicket(place), 3, 41)).toBe(-1);
    expect(tokens.passNumber('pass', 3, 41)).toBe(-1);
    expect(tokens.passNumber(`${token}${'a'.repeat(600)}`, 3, 41)).toBe(-1);
  });

  it('is no ticket, though place and number are the same', () => {
    expect(tokens.readTicket(tokens.signPass(pass))).toBeNull();
    expect(tokens.signPass(pass)).not.toBe(tokens.signTicket(place));
  });
});

describe('an access token', () => {
  it('is neither a ticket nor a pass, and neither of them is one', () => {
    const authenticate = createAuthenticate(secret);
    for (const token of [tokens.signTicket(place), tokens.signPass(pass)]) {
      expect(authenticate(`Bearer ${token}`)).toBeNull();
    }
    const claims = { p: 3, u: 41, n: 7, sub: '41', role: 'admin', exp: Math.floor(Date.now() / 1000) + 3600 };
    for (const kind of ['queue ticket', 'queue pass']) {
      expect(authenticate(`Bearer ${forge(kind, claims)}`)).toBeNull();
    }
    const access = createSigner({ key: secret, algorithm: 'HS256' })(claims);
    expect(authenticate(`Bearer ${access}`)).toMatchObject({ userId: 41 });
    expect(tokens.readTicket(access)).toBeNull();
    expect(tokens.passNumber(access, 3, 41)).toBe(-1);
  });
});
