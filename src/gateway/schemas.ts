/** The shapes of requests: compiled once to validate, and the source of the served OpenAPI document. */
import Type, { type Static, type TSchema } from 'typebox';
import { Compile, type Validator } from 'typebox/compile';

/** A schema and its compiled check. */
export interface Shape<Schema extends TSchema = TSchema> {
  readonly schema: Schema;
  readonly validator: Validator<Record<never, never>, Schema>;
}

export function shape<Schema extends TSchema>(schema: Schema): Shape<Schema> {
  return { schema, validator: Compile(schema) };
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
);
export type HoldBody = Static<typeof holdBody.schema>;

export const eventBody = shape(
  Type.Object({
    name: Type.String({ minLength: 1, maxLength: 200 }),
    description: Type.Optional(Type.Union([Type.String({ maxLength: 2000 }), Type.Null()])),
  }),
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
    price: Type.Integer({ minimum: 0, maximum: priceMax }),
    holdSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: holdSecondsMax, default: 300 })),
    maxReservationsPerUser: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 1 })),
    seating,
  }),
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
);
export type UserBody = Static<typeof userBody.schema>;

export const sessionBody = shape(
  Type.Object({ email: Type.String({ maxLength: 254 }), password: Type.String({ maxLength: 256 }) }),
);
export type SessionBody = Static<typeof sessionBody.schema>;

export const chargeBody = shape(Type.Object({ amount: Type.Integer({ minimum: 1, maximum: amountMax }) }));
export type ChargeBody = Static<typeof chargeBody.schema>;

export const paymentBody = shape(Type.Object({}));

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
    passSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: passSecondsMax, default: 300 })),
    opensAt: Type.Optional(Type.Union([time, Type.Null()])),
    drawBeforeOpen: Type.Optional(
      Type.Boolean({ default: false, description: 'shuffle all who join before opensAt at that moment' }),
    ),
  }),
);
export type RoomBody = Static<typeof roomBody.schema>;

const status = Type.Union([
  Type.Literal('HELD'),
  Type.Literal('CONFIRMED'),
  Type.Literal('CANCELLED'),
  Type.Literal('EXPIRED'),
]);

const limit = Type.Optional(
  Type.String({ pattern: '^([1-9]|[1-9][0-9]|100)$', description: '1 to 100, 20 by default' }),
);

/** Query strings are text: numbers are checked by pattern. */
export const historyQuery = shape(
  Type.Object({ cursor: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,14}$' })), limit }),
);
export type HistoryQuery = Static<typeof historyQuery.schema>;

export const reservationsQuery = shape(
  Type.Object({
    status: Type.Optional(status),
    cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    limit,
  }),
);
export type ReservationsQuery = Static<typeof reservationsQuery.schema>;
