/**
 * `/v1/ws`: the sockets of this process, their limits, and the messages both ways. With server.ts, reply.ts and
 * socket-client.ts the only place that touches uWebSockets.js.
 *
 * Limits: 16 KiB a message, 50 messages a second, 20 sockets a user, 16 rooms and 16 seat maps watched a socket, 64 KiB
 * not read yet. A frame that is no message gets `error`, the third one ends the socket with 1007. A reader too slow ends
 * with 1013, a client that keeps on sending too much or whose token has ended with 1008, at our shutdown with 1001.
 */
import type { HttpRequest, HttpResponse, TemplatedApp, us_socket_context_t, WebSocket } from 'uWebSockets.js';
import type { SeatWatch } from '../catalog/seat-watch.ts';
import { Code, codeTable } from '../domain/codes.ts';
import { newReservationId } from '../domain/ids.ts';
import type { SeatStatus } from '../domain/reservation.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { Histogram, longSecondsBounds } from '../lib/histogram.ts';
import type { ReservationNotice } from '../lua/notices.ts';
import type { QueueTokens } from '../waiting-room/tokens.ts';
import type { RoomWatch } from '../waiting-room/watch.ts';
import type { Authenticate } from './auth.ts';
import { invalid, schemaErrors } from './body.ts';
import type { Dispatch, Responder } from './dispatch.ts';
import { isIdempotencyKey } from './idempotency.ts';
import { QueueWatcher } from './queue-watcher.ts';
import type { RateLimit } from './rate-limit.ts';
import { type Answer, bodyValueOf, Exchange, problem, wellFramed } from './reply.ts';
import type { Route } from './route.ts';
import { type Attached, backpressureBytesMax, Client, CloseCode, type SocketCounters } from './socket-client.ts';
import { type ClientMessage, chooseSubprotocol, type ReserveMessage, readMessage } from './socket-messages.ts';

const socketPath = '/v1/ws';

export interface SocketsOptions {
  readonly authenticate: Authenticate;
  /** Whether a token was given back. */
  readonly isRevoked: (tokenId: string) => boolean;
  readonly rateLimit: RateLimit;
  readonly dispatch: Dispatch;
  /** The route that `reserve` goes by, and its place in the table. */
  readonly hold: { readonly route: Route; readonly index: number };
  readonly tokens: QueueTokens;
  readonly rooms: RoomWatch;
  readonly seats: SeatWatch;
  readonly clock: Clock;
  readonly log: { error(message: string, fields?: Record<string, unknown>): void };
}

const messageBytesMax = 16 * 1024;
const idleSeconds = 60;
const messagesPerSecondMax = 50;
/** Messages over the limit before the socket ends. */
const excessMax = 100;
const strikesMax = 3;
const socketsPerUserMax = 20;
const watchesMax = 16;
/** The first frame of a watch: it has begun. */
const noChanges: readonly (readonly [number, SeatStatus])[] = [];
const tokenCheckIntervalMs = 500;

const unauthorized = problem({
  code: Code.unauthorized,
  detail: 'Send a valid token: Authorization, or access_token.',
});
const tooMany = problem({ code: Code.rateLimited, detail: `A user may have ${socketsPerUserMax} sockets.` });
const rateLimited = problem({ code: Code.rateLimited, detail: 'Too many requests of this user; slow down.' });
const noUpgrade = problem(invalid('Upgrade', 'this path is a WebSocket: ask for an upgrade'));
const stopping = problem({ code: Code.unavailable, detail: 'This gateway is stopping; try again.' });
const badProtocol = problem(
  invalid('Sec-WebSocket-Protocol', 'must be fastpass.v1.json or fastpass.v1.msgpack, or absent'),
);

export class Sockets {
  readonly counters: SocketCounters = { opened: 0, frames: 0, slow: 0, hostile: 0 };
  /** Seconds between the time first told to who waits and the admission. */
  readonly etaErrors = new Histogram(longSecondsBounds);
  readonly #options: SocketsOptions;
  readonly #clients = new Set<Client>();
  readonly #byUser = new Map<number, Set<Client>>();
  #isStopping = false;
  #tokenTimer: Timer | null = null;

  constructor(options: SocketsOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#clients.size;
  }

  /** Serves the path on a server. */
  register(app: TemplatedApp): void {
    app.ws<Attached>(socketPath, {
      maxPayloadLength: messageBytesMax,
      idleTimeout: idleSeconds,
      sendPingsAutomatically: true,
      // The limit that counts is Client.send's: past this one uWebSockets.js would drop our close frame too.
      maxBackpressure: 64 * backpressureBytesMax,
      upgrade: (response, request, context) => this.#upgrade(response, request, context),
      open: (socket) => this.#open(socket),
      message: (socket, frame, isBinary) => this.#receive(socket.getUserData().client, frame, isBinary),
      close: (socket) => this.#close(socket.getUserData().client),
    });
    const refuse = wellFramed((response, request) => {
      new Exchange(response, request.getHeader('accept'), request.getMethod() === 'head').send(noUpgrade);
    });
    app.any(socketPath, refuse);
    this.#checkTokensLater();
  }

