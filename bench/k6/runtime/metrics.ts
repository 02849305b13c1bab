/** Samples of a run by metric, and the thresholds over them, as k6 decides them at the end of a test. */

export type MetricType = 'counter' | 'rate' | 'trend';

export interface Sample {
  readonly metric: string;
  readonly value: number;
  readonly tags: Readonly<Record<string, string>>;
}

export interface Verdict {
  readonly metric: string;
  readonly threshold: string;
  readonly value: number;
  readonly isKept: boolean;
}

/** Those of k6's own metrics that scripts may set thresholds on here. */
const builtIn: Readonly<Record<string, MetricType>> = {
  http_reqs: 'counter',
  http_req_duration: 'trend',
  http_req_failed: 'rate',
  iterations: 'counter',
  dropped_iterations: 'counter',
};

const expression =
  /^\s*(count|rate|avg|min|med|max|p\((\d+(?:\.\d+)?)\))\s*(<=|>=|===|==|!=|<|>)\s*(\d+(?:\.\d+)?)\s*$/;
const methods: Readonly<Record<MetricType, RegExp>> = {
  counter: /^(count|rate)$/,
  rate: /^rate$/,
  trend: /^(avg|min|med|max|p\(.*)$/,
};

const isKept: Readonly<Record<string, (left: number, right: number) => boolean>> = {
  '<=': (left, right) => left <= right,
  '>=': (left, right) => left >= right,
  '==': (left, right) => left === right,
  '===': (left, right) => left === right,
  '!=': (left, right) => left !== right,
  '<': (left, right) => left < right,
  '>': (left, right) => left > right,
};

/** A quantile between the two samples beside it; 0 of none. */
function quantile(sorted: readonly number[], part: number): number {
  if (sorted.length === 0) return 0;
  const at = part * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at));
}

export class Metrics {
  readonly #types = new Map<string, MetricType>(Object.entries(builtIn));
  readonly #samples: Sample[] = [];

  /** A metric that a script has made. Throws where another VU made it of another type. */
  declare(name: string, type: MetricType): void {
    const known = this.#types.get(name);
    if (known !== undefined && known !== type) throw new Error(`the metric ${name} is a ${known} already`);
    this.#types.set(name, type);
  }

  add(samples: readonly Sample[]): void {
    this.#samples.push(...samples);
  }

  /** The sum of a counter's samples. */
  countOf(metric: string): number {
    return this.#valuesOf(metric).reduce((sum, value) => sum + value, 0);
  }

  /** Throws where an expression is none, its metric does not exist, or cannot be asked that: k6 does not even begin then. */
  check(thresholds: Readonly<Record<string, readonly string[]>>): void {
    for (const [metric, expressions] of Object.entries(thresholds)) {
      const type = this.#types.get(metric.split('{', 1)[0]!);
      if (type === undefined || !/^\w+(\{\w+:[^{}]+\})?$/.test(metric)) throw new Error(`no metric ${metric}`);
      for (const text of expressions) {
        const method = expression.exec(text)?.[1];
        if (method === undefined || !methods[type].test(method)) throw new Error(`no threshold of a ${type}: ${text}`);
      }
    }
  }

  /** Decides every threshold over all samples. */
  decide(thresholds: Readonly<Record<string, readonly string[]>>, seconds: number): Verdict[] {
    return Object.entries(thresholds).flatMap(([metric, expressions]) =>
      expressions.map((threshold) => {
        const [, method, , operator, limit] = expression.exec(threshold)!;
        const value = this.#aggregate(metric, method!, seconds);
        return { metric, threshold, value, isKept: isKept[operator!]!(value, Number(limit)) };
      }),
    );
  }

  #valuesOf(metric: string): number[] {
    const [name, tag, wanted] = metric.split(/[{:}]/);
    return this.#samples
      .filter((sample) => sample.metric === name && (tag === undefined || sample.tags[tag] === wanted))
      .map(({ value }) => value);
  }

  #aggregate(metric: string, method: string, seconds: number): number {
    const values = this.#valuesOf(metric);
    const sum = values.reduce((total, value) => total + value, 0);
    if (method === 'count') return sum;
    // A rate of nothing is no number, and keeps no threshold.
    if (method === 'rate') return this.#types.get(metric) === 'counter' ? sum / seconds : sum / values.length;
    if (method === 'avg') return values.length === 0 ? 0 : sum / values.length;
    values.sort((a, b) => a - b);
    const parts: Readonly<Record<string, number>> = { min: 0, med: 0.5, max: 1 };
    return quantile(values, parts[method] ?? Number(method.slice(2, -1)) / 100);
  }
}
