/** The shapes of what the waiting room answers, each with examples, for the served OpenAPI document. */
import Type, { type Static } from 'typebox';
import { described } from './answers.ts';

const count = Type.Integer({ minimum: 0 });
const time = Type.String({ format: 'date-time' });

export const room = described(
  Type.Object(
    {
      mode: Type.Enum(['on', 'off']),
      issued: Type.Integer({ minimum: 0, description: 'tickets given out' }),
      admitted: count,
      waiting: count,
      active: Type.Integer({ minimum: 0, description: 'passes out now' }),
      admitPerSecond: Type.Number({ minimum: 0 }),
      maxActive: count,
      passSeconds: count,
      opensAt: Type.Union([time, Type.Null()]),
      drawBeforeOpen: Type.Boolean(),
    },
    { title: 'Room' },
  ),
  {
    on: {
      mode: 'on',
      issued: 1200,
      admitted: 500,
      waiting: 690,
      active: 480,
      admitPerSecond: 50,
      maxActive: 500,
      passSeconds: 300,
      opensAt: null,
      drawBeforeOpen: false,
    },
  },
);
export type RoomView = Static<typeof room.schema>;

const ticket = Type.String({ description: 'for `Queue-Ticket` and `queue.watch`; keep it' });

const waiting = Type.Object(
  {
    status: Type.Literal('waiting'),
    ticket,
    number: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      description: 'the order of admission is the order of the numbers; null until the draw',
    }),
    position: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      description: '1 is the next one, and it never grows; null until the draw',
    }),
    etaSeconds: Type.Union([count, Type.Null()], { description: 'null until a rate is known' }),
    opensAt: Type.Optional(
      Type.String({ format: 'date-time', description: 'nobody is admitted before; gone once the room is open' }),
    ),
  },
  { title: 'TicketWaiting' },
);

const admitted = Type.Object(
  {
    status: Type.Literal('admitted'),
    ticket,
    number: Type.Integer({ minimum: 1 }),
    pass: Type.String({ description: 'for `Queue-Pass`' }),
    passExpiresAt: time,
  },
  { title: 'TicketAdmitted' },
);

const open = Type.Object(
  { status: Type.Literal('open', { description: 'the room is off: nobody needs a pass' }) },
  { title: 'TicketOpen' },
);

const over = Type.Object(
  { status: Type.Enum(['left', 'expired'], { description: 'the place is gone: join again' }) },
  { title: 'TicketOver' },
);

const ticketText = 'eyJhbGciOiJIUzI1NiJ9.eyJ0IjoidGlja2V0In0.k0xhJ9rVtGxg1Yb5mQ2nZw';
const passText = 'eyJhbGciOiJIUzI1NiJ9.eyJ0IjoicGFzcyJ9.Qm3zT7yU1oPs8dLxWc4vRA';
const waitingExamples = {
  waiting: { status: 'waiting', ticket: ticketText, number: 900, position: 212, etaSeconds: 5 },
  beforeDraw: {
    status: 'waiting',
    ticket: ticketText,
    number: null,
    position: null,
    etaSeconds: null,
    opensAt: '2030-05-01T09:00:00.000Z',
  },
} as const;
const admittedExample = {
  status: 'admitted',
  ticket: ticketText,
  number: 900,
  pass: passText,
  passExpiresAt: '2030-05-01T09:05:00.000Z',
} as const;
const openExample = { status: 'open' } as const;

/** Of a ticket that is new. */
export const ticketGiven = described(waiting, waitingExamples);

/** Of somebody who has joined before, or need not. */
export const ticketKnown = described(Type.Union([waiting, admitted, open]), {
  admitted: admittedExample,
  open: openExample,
  waiting: waitingExamples.waiting,
});

/** How a ticket stands. */
export const ticketNow = described(Type.Union([waiting, admitted, open, over]), {
  ...waitingExamples,
  admitted: admittedExample,
  open: openExample,
  left: { status: 'left' },
  expired: { status: 'expired' },
});
