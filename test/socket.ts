/** A WebSocket of a test: collects what it is sent, and waits for it by a condition. */
import { pack, Unpackr } from 'msgpackr';
import { WebSocket } from 'ws';
import type { Role } from '../src/domain/account.ts';
import { tokenOf } from './harness.ts';

export interface SocketOptions {
  readonly role?: Role;
  readonly protocols?: readonly string[];
  /** Instead of the user's own token; '' for none. */
  readonly token?: string;
  /** Behind the path, without the question mark. */
  readonly query?: string;
}

// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever field it asserts on
export type Message = any;

const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });

export class TestSocket {
  readonly messages: Message[] = [];
  /** When each of `messages` came, by `performance.now()`. */
  readonly times: number[] = [];
  /** Whether each of `messages` came in a binary frame. */
  readonly binary: boolean[] = [];
  closed: { readonly code: number; readonly reason: string } | null = null;
  readonly raw: WebSocket;
  #changed: (() => void)[] = [];

  constructor(raw: WebSocket) {
    this.raw = raw;
    raw.on('message', (data: Buffer, isBinary) => {
      this.messages.push(isBinary ? unpackr.unpack(data) : JSON.parse(data.toString()));
      this.times.push(performance.now());
      this.binary.push(isBinary);
      this.#wake();
    });
    raw.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.#wake();
    });
    raw.on('error', () => this.#wake());
  }

  #wake(): void {
    for (const resolve of this.#changed.splice(0)) resolve();
  }

  /** All messages of a type so far. */
  of(type: string): Message[] {
    return this.messages.filter((message) => message.type === type);
  }

  send(message: unknown): void {
    this.raw.send(JSON.stringify(message));
  }

  /** As msgpack in a binary frame. */
  sendPacked(message: unknown): void {
    this.raw.send(pack(message));
  }

  /** Resolves with what `find` finds, now or later; rejects after `timeoutMs` or when the socket closes without it. */
  async until<Found>(what: string, find: (socket: TestSocket) => Found | undefined | null | false, timeoutMs = 10_000) {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const found = find(this);
      if (found !== undefined && found !== null && found !== false) return found;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) {
        throw new Error(
          `not within ${timeoutMs} ms: ${what}; got ${JSON.stringify(this.messages.slice(-5))} ${this.closed?.code ?? ''}`,
        );
      }
      await new Promise<void>((resolve) => {
        const timeout = setTimeout(resolve, leftMs);
        this.#changed.push(() => {
          clearTimeout(timeout);
          resolve();
        });
      });
    }
  }

  /** The first message of a type that fits, now or later. */
  message(type: string, fits: (message: Message) => boolean = () => true, timeoutMs = 10_000): Promise<Message> {
    return this.until(
      `a message ${type}`,
      () => this.messages.find((each) => each.type === type && fits(each)),
      timeoutMs,
    );
  }

  /** Its close code. */
  async closeCode(timeoutMs = 10_000): Promise<number> {
    return (await this.until('the socket closes', () => this.closed, timeoutMs)).code;
  }

  close(): void {
    this.raw.terminate();
  }
}

/** Opens `/v1/ws` for a user; rejects with the HTTP status where the upgrade is refused. */
export function openSocket(url: string, userId: number, options: SocketOptions = {}): Promise<TestSocket> {
  const { role = 'user', protocols = [], token = tokenOf(userId, role), query = '' } = options;
  const raw = new WebSocket(`${url.replace('http', 'ws')}/v1/ws${query && `?${query}`}`, [...protocols], {
    headers: token === '' ? {} : { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
  });
  const socket = new TestSocket(raw);
  return new Promise((resolve, reject) => {
    raw.once('open', () => resolve(socket));
    raw.once('unexpected-response', (_, response) => reject(new Error(`status ${response.statusCode}`)));
    raw.once('error', reject);
  });
}
