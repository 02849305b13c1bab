/** Reservations: hold, read, list, cancel. */
import type { Payments } from '../accounts/payments.ts';
import type { HoldFlush } from '../batcher/flush.ts';
import { Code } from '../domain/codes.ts';
import { isReservationId, uuidTimeMs } from '../domain/ids.ts';
import type { Hold, Reservation } from '../domain/reservation.ts';
import { type Clock, sleep } from '../lib/clock.ts';
import type { Database } from '../persist/database.ts';
import { listReservations, readReservation } from '../persist/reservations.ts';
import type { QueueTokens } from '../waiting-room/tokens.ts';
import * as answers from './answers.ts';
import type { Identity } from './auth.ts';
import { invalid } from './body.ts';
import { type Answer, problem } from './reply.ts';
import type { Call, Route } from './route.ts';
import { type HoldBody, holdBody, paymentBody, type ReservationsQuery, reservationsQuery } from './schemas.ts';

export interface ReservationRoutesOptions {
  readonly clock: Clock;
  readonly flush: HoldFlush;
  readonly tokens: QueueTokens;
  readonly payments: Payments;
  readonly database: Database;
  readonly ack: 'persisted' | 'held';
  readonly requestDeadlineMs: number;
}

const limitDefault = 20;
/** `held`: an acknowledged reservation may be this far behind in MySQL before its absence is believed. */
const lagMsMax = 2000;
/** Waits between the looks: five look-ups at most for an id that nobody has. */
const lagPollsMs = [20, 80, 400, 1500];

const notFound: Answer = problem({ code: Code.reservationNotFound, detail: 'No such reservation.' });

const expired: Answer = problem({ code: Code.reservationExpired, detail: 'The hold has expired.' });
const notPayable: Answer = problem({ code: Code.reservationNotPayable, detail: 'The reservation was cancelled.' });

// The holds of one flush end at the same millisecond: the text is made once (0.4 us a hold saved).
let lastEndMs = 0;
let lastEndText = '';
function timeText(ms: number): string {
  if (ms !== lastEndMs) {
    lastEndMs = ms;
    lastEndText = new Date(ms).toISOString();
  }
  return lastEndText;
}

type Held = Pick<Hold, 'reservationId' | 'performanceId' | 'userId' | 'seats' | 'partySize' | 'amount' | 'expiresAtMs'>;

/** The 201 of a hold. The body is put together by hand: every value is a number, a UUID or a time of our own making. */
function heldAnswer(hold: Held): Answer {
  const { reservationId, performanceId, userId, seats, partySize, amount } = hold;
  const expiresAt = timeText(hold.expiresAtMs);
  const what = partySize === 0 ? `"seats":[${seats.join(',')}]` : `"partySize":${partySize}`;
  return {
    status: 201,
    headers: [['location', `/v1/reservations/${reservationId}`]],
    json: `{"reservationId":"${reservationId}","performanceId":${performanceId},"userId":${userId},"status":"HELD",${what},"amount":${amount},"expiresAt":"${expiresAt}"}`,
  };
}

function viewOf(reservation: Reservation): answers.ReservationView {
  const { reservationId, performanceId, userId, status, seats, partySize, amount } = reservation;
  return {
    reservationId,
    performanceId,
    userId,
    status,
    ...(partySize === 0 ? { seats: [...seats] } : { partySize }),
    amount,
    createdAt: new Date(reservation.createdAtMs).toISOString(),
    expiresAt: new Date(reservation.expiresAtMs).toISOString(),
  };
}

/** Why a hold body that fits its schema is no request all the same, or null. */
function faultOf({ seats, partySize }: HoldBody): Answer | null {
  if ((seats === undefined) === (partySize === undefined)) {
    return problem(invalid(seats === undefined ? '/seats' : '/partySize', 'send either seats or partySize'));
  }
  if (seats === undefined || seats.length === 1) return null;
  // Up to 100 seats: a pair of seats is compared without a Set.
  const isRepeated = seats.length === 2 ? seats[0] === seats[1] : new Set(seats).size !== seats.length;
  return isRepeated ? problem(invalid('/seats', 'must not have the same seat twice')) : null;
}

