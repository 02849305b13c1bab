/** The `options` of a script, checked: only what k6 2.x documents, and of that only what the scripts here use. */
import { demandFields, durationMs, isCount, isDuration, isFields, isText } from './strict.ts';

/** One scenario, with the defaults of k6. */
export interface Scenario {
  readonly executor: string;
  readonly vusMax: number;
  /** Of each VU. */
  readonly iterations: number;
  /** Iterations begun per second. */
  readonly ratePerSecond: number;
  readonly durationMs: number;
  readonly gracefulStopMs: number;
}

export interface Options {
  readonly scenario: Scenario;
  /** Expressions by metric or `metric{tag:value}`. */
  readonly thresholds: Readonly<Record<string, readonly string[]>>;
}

/** Threads that a small machine bears. */
const vusMax = 40;

const isList = (value: unknown): boolean => Array.isArray(value) && value.length > 0 && value.every(isText);
const isThresholds = (value: unknown): boolean => isFields(value) && Object.values(Object(value)).every(isList);
const stats = /^(avg|min|med|max|count|p\(\d+(\.\d+)?\))$/;
const isStats = (value: unknown): boolean => isList(value) && (value as string[]).every((name) => stats.test(name));

const optionChecks = {
  scenarios: isFields,
  thresholds: isThresholds,
  setupTimeout: isDuration,
  teardownTimeout: isDuration,
  summaryTrendStats: isStats,
} as const;

const common = { executor: isText, gracefulStop: isDuration } as const;
const executorChecks: Readonly<Record<string, Parameters<typeof demandFields>[2]>> = {
  'per-vu-iterations': { ...common, vus: isCount, iterations: isCount, maxDuration: isDuration },
  'constant-arrival-rate': {
    ...common,
    rate: isCount,
    timeUnit: isDuration,
    duration: isDuration,
    preAllocatedVUs: isCount,
    maxVUs: isCount,
  },
};

interface Fields {
  readonly executor: string;
  readonly vus?: number;
  readonly iterations?: number;
  readonly maxDuration?: string;
  readonly gracefulStop?: string;
  readonly rate?: number;
  readonly timeUnit?: string;
  readonly duration?: string;
  readonly preAllocatedVUs?: number;
  readonly maxVUs?: number;
}

/** Reads the options that a script exports. Throws an Error for anything that k6 would refuse or that is not known here. */
export function readOptions(value: unknown): Options {
  demandFields('options', value, optionChecks);
  const { scenarios, thresholds = {} } = value as {
    scenarios?: Readonly<Record<string, Fields>>;
    thresholds?: Options['thresholds'];
  };
  const [first, ...others] = Object.entries(scenarios ?? {});
  if (first === undefined || others.length > 0) throw new Error('this runtime runs one scenario');
  const scenario = scenarioOf(...first);
  if (scenario.vusMax > vusMax) throw new Error(`${scenario.vusMax} VUs: this runtime has ${vusMax} at most`);
  return { scenario, thresholds };
}

function scenarioOf(name: string, fields: Fields): Scenario {
  const checks = executorChecks[String(fields?.executor)];
  if (checks === undefined) throw new Error(`no executor ${fields?.executor} in this runtime`);
  demandFields(`scenario ${name}`, fields, checks);
  const { executor, vus = 1, iterations = 1, maxDuration = '10m', gracefulStop = '30s' } = fields;
  const gracefulStopMs = durationMs(gracefulStop);
  const shared = { executor, gracefulStopMs };
  if (executor !== 'constant-arrival-rate') {
    return { ...shared, vusMax: vus, iterations, ratePerSecond: 0, durationMs: durationMs(maxDuration) };
  }
  const { rate, timeUnit = '1s', duration, preAllocatedVUs, maxVUs = preAllocatedVUs } = fields;
  if (rate === undefined || duration === undefined || preAllocatedVUs === undefined || maxVUs === undefined) {
    throw new Error('constant-arrival-rate needs rate, duration and preAllocatedVUs');
  }
  if (maxVUs < preAllocatedVUs) throw new Error('maxVUs is less than preAllocatedVUs');
  if (durationMs(duration) < 1000) throw new Error('a duration is a second or more');
  const ratePerSecond = (rate * 1000) / durationMs(timeUnit);
  return { ...shared, vusMax: maxVUs, iterations: 0, ratePerSecond, durationMs: durationMs(duration) };
}
