/** Random steps for the fake of Redis and the real one: what a sequence is made of depends on its seed. */
import { seededRandom } from '../../bench/load/statistics.ts';
import { type Hold, type HoldRequest, type JournalEntry, SeatStatus } from '../../src/domain/reservation.ts';
import type { LiveReservation, Snapshot } from '../../src/domain/snapshot.ts';
import type { HoldStore, LoadResult, LoadStart, RoomStore } from '../../src/domain/stores.ts';
import type { PlaceRequest, Room } from '../../src/domain/waiting-room.ts';
import { capacity, newPerformanceId, seated } from '../hold-store.contract.ts';

const roundMs = 500;

/** One of the two, with what is its own: the holds it gave, the loads begun, the copies taken. */
export interface Side {
  readonly store: HoldStore;
  readonly rooms: RoomStore;
  startLoad(): Promise<LoadStart>;
  finishLoad(start: LoadStart, snapshot: Snapshot): Promise<LoadResult>;
  remaining(): Promise<number | null>;
  watch(): Promise<number | null>;
  passTime(ms: number): Promise<void>;
  loseEverything(): Promise<void>;
  copy(): Promise<void>;
  restore(): Promise<void>;
  readonly holds: Hold[];
  /** Ids of journal entries, each with its place among them. */
  readonly entries: Map<string, number>;
  readonly starts: LoadStart[];
}

/** Something done to one side; what it returns is compared. */
export type Step = (side: Side) => Promise<unknown>;

/**
 * An answer in words that both can say. What is left of a hold is counted from when the journal was read; an entry's id
 * is made by a clock that may be a millisecond ahead of that of the script: it goes by the order in which ids came up.
 */
export function comparable(answer: unknown, { entries }: Side): unknown {
  const text = JSON.stringify(answer ?? null, (name, field: unknown) => {
    if (name === 'holdMs') return undefined;
    if (name !== 'journal' || field === null) return field;
    const { id, open } = field as JournalEntry;
    if (!entries.has(id)) entries.set(id, entries.size);
    return { entry: entries.get(id), open };
  });
  return JSON.parse(text);
}

class Dice {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  below(count: number): number {
    return Math.floor(this.#random() * count);
  }
  isOneIn(count: number): boolean {
    return this.below(count) === 0;
  }
  of<Each>(list: readonly Each[]): Each {
    return list[this.below(list.length)]!;
  }
  /** Up to `countMax` of a list, each once, at least one where there is any. */
  some<Each>(list: readonly Each[], countMax: number): Each[] {
    const rest = [...list];
    const count = Math.min(rest.length, 1 + this.below(countMax));
    return Array.from({ length: count }, () => rest.splice(this.below(rest.length), 1)[0]!);
  }
  id(): string {
    return Array.from({ length: 12 }, () => this.below(16).toString(16)).join('');
  }
}

const users = [1, 2, 9, 10, 11, 30];

/** Makes the steps of one sequence. What it makes depends on the seed and on what the sides, being the same, have said. */
export class Sequence {
  readonly id = newPerformanceId();
  readonly #dice: Dice;
  readonly #isSeated: boolean;
  readonly #hasRoom: boolean;
  readonly #fields: Parameters<typeof seated>[1];
  readonly #requests: HoldRequest[] = [];
  readonly #tickets: { userId: number; arrival: number; number: number }[] = [];
  /** Users who had a pass when they last looked. */
  readonly #inside = new Set<number>();
  #draw: { firstArrival: number; lastArrival: number } | null = null;
  /** Reservations that were superseded: MySQL may still have them, paid even. */
  readonly #superseded = new Set<string>();
  #holdsGiven = 0;
  #loadsBegun = 0;
  #hasCopy = false;
  #revision = 1;
  #isCold = true;

