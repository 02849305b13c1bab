/**
 * `/v1/ws` as typed events and calls. The connection is kept up (link.ts); after every loss all that was watched is watched
 * again, and reservations under way are sent again (reserves.ts).
 */
import type { FastpassClient } from './http.ts';
import { type Connect, Link, type LinkOptions, type LinkState } from './link.ts';
import { Listeners, type Unsubscribe } from './listeners.ts';
import { Reserves, type SocketReserveOptions } from './reserves.ts';
import { type Code, NetworkError, type Result } from './result.ts';
import type { Held, QueuePlace, ReserveRequest, SeatStatus } from './types.ts';
import { between } from './wait.ts';

export interface SocketOptions extends LinkOptions {
  /** Instead of the platform's own WebSocket. */
  readonly connect?: Connect;
}

/** A place in a queue. For one ticket the position never grows. */
export interface PositionEvent extends QueuePlace {
  readonly performanceId: number;
}

export interface AdmittedEvent {
  readonly performanceId: number;
  /** These three are null when the room is off: no pass is needed. */
  readonly number: number | null;
  readonly pass: string | null;
  readonly passExpiresAt: string | null;
}

/** The ticket is over; it is watched no more. */
export interface PassExpiredEvent {
  readonly performanceId: number;
  /** `expired`: the pass ended unused. `left`: given up, or away for a minute. */
  readonly status: 'left' | 'expired';
}

export interface SeatsEvent {
  readonly performanceId: number;
  readonly changes: readonly (readonly [seat: number, status: SeatStatus])[];
}

export interface ReservationEvent {
  readonly reservationId: string;
}

/** What the gateway says of a message it refused; it does not say which one. */
export interface SocketErrorEvent {
  readonly code: Code;
  readonly detail: string;
}

type Frame = Readonly<Record<string, unknown>>;

interface QueueWatch {
  readonly ticket: string;
  position: number | null;
  /** False until the gateway has said something of it. */
  isHeard: boolean;
  /** The admission last told: it comes again with every watch. */
  admission: string;
}

/** As the gateway has it. */
const watchesMax = 16;
const tokenCheckMsMax = 5000;
const watchAgainMsMin = 1000;
const watchAgainMsMax = 3000;
const passing: ReadonlySet<string> = new Set(['unavailable', 'overloaded', 'rate_limited']);

/** A socket of one user. Call `open` to connect; `close` when it is not needed any more. */
export class FastpassSocket {
  readonly #link: Link;
  readonly #reserves = new Reserves((message) => this.#link.send(message));
  readonly #queues = new Map<number, QueueWatch>();
  readonly #seats = new Set<number>();
  #watchAgainTimer: ReturnType<typeof setTimeout> | undefined;
  readonly #onPosition = new Listeners<PositionEvent>();
  readonly #onAdmitted = new Listeners<AdmittedEvent>();
  readonly #onPassExpired = new Listeners<PassExpiredEvent>();
  readonly #onSeats = new Listeners<SeatsEvent>();
  readonly #onReservationExpired = new Listeners<ReservationEvent>();
  readonly #onReservationConfirmed = new Listeners<ReservationEvent>();
  readonly #onError = new Listeners<SocketErrorEvent>();
  readonly #onState = new Listeners<LinkState>();

