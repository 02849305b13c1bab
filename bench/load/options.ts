/** What the benches take that measure gateways in rounds. */
import { parseArgs } from 'node:util';
import { type Generator, hasWrk } from './wrk.ts';

export interface RoundOptions {
  readonly seconds: number;
  readonly rounds: number;
  readonly connections: number;
  readonly users: number;
  readonly seats: number;
  readonly generator: Generator;
  readonly json: boolean;
}

type Defaults = Readonly<Record<'seconds' | 'rounds' | 'connections' | 'users' | 'seats', number>>;

/** Reads the options, or prints `help` and returns the exit code: 0 where it was asked for, 2 for a wrong use. */
export async function readRoundOptions(
  args: readonly string[],
  help: string,
  defaults: Defaults,
): Promise<RoundOptions | number> {
  const number = (name: keyof Defaults) => ({ type: 'string', default: String(defaults[name]) }) as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: number('seconds'),
      rounds: number('rounds'),
      connections: number('connections'),
      users: number('users'),
      seats: number('seats'),
      generator: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${help}\n`);
    return 0;
  }
  const numbers = [values.seconds, values.rounds, values.connections, values.users, values.seats].map(Number);
  const [seconds, rounds, connections, users, seats] = numbers as [number, number, number, number, number];
  const generator = values.generator ?? ((await hasWrk()) ? 'wrk' : 'autocannon');
  if (numbers.some((each) => !Number.isInteger(each) || each < 1) || !['wrk', 'autocannon'].includes(generator)) {
    process.stderr.write(`${help}\n`);
    return 2;
  }
  return { seconds, rounds, connections, users, seats, generator: generator as Generator, json: values.json };
}
