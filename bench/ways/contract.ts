/**
 * What every way keeps: the hold that it is asked for, what it may answer, and the HTTP around it: Fastify, the fastest that
 * people take for an API on Node.
 */
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { type Code, codeTable } from '../../src/domain/codes.ts';
import { newReservationId } from '../../src/domain/ids.ts';
import { createAuthenticate } from '../../src/gateway/auth.ts';

/** What is for sale, as MySQL says it; it never changes while it is sold, so that every way keeps it in memory. */
export interface Sale {
  readonly performanceId: number;
  readonly seats: number;
  readonly price: number;
  readonly holdMs: number;
}

/** One seat for one user. */
export interface Hold {
  readonly reservationId: string;
  readonly sale: Sale;
  readonly seat: number;
  readonly userId: number;
  /** Unix milliseconds. */
  readonly expiresAtMs: number;
}

/** `busy`: it could not be found out within the way's own limits. */
export type Outcome = 'held' | 'taken' | 'busy';

/** What a server says of its holds: a bench that has gone in the middle waits for those that have no answer yet. */
export interface Counts {
  readonly underWay: number;
  /** Holds that were decided, by what became of them; `failed`: any answer that is no outcome. */
  readonly outcomes: Readonly<Record<Outcome | 'failed', number>>;
}

/** One way to do the job. A rejection is a fault of a store; the client gets a 500. */
export interface Way {
  hold(hold: Hold): Promise<Outcome>;
}

/** Where a way finds its stores. */
export interface Places {
  readonly redisUrl: string;
  readonly mysqlUrl: string;
  /** Empty where there is none. */
  readonly amqpUrl: string;
}

interface Body {
  readonly performanceId: number;
  readonly seats: readonly [number];
}

const id = { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER } as const;
const seats = { type: 'array', items: id, minItems: 1, maxItems: 1 } as const;
const bodySchema = { type: 'object', required: ['performanceId', 'seats'], properties: { performanceId: id, seats } };

// What Fastify makes its serialisers from.
const heldSchema = {
  type: 'object',
  properties: {
    reservationId: { type: 'string' },
    performanceId: { type: 'integer' },
    userId: { type: 'integer' },
    status: { type: 'string' },
    seats: { type: 'array', items: { type: 'integer' } },
    amount: { type: 'integer' },
    expiresAt: { type: 'string' },
  },
};
const problemSchema = {
  type: 'object',
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string' },
    detail: { type: 'string' },
    seats: { type: 'array', items: { type: 'integer' } },
  },
};

function refuse(reply: FastifyReply, code: Code, detail: string, seat?: number): FastifyReply {
  const { status, title } = codeTable[code];
  const body = { type: `urn:fastpass:problem:${code}`, title, status, code, detail };
  reply.code(status).header('content-type', 'application/problem+json');
  return reply.send(seat === undefined ? body : { ...body, seats: [seat] });
}

function sendHeld(reply: FastifyReply, hold: Hold): FastifyReply {
  const { reservationId, sale, userId, seat, expiresAtMs } = hold;
  const { performanceId, price } = sale;
  reply.code(201).header('location', `/v1/reservations/${reservationId}`);
  return reply.send({
    reservationId,
    performanceId,
    userId,
    status: 'HELD',
    seats: [seat],
    amount: price,
    expiresAt: new Date(expiresAtMs).toISOString(),
  });
}

/**
 * The server of a way, not listening yet. `saleOf` gives null for a performance that is not there. `GET /under-way` gives
 * the `Counts`.
 */
export function createServer(
  way: Way,
  saleOf: (performanceId: number) => Sale | Promise<Sale | null>,
  jwtSecret: string,
): FastifyInstance {
  const authenticate = createAuthenticate(jwtSecret);
  // Fastify's own ajv, told to take what is right and not to make it right.
  const app = Fastify({ logger: false, ajv: { customOptions: { coerceTypes: false, removeAdditional: false } } });
  let underWay = 0;
  const outcomes = { held: 0, taken: 0, busy: 0, failed: 0 };

  async function answer(request: FastifyRequest, reply: FastifyReply): Promise<keyof typeof outcomes> {
    const fail = (code: Code, detail: string, seat?: number): 'failed' => {
      refuse(reply, code, detail, seat);
      return 'failed';
    };
    const identity = authenticate(request.headers.authorization ?? '');
    if (identity === null) return fail('unauthorized', 'Send a valid bearer token.');
    const { performanceId, seats: asked } = request.body as Body;
    const seat = asked[0];
    // Known ones are there at once: no turn of the loop is spent on waiting.
    const found = saleOf(performanceId);
    const sale = found instanceof Promise ? await found : found;
    if (sale === null) return fail('performance_not_found', 'No such performance.');
    if (seat > sale.seats) return fail('seat_not_found', 'No such seat.', seat);
    const { userId } = identity;
    const hold = { reservationId: newReservationId(), sale, seat, userId, expiresAtMs: Date.now() + sale.holdMs };
    const outcome = await way.hold(hold);
    if (outcome === 'held') sendHeld(reply, hold);
    else if (outcome === 'taken') refuse(reply, 'seat_taken', 'A seat is taken.', seat);
    else refuse(reply, 'overloaded', 'Too many requests are waiting; try again.');
    return outcome;
  }

  const schema = { body: bodySchema, response: { 201: heldSchema, '4xx': problemSchema, 503: problemSchema } };
  app.post('/v1/reservations', { schema }, async (request, reply) => {
    underWay++;
    let outcome: keyof typeof outcomes = 'failed';
    try {
      outcome = await answer(request, reply);
      return reply;
    } finally {
      underWay--;
      outcomes[outcome]++;
    }
  });
  app.get('/under-way', async (): Promise<Counts> => ({ underWay, outcomes }));
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    if (error.statusCode !== undefined && error.statusCode < 500) {
      // It did not come as far as the route.
      outcomes.failed++;
      return refuse(reply, 'validation_failed', error.message);
    }
    process.stderr.write(`${error.stack}\n`);
    return reply.code(500).send();
  });
  return app;
}
