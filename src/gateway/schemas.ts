/** The shapes of requests: compiled once to validate, and the source of the served OpenAPI document. For answers: answers.ts. */
import Type, { type Static, type TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { keyPattern } from './idempotency.ts';

/** A schema, and by name what fits it: the document shows it, and a test sends it. */
export interface Described<Schema extends TSchema = TSchema> {
  readonly schema: Schema;
  readonly examples: Readonly<Record<string, Static<Schema>>>;
}

/** A schema and its compiled check. */
export interface Shape<Schema extends TSchema = TSchema> extends Described<Schema> {
  readonly validator: Validator<Record<never, never>, Schema>;
}

export function shape<Schema extends TSchema>(
  schema: Schema,
  examples: Described<Schema>['examples'] = {},
): Shape<Schema> {
  return { schema, examples, validator: Compile(schema) };
}

const seatsPerRequestMax = 100;
export const placesMax = 100_000;
const priceMax = 1_000_000_000;
const holdSecondsMax = 24 * 3600;

const id = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const places = Type.Integer({ minimum: 1, maximum: placesMax });
const time = Type.String({ format: 'date-time', maxLength: 40, description: 'ISO 8601 with its offset' });

export const holdBody = shape(
  Type.Object(
    {
      performanceId: id,
      seats: Type.Optional(
        Type.Array(id, {
          minItems: 1,
          maxItems: seatsPerRequestMax,
          description: 'of a seated performance, all or none',
        }),
      ),
      partySize: Type.Optional(
        Type.Integer({ minimum: 1, maximum: placesMax, description: 'of a capacity performance' }),
      ),
    },
    { description: 'either seats or partySize' },
  ),
  { seats: { performanceId: 42, seats: [1, 2] }, party: { performanceId: 42, partySize: 4 } },
);
export type HoldBody = Static<typeof holdBody.schema>;

export const eventBody = shape(
  Type.Object({
    name: Type.String({ minLength: 1, maxLength: 200 }),
    description: Type.Optional(Type.Union([Type.String({ maxLength: 2000 }), Type.Null()])),
    isDemo: Type.Optional(
      Type.Boolean({ default: false, description: 'made to try things on: its performances may be rehearsed' }),
    ),
  }),
  {
    event: { name: 'The Tempest', description: 'By the company of the house, with music.' },
    demo: { name: 'A demo', isDemo: true },
  },
);
export type EventBody = Static<typeof eventBody.schema>;

const seating = Type.Object(
  {
    kind: Type.Union([Type.Literal('seated'), Type.Literal('capacity')]),
    seats: Type.Optional(places),
    rows: Type.Optional(places),
    seatsPerRow: Type.Optional(places),
    capacity: Type.Optional(places),
    maxPartySize: Type.Optional(places),
  },
  { description: 'seated: seats, or rows and seatsPerRow; capacity: capacity and maxPartySize (10)' },
);

export const performanceBody = shape(
  Type.Object({
    startsAt: time,
    bookingOpensAt: Type.Optional(Type.Union([time, Type.Null()])),
    bookingClosesAt: Type.Optional(Type.Union([time, Type.Null()])),
    price: Type.Integer({ minimum: 0, maximum: priceMax, description: 'of a seat or place, in the minor unit' }),
    holdSeconds: Type.Optional(
      Type.Integer({ minimum: 1, maximum: holdSecondsMax, default: 300, description: 'how long a hold lasts' }),
    ),
    maxReservationsPerUser: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, default: 1, description: 'held and confirmed ones at once' }),
    ),
    seating,
  }),
  {
    seats: { startsAt: '2030-06-01T19:30:00Z', price: 4500, seating: { kind: 'seated', seats: 50 } },
    rows: {
      startsAt: '2030-06-01T19:30:00+02:00',
      bookingOpensAt: '2025-01-01T09:00:00Z',
      bookingClosesAt: null,
      price: 4500,
      holdSeconds: 600,
      maxReservationsPerUser: 2,
      seating: { kind: 'seated', rows: 20, seatsPerRow: 50 },
    },
    capacity: {
      startsAt: '2030-06-01T19:30:00Z',
      price: 1500,
      seating: { kind: 'capacity', capacity: 40, maxPartySize: 10 },
    },
  },
);
export type PerformanceBody = Static<typeof performanceBody.schema>;

const amountMax = 1_000_000_000;

/** An address as people have them: something, @, a domain; RFC 5321 allows 254 characters. ASCII alone is stored. */
const email = Type.String({ minLength: 3, maxLength: 254, pattern: '^[!-?A-~]+@[!-?A-~]+$', description: 'in ASCII' });
const password = Type.String({ minLength: 8, maxLength: 256 });

