/**
 * `npm run bench -- queue`: tickets of a waiting room, given out and polled at fixed rates by an open loop, beside what others
 * have published. Every rate and round has a room and users of its own, whose tokens are made beforehand. Rounds are
 * interleaved; of each rate the round with the middle mean counts, and every number and position is checked in all of them.
 */
import { parseArgs } from 'node:util';
import { tableText } from '../load/exhibits.ts';
import { startGateway } from '../load/gateway.ts';
import { integer, withOptions } from '../load/options.ts';
import { say } from '../load/progress.ts';
import { jwtSecret } from '../load/seller.ts';
import { onStage, type Stage } from '../load/stage.ts';
import { middleOf } from '../load/statistics.ts';
import { startStores } from '../load/stores.ts';
import { type Measured, measureRoom } from './measure.ts';
import { exhibits, type QueueResult, rowOf } from './report.ts';

export { exhibits } from './report.ts';

const rateMax = 100_000;
/** Whoever gives no sign of life for a minute leaves the queue: giving out and polling must both be over by then. */
const secondsMax = 15;
const connectionsMax = 10_000;

export const help = `npm run bench -- queue [options]
  --rates LIST      requests a second                        (1000,3000,10000)
  --seconds N       seconds a measurement                    (3; at most ${secondsMax})
  --rounds N        rounds, the middle one counts            (3)
  --connections N   keep-alive connections                   (1000)
  --admit N         people admitted a second                 (20)
  --json            the result as JSON on stdout
  --help`;

interface Options {
  readonly rates: readonly number[];
  readonly seconds: number;
  readonly rounds: number;
  readonly connections: number;
  readonly admitPerSecond: number;
  readonly json: boolean;
}

async function run(stage: Stage, options: Options): Promise<QueueResult> {
  const { rates, seconds, rounds, connections, admitPerSecond } = options;
  const { REDIS_URL: redisUrl, MYSQL_URL: mysqlUrl } = process.env;
  const stores = await stage.add(() => startStores({ name: 'bench', redisUrl, mysqlUrl, say }));
  const gateway = await stage.add(() => startGateway({ ...stores, jwtSecret, workers: 1 }));
  const steps = rates.map((perSecond) => ({ perSecond, issue: [] as Measured[], poll: [] as Measured[] }));
  const faults: string[] = [];
  // Round 0 warms up: compilers, caches. It does not count, but must be right as well.
  for (let round = 0; round <= rounds; round++) {
    for (const { perSecond, issue, poll } of steps) {
      // One connection idles for a second at most: the gateway ends those that stay silent.
      const rate = { perSecond, seconds, connections: Math.min(connections, perSecond), admitPerSecond };
      const measured = await measureRoom(stage, gateway, rate);
      const means = [measured.issue, measured.poll].map(({ latency }) => latency.meanMs.toFixed(1));
      const label = round === 0 ? 'warm-up' : `round ${round}`;
      say(`${label}: ${perSecond}/s: issue ${means[0]} ms, poll ${means[1]} ms on average`);
      faults.push(...measured.faults.map((fault) => `${label}, ${perSecond}/s: ${fault}`));
      if (round === 0) continue;
      issue.push(measured.issue);
      poll.push(measured.poll);
    }
  }
  const complaints = gateway.complaints();
  if (complaints.length > 0) say(`the gateway complained:\n${complaints.join('\n')}`);
  const rows = (['issue', 'poll'] as const).flatMap((what) =>
    steps.map((step) =>
      rowOf(
        what,
        step.perSecond,
        middleOf(step[what], ({ latency }) => latency.meanMs),
      ),
    ),
  );
  return { seconds, rounds, connections, admitPerSecond, rows, rooms: rates.length * (rounds + 1), faults };
}

function readOptions(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rates: { type: 'string', default: '1000,3000,10000' },
      seconds: { type: 'string', default: '3' },
      rounds: { type: 'string', default: '3' },
      connections: { type: 'string', default: '1000' },
      admit: { type: 'string', default: '20' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  return {
    rates: values.rates.split(',').map((text) => integer('--rates', text, 1, rateMax)),
    seconds: integer('--seconds', values.seconds, 1, secondsMax),
    rounds: integer('--rounds', values.rounds, 1, 100),
    connections: integer('--connections', values.connections, 1, connectionsMax),
    admitPerSecond: integer('--admit', values.admit, 0, 1000),
    json: values.json,
  };
}

/** Runs the bench; returns the exit code: 0 everything told was true, 1 something was not, 2 usage. */
export function main(args: readonly string[]): Promise<number> {
  return withOptions(args, help, readOptions, async (options) => {
    const result = await onStage((stage) => run(stage, options));
    if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
    else process.stdout.write(exhibits(result).tables.map(tableText).join('\n'));
    return result.faults.length === 0 ? 0 : 1;
  });
}
