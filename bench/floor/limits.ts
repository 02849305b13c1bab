/** What the stores can do by themselves: the gateway's own script and statements, with nobody in front of them. */

import { Redis } from 'ioredis';
import { newReservationId } from '../../src/domain/ids.ts';
import type { Performance } from '../../src/domain/performance.ts';
import type { Hold, HoldRequest } from '../../src/domain/reservation.ts';
import type { HoldGroup } from '../../src/domain/stores.ts';
import { RedisConnection } from '../../src/lua/connection.ts';
import { decisionsOf, packRequests } from '../../src/lua/decisions.ts';
import { performanceKeys, warmPerformancesKey } from '../../src/lua/keys.ts';
import { RedisLoadStore } from '../../src/lua/load.ts';
import { runOn } from '../../src/lua/pipeline.ts';
import { holdCall } from '../../src/lua/scripts.ts';
import { Database } from '../../src/persist/database.ts';
import { MysqlLedger } from '../../src/persist/ledger.ts';
import { cpuMsOf } from '../load/process-usage.ts';
import { say } from '../load/progress.ts';
import type { Stoppable } from '../load/stage.ts';

/** As the gateway folds its requests, and as many pipelines as it has under way. */
export const callSize = 100;
const pipelinesMax = 8;
/** As the gateway has under way. */
const transactionsMax = 2;
const callMsMax = 30_000;
const firstUser = 1000;
const price = 1000;
const holdSeconds = 3600;

const log = { info(): void {}, warn: (message: string): void => say(message) };

export interface LimitRun {
  /** Holds. */
  readonly perSecond: number;
  /** Of the store, a hold; null where it was not started here. */
  readonly cpuUs: number | null;
}

export interface Sizes {
  readonly holds: number;
  /** Of a performance. */
  readonly seats: number;
}

/** Runs `work` for every index, `underWay` at a time; resolves with the time it took in milliseconds. */
async function timed(count: number, underWay: number, work: (index: number) => Promise<void>): Promise<number> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  const startMs = performance.now();
  await Promise.all(Array.from({ length: underWay }, lane));
  return performance.now() - startMs;
}

/** One free seat after the other, of one performance after the other, each for another user. */
function requestsOf({ holds, seats }: Sizes, performanceIds: readonly number[]): HoldRequest[] {
  return Array.from({ length: holds }, (_, i) => ({
    reservationId: newReservationId(),
    performanceId: performanceIds[Math.floor(i / seats)]!,
    userId: firstUser + (i % seats),
    seats: [(i % seats) + 1],
    partySize: 0,
    isRepeat: false,
    pass: 0,
  }));
}

/** What `work`, which takes so many milliseconds, takes of the processor: nothing that comes before or behind it. */
async function measured(pid: number | null, holds: number, work: () => Promise<number>): Promise<LimitRun> {
  const beforeMs = cpuMsOf(pid);
  const ms = await work();
  const afterMs = cpuMsOf(pid);
  const cpuUs = beforeMs === null || afterMs === null ? null : ((afterMs - beforeMs) * 1000) / holds;
  return { perSecond: (holds * 1000) / ms, cpuUs };
}

/** Batches of up to `size`, each of one performance. */
function batchesOf<Item extends { readonly performanceId: number }>(items: readonly Item[], size: number): Item[][] {
  const batches: Item[][] = [];
  for (const item of items) {
    const last = batches.at(-1);
    if (last === undefined || last.length === size || last[0]?.performanceId !== item.performanceId) {
      batches.push([item]);
    } else last.push(item);
  }
  return batches;
}

/** hold.lua on one connection, in calls of 100 that are packed beforehand. Its keys are in a database of their own, and go. */
export class RedisLimit implements Stoppable {
  readonly #connection: RedisConnection;
  readonly #loads: RedisLoadStore;
  /** Not the gateway's own: that one gives a call up after a second, which a busy disk may take. */
  readonly #client: Redis;
  readonly #pid: number | null;

  private constructor(url: string, pid: number | null) {
    this.#pid = pid;
    this.#connection = new RedisConnection([url], log);
    this.#loads = new RedisLoadStore(this.#connection);
    this.#client = new Redis(url, { commandTimeout: callMsMax, maxRetriesPerRequest: 0 });
  }

