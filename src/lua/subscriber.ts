/** What other processes publish: one connection of its own, since a subscribed one can do nothing else. */
import type { Redis } from 'ioredis';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import { type RedisConnection, reconnectDelayMs } from './connection.ts';

export type OnMessage = (message: Buffer) => void;

/** How the gateways speak with each other. All reject with StoreUnavailable. */
export interface Bus {
  subscribe(channel: string, onMessage: OnMessage): Promise<void>;
  publish(channel: string, message: string): Promise<void>;
  /** How many will hear what is published now. */
  subscribersOf(channel: string): Promise<number>;
  /**
   * Since when everything published is heard here, by `performance.now()`: the end of the last gap, -Infinity where there
   * was none, null in one.
   */
  readonly heardSinceMs: number | null;
}

export interface SubscriberLog {
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** Nobody may publish for hours: a connection that has gone silent for good is found out by this. */
const pingIntervalMs = 2000;

export class Subscriber {
  readonly #connection: RedisConnection;
  readonly #log: SubscriberLog;
  readonly #handlers = new Map<string, OnMessage>();
  readonly #onGap: (() => void)[] = [];
  #client: Redis | null = null;
  #timer: NodeJS.Timeout | null = null;
  #attempt = 0;
  #gapEndedAtMs = Number.NEGATIVE_INFINITY;
  #isStopped = false;

  constructor(connection: RedisConnection, log: SubscriberLog) {
    this.#connection = connection;
    this.#log = log;
  }

  /** Connects. Rejects with StoreUnavailable; later losses reconnect by themselves, in a cluster to whichever node answers. */
  async start(): Promise<void> {
    try {
      await this.#connect();
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#client?.disconnect();
  }

  /**
   * Calls `onMessage` for every message of a channel, from when this resolves on. Rejects with StoreUnavailable; the
   * subscription is then made up for once Redis is back.
   */
  async subscribe(channel: string, onMessage: OnMessage): Promise<void> {
    this.#handlers.set(channel, onMessage);
    try {
      if (this.#client === null) throw new Error('not connected');
      await this.#client.subscribe(channel);
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  /** Ends a subscription; where Redis does not answer, its messages meet nobody. */
  unsubscribe(channel: string): void {
    if (!this.#handlers.delete(channel)) return;
    this.#client?.unsubscribe(channel).catch(() => {
      // The connection is gone, and its subscriptions with it; the next one asks only for those that are wanted.
    });
  }

  /** As `Bus.heardSinceMs`. */
  get heardSinceMs(): number | null {
    return this.#client === null ? null : this.#gapEndedAtMs;
  }

  /** Calls `listener` after a loss of the connection: messages may have been missed. */
  onGap(listener: () => void): void {
    this.#onGap.push(listener);
  }

  /** A new connection with all that is subscribed to; rejects when there is none to be had. */
  async #connect(): Promise<void> {
    const client = this.#connection.createSubscriber();
    client.on('error', () => {
      // The connection beside it reports the same loss.
    });
    client.on('messageBuffer', (channel: Buffer, message: Buffer) => this.#receive(channel.toString(), message));
    try {
      await client.connect();
      const channels = [...this.#handlers.keys()];
      if (channels.length > 0) await client.subscribe(...channels);
    } catch (thrown) {
      client.disconnect();
      throw thrown;
    }
    if (this.#isStopped) return client.disconnect();
    this.#client = client;
    this.#attempt = 0;
    client.once('close', () => {
      this.#client = null;
      this.#reconnectLater();
    });
    this.#pingLater(client);
  }

  #reconnectLater(): void {
    if (this.#isStopped) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#reconnect(), reconnectDelayMs(++this.#attempt));
    this.#timer.unref();
  }

  async #reconnect(): Promise<void> {
    try {
      await this.#connect();
    } catch (thrown) {
      this.#log.warn('subscriptions are not back yet', { error: messageOf(thrown) });
      return this.#reconnectLater();
    }
    this.#gapEndedAtMs = performance.now();
    for (const listener of this.#onGap) listener();
  }

  #pingLater(client: Redis): void {
    this.#timer = setTimeout(() => {
      client.ping().then(
        () => client === this.#client && this.#pingLater(client),
        () => client.disconnect(),
      );
    }, pingIntervalMs);
    this.#timer.unref();
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

/** The bus over Redis. */
export class RedisBus implements Bus {
  readonly #connection: RedisConnection;
  readonly #subscriber: Subscriber;

  constructor(connection: RedisConnection, subscriber: Subscriber) {
    this.#connection = connection;
    this.#subscriber = subscriber;
  }

  subscribe(channel: string, onMessage: OnMessage): Promise<void> {
    return this.#subscriber.subscribe(channel, onMessage);
  }

  publish(channel: string, message: string): Promise<void> {
    return publish(this.#connection, channel, message);
  }

  subscribersOf(channel: string): Promise<number> {
    return this.#connection.subscribersOf(channel);
  }
  /** Another server was not told of the subscriptions either, whether or not this process has lost its own. */
  get heardSinceMs(): number | null {
    const sinceMs = this.#subscriber.heardSinceMs;
    return sinceMs === null ? null : Math.max(sinceMs, this.#connection.brokenAtMs);
  }
}
