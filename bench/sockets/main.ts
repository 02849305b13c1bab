/**
 * Thousands of sockets in one waiting room, told their positions once a second by one gateway process, against a bare
 * uWebSockets.js loop that sends as many frames of the same size: processor time a tick, resident memory a socket, and
 * what Redis does for a tick. The bare loop runs before and after the gateway; their mean is compared with it.
 */
import { parseArgs } from 'node:util';
import { targetOf } from '../load/connection.ts';
import { tableText } from '../load/exhibits.ts';
import { type Gateway, startGateway } from '../load/gateway.ts';
import { cpuTimeOf, residentKibOf } from '../load/process-usage.ts';
import { say } from '../load/progress.ts';
import { type CommandCounts, callsBetween, RedisCommands, sumOf } from '../load/redis-commands.ts';
import { onStage, type Stage } from '../load/stage.ts';
import { startStores } from '../load/stores.ts';
import type { Crowd } from './crowd.ts';
import { startFloor } from './floor.ts';
import { type Measured, measure, sleep, warmUpTicksOf } from './measure.ts';
import { exhibits, requirementsOf, type SocketsResult } from './report.ts';
import { Room } from './room.ts';

export { exhibits } from './report.ts';

const socketsMax = 19_000;
const ticksMax = 30;
const rateMax = 500;

export const help = `npm run bench -- sockets [options]
  --sockets N       WebSockets that watch one room   (15000; at most ${socketsMax})
  --ticks N         ticks that are measured          (20; at most ${ticksMax})
  --rate N          people admitted a second         (50; at most ${rateMax})
  --check           exit code 1 when a requirement fails
  --json            the result as JSON on stdout
  --help`;

const jwtSecret = 'a-secret-of-the-bench-32-bytes-long!!';
const idleSecondsMax = 5;
const nurseryMetric = 'nodejs_heap_space_size_total_bytes{space="new"}';
/** Both halves of it, as --max-semi-space-size of a gateway allows. */
const nurseryBytes = 2 * 64 * 1024 * 1024;
const nurseryRoundsMax = 30;
const nurseryFillRounds = 3;
/** Seconds of admission beyond those that are measured: ticks that come late, and the pauses between the phases. */
const spareSeconds = 20;

interface Options {
  readonly sockets: number;
  readonly ticks: number;
  readonly admitPerSecond: number;
}

/** Of the gateway while nobody is there. */
interface Idle {
  /** A second. */
  readonly cpuMs: number;
  readonly residentKib: number;
  readonly commands: CommandCounts;
  readonly seconds: number;
}

