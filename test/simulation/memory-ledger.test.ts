/** The fake of MySQL keeps what the contracts of the ledgers promise. */
import { expect, it } from 'vitest';
import { newReservationId } from '../../src/domain/ids.ts';
import { reservationStatusName } from '../../src/domain/reservation.ts';
import { clubPlan, grant, ledgerContract } from '../ledger.contract.ts';
import { type MoneyUnderTest, moneyContract } from '../money-ledger.contract.ts';
import { type RoomLedgerUnderTest, roomLedgerContract } from '../room-ledger.contract.ts';
import { MemoryLedger, MemoryMoney, MemoryMysql, MemoryRoomLedger } from './memory-ledger.ts';

async function openMemoryLedger(): Promise<MoneyUnderTest & RoomLedgerUnderTest> {
  const mysql = new MemoryMysql(Date.now);
  return {
    ledger: new MemoryLedger(mysql),
    money: new MemoryMoney(mysql),
    rooms: [new MemoryRoomLedger(mysql), new MemoryRoomLedger(mysql)],
    create: async (plan) => mysql.insertPerformance(plan),
    snapshot: (performanceId) => mysql.readSnapshot(performanceId),
    writeRoom: async (performanceId, settings) => mysql.writeRoom(performanceId, settings),
    remaining: async (performanceId) => mysql.performances.get(performanceId)!.remaining,
    async status(reservationId) {
      const reservation = mysql.reservations.get(reservationId);
      return reservation === undefined ? null : reservationStatusName(reservation.status);
    },
    lapse: async (reservationId, agoMs) => mysql.lapse(reservationId, agoMs),
    books: async (userId) => mysql.accounts.get(userId) ?? { balance: 0, entries: [] },
    async close() {},
  };
}

ledgerContract('The fake of MySQL', openMemoryLedger);
moneyContract('The fake of MySQL', openMemoryLedger);
roomLedgerContract('The fake of MySQL', openMemoryLedger);

it('ends holds by its own clock, at the very millisecond, and tells who asked for it', async () => {
  let nowMs = 1000.9;
  const mysql = new MemoryMysql(() => nowMs);
  const told: string[][] = [];
  const [one, two] = [[], []].map(
    () => new MemoryLedger(mysql, (releases) => told.push(releases.map((r) => r.reservationId))),
  );
  const club = mysql.insertPerformance(clubPlan(10), 77);
  const [first, second] = [
    { ...grant(club, 1), holdMs: 500 },
    { ...grant(club, 2), holdMs: 500 },
  ];
  await one!.persistHolds([first, second]);
  nowMs = 1499.99;
  expect(await two!.expireDue(10)).toEqual([]);
  nowMs = 1500;
  const taker = grant(club, 1, [second.reservationId]);
  expect(await one!.persistHolds([taker])).toEqual(['persisted']);
  expect(await two!.expireDue(10)).toMatchObject([{ reservationId: first.reservationId }]);
  expect(told).toEqual([[second.reservationId], [first.reservationId]]);
});

it('knows one end of a reservation, however often it was moved', async () => {
  let nowMs = 10_000;
  const mysql = new MemoryMysql(() => nowMs);
  const ledger = new MemoryLedger(mysql);
  const hold = { ...grant(mysql.insertPerformance(clubPlan(10)), 1), holdMs: 5000 };
  await ledger.persistHolds([hold]);
  for (const agoMs of [-2000, 1000, -4000, -2000]) mysql.lapse(hold.reservationId, agoMs);
  expect(await ledger.expireDue(10)).toEqual([]);
  nowMs = 20_000;
  expect(await ledger.expireDue(10)).toMatchObject([{ reservationId: hold.reservationId }]);
});

it('is available as long as nobody says otherwise, for each process alone', () => {
  const mysql = new MemoryMysql(Date.now);
  const [one, two] = [new MemoryLedger(mysql), new MemoryLedger(mysql)];
  one.isUp = false;
  expect([one.isAvailable(), two.isAvailable()]).toEqual([false, true]);
});

it('takes holds, ends and charges by the hundred thousand', async () => {
  let nowMs = 0;
  const mysql = new MemoryMysql(() => nowMs);
  const [ledger, money] = [new MemoryLedger(mysql), new MemoryMoney(mysql)];
  const club = mysql.insertPerformance(clubPlan(1e9));
  const startedAtMs = performance.now();
  for (let round = 0; round < 1000; round++) {
    await ledger.persistHolds(
      Array.from({ length: 100 }, (_, i) => ({ ...grant(club, 1), userId: 1, holdMs: i * 10 })),
    );
    await money.charge(1, 1, newReservationId());
    await ledger.expireDue(100);
    nowMs += 10;
  }
  nowMs += 1e6;
  while ((await ledger.expireDue(1000)).length > 0);
  expect(mysql.performances.get(club)!.remaining).toBe(1e9);
  expect(mysql.performances.get(club)!.live.size).toBe(0);
  // Some hundred milliseconds; with a look at all of them in each step it would be minutes.
  expect(performance.now() - startedAtMs).toBeLessThan(20_000);
});
