/** One WebSocket and what it watches: writes frames, and ends with 1013 when its client does not read them. */
import type { WebSocket } from 'uWebSockets.js';
import type { Code } from '../domain/codes.ts';
import type { SeatStatus } from '../domain/reservation.ts';
import type { Watcher } from '../waiting-room/watch.ts';
import type { Identity } from './auth.ts';
import type { Responder } from './dispatch.ts';
import { writeMessage } from './socket-messages.ts';

export const CloseCode = { goingAway: 1001, invalidPayload: 1007, policy: 1008, tryAgainLater: 1013 } as const;

/** Not read yet by the client; past it the socket ends. */
export const backpressureBytesMax = 64 * 1024;

type SeatChanges = readonly (readonly [number, SeatStatus])[];

// A change goes to everybody who watches the hall: its frame is written once a subprotocol, not once a socket.
let framesOf: SeatChanges | null = null;
let framesOfPerformance = 0;
let jsonFrame: string | Buffer = '';
let msgpackFrame: string | Buffer = '';

function seatFrame(performanceId: number, changes: SeatChanges, isMsgpack: boolean): string | Buffer {
  if (framesOf !== changes || framesOfPerformance !== performanceId) {
    framesOf = changes;
    framesOfPerformance = performanceId;
    const message = { type: 'seats.changed', performanceId, changes };
    jsonFrame = writeMessage(message, false);
    msgpackFrame = writeMessage(message, true);
  }
  return isMsgpack ? msgpackFrame : jsonFrame;
}

/** What uWebSockets.js keeps for a socket. It copies the fields of this object, so the client is one of them. */
export interface Attached {
  readonly client: Client;
}

/** One socket and what it watches. */
export class Client {
  readonly identity: Identity;
  readonly isMsgpack: boolean;
  /** By performance. */
  readonly watchers = new Map<number, Watcher>();
  readonly seats = new Set<number>();
  /** Requests under way: told when the socket goes. */
  readonly open = new Set<Responder>();
  strikes = 0;
  excess = 0;
  /** Messages it may send now. */
  allowance: number;
  filledAtMs: number;
  /** Null once it is closed: uWebSockets.js throws on a closed one. */
  socket: WebSocket<Attached> | null = null;
  readonly #counters: SocketCounters;

  constructor(identity: Identity, isMsgpack: boolean, nowMs: number, allowance: number, counters: SocketCounters) {
    this.identity = identity;
    this.isMsgpack = isMsgpack;
    this.filledAtMs = nowMs;
    this.allowance = allowance;
    this.#counters = counters;
  }

  /**
   * Sends a frame, or ends a socket whose client has not read those before. One frame may be larger than the limit: the
   * seats of a large hall must not end everybody who watches it.
   */
  send(frame: string | Buffer): void {
    if (this.socket === null) return;
    if (this.socket.getBufferedAmount() > backpressureBytesMax) {
      this.#counters.slow++;
      this.socket.end(CloseCode.tryAgainLater, 'too slow');
      return;
    }
    this.socket.send(frame, this.isMsgpack);
    this.#counters.frames++;
  }

  say(message: Readonly<Record<string, unknown>>): void {
    this.send(writeMessage(message, this.isMsgpack));
  }

  sayError(code: Code, detail: string): void {
    this.say({ type: 'error', code, detail });
  }

  readonly onSeats = (performanceId: number, changes: SeatChanges): void => {
    this.send(seatFrame(performanceId, changes, this.isMsgpack));
  };
}

export interface SocketCounters {
  opened: number;
  frames: number;
  /** Ended because their client did not read. */
  slow: number;
  /** Ended for what they sent. */
  hostile: number;
}
