/**
 * (i) The log: requests are appended to a stream of Redis, a consumer of its group sells them in batches, each in the
 * order of the log, and publishes what became of them.
 */
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import type { Pool } from 'mysql2/promise';
import { batchesMax, batchMax, holdOf, sellBatch, textOf, Waiting } from './batch.ts';
import type { Outcome, Places, Way } from './contract.ts';
import { createTransactions } from './database.ts';
import { repliesChannel, streamKey } from './keys.ts';

const group = 'sellers';
const blockMs = 1000;
/** Of those that are sold; more do not wait, for the server has no more connections. */
const logLengthMax = 100_000;

/** Of this consumer, in its group. */
const seller = randomUUID();

/** Nobody would sell any more, or be told of it. */
function end(thrown: unknown): void {
  process.stderr.write(`${String(thrown)}\n`);
  process.exit(1);
}

type Entry = readonly [id: string, fields: readonly string[]];

/** Sells one batch behind the other until the process ends. Rejects with the first fault of a store. */
async function consume(redisUrl: string, pool: Pool, writer: Redis): Promise<never> {
  // A read that waits holds up all that comes behind it on its connection.
  const reader = new Redis(redisUrl);
  const from = ['STREAMS', streamKey, '>'] as const;
  for (;;) {
    const read = await reader.xreadgroup('GROUP', group, seller, 'COUNT', batchMax, 'BLOCK', blockMs, ...from);
    const entries = ((read as [string, Entry[]][] | null)?.[0]?.[1] ?? []) as Entry[];
    if (entries.length === 0) continue;
    const holds = entries.map(([, fields]) => holdOf(fields[1]!));
    const outcomes = await sellBatch(pool, holds);
    const replies = holds.map(({ reservationId }, i) => [reservationId, outcomes[i]!]);
    const ids = entries.map(([id]) => id);
    // The next batch does not wait for them.
    writer.publish(repliesChannel, JSON.stringify(replies)).catch(end);
    writer.xack(streamKey, group, ...ids).catch(end);
  }
}

export async function createStream({ redisUrl, mysqlUrl }: Places): Promise<Way> {
  // What one turn of the loop appends goes out together.
  const redis = new Redis(redisUrl, { enableAutoPipelining: true });
  await redis.xgroup('CREATE', streamKey, group, '$', 'MKSTREAM');
  const subscriber = new Redis(redisUrl);
  await subscriber.subscribe(repliesChannel);
  const waiting = new Waiting();
  subscriber.on('message', (_channel: string, text: string) => {
    for (const [reservationId, outcome] of JSON.parse(text) as [string, Outcome][]) {
      waiting.settle(reservationId, outcome);
    }
  });
  const pool = createTransactions(mysqlUrl);
  const writer = new Redis(redisUrl, { enableAutoPipelining: true });
  for (let i = 0; i < batchesMax; i++) consume(redisUrl, pool, writer).catch(end);
  return {
    async hold(hold) {
      const reply = waiting.reply(hold.reservationId);
      await redis.xadd(streamKey, 'MAXLEN', '~', logLengthMax, '*', 'hold', textOf(hold));
      return reply;
    },
  };
}
