/** Users, money and what other services are told. Money is in the minor unit, times are Unix milliseconds. */
import type { Release, Sale } from './reservation.ts';

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

/** What became of a payment in MySQL. */
export type PayResult =
  | { readonly kind: 'paid'; readonly payment: Payment; readonly sale: Sale }
  /** Paid by an earlier request: its answer again. */
  | { readonly kind: 'paid_before'; readonly payment: Payment }
  | { readonly kind: 'insufficient_balance' }
  /** Not held by this user, or not any more: read the reservation to see why. */
  | { readonly kind: 'not_held' };

/** A sale undone: what Redis must be told, and the money given back. */
export interface Refund {
  readonly release: Release;
  readonly amount: number;
}

/** What the outbox tells; in one reservation's order. */
/** What other services are told of. MySQL stores the numbers. */
export const outboxKinds = [
  'reservation.held',
  'reservation.confirmed',
  'reservation.cancelled',
  'reservation.expired',
  'payment.completed',
  'payment.refunded',
] as const;
export type OutboxKind = (typeof outboxKinds)[number];

export interface OutboxEvent {
  readonly kind: OutboxKind;
  readonly reservationId: string;
  readonly performanceId: number;
  readonly userId: number;
  /** Of payments. */
  readonly amount?: number;
}

/** What happened in one transaction. */
export interface OutboxRow {
  readonly id: number;
  /** A line an event: number of its kind, reservation, performance, user, and the amount of a payment, apart by a blank. */
  readonly lines: string;
}
