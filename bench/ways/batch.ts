/** What the two ways with a consumer share: a batch of holds in one transaction, and those who wait for a reply. */
import type { Pool, RowDataPacket } from 'mysql2/promise';
import { uuidToBytes } from '../../src/domain/ids.ts';
import type { Hold, Outcome, Sale } from './contract.ts';

/** Holds in one transaction at most. */
export const batchMax = 500;
const replyMsMax = 10_000;
const sweepMs = 1000;

/** The free ones of the seats that a batch asks for, their rows locked. */
async function lockFree(
  rows: (sql: string, values: unknown[]) => Promise<RowDataPacket[]>,
  holds: readonly Hold[],
): Promise<Set<string>> {
  const seatsOf = new Map<number, Set<number>>();
  for (const { sale, seat } of holds) {
    const seats = seatsOf.get(sale.performanceId);
    if (seats === undefined) seatsOf.set(sale.performanceId, new Set([seat]));
    else seats.add(seat);
  }
  const free = new Set<string>();
  for (const [performanceId, seats] of seatsOf) {
    const found = await rows(
      'SELECT seat FROM seats WHERE performance_id = ? AND seat IN (?) AND status = 0 FOR UPDATE',
      [performanceId, [...seats]],
    );
    for (const row of found) free.add(`${performanceId}:${row['seat']}`);
  }
  return free;
}

/**
 * Decides a batch in its order and stores what it holds, with one statement a table: the first one who asks for a free seat
 * has it. One outcome a hold, in order. Rejects when MySQL fails; then nothing is stored.
 */
export async function sellBatch(pool: Pool, holds: readonly Hold[]): Promise<Outcome[]> {
  const connection = await pool.getConnection();
  try {
    const free = await lockFree(
      async (sql, values) => (await connection.query<RowDataPacket[]>(sql, values))[0],
      holds,
    );
    const outcomes: Outcome[] = [];
    const reservations: unknown[][] = [];
    const seats: unknown[][] = [];
    const taken = new Map<number, number[]>();
    for (const { reservationId, sale, seat, userId, expiresAtMs } of holds) {
      const isFree = free.delete(`${sale.performanceId}:${seat}`);
      outcomes.push(isFree ? 'held' : 'taken');
      if (!isFree) continue;
      const id = uuidToBytes(reservationId);
      reservations.push([id, sale.performanceId, userId, 1, sale.price, expiresAtMs]);
      seats.push([id, seat, sale.performanceId]);
      taken.set(sale.performanceId, [...(taken.get(sale.performanceId) ?? []), seat]);
    }
    for (const [performanceId, numbers] of taken) {
      await connection.query(
        'UPDATE seats SET status = 1, version = version + 1 WHERE performance_id = ? AND seat IN (?)',
        [performanceId, numbers],
      );
    }
    if (seats.length > 0) {
      await connection.query(
        'INSERT INTO reservations (id, performance_id, user_id, status, amount, expires_at_ms) VALUES ?',
        [reservations],
      );
      await connection.query('INSERT INTO reservation_seats (reservation_id, seat, performance_id) VALUES ?', [seats]);
    }
    await connection.commit();
    return outcomes;
  } catch (thrown) {
    await connection.rollback().catch(() => connection.destroy());
    throw thrown;
  } finally {
    connection.release();
  }
}

/** A hold as text for a queue, and back: the consumer may stand in another process. */
export const textOf = (hold: Hold): string => JSON.stringify(hold);

/** Throws for a text that this project did not write. */
export function holdOf(text: string): Hold {
  const hold = JSON.parse(text) as Partial<Hold> | null;
  if (typeof hold?.reservationId !== 'string') throw new Error(`not a hold: ${text}`);
  return { ...hold, sale: hold.sale as Sale } as Hold;
}

/** Requests that wait for the consumer's reply, by reservation. */
export class Waiting {
  readonly #settlers = new Map<string, { readonly sinceMs: number; settle(outcome: Outcome): void }>();

  constructor() {
    setInterval(() => this.#sweep(), sweepMs).unref();
  }

  /** Resolves with the reply; `busy` when there is none in ten seconds. */
  reply(reservationId: string): Promise<Outcome> {
    return new Promise((settle) => this.#settlers.set(reservationId, { sinceMs: performance.now(), settle }));
  }

  /** A reply came in; one that comes too late is dropped. */
  settle(reservationId: string, outcome: Outcome): void {
    this.#settlers.get(reservationId)?.settle(outcome);
    this.#settlers.delete(reservationId);
  }

  /** Oldest first: one timer for all of them, none a request. */
  #sweep(): void {
    const nowMs = performance.now();
    for (const [reservationId, { sinceMs }] of this.#settlers) {
      if (nowMs - sinceMs < replyMsMax) return;
      this.settle(reservationId, 'busy');
    }
  }
}
