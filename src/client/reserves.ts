/**
 * Reservations over the socket, each until its result. One whose connection is lost before that is sent again over the
 * next with the same Idempotency-Key: it is made once, and both tries are answered the same.
 */
import { NetworkError, problemOf, type Result } from './result.ts';
import type { Held, ReserveRequest } from './types.ts';
import { between, newKey } from './wait.ts';

export interface SocketReserveOptions {
  /** Needed while the performance's room is on. */
  readonly pass?: string | undefined;
  /** One of its own unless given. */
  readonly idempotencyKey?: string | undefined;
  /** For the result, lost connections and repeats included; 15,000 by default. */
  readonly deadlineMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

type Message = Readonly<Record<string, unknown>>;
type Timer = ReturnType<typeof setTimeout>;

interface Pending {
  readonly message: Message;
  readonly endMs: number;
  retryTimer: Timer | undefined;
  /** Both forget it first. */
  readonly settle: (result: Result<Held>) => void;
  readonly fail: (reason: unknown) => void;
}

/** The gateway takes 50 messages a second of a socket; with 16 rooms and 16 seat maps watched anew, all go out at once. */
const pendingMax = 16;
const deadlineMsDefault = 15_000;
/** On top of what the gateway asks for, so that a crowd does not come back at the same moment. */
const retryJitterMs = 500;

export class Reserves {
  readonly #send: (message: Message) => boolean;
  readonly #pending = new Map<string, Pending>();
  #lastId = 0;

  /** `send` may do nothing while there is no connection. */
  constructor(send: (message: Message) => boolean) {
    this.#send = send;
  }

  /** Resolves with the result; rejects with NetworkError after the deadline, or with the signal's reason. */
  add(request: ReserveRequest, options: SocketReserveOptions): Promise<Result<Held>> {
    const { pass, idempotencyKey = newKey(), deadlineMs = deadlineMsDefault, signal } = options;
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (this.#pending.size >= pendingMax) {
      return Promise.reject(new RangeError(`${pendingMax} reservations are under way on this socket`));
    }
    const id = `r${++this.#lastId}`;
    const message = { type: 'reserve', id, ...request, idempotencyKey, ...(pass === undefined ? {} : { pass }) };
    return new Promise((resolve, reject) => {
      const forget = (): void => {
        this.#pending.delete(id);
        clearTimeout(endTimer);
        clearTimeout(pending.retryTimer);
        signal?.removeEventListener('abort', onAbort);
      };
      const pending: Pending = {
        message,
        endMs: performance.now() + deadlineMs,
        retryTimer: undefined,
        settle(result) {
          forget();
          resolve(result);
        },
        fail(reason) {
          forget();
          reject(reason);
        },
      };
      const onAbort = (): void => pending.fail(signal?.reason);
      const endTimer = setTimeout(
        () => pending.fail(new NetworkError('timeout', `reserve: no result within ${deadlineMs} ms`)),
        deadlineMs,
      );
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#pending.set(id, pending);
      this.#send(message);
    });
  }

  /** There is a new connection. */
  sendAll(): void {
    for (const { message } of this.#pending.values()) this.#send(message);
  }

  /** Takes a frame that is a result; false for any other. */
  take(frame: Message): boolean {
    const { id } = frame;
    const pending = typeof id === 'string' ? this.#pending.get(id) : undefined;
    if (pending === undefined) return false;
    const { type, id: _, status: httpStatus, replayed, retryAfter, ...fields } = frame;
    const status = Number(httpStatus);
    const problem = status >= 400 ? problemOf(status, fields) : null;
    if (problem === null) {
      // `status` is that of HTTP in this frame; that of a hold is HELD.
      const value = { ...fields, status: 'HELD' } as unknown as Held;
      pending.settle({ ok: true, status, value, ...(replayed === true ? { replayed } : {}) });
      return true;
    }
    const retryAfterSeconds = typeof retryAfter === 'number' ? retryAfter : null;
    const waitMs = between(0, retryJitterMs) + (retryAfterSeconds ?? 0) * 1000;
    if (retryAfterSeconds !== null && performance.now() + waitMs < pending.endMs) {
      clearTimeout(pending.retryTimer);
      pending.retryTimer = setTimeout(() => this.#send(pending.message), waitMs);
      return true;
    }
    pending.settle({ ok: false, status, problem, ...(retryAfterSeconds === null ? {} : { retryAfterSeconds }) });
    return true;
  }

  /** There will be no connection any more. */
  failAll(reason: NetworkError): void {
    for (const { fail } of [...this.#pending.values()]) fail(reason);
  }
}
