/** One VU: a worker thread with an init context of its own, which runs what it is told, one thing at a time. */
import { registerHooks } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { MetricType, Sample } from './metrics.ts';
import { idle, state, type Turn } from './vu-state.ts';

export type Order =
  | { readonly kind: 'setup' }
  | { readonly kind: 'teardown'; readonly data: string }
  | { readonly kind: 'turn'; readonly turn: Turn; readonly data: string };

/** What came of an order, or of the init context. */
export interface Report {
  readonly kind: 'report';
  readonly samples: readonly Sample[];
  readonly errors: readonly string[];
  /** JSON: the options after the init context, what `setup` returned after it; else empty. */
  readonly json: string;
  readonly declared: readonly (readonly [string, MetricType])[];
}

type Step = ((data: unknown) => unknown) | undefined;

const { script } = workerData as { readonly script: string };
const folder = new URL('.', script).href;
/** A module of k6 that this runtime has, by the name a script imports it by; `k6/ws` and `k6/experimental/*` are not among them. */
const moduleNames = ['k6', 'crypto', 'encoding', 'execution', 'http', 'metrics', 'timers', 'websockets'];

registerHooks({
  resolve(specifier, context, next) {
    const isOfScript = context.parentURL?.startsWith(folder) && context.parentURL.endsWith('.js');
    if (!isOfScript) return next(specifier, context);
    const name = /^k6(?:\/(.+))?$/.exec(specifier);
    if (name !== null) {
      const file = name[1] ?? 'k6';
      if (file === 'k6' ? specifier !== 'k6' : !moduleNames.includes(file)) {
        throw new Error(`no module ${specifier} in this runtime`);
      }
      return { url: new URL(`./modules/${file}.ts`, import.meta.url).href, shortCircuit: true };
    }
    if (!/^\.\.?\/.*\.js$/.test(specifier)) throw new Error(`a script cannot import ${specifier}`);
    return next(specifier, context);
  },
});

Object.assign(globalThis, { __ENV: { ...process.env } });

function report(json = ''): void {
  const samples = state.samples.splice(0);
  const errors = state.errors.splice(0);
  const message: Report = { kind: 'report', samples, errors, json, declared: [...state.declared] };
  parentPort!.postMessage(message);
}

/** Runs a function of the script until it has returned, what it returned is settled, and no socket or timer is left. */
async function run(step: Step, json: string): Promise<string> {
  try {
    const result = await step?.(json === '' ? undefined : JSON.parse(json));
    await idle();
    return JSON.stringify(result) ?? '';
  } catch (thrown) {
    state.errors.push(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
    return '';
  }
}

async function start(): Promise<void> {
  let steps: { readonly default?: Step; readonly setup?: Step; readonly teardown?: Step; readonly options?: unknown };
  try {
    steps = await import(script);
  } catch (thrown) {
    state.errors.push(String(thrown));
    report();
    return;
  }
  parentPort!.on('message', async (order: Order) => {
    state.phase = order.kind;
    if (order.kind === 'setup') return report(await run(steps.setup, ''));
    if (order.kind === 'teardown') {
      await run(steps.teardown, order.data);
      return report();
    }
    state.turn = order.turn;
    Object.assign(globalThis, { __VU: order.turn.vu, __ITER: order.turn.iterationOfVu });
    await run(steps.default, order.data);
    state.samples.push({ metric: 'iterations', value: 1, tags: {} });
    report();
  });
  if (typeof steps.default !== 'function') state.errors.push('the script exports no default function');
  report(JSON.stringify(steps.options ?? null));
}

void start();
