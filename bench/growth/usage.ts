/** What gateway, Redis and MySQL have used so far, read between two measurements. */
import { readdirSync, readFileSync } from 'node:fs';
import { Redis } from 'ioredis';
import type { Gateway } from '../load/gateway.ts';
import { cpuTimeOf, residentKibOf } from '../load/process-usage.ts';
import type { Stores } from '../load/stores.ts';

export interface Usage {
  /** Processor time; null of a store that was not started here. */
  readonly gatewayMs: number;
  readonly redisMs: number | null;
  readonly mysqlMs: number | null;
  readonly redisBytes: number;
  /** Requests that the gateway has taken to Redis. */
  readonly requests: number;
  readonly holds: number;
}

const sampleIntervalMs = 100;
const requestsMetric = 'fastpass_flushed_requests_total';

/** A process and its children: a gateway of several processes is started by one that takes no requests. */
function familyOf(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children];
}

function cpuMsOf(pids: readonly number[]): number {
  return pids.map(cpuTimeOf).reduce((sum, { userMs, systemMs }) => sum + userMs + systemMs, 0);
}

async function metricsOf(gateway: Gateway): Promise<(name: string) => number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  return (name) => {
    const line = text.split('\n').find((each) => each.startsWith(`${name} `));
    if (line === undefined) throw new Error(`the gateway does not count ${name}`);
    return Number(line.slice(name.length));
  };
}

/** Requests that the gateway has taken to Redis so far. Rejects when it does not answer. */
export async function requestsOf(gateway: Gateway): Promise<number> {
  return (await metricsOf(gateway))(requestsMetric);
}

/** Memory that Redis has in use. Rejects when it does not answer. */
export async function redisBytesOf(redisUrl: string): Promise<number> {
  const redis = new Redis(redisUrl);
  try {
    return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1] ?? 0);
  } finally {
    redis.disconnect();
  }
}

/** Rejects when the gateway or Redis does not answer. */
export async function readUsage(gateway: Gateway, stores: Stores): Promise<Usage> {
  const { redisPid, mysqlPid, redisUrl } = stores;
  const metricOf = await metricsOf(gateway);
  return {
    gatewayMs: cpuMsOf(familyOf(gateway.pid)),
    redisMs: redisPid === null ? null : cpuMsOf([redisPid]),
    mysqlMs: mysqlPid === null ? null : cpuMsOf([mysqlPid]),
    redisBytes: await redisBytesOf(redisUrl),
    requests: metricOf(requestsMetric),
    holds: metricOf('fastpass_committed_holds_total'),
  };
}

/** Looks at the gateway's resident memory while `work` is under way; returns the most there was, in KiB. */
export async function whileWatched<Result>(
  gateway: Gateway,
  work: Promise<Result>,
): Promise<{ readonly result: Result; readonly peakKib: number }> {
  const pids = familyOf(gateway.pid);
  const residentKib = (): number => pids.map(residentKibOf).reduce((sum, kib) => sum + kib, 0);
  let peakKib = residentKib();
  let failure: unknown = null;
  const timer = setInterval(() => {
    try {
      peakKib = Math.max(peakKib, residentKib());
    } catch (thrown) {
      failure = thrown;
    }
  }, sampleIntervalMs);
  try {
    const result = await work;
    if (failure !== null) throw failure;
    return { result, peakKib: Math.max(peakKib, residentKib()) };
  } finally {
    clearInterval(timer);
  }
}
