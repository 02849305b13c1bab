/** `k6/metrics`. */
import type { MetricType } from '../metrics.ts';
import { state } from '../vu-state.ts';

class Metric {
  readonly #name: string;

  constructor(type: MetricType, name: string) {
    if (state.phase !== 'init') throw new Error(`the metric ${name} is made outside the init context`);
    if (!/^[a-zA-Z_]\w{0,127}$/.test(name)) throw new Error(`no name of a metric: ${name}`);
    state.declared.set(name, type);
    this.#name = name;
  }

  add(value: number): void {
    if (state.phase === 'init') throw new Error('a sample in the init context');
    if (!Number.isFinite(value)) throw new Error(`no sample of ${this.#name}: ${value}`);
    state.samples.push({ metric: this.#name, value, tags: {} });
  }
}

export class Counter extends Metric {
  constructor(name: string) {
    super('counter', name);
  }
}

export class Trend extends Metric {
  /** `isTime` says how the summary shows it. */
  constructor(name: string, _isTime?: boolean) {
    super('trend', name);
  }
}
