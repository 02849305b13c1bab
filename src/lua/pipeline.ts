/** Scripts on one node, in one pipeline. */
import type { Redis } from 'ioredis';
import { StoreUnavailable } from '../lib/errors.ts';
import type { ScriptCall } from './scripts.ts';

/** A reply of Redis, or the error that one command of a pipeline got. */
export type Reply = unknown;

/** The node has not run it: its slot is elsewhere, or on its way, or the cluster is finding a new master. */
export class Redirected extends Error {
  /** The node that has the key already while its slot is on its way; null: the table of slots will say. */
  readonly askAt: string | null;

  constructor(message: string) {
    super(message);
    this.name = 'Redirected';
    this.askAt = /^ASK \d+ (\S+)$/.exec(message)?.[1] ?? null;
  }

  static is({ message }: Error): boolean {
    return /^(?:MOVED|ASK|TRYAGAIN|CLUSTERDOWN) /.test(message);
  }
}

/** Scripts sent again, by whoever does so. */
export interface ResentCounter {
  resent: number;
}

/** Runs calls in one pipeline. Never rejects; what the node has not run is answered with Redirected. */
export async function runOn(
  node: Redis,
  calls: readonly ScriptCall[],
  counters: ResentCounter,
  isAsking = false,
): Promise<(Reply | Error)[]> {
  const pipeline = node.pipeline();
  for (let i = 0; i < calls.length; i++) {
    const { script, keys, args } = calls[i]!;
    if (isAsking) pipeline.asking();
    pipeline.callBuffer('EVALSHA', script.sha, keys.length, ...keys, ...args);
  }
  const perCall = isAsking ? 2 : 1;
  try {
    const results = await pipeline.exec();
    const replies: (Reply | Error | Promise<Reply | Error>)[] = new Array(calls.length);
    for (let i = 0; i < calls.length; i++) {
      const result = results?.[(i + 1) * perCall - 1];
      if (result === undefined) replies[i] = new StoreUnavailable('redis', 'the pipeline answered short');
      else if (result[0] === null) replies[i] = result[1];
      else if (result[0].message.startsWith('NOSCRIPT')) {
        counters.resent++;
        replies[i] = runWhole(node, calls[i]!, isAsking);
      } else replies[i] = failureOf(result[0]);
    }
    return await Promise.all(replies);
  } catch (thrown) {
    const error = new StoreUnavailable('redis', thrown);
    return calls.map(() => error);
  }
}

async function runWhole(node: Redis, { script, keys, args }: ScriptCall, isAsking: boolean): Promise<Reply | Error> {
  try {
    const asking = isAsking ? node.asking() : null;
    const reply = node.callBuffer('EVAL', script.source, keys.length, ...keys, ...args);
    await asking;
    return await reply;
  } catch (thrown) {
    return failureOf(thrown);
  }
}

function failureOf(thrown: unknown): Error {
  if (thrown instanceof Error && Redirected.is(thrown)) return new Redirected(thrown.message);
  return new StoreUnavailable('redis', thrown);
}
