/** Waiting rooms on real MySQL, as the scheduler and the waiting room use them. */
import type { RoomLedger } from '../domain/stores.ts';
import type { Draw } from '../domain/waiting-room.ts';
import type { Database } from './database.ts';
import { readDraws, writeDraw, writeIssued } from './rooms.ts';

export class MysqlRoomLedger implements RoomLedger {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  writeIssued(performanceId: number, issued: number): Promise<void> {
    return writeIssued(this.#database, performanceId, issued);
  }

  writeDraw(draw: Draw): Promise<Draw> {
    return writeDraw(this.#database, draw);
  }

  readDraws(performanceId: number): Promise<Draw[]> {
    return readDraws(this.#database, performanceId);
  }
}
