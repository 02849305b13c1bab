/**
 * The contract over HTTP: one method an operation. Refusals of the business are values (`{ok: false, problem}`, told apart
 * by `problem.code`); what got no answer throws NetworkError, an aborted call its signal's reason. Calls that do the same
 * when they are done twice are made again after a failure; see transport.ts.
 */
import type { Result } from './result.ts';
import { type Answer, type Call, type FetchLike, type RetryOptions, resultOf, Transport } from './transport.ts';
import type {
  Balance,
  BalanceEntry,
  Cancellation,
  Event,
  EventRequest,
  Held,
  Page,
  PageRequest,
  Payment,
  Performance,
  PerformanceRequest,
  Queue,
  QueueRequest,
  QueueTicket,
  Rehearsal,
  RehearsalRequest,
  Reservation,
  ReservationStatus,
  ReserveRequest,
  SeatMap,
  SeatMapRead,
  Session,
  SignUpRequest,
  User,
  Warmed,
} from './types.ts';
import { newKey } from './wait.ts';

export interface ClientOptions {
  /** `https://tickets.example.org`, without a path; in a page of the gateway's own: `location.origin`. */
  readonly baseUrl: string;
  /** An access token; `logIn` sets it too. */
  readonly token?: string;
  readonly retry?: RetryOptions;
  /** Instead of the platform's own. */
  readonly fetch?: FetchLike;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface CreateOptions extends CallOptions {
  /** 1 to 64 visible ASCII characters; one of its own a call unless given. Give one to go on after a crash or reload. */
  readonly idempotencyKey?: string | undefined;
}

export interface ReserveOptions extends CreateOptions {
  /** Needed while the performance's room is on. */
  readonly pass?: string | undefined;
}

export interface SeatMapOptions extends CallOptions {
  /** Of the map that is at hand: the answer says whether it still holds. */
  readonly etag?: string | undefined;
}

export type HistoryOptions = PageRequest & CallOptions;
export type ReservationsOptions = HistoryOptions & { readonly status?: ReservationStatus | undefined };

type Settings = Omit<Call, 'method' | 'path' | 'headers' | 'isRepeatable'> & {
  readonly headers?: Record<string, string>;
  readonly isRepeatable?: boolean;
};

export class FastpassClient {
  readonly baseUrl: string;
  /** Sent with every call; null for none. */
  token: string | null;
  readonly #transport: Transport;

  constructor({ baseUrl, token, retry = {}, fetch: given }: ClientOptions) {
    this.baseUrl = baseUrl.replace(/\/+$/, '');
    this.token = token ?? null;
    // Called as a plain function: a browser's fetch is no method of anything else.
    this.#transport = new Transport(this.baseUrl, given ?? ((url, init) => fetch(url, init)), retry);
  }

  // Accounts

  /** 201. Not made again after a failure: the e-mail address would be taken. */
  signUp(request: SignUpRequest, options: CallOptions = {}): Promise<Result<User>> {
    return this.#call('POST', '/v1/users', { body: request, isRepeatable: false, ...options });
  }

  /** 201; the token is kept for the calls to come. Attempts are counted, so it is not made again. */
  async logIn(email: string, password: string, options: CallOptions = {}): Promise<Result<Session>> {
    const settings = { body: { email, password }, isRepeatable: false, ...options };
    const result = await this.#call<Session>('POST', '/v1/sessions', settings);
    if (result.ok) this.token = result.value.accessToken;
    return result;
  }

  /** 204; the token is refused everywhere within a second, and forgotten here. 401 when it had ended already. */
  async logOut(options: CallOptions = {}): Promise<Result<null>> {
    const result = await this.#call<null>('DELETE', '/v1/sessions/current', options);
    if (result.ok || result.status === 401) this.token = null;
    return result;
  }

  /** False once the token is refused. Costs no store anything: no reservation has that id. True where there is no answer. */
  async isTokenGood(options: CallOptions = {}): Promise<boolean> {
    try {
      const result = await this.#call('GET', '/v1/reservations/none', { isRepeatable: false, ...options });
      return result.status !== 401;
    } catch {
      return true;
    }
  }

  /** 201: the balance after `amount` was put on it. */
  charge(amount: number, options: CreateOptions = {}): Promise<Result<Balance>> {
    return this.#create('/v1/balance/charges', { amount }, options);
  }

