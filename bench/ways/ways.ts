/** The ways by name, in the order they are measured and shown. */

/** A process beside the way's own. */
export type Store = 'redis' | 'mysql' | 'rabbitmq';

interface Described {
  /** As the tables name it. */
  readonly title: string;
  /** Where the seats of a way stand when it answers. */
  readonly truth: 'mysql' | 'redis' | 'gateway';
  /** Those that have a part in an answer, or in what is done behind it. */
  readonly stores: readonly Store[];
  /** True when what was answered is on a disk: MySQL has committed it. */
  readonly isDurable: boolean;
  /** What an answer promises, and what it rests on. */
  readonly promise: string;
}

const committed = 'in MySQL, committed';

export const ways = {
  'for-update': {
    title: 'SELECT ... FOR UPDATE',
    truth: 'mysql',
    stores: ['mysql'],
    isDurable: true,
    promise: `${committed}; the row is locked`,
  },
  optimistic: {
    title: 'optimistic version, retry',
    truth: 'mysql',
    stores: ['mysql'],
    isDurable: true,
    promise: `${committed}; the version has not changed`,
  },
  redlock: {
    title: 'Redlock + transaction',
    truth: 'mysql',
    stores: ['redis', 'mysql'],
    isDurable: true,
    promise: `${committed}; a lock in one Redis, waiters ask again; the version is the guard`,
  },
  'pubsub-lock': {
    title: 'Pub/Sub lock + transaction',
    truth: 'mysql',
    stores: ['redis', 'mysql'],
    isDurable: true,
    promise: `${committed}; a lock in Redis, a release wakes the next; the version is the guard`,
  },
  mutex: {
    title: 'in-process mutex + transaction',
    truth: 'mysql',
    stores: ['mysql'],
    isDurable: true,
    promise: `${committed}; for one process only; the version is the guard`,
  },
  evalsha: {
    title: 'EVALSHA a request',
    truth: 'redis',
    stores: ['redis'],
    isDurable: false,
    promise: 'in Redis alone; nothing writes it to MySQL, not even later',
  },
  pipelined: {
    title: 'EVALSHA, autopipelining',
    truth: 'redis',
    stores: ['redis'],
    isDurable: false,
    promise: 'in Redis alone; nothing writes it to MySQL, not even later',
  },
  rabbitmq: {
    title: 'RabbitMQ consumer, batches',
    truth: 'mysql',
    stores: ['mysql', 'rabbitmq'],
    isDurable: true,
    promise: `${committed}; transient messages, the consumer in the same process`,
  },
  stream: {
    title: 'Redis Stream consumer, batches',
    truth: 'mysql',
    stores: ['redis', 'mysql'],
    isDurable: true,
    promise: `${committed}; a batch in the order of the log, the consumer in the same process`,
  },
  held: {
    title: 'this gateway, held',
    truth: 'gateway',
    stores: ['redis', 'mysql'],
    isDurable: false,
    promise: 'in Redis; MySQL follows behind the answer: requests/s are those of a burst, the column beside them lasts',
  },
  persisted: {
    title: 'this gateway, persisted',
    truth: 'gateway',
    stores: ['redis', 'mysql'],
    isDurable: true,
    promise: committed,
  },
} as const satisfies Readonly<Record<string, Described>>;

export type WayName = keyof typeof ways;

/** Those that are not this gateway. */
export type OtherWay = Exclude<WayName, 'held' | 'persisted'>;

export const wayNames = Object.keys(ways) as WayName[];

export function isGateway(name: WayName): name is 'held' | 'persisted' {
  return ways[name].truth === 'gateway';
}
