/**
 * MySQL as the gateway knows it, in memory, for the seeded simulation: the ledgers of src/persist over MemoryMysql. Each
 * method does all it does at once, before its promise is returned. No fault happens here: they are put around it.
 */
import type { EntryType, Payment, PayResult, Refund } from '../../src/domain/account.ts';
import { type Hold, type Release, ReservationStatus, SeatStatus } from '../../src/domain/reservation.ts';
import type { Ledger, MoneyLedger, PersistResult, RoomLedger } from '../../src/domain/stores.ts';
import type { Draw } from '../../src/domain/waiting-room.ts';
import { balanceMax } from '../../src/persist/balances.ts';
import type { OnExpired } from '../../src/persist/holds.ts';
import type { Changes, MemoryMysql, StoredPayment, StoredReservation } from './memory-mysql.ts';

export { MemoryMysql } from './memory-mysql.ts';

const seedLengthMax = 64;

function byId(a: StoredReservation, b: StoredReservation): number {
  return a.reservationId < b.reservationId ? -1 : 1;
}

/** Raises the version of a seat with its new status; returns the version. The seat must exist. */
function changeSeat(mysql: MemoryMysql, changes: Changes, performanceId: number, seat: number, status: number): number {
  const version = mysql.seat(performanceId, seat)!.version + 1;
  changes.put(mysql.performances.get(performanceId)!.seats, seat, { status, version });
  return version;
}

/** Frees the seats and places of reservations and gives them their last status. */
function giveBack(
  mysql: MemoryMysql,
  changes: Changes,
  reservations: readonly StoredReservation[],
  status: number,
): Release[] {
  return [...reservations].sort(byId).map((reservation) => {
    const { reservationId, performanceId, userId, seats, partySize } = reservation;
    const stored = mysql.performances.get(performanceId);
    const seatVersions: number[] = [];
    changes.set(reservation, 'status', status);
    if (stored !== undefined) {
      changes.remove(stored.live, reservationId);
      if (partySize > 0) changes.set(stored, 'remaining', stored.remaining + partySize);
      for (const seat of seats) {
        changes.remove(stored.ownerOf, seat);
        seatVersions.push(seat, changeSeat(mysql, changes, performanceId, seat, SeatStatus.AVAILABLE));
      }
    }
    return { reservationId, performanceId, userId, endsPass: status === ReservationStatus.CANCELLED, seatVersions };
  });
}

/** As in src/persist/holds.ts: a party whose time was over before MySQL heard of it. */
function isOver({ partySize, holdMs }: Hold): boolean {
  return partySize > 0 && holdMs <= 0;
}

/** Stores one hold; null when a guard refuses it. */
function store(mysql: MemoryMysql, changes: Changes, hold: Hold): StoredReservation | null {
  const { reservationId, performanceId, userId, partySize, amount, holdMs, expiresAtMs } = hold;
  for (const number of [performanceId, userId, partySize, amount, holdMs, ...hold.seats, ...hold.versions]) {
    if (!Number.isSafeInteger(number)) throw new RangeError('not an integer');
  }
  if (mysql.reservations.has(reservationId)) return null;
  const stored = mysql.performances.get(performanceId);
  for (let i = 0; i < hold.seats.length; i++) {
    const seat = hold.seats[i]!;
    if (stored === undefined || stored.ownerOf.has(seat)) return null;
    if (mysql.seat(performanceId, seat)?.version !== hold.versions[i]! - 1) return null;
    changes.put(stored.ownerOf, seat, reservationId);
    changeSeat(mysql, changes, performanceId, seat, SeatStatus.HELD);
  }
  if (partySize > 0 && !isOver(hold)) {
    if (stored === undefined || stored.remaining < partySize) return null;
    changes.set(stored, 'remaining', stored.remaining - partySize);
  }
  const seats = hold.seats.toSorted((a, b) => a - b);
  const holdEndsAtMs = mysql.nowMs() + holdMs;
  const kept = { reservationId, performanceId, userId, seats, partySize, amount, expiresAtMs, holdEndsAtMs };
  const reservation = { ...kept, status: isOver(hold) ? ReservationStatus.EXPIRED : ReservationStatus.HELD };
  changes.put(mysql.reservations, reservationId, reservation);
  if (stored !== undefined && !isOver(hold)) changes.put(stored.live, reservationId, reservation);
  return reservation;
}

