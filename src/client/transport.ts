/**
 * One HTTP call: attempts with a limit each, again where that is safe and may help, all within a deadline.
 *
 * A call is made again when it may be repeated and there was no answer (no connection, a broken one, a proxy's 5xx), or
 * when the answer is 429 or 503 with Retry-After; never for any other answer.
 */
import { NetworkError, problemOf, type Result } from './result.ts';
import { fullJitter, sleep } from './wait.ts';

/** What is used of `fetch`. */
export type FetchLike = (url: string, init: FetchInit) => Promise<ResponseLike>;

export interface FetchInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly signal: AbortSignal;
}

/** What is used of a response. */
export interface ResponseLike {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
}

export interface RetryOptions {
  /** 5 by default; 1 for no repeat. */
  readonly attemptsMax?: number;
  /** For all attempts of a call and the waits between them; 15,000 by default. */
  readonly deadlineMs?: number;
  /** For one attempt, up to the end of its body; 10,000 by default. */
  readonly attemptMsMax?: number;
  /** The first wait is anywhere below it, each later limit is twice as long; 500 by default. */
  readonly delayMs?: number;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly headers: Record<string, string>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Whether it does the same when it is done twice. */
  readonly isRepeatable: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** An answer of the contract: a success, 304, or a problem. */
export interface Answer {
  readonly status: number;
  readonly headers: ResponseLike['headers'];
  /** Null where there is none. */
  readonly body: unknown;
}

const delayMsMax = 5000;

export class Transport {
  readonly #baseUrl: string;
  readonly #fetch: FetchLike;
  readonly #retry: Required<RetryOptions>;

  constructor(baseUrl: string, fetchLike: FetchLike, retry: RetryOptions) {
    this.#baseUrl = baseUrl;
    this.#fetch = fetchLike;
    this.#retry = { attemptsMax: 5, deadlineMs: 15_000, attemptMsMax: 10_000, delayMs: 500, ...retry };
  }

  /** Resolves with the last answer. Rejects with NetworkError where there is none, or with the signal's reason. */
  async send(call: Call): Promise<Answer> {
    const { attemptsMax, deadlineMs, attemptMsMax, delayMs } = this.#retry;
    const endMs = performance.now() + deadlineMs;
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt >= attemptsMax || !call.isRepeatable;
      const limitMs = Math.max(1, Math.min(attemptMsMax, endMs - performance.now()));
      const outcome = await this.#attempt(call, limitMs).catch(failureOf);
      const isFailed = outcome instanceof NetworkError;
      const askedMs = isFailed ? waitAfter(outcome) : retryAfterMs(outcome);
      // What the gateway asks for is the least; the jitter is on top, else everybody comes back at the same moment.
      const waitMs = (askedMs ?? 0) + fullJitter(attempt - 1, delayMs, delayMsMax);
      if (isLast || askedMs === null || performance.now() + waitMs >= endMs) {
        if (isFailed) throw outcome;
        return outcome;
      }
      await sleep(waitMs, call.signal);
    }
  }

  async #attempt(call: Call, limitMs: number): Promise<Answer> {
    const { method, path, headers, body, signal } = call;
    signal?.throwIfAborted();
    const name = `${method} ${path}`;
    const controller = new AbortController();
    const onAbort = (): void => controller.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    const tooLate = new NetworkError('timeout', `${name}: no answer within ${Math.round(limitMs)} ms`);
    const timer = setTimeout(() => controller.abort(tooLate), limitMs);
    try {
      const response = await this.#fetch(this.#baseUrl + path, {
        method,
        headers: { accept: 'application/json', ...(body === undefined ? {} : jsonType), ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: controller.signal,
      });
      return answerOf(name, response, await response.text());
    } catch (thrown) {
      if (signal?.aborted === true) throw signal.reason;
      if (thrown instanceof NetworkError) throw thrown;
      if (controller.signal.aborted) throw tooLate;
      throw new NetworkError('unreachable', `${name}: ${causeOf(thrown)}`, { cause: thrown });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }
}

const jsonType = { 'content-type': 'application/json' };

/** NetworkErrors are outcomes here; the caller's own abort goes through. */
function failureOf(thrown: unknown): NetworkError {
  if (thrown instanceof NetworkError) return thrown;
  throw thrown;
}

/** `fetch failed` says nothing: Node has the reason in the cause. Browsers keep it to themselves. */
function causeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const { cause } = thrown;
  return cause instanceof Error ? `${thrown.message}: ${cause.message || cause.name}` : thrown.message;
}

function answerOf(name: string, response: ResponseLike, text: string): Answer {
  const { status, headers } = response;
  let body: unknown = null;
  try {
    if (text !== '') body = JSON.parse(text);
  } catch (thrown) {
    throw new NetworkError('unreadable', `${name}: ${status} with a body that is not JSON`, { cause: thrown, status });
  }
  const isSuccess = (status >= 200 && status < 300) || status === 304;
  if (isSuccess || problemOf(status, body) !== null) return { status, headers, body };
  throw new NetworkError('unreadable', `${name}: ${status} with a body that is no problem of ours`, { status });
}

/** Null where another attempt is no use. */
function waitAfter({ kind, status }: NetworkError): number | null {
  return kind !== 'unreadable' || status >= 500 ? 0 : null;
}

/** What 429 and 503 ask for; null where they, or another answer, ask for nothing. */
function retryAfterMs({ status, headers }: Answer): number | null {
  if (status !== 429 && status !== 503) return null;
  const text = headers.get('retry-after') ?? '';
  if (text === '') return null;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

/** An answer as a result; `toValue` makes the value of a success. */
export function resultOf<Value>(answer: Answer, toValue: (answer: Answer) => Value): Result<Value> {
  const { status, headers, body } = answer;
  const problem = status >= 400 ? problemOf(status, body) : null;
  if (problem === null) {
    const replayed = headers.get('idempotency-replayed') === 'true' ? ({ replayed: true } as const) : {};
    return { ok: true, status, value: toValue(answer), ...replayed };
  }
  const waitMs = retryAfterMs(answer);
  return { ok: false, status, problem, ...(waitMs === null ? {} : { retryAfterSeconds: Math.ceil(waitMs / 1000) }) };
}
