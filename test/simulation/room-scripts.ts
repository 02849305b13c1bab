/**
 * The scripts of the waiting rooms, on MemoryRedis: one function a file of src/lua, which says what it does. A round of
 * admission is in admission-script.ts.
 */
import type { PlaceRequest, RoomSettings } from '../../src/domain/waiting-room.ts';
import { PlaceCode, type ServeReply } from '../../src/lua/rooms.ts';
import type { MemoryRedis, PerformanceData, Queue, Ticket } from './memory-redis.ts';

type Result = ServeReply[2][number];

const emptyQueue: Queue = {
  revision: 0,
  mode: 'off',
  rate: 0,
  maxActive: 0,
  passMs: 0,
  opensAt: 0,
  draw: false,
  admitted: 0,
  watermark: 0,
  earlyFrom: 0,
  earlyTo: 0,
  at: 0,
  allowance: 0,
  sweptAt: 0,
  saidAt: 0,
  graceUntil: 0,
  measuredRate: 0,
  measuredFrom: 0,
};

/** include/set-room.lua: true when the settings are in force, false when newer ones were. */
export function setRoom(data: PerformanceData, revision: number, settings: RoomSettings): boolean {
  if (revision < (data.queue?.revision ?? 0)) return false;
  const { mode, admitPerSecond, maxActive, passSeconds, opensAtMs, drawBeforeOpen } = settings;
  data.queue = {
    ...(data.queue ?? emptyQueue),
    revision,
    mode,
    rate: admitPerSecond,
    maxActive,
    passMs: passSeconds * 1000,
    opensAt: opensAtMs ?? 0,
    draw: drawBeforeOpen,
  };
  return true;
}

/** queue-set.lua */
export function configure(redis: MemoryRedis, performanceId: number, revision: number, settings: RoomSettings): void {
  const data = redis.of(performanceId);
  setRoom(data, revision, settings);
  if (data.meta === null) redis.makeVoid(data);
  else data.meta = { ...data.meta, queue: data.queue?.mode === 'on' };
}

/** queue-seen.lua */
export function seen(redis: MemoryRedis, performanceId: number, userIds: readonly number[], forMs: number): void {
  const { seen: absences } = redis.of(performanceId);
  const absentAt = redis.nowMs() + forMs;
  for (const userId of userIds) if (absences.scoreOf(userId) !== undefined) absences.set(userId, absentAt);
}

/** queue-draw.lua: `numbers[i]` is of arrival `first + i`; `isLast` on the last part of a draw. */
export function draw(
  redis: MemoryRedis,
  performanceId: number,
  first: number,
  numbers: readonly number[],
  range: { readonly firstArrival: number; readonly lastArrival: number },
  isLast: boolean,
): void {
  const data = redis.of(performanceId);
  for (const { member: userId, score: arrival } of data.early.between(first, first + numbers.length - 1)) {
    const number = numbers[arrival - first]!;
    data.tickets.set(userId, { state: 'N', arrival, number });
    data.waiting.set(userId, number);
    data.line.set(number, 1);
    data.early.delete(userId);
  }
  const { queue } = data;
  if (!isLast || queue === null) return;
  const { earlyFrom, earlyTo, issued = 0 } = queue;
  const { firstArrival, lastArrival } = range;
  const isDue = earlyTo > 0 && earlyFrom >= firstArrival && earlyFrom <= lastArrival;
  if (!isDue || data.early.between(earlyFrom, Math.min(earlyTo, lastArrival)).length > 0) return;
  const isOver = earlyTo <= lastArrival;
  data.queue = {
    ...queue,
    earlyFrom: isOver ? 0 : lastArrival + 1,
    earlyTo: isOver ? 0 : earlyTo,
    issued: Math.max(issued, lastArrival),
  };
  const nothing = { roundMs: 0, watermark: 0, rate: 0, admitted: [], expired: [], line: null };
  redis.news.room({ performanceId, ...nothing, isDrawn: true });
}

