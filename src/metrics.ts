/** Prometheus metrics. The rooms count in plain numbers; a scrape reads them: nothing is looked up by label per request. */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';

/** A number that only grows, read at scrape time; `labels` are fixed. */
export interface CounterSource {
  readonly name: string;
  readonly help: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly read: () => number;
}

/** A number that is what it is now. */
export type GaugeSource = CounterSource;

export class Metrics {
  readonly #registry = new Registry();
  /** Answers by route and status; the gateway counts into it by number, see `onAnswer`. */
  readonly #answers: Map<number, number>[] = [];

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  /** Counts one answer of a route. Plain numbers: this is the hot path. */
  readonly onAnswer = (route: number, status: number): void => {
    const counts = this.#answers[route];
    if (counts === undefined) this.#answers[route] = new Map([[status, 1]]);
    else counts.set(status, (counts.get(status) ?? 0) + 1);
  };

  /** Serves the answers counted, under the names of their routes. */
  countAnswersOf(routes: readonly { readonly method: string; readonly path: string }[]): void {
    const answers = this.#answers;
    new Counter({
      name: 'fastpass_http_requests_total',
      help: 'Requests answered, by route and status.',
      labelNames: ['method', 'route', 'status'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (let index = 0; index < answers.length; index++) {
          const { method, path } = routes[index]!;
          for (const [status, count] of answers[index] ?? []) {
            this.inc({ method: method.toUpperCase(), route: path, status: String(status) }, count);
          }
        }
      },
    });
  }

  /** Serves counters; those of one name differ in their labels. */
  addCounters(sources: readonly CounterSource[]): void {
    for (const [name, group] of Map.groupBy(sources, (source) => source.name)) {
      new Counter({
        name,
        help: group[0]!.help,
        labelNames: Object.keys(group[0]!.labels ?? {}),
        registers: [this.#registry],
        collect() {
          this.reset();
          for (const { labels, read } of group) this.inc({ ...labels }, read());
        },
      });
    }
  }

  /** Serves gauges. */
  addGauges(sources: readonly GaugeSource[]): void {
    for (const [name, group] of Map.groupBy(sources, (source) => source.name)) {
      new Gauge({
        name,
        help: group[0]!.help,
        labelNames: Object.keys(group[0]!.labels ?? {}),
        registers: [this.#registry],
        collect() {
          for (const { labels, read } of group) this.set({ ...labels }, read());
        },
      });
    }
  }
}
