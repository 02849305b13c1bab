/** `k6/crypto`. */
import { createHmac } from 'node:crypto';

/** The HMAC of a text, in base64url without the padding. */
export function hmac(algorithm: string, secret: string, data: string, encoding: string): string {
  if (algorithm !== 'sha256' || encoding !== 'base64rawurl') throw new Error(`no hmac of ${algorithm} as ${encoding}`);
  return createHmac('sha256', secret).update(data).digest('base64url');
}