  /** The address, and at each connection the token, are the client's. */
  constructor(client: FastpassClient, { connect = connectPlatform, ...options }: SocketOptions = {}) {
    this.#link = new Link(options, {
      connect,
      urlOf: () =>
        `${client.baseUrl.replace(/^http/, 'ws')}/v1/ws?access_token=${encodeURIComponent(client.token ?? '')}`,
      mayReconnect: () => client.isTokenGood({ signal: AbortSignal.timeout(tokenCheckMsMax) }),
      onState: (state) => this.#onLinkState(state),
      onFrame: (text) => this.#onFrame(text),
    });
  }

  get state(): LinkState['state'] {
    return this.#link.state;
  }

  /** Connects and stays connected; also again after `closed`. */
  open(): void {
    this.#link.open();
  }

  /** For good. What is watched is kept for another `open`; reservations under way are rejected, made or not. */
  close(): void {
    this.#link.close();
  }

  /**
   * Watches a ticket of `joinQueue`: onPosition, onAdmitted, onPassExpired. Throws RangeError past 16 rooms.
   * A performance has one ticket; another one takes its place.
   */
  watchQueue(performanceId: number, ticket: string): void {
    const known = this.#queues.get(performanceId);
    if (known?.ticket === ticket) return;
    if (known === undefined && this.#queues.size >= watchesMax) throw new RangeError(`at most ${watchesMax} rooms`);
    this.#queues.set(performanceId, { ticket, position: null, isHeard: false, admission: '' });
    this.#link.send({ type: 'queue.watch', ticket });
  }

  /** Events of that room are told no more. (The gateway goes on counting the user as present while the socket lasts.) */
  unwatchQueue(performanceId: number): void {
    this.#queues.delete(performanceId);
  }

  /**
   * Watches the seats of a performance: onSeats. Throws RangeError past 16 maps. The gateway tells changes alone: read the
   * map after this call, and again whenever `onState` says `open`.
   */
  watchSeats(performanceId: number): void {
    if (this.#seats.has(performanceId)) return;
    if (this.#seats.size >= watchesMax) throw new RangeError(`at most ${watchesMax} seat maps`);
    this.#seats.add(performanceId);
    this.#link.send({ type: 'seats.watch', performanceId });
  }

  /** Changes of these seats are told no more. */
  unwatchSeats(performanceId: number): void {
    this.#seats.delete(performanceId);
  }

  /**
   * 201: holds all the seats, or none; as FastpassClient.reserve. Waits for a connection where there is none. Rejects with
   * NetworkError when there is no result within the deadline or the socket is closed (then the hold may be there all the
   * same), with RangeError past 16 at once.
   */
  reserve(request: ReserveRequest, options: SocketReserveOptions = {}): Promise<Result<Held>> {
    if (this.state === 'closed') return Promise.reject(new NetworkError('closed', 'reserve: the socket is closed'));
    return this.#reserves.add(request, options);
  }

  onPosition(listener: (event: PositionEvent) => void): Unsubscribe {
    return this.#onPosition.add(listener);
  }

  onAdmitted(listener: (event: AdmittedEvent) => void): Unsubscribe {
    return this.#onAdmitted.add(listener);
  }

  onPassExpired(listener: (event: PassExpiredEvent) => void): Unsubscribe {
    return this.#onPassExpired.add(listener);
  }

  onSeats(listener: (event: SeatsEvent) => void): Unsubscribe {
    return this.#onSeats.add(listener);
  }

  /** A hold of the user's own has ended unpaid, whether it was made here or elsewhere. */
  onReservationExpired(listener: (event: ReservationEvent) => void): Unsubscribe {
    return this.#onReservationExpired.add(listener);
  }

  /** A hold of the user's own was paid, here or elsewhere. */
  onReservationConfirmed(listener: (event: ReservationEvent) => void): Unsubscribe {
    return this.#onReservationConfirmed.add(listener);
  }

  onError(listener: (event: SocketErrorEvent) => void): Unsubscribe {
    return this.#onError.add(listener);
  }

  /** `connecting`, with why and how often in a row it failed; `open`; `closed` for good. */
  onState(listener: (state: LinkState) => void): Unsubscribe {
    return this.#onState.add(listener);
  }

  #onLinkState(state: LinkState): void {
    if (state.state === 'open') {
      for (const watch of this.#queues.values()) watch.isHeard = false;
      this.#watchAll();
      this.#reserves.sendAll();
    } else {
      clearTimeout(this.#watchAgainTimer);
      this.#watchAgainTimer = undefined;
    }
    if (state.state === 'closed') {
      this.#reserves.failAll(new NetworkError('closed', `the socket was closed: ${state.code} ${state.reason}`));
    }
    this.#onState.tell(state);
  }

  /** All seat maps, and the rooms without a position: the gateway drops no watch that it has told a position. */
  #watchAll(): void {
    for (const { ticket, isHeard, position } of this.#queues.values()) {
      if (!isHeard || position === null) this.#link.send({ type: 'queue.watch', ticket });
    }
    for (const performanceId of this.#seats) this.#link.send({ type: 'seats.watch', performanceId });
  }

  #onFrame(text: string): void {
    const frame = readFrame(text);
    // A result is known by its id.
    if (this.#reserves.take(frame)) return;
    switch (frame['type']) {
      case 'queue.position':
        return this.#onQueuePosition(frame as unknown as PositionEvent);
      case 'queue.admitted':
        return this.#onQueueAdmitted(frame as unknown as AdmittedEvent);
      case 'queue.expired':
        return this.#onQueueExpired(frame as unknown as PassExpiredEvent);
      case 'seats.changed': {
        const { performanceId, changes } = frame as unknown as SeatsEvent;
        if (this.#seats.has(performanceId)) this.#onSeats.tell({ performanceId, changes });
        return;
      }
      case 'reservation.expired':
        return this.#onReservationExpired.tell({ reservationId: String(frame['reservationId']) });
      case 'reservation.confirmed':
        return this.#onReservationConfirmed.tell({ reservationId: String(frame['reservationId']) });
      case 'error':
        return this.#onErrorFrame(frame as unknown as SocketErrorEvent);
    }
  }

  #onQueuePosition({ performanceId, number, position: now, etaSeconds, opensAt }: PositionEvent): void {
    const watch = this.#queues.get(performanceId);
    if (watch === undefined) return;
    watch.isHeard = true;
    // A gateway that has just been connected to has told this ticket nothing yet, and may be a moment behind the other one.
    if (now !== null) watch.position = Math.min(watch.position ?? now, now);
    const opens = opensAt === undefined ? {} : { opensAt };
    this.#onPosition.tell({ performanceId, number, position: watch.position, etaSeconds, ...opens });
  }

  #onQueueAdmitted({ performanceId, number, pass, passExpiresAt }: AdmittedEvent): void {
    const watch = this.#queues.get(performanceId);
    if (watch === undefined) return;
    watch.isHeard = true;
    // The room is off: the gateway watches no more.
    if (pass === null) this.#queues.delete(performanceId);
    const admission = `${pass} ${passExpiresAt}`;
    if (watch.admission === admission) return;
    watch.admission = admission;
    this.#onAdmitted.tell({ performanceId, number, pass, passExpiresAt });
  }

  #onQueueExpired({ performanceId, status }: PassExpiredEvent): void {
    if (this.#queues.delete(performanceId)) this.#onPassExpired.tell({ performanceId, status: status ?? 'expired' });
  }

  #onErrorFrame({ code, detail }: SocketErrorEvent): void {
    if (passing.has(code) && this.#watchAgainTimer === undefined) {
      // It may have been about any watch.
      this.#watchAgainTimer = setTimeout(
        () => {
          this.#watchAgainTimer = undefined;
          this.#watchAll();
        },
        between(watchAgainMsMin, watchAgainMsMax),
      );
    }
    this.#onError.tell({ code, detail });
  }
}

/** Empty for what is no message: nothing of the gateway's, a proxy's perhaps. */
function readFrame(text: string): Frame {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Frame) : {};
  } catch {
    return {};
  }
}

/** Throws where there is no WebSocket. */
function connectPlatform(url: string, protocol: string): ReturnType<Connect> {
  return new WebSocket(url, protocol);
}
