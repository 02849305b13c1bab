/**
 * Payment and refund. The statement that confirms is the one that checks: it finds the reservation held, its time not over
 * by MySQL's clock, its owner the payer, or it changes nothing. Expiry and cancellation compare the status as well, so
 * one of them wins, whole.
 */
import type { Payment, PayResult, Refund } from '../domain/account.ts';
import { newReservationId, uuidFromBytes, uuidToBytes } from '../domain/ids.ts';
import { ReservationStatus } from '../domain/reservation.ts';
import { changeBalance } from './balances.ts';
import type { Database, Row, Statements, Transaction } from './database.ts';
import { writeOutbox } from './outbox.ts';
import { giveBackConfirmed } from './releases.ts';

const PaymentStatus = { PAID: 1, REFUNDED: 2 } as const;

function paymentOf(row: Row): Payment {
  return {
    paymentId: uuidFromBytes(row['id']),
    reservationId: uuidFromBytes(row['reservation_id']),
    amount: row['amount'],
    balance: row['balance'],
  };
}

/** The payment of a reservation that has not been refunded, or null. */
async function findPaid(statements: Statements, reservationId: string): Promise<Payment | null> {
  const rows = await statements.rows(
    'SELECT id, reservation_id, amount, balance FROM payments WHERE reservation_id = ? AND status = ?',
    [uuidToBytes(reservationId), PaymentStatus.PAID],
  );
  return rows[0] === undefined ? null : paymentOf(rows[0]);
}

/** Sells a held reservation to its owner, in one transaction, or changes nothing. */
export function pay(database: Database, reservationId: string, userId: number): Promise<PayResult> {
  return database.transaction(async (transaction) => {
    const id = uuidToBytes(reservationId);
    // By the primary key, as expiry and cancellation lock it: they wait for each other. MariaDB would begin with the index of
    // the user, which the others write after the row: a deadlock.
    const confirmed = await transaction.write(
      `UPDATE reservations FORCE INDEX (PRIMARY) SET status = ${ReservationStatus.CONFIRMED}
       WHERE id = ? AND user_id = ? AND status = ${ReservationStatus.HELD} AND hold_ends_at > NOW(3)`,
      [id, userId],
    );
    if (confirmed.affectedRows === 0) return readPaidBefore(transaction, reservationId, userId);
    const [row] = await transaction.rows('SELECT performance_id, amount FROM reservations WHERE id = ?', [id]);
    const performanceId: number = row!['performance_id'];
    const amount: number = row!['amount'];
    const paymentId = newReservationId();
    const change = { userId, type: 'payment', amount: -amount, reservationId, requestId: paymentId } as const;
    const balance = await changeBalance(transaction, change);
    if (balance === null) {
      transaction.isRollback = true;
      return { kind: 'insufficient_balance' };
    }
    await transaction.write(
      `INSERT INTO payments (id, reservation_id, performance_id, user_id, amount, balance, status, created_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, NOW(3))`,
      [uuidToBytes(paymentId), id, performanceId, userId, amount, balance, PaymentStatus.PAID],
    );
    const seatVersions = await occupy(transaction, id);
    const event = { reservationId, performanceId, userId };
    await writeOutbox(transaction, [
      { kind: 'reservation.confirmed', ...event },
      { kind: 'payment.completed', ...event, amount },
    ]);
    const payment = { paymentId, reservationId, amount, balance };
    return { kind: 'paid', payment, sale: { reservationId, performanceId, userId, seatVersions } };
  });
}

async function readPaidBefore(transaction: Transaction, reservationId: string, userId: number): Promise<PayResult> {
  const rows = await transaction.rows('SELECT user_id FROM reservations WHERE id = ?', [uuidToBytes(reservationId)]);
  if (rows[0]?.['user_id'] !== userId) return { kind: 'not_held' };
  const payment = await findPaid(transaction, reservationId);
  return payment === null ? { kind: 'not_held' } : { kind: 'paid_before', payment };
}

/** Makes the seats of a reservation occupied; returns seat and version, alternating. */
async function occupy(transaction: Transaction, id: Buffer): Promise<number[]> {
  await transaction.write(
    `UPDATE reservation_seats r STRAIGHT_JOIN seats s ON s.performance_id = r.performance_id AND s.seat = r.seat
     SET s.status = 2, s.version = s.version + 1
     WHERE r.reservation_id = ? AND r.live = 1`,
    [id],
  );
  const seats = await transaction.rows(
    `SELECT s.seat, s.version
     FROM reservation_seats r STRAIGHT_JOIN seats s ON s.performance_id = r.performance_id AND s.seat = r.seat
     WHERE r.reservation_id = ? AND r.live = 1 ORDER BY s.seat`,
    [id],
  );
  return seats.flatMap((row) => [row['seat'] as number, row['version'] as number]);
}

/** Cancels a confirmed reservation and gives its money and its seats back, in one transaction. Null: it is not confirmed. */
export function refund(database: Database, reservationId: string): Promise<Refund | null> {
  return database.transaction(async (transaction) => {
    const release = await giveBackConfirmed(transaction, reservationId);
    if (release === null) return null;
    const payment = await findPaid(transaction, reservationId);
    if (payment === null) throw new Error(`reservation ${reservationId} is confirmed without a payment`);
    const { performanceId, userId } = release;
    const { amount } = payment;
    const change = { userId, type: 'refund', amount, reservationId, requestId: newReservationId() } as const;
    if ((await changeBalance(transaction, change)) === null)
      throw new Error(`no room for the refund of ${reservationId}`);
    await transaction.write('UPDATE payments SET status = ? WHERE reservation_id = ?', [
      PaymentStatus.REFUNDED,
      uuidToBytes(reservationId),
    ]);
    await writeOutbox(transaction, [{ kind: 'payment.refunded', reservationId, performanceId, userId, amount }]);
    return { release, amount };
  });
}

/** What a cancelled reservation gave back: the amount of its refund, 0 where it was a hold. */
export async function readRefunded(statements: Statements, reservationId: string): Promise<number> {
  const rows = await statements.rows('SELECT amount FROM payments WHERE reservation_id = ? AND status = ?', [
    uuidToBytes(reservationId),
    PaymentStatus.REFUNDED,
  ]);
  return rows[0]?.['amount'] ?? 0;
}
