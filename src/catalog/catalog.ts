/** Events, performances and seat maps for the gateway. Redis first; MySQL answers where Redis is away. */
import { randomUUID } from 'node:crypto';
import type { Event, Performance, PerformancePlan } from '../domain/performance.ts';
import { type SeatStatus, seatStatusName } from '../domain/reservation.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { ReadCache } from '../lib/read-cache.ts';
import type { RedisConnection } from '../lua/connection.ts';
import { readRemaining, readRevision, readTakenSeats } from '../lua/seats.ts';
import type { Database } from '../persist/database.ts';
import * as sql from '../persist/performances.ts';
import type { Warmer, WarmResult } from './warm.ts';

export interface PerformanceView {
  readonly performance: Performance;
  readonly remaining: number;
}

/** Seats that are not available, and a name for this state of all seats. */
export interface SeatMap {
  readonly performance: Performance;
  readonly revision: string;
  readonly taken: ReadonlyMap<number, SeatStatus>;
}

const entriesMax = 10_000;
const eventsFreshMs = 3_600_000;
const performancesFreshMs = 1_800_000;
const countsFreshMs = 1000;

/** What has changed, as gateways tell each other: all events, or the performances of one. */
export type CatalogChange = 'events' | number;

export class Catalog {
  readonly #connection: RedisConnection;
  readonly #database: Database;
  readonly #warmer: Warmer;
  readonly #publish: (change: CatalogChange) => Promise<void>;
  readonly #eventList: ReadCache<'events', readonly Event[]>;
  readonly #events: ReadCache<number, Event>;
  readonly #performances: ReadCache<number, Performance>;
  /** Free places by MySQL, while Redis does not know the performance. */
  readonly #counts: ReadCache<number, { readonly places: number }>;
  /** By event. */
  readonly #performanceLists: ReadCache<number, readonly Performance[]>;

