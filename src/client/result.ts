/** What a call comes to: a value, or a problem of the business. What never reached an answer is thrown. */
import type { Code } from '../domain/codes.ts';

export type { Code };

/** What belongs to some codes beside the text. */
interface ProblemFields {
  readonly validation_failed: { readonly errors: readonly { readonly path: string; readonly message: string }[] };
  /** The seats that were. */
  readonly seat_taken: { readonly seats: readonly number[] };
  readonly seat_not_found: { readonly seats: readonly number[] };
  /** The reservation that stands in the way. */
  readonly already_reserved: { readonly reservationId: string };
}

/** An RFC 9457 body, told apart by its `code`: `problem.code === 'seat_taken'` makes `problem.seats` known. */
export type Problem = {
  readonly [Name in Code]: {
    readonly type: string;
    readonly title: string;
    readonly status: number;
    readonly code: Name;
    /** For people, in English. */
    readonly detail: string;
  } & (Name extends keyof ProblemFields ? ProblemFields[Name] : unknown);
}[Code];

export interface Success<Value> {
  readonly ok: true;
  /** Of HTTP. */
  readonly status: number;
  readonly value: Value;
  /** True for the first answer of an Idempotency-Key, given again. */
  readonly replayed?: true;
}

export interface Failure {
  readonly ok: false;
  /** Of HTTP. */
  readonly status: number;
  readonly problem: Problem;
  /** How long to wait before it is worth another try, where the gateway says so. */
  readonly retryAfterSeconds?: number;
}

export type Result<Value> = Success<Value> | Failure;

/**
 * Why there is no answer:
 *   unreachable  no connection, or it broke before the answer
 *   timeout      none within the deadline
 *   unreadable   one that is not of the contract: a proxy's page, broken JSON
 *   closed       the socket was closed, by its owner or for good by the gateway
 */
export type NetworkErrorKind = 'unreachable' | 'timeout' | 'unreadable' | 'closed';

/** There is no answer: what was asked for may have been done or not. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError';
  readonly kind: NetworkErrorKind;
  /** Of an unreadable answer, else 0. */
  readonly status: number;

  constructor(
    kind: NetworkErrorKind,
    message: string,
    options: { readonly cause?: unknown; readonly status?: number } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : {});
    this.kind = kind;
    this.status = options.status ?? 0;
  }
}

/** A body as a problem, or null when it is none. Fields that a proxy may have dropped are made up for. */
export function problemOf(status: number, body: unknown): Problem | null {
  if (typeof body !== 'object' || body === null || !('code' in body) || typeof body.code !== 'string') return null;
  const base = { type: `urn:fastpass:problem:${body.code}`, title: body.code, detail: body.code };
  return { ...base, ...body, status } as unknown as Problem;
}
