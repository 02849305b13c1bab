/**
 * The client of the contract, for browsers and Node 22: no dependency, nothing of Node's own.
 *
 *   const client = new FastpassClient({ baseUrl: location.origin });
 *   await client.logIn(email, password);
 *   const admitted = await waitForPass(client, performanceId, { onPosition, storage: localStorage });
 *   if (admitted.status === 'admitted') {
 *     const held = await client.reserve({ performanceId, seats: [1, 2] }, { pass: admitted.pass });
 *     if (held.ok) await client.pay(held.value.reservationId);
 *     else if (held.problem.code === 'seat_taken') offerOthers(held.problem.seats);
 *   }
 */
export {
  type CallOptions,
  type ClientOptions,
  type CreateOptions,
  FastpassClient,
  type HistoryOptions,
  type ReservationsOptions,
  type ReserveOptions,
  type SeatMapOptions,
} from './http.ts';
export type { TicketStorage } from './kept-ticket.ts';
export type { Connect, LinkOptions, LinkState, SocketEvent, SocketLike } from './link.ts';
export type { Unsubscribe } from './listeners.ts';
export { type WaitOptions, type WaitOutcome, waitForPass } from './queue.ts';
export type { SocketReserveOptions } from './reserves.ts';
export {
  type Code,
  type Failure,
  NetworkError,
  type NetworkErrorKind,
  type Problem,
  type Result,
  type Success,
} from './result.ts';
export {
  type AdmittedEvent,
  FastpassSocket,
  type PassExpiredEvent,
  type PositionEvent,
  type ReservationEvent,
  type SeatsEvent,
  type SocketErrorEvent,
  type SocketOptions,
} from './socket.ts';
export type { FetchInit, FetchLike, ResponseLike, RetryOptions } from './transport.ts';
export type * from './types.ts';
export { newKey } from './wait.ts';
