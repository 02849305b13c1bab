/** A test run in k6's order: init context, setup, the scenario, teardown, thresholds. */
import { Vu } from './host.ts';
import { Metrics, type Verdict } from './metrics.ts';
import { type Options, readOptions, type Scenario } from './options.ts';
import type { Report } from './vu.ts';

/** Those of k6. */
export const exitCodes = { ok: 0, thresholds: 99, invalidConfig: 104, scriptException: 107 } as const;

export interface RunResult {
  readonly exitCode: number;
  readonly iterations: number;
  readonly requests: number;
  readonly thresholds: readonly Verdict[];
  /** What scripts threw; k6 shows it and goes on, but for the init context, `setup` and `teardown`. */
  readonly errors: readonly string[];
}

class Run {
  readonly metrics = new Metrics();
  readonly errors: string[] = [];
  readonly vus: Vu[] = [];
  readonly #script: string;
  #lastTurn = 0;
  data = '';

  constructor(script: string) {
    this.#script = script;
  }

  /** One more VU; returns the JSON of its options. */
  async addVu(): Promise<string> {
    const { vu, report } = await Vu.start(this.#script, this.vus.length);
    this.vus.push(vu);
    this.take(report);
    for (const [name, type] of report.declared) this.metrics.declare(name, type);
    return report.json;
  }

  take(report: Report): Report {
    this.metrics.add(report.samples);
    this.errors.push(...report.errors);
    return report;
  }

  /** One iteration of a VU; an interrupted one counts for nothing. */
  async iterate(vu: Vu): Promise<void> {
    const turn = { vu: vu.id, iterationInTest: this.#lastTurn++, iterationOfVu: vu.iterations++ };
    try {
      this.take(await vu.order({ kind: 'turn', turn, data: this.data }));
    } catch (thrown) {
      this.errors.push(String(thrown));
    }
  }
}

/** Each VU so many times, one after the other; none begins after the maximal duration. */
async function runIterations(run: Run, { iterations, durationMs }: Scenario, workers: readonly Vu[]): Promise<void> {
  const endMs = performance.now() + durationMs;
  const repeat = async (vu: Vu): Promise<void> => {
    while (vu.iterations < iterations && performance.now() < endMs) await run.iterate(vu);
  };
  await Promise.all(workers.map(repeat));
}

/** An iteration begins at each of the times that the rate gives, where a VU is free; else it is dropped. */
async function runArrivals(run: Run, scenario: Scenario, workers: readonly Vu[]): Promise<void> {
  const free = [...workers];
  const startMs = performance.now();
  const count = Math.floor((scenario.ratePerSecond * scenario.durationMs) / 1000);
  const underWay: Promise<void>[] = [];
  for (let i = 0; i < count; i++) {
    const waitMs = startMs + (i * 1000) / scenario.ratePerSecond - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const vu = free.shift();
    if (vu === undefined) run.metrics.add([{ metric: 'dropped_iterations', value: 1, tags: {} }]);
    else underWay.push(run.iterate(vu).then(() => void free.push(vu)));
  }
  await Promise.all(underWay);
}

async function runScenario(run: Run, scenario: Scenario): Promise<void> {
  // The first one is for setup and teardown.
  while (run.vus.length <= scenario.vusMax) await run.addVu();
  const workers = run.vus.slice(1);
  const { durationMs, gracefulStopMs, executor } = scenario;
  const interrupt = (): void => {
    for (const vu of workers) void vu.stop();
  };
  const limit = setTimeout(interrupt, durationMs + gracefulStopMs);
  if (executor === 'constant-arrival-rate') await runArrivals(run, scenario, workers);
  else await runIterations(run, scenario, workers);
  clearTimeout(limit);
}

/** Runs the script at a file URL to its end. What the script does wrong, the exit code and the errors tell. */
export async function runScript(script: string): Promise<RunResult> {
  const run = new Run(script);
  const startMs = performance.now();
  const resultOf = (exitCode: number, thresholds: Verdict[] = []): RunResult => {
    const [iterations, requests] = [run.metrics.countOf('iterations'), run.metrics.countOf('http_reqs')];
    return { exitCode, iterations, requests, thresholds, errors: run.errors };
  };
  try {
    const json = await run.addVu();
    if (run.errors.length > 0) return resultOf(exitCodes.scriptException);
    let options: Options;
    try {
      options = readOptions(JSON.parse(json));
      run.metrics.check(options.thresholds);
    } catch (thrown) {
      run.errors.push(String(thrown));
      return resultOf(exitCodes.invalidConfig);
    }
    const first = run.vus[0]!;
    run.data = run.take(await first.order({ kind: 'setup' })).json;
    if (run.errors.length > 0) return resultOf(exitCodes.scriptException);
    await runScenario(run, options.scenario);
    const { errors } = run.take(await first.order({ kind: 'teardown', data: run.data }));
    const verdicts = run.metrics.decide(options.thresholds, (performance.now() - startMs) / 1000);
    if (errors.length > 0) return resultOf(exitCodes.scriptException, verdicts);
    return resultOf(verdicts.every(({ isKept }) => isKept) ? exitCodes.ok : exitCodes.thresholds, verdicts);
  } finally {
    await Promise.all(run.vus.map((vu) => vu.stop()));
  }
}
