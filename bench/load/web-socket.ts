/**
 * A WebSocket client for load, on plain sockets: a process holds thousands of them and shares the machine with what it
 * measures. All of them read into one buffer, and a message is told as a place in it; nothing is allocated for a frame.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { type Headers, headText, type Target } from './connection.ts';

/** Told of every socket by its index. */
export interface WebSocketListener {
  /** One text message: bytes `start` to `end` of a buffer that is written over after the call. */
  onText(index: number, buffer: Buffer, start: number, end: number): void;
  /** An open socket has ended, and not by our `close`. */
  onClose(index: number, reason: string): void;
}

export interface WebSocketOptions {
  readonly target: Target;
  readonly path: string;
  readonly headers: Headers;
  readonly index: number;
  readonly listener: WebSocketListener;
}

const openTimeoutMs = 20_000;
const receivedBytesMax = 64 * 1024;
/** A longer one would need the third form of a frame's length, which no message here has. */
const payloadBytesMax = 0xffff;
const opcodes = { text: 1, close: 8, ping: 9, pong: 10 } as const;
const headEnd = Buffer.from('\r\n\r\n');
const received = Buffer.alloc(receivedBytesMax);

/** A frame as a client sends it: whole, and masked. Throws an Error for a payload over 64 KiB. */
export function maskedFrame(opcode: number, payload: Buffer): Buffer {
  if (payload.length > payloadBytesMax) throw new Error(`a payload of ${payload.length} bytes`);
  const isShort = payload.length < 126;
  const maskAt = isShort ? 2 : 4;
  const frame = Buffer.allocUnsafe(maskAt + 4 + payload.length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (isShort ? payload.length : 126);
  if (!isShort) frame.writeUInt16BE(payload.length, 2);
  randomBytes(4).copy(frame, maskAt);
  for (let i = 0; i < payload.length; i++) frame[maskAt + 4 + i] = payload[i]! ^ frame[maskAt + (i & 3)]!;
  return frame;
}

export class WebSocketClient {
  readonly #index: number;
  readonly #listener: WebSocketListener;
  readonly #socket: Socket;
  /** Until it is open, or has failed to. */
  #opening: { resolve(client: WebSocketClient): void; reject(reason: Error): void; limit: NodeJS.Timeout } | null =
    null;
  /** The beginning of something whose end has not come in yet. */
  #rest: Buffer | null = null;
  #isEnded = false;

  private constructor({ target, path, headers, index, listener }: WebSocketOptions) {
    this.#index = index;
    this.#listener = listener;
    const onBytes = (count: number): boolean => this.#onBytes(count);
    this.#socket = connect({ ...target, noDelay: true, onread: { buffer: received, callback: onBytes } });
    const upgrade = {
      ...headers,
      upgrade: 'websocket',
      connection: 'Upgrade',
      'sec-websocket-version': '13',
      'sec-websocket-key': randomBytes(16).toString('base64'),
    };
    this.#socket.write(`${headText('GET', target, path, upgrade)}\r\n`);
    this.#socket.on('error', (error) => this.#end(error.message));
    this.#socket.on('close', () => this.#end('the server closed the connection'));
  }

  /** Opens one. Rejects with the answer where the upgrade is refused, and after twenty seconds. */
  static open(options: WebSocketOptions): Promise<WebSocketClient> {
    return new Promise((resolve, reject) => {
      const client = new WebSocketClient(options);
      const limit = setTimeout(() => client.#end(`not open within ${openTimeoutMs} ms`), openTimeoutMs);
      client.#opening = { resolve, reject, limit };
    });
  }

  /** Sends a text message. */
  send(text: string): void {
    this.#socket.write(maskedFrame(opcodes.text, Buffer.from(text)));
  }

  /** Ends it without a word; the listener hears nothing more. */
  close(): void {
    this.#isEnded = true;
    this.#socket.destroy();
  }

  #end(reason: string): void {
    if (this.#isEnded) return;
    this.close();
    const opening = this.#opening;
    if (opening === null) return this.#listener.onClose(this.#index, reason);
    clearTimeout(opening.limit);
    opening.reject(new Error(reason));
  }

  /** `count` bytes have come in; they stand at the beginning of `received`. */
  #onBytes(count: number): boolean {
    let bytes = received;
    let end = count;
    if (this.#rest !== null) {
      bytes = Buffer.concat([this.#rest, received.subarray(0, count)]);
      end = bytes.length;
      this.#rest = null;
    }
    let start = 0;
    while (start < end && !this.#isEnded) {
      const next = this.#opening === null ? this.#readFrame(bytes, start, end) : this.#readHead(bytes, end);
      if (next === start) break;
      start = next;
    }
    if (start < end) this.#rest = Buffer.from(bytes.subarray(start, end));
    return true;
  }

  /** Reads the answer to the upgrade; returns where it ends, 0 while it is not complete. */
  #readHead(bytes: Buffer, end: number): number {
    const headBytes = bytes.subarray(0, end).indexOf(headEnd);
    if (headBytes < 0) return 0;
    const head = bytes.toString('latin1', 0, end);
    if (!head.startsWith('HTTP/1.1 101 ')) {
      this.#end(`the upgrade was answered: ${head}`);
      return end;
    }
    const opening = this.#opening!;
    this.#opening = null;
    clearTimeout(opening.limit);
    opening.resolve(this);
    return headBytes + headEnd.length;
  }

  /** Reads one frame; returns where it ends, `start` while it is not complete. */
  #readFrame(bytes: Buffer, start: number, end: number): number {
    if (end - start < 2) return start;
    const length = bytes[start + 1]!;
    if (length < 126) return this.#onFrame(bytes, start, start + 2, length, end);
    if (length > 126) {
      this.#end('a frame that is masked, or longer than 64 KiB');
      return end;
    }
    if (end - start < 4) return start;
    return this.#onFrame(bytes, start, start + 4, bytes.readUInt16BE(start + 2), end);
  }

  #onFrame(bytes: Buffer, start: number, payloadStart: number, length: number, end: number): number {
    const payloadEnd = payloadStart + length;
    if (payloadEnd > end) return start;
    // The highest bit says that the message is whole; without it this is no opcode.
    const opcode = bytes[start]! ^ 0x80;
    if (opcode === opcodes.text) this.#listener.onText(this.#index, bytes, payloadStart, payloadEnd);
    else if (opcode === opcodes.ping) {
      this.#socket.write(maskedFrame(opcodes.pong, bytes.subarray(payloadStart, payloadEnd)));
    } else if (opcode === opcodes.close) {
      const code = length >= 2 ? bytes.readUInt16BE(payloadStart) : 1005;
      this.#end(`closed with ${code} ${bytes.toString('utf8', payloadStart + 2, payloadEnd)}`);
    } else if (opcode !== opcodes.pong) this.#end(`a frame of another kind: ${bytes[start]}`);
    return payloadEnd;
  }
}
