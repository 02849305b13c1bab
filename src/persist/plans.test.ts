/** Sized for 10 million reservations: every statement of the running system must find its rows by an index. */
import mysql, { type RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { newReservationId, uuidToBytes } from '../domain/ids.ts';
import type { Hold } from '../domain/reservation.ts';
import { silentLog } from '../logger.ts';
import { Database, type Parameter, type Statements } from './database.ts';
import { persistHolds } from './holds.ts';
import { migrate } from './migrate.ts';
import {
  countRemaining,
  insertEvent,
  insertPerformance,
  listEvents,
  listPerformances,
  listUpcoming,
  readEvent,
  readPerformance,
  readSnapshot,
} from './performances.ts';
import { cancelHeld, expireDue } from './releases.ts';
import { listReservations, readReservation } from './reservations.ts';

interface Statement {
  readonly sql: string;
  readonly parameters: readonly Parameter[];
}

/** Hands statements on and writes them down. */
function recorded<Target extends Statements>(target: Target, into: Statement[]): Target {
  return new Proxy(target, {
    get(of, name) {
      const value: unknown = Reflect.get(of, name, of);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        if (name === 'rows' || name === 'write') {
          into.push({ sql: args[0] as string, parameters: (args[1] ?? []) as readonly Parameter[] });
        }
        if (name !== 'transaction' && name !== 'snapshot') return value.apply(of, args);
        const work = args[0] as (transaction: Statements) => Promise<unknown>;
        return value.call(of, (transaction: Statements) => work(recorded(transaction, into)));
      };
    },
    set: (of, name, value) => Reflect.set(of, name, value, of),
  });
}

function grant(performanceId: number, userId: number, what: Partial<Hold>): Hold {
  return {
    reservationId: newReservationId(),
    performanceId,
    userId,
    seats: [],
    partySize: 0,
    versions: [],
    amount: 100,
    holdMs: 300_000,
    expiresAtMs: Date.now() + 300_000,
    journal: null,
    supersedes: [],
    ...what,
  };
}

