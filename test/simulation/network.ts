/**
 * What lies between a process and a store: requests arrive late, twice, not at all; replies are lost; the store refuses, or
 * stands still. The fakes behind it do each thing at once and whole, as the stores do.
 */
import { sleep } from '../../src/lib/clock.ts';
import { StoreUnavailable } from '../../src/lib/errors.ts';
import type { ManualClock } from '../manual-clock.ts';
import type { Chance, Weather } from './weather.ts';

/** A store, as the network meets it. */
export class Server {
  readonly name: 'redis' | 'mysql';
  state: 'up' | 'down' | 'frozen' = 'up';
  #onThaw: (() => void)[] = [];

  constructor(name: 'redis' | 'mysql') {
    this.name = name;
  }

  setState(state: 'up' | 'down' | 'frozen'): void {
    this.state = state;
    if (state !== 'frozen') for (const resolve of this.#onThaw.splice(0)) resolve();
  }

  /** Resolves when it moves again. */
  thawed(): Promise<void> {
    if (this.state !== 'frozen') return Promise.resolve();
    return new Promise((resolve) => this.#onThaw.push(resolve));
  }
}

export interface LinkOptions {
  readonly clock: ManualClock;
  readonly chance: Chance;
  /** As it is now: it may clear up. */
  readonly weather: () => Weather;
  readonly server: Server;
  /** Of one command or transaction. */
  readonly timeoutMs: number;
  /** The process at this end is gone: nothing comes back to it. */
  readonly isDead: () => boolean;
}

const forever = new Promise<never>(() => {});
const probeIntervalMs = 500;

/** The way of one process to one store. */
export class Link {
  readonly #options: LinkOptions;
  /** On one connection requests and replies keep their order. */
  #lastArrivalMs = 0;
  #lastReplyMs = 0;
  #isBelievedUp = true;
  /** Counts connections: what was sent over one is not answered over the next. */
  #connection = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** What the process knows: false between a failure and the next probe that gets through. */
  get isBelievedUp(): boolean {
    return this.#isBelievedUp;
  }

  /** Has the store do `effect`; rejects with StoreUnavailable where the outcome is unknown, or nothing was done. */
  async call<Result>(effect: () => Promise<Result>, mayRepeat = true): Promise<Result> {
    const { clock, chance, server, timeoutMs } = this.#options;
    const weather = this.#options.weather();
    const name = server.name;
    if (!this.#isBelievedUp) throw new StoreUnavailable(name, 'it does not answer');
    const sentAtMs = clock.nowMs();
    const connection = this.#connection;
    const isLost = weather.isLossy && chance.is(0.01);
    const isReplyLost = weather.isLossy && chance.is(0.01);
    const isLate = weather.isLossy && chance.is(0.02);
    const secondDelayMs = mayRepeat && weather.isRepeating && chance.is(0.03) ? chance.ms(0, 3000) : null;
    const late = async (): Promise<never> => {
      const leftMs = timeoutMs - (clock.nowMs() - sentAtMs);
      if (leftMs > 0) await sleep(clock, leftMs);
      return this.#fail(`no answer within ${timeoutMs} ms`);
    };

    await this.#untilArrival(
      sentAtMs + (isLate ? chance.ms(5, timeoutMs * 0.9) : chance.ms(0.1, 2)),
      weather.isReordering,
    );
    if (connection !== this.#connection) return this.#fail('connection closed');
    if (isLost) return late();
    if (server.state === 'down') return this.#fail('connection refused');
    if (server.state === 'frozen') {
      // It has the request: once it moves again it may do it, whatever has become of the caller.
      const isRun = chance.is(0.5);
      void server.thawed().then(() => (isRun && server.state === 'up' ? effect() : null));
      return late();
    }
    const result = await effect();
    if (secondDelayMs !== null) {
      clock.after(secondDelayMs, () => {
        if (server.state === 'up') void effect();
      });
    }
    if (isReplyLost) return late();
    const replyAtMs = Math.max(this.#lastReplyMs, clock.nowMs() + this.#wayMs());
    this.#lastReplyMs = replyAtMs;
    await sleep(clock, replyAtMs - clock.nowMs());
    if (this.#options.isDead()) return forever;
    if (connection !== this.#connection) return this.#fail('connection closed');
    return result;
  }

  /** The connection is lost; it is back after a moment, once `before` has been done over it. */
  async reconnect(before: () => Promise<void>): Promise<void> {
    const { clock, chance, isDead } = this.#options;
    this.#isBelievedUp = false;
    this.#connection++;
    do {
      await sleep(clock, chance.ms(25, 500));
    } while (!isDead() && !(await this.#isDone(before)));
    this.#isBelievedUp = true;
  }

  async #isDone(work: () => Promise<void>): Promise<boolean> {
    this.#isBelievedUp = true;
    try {
      await work();
      return true;
    } catch {
      return false;
    } finally {
      this.#isBelievedUp = false;
    }
  }

  /** One way: a millisecond, and now and then much more, in fair weather too. */
  #wayMs(): number {
    const { chance } = this.#options;
    return chance.is(0.05) ? chance.ms(2, 150) : chance.ms(0.1, 2);
  }

  async #untilArrival(atMs: number, mayOvertake: boolean): Promise<void> {
    const { clock } = this.#options;
    const arrivalMs = mayOvertake ? atMs : Math.max(atMs, this.#lastArrivalMs);
    this.#lastArrivalMs = Math.max(arrivalMs, this.#lastArrivalMs);
    await sleep(clock, arrivalMs - clock.nowMs());
  }

  #fail(why: string): Promise<never> {
    const { server, isDead } = this.#options;
    if (isDead()) return forever;
    if (server.state !== 'up' && this.#isBelievedUp) {
      this.#isBelievedUp = false;
      this.#probeLater();
    }
    return Promise.reject(new StoreUnavailable(server.name, why));
  }

  #probeLater(): void {
    const { clock, chance, server, isDead } = this.#options;
    clock.after(chance.ms(0.5, 1) * probeIntervalMs, () => {
      if (isDead()) return;
      if (server.state === 'up') this.#isBelievedUp = true;
      else this.#probeLater();
    });
  }
}
