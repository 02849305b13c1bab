/** The files that the pages load: own TypeScript without types and comments, styles, a few packages; each plain and compressed. */
import { Worker } from 'node:worker_threads';

export interface Asset {
  /** Media type. */
  readonly type: string;
  readonly plain: Uint8Array;
  readonly brotli: Uint8Array;
  readonly gzip: Uint8Array;
  /** Paths of the assets it imports. */
  readonly imports: readonly string[];
}

export interface AssetSet {
  /** Names this state of all of them: a part of their URLs, so that browsers may keep them for good. */
  readonly version: string;
  /** By their path: `public/home/main.ts`, `src/client/http.ts`, `vendor/preact.js`. */
  readonly files: ReadonlyMap<string, Asset>;
  /** Paths of the packages by the name that imports say. */
  readonly vendored: ReadonlyMap<string, string>;
}

/** Read at the first request for a page, and kept. */
export class Assets {
  #set: Promise<AssetSet> | null = null;

  /** Rejects where a file cannot be read; the next call tries again. */
  read(): Promise<AssetSet> {
    this.#set ??= readInWorker().catch((thrown: unknown) => {
      this.#set = null;
      throw thrown;
    });
    return this.#set;
  }
}

function readInWorker(): Promise<AssetSet> {
  return new Promise((resolve, reject) => {
    // Node 22 still calls its own way to leave types out experimental, once a process, where everybody reads it.
    const execArgv = ['--disable-warning=ExperimentalWarning'];
    const worker = new Worker(new URL('./asset-worker.ts', import.meta.url), { execArgv });
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the assets of the pages were not read')));
  });
}

/** An asset and everything it imports, each before what imports it. */
export function withImports(set: AssetSet, path: string): string[] {
  const found = new Set<string>();
  const visit = (at: string, way: readonly string[]): void => {
    if (found.has(at) || way.includes(at)) return;
    for (const next of set.files.get(at)?.imports ?? []) visit(next, [...way, at]);
    if (set.files.has(at)) found.add(at);
  };
  visit(path, []);
  return [...found];
}
