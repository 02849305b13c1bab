/**
 * The shapes of successful answers, each with examples, for the served OpenAPI document; the routes' views have their types
 * from here. A schema with a `title` stands in the document once, under that name. Of the waiting room: queue-answers.ts; of
 * errors: problems.ts.
 */
import Type, { type Static, type TSchema } from 'typebox';
import type { Described } from './schemas.ts';

/** A schema of answers with its examples. */
export function described<Schema extends TSchema>(
  schema: Schema,
  examples: Described<Schema>['examples'],
): Described<Schema> {
  return { schema, examples };
}

const id = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const uuid = Type.String({ format: 'uuid', description: 'a UUIDv7' });
const money = Type.Integer({ description: "in the currency's minor unit" });
const count = Type.Integer({ minimum: 0 });
const time = Type.String({ format: 'date-time' });
const timeOrNull = Type.Union([time, Type.Null()]);
const role = Type.Enum(['user', 'admin']);
const next = Type.Union([Type.String(), Type.Null()], {
  description: 'the `cursor` of the page after this one, null on the last',
});

const userId = 4711;
const performanceId = 42;
const eventId = 7;
const reservationId = '0190c7a5-3f60-7d3c-8a3e-6f1d2b9c4e57';
const paymentId = '0190c7a6-11d8-7c04-9b1f-0a4c3d2e5f68';
const startsAt = '2030-06-01T19:30:00.000Z';

// Accounts

export const user = described(
  Type.Object(
    { userId: id, email: Type.String(), name: Type.Union([Type.String(), Type.Null()]), role },
    { title: 'User' },
  ),
  { user: { userId, email: 'ada@example.org', name: 'Ada', role: 'user' } },
);

export const session = described(
  Type.Object(
    {
      accessToken: Type.String({ description: 'for `Authorization: Bearer`' }),
      expiresAt: time,
      userId: id,
      role,
    },
    { title: 'Session' },
  ),
  {
    session: {
      accessToken: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0NzExIiwicm9sZSI6InVzZXIifQ.dBjftJeZ4CVP5mB92K27uh',
      expiresAt: '2030-05-01T21:00:00.000Z',
      userId,
      role: 'user',
    },
  },
);

export const balance = described(Type.Object({ balance: money }, { title: 'Balance' }), {
  balance: { balance: 20_000 },
});

const balanceEntry = Type.Object(
  {
    id,
    type: Type.Enum(['charge', 'payment', 'refund']),
    amount: Type.Integer({ description: 'in the minor unit; below 0 where money goes' }),
    balance: Type.Integer({ description: 'after this entry' }),
    reservationId: Type.Optional(uuid),
    at: time,
  },
  { title: 'BalanceEntry' },
);
export type BalanceEntryView = Static<typeof balanceEntry>;

export const balanceHistory = described(
  Type.Object({ items: Type.Array(balanceEntry), next }, { title: 'BalanceHistory' }),
  {
    page: {
      items: [
        {
          id: 100_200,
          type: 'payment',
          amount: -9000,
          balance: 11_000,
          reservationId,
          at: '2030-05-01T09:02:10.123Z',
        },
        { id: 100_180, type: 'charge', amount: 20_000, balance: 20_000, at: '2030-05-01T09:00:00.456Z' },
      ],
      next: null,
    },
  },
);

// Catalogue

export const event = described(
  Type.Object(
    {
      eventId: id,
      name: Type.String(),
      description: Type.Union([Type.String(), Type.Null()]),
      isDemo: Type.Boolean({ description: 'made to try things on: its performances may be rehearsed' }),
      createdAt: time,
    },
    { title: 'Event' },
  ),
  { event: { eventId, name: 'The Tempest', description: null, isDemo: false, createdAt: '2030-01-01T12:00:00.000Z' } },
);
export type EventView = Static<typeof event.schema>;

export const eventList = described(Type.Object({ items: Type.Array(event.schema) }, { title: 'EventList' }), {
  events: { items: [event.examples['event']!] },
});

const seating = Type.Union(
  [
    Type.Object({ kind: Type.Literal('seated'), seats: count, rows: count, seatsPerRow: count }),
    Type.Object({ kind: Type.Literal('capacity'), capacity: count, maxPartySize: count }),
  ],
  { description: 'numbered seats in rows, or places for parties' },
);
export type SeatingView = Static<typeof seating>;

