/** What the two ways with a consumer share: a batch of holds in one transaction, and those who wait for a reply. */
import type { Pool, PoolConnection, RowDataPacket } from 'mysql2/promise';
import type { Hold, Outcome, Sale } from './contract.ts';
import { commitWith, inTransaction, reservationTexts, takeText } from './database.ts';

/** Holds in one transaction at most. */
export const batchMax = 500;
/** Batches under way at a time, as many as the gateway has: one is decided while the other one commits. */
export const batchesMax = 2;
const replyMsMax = 10_000;
const sweepMs = 1000;

/** The seats of a batch by performance, in order of the performances: two batches lock them in the same one. */
function byPerformance(holds: readonly Hold[]): [performanceId: number, seats: number[]][] {
  const seatsOf = new Map<number, Set<number>>();
  for (const { sale, seat } of holds) {
    const seats = seatsOf.get(sale.performanceId);
    if (seats === undefined) seatsOf.set(sale.performanceId, new Set([seat]));
    else seats.add(seat);
  }
  return [...seatsOf].sort(([a], [b]) => a - b).map(([performanceId, seats]) => [performanceId, [...seats]]);
}

/** The free ones of the seats that a batch asks for, `performance:seat`, their rows locked. */
async function lockFree(connection: PoolConnection, holds: readonly Hold[]): Promise<Set<string>> {
  const free = new Set<string>();
  for (const [performanceId, seats] of byPerformance(holds)) {
    const [found] = await connection.query<RowDataPacket[]>(
      'SELECT seat FROM seats WHERE performance_id = ? AND seat IN (?) AND status = 0 FOR UPDATE',
      [performanceId, seats],
    );
    for (const row of found) free.add(`${performanceId}:${row['seat']}`);
  }
  return free;
}

/**
 * Decides a batch in its order and stores what it holds, with one statement a table: the first one who asks for a free seat
 * has it. One outcome a hold, in order. Rejects when MySQL fails; then nothing is stored.
 */
export function sellBatch(pool: Pool, holds: readonly Hold[]): Promise<Outcome[]> {
  return inTransaction(pool, async (connection) => {
    const free = await lockFree(connection, holds);
    const isHeld = holds.map(({ sale, seat }) => free.delete(`${sale.performanceId}:${seat}`));
    const held = holds.filter((_, i) => isHeld[i]);
    if (held.length === 0) await connection.rollback();
    else {
      const takeTexts = byPerformance(held).map(([performanceId, seats]) => takeText(performanceId, seats));
      await commitWith(connection, [...takeTexts, ...reservationTexts(held)]);
    }
    return isHeld.map((is) => (is ? 'held' : 'taken'));
  });
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
