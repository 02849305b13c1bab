/**
 * (h) RabbitMQ, with amqplib, the client that Node programs have for it. Requests over a queue of RabbitMQ, a consumer that sells them in batches, replies over direct reply-to. Messages are
 * not written to the disk: nobody has an answer before MySQL has the seat, and who has none asks again.
 */
import { type Channel, type ConsumeMessage, connect } from 'amqplib';
import { batchMax, holdOf, sellBatch, textOf, Waiting } from './batch.ts';
import type { Outcome, Places, Way } from './contract.ts';
import { createTransactions } from './database.ts';

const queue = 'ways.holds';
const replyTo = 'amq.rabbitmq.reply-to';
/** What the consumer may have at hand: the batch that is being sold, and the next one. */
const unackedMax = 2 * batchMax;

/** Sells what comes in: everything that came while a batch was sold is the next one. */
async function consume(channel: Channel, mysqlUrl: string): Promise<void> {
  const pool = createTransactions(mysqlUrl);
  const arrived: ConsumeMessage[] = [];
  let isSelling = false;

  async function sell(): Promise<void> {
    while (arrived.length > 0) {
      const messages = arrived.splice(0, batchMax);
      const outcomes = await sellBatch(
        pool,
        messages.map(({ content }) => holdOf(content.toString())),
      );
      messages.forEach(({ properties }, i) => {
        const { correlationId } = properties;
        channel.sendToQueue(properties.replyTo, Buffer.from(outcomes[i]!), { correlationId });
      });
      channel.ack(messages.at(-1)!, true);
    }
    isSelling = false;
  }

  await channel.prefetch(unackedMax);
  await channel.consume(queue, (message) => {
    if (message === null) throw new Error('RabbitMQ has taken the queue away');
    arrived.push(message);
    if (isSelling) return;
    isSelling = true;
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
