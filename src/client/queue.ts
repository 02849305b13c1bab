/**
 * The way through a waiting room, from joining to the pass.
 *
 *   asking -> waiting   a place, kept from before or new; watched over the socket
 *   waiting -> waiting  whenever nothing was heard over the socket for some seconds, the place is asked for over HTTP
 *   waiting -> over     admitted, open, left, expired, refused, or given up by the caller
 *
 * A lost connection, a gateway that restarts and a Redis that forgets change nothing: the place is in the signed ticket.
 */
import type { FastpassClient } from './http.ts';
import { KeptTicket, type TicketStorage } from './kept-ticket.ts';
import { NetworkError, type Problem, type Result } from './result.ts';
import { FastpassSocket } from './socket.ts';
import type { QueuePass, QueuePlace, QueueTicket } from './types.ts';
import { between } from './wait.ts';

export interface WaitOptions {
  /** Told the first place and every change. Positions never grow. */
  readonly onPosition?: (place: QueuePlace) => void;
  /** Told how the place is followed, at first and whenever that changes. */
  readonly onTransport?: (transport: 'socket' | 'polling') => void;
  /** Ends the wait, which rejects with its reason. The place is kept for a minute; `leaveQueue` gives it back. */
  readonly signal?: AbortSignal | undefined;
  /** Keeps the ticket over a reload. It is forgotten when it is over. */
  readonly storage?: TicketStorage | undefined;
  /** Join again, at the end, when the ticket is over (away for more than a minute, a pass not used). */
  readonly rejoins?: boolean;
  /** One that is there already; it stays open, and goes on watching a ticket that was admitted. Else one of its own. */
  readonly socket?: FastpassSocket | undefined;
  /** False: over HTTP alone. */
  readonly usesSocket?: boolean;
  /** Between two looks over HTTP, anywhere between the two: 2000 and 5000 by default. */
  readonly pollMsMin?: number;
  readonly pollMsMax?: number;
}

export type WaitOutcome =
  | ({ readonly status: 'admitted'; readonly ticket: string } & QueuePass)
  /** The room is off: reserve without a pass. */
  | { readonly status: 'open' }
  /** The ticket is over; only without `rejoins`. */
  | { readonly status: 'left' }
  | { readonly status: 'expired' }
  /** No such performance, a token that has ended. */
  | { readonly status: 'refused'; readonly problem: Problem };

/**
 * Joins the queue of a performance, or goes on with the ticket kept in `storage`, and waits. Rejects with the signal's
 * reason, or with NetworkError when there is no ticket yet and the gateway cannot be reached; once there is one, it waits
 * for as long as it takes.
 */
export function waitForPass(
  client: FastpassClient,
  performanceId: number,
  options: WaitOptions = {},
): Promise<WaitOutcome> {
  return new PassWait(client, performanceId, options).run();
}

class PassWait {
  readonly #client: FastpassClient;
  readonly #performanceId: number;
  readonly #options: WaitOptions;
  readonly #socket: FastpassSocket | null;
  readonly #kept: KeptTicket;
  readonly #outcome = Promise.withResolvers<WaitOutcome>();
  /** Aborted when the wait is over, whatever ended it. */
  readonly #over = new AbortController();
  readonly #endings: (() => void)[] = [];
  #ticket: string | null;
  /** A kept ticket may be anybody's; one that the gateway has answered for is the user's own. */
  #isTicketKnown = false;
  #place: QueuePlace | null = null;
  #transport: 'socket' | 'polling' | null = null;
  /** The socket has told of this place, and nothing has happened to it since. */
  #isHeard = false;
  #isListening = false;
  #isAdmitted = false;
  #wake: () => void = () => {};
  /** Begins the pause anew. */
  #pauseAnew: () => void = () => {};

  constructor(client: FastpassClient, performanceId: number, options: WaitOptions) {
    this.#client = client;
    this.#performanceId = performanceId;
    this.#options = options;
    this.#kept = new KeptTicket(options.storage ?? null, performanceId);
    this.#socket = options.usesSocket === false ? null : (options.socket ?? new FastpassSocket(client));
    this.#ticket = this.#kept.read();
  }

  async run(): Promise<WaitOutcome> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    const onAbort = (): void => this.#outcome.reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#endings.push(() => signal?.removeEventListener('abort', onAbort));
    this.#follow().catch((thrown: unknown) => this.#outcome.reject(thrown));
    try {
      return await this.#outcome.promise;
    } finally {
      this.#over.abort();
      this.#wake();
      for (const end of this.#endings) end();
    }
  }