  /** Tells a user's sockets of a reservation. */
  onNotice({ userId, reservationId, kind }: ReservationNotice): void {
    for (const client of this.#byUser.get(userId) ?? []) client.say({ type: `reservation.${kind}`, reservationId });
  }

  /** Refuses new sockets and new requests; what is under way is answered. */
  drain(): void {
    this.#isStopping = true;
    this.#tokenTimer?.cancel();
  }

  /** Ends all sockets with 1001. */
  close(): void {
    for (const client of [...this.#clients]) client.socket?.end(CloseCode.goingAway, 'the gateway stops');
  }

  #upgrade(response: HttpResponse, request: HttpRequest, context: us_socket_context_t): void {
    const refuse = (answer: Answer): void => new Exchange(response, request.getHeader('accept'), false).send(answer);
    if (this.#isStopping) return refuse(stopping);
    const header = request.getHeader('authorization');
    const token = header === '' ? `Bearer ${request.getQuery('access_token') ?? ''}` : header;
    const identity = this.#options.authenticate(token);
    if (identity === null) return refuse(unauthorized);
    const nowMs = this.#options.clock.nowMs();
    if (!this.#options.rateLimit.allows(identity.userId, nowMs)) return refuse(rateLimited);
    if ((this.#byUser.get(identity.userId)?.size ?? 0) >= socketsPerUserMax) return refuse(tooMany);
    const protocol = chooseSubprotocol(request.getHeader('sec-websocket-protocol'));
    if (protocol === null) return refuse(badProtocol);
    const isMsgpack = protocol === 'fastpass.v1.msgpack';
    response.upgrade<Attached>(
      { client: new Client(identity, isMsgpack, nowMs, messagesPerSecondMax, this.counters) },
      request.getHeader('sec-websocket-key'),
      protocol,
      request.getHeader('sec-websocket-extensions'),
      context,
    );
  }

  #open(socket: WebSocket<Attached>): void {
    const { client } = socket.getUserData();
    client.socket = socket;
    this.counters.opened++;
    this.#clients.add(client);
    const { userId } = client.identity;
    const mine = this.#byUser.get(userId);
    if (mine === undefined) this.#byUser.set(userId, new Set([client]));
    else mine.add(client);
  }

  #close(client: Client): void {
    client.socket = null;
    this.#clients.delete(client);
    const { userId } = client.identity;
    const mine = this.#byUser.get(userId);
    mine?.delete(client);
    if (mine?.size === 0) this.#byUser.delete(userId);
    for (const watcher of client.watchers.values()) this.#options.rooms.remove(watcher);
    for (const performanceId of client.seats) this.#options.seats.remove(performanceId, client.onSeats);
    for (const responder of client.open) if (responder.pending !== null) responder.pending.abandoned = true;
  }

  #receive(client: Client, frame: ArrayBuffer, isBinary: boolean): void {
    if (!this.#isWithinLimit(client)) {
      client.sayError(Code.rateLimited, `A socket may send ${messagesPerSecondMax} messages a second.`);
      if (++client.excess > excessMax) this.#endHostile(client, CloseCode.policy, 'too many messages');
      return;
    }
    const message = readMessage(frame, isBinary, client.isMsgpack);
    if (typeof message === 'string') {
      client.sayError(Code.validationFailed, message);
      if (++client.strikes >= strikesMax) this.#endHostile(client, CloseCode.invalidPayload, 'three frames were none');
      return;
    }
    this.#onMessage(client, message);
  }

  #endHostile(client: Client, code: number, reason: string): void {
    this.counters.hostile++;
    client.socket?.end(code, reason);
  }

  #isWithinLimit(client: Client): boolean {
    const nowMs = this.#options.clock.nowMs();
    const earned = ((nowMs - client.filledAtMs) / 1000) * messagesPerSecondMax;
    client.allowance = Math.min(messagesPerSecondMax, client.allowance + earned);
    client.filledAtMs = nowMs;
    if (client.allowance === messagesPerSecondMax) client.excess = 0;
    if (client.allowance < 1) return false;
    client.allowance--;
    return true;
  }

  #onMessage(client: Client, message: ClientMessage): void {
    switch (message.type) {
      case 'ping':
        return client.say({ type: 'pong' });
      case 'queue.watch':
        return this.#watchQueue(client, message.ticket);
      case 'seats.watch':
        return void this.#watchSeats(client, message.performanceId);
      case 'reserve':
        return this.#reserve(client, message);
    }
  }

