/**
 * One visit to a waiting room, from joining to the end of the turn.
 *
 *   joining -> waiting -> admitted -> over (expired, left)
 *   joining -> joining    no answer, or one that passes: tried again until there is a place
 *   any -> open, refused
 *
 * A hidden tab keeps its place: while the socket is open the gateway counts its user as present, and the socket itself
 * answers the gateway's pings, without a timer of the page. Where there is no socket, each look over HTTP is the sign of
 * life. Browsers hold timers of a hidden tab back to one a minute, which would be too late, only where timer starts timer;
 * the wait for the next look (src/client/queue.ts) is begun by the answer to the one before, or by the loss of the socket,
 * so it stays at some seconds.
 */
import {
  FastpassSocket,
  type Problem,
  type QueuePass,
  type QueuePlace,
  type QueueTicket,
  type Result,
  type TicketStorage,
  type WaitOutcome,
  waitForPass,
} from '../../src/client/index.ts';
import { sentenceOf, sentenceOfFailure } from '../lib/problems.ts';
import { client } from '../lib/session.ts';
import { keepText, keptText } from '../lib/texts.ts';
import { pause } from './pause.ts';
import { advance, type Progress, parseProgress, progressKey } from './progress.ts';

/** A place as it is shown; `progress` is null until there is a position. */
export interface WaitingPlace extends QueuePlace {
  readonly progress: Progress | null;
}

export type Stand =
  | { readonly status: 'joining'; readonly trouble: string }
  | { readonly status: 'waiting'; readonly place: WaitingPlace }
  | ({ readonly status: 'admitted' } & Pick<QueuePass, 'number' | 'passExpiresAt'>)
  /** Whether there was a wait before it. */
  | { readonly status: 'open'; readonly hasWaited: boolean }
  /** Whether it was given up here; else in another tab, or by being away for a minute. */
  | { readonly status: 'left'; readonly isOwnDoing: boolean }
  | { readonly status: 'expired' }
  | { readonly status: 'refused'; readonly problem: Problem };

/** How the place is followed: told by the socket, asked for, or not known yet. */
export type Way = 'socket' | 'polling' | 'connecting';

export interface VisitEvents {
  readonly onStand: (stand: Stand) => void;
  readonly onWay: (way: Way) => void;
  /** The place of an earlier visit was over; this one is new. */
  readonly onNewPlace: () => void;
}

/** The ticket as the seats page finds it. */
const storage: TicketStorage = {
  getItem: keptText,
  setItem: keepText,
  removeItem: (key) => keepText(key, null),
};

/** These pass by themselves. */
const passing: ReadonlySet<string> = new Set(['unavailable', 'overloaded', 'rate_limited']);
const tryAgainMs = 3000;
/** The socket tells when a turn ends; this is for who has none. */
const turnLookMs = 10_000;

export class Visit {
  readonly #performanceId: number;
  readonly #events: VisitEvents;
  readonly #socket = new FastpassSocket(client);
  readonly #over = new AbortController();
  readonly #ticketKey: string;
  readonly #progressKey: string;
  #progress: Progress | null = null;
  #hasWaited = false;
  #isLeaving = false;
  #transport: 'socket' | 'polling' | null = null;
  /** Cuts what is under way short: a wait for the turn, a pause. */
  #cut = new AbortController();

  constructor(performanceId: number, events: VisitEvents) {
    this.#performanceId = performanceId;
    this.#events = events;
    this.#ticketKey = `fastpass.ticket.${performanceId}`;
    this.#progressKey = progressKey(performanceId);
  }

