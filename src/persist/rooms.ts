/** Waiting rooms in MySQL: their settings, how many tickets were given out, and the draws. */
import type { Draw, Room, RoomSettings } from '../domain/waiting-room.ts';
import type { Database, Row, Statements } from './database.ts';
import { toDateTime } from './literals.ts';

function roomOf(row: Row): Room {
  return {
    revision: row['revision'],
    mode: row['mode'],
    admitPerSecond: row['admit_per_second'],
    maxActive: row['max_active'],
    passSeconds: row['pass_seconds'],
    opensAtMs: row['opens_at'] === null ? null : (row['opens_at'] as Date).getTime(),
    drawBeforeOpen: row['draw_before_open'] === 1,
    issued: row['issued'],
  };
}

/** The room of a performance; null when it has none. */
export async function readRoom(statements: Statements, performanceId: number): Promise<Room | null> {
  const rows = await statements.rows(
    `SELECT revision, mode, admit_per_second, max_active, pass_seconds, opens_at, draw_before_open, issued
     FROM waiting_rooms WHERE performance_id = ?`,
    [performanceId],
  );
  return rows[0] === undefined ? null : roomOf(rows[0]);
}

/** Stores settings, the first or new ones; returns the room with its new revision. */
export function writeRoom(database: Database, performanceId: number, settings: RoomSettings): Promise<Room> {
  const { mode, admitPerSecond, maxActive, passSeconds, opensAtMs, drawBeforeOpen } = settings;
  const values = [
    mode,
    admitPerSecond,
    maxActive,
    passSeconds,
    opensAtMs === null ? null : toDateTime(opensAtMs),
    drawBeforeOpen ? 1 : 0,
  ];
  return database.transaction(async (transaction) => {
    await transaction.write(
      `INSERT INTO waiting_rooms
         (performance_id, revision, mode, admit_per_second, max_active, pass_seconds, opens_at, draw_before_open)
       VALUES (?, 1, ?, ?, ?, ?, ?, ?)
       ON DUPLICATE KEY UPDATE revision = revision + 1,
         mode = ?, admit_per_second = ?, max_active = ?, pass_seconds = ?, opens_at = ?, draw_before_open = ?`,
      [performanceId, ...values, ...values],
    );
    const room = await readRoom(transaction, performanceId);
    if (room === null) throw new Error(`the room of performance ${performanceId} is gone`);
    return room;
  });
}

/** Writes down how many tickets were given out; never less than before. */
export async function writeIssued(statements: Statements, performanceId: number, issued: number): Promise<void> {
  await statements.write('UPDATE waiting_rooms SET issued = ? WHERE performance_id = ? AND issued < ?', [
    issued,
    performanceId,
    issued,
  ]);
}

/** Stores a draw unless there is one of the same tickets; returns the one that counts, whose seed is never changed. */
export async function writeDraw(statements: Statements, draw: Draw): Promise<Draw> {
  const { performanceId, firstArrival, lastArrival, seed } = draw;
  // Not INSERT IGNORE, which would also swallow what is wrong with the values.
  await statements.write(
    `INSERT INTO queue_draws (performance_id, first_arrival, last_arrival, seed, drawn_at) VALUES (?, ?, ?, ?, NOW(3))
     ON DUPLICATE KEY UPDATE seed = seed`,
    [performanceId, firstArrival, lastArrival, seed],
  );
  const stored = (await readDraws(statements, performanceId)).find((each) => each.firstArrival === firstArrival);
  if (stored === undefined) throw new Error(`the draw of performance ${performanceId} is gone`);
  return stored;
}

/** The draws of a performance, in order; one, nearly always. */
export async function readDraws(statements: Statements, performanceId: number): Promise<Draw[]> {
  const rows = await statements.rows(
    'SELECT first_arrival, last_arrival, seed FROM queue_draws WHERE performance_id = ? ORDER BY first_arrival',
    [performanceId],
  );
  return rows.map((row) => ({
    performanceId,
    firstArrival: row['first_arrival'],
    lastArrival: row['last_arrival'],
    seed: row['seed'],
  }));
}
