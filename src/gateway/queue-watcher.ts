/** One socket's watch over one ticket: what the room tells it becomes frames. */
import type { Clock } from '../lib/clock.ts';
import type { Histogram } from '../lib/histogram.ts';
import type { PlaceOutcome } from '../waiting-room/places.ts';
import type { QueueTokens, Ticket } from '../waiting-room/tokens.ts';
import type { Watcher, WatcherState } from '../waiting-room/watch.ts';
import type { Client } from './socket-client.ts';

export class QueueWatcher implements Watcher {
  readonly performanceId: number;
  readonly userId: number;
  readonly arrival: number;
  state: WatcherState = 'asked';
  number: number | null = null;
  position: number | null = null;
  missed = 0;
  readonly #client: Client;
  readonly #tokens: QueueTokens;
  readonly #clock: Clock;
  readonly #etaErrors: Histogram;
  /** When it would be admitted as first told; null before, and once it was. */
  #expectedAtMs: number | null = null;

  /** `etaErrors`: seconds by which the first time told was wrong, observed at the admission. */
  constructor(client: Client, tokens: QueueTokens, ticket: Ticket, clock: Clock, etaErrors: Histogram) {
    this.#clock = clock;
    this.#etaErrors = etaErrors;
    this.#client = client;
    this.#tokens = tokens;
    this.performanceId = ticket.performanceId;
    this.userId = ticket.userId;
    this.arrival = ticket.arrival;
  }

  onPosition(number: number | null, position: number | null, eta: number | null, opensAtMs: number | null): void {
    const { performanceId } = this;
    if (eta !== null) this.#expectedAtMs ??= this.#clock.nowMs() + eta * 1000;
    if (this.#client.isMsgpack || opensAtMs !== null) {
      const opens = opensAtMs === null ? {} : { opensAt: new Date(opensAtMs).toISOString() };
      this.#client.say({ type: 'queue.position', performanceId, number, position, etaSeconds: eta, ...opens });
      return;
    }
    // The frame of every tick, put together by hand: all of it are numbers of ours.
    this.#client.send(
      `{"type":"queue.position","performanceId":${performanceId},"number":${number},"position":${position},"etaSeconds":${eta}}`,
    );
  }

  onAdmitted(number: number | null, passEndsAtMs: number | null): void {
    const { performanceId, userId } = this;
    if (this.#expectedAtMs !== null && number !== null) {
      this.#etaErrors.observe(Math.abs(this.#clock.nowMs() - this.#expectedAtMs) / 1000);
    }
    this.#expectedAtMs = null;
    const pass = number === null ? null : this.#tokens.signPass({ performanceId, userId, number });
    const passExpiresAt = passEndsAtMs === null ? null : new Date(passEndsAtMs).toISOString();
    this.#client.say({ type: 'queue.admitted', performanceId, number, pass, passExpiresAt });
  }

  onOver(status: 'left' | 'expired'): void {
    this.#client.watchers.delete(this.performanceId);
    this.#client.say({ type: 'queue.expired', performanceId: this.performanceId, status });
  }

  onRefused({ refusal }: Extract<PlaceOutcome, { status: 'refused' }>): void {
    this.#client.watchers.delete(this.performanceId);
    this.#client.sayError(refusal.code, refusal.detail);
  }
}
