/**
 * Before a performance is loaded from MySQL, every gateway must have there what it was granted for it: a hold acknowledged
 * before its commit (`held`) would otherwise lose its seat to whoever the load lets in. The loader asks all over pub/sub
 * and counts the answers; PUBLISH says how many to wait for.
 */
import { randomUUID } from 'node:crypto';
import type { Cluster, Redis } from 'ioredis';
import { type Clock, sleep } from '../lib/clock.ts';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';
import { settlementChannel, settlementKey } from './keys.ts';

/** A gateway that does not answer in time is taken for dead; what it left is in the journal, or lost with Redis. */
const waitMsMax = 2000;
const pollIntervalMs = 5;
const answersExpireSeconds = 10;

export interface SettlementOptions {
  readonly connection: RedisConnection;
  readonly clock: Clock;
  /** Resolves when MySQL has every hold this process was granted for the performance. */
  readonly settled: (performanceId: number) => Promise<void>;
  readonly log: { warn(message: string, fields?: Record<string, unknown>): void };
}

export class Settlement {
  readonly #options: SettlementOptions;
  readonly #subscriber: Redis | Cluster;

  constructor(options: SettlementOptions) {
    this.#options = options;
    // It subscribes again by itself after a reconnect.
    this.#subscriber = options.connection.createSubscriber();
    this.#subscriber.on('error', () => {
      // The connection beside it reports the same loss; this one comes back by itself.
    });
    this.#subscriber.on('message', (_channel: string, message: string) => void this.#answer(message));
  }

  /** Starts to answer other gateways. Rejects with StoreUnavailable. */
  async start(): Promise<void> {
    try {
      await this.#subscriber.connect();
      await this.#subscriber.subscribe(settlementChannel);
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  stop(): void {
    this.#subscriber.disconnect();
  }

  /** Resolves when every gateway, this one too, has told MySQL all it was granted. Rejects with StoreUnavailable. */
  async settleEverywhere(performanceId: number): Promise<void> {
    const { connection, clock, log } = this.#options;
    const request = randomUUID();
    const untilMs = clock.nowMs() + waitMsMax;
    try {
      const gateways = await connection.client.publish(settlementChannel, `${performanceId} ${request}`);
      // Whether or not the own subscription is up.
      await this.#options.settled(performanceId);
      for (;;) {
        const answers = Number(await connection.client.get(settlementKey(performanceId, request)));
        if (answers >= gateways) return;
        if (clock.nowMs() > untilMs) break;
        await sleep(clock, pollIntervalMs);
      }
      log.warn('a gateway did not settle a performance in time; it is loaded without', { performanceId });
    } catch (thrown) {
      throw thrown instanceof StoreUnavailable ? thrown : new StoreUnavailable('redis', thrown);
    }
  }

  async #answer(message: string): Promise<void> {
    const { connection, settled, log } = this.#options;
    const [performanceId, request = ''] = message.split(' ');
    try {
      // Replies come in order: behind this one every grant that Redis has made is known here.
      await connection.client.ping();
      await settled(Number(performanceId));
      const key = settlementKey(Number(performanceId), request);
      await connection.client.multi().incr(key).expire(key, answersExpireSeconds).exec();
    } catch (thrown) {
      log.warn('another gateway was not told of a settlement', { performanceId, error: messageOf(thrown) });
    }
  }
}
