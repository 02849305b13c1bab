/** The ways by name, in the order they are measured and shown. */

interface Described {
  /** As the tables name it. */
  readonly title: string;
  /** Where the seats of a way stand when it answers. */
  readonly truth: 'mysql' | 'redis' | 'gateway';
  /** True when an answer stands on the disk of a store that writes it down before it says so. */
  readonly isDurable: boolean;
}

export const ways = {
  'for-update': { title: 'SELECT ... FOR UPDATE', truth: 'mysql', isDurable: true },
  optimistic: { title: 'optimistic version, retry', truth: 'mysql', isDurable: true },
  redlock: { title: 'Redlock + transaction', truth: 'mysql', isDurable: true },
  'pubsub-lock': { title: 'Pub/Sub lock + transaction', truth: 'mysql', isDurable: true },
  mutex: { title: 'in-process mutex + transaction', truth: 'mysql', isDurable: true },
  evalsha: { title: 'EVALSHA a request', truth: 'redis', isDurable: false },
  pipelined: { title: 'EVALSHA, autopipelining', truth: 'redis', isDurable: false },
  rabbitmq: { title: 'RabbitMQ consumer, batches', truth: 'mysql', isDurable: true },
  stream: { title: 'Redis Stream consumer, batches', truth: 'mysql', isDurable: true },
  held: { title: 'this gateway, held', truth: 'gateway', isDurable: false },
  persisted: { title: 'this gateway, persisted', truth: 'gateway', isDurable: true },
} as const satisfies Readonly<Record<string, Described>>;

export type WayName = keyof typeof ways;

/** Those that are not this gateway. */
export type OtherWay = Exclude<WayName, 'held' | 'persisted'>;

export const wayNames = Object.keys(ways) as WayName[];

export function isGateway(name: WayName): name is 'held' | 'persisted' {
  return ways[name].truth === 'gateway';
}
