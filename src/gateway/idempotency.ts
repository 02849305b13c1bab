/**
 * Idempotency-Key (IETF draft): the same key and body gives the first answer again; another body is 422; a repeat that
 * arrives while the first is under way waits for it, in this process or another, until its own deadline at most.
 */
import { createHash } from 'node:crypto';
import { Code, codeTable } from '../domain/codes.ts';
import { type Clock, sleep } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';
import type { Claim, IdempotencyStore, RememberedAnswer } from '../lua/idempotency.ts';
import { type Answer, bodyValueOf, problem } from './reply.ts';

/** 1 to 64 visible ASCII characters. */
export const keyPattern = /^[\x21-\x7e]{1,64}$/;
const pollIntervalMs = 20;
/** Under way elsewhere for so much longer than a request may take: its gateway has died, go on with its id. */
const pastDeadlineMs = 500;
const waitMsMin = 2500;

const stillUnderWay = problem({
  code: Code.unavailable,
  detail: 'An earlier request with this key is under way; try again.',
});

interface UnderWay {
  readonly fingerprint: string;
  answer: Promise<Answer>;
  /** Another process has begun it, or had. */
  isRepeat: boolean;
}

interface Done {
  readonly answer: Answer;
  /** Resolves once Redis has the answer, or has been told that there is none. Never rejects. */
  readonly remembered: Promise<void>;
}

const never = new Promise<Answer>(() => {});

/** True for 1 to 64 visible ASCII characters. */
export function isIdempotencyKey(key: string): boolean {
  return keyPattern.test(key);
}

/** Names a route and body, whatever the order of the body's fields or its encoding. */
export function fingerprintOf(route: string, body: unknown): string {
  return createHash('sha256').update(route).update('\n').update(canonical(body)).digest('base64url');
}

function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${canonical(field)}`).join(',')}}`;
}

export class Idempotency {
  readonly #store: IdempotencyStore;
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #underWay = new Map<string, UnderWay>();
  readonly #log: { warn(message: string, fields?: Record<string, unknown>): void };

  /** `deadlineMs`: a repeat is answered within. */
  constructor(
    store: IdempotencyStore,
    clock: Clock,
    deadlineMs: number,
    log: { warn(message: string, fields?: Record<string, unknown>): void },
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#deadlineMs = deadlineMs;
    this.#log = log;
  }

