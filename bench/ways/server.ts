/**
 * One way as a process: its name as the argument, REDIS_URL, MYSQL_URL, AMQP_URL and JWT_SECRET in the environment. Writes
 * its port to stdout when it listens. A signal ends it at once: it has nothing to lose that somebody was promised.
 */
import type { AddressInfo } from 'node:net';
import { createServer, type Places, type Way } from './contract.ts';
import { createSaleReader } from './database.ts';
import { createEvalsha } from './evalsha.ts';
import { createForUpdate } from './for-update.ts';
import { createMutex } from './mutex.ts';
import { createOptimistic } from './optimistic.ts';
import { createPubSubLock } from './pubsub-lock.ts';
import { createRabbitmq } from './rabbitmq.ts';
import { createRedlock } from './redlock.ts';
import { createStream } from './stream.ts';
import type { OtherWay } from './ways.ts';

const makers: Readonly<Record<OtherWay, (places: Places) => Way | Promise<Way>>> = {
  'for-update': createForUpdate,
  optimistic: createOptimistic,
  redlock: createRedlock,
  'pubsub-lock': createPubSubLock,
  mutex: createMutex,
  evalsha: (places) => createEvalsha(places, false),
  pipelined: (places) => createEvalsha(places, true),
  rabbitmq: createRabbitmq,
  stream: createStream,
};

const { REDIS_URL: redisUrl = '', MYSQL_URL: mysqlUrl = '', AMQP_URL: amqpUrl = '', JWT_SECRET = '' } = process.env;
const way = await makers[process.argv[2] as OtherWay]({ redisUrl, mysqlUrl, amqpUrl });
const app = createServer(way, await createSaleReader(mysqlUrl), JWT_SECRET);
// A thousand clients may come at once.
await app.listen({ host: '127.0.0.1', port: 0, backlog: 4096 });
process.stdout.write(`${(app.server.address() as AddressInfo).port}\n`);