/** Stores all holds, or none of them: null when a guard refused one. Returns the reservations they superseded. */
function storeAll(mysql: MemoryMysql, holds: readonly Hold[]): Release[] | null {
  const fresh: StoredReservation[] = [];
  const expired = mysql.transaction((changes) => {
    const superseded = [...new Set(holds.flatMap((hold) => hold.supersedes))]
      .map((id) => mysql.reservations.get(id))
      .filter((reservation) => reservation?.status === ReservationStatus.HELD) as StoredReservation[];
    const releases = giveBack(mysql, changes, superseded, ReservationStatus.EXPIRED);
    for (const hold of holds) {
      const reservation = store(mysql, changes, hold);
      if (reservation === null) return null;
      fresh.push(reservation);
    }
    return releases;
  });
  if (expired === null) return null;
  for (const reservation of fresh) if (isLive(reservation)) mysql.noteDue(reservation);
  return expired;
}

/** Where a batch must be cut: before the first hold that supersedes one of the same batch. 0: nowhere. */
function cutOf(holds: readonly Hold[]): number {
  const earlier = new Set<string>();
  for (let i = 0; i < holds.length; i++) {
    if (holds[i]!.supersedes.some((id) => earlier.has(id))) return i;
    earlier.add(holds[i]!.reservationId);
  }
  return 0;
}

function isLive({ status }: StoredReservation): boolean {
  return status === ReservationStatus.HELD || status === ReservationStatus.CONFIRMED;
}

export class MemoryLedger implements Ledger {
  /** What this process believes of the server; set it. */
  isUp = true;
  readonly #mysql: MemoryMysql;
  readonly #onExpired: OnExpired;

  /** `onExpired` is told of every reservation that this ledger has expired: by its time, or by a hold that took over. */
  constructor(mysql: MemoryMysql, onExpired: OnExpired = () => {}) {
    this.#mysql = mysql;
    this.#onExpired = onExpired;
  }

  isAvailable(): boolean {
    return this.isUp;
  }

  async persistHolds(holds: readonly Hold[]): Promise<PersistResult[]> {
    return this.#persist(holds);
  }

  async expireDue(countMax: number): Promise<Release[]> {
    const releases = this.#mysql.transaction((changes) => {
      return giveBack(this.#mysql, changes, this.#mysql.takeDue(countMax), ReservationStatus.EXPIRED);
    });
    if (releases === null) return [];
    if (releases.length > 0) this.#onExpired(releases);
    return releases;
  }

  #persist(holds: readonly Hold[]): PersistResult[] {
    if (holds.length === 0) return [];
    const cut = cutOf(holds);
    if (cut > 0) return this.#persistInTwo(holds, cut);
    const expired = storeAll(this.#mysql, holds);
    if (expired !== null) {
      if (expired.length > 0) this.#onExpired(expired);
      return holds.map((hold) => (isOver(hold) ? 'over' : 'persisted'));
    }
    const storedOf = new Map<string, StoredReservation>();
    for (const { reservationId } of holds) {
      const stored = this.#mysql.reservations.get(reservationId);
      if (stored !== undefined) storedOf.set(reservationId, { ...stored });
    }
    if (storedOf.size === 0) {
      return holds.length === 1 ? ['conflict'] : this.#persistInTwo(holds, Math.ceil(holds.length / 2));
    }
    const open = holds.filter((hold) => !storedOf.has(hold.reservationId));
    const results = this.#persist(open);
    const resultOf = new Map(open.map((hold, i) => [hold.reservationId, results[i]!]));
    return holds.map(({ reservationId }) => {
      return resultOf.get(reservationId) ?? (isLive(storedOf.get(reservationId)!) ? 'persisted' : 'over');
    });
  }

  #persistInTwo(holds: readonly Hold[], cut: number): PersistResult[] {
    const first = this.#persist(holds.slice(0, cut));
    return [...first, ...this.#persist(holds.slice(cut))];
  }
}

interface Change {
  readonly userId: number;
  readonly type: EntryType;
  readonly amount: number;
  readonly reservationId: string | null;
  readonly requestId: string;
}

/** Changes a balance and writes the entry. The balance after it; null when there is too little, or it would be too much. */
function changeBalance(mysql: MemoryMysql, changes: Changes, change: Change): number | null {
  const { userId, type, amount, reservationId, requestId } = change;
  const account = mysql.accounts.get(userId) ?? { balance: 0, entries: [] };
  const balance = account.balance + amount;
  if (balance < 0 || balance > (type === 'charge' ? balanceMax : Number.MAX_SAFE_INTEGER)) return null;
  changes.put(mysql.accounts, userId, account);
  changes.set(account, 'balance', balance);
  changes.append(account.entries, { type, amount, balance, reservationId });
  changes.put(mysql.requests, requestId, balance);
  return balance;
}

function paymentOf({ paymentId, reservationId, amount, balance }: StoredPayment): Payment {
  return { paymentId, reservationId, amount, balance };
}

export class MemoryMoney implements MoneyLedger {
  readonly #mysql: MemoryMysql;

  constructor(mysql: MemoryMysql) {
    this.#mysql = mysql;
  }