  /** 200. */
  balance(options: CallOptions = {}): Promise<Result<Balance>> {
    return this.#call('GET', '/v1/balance', options);
  }

  /** 200: one page of the balance's changes, newest first. */
  history({ signal, ...query }: HistoryOptions = {}): Promise<Result<Page<BalanceEntry>>> {
    return this.#call('GET', withQuery('/v1/balance/history', query), { signal });
  }

  /** All pages from `cursor` on, one call each as they are asked for; ends after the last one, or after a failure. */
  historyPages(options: HistoryOptions = {}): AsyncGenerator<Result<Page<BalanceEntry>>, void, undefined> {
    return pagesOf(options, (page) => this.history(page));
  }

  // Catalogue

  /** 201. Role admin. */
  createEvent(request: EventRequest, options: CreateOptions = {}): Promise<Result<Event>> {
    return this.#create('/v1/events', request, options);
  }

  /** 200: all events, newest first. */
  events(options: CallOptions = {}): Promise<Result<{ readonly items: readonly Event[] }>> {
    return this.#call('GET', '/v1/events', options);
  }

  /** 201: with its seats or places. Role admin. */
  createPerformance(
    eventId: number,
    request: PerformanceRequest,
    options: CreateOptions = {},
  ): Promise<Result<Performance>> {
    return this.#create(`/v1/events/${eventId}/performances`, request, options);
  }

  /** 200. */
  performances(
    eventId: number,
    options: CallOptions = {},
  ): Promise<Result<{ readonly items: readonly Performance[] }>> {
    return this.#call('GET', `/v1/events/${eventId}/performances`, options);
  }

  /** 200. */
  performance(performanceId: number, options: CallOptions = {}): Promise<Result<Performance>> {
    return this.#call('GET', `/v1/performances/${performanceId}`, options);
  }

