/** The HTTP server: takes requests through the route table, from headers to answer. */

import {
  App,
  type HttpRequest,
  type HttpResponse,
  type RecognizedString,
  type TemplatedApp,
  type us_listen_socket,
  us_listen_socket_close,
  us_socket_local_port,
} from 'uWebSockets.js';
import { readFileSync } from 'node:fs';
import { Code } from '../domain/codes.ts';
import { newReservationId } from '../domain/ids.ts';
import type { Refusal } from '../domain/reservation.ts';
import type { Clock } from '../lib/clock.ts';
import type { Assets } from '../pages/assets.ts';
import type { Authenticate, Identity } from './auth.ts';
import { bodyBytesMax, invalid, isPlain, type MediaType, mediaTypeOf, parseBody, schemaErrors } from './body.ts';
import type { Dispatch, Opened } from './dispatch.ts';
import { isIdempotencyKey } from './idempotency.ts';
import { assetAnswer } from './page-routes.ts';
import type { RateLimit } from './rate-limit.ts';
import { type Answer, Exchange, problem, wellFramed } from './reply.ts';
import type { Route } from './route.ts';
import type { Sockets } from './sockets.ts';

declare module 'uWebSockets.js' {
  interface TemplatedApp {
    /** The native call takes all four; the published types know three at once. */
    listen(
      host: RecognizedString,
      port: number,
      options: number,
      onListening: (socket: us_listen_socket | false) => void,
    ): TemplatedApp;
  }
}

export interface ServerOptions {
  readonly routes: readonly Route[];
  readonly authenticate: Authenticate;
  readonly rateLimit: RateLimit;
  readonly dispatch: Dispatch;
  readonly sockets: Sockets;
  readonly assets: Assets;
  readonly clock: Clock;
}

// LIBUS_LISTEN_DEFAULT and LIBUS_LISTEN_EXCLUSIVE_PORT; by default a second process takes half the connections silently.
const listenShared = 0;
const listenExclusive = 1;

/** Of the files that the process may open: kept for the stores and the logs. */
const filesKept = 256;

const nobody: Identity = { userId: 0, role: 'user', endsAtMs: Number.POSITIVE_INFINITY, tokenId: '' };
const noQuery: Readonly<Record<string, string>> = {};
const noHeaders: readonly string[] = [];

// Answers without a detail of their own are made once.
const unauthorized = problem({ code: Code.unauthorized, detail: 'Send a valid bearer token.' });
const forbidden = problem({ code: Code.forbidden, detail: 'This needs the role admin.' });
const rateLimited = problem({ code: Code.rateLimited, detail: 'Too many requests of this user; slow down.' });
const tooLarge = problem({ code: Code.payloadTooLarge, detail: `The body may have ${bodyBytesMax} bytes.` });
const unsupported = problem({
  code: Code.unsupportedMediaType,
  detail: 'Send application/json or application/msgpack.',
});
const unreadable: Readonly<Record<'json' | 'msgpack', Answer>> = {
  json: problem(invalid('', 'is not JSON')),
  msgpack: problem(invalid('', 'is not msgpack')),
};
const notPlain = problem(
  invalid('', 'must be made of objects, arrays, texts, numbers, booleans and nulls, 32 deep at most'),
);
const badKey = problem(invalid('Idempotency-Key', 'must be 1 to 64 visible ASCII characters'));
const notFound = problem({ code: Code.notFound, detail: 'No such path.' });
const assetsUnread = problem({ code: Code.unavailable, detail: 'The files of the pages cannot be read.' });
const stopping = problem({ code: Code.unavailable, detail: 'This gateway is stopping; try again.' });

export class Server {
  readonly #options: ServerOptions;
  readonly #app: TemplatedApp;
  #listenSocket: us_listen_socket | null = null;
  #isDraining = false;
  /** As uWebSockets.js counts them: a connection that has become a WebSocket is never taken off. */
  #connectionsCounted = 0;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#app = App();
    this.#boundConnections();
    for (let index = 0; index < options.routes.length; index++) this.#register(options.routes[index]!, index);
    options.sockets.register(this.#app);
    this.#registerAssets();
    this.#registerOthers();
  }