  async pay(reservationId: string, userId: number): Promise<PayResult> {
    const mysql = this.#mysql;
    const reservation = mysql.reservations.get(reservationId);
    if (reservation?.userId !== userId) return { kind: 'not_held' };
    if (reservation.status !== ReservationStatus.HELD || reservation.holdEndsAtMs <= mysql.nowMs()) {
      const payment = mysql.payments.get(reservationId);
      if (payment === undefined || payment.isRefunded) return { kind: 'not_held' };
      return { kind: 'paid_before', payment: paymentOf(payment) };
    }
    const paid = mysql.transaction((changes) => this.#sell(changes, reservation));
    return paid ?? { kind: 'insufficient_balance' };
  }

  async charge(userId: number, amount: number, requestId: string): Promise<number | null> {
    const mysql = this.#mysql;
    const first = mysql.requests.get(requestId);
    if (first !== undefined) return first;
    const change = { userId, type: 'charge', amount, reservationId: null, requestId } as const;
    return mysql.transaction((changes) => changeBalance(mysql, changes, change));
  }

  async cancelHeld(reservationId: string): Promise<Release | null> {
    const mysql = this.#mysql;
    const reservation = mysql.reservations.get(reservationId);
    if (reservation?.status !== ReservationStatus.HELD || reservation.holdEndsAtMs <= mysql.nowMs()) return null;
    return mysql.transaction((changes) => {
      return giveBack(mysql, changes, [reservation], ReservationStatus.CANCELLED)[0]!;
    });
  }

  async refund(reservationId: string): Promise<Refund | null> {
    const mysql = this.#mysql;
    const reservation = mysql.reservations.get(reservationId);
    if (reservation?.status !== ReservationStatus.CONFIRMED) return null;
    const payment = mysql.payments.get(reservationId);
    if (payment === undefined) throw new Error(`reservation ${reservationId} is confirmed without a payment`);
    return mysql.transaction((changes) => {
      const { userId } = reservation;
      const { amount } = payment;
      const release = giveBack(mysql, changes, [reservation], ReservationStatus.CANCELLED)[0]!;
      const change = { userId, type: 'refund', amount, reservationId, requestId: mysql.newId() } as const;
      if (changeBalance(mysql, changes, change) === null) throw new Error(`no room for the refund of ${reservationId}`);
      changes.set(payment, 'isRefunded', true);
      return { release, amount };
    });
  }

  async readRefunded(reservationId: string): Promise<number> {
    const payment = this.#mysql.payments.get(reservationId);
    return payment?.isRefunded === true ? payment.amount : 0;
  }

  /** Sells a reservation that is held, to its owner; null where the money is short. */
  #sell(changes: Changes, reservation: StoredReservation): PayResult | null {
    const mysql = this.#mysql;
    const { reservationId, performanceId, userId, amount, seats } = reservation;
    const paymentId = mysql.newId();
    // Not `-amount`, which is -0 for what costs nothing.
    const change = { userId, type: 'payment', amount: 0 - amount, reservationId, requestId: paymentId } as const;
    const balance = changeBalance(mysql, changes, change);
    if (balance === null) return null;
    const payment = { paymentId, reservationId, userId, amount, balance, isRefunded: false };
    changes.set(reservation, 'status', ReservationStatus.CONFIRMED);
    changes.put(mysql.payments, reservationId, payment);
    const seatVersions = seats.flatMap((seat) => {
      return [seat, changeSeat(mysql, changes, performanceId, seat, SeatStatus.OCCUPIED)];
    });
    const sale = { reservationId, performanceId, userId, seatVersions };
    return { kind: 'paid', payment: paymentOf(payment), sale };
  }
}

export class MemoryRoomLedger implements RoomLedger {
  readonly #mysql: MemoryMysql;

  constructor(mysql: MemoryMysql) {
    this.#mysql = mysql;
  }

  async writeIssued(performanceId: number, issued: number): Promise<void> {
    const room = this.#mysql.rooms.get(performanceId);
    if (room !== undefined && room.issued < issued) this.#mysql.rooms.set(performanceId, { ...room, issued });
  }

  async writeDraw(draw: Draw): Promise<Draw> {
    if (draw.seed.length > seedLengthMax) throw new Error('a seed is too long');
    const draws = this.#mysql.draws.get(draw.performanceId) ?? [];
    const stored = draws.find((each) => each.firstArrival === draw.firstArrival);
    if (stored !== undefined) return stored;
    const sorted = [...draws, draw].sort((a, b) => a.firstArrival - b.firstArrival);
    this.#mysql.draws.set(draw.performanceId, sorted);
    return draw;
  }

  async readDraws(performanceId: number): Promise<Draw[]> {
    return [...(this.#mysql.draws.get(performanceId) ?? [])];
  }
}
