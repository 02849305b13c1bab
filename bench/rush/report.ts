/** The result of a rush, and how it is printed. */
import type { Latency } from '../load/statistics.ts';
import type { RushOptions, Sale } from './options.ts';
import type { Outcome } from './tally.ts';
import type { Verdict } from './verdict.ts';

/** What one rush came to. */
export interface RushRun {
  readonly requests: number;
  readonly outcomes: readonly Outcome[];
  /** From the first request written to the last answer. */
  readonly totalMs: number;
  readonly requestsPerSecond: number;
  /** From writing a request to its complete answer. */
  readonly latency: Latency;
  /** From the start of the rush to the answer: what users wait who all press at that moment, queueing included. */
  readonly latencyFromStart: Latency;
  /** Processor time that the load generator itself took meanwhile. */
  readonly generatorCpuMs: number;
  readonly verdict: Verdict;
}

/** What --json prints. */
export interface RushResult extends RushRun {
  readonly options: RushOptions;
}

const nameWidth = 28;
const numberWidth = 9;

function count(number: number): string {
  return Math.round(number).toLocaleString('en-US');
}

function milliseconds(number: number): string {
  return number.toFixed(number < 100 ? 1 : 0);
}

function wants(sale: Sale): string {
  if (sale.kind === 'capacity') return `${count(sale.capacity)} places by ${sale.party}`;
  return `${count(sale.seats)} seats, ${sale.seatsPerRequest} random ones a request`;
}

/** Who wants what, where. */
function titleOf(options: RushOptions): string {
  const { users, repeat, sale, connections, url, ack, workers } = options;
  const gateway = url ?? `own gateway, ack ${ack}, ${workers === 1 ? '1 process' : `${workers} processes`}`;
  return `${count(users)} users x ${repeat} for ${wants(sale)}; ${count(connections)} connections; ${gateway}`;
}

function row(name: string, cells: readonly string[]): string {
  return `  ${name.padEnd(nameWidth)}${cells.map((cell) => cell.padStart(numberWidth)).join('')}`;
}

function latencyRow(name: string, latency: Latency): string {
  return row(name, [latency.p50Ms, latency.p95Ms, latency.p99Ms, latency.maxMs].map(milliseconds));
}

/** The table for people, with a newline at its end. */
export function renderResult(result: RushResult): string {
  const { options, outcomes, requests, totalMs, requestsPerSecond, generatorCpuMs, verdict } = result;
  const lines = [
    `Rush: ${titleOf(options)}`,
    '',
    row('answer', ['requests']),
    ...outcomes.map(({ status, code, count: number }) =>
      row(status === 0 ? `none: ${code}` : `${status} ${code}`, [count(number)]),
    ),
    row('in all', [count(requests)]),
    '',
    row('latency in ms', ['p50', 'p95', 'p99', 'max']),
    latencyRow('from write to answer', result.latency),
    latencyRow('from the start of the rush', result.latencyFromStart),
    '',
    `  ${(totalMs / 1000).toFixed(3)} s in all, ${count(requestsPerSecond)} requests/s; the load generator used ${(generatorCpuMs / 1000).toFixed(3)} s of processor time`,
    '',
    `  The verdict, checked in MySQL: ${verdict.holds ? 'holds' : 'FAILS'}`,
    ...verdict.checks.map(({ name, holds, detail }) => `  ${holds ? 'ok  ' : 'FAIL'} ${name}: ${detail}`),
  ];
  return `${lines.join('\n')}\n`;
}
