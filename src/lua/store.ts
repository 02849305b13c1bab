/** The arbiter on real Redis: one pipeline a flush, the requests of a performance folded into one script call. */
import { Code } from '../domain/codes.ts';
import type { Hold, HoldRequest, JournalEntry, Refusal, Release } from '../domain/reservation.ts';
import type { HoldDecision, HoldGroup, HoldStore } from '../domain/stores.ts';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';
import { parseJournalEntry, scriptPackr } from './journal.ts';
import { type PerformanceKeys, performanceKeys, warmPerformancesKey } from './keys.ts';
import { coolCall, forgetCall, holdCall, releaseCall, type ScriptCall } from './scripts.ts';

/** First element of a result of hold.lua. */
export const HoldCode = {
  held: 0,
  heldBefore: 1,
  seatTaken: 2,
  soldOut: 3,
  alreadyReserved: 4,
  notOpen: 5,
  closed: 6,
  noSeat: 7,
  wrongKind: 8,
  partyTooLarge: 9,
  passRequired: 10,
  passInvalid: 11,
} as const;

/** `[remaining, price, holdSeconds, endMs, journalId, results]`, see hold.lua. */
type HoldReply = [number, number, number, number, string, HoldResult[]];
type HoldResult = [number, ...unknown[]];

// Refusals without a detail of their own are made once: the rush is made of them.
const soldOut: HoldDecision = refuse({ code: Code.soldOut, detail: 'Not enough places are left.' });
const notOpen: HoldDecision = refuse({ code: Code.bookingNotOpen, detail: 'Booking has not opened yet.' });
const closed: HoldDecision = refuse({ code: Code.bookingClosed, detail: 'Booking is closed.' });
const passRequired: HoldDecision = refuse({
  code: Code.queuePassRequired,
  detail: 'This performance has a waiting room: join it, and send the pass as Queue-Pass.',
});
const passInvalid: HoldDecision = refuse({
  code: Code.queuePassInvalid,
  detail: 'The queue pass is not yours, over, or used by a reservation that lives.',
});
const cold: HoldDecision = { kind: 'cold' };

function refuse(refusal: Refusal): HoldDecision {
  return { kind: 'refused', refusal };
}

/** Keeps the last `remaining` a script call reported, for the memory queue's sold-out answers. */
export type RemainingListener = (performanceId: number, remaining: number) => void;

export interface StoreLog {
  error(message: string, fields?: Record<string, unknown>): void;
}

const performancesKnownMax = 100_000;
const journalsPerRoundMax = 2000;
const tellIntervalMs = 500;

export class RedisHoldStore implements HoldStore {
  readonly #connection: RedisConnection;
  readonly #log: StoreLog;
  readonly #onRemaining: RemainingListener;
  #journalsSeen = 0;
  /** Performances of releases that Redis was not told. */
  readonly #untold = new Set<number>();
  #isTelling = false;
  readonly #keys = new Map<number, PerformanceKeys>();

  constructor(connection: RedisConnection, log: StoreLog, onRemaining: RemainingListener = () => {}) {
    this.#connection = connection;
    this.#log = log;
    this.#onRemaining = onRemaining;
  }

