import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createLogger, type Log, toggleLevel } from './logger.ts';

const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ';

/** What a log writes while `write` uses it. */
function written(isJson: boolean, write: (log: Log) => void, level = 'silly'): string {
  const stream = new PassThrough();
  write(createLogger(level, isJson, stream));
  return String(stream.read() ?? '');
}

describe.each([
  ['as JSON', true],
  ['for a terminal', false],
])('a log, %s,', (_name, isJson) => {
  it.each<readonly [string, string, Record<string, unknown>]>([
    ['a password in a URL', 'hunter2', { error: 'no answer from redis://default:hunter2@store:6379/0' }],
    ['one without a user', 'hunter2', { error: 'rediss://:hunter2@store' }],
    ['several in one text', 'hunter2', { urls: 'mysql://a:hunter2@one/x,mysql://b:hunter2@two/x' }],
    ['a bearer token', 'abc.def-ghi', { error: 'refused: Authorization: Bearer abc.def-ghi' }],
    ['one in small letters', 'abcdef', { header: 'bearer abcdef' }],
    ['a signed token in a text', jwt, { error: `ticket ${jwt} is not good` }],
    ['one cut off', 'eyJzdWIiOiIxIn0', { error: 'got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0' }],
    ['a token in a query', 'abcdef', { url: '/v1/ws?x=1&access_token=abcdef&y=2' }],
    ['a field named secret', 'hunter2', { jwtSecret: 'hunter2' }],
    ['a field named password', 'hunter2', { ADMIN_PASSWORD: 'hunter2' }],
    ['a field named token', '4711', { token: 4711 }],
    ['a field named authorization', 'hunter2', { headers: { Authorization: 'hunter2' } }],
    ['one deep inside', 'hunter2', { a: [{ b: { password: ['hunter2'] } }] }],
    ['one in an error', 'hunter2', { thrown: new Error('redis://default:hunter2@store') }],
  ])('masks %s', (_what, secret, fields) => {
    const text = written(isJson, (log) => log.error('it failed', fields));
    expect(text).toContain('it failed');
    expect(text).toContain('***');
    expect(text).not.toContain(secret);
  });

  it('masks what stands in the message', () => {
    const text = written(isJson, (log) => log.info(`redis://default:hunter2@store with ${jwt}`));
    expect(text).toContain('redis://default:***@store with ***');
    expect(text).not.toContain(jwt);
  });

  it('leaves alone what is no secret', () => {
    const fields = { url: 'redis://store:6379/0', at: '12:30@home', holds: 5, hasToken: true, password: null };
    const text = written(isJson, (log) => log.info('a user of user@example.org', fields));
    for (const part of ['redis://store:6379/0', '12:30@home', '5', 'user@example.org']) expect(text).toContain(part);
    expect(text).not.toContain('***');
  });

  it('does not change what it is given', () => {
    const fields = { password: 'hunter2', inner: { token: 'x' } };
    written(isJson, (log) => log.info('a line', fields));
    expect(fields).toEqual({ password: 'hunter2', inner: { token: 'x' } });
  });

  it('writes one line a call, however deep or large its fields are', () => {
    const circle: Record<string, unknown> = { list: Array.from({ length: 10_000 }, (_, i) => i) };
    circle['self'] = circle;
    const text = written(isJson, (log) => log.info('a line', { circle }));
    expect(text.trimEnd().split('\n')).toHaveLength(1);
    expect(text.length).toBeLessThan(10_000);
  });
});

it('a line in production is JSON with its level, message, time and fields', () => {
  const line = JSON.parse(written(true, (log) => log.warn('a store is away', { store: 'redis' })));
  expect(line).toEqual({ level: 'warn', message: 'a store is away', store: 'redis', timestamp: expect.any(String) });
  expect(Number.isNaN(Date.parse(line.timestamp))).toBe(false);
});

it.each([
  ['info', ['debug', 'info', 'debug']],
  ['debug', ['info', 'debug', 'info']],
  ['error', ['debug', 'error', 'debug']],
])('the level goes from %s to debug and back', (configured, levels) => {
  const stream = new PassThrough();
  const log = createLogger(configured, true, stream);
  for (const level of levels) {
    expect(toggleLevel(log, configured)).toBe(level);
    log.debug('a detail');
    expect(stream.read() !== null).toBe(level === 'debug');
  }
});