  /** 200, or 304 (`isChanged: false`) while the map of `etag` still holds. */
  async seats(performanceId: number, { etag, signal }: SeatMapOptions = {}): Promise<Result<SeatMapRead>> {
    const headers: Record<string, string> = etag === undefined ? {} : { 'if-none-match': etag };
    const path = `/v1/performances/${performanceId}/seats`;
    return this.#call('GET', path, { headers, signal }, (answer): SeatMapRead => {
      const now = answer.headers.get('etag') ?? etag ?? '';
      if (answer.status === 304) return { isChanged: false, etag: now };
      return { isChanged: true, etag: now, map: answer.body as SeatMap };
    });
  }

  /** 200: loads a performance before its sale. Role admin. */
  warm(performanceId: number, options: CallOptions = {}): Promise<Result<Warmed>> {
    return this.#call('POST', `/v1/performances/${performanceId}/warm`, options);
  }

  /** 202, or 200 with the one under way: a rush of played visitors against a demo performance. Role admin. */
  startRehearsal(
    performanceId: number,
    request: RehearsalRequest = {},
    options: CreateOptions = {},
  ): Promise<Result<Rehearsal>> {
    return this.#create(`/v1/performances/${performanceId}/rehearsals`, request, options);
  }

  /** 200: how the last one goes or went. Role admin. */
  rehearsal(performanceId: number, options: CallOptions = {}): Promise<Result<Rehearsal>> {
    return this.#call('GET', `/v1/performances/${performanceId}/rehearsals/current`, options);
  }

  // Reservations

  /** 201: holds all the seats, or none. */
  reserve(request: ReserveRequest, { pass, ...options }: ReserveOptions = {}): Promise<Result<Held>> {
    return this.#create('/v1/reservations', request, options, pass === undefined ? {} : { 'queue-pass': pass });
  }

  /** 200. 404 for anyone but its owner or an admin. */
  reservation(reservationId: string, options: CallOptions = {}): Promise<Result<Reservation>> {
    return this.#call('GET', `/v1/reservations/${encodeURIComponent(reservationId)}`, options);
  }

  /** 200: one page of the caller's own reservations, newest first. */
  reservations({ signal, ...query }: ReservationsOptions = {}): Promise<Result<Page<Reservation>>> {
    return this.#call('GET', withQuery('/v1/reservations', query), { signal });
  }

  /** As historyPages. */
  reservationPages(options: ReservationsOptions = {}): AsyncGenerator<Result<Page<Reservation>>, void, undefined> {
    return pagesOf(options, (page) => this.reservations(page));
  }

  /** 201: the hold becomes a sale; a repeat gives the same answer. */
  pay(reservationId: string, options: CreateOptions = {}): Promise<Result<Payment>> {
    return this.#create(`/v1/reservations/${encodeURIComponent(reservationId)}/payments`, {}, options);
  }

  /** 200: the seats are free at once, and what was paid is on the balance again. */
  cancel(reservationId: string, options: CallOptions = {}): Promise<Result<Cancellation>> {
    return this.#call('DELETE', `/v1/reservations/${encodeURIComponent(reservationId)}`, options);
  }

  // The waiting room

  /** 200: sets a room up, or changes it while people wait. Role admin. */
  setQueue(performanceId: number, request: QueueRequest, options: CallOptions = {}): Promise<Result<Queue>> {
    return this.#call('PUT', `/v1/performances/${performanceId}/queue`, { body: request, ...options });
  }

  /** 200. */
  queue(performanceId: number, options: CallOptions = {}): Promise<Result<Queue>> {
    return this.#call('GET', `/v1/performances/${performanceId}/queue`, options);
  }

  /**
   * 201, or 200 with the place one has. A `ticket` sent along keeps its place where Redis has lost it; one that is over
   * makes place for a new one.
   */
  joinQueue(
    performanceId: number,
    ticket: string | null = null,
    options: CallOptions = {},
  ): Promise<Result<QueueTicket>> {
    // Without an Idempotency-Key: a user has one ticket, and a key would give the position of back then.
    const headers: Record<string, string> = ticket === null ? {} : { 'queue-ticket': ticket };
    return this.#call('POST', `/v1/performances/${performanceId}/queue/tickets`, { headers, ...options });
  }

  /** 200: how a ticket stands. Counts as a sign of life; whoever gives none for a minute has left. */
  ticket(performanceId: number, ticket: string, options: CallOptions = {}): Promise<Result<QueueTicket>> {
    const headers = { 'queue-ticket': ticket };
    return this.#call('GET', `/v1/performances/${performanceId}/queue/tickets/current`, { headers, ...options });
  }

  /** 204: leaves the queue, or gives the pass back. */
  leaveQueue(performanceId: number, ticket: string, options: CallOptions = {}): Promise<Result<null>> {
    const headers = { 'queue-ticket': ticket };
    return this.#call('DELETE', `/v1/performances/${performanceId}/queue/tickets/current`, { headers, ...options });
  }

  /** A POST that creates: with a key it is done once, however often it is sent. */
  #create<Value>(
    path: string,
    body: unknown,
    { idempotencyKey = newKey(), signal }: CreateOptions,
    headers: Record<string, string> = {},
  ): Promise<Result<Value>> {
    return this.#call('POST', path, { body, headers: { ...headers, 'idempotency-key': idempotencyKey }, signal });
  }

  async #call<Value>(
    method: Call['method'],
    path: string,
    { headers = {}, isRepeatable = true, ...rest }: Settings,
    // The gateway's answers are taken at their word: its own tests hold them to their schemas.
    toValue: (answer: Answer) => Value = ({ body }) => body as Value,
  ): Promise<Result<Value>> {
    const authorization: Record<string, string> = this.token === null ? {} : { authorization: `Bearer ${this.token}` };
    const call = { method, path, headers: { ...authorization, ...headers }, isRepeatable, ...rest };
    return resultOf(await this.#transport.send(call), toValue);
  }
}

function withQuery(path: string, query: Readonly<Record<string, string | number | undefined>>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, String(value));
  const text = parameters.toString();
  return text === '' ? path : `${path}?${text}`;
}

async function* pagesOf<Item, Options extends PageRequest>(
  options: Options,
  read: (options: Options) => Promise<Result<Page<Item>>>,
): AsyncGenerator<Result<Page<Item>>, void, undefined> {
  for (let page = options; ; ) {
    const result = await read(page);
    yield result;
    if (!result.ok || result.value.next === null) return;
    page = { ...options, cursor: result.value.next };
  }
}