export const userBody = shape(
  Type.Object({
    email,
    password,
    name: Type.Optional(Type.Union([Type.String({ minLength: 1, maxLength: 100 }), Type.Null()])),
  }),
  { user: { email: 'ada@example.org', password: 'correct horse battery', name: 'Ada' } },
);
export type UserBody = Static<typeof userBody.schema>;

export const sessionBody = shape(
  Type.Object({ email: Type.String({ maxLength: 254 }), password: Type.String({ maxLength: 256 }) }),
  { user: { email: 'ada@example.org', password: 'correct horse battery' } },
);
export type SessionBody = Static<typeof sessionBody.schema>;

export const chargeBody = shape(
  Type.Object({ amount: Type.Integer({ minimum: 1, maximum: amountMax, description: 'in the minor unit' }) }),
  { charge: { amount: 20_000 } },
);
export type ChargeBody = Static<typeof chargeBody.schema>;

export const paymentBody = shape(Type.Object({}), { payment: {} });

export const rehearsalBody = shape(
  Type.Object({
    people: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 1000, default: 200, description: 'who come, all at once' }),
    ),
    places: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10, default: 1, description: 'what each of them asks for' }),
    ),
  }),
  { pairs: { people: 20, places: 2 } },
);
export type RehearsalBody = Static<typeof rehearsalBody.schema>;

const admitPerSecondMax = 100_000;
const maxActiveMax = 10_000_000;
const passSecondsMax = 24 * 3600;

export const roomBody = shape(
  Type.Object({
    mode: Type.Union([Type.Literal('on'), Type.Literal('off')]),
    admitPerSecond: Type.Number({
      minimum: 0,
      maximum: admitPerSecondMax,
      description: 'people a second; a fraction for less than one, 0 for a pause',
    }),
    maxActive: Type.Integer({ minimum: 1, maximum: maxActiveMax, description: 'passes out at once' }),
    passSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: passSecondsMax,
        default: 300,
        description: 'how long a pass that holds nothing is good for',
      }),
    ),
    opensAt: Type.Optional(Type.Union([time, Type.Null()])),
    drawBeforeOpen: Type.Optional(
      Type.Boolean({ default: false, description: 'shuffle all who join before opensAt at that moment' }),
    ),
  }),
  {
    on: { mode: 'on', admitPerSecond: 50, maxActive: 500, passSeconds: 300 },
    draw: { mode: 'on', admitPerSecond: 50, maxActive: 500, opensAt: '2030-05-01T09:00:00Z', drawBeforeOpen: true },
    off: { mode: 'off', admitPerSecond: 0, maxActive: 1 },
  },
);
export type RoomBody = Static<typeof roomBody.schema>;

const status = Type.Union(
  [Type.Literal('HELD'), Type.Literal('CONFIRMED'), Type.Literal('CANCELLED'), Type.Literal('EXPIRED')],
  { description: 'only those of this status', examples: ['HELD'] },
);

const limit = Type.Optional(
  Type.String({ pattern: '^([1-9]|[1-9][0-9]|100)$', description: '1 to 100, 20 by default', examples: ['20'] }),
);

/** Query strings are text: numbers are checked by pattern. */
export const historyQuery = shape(
  Type.Object({
    cursor: Type.Optional(
      Type.String({ pattern: '^[1-9][0-9]{0,14}$', description: '`next` of the page before', examples: ['100200'] }),
    ),
    limit,
  }),
);
export type HistoryQuery = Static<typeof historyQuery.schema>;

export const reservationsQuery = shape(
  Type.Object({
    status: Type.Optional(status),
    cursor: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: '`next` of the page before',
        examples: ['0190c7a5-3f60-7d3c-8a3e-6f1d2b9c4e57'],
      }),
    ),
    limit,
  }),
);
export type ReservationsQuery = Static<typeof reservationsQuery.schema>;

/** Headers that routes ask for, as the document describes them. */
export const requestHeaders = {
  'if-none-match': {
    name: 'If-None-Match',
    description: 'The `ETag` of what the client has: answered by 304 without a body where it still holds.',
    schema: Type.String(),
  },
  'queue-ticket': {
    name: 'Queue-Ticket',
    description: 'The `ticket` that joining gave.',
    schema: Type.String(),
  },
  'queue-pass': {
    name: 'Queue-Pass',
    description: 'The `pass` of who was admitted; needed while the waiting room of the performance is on.',
    schema: Type.String(),
  },
  'idempotency-key': {
    name: 'Idempotency-Key',
    description:
      'Names this request of the user: the same key and body gives the first answer again for 24 hours, with ' +
      '`Idempotency-Replayed: true`; with another body it is refused.',
    schema: Type.String({ minLength: 1, maxLength: 64, pattern: keyPattern.source }),
  },
} as const;
export type RequestHeader = keyof typeof requestHeaders;
