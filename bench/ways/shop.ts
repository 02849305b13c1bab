/** The ways' own database on the bench's MySQL: made, filled with performances, read to see who has which seat. */
import { Redis } from 'ioredis';
import mysql, { type Connection, type RowDataPacket } from 'mysql2/promise';
import { uuidFromBytes } from '../../src/domain/ids.ts';
import type { Stoppable } from '../load/stage.ts';
import { tables } from './database.ts';
import { keyPrefix, reservationsKey, seatsKey } from './keys.ts';

/** A seat that somebody has, as a store says it. */
export interface Sold {
  readonly performanceId: number;
  readonly seat: number;
  readonly userId: number;
  readonly reservationId: string;
}

const price = 1000;
const holdMs = 3600 * 1000;
const seatsPerInsert = 10_000;
const keysPerScan = 1000;

function soldOf(rows: readonly RowDataPacket[]): Sold[] {
  return rows.map(({ id, userId, performanceId, seat }) => ({
    performanceId,
    seat,
    userId,
    reservationId: uuidFromBytes(id),
  }));
}

export class Shop implements Stoppable {
  /** Of the ways' database. */
  readonly url: string;
  readonly #connection: Connection;
  readonly #gatewayDatabase: string;
  readonly #database: string;
  readonly #redis: Redis;

  private constructor(connection: Connection, mysqlUrl: string, redisUrl: string, database: string) {
    this.#connection = connection;
    this.#database = database;
    this.#gatewayDatabase = new URL(mysqlUrl).pathname.slice(1);
    this.#redis = new Redis(redisUrl);
    const url = new URL(mysqlUrl);
    url.pathname = `/${database}`;
    this.url = url.href;
  }

  /** Makes the database. Rejects when a store does not answer. */
  static async open(mysqlUrl: string, redisUrl: string): Promise<Shop> {
    const connection = await mysql.createConnection(mysqlUrl);
    // The user of the private servers may make databases of such names.
    const database = `fastpass_ways_${process.pid}`;
    await connection.query(`DROP DATABASE IF EXISTS ${database}`);
    await connection.query(`CREATE DATABASE ${database}`);
    await connection.query(`USE ${database}`);
    for (const table of tables) await connection.query(table);
    const shop = new Shop(connection, mysqlUrl, redisUrl, database);
    await shop.#removeKeys();
    return shop;
  }

  /** A new performance with free seats; returns its id. */
  async performance(seats: number): Promise<number> {
    const [{ insertId }] = await this.#connection.execute<mysql.ResultSetHeader>(
      'INSERT INTO performances (seats, price, hold_ms) VALUES (?, ?, ?)',
      [seats, price, holdMs],
    );
    for (let first = 1; first <= seats; first += seatsPerInsert) {
      const count = Math.min(seatsPerInsert, seats - first + 1);
      const rows = Array.from({ length: count }, (_, i) => `(${insertId},${first + i})`);
      await this.#connection.query(`INSERT INTO seats (performance_id, seat) VALUES ${rows.join(',')}`);
    }
    return insertId;
  }

  /** Every seat that these performances have sold, as the tables of the ways say it. */
  async soldInMysql(performanceIds: readonly number[]): Promise<Sold[]> {
    const [rows] = await this.#connection.query<RowDataPacket[]>(
      `SELECT r.id, r.user_id AS userId, s.performance_id AS performanceId, s.seat
       FROM reservation_seats s JOIN reservations r ON r.id = s.reservation_id
       JOIN seats t ON t.performance_id = s.performance_id AND t.seat = s.seat AND t.status = 1
       WHERE s.performance_id IN (?)`,
      [performanceIds],
    );
    return soldOf(rows);
  }

  /** The same as Redis says it, where the scripts have put it. */
  async soldInRedis(performanceIds: readonly number[]): Promise<Sold[]> {
    const sold: Sold[] = [];
    for (const performanceId of performanceIds) {
      const [seats, reservations] = await Promise.all([
        this.#redis.hgetall(seatsKey(performanceId)),
        this.#redis.hgetall(reservationsKey(performanceId)),
      ]);
      for (const [seat, reservationId] of Object.entries(seats)) {
        const userId = Number(reservations[reservationId]?.split(':')[0]);
        sold.push({ performanceId, seat: Number(seat), userId, reservationId });
      }
    }
    return sold;
  }

  /** The same as the gateway's own tables say it. */
  async soldByGateway(performanceIds: readonly number[]): Promise<Sold[]> {
    const database = this.#gatewayDatabase;
    const [rows] = await this.#connection.query<RowDataPacket[]>(
      `SELECT r.id, r.user_id AS userId, s.performance_id AS performanceId, s.seat
       FROM ${database}.reservation_seats s JOIN ${database}.reservations r ON r.id = s.reservation_id
       WHERE s.live = 1 AND s.performance_id IN (?)`,
      [performanceIds],
    );
    return soldOf(rows);
  }

  /** 1 while the gateway has something to tell that MySQL says, else 0. */
  async untoldByGateway(): Promise<number> {
    const [rows] = await this.#connection.query<RowDataPacket[]>(
      `SELECT 1 FROM ${this.#gatewayDatabase}.outbox LIMIT 1`,
    );
    return rows.length;
  }

  /** Removes the database, and what the ways have in Redis. */
  async stop(): Promise<void> {
    await this.#connection.query(`DROP DATABASE ${this.#database}`);
    await this.#connection.end();
    await this.#removeKeys();
    this.#redis.disconnect();
  }

  async #removeKeys(): Promise<void> {
    let cursor = '0';
    do {
      const [next, keys] = await this.#redis.scan(cursor, 'MATCH', `${keyPrefix}*`, 'COUNT', keysPerScan);
      if (keys.length > 0) await this.#redis.unlink(...keys);
      cursor = next;
    } while (cursor !== '0');
  }
}
