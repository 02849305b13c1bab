/** A sale for a rush of people, and the promises that must hold at its end, whatever went wrong meanwhile. */
import { expect } from 'vitest';
import {
  acknowledged,
  brokenPromises,
  call,
  createPerformance,
  crowd,
  disagreements,
  holdSending,
  newUserId,
  type Sending,
  type Sent,
  seededRandom,
  storedReservations,
  storedStatus,
  until,
  untilJournalsEmpty,
} from './harness.ts';

const seed = Number(process.env['RUSH_SEED'] ?? 20_260_402);

/** A hall and a room for parties, and a crowd for both. */
export interface Sale {
  readonly hallId: number;
  readonly roomId: number;
  readonly ids: readonly number[];
  readonly sendings: readonly Sending[];
}

const hallSeats = 2000;
/** Seats that nobody of the crowd wants. */
export const spareSeats = [hallSeats + 1, hallSeats + 2];

export async function openSale(url: string, count: number): Promise<Sale> {
  const hallId = await createPerformance(url, { seating: { kind: 'seated', seats: hallSeats + 2 } });
  const roomId = await createPerformance(url, { seating: { kind: 'capacity', capacity: 600 } });
  const random = seededRandom(seed);
  const sendings = Array.from({ length: count }, (_, i) => {
    if (i % 4 === 0) return holdSending(newUserId(), { performanceId: roomId, partySize: 1 + random(4) });
    const seat = random(hallSeats) + 1;
    return holdSending(newUserId(), { performanceId: hallId, seats: [seat, (seat % hallSeats) + 1] });
  });
  return { hallId, roomId, ids: [hallId, roomId], sendings };
}

/** The 201s that MySQL does not have. */
export async function missing(sale: Sale, sent: readonly Sent[]): Promise<string[]> {
  const stored = (await Promise.all(sale.ids.map(storedReservations))).flat();
  const held = new Set(stored.filter(({ status }) => status === storedStatus.HELD).map(({ id }) => id));
  return acknowledged(sent).filter((id) => !held.has(id));
}

/** What must hold once everything is at rest: no 201 lost, no seat sold twice, and both stores say the same. */
export async function expectPromisesKept(url: string, sale: Sale, sent: readonly Sent[]): Promise<void> {
  await untilJournalsEmpty(sale.ids);
  expect(await missing(sale, sent)).toEqual([]);
  const soldTo = new Map<number, string>();
  for (const { body } of sent.filter(({ status, body }) => status === 201 && body.seats !== undefined)) {
    for (const seat of body.seats) {
      expect(soldTo.get(seat), `seat ${seat}`).toBeUndefined();
      soldTo.set(seat, body.reservationId);
    }
  }
  for (const id of sale.ids) {
    expect(await brokenPromises(id)).toEqual([]);
    await until(`Redis and MySQL agree on ${id}`, async () => (await disagreements(url, id)).length === 0);
  }
}

export interface FaultInRush {
  /** How many get a place before it happens. */
  readonly afterWins: number;
  /** Makes the fault and ends it; resolves when the cause is gone. */
  readonly fault: () => Promise<void>;
  /** Called at the first place. */
  readonly onFirstWin?: () => void;
}

/**
 * A rush in the middle of which something goes wrong: a third of the sale's people before and during it, some all the time
 * until the cause is gone and the hall is open again, the rest after. Every request must be answered: 201, 409 or 503.
 */
export async function rushThrough(
  url: string,
  sale: Sale,
  { afterWins, fault, onFirstWin = () => {} }: FaultInRush,
): Promise<{ sent: Sent[]; recoveredMs: number }> {
  const third = Math.floor(sale.sendings.length / 3);
  let wins = 0;
  let endedAtMs = Number.POSITIVE_INFINITY;
  let ended: Promise<void> | null = null;
  const sent = await crowd(url, sale.sendings.slice(0, third), {
    onAnswer: ({ status }) => {
      if (status !== 201) return;
      if (++wins === 1) onFirstWin();
      if (wins !== afterWins) return;
      ended = fault().then(() => {
        endedAtMs = performance.now();
      });
    },
  });
  if (ended === null) throw new Error(`only ${wins} got a place before the fault`);
  let next = third;
  while (endedAtMs === Number.POSITIVE_INFINITY && next < 2 * third) {
    sent.push(...(await crowd(url, sale.sendings.slice(next, next + 20))));
    next += 20;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await ended;
  const spare = { performanceId: sale.hallId, seats: spareSeats };
  await until('a free seat can be held again', async () => {
    return (await call(url, 'POST', '/v1/reservations', { userId: newUserId(), body: spare })).status === 201;
  });
  const recoveredMs = performance.now() - endedAtMs;
  sent.push(...(await crowd(url, sale.sendings.slice(next))));
  for (const { status, body } of sent) {
    if (status === 503) expect(['unavailable', 'overloaded']).toContain(body.code);
    else expect([201, 409]).toContain(status);
  }
  return { sent, recoveredMs };
}
