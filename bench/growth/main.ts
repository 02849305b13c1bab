/**
 * How throughput, processor time and memory grow: holds in the mode `persisted` along seven axes, each measured in rounds of
 * its own that begin and end with its first point. Compared are ratios to that point, of the same round.
 */
import { parseArgs } from 'node:util';
import { tableText } from '../load/exhibits.ts';
import { startGateway } from '../load/gateway.ts';
import { say } from '../load/progress.ts';
import { jwtSecret, Seller, writeTokens } from '../load/seller.ts';
import { onStage, type Stage } from '../load/stage.ts';
import { startStores } from '../load/stores.ts';
import { hasWrk } from '../load/wrk.ts';
import { type AxisName, axes, axisNames } from './axes.ts';
import { type Bench, measureAxis } from './measure.ts';
import { exhibits, type GrowthResult, targetsOf } from './report.ts';

export { exhibits };

export const help = `npm run bench -- growth [options]
  --axes NAME,...   ${axisNames.join(',')}   (all)
  --seconds N       seconds a measurement                                    (1)
  --rounds N        rounds, the middle one counts                            (3)
  --connections N   keep-alive connections, but along their own axis         (200)
  --points N        the first points of each axis only                       (all)
  --json            the result as JSON on stdout
  --help`;

const users = 40_000;
const soldOutSeats = 1000;
const pointsMax = 9;

interface Options {
  readonly axes: readonly AxisName[];
  readonly seconds: number;
  readonly rounds: number;
  readonly connections: number;
  readonly points: number;
}

async function run(stage: Stage, options: Options): Promise<GrowthResult> {
  const { seconds, rounds, connections, points } = options;
  const { REDIS_URL: redisUrl, MYSQL_URL: mysqlUrl } = process.env;
  const tokensPath = await writeTokens(stage, users);
  const stores = await stage.add(() => startStores({ name: 'bench', redisUrl, mysqlUrl, say }));
  const common = { redisUrl: stores.redisUrl, mysqlUrl: stores.mysqlUrl, jwtSecret, workers: 1 };
  const leader = await stage.add(() => startGateway(common));
  const seller = new Seller(leader.url);
  const soldOut = { performanceId: await seller.soldOut(soldOutSeats), seats: soldOutSeats };
  const generator = (await hasWrk()) ? 'wrk' : 'autocannon';
  const bench: Bench = { stores, seller, soldOut, tokensPath, generator, connections, seconds, rounds };
  const measured: GrowthResult['axes'][number][] = [];
  for (const axis of axes.filter(({ name }) => options.axes.includes(name))) {
    measured.push(await measureAxis(stage, bench, axis, axis.points.slice(0, points)));
  }
  return { generator, connections, seconds, rounds, axes: measured, targets: targetsOf(measured) };
}

function print(result: GrowthResult): void {
  const { generator, connections, seconds, rounds } = result;
  const head = `${generator}, ${connections} connections, ${rounds} rounds of ${seconds} s; processor time a request`;
  process.stdout.write(`${[head, ...exhibits(result).tables.map(tableText)].join('\n\n')}`);
}

/** Runs the bench; returns the exit code: 0 measured, 2 usage. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      axes: { type: 'string', default: axisNames.join(',') },
      seconds: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '3' },
      connections: { type: 'string', default: '200' },
      points: { type: 'string', default: String(pointsMax) },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${help}\n`);
    return 0;
  }
  const wanted = values.axes.split(',');
  const numbers = [values.seconds, values.rounds, values.connections, values.points].map(Number);
  const [seconds, rounds, connections, points] = numbers as [number, number, number, number];
  const isKnown = wanted.every((name) => axisNames.some((each) => each === name));
  if (!isKnown || numbers.some((each) => !Number.isInteger(each) || each < 1)) {
    process.stderr.write(`${help}\n`);
    return 2;
  }
  const options = { axes: wanted as AxisName[], seconds, rounds, connections, points };
  const result = await onStage((stage) => run(stage, options));
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else print(result);
  return 0;
}