/** One call of queue-serve.lua. */
class Serving {
  readonly #data: PerformanceData;
  readonly #nowMs: number;
  readonly #absentAt: number;
  readonly #isOff: boolean;
  readonly #queue: Queue;
  readonly isOpen: boolean;
  issued: number;
  earlyFrom: number;
  earlyTo: number;
  /** Those in the line, by number or early. */
  #ahead: number;
  /**
   * Places in the line that this call has given and not put there yet: a look at others does not count them, and those
   * who have them are told what they were told at first.
   */
  #given: (() => void)[] = [];
  readonly #positionOf = new Map<number, number>();

  constructor(data: PerformanceData, nowMs: number, absenceMs: number) {
    this.#data = data;
    this.#nowMs = nowMs;
    this.#absentAt = nowMs + absenceMs;
    this.#isOff = !data.meta?.queue;
    this.#queue = data.queue ?? emptyQueue;
    const { issued = 0, opensAt, earlyFrom, earlyTo } = this.#queue;
    this.isOpen = nowMs >= opensAt;
    this.issued = issued;
    this.earlyFrom = earlyFrom;
    // Whoever joins from now on is not among those who are drawn.
    const isClosed = earlyFrom > 0 && earlyTo === 0 && (this.isOpen || !this.#queue.draw);
    this.earlyTo = isClosed ? issued : earlyTo;
    this.#ahead = data.waiting.size + data.early.size;
  }

  serve({ kind, userId, arrival, number }: PlaceRequest): Result {
    if (this.#isOff && kind !== 'leave') return [PlaceCode.open];
    const ticket = this.#data.tickets.get(userId);
    if (kind === 'join') return this.#join(userId, ticket);
    // The user has given this ticket up and joined again.
    if (ticket !== undefined && ticket.arrival > arrival) return [PlaceCode.left];
    const isKnown = ticket?.arrival === arrival;
    // Redis has gone back in time: the older ticket was given up for this one.
    if (ticket !== undefined && !isKnown && kind !== 'look') this.#leave(userId, ticket);
    if (kind === 'leave') {
      if (isKnown) return this.#leave(userId, ticket);
      this.#data.tickets.set(userId, { state: 'L', arrival, number: 0 });
      return [PlaceCode.left];
    }
    const result: Result = isKnown ? this.#look(userId, ticket) : [PlaceCode.lost];
    return result[0] === PlaceCode.lost && kind === 'restore' ? this.#restore(userId, arrival, number) : result;
  }

  /** Puts everybody where they stand. */
  flush(): void {
    for (const place of this.#given) place();
    this.#given = [];
    this.#positionOf.clear();
  }

  #join(userId: number, ticket: Ticket | undefined): Result {
    if (ticket?.state === 'E' || ticket?.state === 'N') {
      const result = this.#look(userId, ticket);
      if (result[0] === PlaceCode.waits || result[0] === PlaceCode.admitted) return result;
    }
    const arrival = ++this.issued;
    if (this.#isEarlyNow()) {
      this.#becomeEarly(userId, arrival);
      return [PlaceCode.joined, arrival, 0, 0];
    }
    this.#becomeNumbered(userId, arrival, arrival);
    this.#positionOf.set(userId, this.#ahead);
    return [PlaceCode.joined, arrival, arrival, this.#ahead];
  }

  #look(userId: number, ticket: Ticket): Result {
    const { state, arrival, number } = ticket;
    if (state === 'L') return [PlaceCode.left];
    if (state === 'X') return [PlaceCode.expired];
    // The draw is written in parts: until the last one nobody of it knows who stands before whom.
    if (state === 'E' || (this.earlyTo > 0 && arrival >= this.earlyFrom && arrival <= this.earlyTo)) {
      this.#seen(userId);
      return [PlaceCode.waits, arrival, 0, 0];
    }
    const endMs = this.#data.active.scoreOf(userId);
    if (endMs !== undefined) {
      if (endMs > this.#nowMs) return [PlaceCode.admitted, arrival, number, endMs];
      this.#data.active.delete(userId);
      this.#data.used.delete(userId);
      this.#data.tickets.set(userId, { ...ticket, state: 'X' });
      return [PlaceCode.expired];
    }
    const position = this.#positionOf.get(userId) ?? this.#rankedPosition(userId, number);
    if (position === null) return [PlaceCode.lost];
    this.#seen(userId);
    return [PlaceCode.waits, arrival, number, position];
  }

  #rankedPosition(userId: number, number: number): number | null {
    const rank = this.#data.waiting.rankOf(userId);
    if (rank === null) return null;
    // The early ones are before everybody who came after them.
    return rank + 1 + (this.earlyTo > 0 && number > this.earlyTo ? this.#data.early.size : 0);
  }

  #leave(userId: number, ticket: Ticket): Result {
    this.flush();
    const data = this.#data;
    if (ticket.state === 'E') {
      if (data.early.delete(userId)) this.#ahead--;
    } else if (ticket.state === 'N') {
      if (data.waiting.delete(userId)) {
        this.#ahead--;
        data.line.set(ticket.number, 0);
      }
      data.active.delete(userId);
      data.used.delete(userId);
    }
    data.seen.delete(userId);
    data.tickets.set(userId, { ...ticket, state: 'L' });
    return [PlaceCode.left];
  }

  #restore(userId: number, arrival: number, drawn: number): Result {
    this.flush();
    this.issued = Math.max(this.issued, arrival);
    const isDrawnLater = this.#isEarlyNow() || (arrival >= this.earlyFrom && arrival <= this.earlyTo);
    if (drawn === 0 && isDrawnLater) {
      this.#becomeEarly(userId, arrival);
      // Those who stand behind must count it, in this call too.
      this.flush();
      return [PlaceCode.waits, arrival, 0, 0];
    }
    const number = drawn > 0 ? drawn : arrival;
    this.#becomeNumbered(userId, arrival, number);
    this.flush();
    return this.#look(userId, { state: 'N', arrival, number });
  }

  /** Whether a ticket of now is drawn later instead of getting a number. */
  #isEarlyNow(): boolean {
    return this.#queue.draw && !this.isOpen && this.earlyTo === 0;
  }

