/** Counts the answers of a rush as they come. */
import type { Answer } from '../load/response.ts';

/** A 201. */
export interface Granted {
  readonly reservationId: string;
  /** Counted from 0, over all rushes. */
  readonly user: number;
  /** Empty for a capacity sale. */
  readonly seats: readonly number[];
}

/** `{status: 409, code: 'sold_out', count: 5970}`; status 0 for a request without an answer, `code` then says why. */
export interface Outcome {
  readonly status: number;
  readonly code: string;
  readonly count: number;
}

interface ReservationBody {
  readonly reservationId?: unknown;
  readonly seats?: unknown;
  readonly code?: unknown;
}

/** Refusals that say something about the sale: whoever got one has had a chance. */
const decisions = new Set(['sold_out', 'already_reserved', 'seat_taken']);

export class Tally {
  readonly granted: Granted[] = [];
  /** Every seat that a refusal called taken. */
  readonly seatsRefused = new Set<number>();
  readonly #counts = new Map<string, number>();
  readonly #firstUser: number;
  readonly #wasDecided: Uint8Array;

  constructor(users: number, firstUser = 0) {
    this.#firstUser = firstUser;
    this.#wasDecided = new Uint8Array(users);
  }

  /** Counts an answer of a user counted from the rush's first. */
  add(user: number, answer: Answer): void {
    const body = bodyOf(answer.body);
    const code = typeof body.code === 'string' ? body.code : '';
    if (answer.status === 201 && typeof body.reservationId === 'string') {
      const seats = numbersOf(body.seats);
      this.granted.push({ reservationId: body.reservationId, user: this.#firstUser + user, seats });
      this.#wasDecided[user] = 1;
    } else if (decisions.has(code)) {
      this.#wasDecided[user] = 1;
      if (code === 'seat_taken') for (const seat of numbersOf(body.seats)) this.seatsRefused.add(seat);
    }
    this.#count(`${answer.status} ${answer.status === 201 ? 'held' : code}`);
  }

  /** Counts a request that got no answer. */
  addLost(reason: string): void {
    this.#count(`0 ${reason}`);
  }

  /** Requests that got an answer, whatever it said. */
  get answered(): number {
    return this.outcomes.reduce((sum, { status, count }) => sum + (status === 0 ? 0 : count), 0);
  }

  /** Users who were told anything about the sale: those who met a limit or a fault only are no demand. */
  get usersDecided(): number {
    return this.#wasDecided.reduce((sum, decided) => sum + decided, 0);
  }

  /** Each kind of answer, by status and then the most frequent first. */
  get outcomes(): Outcome[] {
    const outcomes = [...this.#counts].map(([name, count]) => {
      const space = name.indexOf(' ');
      return { status: Number(name.slice(0, space)), code: name.slice(space + 1), count };
    });
    return outcomes.sort((a, b) => a.status - b.status || b.count - a.count);
  }

  /** Answers whose status is in the hundred of `hundreds`: 4 counts 400 to 499, 0 those that never came. */
  countOf(hundreds: number): number {
    let sum = 0;
    for (const { status, count } of this.outcomes) if (Math.floor(status / 100) === hundreds) sum += count;
    return sum;
  }

  #count(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }
}

function bodyOf(text: string): ReservationBody {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    // No JSON is no code: the answer is counted by its status alone.
    return {};
  }
}

function numbersOf(value: unknown): number[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'number') : [];
}
