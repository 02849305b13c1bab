import { expect, it } from 'vitest';
import { ownUrl } from './own-url.ts';

it.each([
  ['0.0.0.0', 'http://127.0.0.1:3000'],
  ['::', 'http://[::1]:3000'],
  ['127.0.0.1', 'http://127.0.0.1:3000'],
  ['192.0.2.7', 'http://192.0.2.7:3000'],
  ['::1', 'http://[::1]:3000'],
  ['2001:db8::7', 'http://[2001:db8::7]:3000'],
  ['localhost', 'http://localhost:3000'],
])('who listens on %s is reached at %s', (host, url) => {
  expect(ownUrl(host, 3000)).toBe(url);
  expect(new URL(url).port).toBe('3000');
});
