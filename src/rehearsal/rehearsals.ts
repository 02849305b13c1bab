/**
 * Rehearsal rushes: people played against this gateway itself, over HTTP, with the client that visitors use. Only for
 * performances of demo events, and one a performance at a time, whichever process plays it.
 */
import { randomInt } from 'node:crypto';
import type { Rehearsal, RehearsalRequest } from '../domain/rehearsal.ts';
import { type Clock, sleep } from '../lib/clock.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { within } from '../lib/within.ts';
import type { RedisConnection } from '../lua/connection.ts';
import type { Lease } from '../lua/lease.ts';
import { RehearsalStore } from '../lua/rehearsals.ts';
import type { Database } from '../persist/database.ts';
import { isOfDemo, readPerformance } from '../persist/performances.ts';
import { Lanes } from './lanes.ts';
import { ownUrl } from './own-url.ts';
import { type RehearsalLog, Run } from './run.ts';

export interface RehearsalsOptions {
  readonly clock: Clock;
  readonly connection: RedisConnection;
  readonly database: Database;
  /** What this gateway listens on, once it does. */
  readonly address: () => { readonly host: string; readonly port: number };
  readonly mintToken: (userId: number, seconds: number) => string;
  readonly log: RehearsalLog;
}

export type StartOutcome =
  | { readonly kind: 'started' | 'under_way'; readonly rehearsal: Rehearsal }
  | { readonly kind: 'not_found' | 'no_demo' | 'stopping' };

/**
 * The users of rehearsals: beyond every id that MySQL will give out, and still numbers that JSON keeps whole. Each rehearsal
 * takes a thousand of them at random, so that it meets nothing of the ones before it.
 */
const userIdMin = 9_000_000_000_000_000;
const peopleMax = 1000;
const blocks = Math.floor((Number.MAX_SAFE_INTEGER - userIdMin) / peopleMax);
const tokenSeconds = 120;
const claimTriesMax = 20;
const claimDelayMs = 50;
/** When the gateway stops: to give everything back, and for the last words behind that. */
const stopClosingMs = 2000;
const stopMsMax = 2500;

export class Rehearsals {
  readonly #options: RehearsalsOptions;
  readonly #store: RehearsalStore;
  readonly #lanes = new Lanes();
  readonly #runs = new Set<Run>();
  #isStopping = false;

  constructor(options: RehearsalsOptions) {
    this.#options = options;
    this.#store = new RehearsalStore(options.connection);
  }

  /** Rejects with StoreUnavailable. */
  async start(performanceId: number, request: RehearsalRequest): Promise<StartOutcome> {
    const { database } = this.#options;
    const [performance, isDemo] = await Promise.all([
      readPerformance(database, performanceId),
      isOfDemo(database, performanceId),
    ]);
    if (performance === null) return { kind: 'not_found' };
    if (isDemo !== true) return { kind: 'no_demo' };
    const claim = await this.#claim(performanceId);
    if ('rehearsal' in claim) return { kind: 'under_way', rehearsal: claim.rehearsal };
    const { lease } = claim;
    if (this.#isStopping) {
      await lease.end();
      return { kind: 'stopping' };
    }
    const { clock, address, mintToken, log } = this.#options;
    const { host, port } = address();
    const firstUserId = userIdMin + randomInt(blocks) * peopleMax;
    const run = new Run({
      clock,
      store: this.#store,
      lease,
      lanes: this.#lanes,
      baseUrl: ownUrl(host, port),
      tokenOf: (index) => mintToken(firstUserId + index, tokenSeconds),
      performance,
      request,
      log,
    });
    this.#runs.add(run);
    void run.over.then(() => this.#runs.delete(run));
    return { kind: 'started', rehearsal: await run.begin() };
  }

  /** How the last one goes or went, of whichever process; null when there is no such performance. Rejects with StoreUnavailable. */
  async read(performanceId: number): Promise<Rehearsal | null> {
    const known = await this.#store.read(performanceId);
    if (known !== null) return known;
    const isDemo = await isOfDemo(this.#options.database, performanceId);
    return isDemo === null ? null : noneOf(performanceId);
  }

  /** Ends what runs here, and begins no more. Takes two and a half seconds at most, none where nothing runs. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const runs = [...this.#runs];
    for (const run of runs) run.close(stopClosingMs);
    await within(Promise.all(runs.map(({ over }) => over)), stopMsMax);
  }

  /** The right to play one, or the one that runs. Between a claim and its first state, and behind the last, lies a moment. */
  async #claim(performanceId: number): Promise<{ lease: Lease } | { rehearsal: Rehearsal }> {
    const lease = this.#store.lease(performanceId);
    for (let tries = 0; tries < claimTriesMax; tries++) {
      if (tries > 0) await sleep(this.#options.clock, claimDelayMs);
      if (await lease.take()) return { lease };
      const rehearsal = await this.#store.read(performanceId);
      if (rehearsal?.state === 'running') return { rehearsal };
    }
    throw new StoreUnavailable('redis', `the rehearsal of ${performanceId} is neither there nor free`);
  }
}

function noneOf(performanceId: number): Rehearsal {
  return {
    performanceId,
    state: 'none',
    people: 0,
    places: 0,
    waiting: 0,
    held: 0,
    refused: {},
    failed: 0,
    p50Ms: null,
    p95Ms: null,
    p99Ms: null,
    startedAtMs: null,
    endedAtMs: null,
  };
}
