/** The arbiter on real Redis: one script call a flush on one node, in a cluster a pipeline a node with a call a performance. */
import type { Hold, Release, Sale } from '../domain/reservation.ts';
import type { HoldDecision, HoldGroup, HoldStore } from '../domain/stores.ts';
import { Again } from '../lib/again.ts';
import { systemClock } from '../lib/clock.ts';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';
import { decisionsOf, packRequests, type RemainingListener } from './decisions.ts';
import { parseJournalEntry, scriptPackr } from './journal.ts';
import { type PerformanceKeys, performanceKeys, warmPerformancesKey } from './keys.ts';
import { confirmCall, coolCall, forgetCall, holdCall, journalCall, releaseCall, type ScriptCall } from './scripts.ts';

export interface StoreLog {
  error(message: string, fields?: Record<string, unknown>): void;
}

const performancesKnownMax = 100_000;
const journalsPerRoundMax = 2000;
/** Redis does nothing else meanwhile: 0.1 ms where they are empty. A call each kept 10,000 performances 5 % of a core busy. */
const journalsPerCallMax = 100;
const tellIntervalMs = 500;

export class RedisHoldStore implements HoldStore {
  /** The journals as the last round of the recovery saw them; an oldest entry too young for it counts as 0. */
  readonly journalSeen = { entries: 0, oldestMs: 0 };
  readonly #connection: RedisConnection;
  readonly #log: StoreLog;
  readonly #onRemaining: RemainingListener;
  #journalsSeen = 0;
  /** Performances of which MySQL knows what Redis was not told: once it answers they are loaded anew. */
  readonly #untold = new Again<number>(systemClock, tellIntervalMs, (performanceId) => this.cool(performanceId, []));
  readonly #keys = new Map<number, PerformanceKeys>();

  constructor(connection: RedisConnection, log: StoreLog, onRemaining: RemainingListener = () => {}) {
    this.#connection = connection;
    this.#log = log;
    this.#onRemaining = onRemaining;
  }

