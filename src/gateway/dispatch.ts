/** From a checked request to its answer, whichever transport it came by: the table's handlers, idempotency, the last resort. */
import { Code, codeIndexes } from '../domain/codes.ts';
import { messageOf, Overloaded, StoreUnavailable } from '../lib/errors.ts';
import { fingerprintOf, type Idempotency } from './idempotency.ts';
import { type Answer, problem } from './reply.ts';
import type { Call, Route } from './route.ts';

/** Where an answer goes. */
export interface Responder {
  /** When its request came in, by the clock of this process. */
  readonly startedAtMs: number;
  /** By which the client can ask for the line that its failure caused; empty where it is not told one. */
  readonly requestId: string;
  /** Gives the answer, once; nothing happens when the client has gone. */
  send(answer: Answer): void;
  /** What waits for the answer: to be told when the client goes before it has it. */
  pending: { abandoned: boolean } | null;
}

/** A request that has passed authorisation and its schemas. One object from headers to answer. */
export interface Opened extends Call {
  readonly route: Route;
  /** Of the route in the table. */
  readonly index: number;
  readonly exchange: Responder;
  readonly idempotencyKey: string;
  body: unknown;
}

export interface DispatchOptions {
  readonly idempotency: Idempotency;
  /** `code`: the index of the problem's code, 0 for none. */
  readonly onAnswer: (route: number, status: number, code: number, startedAtMs: number) => void;
  readonly log: { error(message: string, fields?: Record<string, unknown>): void };
}

const overloaded = problem({ code: Code.overloaded, detail: 'Too many requests are waiting; try again.' });
const storeDown = problem({ code: Code.unavailable, detail: 'A store does not answer; try again.' });

export class Dispatch {
  readonly #options: DispatchOptions;
  /** Requests whose answer is still being worked out. */
  #openCount = 0;
  readonly #whenIdle: (() => void)[] = [];

  constructor(options: DispatchOptions) {
    this.#options = options;
  }

  /** Resolves when every request has its answer. */
  idle(): Promise<void> {
    if (this.#openCount === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenIdle.push(resolve);
    });
  }

  /** Works the answer out and gives it. */
  run(opened: Opened): void {
    const { route, index, exchange } = opened;
    try {
      if (opened.idempotencyKey !== '') return this.#await(opened, this.#runOnce(opened));
      if (route.submit !== undefined) return this.#submit(opened, route.submit);
      const answer = route.handle(opened);
      if (answer instanceof Promise) this.#await(opened, answer);
      else this.answer(index, exchange, answer);
    } catch (thrown) {
      this.#fail(index, exchange, thrown);
    }
  }

  #submit(opened: Opened, submit: NonNullable<Route['submit']>): void {
    const { index, exchange } = opened;
    this.#openCount++;
    try {
      submit(opened, (answer) => {
        this.answer(index, exchange, answer);
        this.#leave();
      });
      exchange.pending = opened.pending;
    } catch (thrown) {
      this.#fail(index, exchange, thrown);
      this.#leave();
    }
  }

  #await({ index, exchange }: Opened, answer: Promise<Answer>): void {
    this.#openCount++;
    answer.then(
      (settled) => {
        this.answer(index, exchange, settled);
        this.#leave();
      },
      (thrown: unknown) => {
        this.#fail(index, exchange, thrown);
        this.#leave();
      },
    );
  }

  /** A keyed request is not dropped with its client: somebody may wait for the same key. */
  #runOnce(opened: Opened): Promise<Answer> {
    const { route, params, idempotencyKey, body, newId, identity } = opened;
    const fingerprint = fingerprintOf(`${route.method} ${route.path} ${params.join(' ')}`, body);
    return this.#options.idempotency.run(identity.userId, idempotencyKey, fingerprint, newId, async (id) =>
      route.handle({ ...opened, newId: id, isRepeat: id !== newId }),
    );
  }

  #leave(): void {
    this.#openCount--;
    if (this.#openCount === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Gives an answer and counts it. */
  answer(index: number, exchange: Responder, answer: Answer): void {
    const { code } = answer;
    this.#options.onAnswer(index, answer.status, code === undefined ? 0 : codeIndexes[code], exchange.startedAtMs);
    exchange.send(answer);
  }

  #fail(index: number, exchange: Responder, thrown: unknown): void {
    if (thrown instanceof Overloaded) return this.answer(index, exchange, overloaded);
    if (!(thrown instanceof StoreUnavailable)) {
      const requestId = exchange.requestId || undefined;
      const stack = thrown instanceof Error ? thrown.stack : undefined;
      this.#options.log.error('a request failed', { requestId, route: index, error: messageOf(thrown), stack });
    }
    this.answer(index, exchange, storeDown);
  }
}
