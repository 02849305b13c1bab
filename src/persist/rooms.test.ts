import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Draw, RoomSettings } from '../domain/waiting-room.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import { silentLog } from '../logger.ts';
import { Database } from './database.ts';
import { migrate } from './migrate.ts';
import { insertPerformance, readSnapshot } from './performances.ts';
import { MysqlRoomLedger } from './room-ledger.ts';
import { readRoom, writeRoom } from './rooms.ts';

const settings: RoomSettings = {
  mode: 'on',
  admitPerSecond: 50,
  maxActive: 500,
  passSeconds: 300,
  opensAtMs: null,
  drawBeforeOpen: false,
};
const seedOf = (digit: string): string => digit.repeat(64);

describe('waiting rooms in MySQL', () => {
  let database: Database;
  let other: Database;
  let ledger: MysqlRoomLedger;
  const made: number[] = [];
  beforeAll(async () => {
    await migrate(inject('mysqlUrl'));
    database = new Database(inject('mysqlUrl'), silentLog);
    other = new Database(inject('mysqlUrl'), silentLog);
    ledger = new MysqlRoomLedger(database);
  });
  afterAll(async () => {
    for (const table of ['waiting_rooms', 'queue_draws']) {
      await database.write(`DELETE FROM ${table} WHERE performance_id IN (?)`, [made]);
    }
    await database.write('DELETE FROM performances WHERE id IN (?)', [made]);
    await database.close();
    await other.close();
  });

  async function performanceId(): Promise<number> {
    const id = await insertPerformance(database, {
      eventId: 4e12,
      startsAtMs: Date.UTC(2000, 0, 1),
      bookingOpensAtMs: null,
      bookingClosesAtMs: null,
      price: 100,
      holdSeconds: 300,
      maxReservationsPerUser: 1,
      seating: { kind: 'capacity', capacity: 10, maxPartySize: 4 },
    });
    made.push(id);
    return id;
  }
  function drawOf(id: number, firstArrival: number, lastArrival: number, digit: string): Draw {
    return { performanceId: id, firstArrival, lastArrival, seed: seedOf(digit) };
  }

  describe('settings', () => {
    it('are read as they were written', async () => {
      const each: RoomSettings[] = [
        settings,
        { ...settings, mode: 'off', admitPerSecond: 0 },
        { ...settings, admitPerSecond: 0.003, maxActive: 10_000_000, passSeconds: 86_400 },
        { ...settings, admitPerSecond: 1 / 3, opensAtMs: Date.UTC(2026, 10, 21, 18, 30, 0, 123), drawBeforeOpen: true },
      ];
      for (const written of each) {
        const id = await performanceId();
        const room = { ...written, revision: 1, issued: 0 };
        expect(await writeRoom(database, id, written)).toEqual(room);
        expect(await readRoom(database, id)).toEqual(room);
      }
    });

    it('of a performance without a room are none', async () => {
      expect(await readRoom(database, await performanceId())).toBeNull();
    });

    it('have a higher revision with every change, though nothing is another', async () => {
      const id = await performanceId();
      const later = { ...settings, mode: 'off', maxActive: 1, opensAtMs: 1_000_000_000_000 } as const;
      const revisions = [];
      for (const written of [settings, settings, later, settings]) {
        const room = await writeRoom(database, id, written);
        expect(room).toMatchObject(written);
        revisions.push(room.revision);
      }
      expect(revisions).toEqual([1, 2, 3, 4]);
    });

    it('changed by many at once get a revision each, and each caller reads its own', async () => {
      const id = await performanceId();
      const changes = Array.from({ length: 12 }, (_, i) => ({ ...settings, maxActive: i + 1 }));
      const rooms = await Promise.all(changes.map((each, i) => writeRoom(i % 2 === 0 ? database : other, id, each)));
      expect(rooms.map(({ revision }) => revision).toSorted((a, b) => a - b)).toEqual(changes.map((_, i) => i + 1));
      expect(rooms.map(({ maxActive }) => maxActive)).toEqual(changes.map(({ maxActive }) => maxActive));
      const last = rooms.find(({ revision }) => revision === 12);
      expect(await readRoom(database, id)).toEqual(last);
    });

    it('are those of their performance only', async () => {
      const [one, two] = [await performanceId(), await performanceId()];
      await writeRoom(database, one, settings);
      await writeRoom(database, two, { ...settings, maxActive: 2 });
      expect(await readRoom(database, one)).toMatchObject({ maxActive: 500, revision: 1 });
    });

    it('come with the snapshot that a load takes', async () => {
      const id = await performanceId();
      expect((await readSnapshot(database, id))!.room).toBeNull();
      const room = await writeRoom(database, id, { ...settings, admitPerSecond: 2.5 });
      await ledger.writeIssued(id, 41);
      expect((await readSnapshot(database, id))!.room).toEqual({ ...room, issued: 41 });
    });
  });

  it('every statement finds its rows by the primary key', async () => {
    const id = await performanceId();
    await writeRoom(database, id, settings);
    await ledger.writeDraw(drawOf(id, 1, 2, 'a'));
    const many = Array.from({ length: 300 }, (_, i) => 5e12 + i);
    made.push(...many);
    for (const each of many) {
      await writeRoom(database, each, settings);
      await ledger.writeDraw(drawOf(each, 1, 2, 'a'));
    }
    await database.write('ANALYZE TABLE waiting_rooms, queue_draws');
    for (const sql of [
      'SELECT revision, mode FROM waiting_rooms WHERE performance_id = ?',
      'UPDATE waiting_rooms SET issued = 7 WHERE performance_id = ? AND issued < 7',
      'SELECT seed FROM queue_draws WHERE performance_id = ? ORDER BY first_arrival',
    ]) {
      const [plan, ...rest] = await database.rows(`EXPLAIN ${sql}`, [id]);
      expect([rest.length, plan!['key'], Number(plan!['rows'])]).toEqual([0, 'PRIMARY', 1]);
      expect(String(plan!['Extra'])).not.toMatch(/filesort/i);
    }
  });

  it('everything says so when MySQL does not answer', async () => {
    const url = new URL(inject('mysqlUrl'));
    url.port = '1';
    const away = new Database(url.href, silentLog);
    const awayLedger = new MysqlRoomLedger(away);
    try {
      for (const act of [
        () => writeRoom(away, 1, settings),
        () => readRoom(away, 1),
        () => awayLedger.writeIssued(1, 1),
        () => awayLedger.writeDraw(drawOf(1, 1, 1, 'a')),
        () => awayLedger.readDraws(1),
      ]) {
        await expect(act()).rejects.toThrow(StoreUnavailable);
      }
    } finally {
      await away.close();
    }
  });
});