  /**
   * Runs `action` once for the key. `newId` is the id to go by; `action` may get the id of an earlier, unfinished try.
   * Rejects with StoreUnavailable before anything was done, or with what `action` throws.
   */
  async run(
    userId: number,
    key: string,
    fingerprint: string,
    newId: string,
    action: (id: string) => Promise<Answer>,
  ): Promise<Answer> {
    const name = `${userId} ${key}`;
    const first = this.#underWay.get(name);
    if (first !== undefined) {
      if (first.fingerprint !== fingerprint) return reused();
      return replayed(await this.#inTime(first.answer, () => true));
    }
    const entry: UnderWay = { fingerprint, answer: never, isRepeat: false };
    this.#underWay.set(name, entry);
    const work = this.#claimAndRun(userId, key, fingerprint, newId, action, () => {
      entry.isRepeat = true;
    });
    entry.answer = work.then((done) => done.answer);
    void this.#leaveWhenRemembered(name, work);
    return this.#inTime(entry.answer, () => entry.isRepeat);
  }

  /**
   * The answer, or 503 at the deadline of a request that waits for another one. What it waits for, or goes on with, goes on
   * without it: the next repeat finds that.
   */
  #inTime(answer: Promise<Answer>, isWaiting: () => boolean): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(this.#deadlineMs, () => {
        if (isWaiting()) resolve(stillUnderWay);
      });
      answer.then(resolve, reject).finally(() => timer.cancel());
    });
  }

  /** A repeat waits in memory until the answer stands in Redis too. */
  async #leaveWhenRemembered(name: string, work: Promise<Done>): Promise<void> {
    try {
      await (await work).remembered;
    } catch {
      // The caller has the error; nothing to remember.
    } finally {
      this.#underWay.delete(name);
    }
  }

  async #claimAndRun(
    userId: number,
    key: string,
    fingerprint: string,
    newId: string,
    action: (id: string) => Promise<Answer>,
    onRepeat: () => void,
  ): Promise<Done> {
    let claim: Claim = { fingerprint, resourceId: newId, isOpen: false, answer: null };
    const earlier = await this.#store.claim(userId, key, claim);
    if (earlier !== null) {
      if (earlier.fingerprint !== fingerprint) return { answer: reused(), remembered: Promise.resolve() };
      onRepeat();
      const finished = await this.#waitForAnswer(userId, key, earlier);
      if (finished?.answer) return { answer: replayedFrom(finished.answer), remembered: Promise.resolve() };
      claim = { ...claim, resourceId: earlier.resourceId };
    }
    let answer: Answer;
    try {
      answer = await action(claim.resourceId);
    } catch (thrown) {
      // Its outcome is unknown: a repeat need not wait for it.
      await this.#store.remember(userId, key, { ...claim, isOpen: true }).catch(() => {});
      throw thrown;
    }
    return { answer, remembered: this.#remember(userId, key, claim, answer) };
  }

  /** Waits for the answer of another process; null when there will be none. */
  async #waitForAnswer(userId: number, key: string, claim: Claim): Promise<Claim | null> {
    let current: Claim | null = claim;
    if (claim.answer !== null || claim.isOpen) return claim;
    const waitMs = Math.max(waitMsMin, this.#deadlineMs + pastDeadlineMs);
    const untilMs = this.#clock.nowMs() + waitMs - (await this.#store.ageMs(userId, key));
    while (current !== null && current.answer === null && !current.isOpen) {
      if (this.#clock.nowMs() > untilMs) return null;
      await sleep(this.#clock, pollIntervalMs);
      current = await this.#store.read(userId, key);
    }
    return current;
  }

  async #remember(userId: number, key: string, claim: Claim, answer: Answer): Promise<void> {
    try {
      if (answer.code !== undefined && !codeTable[answer.code].remembered) {
        // An unknown outcome keeps its id: the repeat goes on with it at once and finds what was done.
        if (answer.code === Code.unavailable) await this.#store.remember(userId, key, { ...claim, isOpen: true });
        else await this.#store.free(userId, key);
        return;
      }
      const location = answer.headers?.find(([header]) => header === 'location')?.[1] ?? null;
      const remembered = { status: answer.status, body: bodyValueOf(answer), location };
      await this.#store.remember(userId, key, { ...claim, answer: remembered });
    } catch (thrown) {
      this.#log.warn('an idempotent answer was not remembered', { error: messageOf(thrown) });
    }
  }
}

function reused(): Answer {
  return problem({ code: Code.idempotencyKeyReused, detail: 'This Idempotency-Key was used with another body.' });
}

function replayed(answer: Answer): Answer {
  // It may come from another gateway, and say so already.
  if (answer.headers?.some(([name]) => name === 'idempotency-replayed') === true) return answer;
  return { ...answer, headers: [...(answer.headers ?? []), ['idempotency-replayed', 'true']] };
}

function replayedFrom(answer: RememberedAnswer): Answer {
  const headers: [string, string][] = [['idempotency-replayed', 'true']];
  if (answer.location !== null) headers.push(['location', answer.location]);
  const code = codeOfBody(answer.body);
  return { status: answer.status, value: answer.body, headers, ...(code === null ? {} : { code }) };
}

function codeOfBody(body: unknown): Code | null {
  if (typeof body !== 'object' || body === null || !('code' in body)) return null;
  return Object.values(Code).find((code) => code === body.code) ?? null;
}
