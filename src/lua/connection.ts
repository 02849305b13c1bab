/** The connection to Redis or a Redis Cluster, and the one way to run scripts on it. */
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import type { ScriptCall } from './scripts.ts';

/** A reply of Redis, or the error that one command of a pipeline got. */
export type Reply = unknown;

export interface RedisLog {
  warn(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
}

// Half of the default deadline of a request: a stalled Redis is an answer, not a wait without end.
const commandTimeoutMs = 1000;
const connectTimeoutMs = 2000;
const reconnectDelayMsMax = 500;

const commonOptions = {
  lazyConnect: true,
  // Nothing may wait in the client's own queue: the memory queue has a deadline and a limit, that one has neither.
  enableOfflineQueue: false,
  // A command whose reply was lost may have run. Sending it again behind the back of the caller, who has been told 503,
  // would hold seats for nobody; the journal finds what did run.
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  commandTimeout: commandTimeoutMs,
  // A connection gone silent without an end is given up and made anew.
  socketTimeout: 2 * commandTimeoutMs,
  connectTimeout: connectTimeoutMs,
} satisfies RedisOptions;

/** Grows to half a second, with jitter, for as long as it takes. */
function reconnectDelayMs(attempt: number): number {
  return Math.min(25 * 2 ** Math.min(attempt, 6), reconnectDelayMsMax) * (0.5 + Math.random() / 2);
}

function createClient(urls: readonly string[], autoResubscribe = true): Redis | Cluster {
  const first = urls[0];
  if (first === undefined) throw new RangeError('no Redis URL');
  if (urls.length === 1)
    return new Redis(first, { ...commonOptions, autoResubscribe, retryStrategy: reconnectDelayMs });
  const { password, username, protocol } = new URL(first);
  return new Cluster([...urls], {
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: reconnectDelayMs,
    redisOptions: {
      ...commonOptions,
      autoResubscribe,
      ...(password === '' ? {} : { password: decodeURIComponent(password) }),
      ...(username === '' ? {} : { username: decodeURIComponent(username) }),
      ...(protocol === 'rediss:' ? { tls: {} } : {}),
    },
  });
}

/** One client for everything but blocking reads and subscriptions. */
export class RedisConnection {
  readonly client: Redis | Cluster;
  readonly #urls: readonly string[];
  readonly #log: RedisLog;
  #wasReady = false;
  #isClosing = false;

  constructor(urls: readonly string[], log: RedisLog) {
    this.#urls = urls;
    this.client = createClient(urls);
    this.#log = log;
    this.client.on('ready', () => {
      this.#log.info('redis is ready', { reconnected: this.#wasReady });
      this.#wasReady = true;
    });
    // ioredis reports every failed attempt; one line a loss of the connection is enough for a person.
    this.client.on('close', () => {
      if (this.#wasReady && !this.#isClosing) this.#log.warn('redis connection closed');
    });
    this.client.on('error', (thrown: unknown) => {
      if (!this.#wasReady) this.#log.warn('redis does not answer', { error: messageOf(thrown) });
    });
  }

  get isReady(): boolean {
    return this.client.status === 'ready';
  }

  /** Connects, or rejects with StoreUnavailable when the first attempt fails; later losses reconnect by themselves. */
  async connect(): Promise<void> {
    try {
      await this.client.connect();
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  /** A client of its own for subscriptions, not connected yet: a subscribed connection can do nothing else. */
  createSubscriber(): Redis | Cluster {
    // The subscriber subscribes again by itself. ioredis would too, and leaves a failure of that to nobody: the process ends.
    return createClient(this.#urls, false);
  }

  /** Closes after the replies under way. */
  async close(): Promise<void> {
    this.#isClosing = true;
    try {
      await this.client.quit();
    } catch {
      // Not connected: nothing to say goodbye to.
      this.client.disconnect();
    }
  }

  /**
   * Runs scripts in one pipeline; one reply or Error a call, in order. Never rejects. A script that the server has
   * forgotten is sent again alone, whole: scripts are safe to run late and twice.
   */
  async run(calls: readonly ScriptCall[]): Promise<(Reply | Error)[]> {
    if (!this.isReady) {
      const error = new StoreUnavailable('redis', `connection is ${this.client.status}`);
      return calls.map(() => error);
    }
    // A pipeline of a cluster must stay in one slot group; a script call stays in one by its hash tag.
    if (this.client instanceof Cluster && calls.length > 1) {
      return (await Promise.all(calls.map((call) => this.run([call])))).map((replies) => replies[0]);
    }
    const pipeline = this.client.pipeline();
    for (let i = 0; i < calls.length; i++) {
      const { script, keys, args } = calls[i]!;
      pipeline.callBuffer('EVALSHA', script.sha, script.keyCount, ...keys, ...args);
    }
    try {
      const results = await pipeline.exec();
      const replies: (Reply | Error)[] = new Array(calls.length);
      for (let i = 0; i < calls.length; i++) {
        const result = results?.[i];
        if (result === undefined) replies[i] = new StoreUnavailable('redis', 'the pipeline answered short');
        else if (result[0] === null) replies[i] = result[1];
        else if (result[0].message.startsWith('NOSCRIPT')) replies[i] = await this.#runWhole(calls[i]!);
        else replies[i] = new StoreUnavailable('redis', result[0]);
      }
      return replies;
    } catch (thrown) {
      const error = new StoreUnavailable('redis', thrown);
      return calls.map(() => error);
    }
  }

  /** Runs one script; rejects with StoreUnavailable. */
  async runOne(call: ScriptCall): Promise<Reply> {
    const [reply] = await this.run([call]);
    if (reply instanceof Error) throw reply;
    return reply;
  }

  async #runWhole({ script, keys, args }: ScriptCall): Promise<Reply | Error> {
    try {
      return await this.client.callBuffer('EVAL', script.source, script.keyCount, ...keys, ...args);
    } catch (thrown) {
      return new StoreUnavailable('redis', thrown);
    }
  }
}
