/**
 * One WebSocket that is opened again whenever it is lost.
 *
 *   closed -> connecting   open()
 *   connecting -> open     the handshake is done
 *   open -> connecting     lost: closed by the other side, or silent although pinged
 *   any -> closed          close(), a close code after which another try is no use, a token that has ended, or
 *                          `attemptsMax` tries in a row without a connection
 *
 * The waits between tries have full jitter below a limit that doubles up to `delayMsMax`. A connection that did not last
 * counts as a failed try: a gateway that drops everybody at once is not hammered.
 */
import { fullJitter } from './wait.ts';

/** What is used of a WebSocket. */
export interface SocketLike {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'open' | 'message' | 'close' | 'error', listener: (event: SocketEvent) => void): void;
}

/** What is used of its events. */
export interface SocketEvent {
  readonly type: string;
  /** Of `message`. */
  readonly data?: unknown;
  /** Of `close`. */
  readonly code?: number;
  readonly reason?: string;
}

/** Opens a WebSocket of one subprotocol; throws where the platform has none, or forbids the URL. */
export type Connect = (url: string, protocol: string) => SocketLike;

export interface LinkState {
  readonly state: 'connecting' | 'open' | 'closed';
  /** Tries in a row that came to nothing. */
  readonly failures: number;
  /** What ended the connection before: a WebSocket close code, 1006 for none, 0 where there was none to end. */
  readonly code: number;
  readonly reason: string;
}

export interface LinkOptions {
  /** In a row; no limit by default: people leave a page open over night. */
  readonly attemptsMax?: number;
  /** The first wait is anywhere below it; 1000 by default. */
  readonly delayMs?: number;
  /** 15,000 by default. */
  readonly delayMsMax?: number;
  /** For a handshake; 10,000 by default. */
  readonly connectMsMax?: number;
  /** After so long without a frame a ping is sent; 25,000 by default. */
  readonly pingIntervalMs?: number;
  /** Nothing so long after a ping: the connection is dead; 10,000 by default. */
  readonly pongMsMax?: number;
}

export interface LinkEvents {
  readonly connect: Connect;
  /** Asked before every try: the token may be another one by then. */
  readonly urlOf: () => string;
  /** Whether another try may help after a refused handshake, or close code 1008. */
  readonly mayReconnect: () => Promise<boolean>;
  readonly onState: (state: LinkState) => void;
  readonly onFrame: (text: string) => void;
}

const subprotocol = 'fastpass.v1.json';
const defaults: Required<LinkOptions> = {
  attemptsMax: Number.POSITIVE_INFINITY,
  delayMs: 1000,
  delayMsMax: 15_000,
  connectMsMax: 10_000,
  pingIntervalMs: 25_000,
  pongMsMax: 10_000,
};
const CloseCode = { normal: 1000, abnormal: 1006, policy: 1008 } as const;
/** We broke the protocol, by the other side's word: 1002, 1003, 1007, 1009, 1010. Another try would do the same. */
const finalCodes: ReadonlySet<number> = new Set([1002, 1003, 1007, 1009, 1010]);
/** A connection that lasted for so long was a good one. */
const stableMs = 5000;

type Timer = ReturnType<typeof setTimeout>;

