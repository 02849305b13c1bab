/**
 * (h) Requests over a queue of RabbitMQ, a consumer that sells them in batches, replies over direct reply-to. amqplib is the
 * client that Node programs have for it. Messages are not written to the disk: nobody has an answer before MySQL has the
 * seat, and who has none asks again.
 */
import { type Channel, type ConsumeMessage, connect } from 'amqplib';
import { batchesMax, batchMax, holdOf, sellBatch, textOf, Waiting } from './batch.ts';
import type { Outcome, Places, Way } from './contract.ts';
import { createTransactions } from './database.ts';

const queue = 'ways.holds';
const replyTo = 'amq.rabbitmq.reply-to';
/** What the consumer may have at hand: the batches that are being sold, and the next one. */
const unackedMax = (batchesMax + 1) * batchMax;

/** Sells what comes in: everything that came while the batches before were sold is the next one. */
async function consume(channel: Channel, mysqlUrl: string): Promise<void> {
  const pool = createTransactions(mysqlUrl);
  const arrived: ConsumeMessage[] = [];
  const batches: { readonly last: ConsumeMessage; isSold: boolean }[] = [];
  let sellers = 0;

  /** One acknowledgement is for all messages before it too: it waits for the batches before. */
  function acknowledge(): void {
    while (batches[0]?.isSold) channel.ack(batches.shift()!.last, true);
  }

  async function sell(): Promise<void> {
    while (arrived.length > 0) {
      const messages = arrived.splice(0, batchMax);
      const batch = { last: messages.at(-1)!, isSold: false };
      batches.push(batch);
      const outcomes = await sellBatch(
        pool,
        messages.map(({ content }) => holdOf(content.toString())),
      );
      messages.forEach(({ properties }, i) => {
        const { correlationId } = properties;
        channel.sendToQueue(properties.replyTo, Buffer.from(outcomes[i]!), { correlationId });
      });
      batch.isSold = true;
      acknowledge();
    }
    sellers--;
  }

  await channel.prefetch(unackedMax);
  await channel.consume(queue, (message) => {
    if (message === null) throw new Error('RabbitMQ has taken the queue away');
    arrived.push(message);
    if (sellers === batchesMax) return;
    sellers++;
    // What one read of the socket brings is one batch. A fault ends the process: nobody would sell any more.
    setImmediate(sell);
  });
}

export async function createRabbitmq({ amqpUrl, mysqlUrl }: Places): Promise<Way> {
  // Connections of their own: a consumer that is held back must not hold back who publishes.
  const [asking, selling] = await Promise.all([
    connect(amqpUrl, { noDelay: true }),
    connect(amqpUrl, { noDelay: true }),
  ]);
  const channel = await asking.createChannel();
  const consumer = await selling.createChannel();
  await channel.assertQueue(queue, { durable: true });
  await consume(consumer, mysqlUrl);
  const waiting = new Waiting();
  await channel.consume(
    replyTo,
    (message) => {
      if (message === null) throw new Error('RabbitMQ has taken the replies away');
      waiting.settle(message.properties.correlationId as string, message.content.toString() as Outcome);
    },
    { noAck: true },
  );
  return {
    hold(hold) {
      const { reservationId } = hold;
      const reply = waiting.reply(reservationId);
      channel.sendToQueue(queue, Buffer.from(textOf(hold)), {
        correlationId: reservationId,
        replyTo,
        persistent: false,
      });
      return reply;
    },
  };
}
