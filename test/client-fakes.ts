/** A network for tests of src/client that fails at will: a fetch and WebSockets that the test answers. */
import type { Connect, FetchInit, FetchLike, SocketEvent, SocketLike } from '../src/client/index.ts';

/** A request as the network has it. */
export interface Asked {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** `performance.now()`. */
  readonly atMs: number;
}

export interface Reply {
  readonly status: number;
  /** Sent as JSON; a text as it is. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** An answer, `lost` for a connection that breaks, `silent` for none until it is aborted. */
export type Reaction = Reply | 'lost' | 'silent';

export interface FakeNetwork {
  readonly fetch: FetchLike;
  readonly asked: Asked[];
}

/** Every request is answered by `react`. */
export function fakeNetwork(react: (asked: Asked, index: number) => Reaction): FakeNetwork {
  const asked: Asked[] = [];
  const fetch = (url: string, { method, headers, body, signal }: FetchInit) => {
    const { pathname, search } = new URL(url);
    const request = {
      method,
      path: pathname + search,
      headers,
      body: body === undefined ? undefined : JSON.parse(body),
      atMs: performance.now(),
    };
    asked.push(request);
    const reaction = react(request, asked.length - 1);
    if (reaction === 'silent') {
      return new Promise<never>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    }
    if (reaction === 'lost') return Promise.reject(new TypeError('fetch failed', { cause: new Error('ECONNRESET') }));
    const { status, body: value, headers: given = {} } = reaction;
    const text = typeof value === 'string' ? value : value === undefined ? '' : JSON.stringify(value);
    const response = { status, headers: { get: (name: string) => given[name] ?? null }, text: async () => text };
    return Promise.resolve(response);
  };
  return { fetch, asked };
}

/** An RFC 9457 answer. */
export function problemReply(status: number, code: string, more: Reply['headers'] & object = {}): Reply {
  const body = { type: `urn:fastpass:problem:${code}`, title: code, status, code, detail: `it is ${code}` };
  return { status, body, headers: more };
}

/** One WebSocket, of which the test is the other side. */
export class FakeSocket implements SocketLike {
  readonly url: string;
  readonly protocol: string;
  readonly sent: Record<string, unknown>[] = [];
  isClosed = false;
  readonly #listeners = new Map<string, (event: SocketEvent) => void>();

  constructor(url: string, protocol: string) {
    this.url = url;
    this.protocol = protocol;
  }

  addEventListener(type: string, listener: (event: SocketEvent) => void): void {
    this.#listeners.set(type, listener);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.isClosed = true;
  }

  /** The handshake is done. */
  accept(): void {
    this.#tell({ type: 'open' });
  }

  /** The handshake is refused, as Node tells it: without a close. */
  refuse(): void {
    this.#tell({ type: 'error' });
  }

  say(message: Readonly<Record<string, unknown>> | string): void {
    this.#tell({ type: 'message', data: typeof message === 'string' ? message : JSON.stringify(message) });
  }

  end(code: number, reason = ''): void {
    this.#tell({ type: 'close', code, reason });
  }

  /** What it was sent of one type. */
  of(type: string): Record<string, unknown>[] {
    return this.sent.filter((message) => message['type'] === type);
  }

  #tell(event: SocketEvent): void {
    this.#listeners.get(event.type)?.(event);
  }
}

export interface FakeSockets {
  readonly connect: Connect;
  /** In the order they were opened. */
  readonly opened: FakeSocket[];
}

export function fakeSockets(onOpened: (socket: FakeSocket, index: number) => void = () => {}): FakeSockets {
  const opened: FakeSocket[] = [];
  const connect: Connect = (url, protocol) => {
    const socket = new FakeSocket(url, protocol);
    opened.push(socket);
    onOpened(socket, opened.length - 1);
    return socket;
  };
  return { connect, opened };
}
