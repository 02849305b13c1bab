/**
 * A keep-alive connection for one request at a time. The load generator shares the machine with what it measures:
 * plain sockets cost a tenth of what fetch does.
 */
import { connect, type Socket } from 'node:net';
import { type Answer, ResponseReader } from './response.ts';

export type Headers = Readonly<Record<string, string>>;

/** Where a server listens. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

const connectTimeoutMs = 5000;
const answerTimeoutMs = 10_000;

/** `http://host:port` -> where to connect. Throws an Error for any other kind of URL. */
export function targetOf(url: string): Target {
  if (!URL.canParse(url)) throw new Error(`not a URL: ${url}`);
  const { protocol, hostname, port, pathname, search } = new URL(url);
  if (protocol !== 'http:') throw new Error(`only http:// URLs, not ${protocol}//`);
  if (pathname !== '/' || search !== '') throw new Error(`a URL without a path, not ${pathname}${search}`);
  return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || 80) };
}

/** The head of a request up to its content-length, to be made once where many requests share it. */
export function headText(method: string, target: Target, path: string, headers: Headers): string {
  let text = `${method} ${path} HTTP/1.1\r\nhost: ${target.host}:${target.port}\r\n`;
  for (const [name, value] of Object.entries(headers)) text += `${name}: ${value}\r\n`;
  return text;
}

/** A whole request from a head of `headText` and a body; an empty body for none. */
export function requestText(head: string, body: string): string {
  return body === '' ? `${head}\r\n` : `${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

interface Pending {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (reason: Error) => void;
}

export class Connection {
  readonly #target: Target;
  readonly #socket: Socket;
  readonly #reader = new ResponseReader();
  #pending: Pending | null = null;
  #isOpen = true;

  private constructor(target: Target, socket: Socket) {
    this.#target = target;
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setTimeout(answerTimeoutMs, () => {
      if (this.#pending !== null) this.#end(new Error(`no answer within ${answerTimeoutMs} ms`));
    });
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the server closed the connection')));
  }

  /** Connects. Rejects with the socket's error, or after five seconds. */
  static open(target: Target): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(target.port, target.host);
      const limit = setTimeout(() => {
        socket.destroy();
        reject(new Error(`no connection to ${target.host}:${target.port} within ${connectTimeoutMs} ms`));
      }, connectTimeoutMs);
      socket.once('error', (error) => {
        clearTimeout(limit);
        reject(error);
      });
      socket.once('connect', () => {
        clearTimeout(limit);
        socket.removeAllListeners('error');
        resolve(new Connection(target, socket));
      });
    });
  }

  /** False once either side has closed it. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** One request; an empty body for none. Rejects when the connection ends first or after ten silent seconds. */
  request(method: string, path: string, headers: Headers, body: string): Promise<Answer> {
    return this.send(requestText(headText(method, this.#target, path, headers), body));
  }

  /** The same with the text of `requestText`. Throws when another request is under way. */
  send(text: string): Promise<Answer> {
    if (this.#pending !== null) throw new Error('one request at a time');
    if (!this.#isOpen) return Promise.reject(new Error('the connection is closed'));
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      this.#socket.write(text);
    });
  }

  /** Closes; a request under way is rejected. */
  close(): void {
    this.#end(new Error('closed'));
  }

  #onData(chunk: Buffer): void {
    const pending = this.#pending;
    if (pending === null) return this.#end(new Error('an answer nobody asked for'));
    let answer: Answer | null;
    try {
      answer = this.#reader.push(chunk);
    } catch (thrown) {
      this.#end(thrown instanceof Error ? thrown : new Error(String(thrown)));
      return;
    }
    if (answer === null) return;
    this.#pending = null;
    if (answer.isLast) this.close();
    pending.resolve(answer);
  }

  #end(reason: Error): void {
    this.#isOpen = false;
    this.#socket.destroy();
    const pending = this.#pending;
    this.#pending = null;
    pending?.reject(reason);
  }
}
