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

/** The lines of a help text that say the options of `readRoundOptions`, with their defaults. */
export function roundHelp(defaults: Defaults): string {
  const { seconds, rounds, connections, users, seats } = defaults;
  return `  --seconds N       seconds a measurement            (${seconds})
  --rounds N        rounds, the middle one counts    (${rounds})
  --connections N   keep-alive connections           (${connections})
  --users N         users, each with a token         (${users})
  --seats N         seats a performance              (${seats})
  --generator NAME  wrk or autocannon                (wrk where it is installed)
  --json            the result as JSON on stdout`;
}

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

/** The command line or the environment asks for something that cannot be; the message says what. */
export class UsageError extends Error {}

/** Reads a whole number from `min` to `max`. Throws UsageError. */
export function integer(name: string, text: string, min: number, max: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= min && number <= max) return number;
  throw new UsageError(`${name} must be a whole number from ${min} to ${max}, not "${text}"`);
}

/** Reads one of a few words. Throws UsageError. */
export function oneOf<Value extends string>(name: string, text: string, values: readonly Value[]): Value {
  const value = values.find((candidate) => candidate === text);
  if (value !== undefined) return value;
  throw new UsageError(`${name} must be one of ${values.join(', ')}, not "${text}"`);
}

/**
 * Runs a bench with the options that `read` finds (null: help is asked for); returns its exit code, 0 for help, or 2 where
 * `read` throws UsageError.
 */
export async function withOptions<Options>(
  args: readonly string[],
  help: string,
  read: (args: readonly string[]) => Options | null,
  run: (options: Options) => Promise<number>,
): Promise<number> {
  let options: Options | null;
  try {
    options = read(args);
  } catch (thrown) {
    if (!(thrown instanceof UsageError)) throw thrown;
    process.stderr.write(`${thrown.message}\n\n${help}\n`);
    return 2;
  }
  if (options !== null) return run(options);
  process.stdout.write(`${help}\n`);
  return 0;
}