  get #isOver(): boolean {
    return this.#over.signal.aborted;
  }

  /** Asks over HTTP: at first, and whenever the socket does not tell. */
  async #follow(): Promise<void> {
    for (let isFirst = true; !this.#isOver; isFirst = false) {
      if (!this.#isHeard) {
        if (!isFirst || this.#socket === null) this.#tellTransport('polling');
        await this.#ask();
      }
      await this.#pause();
    }
  }

  /** Some seconds, or until something happened that has to be asked about. */
  #pause(): Promise<void> {
    const { pollMsMin = 2000, pollMsMax = 5000 } = this.#options;
    if (this.#isOver) return Promise.resolve();
    return new Promise((resolve) => {
      let timer: ReturnType<typeof setTimeout> | undefined;
      this.#pauseAnew = () => {
        clearTimeout(timer);
        timer = setTimeout(resolve, between(pollMsMin, pollMsMax));
      };
      this.#pauseAnew();
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #ask(): Promise<void> {
    const ticket = this.#ticket;
    const options = { signal: this.#over.signal };
    let result: Result<QueueTicket>;
    try {
      result = await (ticket === null
        ? this.#client.joinQueue(this.#performanceId, null, options)
        : this.#client.ticket(this.#performanceId, ticket, options));
    } catch (thrown) {
      if (this.#isOver) return;
      // The place is in the ticket: the gateway will be back.
      if (ticket === null || !(thrown instanceof NetworkError)) throw thrown;
      return this.#watch(ticket);
    }
    // Where the socket was faster, the answer is about a ticket that is over.
    if (this.#isOver || this.#ticket !== ticket) return;
    if (result.ok) this.#onTicket(result.value);
    else this.#onProblem(result.problem);
    // The ticket was of no use, or is over with `rejoins`: a new one at once.
    if (!this.#isOver && ticket !== null && this.#ticket === null) await this.#ask();
  }

  #onTicket(value: QueueTicket): void {
    switch (value.status) {
      case 'waiting': {
        const { ticket, number, position, etaSeconds, opensAt } = value;
        this.#keep(ticket);
        this.#report({ number, position, etaSeconds, ...(opensAt === undefined ? {} : { opensAt }) });
        return this.#watch(ticket);
      }
      case 'admitted': {
        const { ticket, number, pass, passExpiresAt } = value;
        this.#keep(ticket);
        return this.#finish({ status: 'admitted', ticket, number, pass, passExpiresAt });
      }
      default:
        return this.#onOver(value.status);
    }
  }

  #onProblem(problem: Problem): void {
    const { code, status } = problem;
    if (this.#ticket === null) return this.#finish({ status: 'refused', problem });
    // It passes: too many at once, or a store that is away.
    if (status === 503 || status === 429) return this.#watch(this.#ticket);
    const isForeign = !this.#isTicketKnown && (code === 'forbidden' || code === 'validation_failed');
    if (isForeign) return this.#forget();
    this.#finish({ status: 'refused', problem });
  }

  #onOver(status: 'open' | 'left' | 'expired'): void {
    this.#forget();
    if (status === 'open' || this.#options.rejoins !== true) this.#finish({ status });
  }

  #finish(outcome: WaitOutcome): void {
    this.#isAdmitted = outcome.status === 'admitted';
    this.#outcome.resolve(outcome);
    this.#over.abort();
  }

  /** Follows the ticket over the socket too, from now on. */
  #watch(ticket: string): void {
    const socket = this.#socket;
    if (socket === null || this.#isOver) return;
    if (!this.#isListening) this.#listen(socket);
    socket.open();
    socket.watchQueue(this.#performanceId, ticket);
  }

  #listen(socket: FastpassSocket): void {
    this.#isListening = true;
    const isMine = (event: { readonly performanceId: number }): boolean => event.performanceId === this.#performanceId;
    this.#endings.push(
      socket.onPosition((event) => {
        if (!isMine(event)) return;
        const { performanceId: _, ...place } = event;
        this.#isHeard = true;
        this.#tellTransport('socket');
        this.#report(place);
      }),
      socket.onAdmitted((event) => {
        if (!isMine(event) || this.#ticket === null) return;
        const { number, pass, passExpiresAt } = event;
        if (number === null || pass === null || passExpiresAt === null) return this.#onOver('open');
        this.#finish({ status: 'admitted', ticket: this.#ticket, number, pass, passExpiresAt });
      }),
      socket.onPassExpired((event) => {
        if (!isMine(event)) return;
        this.#onOver(event.status);
        this.#wake();
      }),
      socket.onError(() => {
        // The gateway drops a watch that it cannot look up, unless it has told a position before.
        if (this.#place?.position === null) this.#isHeard = false;
      }),
      socket.onState(({ state }) => {
        // A browser holds back what timers of a hidden tab begin, for up to a minute, and no sign of life may be as late as
        // that: the pause that leads to the next one is begun by the loss itself, not by the pause before it.
        if (state !== 'open' && this.#isHeard) this.#pauseAnew();
        if (state !== 'open') this.#isHeard = false;
        // For good, where the token has ended: HTTP says so.
        if (state === 'closed') this.#wake();
      }),
      () => this.#release(socket),
    );
  }

  #release(socket: FastpassSocket): void {
    if (this.#options.socket === undefined) socket.close();
    else if (!this.#isAdmitted) socket.unwatchQueue(this.#performanceId);
  }

  /** Told where something changed. */
  #report(place: QueuePlace): void {
    const before = this.#place;
    const told = before?.position ?? null;
    // A look that was under way may be older than what the socket has told since.
    const position = told === null ? place.position : Math.min(told, place.position ?? told);
    const now = { ...place, position };
    const isSame =
      before !== null &&
      before.number === now.number &&
      before.position === now.position &&
      before.etaSeconds === now.etaSeconds &&
      before.opensAt === now.opensAt;
    this.#place = now;
    if (!isSame) this.#options.onPosition?.(now);
  }

  #tellTransport(transport: 'socket' | 'polling'): void {
    if (transport === this.#transport) return;
    this.#transport = transport;
    this.#options.onTransport?.(transport);
  }

  #keep(ticket: string): void {
    const isKnown = this.#isTicketKnown && ticket === this.#ticket;
    this.#ticket = ticket;
    this.#isTicketKnown = true;
    if (!isKnown) this.#kept.write(ticket);
  }

  #forget(): void {
    this.#ticket = null;
    this.#isTicketKnown = false;
    this.#isHeard = false;
    // A new ticket has a place of its own.
    this.#place = null;
    this.#socket?.unwatchQueue(this.#performanceId);
    this.#kept.forget();
  }
}
