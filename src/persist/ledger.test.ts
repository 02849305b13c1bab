import { inject } from 'vitest';
import { ledgerContract } from '../../test/ledger.contract.ts';
import { uuidToBytes } from '../domain/ids.ts';
import { silentLog } from '../logger.ts';
import { Database } from './database.ts';
import { MysqlLedger } from './ledger.ts';
import { migrate } from './migrate.ts';
import { insertPerformance, readSnapshot } from './performances.ts';
import { cancelHeld } from './releases.ts';
import { readReservation } from './reservations.ts';

ledgerContract('MySQL', async () => {
  const url = inject('mysqlUrl');
  await migrate(url);
  const database = new Database(url, silentLog);
  const made: number[] = [];
  return {
    ledger: new MysqlLedger(database),
    async create(seating) {
      const id = await insertPerformance(database, {
        eventId: 4e12,
        startsAtMs: Date.UTC(2000, 0, 1),
        bookingOpensAtMs: null,
        bookingClosesAtMs: null,
        price: 100,
        holdSeconds: 300,
        maxReservationsPerUser: 1,
        seating,
      });
      made.push(id);
      return id;
    },
    async seats(performanceId) {
      const snapshot = await readSnapshot(database, performanceId);
      const { seats, ownerOf } = snapshot!;
      return seats.map((seat) => ({ ...seat, reservationId: ownerOf.get(seat.seat) ?? null }));
    },
    async remaining(performanceId) {
      const [row] = await database.rows('SELECT remaining FROM performances WHERE id = ?', [performanceId]);
      return row!['remaining'];
    },
    status: async (reservationId) => (await readReservation(database, reservationId))?.status ?? null,
    async lapse(reservationId, agoMs = 1000) {
      await database.write('UPDATE reservations SET hold_ends_at = NOW(3) - INTERVAL ? MICROSECOND WHERE id = ?', [
        agoMs * 1000,
        uuidToBytes(reservationId),
      ]);
    },
    async confirm(reservationId) {
      const id = uuidToBytes(reservationId);
      await database.transaction(async (transaction) => {
        await transaction.write('UPDATE reservations SET status = 2 WHERE id = ? AND status = 1', [id]);
        await transaction.write(
          `UPDATE reservation_seats r STRAIGHT_JOIN seats s ON s.performance_id = r.performance_id AND s.seat = r.seat
           SET s.status = 2, s.version = s.version + 1 WHERE r.reservation_id = ? AND r.live = 1`,
          [id],
        );
      });
    },
    cancel: (reservationId) => cancelHeld(database, reservationId),
    async close() {
      for (const table of ['seats', 'reservation_seats', 'reservations']) {
        await database.write(`DELETE FROM ${table} WHERE performance_id IN (?)`, [made]);
      }
      await database.write('DELETE FROM performances WHERE id IN (?)', [made]);
      await database.close();
    },
  };
});
