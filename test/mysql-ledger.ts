import { entryTypeName } from '../src/domain/account.ts';
import { uuidFromBytes, uuidToBytes } from '../src/domain/ids.ts';
import { silentLog } from '../src/logger.ts';
import { readBalance } from '../src/persist/balances.ts';
import { Database } from '../src/persist/database.ts';
import type { OnExpired } from '../src/persist/holds.ts';
import { MysqlLedger } from '../src/persist/ledger.ts';
import { migrate } from '../src/persist/migrate.ts';
import { MysqlMoney } from '../src/persist/money.ts';
import { insertPerformance, readSnapshot } from '../src/persist/performances.ts';
import { readReservation } from '../src/persist/reservations.ts';
import { MysqlRoomLedger } from '../src/persist/room-ledger.ts';
import { writeRoom } from '../src/persist/rooms.ts';
import type { LedgerUnderTest } from './ledger.contract.ts';
import type { MoneyUnderTest } from './money-ledger.contract.ts';
import { createOwnDatabase } from './own-database.ts';
import type { RoomLedgerUnderTest } from './room-ledger.contract.ts';

export interface MysqlUnderTest extends LedgerUnderTest, MoneyUnderTest, RoomLedgerUnderTest {
  readonly database: Database;
}

export interface MysqlOptions {
  readonly connectionsMax?: number;
  readonly onExpired?: OnExpired;
}

export async function openMysqlLedger(options: MysqlOptions = {}): Promise<MysqlUnderTest> {
  const own = await createOwnDatabase();
  await migrate(own.url);
  const database = new Database(own.url, silentLog, options.connectionsMax, undefined, true);
  // The gateways of a cluster have a pool each.
  const other = new Database(own.url, silentLog, options.connectionsMax);
  return {
    database,
    ledger: new MysqlLedger(database, options.onExpired),
    money: new MysqlMoney(database),
    rooms: [new MysqlRoomLedger(database), new MysqlRoomLedger(other)],
    create: (plan) => insertPerformance(database, plan),
    snapshot: (performanceId) => readSnapshot(database, performanceId),
    writeRoom: (performanceId, settings) => writeRoom(database, performanceId, settings),
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
    async books(userId) {
      const rows = await database.rows(
        'SELECT type, amount, balance, reservation_id FROM balance_entries WHERE user_id = ? ORDER BY id',
        [userId],
      );
      const entries = rows.map(({ type, amount, balance, reservation_id: id }) => {
        return { type: entryTypeName(type), amount, balance, reservationId: id === null ? null : uuidFromBytes(id) };
      });
      return { balance: await readBalance(database, userId), entries };
    },
    async close() {
      await Promise.all([database.close(), other.close()]);
      await own.drop();
    },
  };
}
