/** The refusals that the queue itself gives, made once. */
import { Code } from '../domain/codes.ts';
import type { HoldOutcome } from '../domain/reservation.ts';

type Refused = Extract<HoldOutcome, { kind: 'refused' }>;

function refused(code: Code, detail: string): Refused {
  return { kind: 'refused', refusal: { code, detail } };
}

export const overloaded = refused(Code.overloaded, 'Too many requests are waiting; try again.');
export const performanceNotFound = refused(Code.performanceNotFound, 'No such performance.');
export const soldOut = refused(Code.soldOut, 'Not enough places are left.');
export const redisUnavailable = refused(Code.unavailable, 'The reservation store does not answer; try again.');
export const mysqlUnavailable = refused(Code.unavailable, 'The database does not answer; try again.');
export const over = refused(Code.reservationExpired, 'The reservation of an earlier try has expired or was cancelled.');