  #becomeEarly(userId: number, arrival: number): void {
    this.#data.tickets.set(userId, { state: 'E', arrival, number: 0 });
    this.#give(userId, () => this.#data.early.set(userId, arrival));
    this.earlyFrom = this.earlyFrom === 0 ? arrival : Math.min(this.earlyFrom, arrival);
  }

  #becomeNumbered(userId: number, arrival: number, number: number): void {
    this.#data.tickets.set(userId, { state: 'N', arrival, number });
    this.#data.line.set(number, 1);
    this.#give(userId, () => this.#data.waiting.set(userId, number));
  }

  #give(userId: number, place: () => void): void {
    this.#seen(userId);
    this.#ahead++;
    this.#given.push(place);
  }

  #seen(userId: number): void {
    this.#data.seen.set(userId, this.#absentAt);
  }
}

/** queue-serve.lua; null when the performance is not warm. */
export function serve(
  redis: MemoryRedis,
  performanceId: number,
  requests: readonly PlaceRequest[],
  absenceMs: number,
): ServeReply | null {
  const data = redis.of(performanceId);
  if (data.meta === null) return null;
  const queue = data.queue ?? emptyQueue;
  const serving = new Serving(data, redis.nowMs(), absenceMs);
  const results = requests.map((request) => serving.serve(request));
  serving.flush();
  const { issued, earlyFrom, earlyTo, isOpen } = serving;
  if (issued !== (queue.issued ?? 0) || earlyFrom !== queue.earlyFrom || earlyTo !== queue.earlyTo) {
    data.queue = { ...queue, issued, earlyFrom, earlyTo };
  }
  return [queue.measuredRate, isOpen ? 0 : queue.opensAt, results];
}
