/** Figures of now out of what the gateway tells, and those of the last minutes for the plots. No DOM. */
import { increaseOf, quantileBetween, type Scrape } from './prometheus.ts';

/** What was read at a moment, in seconds of a clock that only goes on. */
export interface Reading<Value> {
  readonly atSeconds: number;
  readonly value: Value;
}

/** Null: not known. */
export type Figure = number | null;

/** Two readings further apart say nothing of a second: the page was hidden, or the gateway away. */
const apartSecondsMax = 5;
const holds = 'fastpass_holds_total';

/** What one counts is a rate only between two readings close to each other. */
function secondsBetween(before: Reading<unknown> | null, after: Reading<unknown>): Figure {
  if (before === null) return null;
  const seconds = after.atSeconds - before.atSeconds;
  return seconds > 0 && seconds <= apartSecondsMax ? seconds : null;
}

/** People admitted a second. */
export function admittedRate(
  before: Reading<{ readonly admitted: number }> | null,
  after: Reading<{ readonly admitted: number }>,
): Figure {
  const seconds = secondsBetween(before, after);
  const increase = increaseOf(before?.value.admitted ?? null, after.value.admitted);
  return seconds === null || increase === null ? null : increase / seconds;
}

export interface GatewayFigures {
  /** A second. */
  readonly holds: Figure;
  /** A second, of all codes together. */
  readonly refusals: Figure;
  /** How many since the reading before, by code; without those of none. */
  readonly refused: ReadonlyMap<string, number>;
  /** How many holds since the reading before. */
  readonly held: number;
  readonly depth: Figure;
  /** Milliseconds; null where no hold was answered. */
  readonly p99Ms: Figure;
  readonly sockets: Figure;
  /** By store. */
  readonly stores: ReadonlyMap<string, boolean>;
}

/** True where both are of one process, that has not been started anew in between. */
function isSameProcess(before: Scrape, after: Scrape): boolean {
  const name = 'process_start_time_seconds';
  return before.value(name) === after.value(name);
}

export function gatewayFigures(before: Reading<Scrape> | null, after: Reading<Scrape>): GatewayFigures {
  const now = after.value;
  const levels = {
    depth: now.value('fastpass_queue_depth'),
    sockets: now.value('fastpass_sockets'),
    stores: new Map([...now.by('fastpass_store_up', 'store')].map(([store, up]) => [store, up === 1])),
  };
  const seconds = secondsBetween(before, after);
  const unknown = { holds: null, refusals: null, refused: new Map<string, number>(), held: 0, p99Ms: null, ...levels };
  // What was counted in between was counted, whether it was a second or a minute; beyond the last minutes nobody asks.
  const isLongAgo = before !== null && after.atSeconds - before.atSeconds > windowSeconds;
  if (before === null || isLongAgo || !isSameProcess(before.value, now)) return unknown;
  const earlier = before.value.by(holds, 'outcome');
  const refused = new Map<string, number>();
  let held = 0;
  let refusals = 0;
  for (const [outcome, total] of now.by(holds, 'outcome')) {
    const increase = increaseOf(earlier.get(outcome) ?? 0, total);
    if (increase === null) return unknown;
    if (outcome === 'held') held = increase;
    else {
      refusals += increase;
      if (increase > 0) refused.set(outcome, increase);
    }
  }
  const duration = (scrape: Scrape) => scrape.buckets('fastpass_request_duration_seconds', { route: 'hold' });
  const p99 = quantileBetween(0.99, duration(before.value), duration(now));
  return {
    ...levels,
    holds: seconds === null ? null : held / seconds,
    refusals: seconds === null ? null : refusals / seconds,
    refused,
    held,
    p99Ms: seconds === null || p99 === null ? null : p99 * 1000,
  };
}

/** Rows of figures over time, oldest first; they change in place. */
export interface Course<Name extends string> {
  readonly times: readonly number[];
  readonly rows: Readonly<Record<Name, readonly Figure[]>>;
}

export const windowSeconds = 120;

/** The last minutes of some figures. Where nothing was read for a while stands a gap, not a line across it. */
export class CourseKeeper<Name extends string> implements Course<Name> {
  readonly times: number[] = [];
  readonly rows: Record<Name, Figure[]>;
  readonly #names: readonly Name[];

  constructor(names: readonly Name[]) {
    this.#names = names;
    this.rows = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, Figure[]>;
  }

  add(atSeconds: number, figures: Readonly<Record<Name, Figure>>): void {
    const last = this.times.at(-1);
    if (last !== undefined && atSeconds - last > apartSecondsMax) this.#push(last + 1, null);
    this.#push(atSeconds, figures);
    const tooOld = this.times.findIndex((time) => time >= atSeconds - windowSeconds);
    if (tooOld <= 0) return;
    this.times.splice(0, tooOld);
    for (const name of this.#names) this.rows[name].splice(0, tooOld);
  }

  #push(atSeconds: number, figures: Readonly<Record<Name, Figure>> | null): void {
    this.times.push(atSeconds);
    for (const name of this.#names) this.rows[name].push(figures === null ? null : figures[name]);
  }
}

export interface Range {
  readonly now: Figure;
  readonly lowest: Figure;
  readonly highest: Figure;
}

/** What a person who sees no plot is told of it. */
export function rangeOf(row: readonly Figure[]): Range {
  const known = row.filter((figure) => figure !== null);
  if (known.length === 0) return { now: null, lowest: null, highest: null };
  return { now: row.at(-1) ?? null, lowest: Math.min(...known), highest: Math.max(...known) };
}

/** How often each outcome was met in the last minutes. */
export class OutcomeKeeper {
  readonly #met: { readonly atSeconds: number; readonly outcome: string; readonly count: number }[] = [];

  add(atSeconds: number, { held, refused }: GatewayFigures): void {
    if (held > 0) this.#met.push({ atSeconds, outcome: 'held', count: held });
    for (const [outcome, count] of refused) this.#met.push({ atSeconds, outcome, count });
    const kept = this.#met.findIndex((met) => met.atSeconds > atSeconds - windowSeconds);
    this.#met.splice(0, kept < 0 ? this.#met.length : kept);
  }

  /** Most often first. */
  get totals(): [outcome: string, count: number][] {
    const totals = new Map<string, number>();
    for (const { outcome, count } of this.#met) totals.set(outcome, (totals.get(outcome) ?? 0) + count);
    return [...totals].sort(([, a], [, b]) => b - a);
  }
}