/** One number of /metrics; `name` with its labels. */
async function metricOf(gateway: Gateway, name: string): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name} `)) ?? '';
  return Number(line.slice(name.length));
}

/** Resolves when the gateway runs the jobs: it is not the leader in its first moment. */
async function leading(gateway: Gateway): Promise<void> {
  const endMs = performance.now() + 30_000;
  while ((await metricOf(gateway, 'fastpass_leader')) !== 1) {
    if (performance.now() > endMs) throw new Error('the gateway does not lead the jobs: is there another one?');
    await sleep(100);
  }
}

async function measureIdle(gateway: Gateway, redis: RedisCommands, seconds: number): Promise<Idle> {
  say(`gateway: ${seconds} s idle ...`);
  const startMs = performance.now();
  const [before, commandsBefore] = [cpuTimeOf(gateway.pid), await redis.counts()];
  await sleep(seconds * 1000);
  const [after, commandsAfter] = [cpuTimeOf(gateway.pid), await redis.counts()];
  const passed = (performance.now() - startMs) / 1000;
  const cpuMs = (after.userMs + after.systemMs - before.userMs - before.systemMs) / passed;
  const commands = callsBetween(commandsBefore, commandsAfter);
  return { cpuMs, residentKib: residentKibOf(gateway.pid), commands, seconds: passed };
}

/** People ahead of those who watch: as many as are admitted until the end, so that none of the others is. */
function peopleAhead({ ticks, admitPerSecond }: Options): number {
  return admitPerSecond * (warmUpTicksOf(ticks) + ticks + spareSeconds);
}

async function measureBare(stage: Stage, performanceId: number, options: Options): Promise<Measured> {
  const { sockets, ticks, admitPerSecond } = options;
  const first = peopleAhead(options) + 1;
  const numbers = { performanceId, firstNumber: first, firstPosition: first, admitPerSecond };
  const floor = await stage.add(() => startFloor(numbers));
  const contestant = {
    name: 'bare',
    target: targetOf(floor.url),
    pid: floor.pid,
    headersOf: () => ({}),
    greetingOf: () => '',
    begin: async (crowd: Crowd) => crowd.send('go'),
    onMark: async () => {},
  };
  const measured = await measure(stage, contestant, sockets, ticks);
  await floor.stop();
  return measured;
}

/**
 * Looks over HTTP until the nursery has its full size: it grows with any load, and must not be counted among the memory of
 * the sockets because they happen to be the first.
 */
async function fillNursery(gateway: Gateway, room: Room, users: number): Promise<void> {
  say('gateway: requests until its nursery is full ...');
  const isGrown = async (): Promise<boolean> => (await metricOf(gateway, nurseryMetric)) >= nurseryBytes;
  let rounds = 0;
  while (rounds++ < nurseryRoundsMax && !(await isGrown())) await room.join(0, users);
  if (rounds > nurseryRoundsMax) say('gateway: its nursery may still grow, and counts as memory of the sockets then');
  // What it has grown by is not resident before it has been written to.
  for (let round = 0; round < nurseryFillRounds; round++) await room.join(0, users);
}

interface Watched {
  readonly measured: Measured;
  /** From the first measured tick to the last. */
  readonly commands: CommandCounts;
  readonly seconds: number;
}

async function measureGateway(
  stage: Stage,
  gateway: Gateway,
  room: Room,
  redis: RedisCommands,
  options: Options,
): Promise<Watched> {
  const { sockets, ticks, admitPerSecond } = options;
  const ahead = peopleAhead(options);
  await room.admit(0);
  say(`gateway: ${ahead + sockets} users join ...`);
  // Users are counted from 0, those who watch first: the others have no sockets.
  await room.join(sockets, ahead);
  const tickets = await room.join(0, sockets);
  await fillNursery(gateway, room, sockets + ahead);
  const marks: { readonly atMs: number; readonly counts: CommandCounts }[] = [];
  const measured = await measure(
    stage,
    {
      name: 'gateway',
      target: room.target,
      pid: gateway.pid,
      headersOf: (index) => room.headersOf(index),
      greetingOf: (index) => `{"type":"queue.watch","ticket":"${tickets[index]}"}`,
      begin: async (crowd) => {
        await crowd.ticked(1);
        // Those ahead have no socket, and who gives no sign of life for a minute leaves.
        await room.join(sockets, ahead);
        await room.admit(admitPerSecond);
      },
      onMark: async () => void marks.push({ atMs: performance.now(), counts: await redis.counts() }),
    },
    sockets,
    ticks,
  );
  await room.admit(0);
  const [from, to] = marks;
  if (from === undefined || to === undefined) throw new Error('nothing was measured');
  return { measured, commands: callsBetween(from.counts, to.counts), seconds: (to.atMs - from.atMs) / 1000 };
}

async function run(stage: Stage, options: Options): Promise<SocketsResult> {
  const { sockets, ticks, admitPerSecond } = options;
  const { REDIS_URL: redisUrl, MYSQL_URL: mysqlUrl } = process.env;
  const stores = await stage.add(() => startStores({ name: 'bench', redisUrl, mysqlUrl, say }));
  const common = { redisUrl: stores.redisUrl, mysqlUrl: stores.mysqlUrl, jwtSecret, workers: 1 };
  const gateway = await stage.add(() => startGateway(common));
  const redis = await stage.add(async () => new RedisCommands(stores.redisUrl));
  const room = await Room.create(gateway.url, jwtSecret);
  await leading(gateway);
  const idle = await measureIdle(gateway, redis, Math.min(idleSecondsMax, ticks));
  const before = await measureBare(stage, room.performanceId, options);
  const { measured, commands, seconds } = await measureGateway(stage, gateway, room, redis, options);
  const after = await measureBare(stage, room.performanceId, options);

  const aTick = (name: string, calls: number): number =>
    (calls - ((idle.commands.get(name) ?? 0) / idle.seconds) * seconds) / measured.ticks;
  const byName = [...commands].map(([name, calls]) => [name, aTick(name, calls)] as const);
  const result = {
    sockets,
    admitPerSecond,
    bare: [before, after],
    gateway: measured,
    idle: { cpuMs: idle.cpuMs, residentKib: idle.residentKib, redisCommands: sumOf(idle.commands) / idle.seconds },
    redisCommands: byName.reduce((sum, [, calls]) => sum + calls, 0),
    redisCommandsByName: Object.fromEntries(byName),
  };
  const complaints = gateway.complaints();
  if (complaints.length > 0) say(`the gateway complained:\n${complaints.join('\n')}`);
  return { ...result, requirements: requirementsOf(result) };
}

/** Runs the bench; returns the exit code: 0 measured, 1 a requirement fails and --check was given, 2 usage. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sockets: { type: 'string', default: '15000' },
      ticks: { type: 'string', default: '20' },
      rate: { type: 'string', default: '50' },
      check: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${help}\n`);
    return 0;
  }
  const numbers = [values.sockets, values.ticks, values.rate].map(Number) as [number, number, number];
  const [sockets, ticks, admitPerSecond] = numbers;
  const isUsable = numbers.every((number) => Number.isInteger(number) && number >= 1);
  if (!isUsable || sockets > socketsMax || ticks > ticksMax || admitPerSecond > rateMax) {
    process.stderr.write(`${help}\n`);
    return 2;
  }
  const result = await onStage((stage) => run(stage, { sockets, ticks, admitPerSecond }));
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(exhibits(result).tables.map(tableText).join('\n'));
  return values.check && result.requirements.some(({ holds }) => !holds) ? 1 : 0;
}
