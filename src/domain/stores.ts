/**
 * What the batcher and the scheduler need of the two stores. Redis (src/lua) and MySQL (src/persist) implement it; the
 * seeded simulation implements it again with faults. Every method may be called twice with the same ids.
 */
import type { PayResult, Refund } from './account.ts';
import type { Hold, HoldOutcome, HoldRequest, Release, Sale } from './reservation.ts';
import type { Snapshot } from './snapshot.ts';
import type { AdmissionRound, Draw, Place, PlaceRequest, Room, RoomState } from './waiting-room.ts';

/** The requests of one performance in one flush, in order of arrival. */
export interface HoldGroup {
  readonly performanceId: number;
  readonly requests: readonly HoldRequest[];
}

/** What the arbiter says to one request: decided, not warm, or not reached (outcome unknown). */
export type HoldDecision =
  | HoldGrant
  | Extract<HoldOutcome, { kind: 'refused' }>
  | { readonly kind: 'cold' }
  | { readonly kind: 'failed'; readonly error: Error };

/**
 * Granted. `isUnsure`: places of the performance were taken over lately from holds whose time was over. MySQL may have sold
 * them without Redis being told, so nothing is sure before MySQL has it.
 */
export interface HoldGrant extends Extract<HoldOutcome, { kind: 'held' }> {
  readonly isUnsure: boolean;
}

/** The arbiter: Redis. */
export interface HoldStore {
  /**
   * Decides all groups in one pipeline. One array a group, one decision a request, in the order given. Never rejects:
   * what could not be reached is `failed`.
   */
  hold(groups: readonly HoldGroup[]): Promise<HoldDecision[][]>;
  /** Tells what MySQL has given up; the seats are free when it resolves. Rejects with StoreUnavailable. */
  release(releases: readonly Release[]): Promise<void>;
  /** Tells what MySQL has sold; the seats show as occupied when it resolves. Rejects with StoreUnavailable. */
  confirm(sales: readonly Sale[]): Promise<void>;
  /** Takes back holds that MySQL refused and marks their performance cold. Rejects with StoreUnavailable. */
  cool(performanceId: number, reservationIds: readonly string[]): Promise<void>;
  /**
   * MySQL has settled these holds: removes the journal entries none of whose holds is open any more. Once a hold only.
   * Rejects with StoreUnavailable.
   */
  forget(holds: readonly Hold[]): Promise<void>;
  /**
   * The holds of journal entries older than `ageMs` by the clock of Redis, of all performances that have been warm; the
   * oldest first, at most `countMax` entries a performance. Rejects with StoreUnavailable.
   */
  journal(ageMs: number, countMax: number): Promise<Hold[]>;
}

/** What a load must know before MySQL is read. */
export interface LoadStart {
  readonly performanceId: number;
  /** Another value at the end means that MySQL has changed meanwhile. */
  readonly voidBefore: string;
}

export type LoadResult = 'warmed' | 'already' | 'void';

/** Where the arbiter takes performances in. All reject with StoreUnavailable. */
export interface LoadStore {
  isWarm(performanceId: number): Promise<boolean>;
  /** Call before the snapshot is read. */
  startLoad(performanceId: number): Promise<LoadStart>;
  /** Makes the snapshot what the arbiter decides by, with the journal replayed over it, unless it is warm already or void. */
  finishLoad(start: LoadStart, snapshot: Snapshot): Promise<LoadResult>;
}

/**
 * What became of a hold in MySQL: stored (now or by an earlier try), refused because its versions are behind, or written
 * down and given up (cancelled or expired since an earlier try, or over before MySQL heard of it).
 */
export type PersistResult = 'persisted' | 'conflict' | 'over';

/** The truth: MySQL. */
export interface Ledger {
  /** False while it is known not to answer: holds are refused before Redis is asked. */
  isAvailable(): boolean;
  /** Commits holds; one result a hold, in the order given. Rejects with StoreUnavailable: the outcome is unknown. */
  persistHolds(holds: readonly Hold[]): Promise<PersistResult[]>;
  /** Expires reservations whose time is over by MySQL's clock, at most `countMax`. Rejects with StoreUnavailable. */
  expireDue(countMax: number): Promise<Release[]>;
}

/** Money in MySQL. Each call is one transaction, whole or not at all. All reject with StoreUnavailable: outcome unknown. */
export interface MoneyLedger {
  /** Sells a held reservation to its owner. */
  pay(reservationId: string, userId: number): Promise<PayResult>;
  /** The balance after it, the first one again for a repeat with the same request id; null: it would be too much. */
  charge(userId: number, amount: number, requestId: string): Promise<number | null>;
  /** Cancels a reservation that is held and not over; null when it is not (any more). */
  cancelHeld(reservationId: string): Promise<Release | null>;
  /** Cancels a confirmed reservation and gives its money back; null when it is not confirmed. */
  refund(reservationId: string): Promise<Refund | null>;
  /** What a cancelled reservation gave back: 0 where it was a hold. */
  readRefunded(reservationId: string): Promise<number>;
}

/** The requests of one waiting room in one flush, in order of arrival. */
export interface PlaceGroup {
  readonly performanceId: number;
  readonly requests: readonly PlaceRequest[];
}

/** What the room says to one request: decided, its performance not warm, or not reached (outcome unknown). */
export type PlaceDecision = Place | { readonly status: 'cold' } | { readonly status: 'failed'; readonly error: Error };

/** The waiting rooms: Redis. */
export interface RoomStore {
  /**
   * Serves all groups in one pipeline. One array a group, one decision a request, in the order given. Never rejects: what
   * could not be reached is `failed`.
   */
  serve(groups: readonly PlaceGroup[]): Promise<PlaceDecision[][]>;
  /** One round of admission of every room; call it every `roundMs`. Rejects with StoreUnavailable. */
  admit(roundMs: number): Promise<AdmissionRound[]>;
  /**
   * Gives the early tickets of a draw their numbers: `numbers[i]` to the ticket `firstArrival + i`. May be called again.
   * Rejects with StoreUnavailable.
   */
  draw(draw: Draw, numbers: readonly number[]): Promise<void>;
  /** Puts settings in force, unless newer ones are. Rejects with StoreUnavailable. */
  configure(performanceId: number, room: Room): Promise<void>;
  /** A sign of life of those who wait: none of them counts as absent for `forMs`. Rejects with StoreUnavailable. */
  seen(performanceId: number, userIds: readonly number[], forMs: number): Promise<void>;
  /** Null when the performance is not warm. Rejects with StoreUnavailable. */
  state(performanceId: number): Promise<RoomState | null>;
}

/** What MySQL keeps of waiting rooms beside their settings. All reject with StoreUnavailable. */
export interface RoomLedger {
  /** Writes down how many tickets were given out. */
  writeIssued(performanceId: number, issued: number): Promise<void>;
  /** Stores a draw, or finds the one there is of these tickets; its seed is never changed. */
  writeDraw(draw: Draw): Promise<Draw>;
  readDraws(performanceId: number): Promise<Draw[]>;
}
