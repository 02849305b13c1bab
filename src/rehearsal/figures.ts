/** What has become of the people of a rehearsal, each counted once, and how long the answers to requests for a hold took. */
import type { Rehearsal } from '../domain/rehearsal.ts';

type Counted = Pick<Rehearsal, 'waiting' | 'held' | 'refused' | 'failed' | 'p50Ms' | 'p95Ms' | 'p99Ms'>;

export class Figures {
  readonly #people: number;
  readonly #answersMs: number[] = [];
  readonly #refused = new Map<string, number>();
  #held = 0;
  #failed = 0;
  #ended = 0;

  constructor(people: number) {
    this.#people = people;
  }

  /** An answer to a request for a hold, whatever it said. */
  onAnswer(ms: number): void {
    this.#answersMs.push(ms);
  }

  onHeld(): void {
    this.#held++;
    this.#ended++;
  }

  onRefused(code: string): void {
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1);
    this.#ended++;
  }

  onFailed(): void {
    this.#failed++;
    this.#ended++;
  }

  counted(): Counted {
    const sorted = Float64Array.from(this.#answersMs).sort();
    return {
      waiting: this.#people - this.#ended,
      held: this.#held,
      refused: Object.fromEntries(this.#refused),
      failed: this.#failed,
      p50Ms: percentile(sorted, 0.5),
      p95Ms: percentile(sorted, 0.95),
      p99Ms: percentile(sorted, 0.99),
    };
  }
}

/** The least value that as great a part of all does not exceed, in tenths of a millisecond. */
function percentile(sorted: Float64Array, part: number): number | null {
  const value = sorted[Math.ceil(sorted.length * part) - 1];
  return value === undefined ? null : Math.round(value * 10) / 10;
}
