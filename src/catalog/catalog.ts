/** Events, performances and seat maps for the gateway. Redis first; MySQL answers where Redis is away. */
import { randomUUID } from 'node:crypto';
import type { Event, Performance, PerformancePlan } from '../domain/performance.ts';
import { type SeatStatus, seatStatusName } from '../domain/reservation.ts';
import { StoreUnavailable } from '../lib/errors.ts';
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

const performancesCachedMax = 10_000;
export class Catalog {
  readonly #connection: RedisConnection;
  readonly #database: Database;
  readonly #warmer: Warmer;
  /** A performance never changes after it was created: only how many are remembered is bounded. */
  readonly #performances = new Map<number, Performance>();

  constructor(connection: RedisConnection, database: Database, warmer: Warmer) {
    this.#connection = connection;
    this.#database = database;
    this.#warmer = warmer;
  }

  async createEvent(name: string, description: string | null): Promise<Event | null> {
    return sql.readEvent(this.#database, await sql.insertEvent(this.#database, name, description));
  }

  listEvents(): Promise<Event[]> {
    return sql.listEvents(this.#database);
  }

  /** Stores the performance with its seats and warms it. Null when there is no such event. */
  async createPerformance(plan: PerformancePlan): Promise<PerformanceView | null> {
    if ((await sql.readEvent(this.#database, plan.eventId)) === null) return null;
    const performanceId = await sql.insertPerformance(this.#database, plan);
    this.#warmer.unknown.delete(performanceId);
    await this.#warmIfPossible(performanceId);
    return this.readPerformance(performanceId);
  }

  /** Null when there is no such event. */
  async listPerformances(eventId: number): Promise<PerformanceView[] | null> {
    if ((await sql.readEvent(this.#database, eventId)) === null) return null;
    return this.#withRemaining(await sql.listPerformances(this.#database, eventId));
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

  async #performance(performanceId: number): Promise<Performance | null> {
    const cached = this.#performances.get(performanceId);
    if (cached !== undefined) return cached;
    if (this.#warmer.unknown.has(performanceId)) return null;
    const performance = await sql.readPerformance(this.#database, performanceId);
    if (performance === null) {
      this.#warmer.unknown.add(performanceId);
    } else {
      if (this.#performances.size >= performancesCachedMax) this.#performances.clear();
      this.#performances.set(performanceId, performance);
    }
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
      const places = remaining[i] ?? (await sql.countRemaining(this.#database, performance));
      views.push({ performance, remaining: places });
    }
    return views;
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