export const performance = described(
  Type.Object(
    {
      performanceId: id,
      eventId: id,
      startsAt: time,
      bookingOpensAt: timeOrNull,
      bookingClosesAt: timeOrNull,
      price: Type.Integer({ minimum: 0, description: 'of a seat or place, in the minor unit' }),
      holdSeconds: count,
      maxReservationsPerUser: count,
      seating,
      remaining: Type.Integer({ minimum: 0, description: 'seats or places that are available' }),
    },
    { title: 'Performance' },
  ),
  {
    seated: {
      performanceId,
      eventId,
      startsAt,
      bookingOpensAt: '2025-01-01T09:00:00.000Z',
      bookingClosesAt: null,
      price: 4500,
      holdSeconds: 300,
      maxReservationsPerUser: 1,
      seating: { kind: 'seated', seats: 1000, rows: 20, seatsPerRow: 50 },
      remaining: 998,
    },
    capacity: {
      performanceId: 43,
      eventId,
      startsAt,
      bookingOpensAt: null,
      bookingClosesAt: null,
      price: 1500,
      holdSeconds: 300,
      maxReservationsPerUser: 1,
      seating: { kind: 'capacity', capacity: 40, maxPartySize: 10 },
      remaining: 36,
    },
  },
);
export type PerformanceAnswer = Static<typeof performance.schema>;

export const performanceList = described(
  Type.Object({ items: Type.Array(performance.schema) }, { title: 'PerformanceList' }),
  { performances: { items: [performance.examples['seated']!, performance.examples['capacity']!] } },
);

const seatStatus = Type.Enum(['AVAILABLE', 'HELD', 'OCCUPIED']);
const seat = Type.Object(
  {
    seat: id,
    label: Type.String({ description: 'row and place in it' }),
    price: Type.Integer({ minimum: 0, description: 'in the minor unit' }),
    status: seatStatus,
  },
  { title: 'Seat' },
);

export const seatMap = described(
  Type.Object(
    {
      performanceId: id,
      seats: Type.Array(seat, { description: 'all of them by number; none where it has places instead' }),
    },
    { title: 'SeatMap' },
  ),
  {
    seats: {
      performanceId,
      seats: [
        { seat: 1, label: 'A-1', price: 4500, status: 'OCCUPIED' },
        { seat: 2, label: 'A-2', price: 4500, status: 'HELD' },
        { seat: 3, label: 'A-3', price: 4500, status: 'AVAILABLE' },
      ],
    },
  },
);

export const warmed = described(
  Type.Object(
    {
      performanceId: id,
      seats: Type.Integer({ minimum: 0, description: 'seats or places' }),
      warmed: Type.Boolean({ description: 'true when it had been cold' }),
    },
    { title: 'Warmed' },
  ),
  { warmed: { performanceId, seats: 1000, warmed: true } },
);

// Reservations

const placesTaken = {
  seats: Type.Optional(Type.Array(id, { description: 'of a seated performance' })),
  partySize: Type.Optional(Type.Integer({ minimum: 1, description: 'of a capacity performance' })),
};
const reservationFields = { reservationId: uuid, performanceId: id, userId: id };
const expiresAt = Type.String({ format: 'date-time', description: 'end of the hold' });

export const held = described(
  Type.Object(
    { ...reservationFields, status: Type.Literal('HELD'), ...placesTaken, amount: money, expiresAt },
    { title: 'Hold', description: 'with either seats or partySize' },
  ),
  {
    seats: {
      reservationId,
      performanceId,
      userId,
      status: 'HELD',
      seats: [1, 2],
      amount: 9000,
      expiresAt: '2030-05-01T09:06:40.000Z',
    },
    party: {
      reservationId,
      performanceId: 43,
      userId,
      status: 'HELD',
      partySize: 4,
      amount: 6000,
      expiresAt: '2030-05-01T09:06:40.000Z',
    },
  },
);

export const reservation = described(
  Type.Object(
    {
      ...reservationFields,
      status: Type.Enum(['HELD', 'CONFIRMED', 'CANCELLED', 'EXPIRED']),
      ...placesTaken,
      amount: money,
      createdAt: time,
      expiresAt,
    },
    { title: 'Reservation', description: 'with either seats or partySize' },
  ),
  {
    confirmed: {
      reservationId,
      performanceId,
      userId,
      status: 'CONFIRMED',
      seats: [1, 2],
      amount: 9000,
      createdAt: '2030-05-01T09:01:40.000Z',
      expiresAt: '2030-05-01T09:06:40.000Z',
    },
  },
);
export type ReservationView = Static<typeof reservation.schema>;

export const reservationPage = described(
  Type.Object({ items: Type.Array(reservation.schema), next }, { title: 'ReservationPage' }),
  { page: { items: [reservation.examples['confirmed']!], next: null } },
);

export const payment = described(
  Type.Object(
    {
      paymentId: uuid,
      reservationId: uuid,
      amount: money,
      balance: Type.Integer({ description: 'of the payer, after the payment' }),
      status: Type.Literal('PAID'),
    },
    { title: 'Payment' },
  ),
  { paid: { paymentId, reservationId, amount: 9000, balance: 11_000, status: 'PAID' } },
);

export const cancellation = described(
  Type.Object(
    {
      reservationId: uuid,
      status: Type.Literal('CANCELLED'),
      refunded: Type.Integer({ minimum: 0, description: 'to the balance; 0 for a hold' }),
    },
    { title: 'Cancellation' },
  ),
  { refunded: { reservationId, status: 'CANCELLED', refunded: 9000 } },
);