export class Link {
  readonly #options: Required<LinkOptions>;
  readonly #events: LinkEvents;
  #state: LinkState = { state: 'closed', failures: 0, code: 0, reason: '' };
  /** Null between two tries, and when closed. */
  #socket: SocketLike | null = null;
  #openedAtMs = 0;
  #heardAtMs = 0;
  /** The one wait there is: for the handshake, the next try, the next ping, the pong. */
  #timer: Timer | undefined;

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = { ...defaults, ...options };
    this.#events = events;
  }

  get state(): LinkState['state'] {
    return this.#state.state;
  }

  /** Connects, and stays connected; nothing happens when it does so already. */
  open(): void {
    if (this.state !== 'closed') return;
    const opening = this.#become('connecting', 0, 0, '');
    // Whoever is told may have closed it again.
    if (this.#state === opening) this.#connect();
  }

  /** For good, until it is opened again. */
  close(): void {
    if (this.state !== 'closed') this.#end(CloseCode.normal, 'closed by its owner');
  }

  /** False when there is no connection to send it over. */
  send(message: Readonly<Record<string, unknown>>): boolean {
    if (this.state !== 'open' || this.#socket === null) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  #become(state: LinkState['state'], failures: number, code: number, reason: string): LinkState {
    const now = { state, failures, code, reason };
    this.#state = now;
    this.#events.onState(now);
    return now;
  }

  #after(delayMs: number, callback: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(callback, delayMs);
  }

  #connect(): void {
    const { connect, urlOf, onFrame } = this.#events;
    let socket: SocketLike;
    try {
      socket = connect(urlOf(), subprotocol);
    } catch (thrown) {
      return this.#end(CloseCode.abnormal, thrown instanceof Error ? thrown.message : String(thrown));
    }
    this.#socket = socket;
    const on = (type: 'open' | 'message' | 'close' | 'error', onEvent: (event: SocketEvent) => void): void =>
      socket.addEventListener(type, (event) => {
        // What a socket that was given up still says comes too late.
        if (this.#socket === socket) onEvent(event);
      });
    on('open', () => this.#onOpen());
    on('message', ({ data }) => {
      this.#heardAtMs = performance.now();
      if (typeof data === 'string') onFrame(data);
    });
    on('close', ({ code = CloseCode.abnormal, reason = '' }) => this.#lost(code, reason));
    // Node tells of a refused handshake by this alone; browsers say `close` too, always.
    on('error', () => {
      if (this.state === 'connecting') this.#lost(CloseCode.abnormal, 'no connection');
    });
    this.#after(this.#options.connectMsMax, () => this.#lost(CloseCode.abnormal, 'no answer to the handshake'));
  }

  #onOpen(): void {
    this.#openedAtMs = performance.now();
    this.#heardAtMs = this.#openedAtMs;
    this.#pingLater();
    this.#become('open', this.#state.failures, 0, '');
  }

  /** Browsers do not tell of a network that is gone, and send no pings of their own. */
  #pingLater(): void {
    const { pingIntervalMs, pongMsMax } = this.#options;
    this.#after(pingIntervalMs, () => {
      const pingedAtMs = performance.now();
      if (pingedAtMs - this.#heardAtMs < pingIntervalMs) return this.#pingLater();
      this.send({ type: 'ping' });
      this.#after(pongMsMax, () => {
        if (this.#heardAtMs >= pingedAtMs) this.#pingLater();
        else this.#lost(CloseCode.abnormal, 'no answer to a ping');
      });
    });
  }

  #lost(code: number, reason: string): void {
    const wasOpen = this.state === 'open';
    const hasLasted = wasOpen && performance.now() - this.#openedAtMs >= stableMs;
    const failures = hasLasted ? 0 : this.#state.failures + 1;
    this.#drop();
    if (finalCodes.has(code) || failures >= this.#options.attemptsMax) return this.#end(code, reason);
    const lost = this.#become('connecting', failures, code, reason);
    if (this.#state !== lost) return;
    const { delayMs, delayMsMax } = this.#options;
    const retry = (): void => this.#after(fullJitter(failures, delayMs, delayMsMax), () => this.#connect());
    if (wasOpen && code !== CloseCode.policy) return retry();
    void this.#events.mayReconnect().then((mayReconnect) => {
      // Closed meanwhile, or opened anew.
      if (this.#state !== lost) return;
      if (mayReconnect) retry();
      else this.#end(CloseCode.policy, 'the token has ended');
    });
  }

  #drop(): void {
    clearTimeout(this.#timer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(CloseCode.normal);
  }

  #end(code: number, reason: string): void {
    this.#drop();
    this.#become('closed', this.#state.failures, code, reason);
  }
}