  /** Until `stop`, or until it is over. */
  async run(): Promise<void> {
    const unsubscribe = this.#socket.onState(() => this.#tellWay());
    this.#events.onStand({ status: 'joining', trouble: '' });
    try {
      while (!this.#isStopped && !(await this.#isSettled()));
    } finally {
      unsubscribe();
      this.#socket.close();
    }
  }

  /** The place is kept; `leave` gives it up. */
  stop(): void {
    this.#over.abort();
    this.#cut.abort();
  }

  /** The network is back, or another one: asks at once, instead of when the next try is due. */
  askNow(): void {
    this.#socket.close();
    this.#cut.abort();
  }

  /** Gives the place or the turn back. Null when that is done; else why not, as a sentence. */
  async leave(): Promise<string | null> {
    this.#isLeaving = true;
    try {
      const ticket = storage.getItem(this.#ticketKey) ?? (await this.#ticketOfAccount());
      const result = ticket === null ? null : await client.leaveQueue(this.#performanceId, ticket);
      if (result !== null && !result.ok) return sentenceOf(result.problem);
      this.stop();
      this.#end({ status: 'left', isOwnDoing: true });
      return null;
    } catch (thrown) {
      return sentenceOfFailure(thrown);
    } finally {
      this.#isLeaving = false;
    }
  }

  get #isStopped(): boolean {
    return this.#over.signal.aborted;
  }

  /** Of a browser that keeps nothing: to join again finds the place one has. */
  async #ticketOfAccount(): Promise<string | null> {
    const result = await client.joinQueue(this.#performanceId);
    return result.ok && 'ticket' in result.value ? result.value.ticket : null;
  }

  /** One wait, and the turn after it; false when it has to be begun again. */
  async #isSettled(): Promise<boolean> {
    const hadTicket = storage.getItem(this.#ticketKey) !== null;
    const cut = this.#cutAnew();
    let outcome: WaitOutcome;
    try {
      outcome = await waitForPass(client, this.#performanceId, {
        storage,
        rejoins: false,
        socket: this.#socket,
        signal: cut,
        onPosition: (place) => this.#onPlace(place),
        onTransport: (transport) => this.#onTransport(transport),
      });
    } catch (thrown) {
      if (cut.aborted) return this.#isStopped;
      return this.#tryLater(sentenceOfFailure(thrown));
    }
    return this.#isStopped || this.#onOutcome(outcome, hadTicket);
  }

  #cutAnew(): AbortSignal {
    this.#cut = new AbortController();
    if (this.#isStopped) this.#cut.abort();
    return this.#cut.signal;
  }

  async #onOutcome(outcome: WaitOutcome, hadTicket: boolean): Promise<boolean> {
    switch (outcome.status) {
      case 'admitted':
        return this.#followTurn(outcome);
      case 'refused':
        if (passing.has(outcome.problem.code)) return this.#tryLater(sentenceOf(outcome.problem));
        return this.#end(outcome);
      case 'open':
        return this.#end({ status: 'open', hasWaited: this.#hasWaited });
      default:
        if (!hadTicket || this.#hasWaited) return this.#end(this.#overAs(outcome.status));
        // Over before this page was opened: who opens it wants to wait.
        this.#events.onNewPlace();
        return false;
    }
  }

  #overAs(status: 'left' | 'expired'): Stand {
    return status === 'left' ? { status, isOwnDoing: this.#isLeaving } : { status };
  }

  #end(stand: Stand): true {
    if (stand.status !== 'refused') {
      storage.removeItem?.(this.#ticketKey);
      keepText(this.#progressKey, null);
    }
    this.#events.onStand(stand);
    return true;
  }

  #onPlace(place: QueuePlace): void {
    this.#hasWaited = true;
    let progress: Progress | null = null;
    if (place.position !== null) {
      const ticket = storage.getItem(this.#ticketKey) ?? '';
      progress = advance(this.#progress ?? parseProgress(keptText(this.#progressKey)), ticket, place.position);
      this.#progress = progress;
      keepText(this.#progressKey, JSON.stringify(progress));
    }
    this.#events.onStand({
      status: 'waiting',
      place: { ...place, position: progress?.position ?? null, progress },
    });
  }

  #onTransport(transport: 'socket' | 'polling'): void {
    this.#transport = transport;
    this.#tellWay();
  }

  #tellWay(): void {
    const isOpen = this.#socket.state === 'open';
    if (this.#transport === 'socket') this.#events.onWay(isOpen ? 'socket' : 'connecting');
    else this.#events.onWay(this.#transport ?? 'connecting');
  }

  async #tryLater(trouble: string): Promise<false> {
    this.#events.onStand({ status: 'joining', trouble });
    await pause(tryAgainMs, this.#cutAnew());
    return false;
  }

  /** The turn lasts until the gateway says that it is over; false when there is a place to wait for again. */
  async #followTurn({ number, ticket, passExpiresAt }: Extract<WaitOutcome, { status: 'admitted' }>): Promise<boolean> {
    this.#hasWaited = true;
    keepText(this.#progressKey, null);
    this.#events.onStand({ status: 'admitted', number, passExpiresAt });
    const unsubscribe = this.#socket.onPassExpired(() => this.#cut.abort());
    try {
      while (!this.#isStopped) {
        const cut = this.#cutAnew();
        this.#socket.open();
        this.#socket.watchQueue(this.#performanceId, ticket);
        await pause(turnLookMs, cut);
        const look = await this.#lookAt(ticket);
        if (this.#isStopped || look === null) continue;
        if (!look.ok) {
          if (passing.has(look.problem.code)) continue;
          return this.#end({ status: 'refused', problem: look.problem });
        }
        const now = look.value;
        if (now.status === 'waiting') return false;
        if (now.status === 'open') return this.#end({ status: 'open', hasWaited: true });
        if (now.status !== 'admitted') return this.#end(this.#overAs(now.status));
        this.#events.onStand({ status: 'admitted', number: now.number, passExpiresAt: now.passExpiresAt });
      }
      return true;
    } finally {
      unsubscribe();
    }
  }

  /** Null where there is no answer: the next look may have one. */
  async #lookAt(ticket: string): Promise<Result<QueueTicket> | null> {
    try {
      return await client.ticket(this.#performanceId, ticket, { signal: this.#over.signal });
    } catch {
      return null;
    }
  }
}
