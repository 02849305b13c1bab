/** Rehearsals as all processes see them: who plays the one of a performance, and how it goes. */
import type { Rehearsal } from '../domain/rehearsal.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';
import { rehearsalKeys } from './keys.ts';
import { Lease } from './lease.ts';

/** Renewed while a rehearsal runs; where its process dies, nothing says that it runs for longer than this. */
export const rehearsalLeaseMs = 5000;
const doneSeconds = 600;

export class RehearsalStore {
  readonly #connection: RedisConnection;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** Who has it plays the rehearsal of this performance. */
  lease(performanceId: number): Lease {
    return new Lease(this.#connection, rehearsalLeaseMs, rehearsalKeys(performanceId).lease);
  }

  /** Null where there was none lately. Rejects with StoreUnavailable. */
  async read(performanceId: number): Promise<Rehearsal | null> {
    try {
      const text = await this.#connection.client.get(rehearsalKeys(performanceId).state);
      return text === null ? null : (JSON.parse(text) as Rehearsal);
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  /** Only for who has the lease. One that runs is forgotten unless it is written again. Rejects with StoreUnavailable. */
  async write(rehearsal: Rehearsal): Promise<void> {
    const keptMs = rehearsal.state === 'running' ? rehearsalLeaseMs : doneSeconds * 1000;
    try {
      const { state } = rehearsalKeys(rehearsal.performanceId);
      await this.#connection.client.set(state, JSON.stringify(rehearsal), 'PX', keptMs);
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }
}
