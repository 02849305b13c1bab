/** HTTP by hand: any bytes on a connection of their own, and everything that came back. */
import { connect } from 'node:net';

export interface RawOutcome {
  /** Of every answer on the connection, in order; 1xx left out. */
  readonly statuses: readonly number[];
  readonly text: string;
  /** How long the connection was open; null where the gateway had not ended it in time. */
  readonly endedAfterMs: number | null;
}

export interface RawOptions {
  /** Ends the wait once this many answers have come; otherwise the connection's end does. */
  readonly answers?: number;
  readonly timeoutMs?: number;
  /** Written again and again behind the bytes. */
  readonly drip?: { readonly bytes: string; readonly everyMs: number };
}

export function statusesOf(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 ([2-9]\d\d) /g)].map((match) => Number(match[1]));
}

/** Writes the bytes (latin1 where they are text) and reads until the connection ends, the answers are there, or time is up. */
export function sendRaw(url: string, bytes: string | Buffer, options: RawOptions = {}): Promise<RawOutcome> {
  const { answers = Number.POSITIVE_INFINITY, timeoutMs = 20_000, drip } = options;
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const startedAtMs = performance.now();
    let text = '';
    let isOurEnd = false;
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    const end = (): void => {
      isOurEnd = true;
      socket.destroy();
    };
    const timeout = setTimeout(end, timeoutMs);
    let dripping: NodeJS.Timeout | undefined;
    socket.on('connect', () => {
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
      if (drip !== undefined) dripping = setInterval(() => socket.write(drip.bytes, 'latin1'), drip.everyMs);
    });
    socket.on('data', (data) => {
      text += data.toString('latin1');
      if (statusesOf(text).length >= answers) end();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      clearTimeout(timeout);
      clearInterval(dripping);
      const endedAfterMs = isOurEnd ? null : performance.now() - startedAtMs;
      resolve({ statuses: statusesOf(text), text, endedAfterMs });
    });
  });
}

/** A request as it should be: head and body, its length told. */
export function requestText(line: string, headers: readonly string[], body = ''): string {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return `${line} HTTP/1.1\r\n${['Host: test', ...headers, ...length].join('\r\n')}\r\n\r\n${body}`;
}
