/** Load at full speed: wrk where the machine has it (Debian's package), else autocannon, which takes more of the machine. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { percentile } from './statistics.ts';

export type Generator = 'wrk' | 'autocannon';

export interface LoadOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** File of tokens, one a line. */
  readonly tokensPath: string;
  readonly performanceIds: readonly number[];
  readonly seatsPerPerformance: number;
  /** Requests of earlier runs on the same performances. */
  readonly first: number;
  /** How often each seat is asked for, one request behind the other; once where it is left out. */
  readonly asks?: number;
  /** Each request to the next performance; else one performance after the other. */
  readonly isSpread?: boolean;
  /** How many of 100 requests are for a seat of a performance that is sold out. */
  readonly refusals?: { readonly percent: number; readonly performanceId: number; readonly seats: number };
  /**
   * Requests a second in all, about: each connection waits between its requests, at random, so that they come as those of
   * many people do. As fast as they are answered where it is left out.
   */
  readonly perSecond?: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly perSecond: number;
  /** Answers outside 2xx and 3xx. */
  readonly refused: number;
  /** Connections lost and requests without an answer. */
  readonly failed: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** Of wrk, 2 s unless told: slow servers, and 15,000 connections, have slow answers, not failed ones. */
const answerTimeoutSeconds = 10;
/** What an answer takes, about, where a rate is asked for: that much less a connection waits. */
const answerMsGuessed = 5;
const scriptPath = fileURLToPath(new URL('./wrk-hold.lua', import.meta.url));

/** True when wrk can be run. */
export async function hasWrk(): Promise<boolean> {
  try {
    await run('wrk', ['--version'], {});
    return true;
  } catch {
    return false;
  }
}

/** Sends holds. Rejects when the generator fails. */
export function load(generator: Generator, options: LoadOptions): Promise<LoadResult> {
  return generator === 'wrk' ? loadWithWrk(options) : loadWithAutocannon(options);
}

async function loadWithWrk(options: LoadOptions): Promise<LoadResult> {
  const { url, connections, seconds, refusals, perSecond } = options;
  const pauseMs = perSecond === undefined ? 0 : Math.max(1, (connections * 1000) / perSecond - answerMsGuessed);
  const args = [
    '-t1',
    `-c${connections}`,
    `-d${Math.max(1, Math.round(seconds))}s`,
    '--latency',
    `--timeout=${answerTimeoutSeconds}s`,
    '-s',
    scriptPath,
    url,
  ];
  const output = await run('wrk', args, {
    TOKENS: options.tokensPath,
    PERFORMANCES: options.performanceIds.join(','),
    SEATS: String(options.seatsPerPerformance),
    FIRST: String(options.first),
    ASKS: String(options.asks ?? 1),
    PAUSE: String(Math.round(pauseMs)),
    SPREAD: options.isSpread === true ? '1' : '0',
    REFUSALS: refusals === undefined ? '0,1,1' : [refusals.percent, refusals.performanceId, refusals.seats].join(','),
  });
  const number = (pattern: RegExp): number => Number(pattern.exec(output)?.[1] ?? 0);
  const socketErrors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output);
  return {
    requests: number(/(\d+) requests in/),
    perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    refused: number(/Non-2xx or 3xx responses: (\d+)/),
    failed: (socketErrors ?? []).slice(1).reduce((sum, count) => sum + Number(count), 0),
    p50Ms: milliseconds(/ 50%\s+([\d.]+)(us|ms|s)/.exec(output)),
    p95Ms: milliseconds(/^p95 (\d+) (us)$/m.exec(output)),
    p99Ms: milliseconds(/ 99%\s+([\d.]+)(us|ms|s)/.exec(output)),
  };
}

/** Request number `sent`, as wrk-hold.lua makes it. */
function holdOf(options: LoadOptions, sent: number): { performanceId: number; seats: [number] } {
  const { performanceIds, seatsPerPerformance: seats, refusals, isSpread = false, asks = 1 } = options;
  const refused = Math.floor((sent * (refusals?.percent ?? 0)) / 100);
  if (refusals !== undefined && Math.floor(((sent + 1) * refusals.percent) / 100) > refused) {
    return { performanceId: refusals.performanceId, seats: [(refused % refusals.seats) + 1] };
  }
  const held = Math.floor((sent - refused) / asks);
  const count = performanceIds.length;
  const [index, seat] = isSpread ? [held, Math.floor(held / count)] : [Math.floor(held / seats), held];
  return { performanceId: performanceIds[index % count]!, seats: [(seat % seats) + 1] };
}

function milliseconds(match: RegExpExecArray | null): number {
  const factor = { us: 0.001, ms: 1, s: 1000 }[match?.[2] ?? 'ms'] ?? 1;
  return Number(match?.[1] ?? 0) * factor;
}

async function loadWithAutocannon(options: LoadOptions): Promise<LoadResult> {
  const { url, connections, seconds, perSecond } = options;
  const tokens = readFileSync(options.tokensPath, 'utf8').trim().split('\n');
  let sent = options.first;
  // Its own percentiles go from 90 to 97.5.
  const timesMs: number[] = [];
  const result = await autocannon({
    url: `${url}/v1/reservations`,
    connections,
    duration: seconds,
    ...(perSecond === undefined ? {} : { overallRate: perSecond }),
    method: 'POST',
    setupClient: (client) => client.on('response', (_status, _bytes, timeMs) => timesMs.push(timeMs)),
    requests: [
      {
        method: 'POST',
        setupRequest: (request) => {
          const body = JSON.stringify(holdOf(options, sent));
          sent++;
          const authorization = `Bearer ${tokens[sent % tokens.length]}`;
          return { ...request, body, headers: { authorization, 'content-type': 'application/json' } };
        },
      },
    ],
  });
  return {
    requests: result.requests.total,
    perSecond: result.requests.total / result.duration,
    refused: result.non2xx,
    failed: result.errors + result.timeouts,
    p50Ms: result.latency.p50,
    p95Ms: percentile(Float64Array.from(timesMs).sort(), 0.95),
    p99Ms: result.latency.p99,
  };
}

function run(command: string, args: readonly string[], environment: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
    });
    child.stderr.on('data', (data: Buffer) => {
      output += data.toString();
    });
    child.once('error', reject);
    // wrk says its version with exit code 1.
    child.once('exit', (code) => {
      if (code === 0 || output.startsWith('wrk ')) resolve(output);
      else reject(new Error(`${command} ended with ${code}:\n${output}`));
    });
  });
}
