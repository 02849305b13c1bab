/** How a rehearsal rush goes: `people` is always the sum of `waiting`, `held`, all of `refused`, and `failed`. */

export interface RehearsalRequest {
  readonly people: number;
  /** What each of them asks for. */
  readonly places: number;
}

export interface Rehearsal extends RehearsalRequest {
  readonly performanceId: number;
  readonly state: 'none' | 'running' | 'done';
  /** Still on their way; at the end: whose turn had not come. */
  readonly waiting: number;
  /** Who got what they asked for. */
  readonly held: number;
  /** Who did not, by the code of their last answer. */
  readonly refused: Readonly<Record<string, number>>;
  /** Who got no answer. */
  readonly failed: number;
  /** Of the answers to requests for a hold; null before the first one. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number | null;
}
