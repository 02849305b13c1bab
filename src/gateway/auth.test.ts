import { createSigner } from 'fast-jwt';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createAuthenticate, mintToken } from './auth.ts';

const secret = 'a-secret-of-the-tests-32-bytes-long!';
const authenticate = createAuthenticate(secret);
const inAnHour = Math.floor(Date.now() / 1000) + 3600;

function sign(claims: Readonly<Record<string, unknown>>, key = secret, algorithm: 'HS256' | 'HS512' = 'HS256'): string {
  return `Bearer ${createSigner({ key, algorithm })({ ...claims })}`;
}

afterEach(() => {
  vi.useRealTimers();
});

describe('a bearer token', () => {
  it('says who calls, the first time and after', () => {
    const token = mintToken(secret, 42, 'admin', 60);
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'Bearer']) {
      expect(authenticate(`${scheme} ${token}`)).toMatchObject({ userId: 42, role: 'admin' });
    }
  });

  it('of another provider needs no role', () => {
    expect(authenticate(sign({ sub: '7', exp: inAnHour }))).toMatchObject({ userId: 7, role: 'user' });
    expect(authenticate(sign({ sub: String(Number.MAX_SAFE_INTEGER), exp: inAnHour }))).not.toBeNull();
  });

  it('ends when it says so, also when it was good before', () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    const header = `Bearer ${mintToken(secret, 1, 'user', 60)}`;
    expect(authenticate(header)).not.toBeNull();
    vi.setSystemTime(Date.now() + 59_000);
    expect(authenticate(header)).not.toBeNull();
    vi.setSystemTime(Date.now() + 2000);
    expect(authenticate(header)).toBeNull();
    expect(authenticate(header)).toBeNull();
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['no token', 'Bearer '],
    ['no scheme', mintToken(secret, 1, 'user', 60)],
    ['another scheme', `Basic ${mintToken(secret, 1, 'user', 60)}`],
    ['another secret', sign({ sub: '1', exp: inAnHour }, 'another-secret-that-is-as-long-as-it!')],
    ['another algorithm', sign({ sub: '1', exp: inAnHour }, secret, 'HS512')],
    ['no signature', `Bearer ${btoa('{"alg":"none","typ":"JWT"}')}.${btoa(`{"sub":"1","exp":${inAnHour}}`)}.`],
    ['a changed body', tampered()],
    ['no user', sign({ exp: inAnHour })],
    ['no end', sign({ sub: '1' })],
    ['an end in the past', sign({ sub: '1', exp: inAnHour - 7200 })],
    ['user 0', sign({ sub: '0', exp: inAnHour })],
    ['a negative user', sign({ sub: '-1', exp: inAnHour })],
    ['a user that is no number', sign({ sub: '1e3', exp: inAnHour })],
    ['a user past the safe numbers', sign({ sub: '9007199254740993', exp: inAnHour })],
    ['a role that there is not', sign({ sub: '1', exp: inAnHour, role: 'root' })],
    ['more bytes than a token has', `Bearer ${'a'.repeat(5000)}`],
  ])('is refused: %s', (_, header) => {
    expect(authenticate(header)).toBeNull();
    expect(authenticate(header)).toBeNull();
  });
});

function tampered(): string {
  const [head, , signature] = mintToken(secret, 1, 'user', 60).split('.');
  const claims = Buffer.from(JSON.stringify({ sub: '1', role: 'admin', exp: inAnHour })).toString('base64url');
  return `Bearer ${head}.${claims}.${signature}`;
}
