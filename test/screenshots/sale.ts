/** The sale that the screenshots show: events, a hall half sold, a room full of people; all made over the API. */
import { FastpassClient, type PerformanceRequest, type Result } from '../../src/client/index.ts';
import type { Role } from '../../src/domain/account.ts';
import { mintToken } from '../../src/gateway/auth.ts';

const hourMs = 3600 * 1000;
const dayMs = 24 * hourMs;
const tokenSeconds = 3600;
/** Users that nobody signs up as. */
const firstUserId = 9_000_000_000;

export class Sale {
  readonly #url: string;
  readonly #secret: string;
  readonly admin: FastpassClient;
  #users = 0;

  constructor(url: string, secret: string) {
    this.#url = url;
    this.#secret = secret;
    this.admin = this.user('admin');
  }

  /** A client of somebody new. */
  user(role: Role = 'user'): FastpassClient {
    const token = mintToken(this.#secret, firstUserId + ++this.#users, role, tokenSeconds);
    return new FastpassClient({ baseUrl: this.#url, token });
  }

  /** An event with one performance, so many days from now; returns the performance's id. */
  async performance(
    name: string,
    inDays: number,
    fields: Omit<PerformanceRequest, 'startsAt'>,
    isDemo = false,
  ): Promise<number> {
    const event = must(await this.admin.createEvent({ name, ...(isDemo ? { isDemo } : {}) }));
    // Half past seven in the evening where the pictures are taken: Seoul.
    const startsAt = new Date(Math.floor(Date.now() / dayMs + inDays) * dayMs + 10.5 * hourMs).toISOString();
    return must(await this.admin.createPerformance(event.eventId, { startsAt, ...fields })).performanceId;
  }

  /** Others hold these seats and pay every other time, a pair each. */
  async sell(performanceId: number, seats: readonly number[]): Promise<void> {
    for (let i = 0; i < seats.length; i += 2) {
      const buyer = this.user();
      const held = await buyer.reserve({ performanceId, seats: seats.slice(i, i + 2) });
      if (!held.ok || i % 4 === 0) continue;
      must(await buyer.charge(held.value.amount));
      must(await buyer.pay(held.value.reservationId));
    }
  }

  /** So many people join the queue. */
  async join(performanceId: number, people: number): Promise<void> {
    for (let i = 0; i < people; i++) must(await this.user().joinQueue(performanceId));
  }
}

/** Of a call that a screenshot needs. */
export function must<Value>(result: Result<Value>): Value {
  if (!result.ok) throw new Error(`${result.status}: ${result.problem.detail}`);
  return result.value;
}
