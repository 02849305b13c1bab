/** Both stores, open: the connections of one gateway, how they wait for a store that is not there yet, how they are given back. */
import { sleep, systemClock } from './lib/clock.ts';
import { messageOf, StoreUnavailable } from './lib/errors.ts';
import { within } from './lib/within.ts';
import { RedisConnection, type RedisLog } from './lua/connection.ts';
import { leaseKey } from './lua/keys.ts';
import { Subscriber, type SubscriberLog } from './lua/subscriber.ts';
import { Database } from './persist/database.ts';
import { MysqlHealth } from './persist/health.ts';
import { isMigrated, migrate } from './persist/migrate.ts';

interface StoresLog extends RedisLog, SubscriberLog {
  debug(message: string, fields?: Record<string, unknown>): void;
}

export interface StoreUrls {
  /** More than one: a Redis Cluster. */
  readonly redisUrls: readonly string[];
  readonly mysqlUrl: string;
}

/** For the gateway's reads, cancellations and loads. */
const readConnectionsMax = 8;
const commitConnectionsMax = 4;
/** Payments wait for each other's rows: they must not stand in the way of commits. */
const moneyConnectionsMax = 4;
/** A gateway and its stores may be started together. */
const startWaitMsMax = 15_000;
const startRetryDelayMs = 500;
const usableWaitMsMax = 1000;

/** It answers, but not to us: waiting would not help. */
function isTurnedAway({ message }: Error): boolean {
  return /access denied|unknown database|WRONGPASS|NOAUTH/i.test(message);
}

export class Stores {
  readonly redis: RedisConnection;
  readonly subscriber: Subscriber;
  readonly mysqlHealth: MysqlHealth;
  readonly reads: Database;
  readonly commits: Database;
  readonly money: Database;
  readonly #mysqlUrl: string;
  readonly #log: StoresLog;

  constructor({ redisUrls, mysqlUrl }: StoreUrls, log: StoresLog) {
    this.#mysqlUrl = mysqlUrl;
    this.#log = log;
    this.redis = new RedisConnection(redisUrls, log);
    this.subscriber = new Subscriber(this.redis, log);
    this.mysqlHealth = new MysqlHealth(mysqlUrl, log);
    this.reads = new Database(mysqlUrl, log, readConnectionsMax, this.mysqlHealth);
    this.commits = new Database(mysqlUrl, log, commitConnectionsMax, this.mysqlHealth, true);
    this.money = new Database(mysqlUrl, log, moneyConnectionsMax, this.mysqlHealth);
  }

  /** Connects and migrates; waits for a store that does not answer yet. Rejects with StoreUnavailable after a quarter of a minute. */
  async open(): Promise<void> {
    try {
      await this.#untilThere(async () => {
        const applied = await migrate(this.#mysqlUrl);
        if (applied.length > 0) this.#log.info('migrated', { applied });
      });
      await this.#untilThere(() => this.mysqlHealth.start());
      await this.#untilThere(() => this.redis.connect());
      await this.#untilThere(() => this.subscriber.start());
    } catch (thrown) {
      await this.close();
      throw thrown;
    }
  }

  /** The stores that cannot be used now; what they say of it is for the log alone. Takes a second at most. */
  async unusable(): Promise<string[]> {
    const [isRedis, isMysql] = await Promise.all([
      // A key, since the nodes of a cluster that lost a master still say PONG.
      this.#isUsable('redis', () => this.redis.client.exists(leaseKey)),
      this.#isUsable('mysql', () => isMigrated(this.reads)),
    ]);
    return [...(isRedis ? [] : ['redis']), ...(isMysql ? [] : ['mysql'])];
  }

  /** Closes all after what is under way; never rejects. */
  async close(): Promise<void> {
    this.subscriber.stop();
    await Promise.all([
      this.redis.close(),
      this.mysqlHealth.close(),
      this.reads.close(),
      this.commits.close(),
      this.money.close(),
    ]);
  }

  async #isUsable(store: string, check: () => Promise<unknown>): Promise<boolean> {
    try {
      let isGood = false;
      const answer = check().then((result) => {
        isGood = result !== false;
      });
      // One that has just frozen may keep the check for longer than whoever asks will wait.
      if (!(await within(answer, usableWaitMsMax))) throw new Error('no answer in time');
      return isGood;
    } catch (thrown) {
      this.#log.debug('not ready', { store, error: messageOf(thrown) });
      return false;
    }
  }

  async #untilThere(action: () => Promise<void>): Promise<void> {
    const endMs = performance.now() + startWaitMsMax;
    for (let attempt = 1; ; attempt++) {
      try {
        return await action();
      } catch (thrown) {
        if (!(thrown instanceof StoreUnavailable) || isTurnedAway(thrown) || performance.now() > endMs) throw thrown;
        if (attempt === 1) this.#log.warn('waiting for a store', { store: thrown.store, error: messageOf(thrown) });
        await sleep(systemClock, startRetryDelayMs * (0.5 + Math.random()));
      }
    }
  }
}