  #watchQueue(client: Client, token: string): void {
    const { tokens, rooms, clock } = this.#options;
    const ticket = tokens.readTicket(token);
    if (ticket === null) return client.sayError(Code.validationFailed, 'queue.watch: /ticket is not a ticket of ours');
    if (ticket.userId !== client.identity.userId) {
      return client.sayError(Code.forbidden, 'queue.watch: /ticket is of another user');
    }
    const before = client.watchers.get(ticket.performanceId);
    if (before !== undefined) rooms.remove(before);
    else if (client.watchers.size >= watchesMax) {
      return client.sayError(Code.validationFailed, `A socket may watch ${watchesMax} rooms.`);
    }
    const watcher = new QueueWatcher(client, tokens, ticket, clock, this.etaErrors);
    client.watchers.set(ticket.performanceId, watcher);
    rooms.add(watcher);
  }

  async #watchSeats(client: Client, performanceId: number): Promise<void> {
    const { seats, log } = this.#options;
    if (client.seats.has(performanceId)) return;
    if (client.seats.size >= watchesMax) {
      return client.sayError(Code.validationFailed, `A socket may watch ${watchesMax} seat maps.`);
    }
    client.seats.add(performanceId);
    try {
      const isThere = await seats.add(performanceId, client.onSeats);
      // It may have closed meanwhile, before there was anything to remove.
      if (client.socket === null) return seats.remove(performanceId, client.onSeats);
      // From here on nothing is missed: whoever reads the seat map now has all.
      if (isThere) return client.onSeats(performanceId, noChanges);
      client.sayError(Code.performanceNotFound, 'No such performance.');
    } catch (thrown) {
      log.error('seats could not be watched', { performanceId, error: messageOf(thrown) });
      client.sayError(Code.unavailable, 'The reservation store does not answer; try again.');
    }
    client.seats.delete(performanceId);
  }

  /** The answer of POST /v1/reservations, by its own handler. */
  #reserve(client: Client, message: ReserveMessage): void {
    const { dispatch, hold, rateLimit, clock } = this.#options;
    const { type, id, idempotencyKey = '', pass = '', ...body } = message;
    const nowMs = clock.nowMs();
    const responder: Responder = {
      startedAtMs: nowMs,
      requestId: '',
      pending: null,
      send: (answer) => {
        client.open.delete(responder);
        client.say({ ...resultOf(answer), type: `${type}.result`, id });
      },
    };
    const refuse = (answer: Answer): void => dispatch.answer(hold.index, responder, answer);
    if (this.#isStopping) return refuse(stopping);
    if (!rateLimit.allows(client.identity.userId, nowMs)) return refuse(rateLimited);
    if (idempotencyKey !== '' && !isIdempotencyKey(idempotencyKey)) {
      return refuse(problem(invalid('/idempotencyKey', 'must be 1 to 64 visible ASCII characters')));
    }
    const { validator } = hold.route.body!;
    if (!validator.Check(body)) return refuse(problem(schemaErrors(validator, body)));
    client.open.add(responder);
    dispatch.run({
      route: hold.route,
      index: hold.index,
      exchange: responder,
      identity: client.identity,
      params: [],
      query: {},
      headers: [pass],
      address: '',
      idempotencyKey,
      body,
      newId: newReservationId(),
      isRepeat: false,
      pending: null,
    });
  }

  /** A socket lives no longer than the token it was opened with. */
  #checkTokensLater(): void {
    this.#tokenTimer = this.#options.clock.after(tokenCheckIntervalMs, () => {
      const nowMs = Date.now();
      for (const client of [...this.#clients]) {
        const { endsAtMs, tokenId } = client.identity;
        if (endsAtMs <= nowMs || this.#options.isRevoked(tokenId))
          client.socket?.end(CloseCode.policy, 'the token has ended');
      }
      this.#checkTokensLater();
    });
  }
}

/** An HTTP answer as fields: `status` is that of HTTP; the rest is its body (a problem's `type` is the message's). */
function resultOf(answer: Answer): Record<string, unknown> {
  const body = bodyValueOf(answer) as Record<string, unknown>;
  const isReplayed = answer.headers?.some(([name]) => name === 'idempotency-replayed') === true;
  const retryAfter = answer.code === undefined ? 0 : codeTable[answer.code].retryAfterSeconds;
  return {
    ...body,
    status: answer.status,
    ...(isReplayed ? { replayed: true } : {}),
    ...(retryAfter > 0 ? { retryAfter } : {}),
  };
}
