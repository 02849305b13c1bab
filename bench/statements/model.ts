/**
 * The sale that the statements bench fills a database with: a year of it, made from numbers alone, the same every time.
 *
 * Shows go on sale one after the other, some performances of each at once. Every second reservation is given up, most by
 * their time; the one after it takes the same places and is paid. A tenth of all are of regulars. Balances are exact.
 */
import { EntryType } from '../../src/domain/account.ts';
import { ReservationStatus, SeatStatus } from '../../src/domain/reservation.ts';

export interface Shape {
  readonly reservations: number;
  readonly users: number;
  /** Users who have a tenth of all reservations among them. */
  readonly regulars: number;
  readonly events: number;
  readonly performances: number;
  /** Reservations of one performance; even. */
  readonly perPerformance: number;
  readonly seatsPerHall: number;
  /** Live ones whose time is not over, all of the performances on sale. */
  readonly held: number;
  readonly revokedTokens: number;
}

/** Performances of one event, on sale at once. */
export const performancesPerEvent = 50;
/** Of five performances four have seats, the fifth has places. */
const kinds = 5;
const yearMs = 365 * 24 * 3_600_000;
/** Seats and places that nobody wants. */
const seatsUnsold = 100;
const placesUnsold = 200;
/** What a user charges at a time; no reservation costs more. */
const topUp = 50_000;

/** The proportions for so many reservations. */
export function shapeFor(reservations: number): Shape {
  const perPerformance = 2 * Math.min(1000, Math.max(10, Math.ceil(reservations / 10_000)));
  const users = Math.max(100, Math.ceil(reservations / 10));
  const events = Math.ceil(reservations / perPerformance / performancesPerEvent);
  return {
    reservations,
    users,
    regulars: Math.ceil(users / 1000),
    events,
    performances: events * performancesPerEvent,
    perPerformance,
    seatsPerHall: perPerformance + seatsUnsold,
    held: Math.min(4000, Math.floor(reservations / 20)),
    revokedTokens: Math.max(100, Math.floor(users / 200)),
  };
}

/** Ids begin at 1, as MySQL gives them out. */
export function isSeated(performanceId: number): boolean {
  return (performanceId - 1) % kinds < kinds - 1;
}

export function priceOf(performanceId: number): number {
  return 1000 * (1 + (performanceId % 10));
}

/** Places of a performance without seats: every second reservation is live and takes four at most; some stay free. */
export function capacityOf(shape: Shape): number {
  return 2 * shape.perPerformance + placesUnsold;
}

export interface Sold {
  /** Its place in the order in which they were made, from 0. */
  readonly number: number;
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly performanceId: number;
  readonly userId: number;
  readonly status: number;
  readonly seats: readonly number[];
  /** The version the hold gave each of `seats`. */
  readonly versions: readonly number[];
  readonly partySize: number;
  readonly amount: number;
  readonly atMs: number;
  readonly isLive: boolean;
  readonly isPaid: boolean;
  readonly isRefunded: boolean;
}

export interface Entry {
  readonly type: EntryType;
  readonly amount: number;
  readonly balance: number;
  /** 32 hexadecimal digits. */
  readonly requestId: string;
  readonly atMs: number;
}

/** A number between 0 and 2^32 - 1 that looks drawn (the finisher of MurmurHash3). */
function mixed(number: number, salt: number): number {
  let state = (number ^ Math.imul(salt, 0x9e3779b9)) >>> 0;
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}

/** Four hexadecimal digits each: some numbers a row are faster looked up than made. */
const fourDigits = Array.from({ length: 0x10000 }, (_, number) => number.toString(16).padStart(4, '0'));

function eightDigits(number: number): string {
  return fourDigits[number >>> 16]! + fourDigits[number & 0xffff]!;
}

/** A UUIDv7 of a moment as 32 hexadecimal digits; the same number and salt give the same. */
function idAt(atMs: number, number: number, salt: number): string {
  const [a, b] = [mixed(number, salt), mixed(number, salt + 1)];
  const time = eightDigits(Math.floor(atMs / 0x10000)) + fourDigits[atMs % 0x10000]!;
  return `${time}7${eightDigits(a).slice(5)}8${eightDigits(b).slice(1)}${eightDigits(mixed(number, salt + 2))}`;
}

function statusOf(isLive: boolean, isHeld: boolean, fate: number): number {
  if (isLive) return isHeld ? ReservationStatus.HELD : ReservationStatus.CONFIRMED;
  return fate < 7 ? ReservationStatus.EXPIRED : ReservationStatus.CANCELLED;
}

