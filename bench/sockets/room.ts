/** A waiting room on a gateway, and the users who join it over HTTP. */
import { mintToken } from '../../src/gateway/auth.ts';
import { Connection, type Headers, headText, requestText, type Target, targetOf } from '../load/connection.ts';
import { fire, openConnections } from '../load/fire.ts';
import { createSale, userIdOf } from '../rush/sale.ts';

const adminUserId = 1;
const tokenSeconds = 3600;
const joinConnections = 100;
const maxActive = 1_000_000;
const passSeconds = 3600;
const seats = 1000;

export class Room {
  readonly performanceId: number;
  readonly target: Target;
  readonly #jwtSecret: string;
  /** By user, counted from 0. */
  readonly #tokens: string[] = [];

  private constructor(target: Target, jwtSecret: string, performanceId: number) {
    this.target = target;
    this.#jwtSecret = jwtSecret;
    this.performanceId = performanceId;
  }

  /** A performance whose room is not set up yet. Rejects with the gateway's answer. */
  static async create(url: string, jwtSecret: string): Promise<Room> {
    const target = targetOf(url);
    const performanceId = await createSale(target, jwtSecret, { kind: 'seated', seats, seatsPerRequest: 1 });
    return new Room(target, jwtSecret, performanceId);
  }

  /** Admits as many a second from now on; 0 for nobody. Rejects with the gateway's answer. */
  admit(admitPerSecond: number): Promise<void> {
    return this.#configure('on', admitPerSecond);
  }

  /** Nobody needs to wait from now on: the rounds of admission leave it alone. Rejects with the gateway's answer. */
  close(): Promise<void> {
    return this.#configure('off', 0);
  }

  async #configure(mode: 'on' | 'off', admitPerSecond: number): Promise<void> {
    const headers = {
      authorization: `Bearer ${mintToken(this.#jwtSecret, adminUserId, 'admin', tokenSeconds)}`,
      'content-type': 'application/json',
    };
    const connection = await Connection.open(this.target);
    try {
      const path = `/v1/performances/${this.performanceId}/queue`;
      const body = JSON.stringify({ mode, admitPerSecond, maxActive, passSeconds });
      const answer = await connection.request('PUT', path, headers, body);
      if (answer.status !== 200) throw new Error(`PUT ${path} answered ${answer.status} ${answer.body}`);
    } finally {
      connection.close();
    }
  }

  /** The headers by which a user, counted from 0, is known; the same every time. */
  headersOf(user: number): Headers {
    this.#tokens[user] ??= mintToken(this.#jwtSecret, userIdOf(user), 'user', tokenSeconds);
    return { authorization: `Bearer ${this.#tokens[user]}` };
  }

  /**
   * Users `first` to `first + count - 1` join, or give a sign of life if they have; returns their tickets. Rejects when
   * one does not get a place.
   */
  async join(first: number, count: number): Promise<string[]> {
    const path = `/v1/performances/${this.performanceId}/queue/tickets`;
    const tickets = new Array<string>(count);
    let fault = '';
    await fire({
      target: this.target,
      connections: await openConnections(this.target, Math.min(joinConnections, count)),
      total: count,
      textOf: (index) => requestText(headText('POST', this.target, path, this.headersOf(first + index)), ''),
      onAnswer(index, { status, body }) {
        if (status === 200 || status === 201) tickets[index] = JSON.parse(body).ticket;
        else fault = `${status} ${body}`;
      },
      onLost(_index, reason) {
        fault = reason;
      },
    });
    if (fault !== '') throw new Error(`a user could not join: ${fault}`);
    return tickets;
  }
}
