/**
 * The one table from a business outcome to what each transport says: HTTP status, title, whether a client may try again,
 * and whether an idempotency key remembers it. Codes never change their meaning (API contract).
 */

/** Every code a client can meet; an `as const` object and a type of the same name. */
export const Code = {
  validationFailed: 'validation_failed',
  unauthorized: 'unauthorized',
  insufficientBalance: 'insufficient_balance',
  forbidden: 'forbidden',
  bookingNotOpen: 'booking_not_open',
  bookingClosed: 'booking_closed',
  queuePassRequired: 'queue_pass_required',
  queuePassInvalid: 'queue_pass_invalid',
  performanceNotFound: 'performance_not_found',
  eventNotFound: 'event_not_found',
  seatNotFound: 'seat_not_found',
  reservationNotFound: 'reservation_not_found',
  notFound: 'not_found',
  methodNotAllowed: 'method_not_allowed',
  idempotencyKeyReused: 'idempotency_key_reused',
  seatTaken: 'seat_taken',
  soldOut: 'sold_out',
  alreadyReserved: 'already_reserved',
  reservationExpired: 'reservation_expired',
  reservationNotPayable: 'reservation_not_payable',
  emailTaken: 'email_taken',
  payloadTooLarge: 'payload_too_large',
  unsupportedMediaType: 'unsupported_media_type',
  rateLimited: 'rate_limited',
  overloaded: 'overloaded',
  unavailable: 'unavailable',
} as const;
export type Code = (typeof Code)[keyof typeof Code];

/** What the transports say for a code. */
export interface CodeRow {
  readonly status: number;
  /** The status line as uWebSockets.js wants it. */
  readonly statusLine: string;
  readonly title: string;
  /** Seconds for `Retry-After`; 0 where a repeat is no use. */
  readonly retryAfterSeconds: number;
  /** True when the answer states a fact about the request, so that an Idempotency-Key gives it again for 24 h. */
  readonly remembered: boolean;
}

const reasons: Readonly<Record<number, string>> = {
  200: 'OK',
  201: 'Created',
  202: 'Accepted',
  204: 'No Content',
  304: 'Not Modified',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  429: 'Too Many Requests',
  503: 'Service Unavailable',
};

/** `201` -> `201 Created`. Throws on a status this project never answers: a slip of ours, not of a client. */
export function statusLine(status: number): string {
  const reason = reasons[status];
  if (reason === undefined) throw new RangeError(`no reason phrase for status ${status}`);
  return `${status} ${reason}`;
}

function row(status: number, title: string, remembered: boolean, retryAfterSeconds = 0): CodeRow {
  return { status, statusLine: statusLine(status), title, retryAfterSeconds, remembered };
}

/** The table. `remembered` is false for answers that another moment changes: busy seats, limits, faults. */
export const codeTable: Readonly<Record<Code, CodeRow>> = {
  validation_failed: row(400, 'The request is not valid', true),
  unauthorized: row(401, 'A valid bearer token is needed', false),
  insufficient_balance: row(402, 'The balance is too small', false),
  forbidden: row(403, 'Not allowed', true),
  booking_not_open: row(403, 'Booking has not opened yet', false),
  booking_closed: row(403, 'Booking is closed', true),
  queue_pass_required: row(403, 'A queue pass is needed', false),
  queue_pass_invalid: row(403, 'The queue pass is not valid', true),
  performance_not_found: row(404, 'No such performance', true),
  event_not_found: row(404, 'No such event', true),
  seat_not_found: row(404, 'No such seat', true),
  reservation_not_found: row(404, 'No such reservation', true),
  not_found: row(404, 'Not found', true),
  method_not_allowed: row(405, 'Method not allowed', true),
  idempotency_key_reused: row(422, 'The Idempotency-Key was used with another body', true),
  seat_taken: row(409, 'A seat is taken', false),
  sold_out: row(409, 'Sold out', false),
  already_reserved: row(409, 'The reservation limit of this user is reached', false),
  reservation_expired: row(409, 'The reservation has expired', true),
  reservation_not_payable: row(409, 'The reservation cannot be paid', true),
  email_taken: row(409, 'The e-mail address is taken', true),
  payload_too_large: row(413, 'The body is too large', true),
  unsupported_media_type: row(415, 'Unsupported media type', true),
  rate_limited: row(429, 'Too many requests', false, 1),
  overloaded: row(503, 'Too many requests are waiting', false, 1),
  unavailable: row(503, 'A store is unavailable', false, 1),
};

/** A small number for each code, from 1 on in the order of the table, for what counts them. */
export const codeIndexes = Object.fromEntries(Object.keys(codeTable).map((code, i) => [code, i + 1])) as Readonly<
  Record<Code, number>
>;