  /** Listens; resolves with the port. Rejects when the port is taken. `isShared` lets other processes listen too. */
  listen(host: string, port: number, isShared: boolean): Promise<number> {
    return new Promise((resolve, reject) => {
      const onListening = (socket: us_listen_socket | false): void => {
        if (socket === false) {
          reject(new Error(`cannot listen on ${host}:${port}: is it in use?`));
          return;
        }
        this.#listenSocket = socket;
        resolve(us_socket_local_port(socket));
      };
      this.#app.listen(host, port, isShared ? listenShared : listenExclusive, onListening);
    });
  }

  /** Takes no new connection and refuses new requests on those there are; resolves when every one has its answer. */
  drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#listenSocket !== null) us_listen_socket_close(this.#listenSocket);
    this.#listenSocket = null;
    return this.#options.dispatch.idle();
  }

  /** Closes every connection. */
  close(): void {
    this.#app.close();
  }

  /** Past the files that the process may open, uWebSockets.js would try to accept without end, at full load. */
  #boundConnections(): void {
    const { sockets } = this.#options;
    const connectionsMax = connectionsMaxOf();
    const onChange = (response: HttpResponse, change: number): void => {
      this.#connectionsCounted += change;
      const socketsEnded = sockets.counters.opened - sockets.count;
      if (change > 0 && this.#connectionsCounted - socketsEnded > connectionsMax) response.close();
    };
    this.#app.filter(onChange);
  }

  #register(route: Route, index: number): void {
    const pattern = route.path.replace(/\{(\w+)\}/g, ':$1');
    const serve = wellFramed((response, request) => this.#serve(route, index, response, request));
    if (route.method === 'get') this.#app.get(pattern, serve).head(pattern, serve);
    else if (route.method === 'post') this.#app.post(pattern, serve);
    else if (route.method === 'put') this.#app.put(pattern, serve);
    else this.#app.del(pattern, serve);
  }

  /** Files of the pages are no rows of the table: there are some dozens, and nobody writes a client against them. */
  #registerAssets(): void {
    const serve = wellFramed((response, request) => {
      const exchange = this.#exchangeOf(response, request);
      const { assets } = this.#options;
      const ifNoneMatch = request.getHeader('if-none-match');
      assetAnswer(assets, request.getUrl(), request.getHeader('accept-encoding'), ifNoneMatch).then(
        (answer) => exchange.send(answer),
        () => exchange.send(assetsUnread),
      );
    });
    this.#app.get('/assets/*', serve).head('/assets/*', serve);
  }

  /** Paths of the table with another method, and everything else. */
  #registerOthers(): void {
    const methodsOf = new Map<string, string[]>();
    for (const { path, method } of this.#options.routes) {
      const methods = methodsOf.get(path) ?? [];
      methods.push(...(method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]));
      methodsOf.set(path, methods);
    }
    for (const [path, methods] of methodsOf) {
      const allow = methods.join(', ');
      const answer = problem({ code: Code.methodNotAllowed, detail: `This path allows ${allow}.`, allow });
      const refuse = wellFramed((response, request) => this.#exchangeOf(response, request).send(answer));
      this.#app.any(path.replace(/\{(\w+)\}/g, ':$1'), refuse);
    }
    this.#app.any(
      '/*',
      wellFramed((response, request) => this.#exchangeOf(response, request).send(notFound)),
    );
  }

  #exchangeOf(response: HttpResponse, request: HttpRequest): Exchange {
    const exchange = new Exchange(response, request.getHeader('accept'), request.getMethod() === 'head');
    exchange.traceparent = request.getHeader('traceparent');
    return exchange;
  }

  // The request is uWebSockets.js's until this returns: everything needed of it is read here.
  #serve(route: Route, index: number, response: HttpResponse, request: HttpRequest): void {
    const options = this.#options;
    const { dispatch } = options;
    const exchange = this.#exchangeOf(response, request);
    const nowMs = options.clock.nowMs();
    exchange.startedAtMs = nowMs;
    if (this.#isDraining) {
      exchange.closesConnection = true;
      return dispatch.answer(index, exchange, stopping);
    }
    let identity: Identity | null = nobody;
    if (route.auth !== 'none') {
      identity = options.authenticate(request.getHeader('authorization'));
      if (identity === null) return dispatch.answer(index, exchange, unauthorized);
      if (!options.rateLimit.allows(identity.userId, nowMs)) {
        return dispatch.answer(index, exchange, rateLimited);
      }
      if (route.auth === 'admin' && identity.role !== 'admin') return dispatch.answer(index, exchange, forbidden);
    }
    const params = paramsOf(route.path, request);
    if (!Array.isArray(params)) return dispatch.answer(index, exchange, problem(params as Refusal));
    const query = route.query === undefined ? noQuery : Object.fromEntries(new URLSearchParams(request.getQuery()));
    if (route.query !== undefined && !route.query.validator.Check(query)) {
      return dispatch.answer(index, exchange, problem(schemaErrors(route.query.validator, query)));
    }
    const idempotencyKey = route.isCreating === true ? request.getHeader('idempotency-key') : '';
    if (idempotencyKey !== '' && !isIdempotencyKey(idempotencyKey)) return dispatch.answer(index, exchange, badKey);
    const opened: Opened = {
      route,
      index,
      exchange,
      identity,
      params,
      query,
      headers: route.headers?.map((name) => request.getHeader(name)) ?? noHeaders,
      address: route.needsAddress === true ? addressOf(response) : '',
      idempotencyKey,
      body: undefined,
      newId: route.isCreating === true ? newReservationId() : '',
      isRepeat: false,
      pending: null,
    };
    if (route.body === undefined) {
      dispatch.run(opened);
      return;
    }
    const mediaType = mediaTypeOf(request.getHeader('content-type'));
    if (mediaType === 'unsupported') return dispatch.answer(index, exchange, unsupported);
    if (Number(request.getHeader('content-length')) > bodyBytesMax) return dispatch.answer(index, exchange, tooLarge);
    exchange.readBody(bodyBytesMax, (body) => this.#onBody(opened, mediaType, body));
  }

  #onBody(opened: Opened, mediaType: Exclude<MediaType, 'unsupported'>, body: Buffer | null): void {
    const { route, index, exchange } = opened;
    const { dispatch } = this.#options;
    if (body === null) return dispatch.answer(index, exchange, tooLarge);
    const value = parseBody(body, mediaType);
    if (value === undefined) return dispatch.answer(index, exchange, unreadable[mediaType]);
    if ((mediaType === 'msgpack' || opened.idempotencyKey !== '') && !isPlain(value)) {
      return dispatch.answer(index, exchange, notPlain);
    }
    const { validator } = route.body!;
    if (!validator.Check(value)) return dispatch.answer(index, exchange, problem(schemaErrors(validator, value)));
    opened.body = value;
    dispatch.run(opened);
  }
}

