/** The connection to Redis or a Redis Cluster, and the one way to run scripts on it. */
import { once } from 'node:events';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { sleep, systemClock } from '../lib/clock.ts';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import { within } from '../lib/within.ts';
import { groupByNode, nodeAt, refreshSlots } from './cluster.ts';
import { Continuity } from './continuity.ts';
import { Redirected, type Reply, runOn } from './pipeline.ts';
import type { ScriptCall } from './scripts.ts';

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
const redirectionDelayMs = 100;
const redirectionWaitMsMax = 1000;
const slotsRefreshWaitMsMax = 300;
const checkWaitMsMax = 1000;
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
  readonly #continuity: Continuity;
  #hasAdopted = false;
  #wasReady = false;
  #isClosing = false;

  constructor(urls: readonly string[], log: RedisLog) {
    this.#urls = urls;
    this.client = createClient(urls);
    this.#log = log;
    this.#continuity = new Continuity(this.client, log);
    const { client } = this;
    if (client instanceof Cluster) {
      client.on('ready', () => {
        this.#log.info('redis is ready', { reconnected: this.#wasReady });
        this.#wasReady = true;
      });
      client.on('refresh', () => {
        for (const node of client.nodes('slave')) this.#continuity.onReplica(node);
      });
    } else {
      client.on('ready', () => void this.#checkUntilKnown(client));
      client.on('close', () => this.#continuity.onLost(client));
    }
    // ioredis reports every failed attempt; one line a loss of the connection is enough for a person.
    this.client.on('close', () => {
      if (this.#wasReady && !this.#isClosing) this.#log.warn('redis connection closed');
    });
    this.client.on('error', (thrown: unknown) => {
      if (!this.#wasReady) this.#log.warn('redis does not answer', { error: messageOf(thrown) });
    });
  }

  get isCluster(): boolean {
    return this.client instanceof Cluster;
  }

  /** A connection to a server not checked yet is not ready. */
  get isReady(): boolean {
    const { client } = this;
    return client.status === 'ready' && (client instanceof Cluster || this.#continuity.isKnown(client));
  }

  /** When Redis was last found to be another server than before, by `performance.now()`; -Infinity for never. */
  get brokenAtMs(): number {
    return this.#continuity.brokenAtMs;
  }

  /**
   * Connects, or rejects with StoreUnavailable when the first attempt fails; it goes on trying by itself, then and after
   * later losses: called again, it waits for that.
   */
  async connect(): Promise<void> {
    try {
      if (this.client.status === 'wait') await this.client.connect();
      else if (this.client.status !== 'ready')
        await once(this.client, 'ready', { signal: AbortSignal.timeout(connectTimeoutMs) });
      await this.#adopt();
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
   * forgotten, or whose slot has moved, is sent again: scripts are safe to run late and twice.
   */
  async run(calls: readonly ScriptCall[]): Promise<(Reply | Error)[]> {
    const { client } = this;
    if (!this.isReady) {
      const error = new StoreUnavailable('redis', `connection is ${client.status}`);
      return calls.map(() => error);
    }
    const replies =
      client instanceof Cluster ? await this.#runOnCluster(client, calls) : await runOn(client, calls, this.counters);
    for (let i = 0; i < replies.length; i++) {
      const reply = replies[i];
      if (reply instanceof Redirected) replies[i] = new StoreUnavailable('redis', reply);
    }
    return replies;
  }

  /** Runs one script; rejects with StoreUnavailable. */
  async runOne(call: ScriptCall): Promise<Reply> {
    const [reply] = await this.run([call]);
    if (reply instanceof Error) throw reply;
    return reply;
  }

  /** What is redirected is sent again where its slot has gone: not by the cluster's client, which sends to nodes unchecked. */
  async #runOnCluster(cluster: Cluster, calls: readonly ScriptCall[]): Promise<(Reply | Error)[]> {
    const replies = await this.#runByNode(cluster, calls);
    const endMs = performance.now() + redirectionWaitMsMax;
    for (let attempt = 1; attempt <= redirectionsMax && performance.now() < endMs && !this.#isClosing; attempt++) {
      const open = [...replies.keys()].filter((i) => replies[i] instanceof Redirected);
      if (open.length === 0) break;
      this.counters.resent += open.length;
      if (attempt > 1) await sleep(systemClock, redirectionDelayMs);
      await within(refreshSlots(cluster), slotsRefreshWaitMsMax);
      const asked = open.map((i) => {
        const { askAt } = replies[i] as Redirected;
        return askAt === null ? null : nodeAt(cluster, askAt);
      });
      const rest = open.filter((_, k) => asked[k] === null);
      const again = this.#runByNode(
        cluster,
        rest.map((i) => calls[i]!),
      );
      await Promise.all(
        open.map(async (i, k) => {
          const node = asked[k]!;
          replies[i] =
            node === null ? (await again)[rest.indexOf(i)] : (await this.#runOnNode(node, [calls[i]!], true))[0];
        }),
      );
    }
    return replies;
  }

  async #runByNode(cluster: Cluster, calls: readonly ScriptCall[]): Promise<(Reply | Error)[]> {
    const replies: (Reply | Error)[] = new Array(calls.length);
    await Promise.all(
      groupByNode(cluster, calls).map(async ({ node, indexes }) => {
        const part = indexes.map((i) => calls[i]!);
        const answers = node === null ? null : await this.#runOnNode(node, part, false);
        for (let k = 0; k < indexes.length; k++) {
          replies[indexes[k]!] = answers === null ? new Redirected('no node is known for the slot') : answers[k];
        }
      }),
    );
    return replies;
  }

  /**
   * Waits while the node is checked: a new connection to a node that is the one it was is ordinary, and takes one round
   * trip. Calls to other nodes go on.
   */
  async #runOnNode(node: Redis, calls: readonly ScriptCall[], isAsking: boolean): Promise<(Reply | Error)[]> {
    if (!this.#continuity.isKnown(node)) {
      try {
        if (!(await within(this.#continuity.check(node, false), checkWaitMsMax)))
          throw new Error('it is being checked');
      } catch (thrown) {
        const error = thrown instanceof StoreUnavailable ? thrown : new StoreUnavailable('redis', thrown);
        return calls.map(() => error);
      }
    }
    return runOn(node, calls, this.counters, isAsking);
  }

  /** The one connection is checked until it is known; meanwhile calls fail at once, as while it was away. */
  async #checkUntilKnown(client: Redis): Promise<void> {
    for (let attempt = 1; client.status === 'ready' && !this.#isClosing; attempt++) {
      try {
        await this.#continuity.check(client, true);
        this.#log.info('redis is ready', { reconnected: this.#wasReady });
        this.#wasReady = true;
        return;
      } catch (thrown) {
        this.#log.warn('redis could not be checked yet', { error: messageOf(thrown) });
        await sleep(systemClock, reconnectDelayMs(attempt));
      }
    }
  }

  /** The masters that a process meets first are taken as they are. */
  async #adopt(): Promise<void> {
    const { client } = this;
    if (!(client instanceof Cluster)) return this.#continuity.check(client, true);
    if (this.#hasAdopted) return;
    this.#hasAdopted = true;
    // One that does not answer is checked before its first call.
    await Promise.allSettled(client.nodes('master').map((node) => this.#continuity.check(node, true)));
  }
}