  /** `publish` tells every gateway of a change, this one too. */
  constructor(
    connection: RedisConnection,
    database: Database,
    warmer: Warmer,
    publish: (change: CatalogChange) => Promise<void>,
  ) {
    this.#connection = connection;
    this.#database = database;
    this.#warmer = warmer;
    this.#publish = publish;
    const events = { entriesMax, freshMs: eventsFreshMs };
    const performances = { entriesMax, freshMs: performancesFreshMs };
    this.#eventList = new ReadCache<'events', readonly Event[]>({ ...events, read: () => sql.listEvents(database) });
    this.#events = new ReadCache({ ...events, read: (id) => sql.readEvent(database, id) });
    this.#performances = new ReadCache({ ...performances, read: (id) => this.#readPerformanceRow(id) });
    this.#counts = new ReadCache({ entriesMax, freshMs: countsFreshMs, read: (id) => this.#countPlaces(id) });
    this.#performanceLists = new ReadCache<number, readonly Performance[]>({
      ...performances,
      read: (id) => sql.listPerformances(database, id),
    });
  }

  /** A gateway has changed the catalogue. */
  onChange(change: CatalogChange): void {
    if (change === 'events') this.#eventList.drop('events');
    else this.#performanceLists.drop(change);
  }

  /** Changes may have been missed. */
  forget(): void {
    this.#eventList.clear();
    this.#performanceLists.clear();
  }

  async createEvent(name: string, description: string | null, isDemo: boolean): Promise<Event | null> {
    const eventId = await sql.insertEvent(this.#database, name, description, isDemo);
    await this.#tell('events');
    return this.#events.get(eventId);
  }

  async listEvents(): Promise<readonly Event[]> {
    return (await this.#eventList.get('events')) ?? [];
  }

  /** Stores the performance with its seats and warms it. Null when there is no such event. */
  async createPerformance(plan: PerformancePlan): Promise<PerformanceView | null> {
    if ((await this.#events.get(plan.eventId)) === null) return null;
    const performanceId = await sql.insertPerformance(this.#database, plan);
    this.#warmer.unknown.delete(performanceId);
    await this.#tell(plan.eventId);
    await this.#warmIfPossible(performanceId);
    return this.readPerformance(performanceId);
  }

  /** Null when there is no such event. */
  async listPerformances(eventId: number): Promise<PerformanceView[] | null> {
    if ((await this.#events.get(eventId)) === null) return null;
    return this.#withRemaining((await this.#performanceLists.get(eventId)) ?? []);
  }

  async readPerformance(performanceId: number): Promise<PerformanceView | null> {
    const performance = await this.#performance(performanceId);
    return performance === null ? null : (await this.#withRemaining([performance]))[0]!;
  }

  /** The seats now; `known` is the revision the client has: where it still holds, `taken` is not read. */
  async readSeats(performanceId: number, known: string | null): Promise<SeatMap | null> {
    const performance = await this.#performance(performanceId);
    if (performance === null) return null;
    try {
      let revision = await readRevision(this.#connection, performanceId);
      if (revision === null) {
        await this.#warmer.warm(performanceId);
        revision = await readRevision(this.#connection, performanceId);
      }
      if (revision !== null) {
        // The revision is read before the seats: a change in between makes the next read differ, never the reverse.
        const taken = revision === known ? new Map() : await readTakenSeats(this.#connection, performanceId);
        return { performance, revision, taken };
      }
    } catch (thrown) {
      if (!(thrown instanceof StoreUnavailable)) throw thrown;
    }
    const taken = new Map<number, SeatStatus>();
    for (const { seat, status } of await sql.readChangedSeats(this.#database, performanceId)) {
      const name = seatStatusName(status);
      if (name !== 'AVAILABLE') taken.set(seat, name);
    }
    return { performance, revision: randomUUID(), taken };
  }

  /** Warms by request. Rejects with StoreUnavailable. */
  warm(performanceId: number): Promise<WarmResult> {
    return this.#warmer.warm(performanceId);
  }

  /** Warms what is on sale soon, at the start of a process; the soonest first. Returns how many had been cold. */
  async warmUpcoming(countMax: number): Promise<number> {
    let warmed = 0;
    for (const performanceId of await sql.listUpcoming(this.#database, countMax)) {
      if ((await this.#warmer.warm(performanceId)) === 'warmed') warmed++;
    }
    return warmed;
  }

  /** Here at once, and on every gateway that hears it; where Redis is away the others learn it when the entry is old. */
  async #tell(change: CatalogChange): Promise<void> {
    this.onChange(change);
    try {
      await this.#publish(change);
    } catch (thrown) {
      if (!(thrown instanceof StoreUnavailable)) throw thrown;
    }
  }

  #performance(performanceId: number): Promise<Performance | null> {
    // Ids that exist nowhere are remembered for a moment, so that a burst for one costs one look-up.
    if (this.#warmer.unknown.has(performanceId)) return Promise.resolve(null);
    return this.#performances.get(performanceId);
  }

  async #readPerformanceRow(performanceId: number): Promise<Performance | null> {
    const performance = await sql.readPerformance(this.#database, performanceId);
    if (performance === null) this.#warmer.unknown.add(performanceId);
    return performance;
  }

  async #withRemaining(performances: readonly Performance[]): Promise<PerformanceView[]> {
    let remaining: (number | null)[] = [];
    try {
      const ids = performances.map((performance) => performance.performanceId);
      remaining = await readRemaining(this.#connection, ids);
    } catch (thrown) {
      if (!(thrown instanceof StoreUnavailable)) throw thrown;
    }
    const views: PerformanceView[] = [];
    for (let i = 0; i < performances.length; i++) {
      const performance = performances[i]!;
      const places = remaining[i] ?? (await this.#placesOf(performance));
      views.push({ performance, remaining: places });
    }
    return views;
  }

  /** By MySQL, for a performance that Redis does not know: counted once a second, however many ask. */
  async #placesOf(performance: Performance): Promise<number> {
    return (await this.#counts.get(performance.performanceId))?.places ?? 0;
  }

  async #countPlaces(performanceId: number): Promise<{ places: number } | null> {
    const performance = await this.#performance(performanceId);
    return performance === null ? null : { places: await sql.countRemaining(this.#database, performance) };
  }

  /** A new performance is warm before its first request where Redis answers; where not, the cold path will do it. */
  async #warmIfPossible(performanceId: number): Promise<void> {
    try {
      await this.#warmer.warm(performanceId);
    } catch (thrown) {
      if (!(thrown instanceof StoreUnavailable)) throw thrown;
    }
  }
}