/** How many connections this process may have, given the files it may open; without a limit where there is none to read. */
function connectionsMaxOf(): number {
  const limits = process.platform === 'linux' ? readFileSync('/proc/self/limits', 'utf8') : '';
  const filesMax = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  return Math.floor(filesMax - Math.min(filesKept, filesMax / 2));
}

/**
 * The other end of the connection: a balancer's, where there is one. What a PROXY header says is anybody's word.
 */
function addressOf(response: HttpResponse): string {
  return Buffer.from(response.getRemoteAddressAsText()).toString();
}

const numberPattern = /^[1-9]\d{0,15}$/;
const uuidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const noParams: readonly (number | string)[] = [];

/** The values of `{names}` in a path, or what is wrong with one. */
function paramsOf(path: string, request: HttpRequest): readonly (number | string)[] | Refusal {
  if (!path.includes('{')) return noParams;
  const names = path.match(/(?<=\{)\w+(?=\})/g) ?? [];
  const params: (number | string)[] = [];
  for (let i = 0; i < names.length; i++) {
    const text = request.getParameter(i) ?? '';
    if (names[i] === 'reservationId') {
      if (!uuidPattern.test(text)) return invalid(`/${names[i]}`, 'must be a UUID');
      params.push(text.toLowerCase());
    } else {
      const number = Number(text);
      if (!numberPattern.test(text) || !Number.isSafeInteger(number)) {
        return invalid(`/${names[i]}`, 'must be a positive integer');
      }
      params.push(number);
    }
  }
  return params;
}
