/** Reconciliation: MySQL is the truth, Redis the arbiter in front; what Redis has wrong is found and loaded anew. */
import { compare } from '../domain/compare.ts';
import { type ArbiterView, countByKind, type Difference, DriftKind, seenTwice } from '../domain/drift.ts';
import type { Snapshot } from '../domain/snapshot.ts';
import type { Clock } from '../lib/clock.ts';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';
import type { Job } from './scheduler.ts';

/** How to look at a performance, and how to mend it. All reject with StoreUnavailable. */
export interface ReconcileSources {
  /** The performances that have been warm. */
  performances(): Promise<readonly number[]>;
  /** What MySQL has; null: no such performance. */
  snapshot(performanceId: number): Promise<Snapshot | null>;
  /** What Redis has; null: not warm, there is nothing to compare. */
  view(performanceId: number): Promise<ArbiterView | null>;
  /** Loads it anew from MySQL, with the journal over it. */
  repair(performanceId: number): Promise<void>;
}

export interface ReconcileCounters {
  /** Performances compared. */
  compared: number;
  repairs: number;
  /** Differences found, by kind. */
  readonly drift: Record<DriftKind, number>;
}

/** All at 0. */
export function newReconcileCounters(): ReconcileCounters {
  const drift = Object.fromEntries(Object.values(DriftKind).map((kind) => [kind, 0])) as Record<DriftKind, number>;
  return { compared: 0, repairs: 0, drift };
}

export interface ReconcileOptions extends ReconcileSources {
  readonly clock: Clock;
  readonly counters: ReconcileCounters;
  readonly log: {
    warn(message: string, fields?: Record<string, unknown>): void;
    error(message: string, fields?: Record<string, unknown>): void;
  };
}

/**
 * Between the two looks. What MySQL has committed Redis is told within the second that a command may take, or half a second
 * later the performance is cold: by then nothing that was under way at the first look is under way still.
 */
export const secondLookMs = 2000;

/**
 * What a look costs, all seats held: of 50 seats 4 ms, 0.1 ms of it Redis; of 20,000 seats 250 ms, in which Redis works for
 * 22 ms in 150 pieces, MySQL reads for 80 ms and the gateway computes for 120 ms; of 100,000 seats 1.2 s (two busy cores).
 */
const intervalMs = 1000;
const looksPerRoundMax = 20;
/** A round that has taken so long is enough. */
const roundMsMax = 100;
/** After a look a rest of so many times its time: looks take a twentieth of the time, those at a thousand small ones 80 s. */
const restTimes = 19;
/** Looks that earn a longer rest have waited more than worked. */
const restMsMax = 20_000;
/** Performances that wait for their second look; past it no first ones. */
const suspectsMax = 100;
/** One that a load did not mend is not loaded again and again. */
const unmendedPauseMs = 60_000;

/**
 * One look: MySQL behind Redis, so that a hold is in the journal or in what MySQL has. Null when there is nothing to
 * compare. Rejects with StoreUnavailable.
 */
export async function lookForDrift(
  sources: ReconcileSources,
  clock: Clock,
  performanceId: number,
): Promise<Difference[] | null> {
  const view = await sources.view(performanceId);
  if (view === null) return null;
  const snapshot = await sources.snapshot(performanceId);
  if (snapshot === null) return null;
  const comparison = compare(snapshot, view);
  for (;;) {
    const step = comparison.next();
    if (step.done === true) return step.value;
    // Whoever waits for an answer comes first.
    await new Promise<void>((resolve) => clock.soon(resolve));
  }
}

/** A performance whose first look saw differences. */
interface Suspect {
  readonly differences: readonly Difference[];
  readonly seenAtMs: number;
}

/** Looks at the next performances in each round, and mends those that have differed in two looks. */
export function reconcileJob(options: ReconcileOptions): Job {
  const { clock, counters, log } = options;
  /** What is left of this turn through all performances; the newest are the last. */
  let turn: number[] = [];
  const suspects = new Map<number, Suspect>();
  const unmended = new Map<number, number>();
  /** Performances that could not be compared last time: said once. */
  const failing = new Set<number>();
  let restUntilMs = Number.NEGATIVE_INFINITY;

  /** One that cannot be read must not stand in the way of the others; a store that is away stops the round. */
  async function look(performanceId: number): Promise<Difference[]> {
    const startedAtMs = clock.nowMs();
    try {
      const differences = await lookForDrift(options, clock, performanceId);
      failing.delete(performanceId);
      if (differences !== null) counters.compared++;
      const endedAtMs = clock.nowMs();
      const restMs = Math.max(restUntilMs - endedAtMs, 0) + (endedAtMs - startedAtMs) * restTimes;
      restUntilMs = endedAtMs + Math.min(restMs, restMsMax);
      return differences ?? [];
    } catch (thrown) {
      if (thrown instanceof StoreUnavailable) throw thrown;
      if (!failing.has(performanceId)) {
        log.error('a performance could not be compared', { performanceId, error: messageOf(thrown) });
        failing.add(performanceId);
      }
      return [];
    }
  }

  async function mend(performanceId: number, differences: readonly Difference[]): Promise<void> {
    for (const { kind } of differences) counters.drift[kind]++;
    const drift = countByKind(differences);
    log.warn('redis differs from mysql; the performance is loaded anew', { performanceId, drift });
    await options.repair(performanceId);
    counters.repairs++;
    const left = seenTwice(differences, await look(performanceId));
    if (left.length === 0) return;
    unmended.set(performanceId, clock.nowMs() + unmendedPauseMs);
    log.error('redis differs from mysql though it was loaded', { performanceId, drift: countByKind(left) });
  }

  async function lookAgain(): Promise<void> {
    for (const [performanceId, { differences, seenAtMs }] of suspects) {
      if (clock.nowMs() - seenAtMs < secondLookMs) continue;
      suspects.delete(performanceId);
      const drift = seenTwice(differences, await look(performanceId));
      if (drift.length > 0) await mend(performanceId, drift);
    }
  }

  function isPaused(performanceId: number): boolean {
    const untilMs = unmended.get(performanceId);
    if (untilMs === undefined) return false;
    if (clock.nowMs() < untilMs) return true;
    unmended.delete(performanceId);
    return false;
  }

  /** In a turn each is looked at once, in the same order every time: the next one was not looked at for longest. */
  async function lookAtNext(): Promise<void> {
    const startedAtMs = clock.nowMs();
    if (startedAtMs < restUntilMs) return;
    if (turn.length === 0) turn = [...(await options.performances())].sort((a, b) => a - b);
    for (let looks = 0; looks < looksPerRoundMax && suspects.size < suspectsMax; looks++) {
      if (clock.nowMs() - startedAtMs > roundMsMax) break;
      const performanceId = turn.pop();
      if (performanceId === undefined) break;
      if (suspects.has(performanceId) || isPaused(performanceId)) continue;
      const differences = await look(performanceId);
      if (differences.length > 0) suspects.set(performanceId, { differences, seenAtMs: clock.nowMs() });
    }
  }

  return {
    name: 'reconcile',
    intervalMs,
    async run() {
      await lookAgain();
      await lookAtNext();
    },
  };
}
