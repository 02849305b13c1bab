/** The demo sale of a first start: something to hold without any set-up. */
import type { Catalog } from './catalog.ts';

/** The performances to try: the newest of an event that has both kinds. */
export interface Demo {
  readonly seatedId: number;
  readonly capacityId: number;
  /** Two seats that are free now. */
  readonly seats: readonly [number, number];
}

const dayMs = 24 * 3600 * 1000;
const seatsOfDemo = 1000;
const seatsPerRow = 50;
const capacityOfDemo = 40;

/** Makes the demo event where the database has no event at all. Returns true when it did. */
export async function createDemo(catalog: Catalog): Promise<boolean> {
  if ((await catalog.listEvents()).length > 0) return false;
  const event = await catalog.createEvent(
    'Demo: a night to remember',
    'Made at the first start, to try fastpass with.',
    true,
  );
  if (event === null) return false;
  const common = {
    eventId: event.eventId,
    startsAtMs: Math.ceil(Date.now() / dayMs + 30) * dayMs,
    bookingOpensAtMs: null,
    bookingClosesAtMs: null,
    holdSeconds: 300,
    maxReservationsPerUser: 1,
  };
  await catalog.createPerformance({
    ...common,
    price: 5000,
    seating: { kind: 'seated', seats: seatsOfDemo, seatsPerRow },
  });
  await catalog.createPerformance({
    ...common,
    price: 1500,
    seating: { kind: 'capacity', capacity: capacityOfDemo, maxPartySize: 10 },
  });
  return true;
}

/** Finds what the printed examples use, or null where the oldest event has no seats to offer. */
export async function findDemo(catalog: Catalog): Promise<Demo | null> {
  const oldest = (await catalog.listEvents()).at(-1);
  if (oldest === undefined) return null;
  const views = (await catalog.listPerformances(oldest.eventId)) ?? [];
  const seated = views.find(({ performance }) => performance.seating.kind === 'seated');
  const capacity = views.find(({ performance }) => performance.seating.kind === 'capacity');
  if (seated === undefined || capacity === undefined || seated.performance.seating.kind !== 'seated') return null;
  const { performanceId, seating } = seated.performance;
  const map = await catalog.readSeats(performanceId, null);
  const free: number[] = [];
  for (let seat = 1; seat <= seating.seats && free.length < 2; seat++) if (!map?.taken.has(seat)) free.push(seat);
  const [first, second] = free;
  if (first === undefined || second === undefined) return null;
  return { seatedId: performanceId, capacityId: capacity.performance.performanceId, seats: [first, second] };
}
