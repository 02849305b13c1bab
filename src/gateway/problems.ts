/** Problems for the served OpenAPI document: their schema, and an example of every code, made as the answers themselves are. */
import Type from 'typebox';
import { Code } from '../domain/codes.ts';
import type { Refusal } from '../domain/reservation.ts';
import { invalid } from './body.ts';
import { bodyValueOf, problem } from './reply.ts';

/** RFC 9457, with what belongs to a code beside it. */
export const problemSchema = Type.Object(
  {
    type: Type.String({ format: 'uri', description: 'names the code' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.Enum(Object.values(Code), { description: 'what programs decide by; never changes its meaning' }),
    detail: Type.String({ description: 'for people' }),
    seats: Type.Optional(
      Type.Array(Type.Integer({ minimum: 1 }), {
        description: '`seat_taken`, `seat_not_found`: the seats it is about',
      }),
    ),
    reservationId: Type.Optional(
      Type.String({ format: 'uuid', description: '`already_reserved`: the one that stands in the way' }),
    ),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          path: Type.String({ description: 'a JSON Pointer into the body, or the name of a parameter' }),
          message: Type.String(),
        }),
        { description: '`validation_failed`: where and why' },
      ),
    ),
  },
  { title: 'Problem', description: 'RFC 9457' },
);

const details: Readonly<Record<Code, Omit<Refusal, 'code'>>> = {
  validation_failed: invalid('/performanceId', 'must be integer'),
  unauthorized: { detail: 'Send a valid bearer token.' },
  insufficient_balance: { detail: 'The balance is smaller than the amount of 9000.' },
  forbidden: { detail: 'This needs the role admin.' },
  booking_not_open: { detail: 'Booking has not opened yet.' },
  booking_closed: { detail: 'Booking is closed.' },
  queue_pass_required: { detail: 'A queue pass is needed.' },
  queue_pass_invalid: { detail: 'The queue pass is not valid.' },
  performance_not_found: { detail: 'No such performance.' },
  event_not_found: { detail: 'No such event.' },
  seat_not_found: { detail: 'No such seat.', seats: [1001] },
  reservation_not_found: { detail: 'No such reservation.' },
  not_found: { detail: 'No such path.' },
  method_not_allowed: { detail: 'This path allows GET, HEAD.' },
  idempotency_key_reused: { detail: 'This Idempotency-Key was used with another body.' },
  seat_taken: { detail: 'A seat is taken.', seats: [2] },
  sold_out: { detail: 'Not enough places are left.' },
  already_reserved: {
    detail: 'This user has a reservation.',
    reservationId: '0190c7a5-3f60-7d3c-8a3e-6f1d2b9c4e57',
  },
  reservation_expired: { detail: 'The hold has expired.' },
  reservation_not_payable: { detail: 'The reservation was cancelled.' },
  email_taken: { detail: 'There is an account with this e-mail address.' },
  payload_too_large: { detail: 'The body may have 16384 bytes.' },
  unsupported_media_type: { detail: 'Send application/json or application/msgpack.' },
  rate_limited: { detail: 'Too many requests of this user; slow down.' },
  overloaded: { detail: 'Too many requests are waiting; try again.' },
  unavailable: { detail: 'A store does not answer; try again.' },
};

/** The body of an answer with this code. */
export function problemExample(code: Code): unknown {
  return bodyValueOf(problem({ ...details[code], code }));
}
