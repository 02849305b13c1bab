/** The connection to Redis or a Redis Cluster, and the one way to run scripts on it. */
import { once } from 'node:events';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import { groupByNode, isRedirected } from './cluster.ts';
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
/** A slot on its way from one node to another is found within a few; a node that died, within some more tries. */
const redirectionsMax = 8;
const slotsRefreshIntervalMs = 2000;

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
export function reconnectDelayMs(attempt: number): number {
  return Math.min(25 * 2 ** Math.min(attempt, 6), reconnectDelayMsMax) * (0.5 + Math.random() / 2);
}

/** How every node is spoken to: what the first URL says beside host and port. */
function nodeOptions(urls: readonly string[]) {
  const { password, username, protocol } = new URL(urls[0]!);
  return {
    ...commonOptions,
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

function createClient(urls: readonly string[]): Redis | Cluster {
  if (urls.length === 0) throw new RangeError('no Redis URL');
  if (urls.length === 1) return new Redis(urls[0]!, { ...commonOptions, retryStrategy: reconnectDelayMs });
  return new Cluster([...urls], {
    lazyConnect: true,
    enableOfflineQueue: false,
    clusterRetryStrategy: reconnectDelayMs,
    maxRedirections: redirectionsMax,
    slotsRefreshInterval: slotsRefreshIntervalMs,
    redisOptions: nodeOptions(urls),
  });
}

/** One client for everything but blocking reads and subscriptions. */
export class RedisConnection {
  readonly client: Redis | Cluster;
  /** Scripts sent again: whole, or to the node that has their slot now. */
  readonly counters = { resent: 0 };
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

  /**
   * Connects, or rejects with StoreUnavailable when the first attempt fails; it goes on trying by itself, then and after
   * later losses: called again, it waits for that.
   */
  async connect(): Promise<void> {
    if (this.isReady) return;
    try {
      if (this.client.status === 'wait') await this.client.connect();
      else await once(this.client, 'ready', { signal: AbortSignal.timeout(connectTimeoutMs) });
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  /**
   * A client of its own for subscriptions, not connected yet: a subscribed connection can do nothing else. In a cluster it
   * is one to any node: what is published at one is heard at all. It does not reconnect: the next one may be to another node.
   */
  createSubscriber(): Redis {
    const options = { ...nodeOptions(this.#urls), autoResubscribe: false, retryStrategy: null };
    const { client } = this;
    if (!(client instanceof Cluster)) return new Redis(this.#urls[0]!, options);
    const nodes = client.nodes('all').filter((node) => node.status === 'ready');
    const node = nodes[Math.floor(Math.random() * nodes.length)];
    if (node !== undefined) return new Redis({ ...options, host: node.options.host!, port: node.options.port! });
    return new Redis(this.#urls[Math.floor(Math.random() * this.#urls.length)]!, options);
  }

  /** How many connections have subscribed to a channel, at all nodes that answer. Never rejects. */
  async subscribersOf(channel: string): Promise<number> {
    const { client } = this;
    const nodes = client instanceof Cluster ? client.nodes('all') : [client];
    const counts = await Promise.allSettled(nodes.map((node) => node.pubsub('NUMSUB', channel)));
    let sum = 0;
    for (const count of counts) if (count.status === 'fulfilled') sum += Number(count.value[1]);
    return sum;
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
   * Runs scripts, in one pipeline a node; one reply or Error a call, in order. Never rejects. A script that the server has
   * forgotten, or whose slot has moved, is sent again alone: scripts are safe to run late and twice.
   */
  async run(calls: readonly ScriptCall[]): Promise<(Reply | Error)[]> {
    const { client } = this;
    if (!this.isReady) {
      const error = new StoreUnavailable('redis', `connection is ${client.status}`);
      return calls.map(() => error);
    }
    if (!(client instanceof Cluster)) return this.#runOn(client, calls);
    const replies: (Reply | Error)[] = new Array(calls.length);
    const groups = groupByNode(client, calls);
    await Promise.all(
      groups.map(async ({ node, indexes }) => {
        const part = indexes.map((i) => calls[i]!);
        // A slot without a node that is known: the cluster's client finds it.
        const answers = node === null ? await Promise.all(part.map((call) => this.#runAlone(call))) : null;
        (answers ?? (await this.#runOn(node!, part))).forEach((reply, k) => {
          replies[indexes[k]!] = reply;
        });
      }),
    );
    return replies;
  }

  /** Runs one script; rejects with StoreUnavailable. */
  async runOne(call: ScriptCall): Promise<Reply> {
    const [reply] = await this.run([call]);
    if (reply instanceof Error) throw reply;
    return reply;
  }

  async #runOn(node: Redis, calls: readonly ScriptCall[]): Promise<(Reply | Error)[]> {
    const pipeline = node.pipeline();
    for (let i = 0; i < calls.length; i++) {
      const { script, keys, args } = calls[i]!;
      pipeline.callBuffer('EVALSHA', script.sha, script.keyCount, ...keys, ...args);
    }
    try {
      const results = await pipeline.exec();
      const replies: (Reply | Error | Promise<Reply | Error>)[] = new Array(calls.length);
      for (let i = 0; i < calls.length; i++) {
        const result = results?.[i];
        if (result === undefined) replies[i] = new StoreUnavailable('redis', 'the pipeline answered short');
        else if (result[0] === null) replies[i] = result[1];
        else if (result[0].message.startsWith('NOSCRIPT')) replies[i] = this.#runWhole(calls[i]!);
        else if (isRedirected(result[0])) {
          this.counters.resent++;
          replies[i] = this.#runAlone(calls[i]!);
        } else replies[i] = new StoreUnavailable('redis', result[0]);
      }
      return await Promise.all(replies);
    } catch (thrown) {
      const error = new StoreUnavailable('redis', thrown);
      return calls.map(() => error);
    }
  }

  /** Through the cluster's client, which follows a slot to the node that has it now. */
  async #runAlone(call: ScriptCall): Promise<Reply | Error> {
    const { script, keys, args } = call;
    try {
      return await this.client.callBuffer('EVALSHA', script.sha, script.keyCount, ...keys, ...args);
    } catch (thrown) {
      if (messageOf(thrown).startsWith('NOSCRIPT')) return this.#runWhole(call);
      return new StoreUnavailable('redis', thrown);
    }
  }

  async #runWhole({ script, keys, args }: ScriptCall): Promise<Reply | Error> {
    this.counters.resent++;
    try {
      return await this.client.callBuffer('EVAL', script.source, script.keyCount, ...keys, ...args);
    } catch (thrown) {
      return new StoreUnavailable('redis', thrown);
    }
  }
}
