/**
 * Joining, looking, leaving: through a memory queue of its own, one script call a room and flush. A ticket that Redis has
 * lost (emptied, or a failover that forgot the last writes) gets its place back by what is signed in it.
 */
import { Batcher, type Pending } from '../batcher/batcher.ts';
import { mysqlUnavailable, overloaded, performanceNotFound, redisUnavailable } from '../batcher/outcomes.ts';
import type { Refusal } from '../domain/reservation.ts';
import type { PlaceDecision, PlaceGroup, RoomLedger, RoomStore } from '../domain/stores.ts';
import type { Place, PlaceRequest } from '../domain/waiting-room.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import { drawNumbers } from './draw.ts';

/** How the ticket stands, or why that cannot be said. */
export type PlaceOutcome = Place | { readonly status: 'refused'; readonly refusal: Refusal };
export type PendingPlace = Pending<PlaceRequest, PlaceOutcome>;

export interface PlacesOptions {
  readonly clock: Clock;
  readonly store: RoomStore;
  readonly ledger: RoomLedger;
  /** Brings a cold performance from MySQL into Redis; rejects when a store is down. */
  readonly warm: (performanceId: number) => Promise<'warm' | 'not_found'>;
  readonly flushDelayMsMax: number;
  readonly depthMax: number;
  readonly log: { error(message: string, fields?: Record<string, unknown>): void };
}

const batchSizeMax = 200;
const pipelinesMax = 4;
/** Draws are asked for again after so long: there may be one by now. */
const drawsFreshMs = 1000;
const roomsKnownMax = 100;

function refused({ refusal }: { readonly refusal: Refusal }): PlaceOutcome {
  return { status: 'refused', refusal };
}
const isOverloaded = refused(overloaded);
const isNotFound = refused(performanceNotFound);
const isRedisAway = refused(redisUnavailable);
const isMysqlAway = refused(mysqlUnavailable);

/** Numbers by arrival, of one room; asked for once for a burst of lost tickets. */
interface KnownDraws {
  readonly untilMs: number;
  readonly numberOf: Promise<(arrival: number) => number>;
}

export class Places {
  readonly queue: Batcher<PlaceRequest, PlaceOutcome>;
  readonly counters = { restored: 0 };
  readonly #options: PlacesOptions;
  readonly #draws = new Map<number, KnownDraws>();
  /** By performance, who waits for its load, in order of arrival. */
  readonly #cold = new Map<number, PendingPlace[]>();

  constructor(options: PlacesOptions) {
    this.#options = options;
    const { clock, flushDelayMsMax, depthMax } = options;
    this.queue = new Batcher<PlaceRequest, PlaceOutcome>({
      clock,
      batchSizeMax,
      flushDelayMsMax,
      depthMax,
      flushesMax: pipelinesMax,
      flush: (batch) => this.#flush(batch),
      overloaded: isOverloaded,
      failed: () => isRedisAway,
    });
  }

  /** Takes a request in; `onOutcome` is called exactly once, possibly before this returns. */
  submit(request: PlaceRequest, deadlineAtMs: number, onOutcome: (outcome: PlaceOutcome) => void): PendingPlace {
    return this.queue.submit(request, deadlineAtMs, onOutcome);
  }

  async #flush(batch: readonly PendingPlace[]): Promise<void> {
    const entriesOf = Map.groupBy(batch, (pending) => pending.item.performanceId);
    const groups: PlaceGroup[] = [...entriesOf].map(([performanceId, entries]) => ({
      performanceId,
      requests: entries.map((pending) => pending.item),
    }));
    const decisions = await this.#options.store.serve(groups);
    groups.forEach(({ performanceId }, g) => {
      const entries = entriesOf.get(performanceId) ?? [];
      const cold = entries.filter((pending, i) => this.#settle(pending, decisions[g]?.[i]));
      if (cold.length > 0) void this.#warm(performanceId, cold);
    });
  }

  /** True when the performance is cold and the request has to wait for its load. */
  #settle(pending: PendingPlace, decision: PlaceDecision | undefined): boolean {
    if (decision?.status === 'cold') return true;
    if (decision === undefined || decision.status === 'failed') pending.settle(isRedisAway);
    else if (decision.status === 'lost' && pending.item.kind === 'look') void this.#restore(pending);
    else pending.settle(decision);
    return false;
  }

  async #warm(performanceId: number, cold: readonly PendingPlace[]): Promise<void> {
    const underWay = this.#cold.get(performanceId);
    if (underWay !== undefined) return void underWay.push(...cold);
    const waiting = [...cold];
    this.#cold.set(performanceId, waiting);
    let outcome: PlaceOutcome = isNotFound;
    try {
      if ((await this.#options.warm(performanceId)) === 'warm') return this.queue.requeue(waiting);
    } catch (thrown) {
      this.#options.log.error('cold performance could not be loaded', { performanceId, error: messageOf(thrown) });
      outcome = isRedisAway;
    } finally {
      this.#cold.delete(performanceId);
    }
    for (const pending of waiting) pending.settle(outcome);
  }

  async #restore(pending: PendingPlace): Promise<void> {
    const { item, deadlineAtMs } = pending;
    try {
      const numberOf = await this.#numbersOf(item.performanceId);
      this.counters.restored++;
      const request: PlaceRequest = { ...item, kind: 'restore', number: numberOf(item.arrival) };
      this.submit(request, deadlineAtMs, (outcome) => void pending.settle(outcome));
    } catch (thrown) {
      this.#options.log.error('a ticket could not be restored', { ...item, error: messageOf(thrown) });
      pending.settle(isMysqlAway);
    }
  }

  /** The numbers that draws gave to tickets; 0 for one that was in none. Rejects with StoreUnavailable. */
  #numbersOf(performanceId: number): Promise<(arrival: number) => number> {
    const nowMs = this.#options.clock.nowMs();
    const known = this.#draws.get(performanceId);
    if (known !== undefined && nowMs < known.untilMs) return known.numberOf;
    if (this.#draws.size >= roomsKnownMax) this.#draws.clear();
    const numberOf = this.#readNumbers(performanceId);
    this.#draws.set(performanceId, { untilMs: nowMs + drawsFreshMs, numberOf });
    return numberOf;
  }

  async #readNumbers(performanceId: number): Promise<(arrival: number) => number> {
    const draws = await this.#options.ledger.readDraws(performanceId);
    const drawn = await Promise.all(draws.map(async (draw) => ({ draw, numbers: await drawNumbers(draw) })));
    return (arrival) => {
      const found = drawn.find(({ draw }) => arrival >= draw.firstArrival && arrival <= draw.lastArrival);
      return found === undefined ? 0 : (found.numbers[arrival - found.draw.firstArrival] ?? 0);
    };
  }
}