/** Makes the reservations, oldest first, and keeps count of what they leave behind. */
export class Sale {
  readonly shape: Shape;
  /** Of performance p and seat s at `(p - 1) * seatsPerHall + s - 1`, as `seats` stores them. */
  readonly seatStatus: Uint8Array;
  readonly seatVersion: Uint8Array;
  /** By performance id - 1: places taken. */
  readonly placesTaken: Int32Array;
  /** By user id - 1. */
  readonly balances: Float64Array;
  readonly endMs: number;
  readonly #stepMs: number;

  constructor(shape: Shape, endMs: number) {
    this.shape = shape;
    this.seatStatus = new Uint8Array(shape.performances * shape.seatsPerHall);
    this.seatVersion = new Uint8Array(shape.performances * shape.seatsPerHall);
    this.placesTaken = new Int32Array(shape.performances);
    this.balances = new Float64Array(shape.users);
    this.endMs = endMs;
    this.#stepMs = Math.max(1, Math.floor(yearMs / shape.reservations));
  }

  /** When reservation `number` was made. */
  madeAtMs(number: number): number {
    return this.endMs - (this.shape.reservations - number) * this.#stepMs;
  }

  /** When the tickets of an event went on sale. */
  onSaleAtMs(eventId: number): number {
    return this.madeAtMs((eventId - 1) * performancesPerEvent * this.shape.perPerformance);
  }

  /** Reservation `number`. Ask for each once and in order: what comes before decides the versions of its seats. */
  sell(number: number): Sold {
    const { perPerformance, reservations, held } = this.shape;
    const perEvent = perPerformance * performancesPerEvent;
    const nth = number % perEvent;
    const performanceId = Math.floor(number / perEvent) * performancesPerEvent + (nth % performancesPerEvent) + 1;
    const turn = Math.floor(nth / performancesPerEvent);
    const isLive = turn % 2 === 1;
    const isHeld = isLive && number >= reservations - 2 * held;
    const fate = mixed(number, 1) % 10;
    const isRefunded = !isLive && fate === 9;
    const isPaid = isLive ? !isHeld : isRefunded;
    const places = 1 + (mixed(number, 2) % (isSeated(performanceId) ? 2 : 4));
    const seats: number[] = [];
    const versions: number[] = [];
    if (isSeated(performanceId)) {
      // Two seats a turn and the next one: the second gets what the first gave up.
      for (let seat = (turn >> 1) * 2 + 1; seats.length < places; seat++) seats.push(seat);
      for (const seat of seats) versions.push(this.#takeSeat(performanceId, seat, isLive, isPaid));
    } else if (isLive) this.placesTaken[performanceId - 1]! += places;
    const atMs = this.madeAtMs(number);
    return {
      number,
      id: idAt(atMs, number, 10),
      performanceId,
      userId: this.#userOf(number),
      status: statusOf(isLive, isHeld, fate),
      seats,
      versions,
      partySize: seats.length > 0 ? 0 : places,
      amount: places * priceOf(performanceId),
      atMs,
      isLive,
      isPaid,
      isRefunded,
    };
  }

  /** What it did to its user's balance, in order: a charge where there was too little, the payment, the refund. */
  entriesOf({ number, userId, amount, atMs, isPaid, isRefunded }: Sold): Entry[] {
    if (!isPaid) return [];
    const entries: Entry[] = [];
    const add = (type: EntryType, change: number, afterMs: number): void => {
      const balance = this.balances[userId - 1]! + change;
      this.balances[userId - 1] = balance;
      const requestId = idAt(atMs + afterMs, number, 20 + 10 * EntryType[type]);
      entries.push({ type, amount: change, balance, requestId, atMs: atMs + afterMs });
    };
    if (this.balances[userId - 1]! < amount) add('charge', topUp, 50_000);
    add('payment', -amount, 60_000);
    if (isRefunded) add('refund', amount, 120_000);
    return entries;
  }

  #userOf(number: number): number {
    const { users, regulars } = this.shape;
    return 1 + (mixed(number, 3) % (mixed(number, 4) % 10 === 0 ? regulars : users));
  }

  /** Returns the version the hold gives the seat. */
  #takeSeat(performanceId: number, seat: number, isLive: boolean, isPaid: boolean): number {
    const index = (performanceId - 1) * this.shape.seatsPerHall + seat - 1;
    const version = this.seatVersion[index]! + 1;
    // A payment is a change of its own, and so is giving the seat back.
    this.seatVersion[index] = version + (isPaid ? 1 : 0) + (isLive ? 0 : 1);
    if (isLive) this.seatStatus[index] = isPaid ? SeatStatus.OCCUPIED : SeatStatus.HELD;
    return version;
  }
}