  async hold(groups: readonly HoldGroup[]): Promise<HoldDecision[][]> {
    const calls: ScriptCall[] = new Array(groups.length);
    for (let i = 0; i < groups.length; i++) {
      const group = groups[i]!;
      calls[i] = holdCall(this.#keysOf(group.performanceId), packRequests(group.requests));
    }
    const replies = await this.#connection.run(calls);
    const decisions: HoldDecision[][] = new Array(groups.length);
    for (let i = 0; i < groups.length; i++) decisions[i] = this.#decisionsOf(groups[i]!, replies[i]);
    return decisions;
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
    const replies = await this.#connection.run(calls);
    let fault: Error | null = null;
    for (let i = 0; i < replies.length; i++) {
      const reply = replies[i];
      if (reply instanceof Error) {
        fault = reply;
        this.#tellLater(performanceIds[i]!);
      } else if (typeof reply === 'number' && reply >= 0) this.#onRemaining(performanceIds[i]!, reply);
    }
    if (fault !== null) throw fault;
  }

  /** MySQL has given something up that Redis still holds: once it answers, the performance is loaded anew. */
  #tellLater(performanceId: number): void {
    this.#untold.add(performanceId);
    if (this.#isTelling) return;
    this.#isTelling = true;
    setTimeout(() => void this.#tell(), tellIntervalMs).unref();
  }

  async #tell(): Promise<void> {
    this.#isTelling = false;
    for (const performanceId of [...this.#untold]) {
      try {
        await this.cool(performanceId, []);
        this.#untold.delete(performanceId);
      } catch {
        // Still away; the release that failed has said so.
        this.#tellLater(performanceId);
        return;
      }
    }
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
    const calls = [...entriesOf].map(([performanceId, entries]) => forgetCall(this.#keysOf(performanceId), entries));
    for (const reply of await this.#connection.run(calls)) if (reply instanceof Error) throw reply;
  }

  async journal(ageMs: number, countMax: number): Promise<Hold[]> {
    const { client } = this.#connection;
    const holds: Hold[] = [];
    try {
      const performanceIds = this.#nextJournals((await client.smembers(warmPerformancesKey)).map(Number));
      const [seconds, microseconds] = await client.time();
      // The age is measured by the clock that made the entry ids.
      const nowMs = Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
      const lists = await Promise.all(
        performanceIds.map((id) =>
          client.xrangeBuffer(this.#keysOf(id).journal, '-', nowMs - ageMs, 'COUNT', countMax),
        ),
      );
      for (let i = 0; i < lists.length; i++) {
        for (const entry of lists[i]!) holds.push(...this.#parse(performanceIds[i]!, entry, nowMs));
      }
      return holds;
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

  #decisionsOf(group: HoldGroup, reply: unknown): HoldDecision[] {
    const { performanceId, requests } = group;
    if (reply === null) return requests.map(() => cold);
    if (!Buffer.isBuffer(reply)) {
      const error = reply instanceof Error ? reply : new StoreUnavailable('redis', 'unexpected reply of hold.lua');
      return requests.map(() => ({ kind: 'failed', error }));
    }
    const [remaining, price, holdSeconds, endMs, journalId, results]: HoldReply = scriptPackr.unpack(reply);
    this.#onRemaining(performanceId, remaining);
    const grant: Grant = { price, holdSeconds, endMs, journal: { id: journalId, open: 0 } };
    const decisions: HoldDecision[] = new Array(requests.length);
    for (let i = 0; i < requests.length; i++) {
      const result = results[i];
      decisions[i] =
        result === undefined
          ? { kind: 'failed', error: new StoreUnavailable('redis', 'hold.lua answered short') }
          : decisionOf(requests[i]!, result, grant);
    }
    return decisions;
  }
}

function packRequests(requests: readonly HoldRequest[]): Buffer {
  const rows: unknown[] = new Array(requests.length);
  for (let i = 0; i < requests.length; i++) {
    const { reservationId, userId, partySize, seats, pass } = requests[i]!;
    rows[i] = [reservationId, String(userId), partySize, seats, pass];
  }
  return scriptPackr.pack(rows);
}

/** What the grants of one script call have in common. */
interface Grant {
  readonly price: number;
  readonly holdSeconds: number;
  readonly endMs: number;
  readonly journal: JournalEntry;
}

function holdOf(
  request: HoldRequest,
  grant: Grant,
  expiresAtMs: number,
  versions: readonly number[],
  supersedes: readonly string[],
  journal: JournalEntry | null,
): HoldDecision {
  const { reservationId, performanceId, userId, seats, partySize } = request;
  const amount = grant.price * (partySize === 0 ? seats.length : partySize);
  return {
    kind: 'held',
    hold: {
      reservationId,
      performanceId,
      userId,
      seats,
      partySize,
      versions,
      amount,
      holdMs: grant.holdSeconds * 1000,
      expiresAtMs,
      journal,
      supersedes,
    },
  };
}

function decisionOf(request: HoldRequest, result: HoldResult, grant: Grant): HoldDecision {
  switch (result[0]) {
    case HoldCode.held: {
      const [, versions, supersedes] = result as [number, number[], string[]];
      grant.journal.open++;
      return holdOf(request, grant, grant.endMs, versions, supersedes, grant.journal);
    }
    case HoldCode.heldBefore: {
      const [, expiresAtMs, versions, supersedes] = result as [number, number, number[], string[]];
      return holdOf(request, grant, expiresAtMs, versions, supersedes, null);
    }
    case HoldCode.seatTaken:
      return refuse({ code: Code.seatTaken, detail: 'A seat is taken.', seats: result.slice(1) as number[] });
    case HoldCode.soldOut:
      return soldOut;
    case HoldCode.alreadyReserved:
      return refuse({
        code: Code.alreadyReserved,
        detail: 'The user has as many reservations for this performance as one may have.',
        reservationId: result[1] as string,
      });
    case HoldCode.notOpen:
      return notOpen;
    case HoldCode.closed:
      return closed;
    case HoldCode.passRequired:
      return passRequired;
    case HoldCode.passInvalid:
      return passInvalid;
    case HoldCode.noSeat:
      return refuse({ code: Code.seatNotFound, detail: 'No such seat.', seats: result.slice(1) as number[] });
    case HoldCode.wrongKind: {
      const path = request.partySize === 0 ? '/seats' : '/partySize';
      const message =
        request.partySize === 0
          ? 'this performance has places without numbers: send partySize'
          : 'this performance has numbered seats: send seats';
      return refuse({ code: Code.validationFailed, detail: message, errors: [{ path, message }] });
    }
    case HoldCode.partyTooLarge: {
      const message = `must be ${result[1]} or less`;
      return refuse({ code: Code.validationFailed, detail: message, errors: [{ path: '/partySize', message }] });
    }
    default:
      return { kind: 'failed', error: new StoreUnavailable('redis', `hold.lua answered ${result[0]}`) };
  }
}
