/** Users, money and what other services are told. Money is in the minor unit, times are Unix milliseconds. */

export type Role = 'user' | 'admin';

export interface User {
  readonly userId: number;
  readonly email: string;
  readonly name: string | null;
  readonly role: Role;
}

/** The numbers are what MySQL stores. */
export const EntryType = { charge: 1, payment: 2, refund: 3 } as const;
export type EntryType = keyof typeof EntryType;

const entryTypes = Object.keys(EntryType) as EntryType[];

/** The name of a stored entry type. Throws RangeError on a number no migration knows. */
export function entryTypeName(stored: number): EntryType {
  const name = entryTypes[stored - 1];
  if (name === undefined) throw new RangeError(`unknown entry type ${stored}`);
  return name;
}

/** One change of a balance. */
export interface BalanceEntry {
  readonly id: number;
  readonly type: EntryType;
  /** Below 0 where money goes. */
  readonly amount: number;
  /** After this entry. */
  readonly balance: number;
  readonly reservationId: string | null;
  readonly atMs: number;
}

export interface Payment {
  readonly paymentId: string;
  readonly reservationId: string;
  readonly amount: number;
  /** Of the payer, after the payment. */
  readonly balance: number;
}

/** What the outbox tells; in one reservation's order. */
export type OutboxKind =
  | 'reservation.held'
  | 'reservation.confirmed'
  | 'reservation.cancelled'
  | 'reservation.expired'
  | 'payment.completed'
  | 'payment.refunded';

export interface OutboxEvent {
  readonly kind: OutboxKind;
  readonly reservationId: string;
  readonly performanceId: number;
  readonly userId: number;
  /** Of payments. */
  readonly amount?: number;
}
