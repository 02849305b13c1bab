/** What is known of the seats of a performance: read as a whole, then changed one by one; told whenever something is new. */
import type { Seat, SeatStatus, SeatsEvent } from '../../src/client/index.ts';

export interface Counts {
  readonly AVAILABLE: number;
  readonly HELD: number;
  readonly OCCUPIED: number;
}

type Changes = SeatsEvent['changes'];

const statuses: readonly SeatStatus[] = ['AVAILABLE', 'HELD', 'OCCUPIED'];

export class SeatStore {
  /** By seat, 1..N; numbers instead of texts, as the map is drawn from them. */
  readonly #states: Uint8Array;
  readonly #counts: [number, number, number];
  #seats: readonly Seat[];
  /** Of each map under way: what the socket has told since it was asked for. */
  readonly #sinceReads = new Set<Changes[]>();
  readonly #listeners = new Set<(changed: readonly number[]) => void>();

  /** `seats` in the order of their numbers, from 1 on. */
  constructor(seats: readonly Seat[]) {
    this.#seats = seats;
    this.#states = new Uint8Array(seats.length + 1);
    this.#counts = [seats.length, 0, 0];
    this.#set(seats.map(({ seat, status }) => [seat, status]));
  }

  get counts(): Counts {
    const [AVAILABLE, HELD, OCCUPIED] = this.#counts;
    return { AVAILABLE, HELD, OCCUPIED };
  }

  get size(): number {
    return this.#seats.length;
  }

  has(seat: number): boolean {
    return seat >= 1 && seat <= this.size;
  }

  statusOf(seat: number): SeatStatus {
    return statuses[this.#states[seat]!]!;
  }

  isFree(seat: number): boolean {
    return this.#states[seat] === 0;
  }

  labelOf(seat: number): string {
    return this.#seats[seat - 1]?.label ?? String(seat);
  }

  priceOf(seat: number): number {
    return this.#seats[seat - 1]?.price ?? 0;
  }

  /**
   * Call it before a map is asked for: changes that come meanwhile may be newer than the map. What it returns takes the map,
   * or null for one that still holds or did not come.
   */
  beginRead(): (seats: readonly Seat[] | null) => void {
    const since: Changes[] = [];
    this.#sinceReads.add(since);
    return (seats) => {
      this.#sinceReads.delete(since);
      if (seats === null || seats.length !== this.size) return;
      this.#seats = seats;
      // One that is older than the map is followed by the change that made the map newer.
      this.apply([...seats.map(({ seat, status }) => [seat, status] as const), ...since.flat()]);
    };
  }

  apply(changes: Changes): void {
    for (const since of this.#sinceReads) since.push(changes);
    const changed = this.#set(changes);
    if (changed.length > 0) for (const listener of [...this.#listeners]) listener(changed);
  }

  /** Told the seats that have changed. */
  onChange(listener: (changed: readonly number[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #set(changes: Changes): number[] {
    const before = new Map<number, number>();
    for (const [seat, status] of changes) {
      const now = statuses.indexOf(status);
      const was = this.#states[seat];
      if (!this.has(seat) || now < 0 || now === was) continue;
      if (!before.has(seat)) before.set(seat, was!);
      this.#states[seat] = now;
      this.#counts[was as 0 | 1 | 2]--;
      this.#counts[now as 0 | 1 | 2]++;
    }
    return [...before].flatMap(([seat, was]) => (this.#states[seat] === was ? [] : [seat]));
  }
}
