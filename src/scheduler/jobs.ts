/** The jobs of the hot path: expire what is not paid, persist or take back what a crashed gateway left in the journal. */
import type { Hold } from '../domain/reservation.ts';
import type { HoldStore, Ledger } from '../domain/stores.ts';
import type { Job } from './scheduler.ts';

export interface JobCounters {
  expired: number;
  recovered: number;
  takenBack: number;
}

const expireIntervalMs = 200;
const expireBatchMax = 500;
const recoverIntervalMs = 500;
/** A gateway that lives commits within its deadline; what is older was left behind. */
const recoverAgeMs = 2000;
/** Entries a performance and round; one holds up to a batch of holds. */
const recoverBatchMax = 20;
/** Holds a transaction. */
const persistBatchMax = 200;

/** MySQL first, by its own clock; then Redis frees the seats. */
export function expireJob(store: HoldStore, ledger: Ledger, counters: JobCounters): Job {
  return {
    name: 'expire',
    intervalMs: expireIntervalMs,
    async run() {
      for (;;) {
        const releases = await ledger.expireDue(expireBatchMax);
        counters.expired += releases.length;
        if (releases.length > 0) await store.release(releases);
        if (releases.length < expireBatchMax) return;
      }
    },
  };
}

/** Persists the holds of old journal entries; those that MySQL refuses are taken back. */
export function recoverJob(store: HoldStore, ledger: Ledger, counters: JobCounters): Job {
  async function recover(holds: readonly Hold[]): Promise<void> {
    const results = await ledger.persistHolds(holds);
    const stored = holds.filter((_, i) => results[i] === 'persisted');
    counters.recovered += stored.length;
    if (stored.length > 0) await store.forget(stored);
    const refused = holds.filter((_, i) => results[i] !== 'persisted');
    for (const [performanceId, list] of Map.groupBy(refused, (hold) => hold.performanceId)) {
      await store.cool(
        performanceId,
        list.map((hold) => hold.reservationId),
      );
      await store.forget(list);
      counters.takenBack += list.length;
    }
  }
  return {
    name: 'recover',
    intervalMs: recoverIntervalMs,
    async run() {
      const holds = await store.journal(recoverAgeMs, recoverBatchMax);
      for (let first = 0; first < holds.length; first += persistBatchMax) {
        await recover(holds.slice(first, first + persistBatchMax));
      }
    },
  };
}
