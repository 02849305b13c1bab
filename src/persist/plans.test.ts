import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askBatches, askEverything } from '../../bench/statements/asked.ts';
import { asking, findGrounds } from '../../bench/statements/measure.ts';
import { shapeFor } from '../../bench/statements/model.ts';
import { explain, faultsOf, type PlanLine, rowsOf, type Watcher } from '../../bench/statements/recorder.ts';
import { createFilledDatabase, type OwnDatabase } from '../../test/own-database.ts';
import { writtenAndNotAsked } from '../../test/statements.ts';
import { newReservationId } from '../domain/ids.ts';
import { silentLog } from '../logger.ts';
import { Database } from './database.ts';
import { deleteOutbox, readOutbox, writeOutbox } from './outbox.ts';
import { listReservations } from './reservations.ts';

/** A thousand performances, of 120 seats or as many places; regulars with a thousand reservations each. */
const shape = shapeFor(20_000);
/** A list of a regular, or of what is on sale soon, may look at a thousand; the smallest table of the hot path has 20,000. */
const rowsMax = 3000;

interface Explained {
  readonly question: string;
  readonly sql: string;
  readonly plan: readonly PlanLine[];
}

describe('a database of thousands of reservations', () => {
  const explained: Explained[] = [];
  const asked = new Set<string>();
  let own: OwnDatabase;
  let database: Database;

  beforeAll(async () => {
    own = await createFilledDatabase(shape);
    database = new Database(own.url, silentLog);
    const ask = asking(database, explaining);
    for (const ground of await findGrounds(database, shape)) {
      await askEverything(ask, database, ground);
      await askBatches(ask, database, ground);
    }
  });
  afterAll(async () => {
    await database.close();
    await own.drop();
  });

  /** Explains where and when the statement is about to run. */
  const explaining = (question: string): Watcher => ({
    statement: async (statement) => {
      const plan = await explain(statement);
      const { sql } = statement;
      asked.add(sql);
      if (plan !== null) explained.push({ question, sql, plan });
      return statement.run();
    },
  });

  it('is asked everything that stands in src/persist', () => {
    const { written, missing } = writtenAndNotAsked(asked);
    expect(written).toBeGreaterThan(50);
    expect(missing).toEqual([]);
  });

  it('is asked for rows only by an index, and sorts no list before it is cut', () => {
    expect(explained.length).toBeGreaterThan(400);
    const faults = explained.flatMap(({ question, sql, plan }) =>
      faultsOf(sql, plan).map((fault) => `${question}: ${fault}: ${sql}`),
    );
    expect([...new Set(faults)]).toEqual([]);
  });

  it('looks at few rows for an answer of few rows', () => {
    const faults = explained.flatMap(({ question, sql, plan }) => {
      const rows = rowsOf(plan);
      return rows > rowsMax ? [`${question}: ${rows} rows: ${sql}`] : [];
    });
    expect(faults).toEqual([]);
  });

  it('locks reservations by their primary key alone: what changes a status writes every other index after the row', () => {
    const locking = explained.filter(({ sql }) =>
      /^\s*UPDATE reservations\b|FROM reservations\b.*FOR UPDATE/s.test(sql),
    );
    expect(locking.length).toBeGreaterThan(20);
    const keys = locking.flatMap(({ plan }) => plan.flatMap(({ table, key }) => (table === null ? [] : [key])));
    expect(new Set(keys)).toEqual(new Set(['PRIMARY']));
  });

  it('lists by status what the list of all shows with it, page after page', async () => {
    const pageOf = { before: null, limit: 5000 };
    for (const userId of [1, 2]) {
      // Some are held, some have lapsed and were not expired yet.
      await database.write(
        `UPDATE reservations SET hold_ends_at = NOW(3) + INTERVAL IF(status = 2, 3600, -3600) SECOND, status = 1
         WHERE user_id = ? AND status IN (2, 4) ORDER BY id DESC LIMIT 9`,
        [userId],
      );
      const all = await listReservations(database, { ...pageOf, userId, status: null });
      expect(
        all
          .map(({ reservationId }) => reservationId)
          .sort()
          .reverse(),
      ).toEqual(all.map(({ reservationId }) => reservationId));
      for (const status of ['HELD', 'CONFIRMED', 'CANCELLED', 'EXPIRED'] as const) {
        const expected = all.filter((reservation) => reservation.status === status);
        expect(expected.length).toBeGreaterThan(0);
        expect(await listReservations(database, { ...pageOf, userId, status })).toEqual(expected);
        const before = expected[Math.floor(expected.length / 2)]!.reservationId;
        const page = await listReservations(database, { userId, status, before, limit: 3 });
        expect(page).toEqual(expected.filter(({ reservationId }) => reservationId < before).slice(0, 3));
      }
    }
  });

  it('forgets what was told without waiting for a transaction that has more to tell', async () => {
    const event = { kind: 'reservation.held', reservationId: newReservationId(), performanceId: 1, userId: 1 } as const;
    for (let i = 0; i < 5; i++) await writeOutbox(database, [event]);
    const rows = await readOutbox(database, 100);
    await database.transaction(async (transaction) => {
      await writeOutbox(transaction, [event]);
      // A lock would be waited for until it is given up, after a second.
      await deleteOutbox(
        database,
        rows.map(({ id }) => id),
      );
    });
    expect((await readOutbox(database, 100)).length).toBe(1);
  });
});
