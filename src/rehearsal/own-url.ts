/** Where a gateway reaches itself, given what it listens on. */
import { isIPv6 } from 'node:net';

/** Every address of the machine is also its own loopback; one address alone is not. */
const loopbackOf: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

export function ownUrl(host: string, port: number): string {
  const own = loopbackOf[host] ?? host;
  return `http://${isIPv6(own) ? `[${own}]` : own}:${port}`;
}