const noSeats: readonly number[] = [];

export function reservationRoutes(options: ReservationRoutesOptions): Route[] {
  const { clock, flush, tokens, payments, database, ack, requestDeadlineMs } = options;

  function submit(call: Call, onAnswer: (answer: Answer) => void): void {
    const body = call.body as HoldBody;
    const fault = faultOf(body);
    if (fault !== null) return onAnswer(fault);
    const { performanceId } = body;
    const { userId } = call.identity;
    const request = {
      reservationId: call.newId,
      performanceId,
      userId,
      seats: body.seats ?? noSeats,
      partySize: body.partySize ?? 0,
      isRepeat: call.isRepeat,
      pass: tokens.passNumber(call.headers[0] ?? '', performanceId, userId),
    };
    call.pending = flush.submit(request, clock.nowMs() + requestDeadlineMs, (outcome) => {
      flush.noteOutcome(outcome);
      onAnswer(outcome.kind === 'held' ? heldAnswer(outcome.hold) : problem(outcome.refusal));
    });
  }

  function hold(call: Call): Promise<Answer> {
    return call.isRepeat ? holdAgain(call) : new Promise((resolve) => submit(call, resolve));
  }

  /** An earlier try ended without knowing its outcome. MySQL may know it by now; where not, Redis decides by the same id. */
  async function holdAgain(call: Call): Promise<Answer> {
    const reservation = await readReservation(database, call.newId);
    if (reservation === null) return new Promise((resolve) => submit(call, resolve));
    // Paid meanwhile: the first answer again all the same.
    if (reservation.status === 'HELD' || reservation.status === 'CONFIRMED') return heldAnswer(reservation);
    return problem({
      code: Code.reservationExpired,
      detail: 'The reservation of an earlier try is not held any more.',
    });
  }

  /** The caller's own reservation, or null; `held`: waits for one that MySQL is about to have. */
  async function readOwn(identity: Identity, reservationId: string): Promise<Reservation | null> {
    const isAwaited = ack === 'held' && isReservationId(reservationId);
    const isFresh = isAwaited && Math.abs(Date.now() - uuidTimeMs(reservationId)) < lagMsMax;
    let reservation = await readReservation(database, reservationId);
    for (let i = 0; reservation === null && isFresh && i < lagPollsMs.length; i++) {
      await sleep(clock, lagPollsMs[i]!);
      reservation = await readReservation(database, reservationId);
    }
    if (reservation === null) return null;
    return reservation.userId === identity.userId || identity.role === 'admin' ? reservation : null;
  }

  async function read(call: Call): Promise<Answer> {
    const reservation = await readOwn(call.identity, call.params[0] as string);
    return reservation === null ? notFound : { status: 200, value: viewOf(reservation) };
  }

  async function list(call: Call): Promise<Answer> {
    const query = call.query as ReservationsQuery;
    const before = query.cursor ?? null;
    if (before !== null && !isReservationId(before)) return problem(invalid('/cursor', 'is not a cursor of this list'));
    const limit = query.limit === undefined ? limitDefault : Number(query.limit);
    const { userId } = call.identity;
    const items = await listReservations(database, { userId, status: query.status ?? null, before, limit: limit + 1 });
    const page = items.slice(0, limit);
    const next = items.length > limit ? (page.at(-1)?.reservationId ?? null) : null;
    return { status: 200, value: { items: page.map(viewOf), next } };
  }

  async function cancel(call: Call): Promise<Answer> {
    const reservationId = call.params[0] as string;
    const own = await readOwn(call.identity, reservationId);
    if (own === null) return notFound;
    const refunded = await payments.cancel(reservationId, own.userId);
    if (refunded !== null) return cancelled(reservationId, refunded);
    // Neither held nor confirmed any more: say what it is. A repeated cancellation is answered like the first.
    const reservation = await readReservation(database, reservationId);
    if (reservation?.status === 'CANCELLED') {
      return cancelled(reservationId, await payments.refunded(reservationId));
    }
    return expired;
  }

  /** Only its owner pays: not even an admin spends somebody else's money. */
  async function pay(call: Call): Promise<Answer> {
    const reservationId = call.params[0] as string;
    const { userId } = call.identity;
    const reservation = await readOwn(call.identity, reservationId);
    if (reservation === null || reservation.userId !== userId) return notFound;
    const result = await payments.pay(reservationId, userId);
    if (result.kind === 'paid') return { status: 201, value: { ...result.payment, status: 'PAID' } };
    if (result.kind === 'insufficient_balance') {
      const detail = `The balance is smaller than the amount of ${reservation.amount}.`;
      return problem({ code: Code.insufficientBalance, detail });
    }
    const now = await readReservation(database, reservationId);
    return now?.status === 'CANCELLED' ? notPayable : expired;
  }

  return [
    {
      method: 'post',
      path: '/v1/reservations',
      operationId: 'createReservation',
      tag: 'Reservations',
      summary: 'Hold seats, or places for a party',
      auth: 'user',
      body: holdBody,
      headers: ['queue-pass'],
      isCreating: true,
      success: [{ status: 201, description: 'Held until `expiresAt`', answer: answers.held, headers: ['Location'] }],
      codes: [
        Code.performanceNotFound,
        Code.seatNotFound,
        Code.seatTaken,
        Code.soldOut,
        Code.alreadyReserved,
        Code.bookingNotOpen,
        Code.bookingClosed,
        Code.queuePassRequired,
        Code.queuePassInvalid,
        Code.reservationExpired,
        Code.overloaded,
      ],
      handle: hold,
      submit,
    },
    {
      method: 'get',
      path: '/v1/reservations',
      operationId: 'listReservations',
      tag: 'Reservations',
      summary: "The caller's own reservations, newest first",
      auth: 'user',
      query: reservationsQuery,
      success: [{ status: 200, description: 'A page', answer: answers.reservationPage }],
      codes: [],
      handle: list,
    },
    {
      method: 'get',
      path: '/v1/reservations/{reservationId}',
      operationId: 'readReservation',
      tag: 'Reservations',
      summary: 'One reservation of the caller',
      auth: 'user',
      success: [{ status: 200, description: 'The reservation', answer: answers.reservation }],
      codes: [Code.reservationNotFound],
      handle: read,
    },
    {
      method: 'post',
      path: '/v1/reservations/{reservationId}/payments',
      operationId: 'payReservation',
      tag: 'Reservations',
      summary: 'Pay: the hold becomes a sale',
      auth: 'user',
      body: paymentBody,
      isCreating: true,
      success: [
        {
          status: 201,
          description: 'Paid; the reservation is confirmed, and a repeat gives the same answer',
          answer: answers.payment,
        },
      ],
      codes: [
        Code.reservationNotFound,
        Code.insufficientBalance,
        Code.reservationExpired,
        Code.reservationNotPayable,
        Code.overloaded,
      ],
      handle: pay,
    },
    {
      method: 'delete',
      path: '/v1/reservations/{reservationId}',
      operationId: 'cancelReservation',
      tag: 'Reservations',
      summary: 'Cancel: the seats are free at once, and what was paid is on the balance again',
      auth: 'user',
      success: [{ status: 200, description: 'Cancelled', answer: answers.cancellation }],
      codes: [Code.reservationNotFound, Code.reservationExpired, Code.overloaded],
      handle: cancel,
    },
  ];
}

function cancelled(reservationId: string, refunded: number): Answer {
  return { status: 200, value: { reservationId, status: 'CANCELLED', refunded } };
}