  constructor(seed: number, hasRoom: boolean) {
    this.#dice = new Dice(seed);
    const dice = this.#dice;
    this.#isSeated = !dice.isOneIn(3);
    this.#hasRoom = hasRoom;
    const hour = 3_600_000;
    this.#fields = {
      price: dice.below(1000),
      holdSeconds: dice.of([0, 300, 300]),
      maxReservationsPerUser: dice.of([1, 1, 2, 4]),
      bookingOpensAtMs: dice.isOneIn(20) ? Date.now() + hour : null,
      bookingClosesAtMs: dice.isOneIn(20) ? Date.now() - hour : null,
    };
  }

  /** The next step and its name. */
  next(): readonly [string, Step] {
    const dice = this.#dice;
    if (this.#isCold && dice.isOneIn(2)) {
      if (dice.isOneIn(2)) return ['load', this.#load()];
      return dice.isOneIn(2) ? ['start a load', this.#startLoad()] : ['finish a load', this.#finishLoad()];
    }
    const room: readonly (() => readonly [string, Step])[] = [
      ...Array.from({ length: 5 }, () => () => ['serve', this.#serve()] as const),
      ...Array.from({ length: 5 }, () => () => ['round', this.#round()] as const),
      () => ['draw', this.#giveNumbers()],
      () => ['configure', this.#configure()],
      () => ['seen', this.#seen()],
      () => ['state', (side) => side.rooms.state(this.id)],
    ];
    const seats: readonly (() => readonly [string, Step])[] = [
      ...Array.from({ length: 6 }, () => () => ['hold', this.#hold()] as const),
      ...Array.from({ length: 2 }, () => () => ['release', this.#release()] as const),
      () => ['confirm', this.#confirm()],
      () => ['cool', this.#cool()],
      () => ['forget', this.#forget()],
      () => ['journal', this.#journal()],
      () => ['start a load', this.#startLoad()],
      () => ['finish a load', this.#finishLoad()],
      () => ['watch', (side) => side.watch()],
      () => ['remaining', (side) => side.remaining()],
      () => this.#rare(),
    ];
    return dice.of(this.#hasRoom && !dice.isOneIn(3) ? room : seats)();
  }

  #rare(): readonly [string, Step] {
    if (this.#dice.isOneIn(3)) return ['lose everything', (side) => side.loseEverything()];
    if (this.#hasCopy && !this.#dice.isOneIn(3)) return ['go back', (side) => side.restore()];
    this.#hasCopy = true;
    return ['copy', (side) => side.copy()];
  }

  #wish(): HoldRequest {
    const dice = this.#dice;
    if (this.#requests.length > 0 && dice.isOneIn(4)) return dice.of(this.#requests);
    const isSeated = dice.isOneIn(12) ? !this.#isSeated : this.#isSeated;
    const inside = [...this.#inside];
    const userId = inside.length > 0 && !dice.isOneIn(3) ? dice.of(inside) : dice.of(users);
    const pass = this.#tickets.findLast((ticket) => ticket.userId === userId)?.number ?? 0;
    const request: HoldRequest = {
      reservationId: dice.id(),
      performanceId: this.id,
      userId,
      seats: isSeated ? dice.some([1, 2, 3, 4, 5, dice.isOneIn(10) ? 11 : 6], 3) : [],
      partySize: isSeated ? 0 : 1 + dice.below(dice.isOneIn(10) ? 5 : 4),
      isRepeat: false,
      pass: dice.isOneIn(8) ? dice.of([-1, 0, 1, 2]) : pass,
    };
    this.#requests.push(request);
    return request;
  }

  #hold(): Step {
    const requests = Array.from({ length: 1 + this.#dice.below(4) }, () => this.#wish());
    const again = this.#dice.isOneIn(5) ? [...requests, requests[0]!] : requests;
    const cold = { performanceId: this.id + 0.5, requests: [{ ...requests[0]!, performanceId: this.id + 0.5 }] };
    const groups = [{ performanceId: this.id, requests: again }, ...(this.#dice.isOneIn(5) ? [cold] : [])];
    return async (side) => {
      const decisions = await side.store.hold(groups);
      this.#isCold = decisions[0]![0]!.kind === 'cold';
      for (const decision of decisions.flat()) {
        if (decision.kind !== 'held') continue;
        side.holds.push(decision.hold);
        for (const id of decision.hold.supersedes) this.#superseded.add(id);
      }
      this.#holdsGiven = side.holds.length;
      return decisions;
    };
  }

  #told(): { reservationId: string; performanceId: number; userId: number; seatVersions: number[] }[] {
    return this.#dice.some(this.#requests, 2).map(({ reservationId, performanceId, userId, seats }) => {
      const told = this.#dice.isOneIn(6) ? seats.slice(1) : seats;
      const seatVersions = told.flatMap((seat) => [seat, 1 + this.#dice.below(5)]);
      return { reservationId, performanceId, userId, seatVersions };
    });
  }

  #release(): Step {
    const releases = this.#told().map((told) => ({ ...told, endsPass: this.#dice.isOneIn(2) }));
    return (side) => side.store.release(releases);
  }

  #confirm(): Step {
    const sales = this.#told();
    return (side) => side.store.confirm(sales);
  }

  #cool(): Step {
    const ids = this.#dice.isOneIn(3) ? [] : this.#dice.some(this.#requests, 2).map((each) => each.reservationId);
    if (ids.length === 0) this.#isCold = true;
    return (side) => side.store.cool(this.id, ids);
  }

  #forget(): Step {
    const places = this.#dice.some(
      Array.from({ length: this.#holdsGiven }).map((_, i) => i),
      4,
    );
    return (side) => side.store.forget(places.map((i) => side.holds[i]!));
  }

  #journal(): Step {
    const [countMax, isSettled] = [1 + this.#dice.below(6), this.#dice.isOneIn(3)];
    const ageMs = this.#dice.isOneIn(6) ? 60_000 : 0;
    return async (side) => {
      const holds = (await side.store.journal(ageMs, countMax)).filter((hold) => hold.performanceId === this.id);
      const found = comparable(holds, side);
      if (isSettled) await side.store.forget(holds);
      return found;
    };
  }

  /** What MySQL might have: of the reservations asked for and of others, seats at small versions. */
  #snapshot(): Snapshot {
    const dice = this.#dice;
    const known = dice.isOneIn(2) ? [] : dice.some(this.#requests, 4);
    const superseded = dice.some([...this.#superseded], 3);
    const ids = new Set([...known.map(({ reservationId }) => reservationId), ...superseded, dice.id()]);
    const live = [...ids].map((reservationId): LiveReservation => {
      const request = known.find((each) => each.reservationId === reservationId);
      const remainingMs = dice.of([null, -120_000, -60_000, 120_000, 240_000]);
      const partySize = this.#isSeated ? 0 : request?.partySize || 1 + dice.below(4);
      return { reservationId, userId: request?.userId ?? dice.of(users), partySize, remainingMs };
    });
    const room = this.#hasRoom ? this.#room() : null;
    if (!this.#isSeated) return { ...capacity(this.id, { ...this.#fields, live }), room };
    const changed = dice.some([1, 2, 3, 4, 5, 6], 5).map((seat) => {
      const owner = dice.isOneIn(2) ? null : dice.of(live);
      const status =
        owner === null ? SeatStatus.AVAILABLE : SeatStatus[owner.remainingMs === null ? 'OCCUPIED' : 'HELD'];
      return { seat, status, version: dice.below(4), reservationId: owner?.reservationId ?? null };
    });
    return { ...seated(this.id, { ...this.#fields, changed, live }), room };
  }

  #load(): Step {
    const snapshot = this.#dice.isOneIn(2) ? this.#snapshot() : this.#emptySnapshot();
    this.#isCold = false;
    return async (side) => side.finishLoad(await side.startLoad(), snapshot);
  }

  #emptySnapshot(): Snapshot {
    const make = this.#isSeated ? seated : capacity;
    return { ...make(this.id, this.#fields), room: this.#hasRoom ? this.#room() : null };
  }

  #startLoad(): Step {
    this.#loadsBegun++;
    return async (side) => {
      const start = await side.startLoad();
      side.starts.push(start);
      return start.voidBefore === '';
    };
  }

  #finishLoad(): Step {
    if (this.#loadsBegun === 0) return this.#load();
    const [which, snapshot] = [this.#dice.below(this.#loadsBegun), this.#snapshot()];
    return (side) => side.finishLoad(side.starts[which]!, snapshot);
  }

  #room(): Room {
    const dice = this.#dice;
    const opensInMs = dice.of([null, null, -1000, 8250, 30_250]);
    return {
      revision: dice.isOneIn(6) ? 1 : ++this.#revision,
      mode: dice.isOneIn(12) ? 'off' : 'on',
      admitPerSecond: dice.of([0, 0.3, 2, 1000, 1000]),
      maxActive: dice.of([1, 3, 1000]),
      passSeconds: dice.of([5, 30, 300]),
      opensAtMs: opensInMs === null ? null : Date.now() + opensInMs,
      drawBeforeOpen: dice.isOneIn(2),
      issued: dice.of([0, 0, 3, 40]),
    };
  }

  #serve(): Step {
    const requests = Array.from({ length: 1 + this.#dice.below(6) }, () => this.#placeRequest());
    return async (side) => {
      const [decisions] = await side.rooms.serve([{ performanceId: this.id, requests }]);
      for (const [i, decision] of decisions!.entries()) {
        const { userId } = requests[i]!;
        this.#inside.delete(userId);
        if (decision.status === 'admitted') this.#inside.add(userId);
        if (decision.status !== 'waiting' && decision.status !== 'admitted') continue;
        this.#tickets.push({ userId, arrival: decision.arrival, number: decision.number ?? 0 });
      }
      return decisions;
    };
  }

  #placeRequest(): PlaceRequest {
    const dice = this.#dice;
    if (this.#tickets.length === 0 || dice.isOneIn(3)) {
      return { kind: 'join', performanceId: this.id, userId: dice.of(users), arrival: 0, number: 0 };
    }
    const ticket = dice.isOneIn(2)
      ? dice.of(this.#tickets)
      : (this.#tickets.at(-1 - dice.below(3)) ?? this.#tickets[0]!);
    const kind = dice.of(['look', 'look', 'leave', 'restore', 'restore'] as const);
    const userId = dice.isOneIn(8) ? dice.of(users) : ticket.userId;
    const arrival = ticket.arrival + (dice.isOneIn(8) ? dice.below(3) : 0);
    const number = kind === 'restore' && dice.isOneIn(2) ? ticket.number : 0;
    return { kind, performanceId: this.id, userId, arrival, number };
  }

  #round(): Step {
    const afterMs = this.#dice.of([0, 500, 500, 1000, 2500, 5000, 9000, 9000, 9000, 20_000]);
    return async (side) => {
      await side.passTime(afterMs);
      const rounds = (await side.rooms.admit(roundMs)).filter((round) => round.performanceId === this.id);
      this.#draw = rounds[0]?.drawDue ?? this.#draw;
      return rounds;
    };
  }

  #giveNumbers(): Step {
    const dice = this.#dice;
    const { firstArrival, lastArrival } = this.#draw ?? { firstArrival: 1, lastArrival: 2 + dice.below(4) };
    const last = dice.isOneIn(4) ? Math.max(firstArrival, lastArrival - 1) : lastArrival;
    const numbers = Array.from({ length: last - firstArrival + 1 }, (_, i) => last - i);
    const draw = { performanceId: this.id, firstArrival, lastArrival: last, seed: '' };
    return (side) => side.rooms.draw(draw, numbers);
  }

  #configure(): Step {
    const room = this.#room();
    return (side) => side.rooms.configure(this.id, room);
  }

  #seen(): Step {
    const [userIds, forMs] = [this.#dice.some(users, 4), this.#dice.of([2000, 60_000, 300_000])];
    return (side) => side.rooms.seen(this.id, userIds, forMs);
  }
}
