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
  /** What scripts threw; k6 shows it and goes on, but for the init context and `setup`. */
  readonly errors: readonly string[];
}

/** Threads that a small machine bears. */
const vusMax = 40;

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
  async iterate(vu: Vu, scenario: Scenario): Promise<void> {
    const turn = {
      vu: vu.id,
      scenario: scenario.name,
      iterationInTest: this.#lastTurn++,
      iterationOfVu: vu.iterations++,
    };
    try {
      this.take(await vu.order({ kind: 'turn', turn, data: this.data }));
    } catch (thrown) {
      this.errors.push(String(thrown));
    }
  }
}

async function repeat(run: Run, scenario: Scenario, vu: Vu, mayBegin: () => boolean): Promise<void> {
  while (mayBegin()) await run.iterate(vu, scenario);
}

/** Each VU so many times, or all of them together; none begins after the maximal duration. */
async function runIterations(run: Run, scenario: Scenario, workers: readonly Vu[], endMs: number): Promise<void> {
  const { executor, iterations } = scenario;
  const isInTime = (): boolean => performance.now() < endMs;
  let shared = iterations;
  const mayBegin = (vu: Vu): boolean =>
    isInTime() && (executor === 'shared-iterations' ? shared-- > 0 : vu.iterations < iterations);
  await Promise.all(workers.map((vu) => repeat(run, scenario, vu, () => mayBegin(vu))));
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
    else underWay.push(run.iterate(vu, scenario).then(() => void free.push(vu)));
  }
  await Promise.all(underWay);
}

async function runScenario(run: Run, scenario: Scenario): Promise<void> {
  if (scenario.vusMax > vusMax) throw new Error(`${scenario.vusMax} VUs: this runtime has ${vusMax} at most`);
  // The first one is for setup and teardown.
  while (run.vus.length <= scenario.vusMax) await run.addVu();
  const workers = run.vus.slice(1);
  const { durationMs, gracefulStopMs, executor } = scenario;
  const interrupt = (): void => {
    for (const vu of workers) void vu.stop();
  };
  const limit = setTimeout(interrupt, durationMs + gracefulStopMs);
  if (executor === 'constant-arrival-rate') await runArrivals(run, scenario, workers);
  else await runIterations(run, scenario, workers, performance.now() + durationMs);
  clearTimeout(limit);
}

/** Runs the script at a file URL to its end. Never rejects for what the script does: the exit code and the errors tell. */
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
    run.take(await first.order({ kind: 'teardown', data: run.data }));
    const verdicts = run.metrics.decide(options.thresholds, (performance.now() - startMs) / 1000);
    return resultOf(verdicts.every(({ isKept }) => isKept) ? exitCodes.ok : exitCodes.thresholds, verdicts);
  } finally {
    await Promise.all(run.vus.map((vu) => vu.stop()));
  }
}
