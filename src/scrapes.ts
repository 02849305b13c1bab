/**
 * Several processes share a port, and a scrape reaches any of them: it is answered with the sum of all. The primary asks each
 * worker for what it has measured and adds it up; a worker hands a scrape on to the primary.
 *
 * Nobody is waited for longer than a second. What only grows is kept of a worker that is silent or has ended: a sum that
 * fell would be taken for a restart of all.
 */
import type { ChildProcess } from 'node:child_process';
import { grownOf, type Metrics, type MetricValues, sumOf } from './metrics.ts';

const answerMsMax = 1000;
/** The primary takes a second for the others. */
const primaryMsMax = 2 * answerMsMax;

type ToWorker = { readonly type: 'measure' } | { readonly type: 'scraped'; readonly text: string };
type ToPrimary = { readonly type: 'scrape' } | { readonly type: 'measured'; readonly values: MetricValues };
type Numbered<Message> = Message & { readonly id: number };

/** Those who ask at the same time get one answer. */
function shared<Result>(ask: () => Promise<Result>): () => Promise<Result> {
  let underWay: Promise<Result> | null = null;
  return () => {
    underWay ??= ask().finally(() => {
      underWay = null;
    });
    return underWay;
  };
}

/** Questions to another process, by number. */
class Questions<Answer> {
  readonly #open = new Map<number, (answer: Answer | null) => void>();
  #last = 0;

  /** Sends a question; null when there is no answer in time. */
  ask(timeoutMs: number, send: (id: number) => void): Promise<Answer | null> {
    const id = ++this.#last;
    return new Promise((resolve) => {
      const settle = (answer: Answer | null): void => {
        clearTimeout(limit);
        this.#open.delete(id);
        resolve(answer);
      };
      const limit = setTimeout(() => settle(null), timeoutMs);
      this.#open.set(id, settle);
      send(id);
    });
  }

  answer(id: number, answer: Answer): void {
    this.#open.get(id)?.(answer);
  }
}

/** The primary's side. */
export class Scrapes {
  readonly #metrics: Metrics;
  readonly #questions = new Questions<MetricValues>();
  /** The workers there are, each with what it said last. */
  readonly #lastOf = new Map<ChildProcess, MetricValues>();
  /** Of those that have ended. */
  #ended: MetricValues[] = [];
  #silences = 0;
  readonly #text = shared(() => this.#gather());

  /** Answers the scrapes of this process with the sum from now on. */
  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    metrics.gather = this.#text;
    metrics.addCounters([
      {
        name: 'fastpass_workers_silent_total',
        help: 'Gateway processes that a scrape did without: they did not answer within a second.',
        read: () => this.#silences,
      },
    ]);
  }

  /** Sums this one up too, until it ends. */
  add(child: ChildProcess): void {
    this.#lastOf.set(child, []);
    child.on('message', (message: Numbered<ToPrimary>) => {
      if (message.type === 'measured') this.#questions.answer(message.id, message.values);
      else if (message.type === 'scrape') void this.#onScrape(child, message.id);
    });
    child.once('exit', () => {
      this.#ended.push(this.#lastOf.get(child) ?? []);
      this.#lastOf.delete(child);
    });
  }

  async #onScrape(child: ChildProcess, id: number): Promise<void> {
    send(child, { type: 'scraped', text: await this.#text(), id });
  }

  async #gather(): Promise<string> {
    const workers = await Promise.all([...this.#lastOf.keys()].map((child) => this.#measure(child)));
    this.#ended = [await grownOf(this.#ended)];
    return sumOf([await this.#metrics.values(), ...workers, ...this.#ended]);
  }

  async #measure(child: ChildProcess): Promise<MetricValues> {
    const values = await this.#questions.ask(answerMsMax, (id) => send(child, { type: 'measure', id }));
    const last = this.#lastOf.get(child);
    // It has ended meanwhile, and counts among the ended.
    if (last === undefined) return [];
    if (values === null) {
      this.#silences++;
      return grownOf([last]);
    }
    this.#lastOf.set(child, values);
    return values;
  }
}

/** A child that is gone gets nothing: its exit says so. */
function send(child: ChildProcess, message: Numbered<ToWorker>): void {
  child.send(message, () => {});
}

/** The worker's side: hands the scrapes of this process on to its primary, and answers it. */
export function scrapeByPrimary(metrics: Metrics): void {
  const questions = new Questions<string>();
  const tell = (message: Numbered<ToPrimary>): void => {
    // Without its primary a worker ends (workers.ts): who waits for an answer then has none.
    process.send?.(message, () => {});
  };
  process.on('message', (message: Numbered<ToWorker>) => {
    const { id } = message;
    if (message.type === 'scraped') questions.answer(id, message.text);
    else if (message.type === 'measure') void metrics.values().then((values) => tell({ type: 'measured', values, id }));
  });
  metrics.gather = shared(async () => {
    const text = await questions.ask(primaryMsMax, (id) => tell({ type: 'scrape', id }));
    if (text === null) throw new Error('the primary process did not answer a scrape');
    return text;
  });
}
