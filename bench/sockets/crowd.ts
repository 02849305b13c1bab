/** Many WebSockets that are told their positions: counts what each of them gets. */
import type { Headers, Target } from '../load/connection.ts';
import { WebSocketClient, type WebSocketListener } from '../load/web-socket.ts';

export interface CrowdOptions {
  readonly target: Target;
  readonly path: string;
  readonly size: number;
  readonly headersOf: (index: number) => Headers;
  /** What a socket sends once it is open; empty for nothing. */
  readonly greetingOf: (index: number) => string;
  readonly onOpened: () => void;
}

/** What came in since `recount`. */
export interface Received {
  /** Positions that the socket with the most of them got: the ticks there were. */
  readonly ticks: number;
  readonly frames: number;
  /** Ticks that sockets were not told of. */
  readonly missing: number;
  /** Positions greater than the one before. */
  readonly grown: number;
  /** Text of a frame, on average. */
  readonly frameBytes: number;
}

/** Sockets that are being opened at once: past a listener's queue of new connections they wait a second for the next try. */
const openingMax = 200;
/** Nothing comes in for so long: a tick is over, or has not begun. */
const quietMs = 100;
/** Ticks are a second apart; on a busy machine they may be late. */
const tickMsMax = 3000;
const startMsMax = 10_000;

const colon = ':'.charCodeAt(0);
const zero = '0'.charCodeAt(0);
const kindAt = '{"type":"queue.'.length;
const positionKind = 'p'.charCodeAt(0);
/** `type`, `performanceId` and `number` come before `position`; none of their values has a colon. */
const positionColon = 4;

/** The position in a frame `queue.position`; 0 in any other. */
function positionIn(buffer: Buffer, start: number, end: number): number {
  if (buffer[start + kindAt] !== positionKind) return 0;
  let at = start;
  for (let colons = 0; at < end && colons < positionColon; at++) if (buffer[at] === colon) colons++;
  let position = 0;
  for (; at < end; at++) {
    const digit = buffer[at]! - zero;
    if (digit < 0 || digit > 9) break;
    position = position * 10 + digit;
  }
  return position;
}

export class Crowd implements WebSocketListener {
  readonly size: number;
  readonly #clients: WebSocketClient[] = [];
  readonly #framesOf: Uint32Array;
  readonly #positionOf: Uint32Array;
  #frames = 0;
  #bytes = 0;
  #grown = 0;
  /** The first thing that must not be. */
  #fault: string | null = null;

  private constructor(size: number) {
    this.size = size;
    this.#framesOf = new Uint32Array(size);
    this.#positionOf = new Uint32Array(size);
  }

  /** Opens all of them. Rejects with the first one's error and closes the others. */
  static async open(options: CrowdOptions): Promise<Crowd> {
    const { target, path, size, headersOf, greetingOf, onOpened } = options;
    const crowd = new Crowd(size);
    let next = 0;
    const openSome = async (): Promise<void> => {
      while (next < size) {
        const index = next++;
        const headers = headersOf(index);
        const client = await WebSocketClient.open({ target, path, headers, index, listener: crowd });
        crowd.#clients.push(client);
        const greeting = greetingOf(index);
        if (greeting !== '') client.send(greeting);
        onOpened();
      }
    };
    try {
      await Promise.all(Array.from({ length: Math.min(openingMax, size) }, openSome));
    } catch (thrown) {
      next = size;
      crowd.close();
      throw thrown;
    }
    return crowd;
  }

  onText(index: number, buffer: Buffer, start: number, end: number): void {
    const position = positionIn(buffer, start, end);
    if (position === 0) {
      this.#fault ??= `socket ${index} was told ${buffer.toString('utf8', start, end)}`;
      return;
    }
    const before = this.#positionOf[index]!;
    if (before > 0 && position > before) this.#grown++;
    this.#positionOf[index] = position;
    this.#framesOf[index]!++;
    this.#frames++;
    this.#bytes += end - start;
  }

  onClose(index: number, reason: string): void {
    this.#fault ??= `socket ${index}: ${reason}`;
  }

  /** Sends a message over the first of them. */
  send(text: string): void {
    this.#clients[0]?.send(text);
  }

  /** Counts from 0 again; the positions are remembered. */
  recount(): void {
    this.#framesOf.fill(0);
    this.#frames = 0;
    this.#bytes = 0;
    this.#grown = 0;
  }

  /**
   * Resolves between two ticks, when all sockets together have got what `ticks` ticks bring since `recount`. Rejects when
   * that takes too long, when a socket is told something else, and when one is closed.
   */
  async ticked(ticks: number): Promise<Received> {
    const endMs = performance.now() + startMsMax + ticks * tickMsMax;
    for (;;) {
      const before = this.#frames;
      await new Promise((resolve) => setTimeout(resolve, quietMs));
      if (this.#fault !== null) throw new Error(this.#fault);
      if (this.#frames === before && before >= ticks * this.size) return this.#received();
      if (performance.now() > endMs) {
        throw new Error(
          `${this.#frames} frames of ${ticks * this.size} came in within ${startMsMax + ticks * tickMsMax} ms`,
        );
      }
    }
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  #received(): Received {
    const ticks = this.#framesOf.reduce((most, count) => Math.max(most, count), 0);
    const frames = this.#frames;
    const missing = ticks * this.size - frames;
    return { ticks, frames, missing, grown: this.#grown, frameBytes: this.#bytes / frames };
  }
}
