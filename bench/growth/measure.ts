/** Measures the points of one axis, a gateway each, in rounds that go from the first point through all and back to it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { committed, type Gateway, startGateway } from '../load/gateway.ts';
import { say } from '../load/progress.ts';
import { jwtSecret, type Seller } from '../load/seller.ts';
import type { Stage } from '../load/stage.ts';
import type { Stores } from '../load/stores.ts';
import { type Generator, type LoadResult, load } from '../load/wrk.ts';
import type { Axis, Point } from './axes.ts';
import { Halls } from './halls.ts';
import { type GrowthRow, type Measured, rowOf } from './report.ts';
import { readUsage, redisBytesOf, requestsOf, type Usage, whileWatched } from './usage.ts';

/** Free seats are made for as many: more than the gateway has ever held. */
const requestsPerSecondMax = 40_000;
/** Refused requests cost less: as many in a second, at most. */
const refusedPerSecondMax = 80_000;
const warmUpSeconds = 1;
/** Fewer holds weigh less than the buffers of the clients. */
const holdsWeighedMin = 10_000;
// Opened in a second: what is answered before all are there is not counted. Beyond 14,000 to one address Linux looks long for
// free ports, and the gateway's backlog overflows: those left out try again a second later.
const connectionsASecond = 2000;

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
  /** That Redis has grown by when the first of them were made. */
  readonly unsoldBytes: number;
}

type Sample = Omit<Measured, 'ratio'>;

/** Starts a gateway a point, measures, and stops them. */
export async function measureAxis(stage: Stage, bench: Bench, axis: Axis, points: readonly Point[]) {
  const { rounds, seconds, seller, stores } = bench;
  // Before their gateways are there: every gateway is asked at each load of a performance, ten thousand times here.
  const made: Omit<Runner, 'gateway'>[] = [];
  for (const point of points) {
    const halls = new Halls(seller, point, requestsPerSecondMax * (warmUpSeconds + rounds * seconds));
    const bytesBefore = await redisBytesOf(stores.redisUrl);
    await halls.take(requestsMaxOf(bench, point, warmUpSeconds));
    made.push({ point, halls, unsoldBytes: (await redisBytesOf(stores.redisUrl)) - bytesBefore });
  }
  const runners: Runner[] = [];
  for (const each of made) runners.push({ ...each, gateway: await start(stage, bench, each.point) });
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
    const { point, unsoldBytes } = runner;
    return rowOf(point, unsoldBytes / 1024, measuredOf.get(runner)!);
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
    redisBytes: meanOfSome(before.redisBytes, after.redisBytes),
  };
}

function start(stage: Stage, { stores }: Bench, { workers, settings }: Point): Promise<Gateway> {
  const { redisUrl, mysqlUrl } = stores;
  return stage.add(() => startGateway({ redisUrl, mysqlUrl, jwtSecret, workers, settings }));
}

function connectionsOf(bench: Bench, { connections }: Point): number {
  return connections ?? bench.connections;
}

function rampSecondsOf(bench: Bench, point: Point): number {
  return Math.floor(connectionsOf(bench, point) / connectionsASecond);
}

/** Of one measurement. */
function requestsMaxOf(bench: Bench, point: Point, seconds: number): number {
  const perSecondMax = point.refusalPercent === 0 ? requestsPerSecondMax : refusedPerSecondMax;
  return perSecondMax * (rampSecondsOf(bench, point) + seconds);
}

function tell(axis: Axis, when: string, { point }: Runner, { perSecond, gatewayUs }: Sample): void {
  say(`${axis.name} ${point.label}, ${when}: ${Math.round(perSecond)}/s, ${gatewayUs.toFixed(1)} us of the gateway`);
}

async function measure(bench: Bench, { point, gateway, halls }: Runner, seconds: number): Promise<Sample> {
  const { stores, generator, tokensPath, soldOut } = bench;
  const connections = connectionsOf(bench, point);
  const rampSeconds = rampSecondsOf(bench, point);
  const percent = point.refusalPercent;
  const options = {
    url: gateway.url,
    connections,
    seconds: rampSeconds + seconds,
    tokensPath,
    ...(await halls.take(requestsMaxOf(bench, point, seconds))),
    ...(percent === 0 ? {} : { refusals: { percent, ...soldOut } }),
  };
  const usageBefore = await readUsage(gateway, stores);
  const work = Promise.all([load(generator, options), steadyRate(gateway, rampSeconds, seconds)]);
  const {
    result: [result, steady],
    peakKib,
  } = await whileWatched(gateway, work);
  // Every connection may have had one more under way.
  halls.sent(result.requests + connections);
  await committed(gateway);
  check(point, result, connections);
  const { perSecond, p50Ms, p99Ms } = result;
  const usage = usageBetween(usageBefore, await readUsage(gateway, stores));
  return { perSecond: steady ?? perSecond, p50Ms, p99Ms, gatewayMib: peakKib / 1024, ...usage };
}

/** Requests a second of the last `seconds`, as the gateway counts them; null where there is no ramp to leave out. */
async function steadyRate(gateway: Gateway, rampSeconds: number, seconds: number): Promise<number | null> {
  if (rampSeconds === 0) return null;
  await sleep(rampSeconds * 1000);
  const [from, fromMs] = [await requestsOf(gateway), performance.now()];
  // The end of the load is none of it.
  await sleep(seconds * 900);
  const [to, toMs] = [await requestsOf(gateway), performance.now()];
  return ((to - from) * 1000) / (toMs - fromMs);
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
    redisBytes: holds < holdsWeighedMin ? null : Math.round((after.redisBytes - before.redisBytes) / holds),
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
