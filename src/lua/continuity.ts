/**
 * Notices a Redis that has gone back in time. A restart with old data, or a replica that lagged behind its master, knows
 * nothing of the last holds and would give their seats out again. Either is another server process than the one this
 * process knew at that place, which its `run_id` says: the performances there are then marked cold, before the first call.
 */
import type { Cluster, Redis } from 'ioredis';
import { StoreUnavailable } from '../lib/errors.ts';
import { performanceKeys, warmPerformancesKey } from './keys.ts';
import { coolCall, coolScript } from './scripts.ts';

export interface ContinuityLog {
  warn(message: string, fields?: Record<string, unknown>): void;
}

const callsPerPipelineMax = 500;

export class Continuity {
  readonly #client: Redis | Cluster;
  readonly #log: ContinuityLog;
  /** By `host:port` of masters. */
  readonly #runIds = new Map<string, string>();
  readonly #known = new WeakSet<Redis>();
  readonly #underWay = new WeakMap<Redis, Promise<void>>();
  #brokenAtMs = Number.NEGATIVE_INFINITY;

  constructor(client: Redis | Cluster, log: ContinuityLog) {
    this.#client = client;
    this.#log = log;
  }

  /** When a server was last found to be another one, by `performance.now()`; -Infinity for never. */
  get brokenAtMs(): number {
    return this.#brokenAtMs;
  }

  /** Whether calls may be sent over this connection. */
  isKnown(node: Redis): boolean {
    return this.#known.has(node);
  }

  /**
   * Makes a connection known; callers at the same time share one check. `adopts`: a server at a place never seen is taken
   * as it is. Rejects with StoreUnavailable: the connection is as unknown as before, and the next caller checks again.
   */
  check(node: Redis, adopts: boolean): Promise<void> {
    if (this.#known.has(node)) return Promise.resolve();
    const underWay = this.#underWay.get(node);
    if (underWay !== undefined) return underWay;
    const check: Promise<void> = this.#check(node, adopts, () => this.#underWay.get(node) === check).finally(() => {
      if (this.#underWay.get(node) === check) this.#underWay.delete(node);
    });
    this.#underWay.set(node, check);
    return check;
  }

  /** The connection was lost: the next one may be to another server. */
  onLost(node: Redis): void {
    this.#known.delete(node);
    this.#underWay.delete(node);
  }

  /** The node follows a master: when it is one again it has what that one had told it by then, under a `run_id` seen before. */
  onReplica(node: Redis): void {
    this.onLost(node);
    this.#runIds.delete(placeOf(node));
  }

  /** `isCurrent` turns false when the connection is lost meanwhile. */
  async #check(node: Redis, adopts: boolean, isCurrent: () => boolean): Promise<void> {
    const place = placeOf(node);
    try {
      const runId = /^run_id:(\w+)/m.exec(await node.info('server'))?.[1];
      if (runId === undefined) throw new Error('INFO names no run_id');
      const before = this.#runIds.get(place);
      if (before !== runId && !(before === undefined && adopts)) {
        this.#brokenAtMs = performance.now();
        const performances = await this.#coolAll(node);
        this.#brokenAtMs = performance.now();
        this.#log.warn('redis is another server than before; its performances are loaded anew', {
          place,
          performances,
        });
      }
      if (!isCurrent()) throw new Error('the connection was lost meanwhile');
      this.#runIds.set(place, runId);
      this.#known.add(node);
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  /** Marks the performances cold that the node has, and returns how many were warm. */
  async #coolAll(node: Redis): Promise<number> {
    // In a cluster the set may be at another node, one that is away itself: then this check has failed, and comes again.
    const ids = (await this.#client.smembers(warmPerformancesKey)).map(Number);
    await node.script('LOAD', coolScript.source);
    let cooled = 0;
    for (let first = 0; first < ids.length; first += callsPerPipelineMax) {
      const pipeline = node.pipeline();
      for (const id of ids.slice(first, first + callsPerPipelineMax)) {
        const { script, keys, args } = coolCall(performanceKeys(id), []);
        pipeline.evalsha(script.sha, keys.length, ...keys, ...args);
      }
      for (const [error, isCooled] of (await pipeline.exec()) ?? []) {
        // The node itself knows best which slots it has: what another one has is refused with MOVED.
        if (error !== null && !error.message.startsWith('MOVED ')) throw error;
        if (isCooled === 1) cooled++;
      }
    }
    return cooled;
  }
}

function placeOf({ options }: Redis): string {
  return `${options.host}:${options.port}`;
}
