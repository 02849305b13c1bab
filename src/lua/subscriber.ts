/** What other processes publish: one connection of its own, since a subscribed one can do nothing else. */
import type { Cluster, Redis } from 'ioredis';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';

export type OnMessage = (message: Buffer) => void;

export interface SubscriberLog {
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

export class Subscriber {
  readonly #client: Redis | Cluster;
  readonly #log: SubscriberLog;
  readonly #handlers = new Map<string, OnMessage>();
  readonly #onGap: (() => void)[] = [];
  #wasReady = false;

  constructor(connection: RedisConnection, log: SubscriberLog) {
    this.#log = log;
    this.#client = connection.createSubscriber();
    this.#client.on('error', () => {
      // The connection beside it reports the same loss; this one comes back by itself.
    });
    this.#client.on('messageBuffer', (channel: Buffer, message: Buffer) => this.#receive(channel.toString(), message));
    this.#client.on('ready', () => {
      if (this.#wasReady) void this.#resume();
      this.#wasReady = true;
    });
  }

  /** Connects. Rejects with StoreUnavailable; later losses reconnect by themselves. */
  async start(): Promise<void> {
    try {
      await this.#client.connect();
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  stop(): void {
    this.#client.disconnect();
  }

  /** Calls `onMessage` for every message of a channel, from when this resolves on. Rejects with StoreUnavailable. */
  async subscribe(channel: string, onMessage: OnMessage): Promise<void> {
    this.#handlers.set(channel, onMessage);
    try {
      await this.#client.subscribe(channel);
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  /** Ends a subscription; where Redis does not answer, its messages meet nobody. */
  unsubscribe(channel: string): void {
    if (!this.#handlers.delete(channel)) return;
    this.#client.unsubscribe(channel).catch(() => {
      // The connection is gone, and its subscriptions with it; #resume asks only for those that are wanted.
    });
  }

  /** Calls `listener` after a loss of the connection: messages may have been missed. */
  onGap(listener: () => void): void {
    this.#onGap.push(listener);
  }

  /** Subscribes to what is wanted now: a subscription that failed while Redis was away is made up for. */
  async #resume(): Promise<void> {
    try {
      const channels = [...this.#handlers.keys()];
      if (channels.length > 0) await this.#client.subscribe(...channels);
      for (const listener of this.#onGap) listener();
    } catch (thrown) {
      // Lost again; the next connection does it.
      this.#log.warn('subscriptions are not back yet', { error: messageOf(thrown) });
    }
  }

  #receive(channel: string, message: Buffer): void {
    try {
      this.#handlers.get(channel)?.(message);
    } catch (thrown) {
      this.#log.error('a message was not understood', { channel, error: messageOf(thrown) });
    }
  }
}

/** Tells every process that has subscribed. Rejects with StoreUnavailable. */
export async function publish(connection: RedisConnection, channel: string, message: string): Promise<void> {
  try {
    await connection.client.publish(channel, message);
  } catch (thrown) {
    throw new StoreUnavailable('redis', thrown);
  }
}
