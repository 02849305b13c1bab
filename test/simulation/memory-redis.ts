/**
 * What the gateway keeps in Redis, in plain Maps: the data that the fakes of the seeded simulation share. The scripts on
 * it are in seat-scripts.ts and room-scripts.ts. Records are never changed, only replaced, so that a copy of a Map is one
 * of the data.
 */
import type { RoomNews } from '../../src/domain/waiting-room.ts';
import type { SeatNews } from '../../src/lua/seats.ts';
import { Bitmap } from './bitmap.ts';
import { SortedSet } from './sorted-set.ts';

/** What a performance is; its presence means warm. */
export interface Meta {
  readonly kind: 'seated' | 'capacity';
  readonly places: number;
  readonly remaining: number;
  readonly price: number;
  readonly holdSeconds: number;
  readonly perUser: number;
  readonly partyMax: number;
  readonly opensAt: number;
  readonly closesAt: number;
  /** Milliseconds for which a hold is kept beyond the end that was told. */
  readonly grace: number;
  /** Which load it is from. */
  readonly load: string;
  readonly revision: number;
  /** True while a pass is needed. */
  readonly queue?: boolean;
  readonly watchedUntil?: number;
  readonly unsureUntil?: number;
}

/** `A` available, `H` held until `endMs` (that which was told, and the grace), `O` occupied. `owner` is a reservation id, empty for none. */
export interface Seat {
  readonly state: 'A' | 'H' | 'O';
  readonly version: number;
  readonly endMs: number;
  readonly owner: string;
}

/** `endMs` is 0 when confirmed. */
export interface Reserved {
  readonly userId: number;
  readonly endMs: number;
  readonly partySize: number;
  readonly seats: readonly number[];
}

export interface JournalledHold {
  readonly reservationId: string;
  readonly userId: number;
  readonly partySize: number;
  readonly seats: readonly number[];
  readonly versions: readonly number[];
  readonly amount: number;
  readonly supersedes: readonly string[];
}

/** One entry a call that has granted anything; its id is `<ms>-<sequence>`. */
export interface Entry {
  readonly ms: number;
  readonly sequence: number;
  readonly endMs: number;
  readonly holds: readonly JournalledHold[];
}

/** Settings, counts and what the rounds keep; 0 where Redis has no field. */
export interface Queue {
  readonly revision: number;
  readonly mode: 'on' | 'off';
  readonly rate: number;
  readonly maxActive: number;
  readonly passMs: number;
  readonly opensAt: number;
  readonly draw: boolean;
  /** Missing until it is first written. */
  readonly issued?: number;
  readonly admitted: number;
  readonly watermark: number;
  readonly earlyFrom: number;
  readonly earlyTo: number;
  readonly at: number;
  readonly allowance: number;
  readonly sweptAt: number;
  readonly saidAt: number;
  readonly graceUntil: number;
  readonly measuredRate: number;
  readonly measuredFrom: number;
}

/** E early, N numbered, L left, X expired. */
export interface Ticket {
  readonly state: 'E' | 'N' | 'L' | 'X';
  readonly arrival: number;
  readonly number: number;
}

/** A reservation that MySQL has given up or sold. */
export interface Told {
  readonly reservationId: string;
  readonly userId: number;
  readonly endsPass: boolean;
  /** Seat and version, alternating. */
  readonly seatVersions: readonly number[];
}

/** A list that vanishes by itself. */
export interface Late {
  readonly rows: readonly { readonly kind: 'release' | 'sale'; readonly told: Told }[];
  readonly untilMs: number;
}

/** Everything under the hash tag of one performance. */
export interface PerformanceData {
  meta: Meta | null;
  seats: Map<number, Seat>;
  reservations: Map<string, Reserved>;
  /** The live reservations of a user, the oldest first. */
  users: Map<number, readonly string[]>;
  /** Reservation ids of parties by the end of the hold. */
  expiry: SortedSet<string>;
  journal: Entry[];
  /** The last id that the journal gave out: it grows, whatever the clock does. */
  lastEntry: { readonly ms: number; readonly sequence: number };
  void: { readonly value: string; readonly untilMs: number } | null;
  /** What MySQL did while the performance was cold, for the load that puts it in place. */
  late: Late | null;
  queue: Queue | null;
  tickets: Map<number, Ticket>;
  /** Users by number. */
  waiting: SortedSet<number>;
  /** Users by arrival. */
  early: SortedSet<number>;
  /** Users by the end of the pass. */
  active: SortedSet<number>;
  /** Users by the moment their absence counts as leaving. */
  seen: SortedSet<number>;
  /** Bit n is 1 while number n waits. */
  line: Bitmap;
  /** The reservation a user has made with the pass. */
  used: Map<number, string>;
}

