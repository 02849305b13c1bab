/** The command line of the rush. */
import { parseArgs } from 'node:util';
import { targetOf } from '../load/connection.ts';
import { integer, oneOf, UsageError } from '../load/options.ts';

/** What is sold. Every request of a capacity sale wants `party` places, of a seated one `seatsPerRequest` random seats. */
export type Sale =
  | { readonly kind: 'capacity'; readonly capacity: number; readonly party: number }
  | { readonly kind: 'seated'; readonly seats: number; readonly seatsPerRequest: number };

export interface RushOptions {
  /** A gateway that runs already, or null: start one. */
  readonly url: string | null;
  readonly users: number;
  /** Requests of each user. */
  readonly repeat: number;
  readonly sale: Sale;
  readonly connections: number;
  readonly ack: 'persisted' | 'held';
  readonly workers: number;
  readonly seed: number;
  readonly isJson: boolean;
}

const requestsMax = 5_000_000;
/** A process may have 20,000 open files on a common machine, the gateway as well as the rush. */
const connectionsMax = 19_000;
const placesMax = 100_000;
const seatsPerRequestMax = 100;

export const usage = `Usage: npm run rush -- [options]

A rush of users on one performance, all at once, against a gateway it starts itself or one that runs already. Prints the
answers by outcome and the latency, and checks in MySQL that the sale came out exactly, nothing sold twice.

  --users 2000             users, each with a token of their own
  --repeat 3               requests of each user, side by side: impatient ones press again before they have an answer
  --kind capacity          capacity: places for parties; seated: numbered seats
  --capacity 40 --party 4  places on sale and places per request (capacity)
  --seats 1000             seats on sale (seated)
  --seats-per-request 2    random seats per request, overlapping those of others (seated)
  --seed 1                 which seats are drawn (seated)
  --connections 200        keep-alive connections, one request at a time on each; at most ${connectionsMax}
  --ack persisted          when the gateway it starts answers 201: persisted (MySQL has committed) or held (Redis has it)
  --workers 1              processes of the gateway it starts
  --url http://host:port   a gateway that runs; needs its JWT_SECRET and MYSQL_URL in the environment
  --json                   the result as one JSON object on stdout
  --help                   this text

Without --url it starts Redis, MariaDB (unless REDIS_URL or MYSQL_URL is set) and a gateway, and stops them at the end.
Exit code: 0 the verdict holds, 1 it fails or could not be reached, 2 wrong usage.
`;

const optionTypes = {
  url: { type: 'string' },
  users: { type: 'string', default: '2000' },
  repeat: { type: 'string', default: '3' },
  kind: { type: 'string', default: 'capacity' },
  capacity: { type: 'string' },
  party: { type: 'string' },
  seats: { type: 'string' },
  'seats-per-request': { type: 'string' },
  seed: { type: 'string' },
  connections: { type: 'string', default: '200' },
  ack: { type: 'string' },
  workers: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

type Values = ReturnType<typeof parse>;

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: optionTypes, strict: true, allowPositionals: false }).values;
}

/** Reads the command line; null when it asks for the help text. Throws UsageError. */
export function readRushOptions(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): RushOptions | null {
  let values: Values;
  try {
    values = parse(args);
  } catch (thrown) {
    throw new UsageError(thrown instanceof Error ? thrown.message : String(thrown));
  }
  if (values.help) return null;
  const users = integer('--users', values.users, 1, 1_000_000);
  const repeat = integer('--repeat', values.repeat, 1, 1000);
  if (users * repeat > requestsMax) throw new UsageError(`--users times --repeat must not exceed ${requestsMax}`);
  const connections = integer('--connections', values.connections, 1, connectionsMax);
  return {
    url: urlOf(values, environment),
    users,
    repeat,
    sale: saleOf(values),
    // More than one a request would stay idle.
    connections: Math.min(connections, users * repeat),
    ack: oneOf('--ack', values.ack ?? 'persisted', ['persisted', 'held']),
    workers: integer('--workers', values.workers ?? '1', 1, 64),
    seed: integer('--seed', values.seed ?? '1', 0, 4_294_967_295),
    isJson: values.json,
  };
}

function saleOf(values: Values): Sale {
  const kind = oneOf('--kind', values.kind, ['capacity', 'seated']);
  if (kind === 'capacity') {
    refuse(values, ['seats', 'seats-per-request', 'seed'], 'is for --kind seated');
    const capacity = integer('--capacity', values.capacity ?? '40', 1, placesMax);
    const party = integer('--party', values.party ?? '4', 1, placesMax);
    if (party > capacity) throw new UsageError('--party must not exceed --capacity');
    return { kind, capacity, party };
  }
  refuse(values, ['capacity', 'party'], 'is for --kind capacity');
  const seats = integer('--seats', values.seats ?? '1000', 1, placesMax);
  const seatsPerRequest = integer('--seats-per-request', values['seats-per-request'] ?? '2', 1, seatsPerRequestMax);
  if (seatsPerRequest > seats) throw new UsageError('--seats-per-request must not exceed --seats');
  return { kind, seats, seatsPerRequest };
}

function urlOf(values: Values, environment: Readonly<Record<string, string | undefined>>): string | null {
  const { url } = values;
  if (url === undefined) return null;
  refuse(values, ['ack', 'workers'], 'is for a gateway that the rush starts, not for --url');
  try {
    targetOf(url);
  } catch (thrown) {
    throw new UsageError(`--url: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
  const missing = ['JWT_SECRET', 'MYSQL_URL'].filter((name) => (environment[name] ?? '') === '');
  if (missing.length > 0) throw new UsageError(`--url needs the gateway's ${missing.join(' and ')} in the environment`);
  return url;
}

function refuse(values: Values, names: readonly (keyof Values)[], why: string): void {
  for (const name of names) if (values[name] !== undefined) throw new UsageError(`--${name} ${why}`);
}
