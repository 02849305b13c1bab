/** Measures the points of one axis, a gateway each, in rounds that go from the first point through all and back to it. */
import { committed, type Gateway, startGateway } from '../load/gateway.ts';
import { say } from '../load/progress.ts';
import { jwtSecret, type Seller } from '../load/seller.ts';
import type { Stage } from '../load/stage.ts';
import type { Stores } from '../load/stores.ts';
import { type Generator, type LoadResult, load } from '../load/wrk.ts';
import type { Axis, Point } from './axes.ts';
import { Halls } from './halls.ts';
import { type GrowthRow, type Measured, rowOf } from './report.ts';
import { readUsage, type Usage, whileWatched } from './usage.ts';

/** Free seats are made for as many: more than the gateway has ever held. */
const requestsPerSecondMax = 40_000;
/** Refused requests cost less: as many in a second, at most. */
const refusedPerSecondMax = 80_000;
const warmUpSeconds = 1;

export interface Bench {
  readonly stores: Stores;
  /** Sells over a gateway that takes none of the load: it leads the jobs too. */
  readonly seller: Seller;
  readonly soldOut: { readonly performanceId: number; readonly seats: number };
  readonly tokensPath: string;
  readonly generator: Generator;
  readonly connections: number;
  readonly seconds: number;
  readonly rounds: number;
}

interface Runner {
  readonly point: Point;
  readonly gateway: Gateway;
  readonly halls: Halls;
}

type Sample = Omit<Measured, 'ratio'>;

/** Starts a gateway a point, measures, and stops them. */
export async function measureAxis(stage: Stage, bench: Bench, axis: Axis, points: readonly Point[]) {
  const { rounds, seconds } = bench;
  const runners: Runner[] = [];
  for (const point of points) runners.push(await start(stage, bench, point));
  const [first, ...others] = runners as [Runner, ...Runner[]];
  for (const runner of runners) tell(axis, 'warm-up', runner, await measure(bench, runner, warmUpSeconds));
  const measuredOf = new Map<Runner, Measured[]>(runners.map((runner) => [runner, []]));
  for (let round = 1; round <= rounds; round++) {
    const once = async (runner: Runner): Promise<Sample> => {
      const sample = await measure(bench, runner, seconds);
      tell(axis, `round ${round}`, runner, sample);
      return sample;
    };
    const before = await once(first);
    const samples: [Runner, Sample][] = [];
    // There and back: what the machine does meanwhile falls on all of them alike.
    for (const runner of round % 2 === 0 ? others.toReversed() : others) samples.push([runner, await once(runner)]);
    const after = await once(first);
    samples.push([first, meanOf(before, after)]);
    const reference = (before.perSecond + after.perSecond) / 2;
    for (const [runner, sample] of samples) {
      measuredOf.get(runner)!.push({ ...sample, ratio: sample.perSecond / reference });
    }
  }
  await Promise.all(runners.map(({ gateway }) => gateway.stop()));
  const rows: GrowthRow[] = runners.map((runner) => {
    return rowOf(runner.point.value, runner.point.label, measuredOf.get(runner)!);
  });
  return { name: axis.name, rows };
}

/** The first point is measured twice a round and counts once, as the others do. */
function meanOf(before: Sample, after: Sample): Sample {
  const mean = (of: (sample: Sample) => number): number => (of(before) + of(after)) / 2;
  const meanOfSome = (one: number | null, other: number | null): number | null =>
    one === null || other === null ? null : (one + other) / 2;
  return {
    perSecond: mean((sample) => sample.perSecond),
    p50Ms: mean((sample) => sample.p50Ms),
    p99Ms: mean((sample) => sample.p99Ms),
    gatewayUs: mean((sample) => sample.gatewayUs),
    redisUs: meanOfSome(before.redisUs, after.redisUs),
    mysqlUs: meanOfSome(before.mysqlUs, after.mysqlUs),
    gatewayMib: mean((sample) => sample.gatewayMib),
    redisBytes: mean((sample) => sample.redisBytes),
  };
}

async function start(stage: Stage, bench: Bench, point: Point): Promise<Runner> {
  const { stores, seller, rounds, seconds } = bench;
  const { redisUrl, mysqlUrl } = stores;
  const { workers, settings } = point;
  const gateway = await stage.add(() => startGateway({ redisUrl, mysqlUrl, jwtSecret, workers, settings }));
  return { point, gateway, halls: new Halls(seller, point, requestsPerSecondMax * (warmUpSeconds + rounds * seconds)) };
}

function tell(axis: Axis, when: string, { point }: Runner, { perSecond, gatewayUs }: Sample): void {
  say(`${axis.name} ${point.label}, ${when}: ${Math.round(perSecond)}/s, ${gatewayUs.toFixed(1)} us of the gateway`);
}

async function measure(bench: Bench, { point, gateway, halls }: Runner, seconds: number): Promise<Sample> {
  const { stores, generator, tokensPath, soldOut } = bench;
  const connections = point.connections ?? bench.connections;
  const percent = point.refusalPercent;
  const perSecondMax = percent === 0 ? requestsPerSecondMax : refusedPerSecondMax;
  const taken = await halls.take(perSecondMax * seconds);
  const refusals = percent === 0 ? {} : { refusals: { percent, ...soldOut } };
  const usageBefore = await readUsage(gateway, stores);
  const work = load(generator, { url: gateway.url, connections, seconds, tokensPath, ...taken, ...refusals });
  const { result, peakKib } = await whileWatched(gateway, work);
  // Every connection may have had one more under way.
  halls.sent(result.requests + connections);
  await committed(gateway);
  check(point, result, connections);
  const usage = usageBetween(usageBefore, await readUsage(gateway, stores));
  return { ...latencyOf(result), gatewayMib: peakKib / 1024, ...usage };
}

function latencyOf({ perSecond, p50Ms, p99Ms }: LoadResult): Pick<Sample, 'perSecond' | 'p50Ms' | 'p99Ms'> {
  return { perSecond, p50Ms, p99Ms };
}

/** By what the gateway has counted: with many connections the load ends with thousands of requests under way. */
function usageBetween(before: Usage, after: Usage): Pick<Sample, 'gatewayUs' | 'redisUs' | 'mysqlUs' | 'redisBytes'> {
  const requests = Math.max(1, after.requests - before.requests);
  const holds = Math.max(1, after.holds - before.holds);
  const each = (from: number | null, to: number | null): number | null =>
    from === null || to === null ? null : ((to - from) * 1000) / requests;
  return {
    gatewayUs: ((after.gatewayMs - before.gatewayMs) * 1000) / requests,
    redisUs: each(before.redisMs, after.redisMs),
    mysqlUs: each(before.mysqlMs, after.mysqlMs),
    redisBytes: (after.redisBytes - before.redisBytes) / holds,
  };
}

/** Throws when something else was measured than is said. */
function check({ label, refusalPercent }: Point, { requests, refused, failed }: LoadResult, connections: number): void {
  const expected = (requests * refusalPercent) / 100;
  // Which of the requests under way the end of the load cuts off is chance.
  const isAsAsked = refusalPercent === 0 ? refused === 0 : Math.abs(refused - expected) <= connections;
  if (isAsAsked && failed === 0 && requests > 0) return;
  throw new Error(`${label}: ${requests} requests, ${refused} refused, ${failed} without an answer`);
}
