/**
 * Whether MySQL answers: the circuit of all pools. A heartbeat on a connection of its own decides, so that neither a busy pool
 * nor one lost connection counts as an outage, and an outage is known before anybody has to wait for it.
 *
 *   up -> down    a beat without an answer, or no connection to be had
 *   down -> up    a beat with an answer
 *
 * While it is down nobody else asks the server: callers fail at once, and its return meets one connection, not a thousand.
 */
import mysql, { type Connection } from 'mysql2/promise';
import { messageOf, StoreUnavailable } from '../lib/errors.ts';

export interface HealthLog {
  warn(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
}

const beatIntervalMs = 500;
/** Longer than any pause of a server that lives; a frozen one is known after this and the interval. */
const answerMsMax = 1000;
const retryDelayMsMax = 500;

export class MysqlHealth {
  readonly counters = { outages: 0 };
  readonly #url: string;
  readonly #log: HealthLog;
  #connection: Connection | null = null;
  #isUp = true;
  #isClosed = false;
  #failures = 0;
  #timer: NodeJS.Timeout | null = null;
  #beating: Promise<void> | null = null;

  constructor(url: string, log: HealthLog) {
    this.#url = url;
    this.#log = log;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Outages so far: connections from before the last one may have gone silent for good. */
  get generation(): number {
    return this.counters.outages;
  }

  /** Begins to listen; the first beat is over when it resolves. Rejects with StoreUnavailable when it fails. */
  async start(): Promise<void> {
    try {
      await this.#ask();
    } catch (thrown) {
      this.#drop();
      throw new StoreUnavailable('mysql', thrown);
    }
    this.#later(beatIntervalMs);
  }

  /** Somebody has lost a connection or an answer: whether it was the server's fault is found out now. */
  suspect(): void {
    if (this.#isClosed || this.#beating !== null || !this.#isUp || this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#beat();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#beating;
    this.#drop();
  }

  #later(delayMs: number): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => this.#beat(), delayMs);
    this.#timer.unref();
  }

  #beat(): void {
    this.#timer = null;
    this.#beating = this.#round().finally(() => {
      this.#beating = null;
    });
  }

  async #round(): Promise<void> {
    try {
      await this.#ask();
      this.#failures = 0;
      if (!this.#isUp) this.#log.info('mysql answers again');
      this.#isUp = true;
      this.#later(beatIntervalMs);
    } catch (thrown) {
      this.#drop();
      if (this.#isUp && !this.#isClosed) {
        this.counters.outages++;
        this.#log.warn('mysql does not answer', { error: messageOf(thrown) });
      }
      this.#isUp = false;
      // Grows to half a second, with jitter, for as long as it takes.
      const limitMs = Math.min(25 * 2 ** Math.min(++this.#failures, 6), retryDelayMsMax);
      this.#later(limitMs * (0.5 + Math.random() / 2));
    }
  }

  /** One question and its answer; a connection that has ended meanwhile is no fault of the server yet. */
  async #ask(): Promise<void> {
    const old = this.#connection;
    if (old !== null) {
      try {
        return await answered(old.query('SELECT 1'));
      } catch (thrown) {
        this.#drop();
        if (thrown instanceof NoAnswer) throw thrown;
      }
    }
    const connection = await mysql.createConnection({ uri: this.#url, connectTimeout: answerMsMax });
    // Its end is noticed by the next beat.
    connection.on('error', () => {});
    this.#connection = connection;
    await answered(connection.query('SELECT 1'));
  }

  #drop(): void {
    this.#connection?.destroy();
    this.#connection = null;
  }
}

class NoAnswer extends Error {}

/** Rejects when there is no answer in time. */
function answered(answer: Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new NoAnswer(`no answer within ${answerMsMax} ms`));
    // Where this process itself stood still the answer may lie there unread: it is looked for first.
    const timer = setTimeout(() => setImmediate(() => setImmediate(late)), answerMsMax);
    answer.then(() => resolve(), reject).finally(() => clearTimeout(timer));
  });
}