describe('a database of thousands of reservations', () => {
  const name = `fastpass_plans_${Math.random().toString(36).slice(2)}`;
  const statements: Statement[] = [];
  let server: mysql.Connection;
  let database: Database;

  beforeAll(async () => {
    server = await mysql.createConnection(inject('mysqlUrl'));
    await server.query(`CREATE DATABASE ${name}`);
    const url = new URL(inject('mysqlUrl'));
    url.pathname = `/${name}`;
    await migrate(url.href);
    database = new Database(url.href, silentLog);
    await server.query(`USE ${name}`);
    await fill();
    await run(recorded(database, statements));
  });
  afterAll(async () => {
    await database.close();
    await server.query(`DROP DATABASE ${name}`);
    await server.end();
  });

  /** 20 halls of 500 seats, 300 small performances, 6,000 reservations of 3,000 users, most of them given up. */
  async function fill(): Promise<void> {
    const plan = {
      eventId: 1,
      startsAtMs: Date.now() + 86_400_000,
      bookingOpensAtMs: null,
      bookingClosesAtMs: null,
      price: 100,
      holdSeconds: 300,
      maxReservationsPerUser: 4,
    };
    for (let i = 0; i < 1500; i++) await server.query("INSERT INTO events VALUES (NULL, 'Event', NULL, NOW(3))");
    for (let i = 0; i < 20; i++) {
      await insertPerformance(database, { ...plan, seating: { kind: 'seated', seats: 500, seatsPerRow: 50 } });
    }
    for (let i = 0; i < 300; i++) {
      const seating = { kind: 'capacity', capacity: 1000, maxPartySize: 10 } as const;
      await insertPerformance(database, {
        ...plan,
        eventId: i % 50,
        startsAtMs: Date.now() + i * 1000 - 100_000,
        seating,
      });
    }
    for (let batch = 0; batch < 60; batch++) {
      const holds = Array.from({ length: 100 }, (_, i) => {
        const number = batch * 100 + i;
        const [hall, seat] = [1 + Math.floor(number / 300), 1 + (number % 300)];
        return grant(hall, number % 3000, { seats: [seat], versions: [1] });
      });
      await persistHolds(database, holds, () => {});
    }
    // Four fifths are cancelled, a few are over, the rest is held.
    await server.query('UPDATE reservations SET status = 3 WHERE user_id % 5 > 0');
    await server.query(
      'UPDATE reservations SET hold_ends_at = NOW(3) - INTERVAL 1 SECOND WHERE status = 1 AND user_id % 100 = 0',
    );
    await server.query(
      'UPDATE reservation_seats r JOIN reservations v ON v.id = r.reservation_id SET r.live = NULL WHERE v.status = 3',
    );
    await server.query('ANALYZE TABLE events, performances, seats, reservations, reservation_seats');
  }

  /** Everything the running system asks of MySQL. */
  async function run(on: Database): Promise<void> {
    const [old, party, over] = [
      grant(1, 4000, { seats: [400, 401], versions: [1, 1] }),
      grant(30, 4000, { partySize: 3 }),
      grant(31, 4001, { partySize: 3 }),
    ];
    expect(await persistHolds(on, [old, party, over], () => {})).toEqual(['persisted', 'persisted', 'persisted']);
    const holds = Array.from({ length: 50 }, (_, i) => grant(2, 5000 + i, { seats: [401 + i], versions: [1] }));
    const hold = grant(1, 4002, { seats: [400], versions: [3], supersedes: [old.reservationId] });
    expect(await persistHolds(on, [hold, ...holds, party], () => {})).not.toContain('conflict');
    await cancelHeld(on, hold.reservationId);
    await server.query('UPDATE reservations SET hold_ends_at = NOW(3) - INTERVAL 1 SECOND WHERE id = ?', [
      uuidToBytes(over.reservationId),
    ]);
    expect((await expireDue(on, 500)).length).toBeGreaterThan(10);
    await readReservation(on, hold.reservationId);
    const list = { userId: 7, status: null, before: null, limit: 21 };
    await listReservations(on, list);
    await listReservations(on, { ...list, status: 'HELD', before: newReservationId() });
    for (const performanceId of [1, 30]) {
      const performance = await readPerformance(on, performanceId);
      await readSnapshot(on, performanceId);
      await countRemaining(on, performance!);
    }
    await readEvent(on, await insertEvent(on, 'Event', null));
    await listEvents(on);
    await listPerformances(on, 7);
    await listUpcoming(on, 100);
  }

  it('is asked for rows only by an index', async () => {
    const asked = statements.filter(({ sql }) => /^\s*(SELECT|UPDATE|DELETE)\s/i.test(sql));
    expect(asked.length).toBeGreaterThan(25);
    const faults: string[] = [];
    for (const { sql, parameters } of asked) {
      const [plan] = await server.query<RowDataPacket[]>(`EXPLAIN ${sql}`, [...parameters]);
      for (const row of plan) {
        const isLimited = /\bLIMIT\b/.test(sql);
        const isScan = row['type'] === 'ALL' || (row['type'] === 'index' && !isLimited);
        if (isScan)
          faults.push(`${row['table']} ${row['type']} ${row['rows']} rows: ${sql.replace(/\s+/g, ' ').slice(0, 200)}`);
      }
    }
    expect(faults).toEqual([]);
  });

  it('looks at few rows for an answer of few rows', async () => {
    const faults: string[] = [];
    for (const { sql, parameters } of statements) {
      if (!/^\s*(SELECT|UPDATE)\s/i.test(sql) || /COUNT\(|FROM seats WHERE performance_id/.test(sql)) continue;
      const [plan] = await server.query<RowDataPacket[]>(`EXPLAIN ${sql}`, [...parameters]);
      for (const row of plan) {
        // 10,000 seats and 6,000 reservations are there; a list has at most 1,000 rows.
        if (Number(row['rows']) > 1600)
          faults.push(`${row['table']} ${row['rows']} rows: ${sql.replace(/\s+/g, ' ').slice(0, 200)}`);
      }
    }
    expect(faults).toEqual([]);
  });

  it('never sorts a whole table for the first rows of a list', async () => {
    const faults: string[] = [];
    for (const { sql, parameters } of statements) {
      if (!/ORDER BY .* LIMIT/s.test(sql)) continue;
      const [plan] = await server.query<RowDataPacket[]>(`EXPLAIN ${sql}`, [...parameters]);
      for (const row of plan) if (/filesort/i.test(String(row['Extra']))) faults.push(sql.replace(/\s+/g, ' '));
    }
    expect(faults).toEqual([]);
  });
});