  async hold(groups: readonly HoldGroup[]): Promise<HoldDecision[][]> {
    const parts = this.#partsOf(groups);
    const replies = await this.#connection.run(
      parts.map((part) => {
        const keys = part.map(({ performanceId }) => this.#keysOf(performanceId));
        return holdCall(keys, packRequests(part));
      }),
    );
    return parts.flatMap((part, i) => decisionsOf(part, replies[i], this.#onRemaining));
  }

  async release(releases: readonly Release[]): Promise<void> {
    const releasesOf = Map.groupBy(releases, (release) => release.performanceId);
    const performanceIds = [...releasesOf.keys()];
    const calls = [...releasesOf].map(([performanceId, list]) => {
      const rows = list.map(({ reservationId, userId, endsPass, seatVersions }) => {
        return [reservationId, String(userId), endsPass ? 1 : 0, seatVersions];
      });
      return releaseCall(this.#keysOf(performanceId), scriptPackr.pack(rows));
    });
    await this.#tellNow(performanceIds, calls, this.#onRemaining);
  }

  async confirm(sales: readonly Sale[]): Promise<void> {
    const salesOf = Map.groupBy(sales, (sale) => sale.performanceId);
    const calls = [...salesOf].map(([performanceId, list]) => {
      const rows = list.map(({ reservationId, userId, seatVersions }) => [reservationId, String(userId), seatVersions]);
      return confirmCall(this.#keysOf(performanceId), scriptPackr.pack(rows));
    });
    await this.#tellNow([...salesOf.keys()], calls);
  }

  /** Runs calls of which each tells one performance of what MySQL has done; what fails is made up for by a load. */
  async #tellNow(
    performanceIds: readonly number[],
    calls: readonly ScriptCall[],
    onCount: RemainingListener = () => {},
  ): Promise<void> {
    const replies = await this.#connection.run(calls);
    let fault: Error | null = null;
    for (let i = 0; i < replies.length; i++) {
      const reply = replies[i];
      if (reply instanceof Error) {
        fault = reply;
        this.#untold.add(performanceIds[i]!);
      } else if (typeof reply === 'number' && reply >= 0) onCount(performanceIds[i]!, reply);
    }
    if (fault !== null) throw fault;
  }

  async cool(performanceId: number, reservationIds: readonly string[]): Promise<void> {
    await this.#connection.runOne(coolCall(this.#keysOf(performanceId), reservationIds));
  }

  async forget(holds: readonly Hold[]): Promise<void> {
    const entriesOf = new Map<number, string[]>();
    for (const { performanceId, journal } of holds) {
      if (journal === null || --journal.open > 0) continue;
      const entries = entriesOf.get(performanceId);
      if (entries === undefined) entriesOf.set(performanceId, [journal.id]);
      else entries.push(journal.id);
    }
    const entries = [...entriesOf].map(([performanceId, entryIds]) => ({
      keys: this.#keysOf(performanceId),
      entryIds,
    }));
    const calls = this.#partsOf(entries).map(forgetCall);
    for (const reply of await this.#connection.run(calls)) if (reply instanceof Error) throw reply;
  }

  /**
   * What one call may be for: the performances of a cluster are at different nodes. On one node a call for all takes half
   * the time of a call each, where requests are spread over many performances.
   */
  #partsOf<Item>(items: readonly Item[], countMax = items.length): (readonly Item[])[] {
    const size = this.#connection.isCluster ? 1 : countMax;
    const parts: (readonly Item[])[] = [];
    for (let first = 0; first < items.length; first += size) parts.push(items.slice(first, first + size));
    return parts;
  }

  async journal(ageMs: number, countMax: number): Promise<Hold[]> {
    const performanceIds = this.#nextJournals(await this.#warmPerformances());
    const parts = this.#partsOf(performanceIds, journalsPerCallMax);
    const calls = parts.map((ids) =>
      journalCall(
        ids.map((id) => this.#keysOf(id)),
        ageMs,
        countMax,
      ),
    );
    const replies = await this.#connection.run(calls);
    const holds: Hold[] = [];
    let [total, oldestMs] = [0, 0];
    for (let i = 0; i < parts.length; i++) {
      const reply = replies[i];
      if (reply instanceof Error) throw reply;
      const [nowMs, journals] = reply as [number, ([entries: [Buffer, Buffer[]][], length: number] | 0)[]];
      for (let k = 0; k < journals.length; k++) {
        const journal = journals[k]!;
        if (journal === 0) continue;
        const [entries, length] = journal;
        total += length;
        if (entries.length > 0) oldestMs = Math.max(oldestMs, nowMs - Number.parseInt(entries[0]![0].toString(), 10));
        for (const entry of entries) holds.push(...this.#parse(parts[i]![k]!, entry, nowMs));
      }
    }
    this.journalSeen.entries = total;
    this.journalSeen.oldestMs = oldestMs;
    return holds;
  }

  async #warmPerformances(): Promise<number[]> {
    try {
      return (await this.#connection.client.smembers(warmPerformancesKey)).map(Number);
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  /** Which journals to look at in this round: all, or the next 2,000, so that a round stays short. */
  #nextJournals(performanceIds: readonly number[]): readonly number[] {
    if (performanceIds.length <= journalsPerRoundMax) return performanceIds;
    const sorted = [...performanceIds].sort((a, b) => a - b);
    const first = this.#journalsSeen % sorted.length;
    this.#journalsSeen = first + journalsPerRoundMax;
    return [...sorted, ...sorted].slice(first, first + journalsPerRoundMax);
  }

  /** An entry nobody can read stays where it is and is reported; it must not stand in the way of the others. */
  #parse(performanceId: number, entry: [Buffer, Buffer[]], nowMs: number): Hold[] {
    try {
      return parseJournalEntry(performanceId, entry, nowMs);
    } catch (thrown) {
      this.#log.error('a journal entry is unreadable', {
        performanceId,
        entry: entry[0].toString(),
        error: messageOf(thrown),
      });
      return [];
    }
  }

  #keysOf(performanceId: number): PerformanceKeys {
    let keys = this.#keys.get(performanceId);
    if (keys === undefined) {
      // Ids come from clients too: those that exist nowhere must not fill the memory.
      if (this.#keys.size >= performancesKnownMax) this.#keys.clear();
      keys = performanceKeys(performanceId);
      this.#keys.set(performanceId, keys);
    }
    return keys;
  }
}
