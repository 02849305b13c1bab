/** What a VU is doing, for the modules that its script imports; one a worker thread. */
import { MessageChannel, parentPort, receiveMessageOnPort } from 'node:worker_threads';
import type { MetricType, Sample } from './metrics.ts';

export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** Status 0: no answer, and `error` says why. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
  readonly error: string;
  readonly durationMs: number;
}

export interface Turn {
  readonly vu: number;
  readonly iterationInTest: number;
  readonly iterationOfVu: number;
}

type Phase = 'init' | 'setup' | 'turn' | 'teardown';

/** k6 gives a request a minute. */
const answerTimeoutMs = 60_000;

export const state = {
  phase: 'init' as Phase,
  turn: null as Turn | null,
  declared: new Map<string, MetricType>(),
  samples: [] as Sample[],
  /** What was thrown in this iteration. */
  errors: [] as string[],
  isExpected: (status: number): boolean => status >= 200 && status < 400,
};

let pending = 0;
let wake: () => void = () => {};

/** A socket or a timer keeps the iteration from its end until the function that this returns is called, once or again. */
export function keepOpen(): () => void {
  let isOpen = true;
  pending++;
  return () => {
    if (isOpen && --pending === 0) wake();
    isOpen = false;
  };
}

/** Resolves when nothing keeps the iteration open. */
export async function idle(): Promise<void> {
  while (pending > 0) await new Promise<void>((resolve) => (wake = resolve));
}

/** Calls a function of the script from the event loop; what it throws is an error of the iteration. */
export function callBack(listener: () => unknown): void {
  try {
    listener();
  } catch (thrown) {
    state.errors.push(String(thrown));
  }
}

/** One exchange over HTTP; the thread sleeps until there is an answer, as a VU of k6 does. */
export function exchange(request: HttpRequest): HttpAnswer {
  const { port1, port2 } = new MessageChannel();
  const signal = new Int32Array(new SharedArrayBuffer(4));
  parentPort!.postMessage({ kind: 'http', request, port: port2, signal }, [port2]);
  Atomics.wait(signal, 0, 0, answerTimeoutMs);
  const received: { message: HttpAnswer } | undefined = receiveMessageOnPort(port1);
  port1.close();
  return received?.message ?? { status: 0, headers: {}, body: null, error: 'request timeout', durationMs: 0 };
}
