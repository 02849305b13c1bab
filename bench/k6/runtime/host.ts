/** The main thread's side of a VU: starts its thread, gives it orders, and makes its HTTP requests while it sleeps. */
import { type MessagePort, Worker } from 'node:worker_threads';
import type { Order, Report } from './vu.ts';
import type { HttpAnswer, HttpRequest } from './vu-state.ts';

interface HttpCall {
  readonly kind: 'http';
  readonly request: HttpRequest;
  readonly port: MessagePort;
  readonly signal: Int32Array;
}

const requestTimeoutMs = 60_000;

async function answerTo({ method, url, headers, body }: HttpRequest): Promise<HttpAnswer> {
  const startMs = performance.now();
  try {
    const signal = AbortSignal.timeout(requestTimeoutMs);
    const response = await fetch(url, { method, headers, body, redirect: 'manual', signal });
    const text = await response.text();
    const durationMs = performance.now() - startMs;
    return {
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: text,
      error: '',
      durationMs,
    };
  } catch (thrown) {
    return { status: 0, headers: {}, body: null, error: String(thrown), durationMs: performance.now() - startMs };
  }
}

export class Vu {
  readonly id: number;
  iterations = 0;
  readonly #worker: Worker;
  #settle: { resolve(report: Report): void; reject(reason: Error): void } | null = null;

  private constructor(script: string, id: number) {
    this.id = id;
    this.#worker = new Worker(new URL('./vu.ts', import.meta.url), { workerData: { script } });
    this.#worker.on('message', (message: Report | HttpCall) => {
      if (message.kind === 'report') this.#take()?.resolve(message);
      else void this.#serve(message);
    });
    this.#worker.on('error', (error) => this.#take()?.reject(error as Error));
    this.#worker.on('exit', () => this.#take()?.reject(new Error(`VU ${id} was interrupted`)));
  }

  /** A new VU, and what came of its init context. Rejects where its thread fails. */
  static async start(script: string, id: number): Promise<{ vu: Vu; report: Report }> {
    const vu = new Vu(script, id);
    return { vu, report: await vu.#next() };
  }

  /** Gives an order; resolves when it is done, rejects when the VU was stopped meanwhile. */
  async order(order: Order): Promise<Report> {
    this.#worker.postMessage(order);
    return this.#next();
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }

  #next(): Promise<Report> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  #take() {
    const settle = this.#settle;
    this.#settle = null;
    return settle;
  }

  async #serve({ request, port, signal }: HttpCall): Promise<void> {
    port.postMessage(await answerTo(request));
    port.close();
    Atomics.store(signal, 0, 1);
    Atomics.notify(signal, 0);
  }
}
