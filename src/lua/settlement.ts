/**
 * Before a performance is loaded from MySQL, every gateway must have there what it was granted for it: a hold acknowledged
 * before its commit (`held`) would otherwise lose its seat to whoever the load lets in. The loader asks all over pub/sub
 * and counts the answers; the subscriptions say how many to wait for. Nothing of it is kept in Redis, which may be emptied
 * meanwhile. After a loss of Redis the others' subscriptions come back some hundred milliseconds apart: a load waits for them.
 */
import { randomUUID } from 'node:crypto';
import { type Clock, sleep } from '../lib/clock.ts';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import { settleChannel, settledChannel } from './keys.ts';
import type { Bus } from './subscriber.ts';

/** A gateway that does not answer in time is taken for dead; what it left is in the journal, or lost with Redis. */
const waitMsMax = 2000;
const heardAgainPollMs = 20;

/** What the last gateway needs to be back: twice the longest delay between two tries to reconnect. */
export const heldReconnectGraceMs = 1000;

/** The answers to one request, as many as there are gateways. */
interface Answers {
  count: number;
  wanted: number;
  readonly onAll: () => void;
}

export interface SettlementOptions {
  readonly bus: Bus;
  readonly clock: Clock;
  /** Resolves when MySQL has every hold this process was granted for the performance, or is being granted now. */
  readonly settled: (performanceId: number) => Promise<void>;
  /** How long after a gap of the bus the others may not be back; 0 where nothing acknowledged is uncommitted. */
  readonly reconnectGraceMs: number;
  readonly log: { warn(message: string, fields?: Record<string, unknown>): void };
}

export class Settlement {
  readonly #options: SettlementOptions;
  readonly #answersTo = new Map<string, Answers>();

  constructor(options: SettlementOptions) {
    this.#options = options;
  }

  /** Starts to answer other gateways. Rejects with StoreUnavailable. */
  async start(): Promise<void> {
    const { bus } = this.#options;
    await bus.subscribe(settledChannel, (message) => this.#count(message.toString()));
    await bus.subscribe(settleChannel, (message) => void this.#answer(message.toString()));
  }

  /** Resolves when every gateway, this one too, has told MySQL all it was granted. Rejects with StoreUnavailable. */
  async settleEverywhere(performanceId: number): Promise<void> {
    const { bus, clock, log } = this.#options;
    await this.#untilOthersAreBack();
    const request = randomUUID();
    let areAllSettled = false;
    const all = new Promise<void>((resolve) => {
      const onAll = (): void => {
        areAllSettled = true;
        resolve();
      };
      this.#answersTo.set(request, { count: 0, wanted: Number.POSITIVE_INFINITY, onAll });
    });
    try {
      // What PUBLISH returns are those of one node of a cluster. Whoever comes after the count was granted nothing yet.
      const gateways = await bus.subscribersOf(settleChannel);
      await bus.publish(settleChannel, `${performanceId} ${request}`);
      this.#expect(request, gateways);
      let isOwnSettled = false;
      const own = this.#options.settled(performanceId).then(() => {
        isOwnSettled = true;
      });
      await Promise.race([Promise.all([own, all]), sleep(clock, waitMsMax)]);
      if (!isOwnSettled) throw new StoreUnavailable('mysql', 'holds of this performance are not committed yet');
      if (!areAllSettled)
        log.warn('a gateway did not settle a performance in time; it is loaded without', { performanceId });
    } finally {
      this.#answersTo.delete(request);
    }
  }

  /** Rejects with StoreUnavailable when this process hears nothing for long. */
  async #untilOthersAreBack(): Promise<void> {
    const { bus, clock, reconnectGraceMs } = this.#options;
    if (reconnectGraceMs === 0) return;
    const endMs = clock.nowMs() + reconnectGraceMs + waitMsMax;
    for (;;) {
      const sinceMs = bus.heardSinceMs;
      const leftMs = sinceMs === null ? heardAgainPollMs : sinceMs + reconnectGraceMs - clock.nowMs();
      if (leftMs <= 0) return;
      if (clock.nowMs() + leftMs > endMs) throw new StoreUnavailable('redis', 'other gateways are not heard yet');
      await sleep(clock, leftMs);
    }
  }

  /** Answers may come before it is known how many there will be. */
  #expect(request: string, wanted: number): void {
    const answers = this.#answersTo.get(request);
    if (answers === undefined) return;
    answers.wanted = wanted;
    if (answers.count >= wanted) answers.onAll();
  }

  #count(request: string): void {
    const answers = this.#answersTo.get(request);
    if (answers !== undefined && ++answers.count >= answers.wanted) answers.onAll();
  }

  async #answer(message: string): Promise<void> {
    const { bus, settled, log } = this.#options;
    const [performanceId, request = ''] = message.split(' ');
    try {
      await settled(Number(performanceId));
      await bus.publish(settledChannel, request);
    } catch (thrown) {
      log.warn('another gateway was not told of a settlement', { performanceId, error: messageOf(thrown) });
    }
  }
}
