/** Prometheus metrics. The rooms count in plain numbers; a scrape reads them: nothing is looked up by label per request. */
import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client';
import { Histogram, secondsBounds } from './lib/histogram.ts';

type Labels = Readonly<Record<string, string>>;

/** A number that only grows, read at scrape time; `labels` are fixed. */
export interface CounterSource {
  readonly name: string;
  readonly help: string;
  readonly labels?: Labels;
  readonly read: () => number;
}

/** A number that is what it is now. */
export interface GaugeSource extends CounterSource {
  /** What several processes show together; their sum unless given. */
  readonly aggregator?: 'sum' | 'min' | 'max' | 'first';
}

/** A gauge whose labels are known at the scrape only. */
export interface GaugeGroup {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly read: () => readonly { readonly labels: Labels; readonly value: number }[];
}

/** Those of one name differ in their labels. */
export interface HistogramSource {
  readonly name: string;
  readonly help: string;
  readonly labels?: Labels;
  readonly histogram: Histogram;
}

/** What one process has measured, as it travels to another one. */
export type MetricValues = readonly { readonly name: string; readonly type: unknown }[];

interface Value {
  readonly metricName: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

// Statuses stand at their own index, codes below them.
const slotsPerRoute = 600;

export class Metrics {
  readonly #registry = new Registry();
  /** Answers by route, at the index of the problem's code or of the status; counted into by number, see `onAnswer`. */
  readonly #answers: Float64Array[] = [];
  readonly #holdSeconds = new Histogram(secondsBounds);
  readonly #otherSeconds = new Histogram(secondsBounds);
  #holdRoute = -1;
  /** Gives the text of a scrape where it is more than what this process has measured. */
  gather: (() => Promise<string>) | null = null;

  constructor() {
    collectDefaultMetrics({ register: this.#registry });
    // Of several processes the slowest counts; their mean would hide it behind an idle primary.
    for (const metric of this.#registry.getMetricsAsArray() as { name: string; aggregator?: string }[]) {
      if (metric.name.startsWith('nodejs_eventloop_lag_') && metric.aggregator === 'average') metric.aggregator = 'max';
    }
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** What a scrape is answered. */
  text(): Promise<string> {
    return this.gather === null ? this.#registry.metrics() : this.gather();
  }

  /** What this process alone has measured. */
  async values(): Promise<MetricValues> {
    return (await this.#registry.getMetricsAsJSON()) as unknown as MetricValues;
  }

  /**
   * Counts one answer of a route; `code` is the index of its problem's code, 0 for none. Plain numbers: this is the hot
   * path.
   */
  readonly onAnswer = (route: number, status: number, code: number, startedAtMs: number): void => {
    this.#answers[route]![code === 0 ? status : code]!++;
    const seconds = (performance.now() - startedAtMs) / 1000;
    if (route === this.#holdRoute) this.#holdSeconds.observe(seconds);
    else this.#otherSeconds.observe(seconds);
  };

  /**
   * Serves the answers counted, under the names of their routes. `codes`: with their statuses, in the order of their
   * indexes, which begin at 1.
   */
  countAnswersOf(
    routes: readonly { readonly method: string; readonly path: string }[],
    codes: readonly (readonly [string, { readonly status: number }])[],
  ): void {
    const answers = this.#answers;
    for (let i = 0; i < routes.length; i++) answers[i] = new Float64Array(slotsPerRoute);
    this.#holdRoute = routes.findIndex(({ method, path }) => method === 'post' && path === '/v1/reservations');
    new Counter({
      name: 'fastpass_http_requests_total',
      help: 'Requests answered, by route, status and code of the problem.',
      labelNames: ['method', 'route', 'status', 'code'],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (let route = 0; route < answers.length; route++) {
          const { method, path } = routes[route]!;
          for (let slot = 1; slot < slotsPerRoute; slot++) {
            const count = answers[route]![slot]!;
            if (count === 0) continue;
            const [code, { status }] = codes[slot - 1] ?? ['', { status: slot }];
            this.inc({ method: method.toUpperCase(), route: path, status: String(status), code }, count);
          }
        }
      },
    });
    const name = 'fastpass_request_duration_seconds';
    const help = 'From the head of a request to its answer.';
    this.addHistograms([
      { name, help, labels: { route: 'hold' }, histogram: this.#holdSeconds },
      { name, help, labels: { route: 'other' }, histogram: this.#otherSeconds },
    ]);
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
        aggregator: group[0]!.aggregator ?? 'sum',
        registers: [this.#registry],
        collect() {
          for (const { labels, read } of group) this.set({ ...labels }, read());
        },
      });
    }
  }

  /** Serves a gauge of which the labels come and go. */
  addGaugeGroup({ name, help, labelNames, read }: GaugeGroup): void {
    new Gauge({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { labels, value } of read()) this.set({ ...labels }, value);
      },
    });
  }

  /** Serves histograms that are kept elsewhere. */
  addHistograms(sources: readonly HistogramSource[]): void {
    for (const [name, group] of Map.groupBy(sources, (source) => source.name)) {
      const { help } = group[0]!;
      // prom-client's own keeps its counts itself, by label; the registry asks a metric for no more than this.
      const get = (): object => ({ name, help, type: 'histogram', aggregator: 'sum', values: group.flatMap(valuesOf) });
      this.#registry.registerMetric({ name, get } as unknown as Metric);
    }
  }
}

function valuesOf({ name, labels = {}, histogram }: HistogramSource): Value[] {
  const { bounds, counts, sum } = histogram;
  let total = 0;
  const values: Value[] = [];
  for (let bucket = 0; bucket < counts.length; bucket++) {
    total += counts[bucket]!;
    values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: bounds[bucket] ?? '+Inf' }, value: total });
  }
  values.push({ metricName: `${name}_sum`, labels, value: sum }, { metricName: `${name}_count`, labels, value: total });
  return values;
}

/** What several processes have measured, as one: each metric by its own rule, most of them added up. */
export function sumOf(measured: readonly MetricValues[]): Promise<string> {
  return registryOf(measured).metrics();
}

/** What stays of processes that have ended or do not answer: what only grows. A sum that fell would look like a restart. */
export async function grownOf(measured: readonly MetricValues[]): Promise<MetricValues> {
  const values = (await registryOf(measured).getMetricsAsJSON()) as unknown as MetricValues;
  return values.filter(({ type }) => type === 'counter' || type === 'histogram');
}

function registryOf(measured: readonly MetricValues[]): Registry {
  return AggregatorRegistry.aggregate(measured.map((values) => [...values]));
}