  /** Rejects for a cluster, where one connection is no limit, and when Redis does not answer. */
  static async open(redisUrl: string, pid: number | null): Promise<RedisLimit> {
    if (redisUrl.includes(',')) throw new Error('the limit of Redis is measured on one server, not on a cluster');
    // The gateways look after the journals of their own database: this one they must not find.
    const url = new URL(redisUrl);
    url.pathname = '/1';
    const limit = new RedisLimit(url.href, pid);
    await limit.#connection.connect().catch(async (thrown: unknown) => {
      await limit.stop();
      throw thrown;
    });
    return limit;
  }

  /** Rejects when a hold was not granted. */
  async run(sizes: Sizes): Promise<LimitRun> {
    const { holds, seats } = sizes;
    const performanceIds = Array.from({ length: Math.ceil(holds / seats) }, (_, i) => i + 1);
    for (const performanceId of performanceIds) await this.#warm(performanceId, seats);
    const groups: HoldGroup[] = batchesOf(requestsOf(sizes, performanceIds), callSize).map((requests) => {
      return { performanceId: requests[0]!.performanceId, requests };
    });
    const calls = groups.map(({ performanceId, requests }) => {
      return holdCall([performanceKeys(performanceId)], packRequests([{ performanceId, requests }]));
    });
    const replies: unknown[] = new Array(calls.length);
    const counters = { resent: 0 };
    const result = await measured(this.#pid, holds, () =>
      timed(calls.length, pipelinesMax, async (i) => {
        replies[i] = (await runOn(this.#client, [calls[i]!], counters))[0];
      }),
    );
    const decisions = groups.flatMap((group, i) => decisionsOf([group], replies[i], () => {}).flat());
    await this.#remove(performanceIds);
    const refused = decisions.filter(({ kind }) => kind !== 'held');
    if (refused.length > 0) {
      const first = refused[0]!;
      const why = first.kind === 'failed' ? first.error.message : first.kind;
      throw new Error(`Redis alone did not grant ${refused.length} of ${holds} holds: ${why}`);
    }
    return result;
  }

  async #warm(performanceId: number, seats: number): Promise<void> {
    const performance: Performance = {
      performanceId,
      eventId: 1,
      startsAtMs: Date.now() + 24 * 3600 * 1000,
      bookingOpensAtMs: null,
      bookingClosesAtMs: null,
      price,
      holdSeconds,
      maxReservationsPerUser: seats,
      seating: { kind: 'seated', seats, seatsPerRow: seats },
    };
    const start = await this.#loads.startLoad(performanceId);
    await this.#loads.finishLoad(start, { performance, seats: [], ownerOf: new Map(), reservations: [], room: null });
  }

  async #remove(performanceIds: readonly number[]): Promise<void> {
    const { client } = this.#connection;
    for (const performanceId of performanceIds) {
      const { seatsChannel: _seats, queueChannel: _queue, ...keys } = performanceKeys(performanceId);
      await client.unlink(...Object.values(keys));
    }
    await client.srem(warmPerformancesKey, ...performanceIds);
  }

  async stop(): Promise<void> {
    this.#client.disconnect();
    await this.#connection.close();
  }
}

/** The statements that commit holds, in batches, two transactions at a time as in the gateway. */
export class MysqlLimit implements Stoppable {
  readonly #database: Database;
  readonly #ledger: MysqlLedger;
  readonly #pid: number | null;

  constructor(mysqlUrl: string, pid: number | null) {
    this.#pid = pid;
    this.#database = new Database(mysqlUrl, log, transactionsMax, undefined, true);
    this.#ledger = new MysqlLedger(this.#database);
  }

  /** Of performances in MySQL whose seats are free. Rejects when a hold was not stored. */
  async run(sizes: Sizes, performanceIds: readonly number[], batchSize: number): Promise<LimitRun> {
    const expiresAtMs = Date.now() + holdSeconds * 1000;
    const holds = requestsOf(sizes, performanceIds).map((request): Hold => {
      const { reservationId, performanceId, userId, seats, partySize } = request;
      const hold = { reservationId, performanceId, userId, seats, partySize, versions: [1], amount: price };
      return { ...hold, holdMs: holdSeconds * 1000, expiresAtMs, journal: null, supersedes: [] };
    });
    const batches = batchesOf(holds, batchSize);
    let stored = 0;
    const run = await measured(this.#pid, holds.length, () =>
      timed(batches.length, transactionsMax, async (i) => {
        for (const result of await this.#ledger.persistHolds(batches[i]!)) if (result === 'persisted') stored++;
      }),
    );
    if (stored !== holds.length) throw new Error(`MySQL alone stored ${stored} of ${holds.length} holds`);
    return run;
  }

  async stop(): Promise<void> {
    await this.#database.close();
  }
}