function emptyData(): PerformanceData {
  return {
    meta: null,
    seats: new Map(),
    reservations: new Map(),
    users: new Map(),
    expiry: new SortedSet(),
    journal: [],
    lastEntry: { ms: 0, sequence: 0 },
    void: null,
    late: null,
    queue: null,
    tickets: new Map(),
    waiting: new SortedSet(),
    early: new SortedSet(),
    active: new SortedSet(),
    seen: new SortedSet(),
    line: new Bitmap(),
    used: new Map(),
  };
}

function copyData(data: PerformanceData): PerformanceData {
  return {
    ...data,
    seats: new Map(data.seats),
    reservations: new Map(data.reservations),
    users: new Map(data.users),
    expiry: data.expiry.copy(),
    journal: [...data.journal],
    tickets: new Map(data.tickets),
    waiting: data.waiting.copy(),
    early: data.early.copy(),
    active: data.active.copy(),
    seen: data.seen.copy(),
    line: data.line.copy(),
    used: new Map(data.used),
  };
}

/** All that a server holds at one moment. */
export interface RedisCopy {
  readonly performances: ReadonlyMap<number, PerformanceData>;
  readonly warmed: ReadonlySet<number>;
  readonly rooms: ReadonlySet<number>;
}

/** Who hears what the scripts publish, in order and at once. */
export interface NewsListener {
  seats(performanceId: number, news: SeatNews): void;
  room(news: RoomNews): void;
}

const nobody: NewsListener = { seats: () => {}, room: () => {} };
const voidMs = 60_000;
const lateMs = 60_000;

export class MemoryRedis {
  /** Performances that have been warm: where the journal recovery looks. */
  warmed = new Set<number>();
  /** Performances with a waiting room: where the leader admits. */
  rooms = new Set<number>();
  readonly news: NewsListener;
  readonly #nowMs: () => number;
  #performances = new Map<number, PerformanceData>();
  #namesGiven = 0;

  /** `nowMs` is the clock of Redis, Unix milliseconds; it must not go back. `news` hears what is published. */
  constructor(nowMs: () => number, news: NewsListener = nobody) {
    this.#nowMs = nowMs;
    this.news = news;
  }

  /** TIME: milliseconds with a fraction, to the microsecond. */
  timeMs(): number {
    return Math.round(this.#nowMs() * 1000) / 1000;
  }

  /** TIME in whole milliseconds. */
  nowMs(): number {
    return Math.floor(this.#nowMs());
  }

  of(performanceId: number): PerformanceData {
    let data = this.#performances.get(performanceId);
    if (data === undefined) {
      data = emptyData();
      this.#performances.set(performanceId, data);
    }
    return data;
  }

  /** A text that was never given before, not even to what `restore` has undone. */
  newName(): string {
    return String(++this.#namesGiven);
  }

  /** The value of `void` while it lasts; empty for none. */
  voidOf({ void: mark }: PerformanceData): string {
    return mark !== null && this.nowMs() < mark.untilMs ? mark.value : '';
  }

  /** include/tell-late.lua */
  tellLate(data: PerformanceData, kind: 'release' | 'sale', told: readonly Told[]): void {
    const rows = [...this.lateOf(data), ...told.map((each) => ({ kind, told: each }))];
    data.late = { rows, untilMs: this.nowMs() + lateMs };
  }

  lateOf({ late }: PerformanceData): Late['rows'] {
    return late !== null && this.nowMs() < late.untilMs ? late.rows : [];
  }

  /** Tells a load under way that MySQL has changed since it began. */
  makeVoid(data: PerformanceData): void {
    // The clock of a simulation may stand still, where that of Redis makes each value new.
    data.void = { value: this.newName(), untilMs: this.nowMs() + voidMs };
  }

  /** FLUSHALL. */
  flushAll(): void {
    this.#performances.clear();
    this.warmed.clear();
    this.rooms.clear();
  }

  /** All there is, for `restore`. */
  copy(): RedisCopy {
    const performances = new Map([...this.#performances].map(([id, data]) => [id, copyData(data)]));
    return { performances, warmed: new Set(this.warmed), rooms: new Set(this.rooms) };
  }

  /**
   * Goes back to a copy, which may serve again: a failover that lost what was written since. Let the clock move on first,
   * as it does in a failover: entry ids are made of it, and one that was lost must not be given to another entry.
   */
  restore({ performances, warmed, rooms }: RedisCopy): void {
    this.#performances = new Map([...performances].map(([id, data]) => [id, copyData(data)]));
    this.warmed = new Set(warmed);
    this.rooms = new Set(rooms);
  }
}
