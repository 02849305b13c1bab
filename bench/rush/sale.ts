/** The performance that is rushed, and the text of every request. */
import { FastpassClient, type Result } from '../../src/client/index.ts';
import { mintToken } from '../../src/gateway/auth.ts';
import { Connection, headText, requestText, type Target } from '../load/connection.ts';
import { seededRandom } from '../load/statistics.ts';
import type { Sale } from './options.ts';
import type { Rush } from './run.ts';

/** Far above the ids of accounts: the users of a rush are nobody's. */
const userIdFirst = 1_000_000_000_001;
const adminUserId = 1_000_000_000_000;
const tokenSeconds = 3600;
/** No hold ends during the rush: what is sold stays sold until it is counted. */
const holdSeconds = 3600;

/** Creates an event with one performance over the API; returns the performance's id. Rejects with the gateway's answer. */
export async function createSale(target: Target, jwtSecret: string, sale: Sale): Promise<number> {
  // The client would try again for some seconds: where nobody listens the rush is over at once.
  (await Connection.open(target)).close();
  const { host, port } = target;
  const client = new FastpassClient({
    baseUrl: `http://${host.includes(':') ? `[${host}]` : host}:${port}`,
    token: mintToken(jwtSecret, adminUserId, 'admin', tokenSeconds),
  });
  const seating =
    sale.kind === 'capacity'
      ? { kind: sale.kind, capacity: sale.capacity, maxPartySize: sale.party }
      : { kind: sale.kind, seats: sale.seats };
  const startsAt = new Date(Date.now() + 24 * 3600 * 1000).toISOString();
  const event = createdOf(await client.createEvent({ name: 'Rush' }));
  const performance = { startsAt, price: 1000, holdSeconds, maxReservationsPerUser: 1, seating };
  return createdOf(await client.createPerformance(event.eventId, performance)).performanceId;
}

function createdOf<Value>(result: Result<Value>): Value {
  if (result.ok) return result.value;
  throw new Error(`the gateway answered ${result.status} ${JSON.stringify(result.problem).slice(0, 500)}`);
}

/** The user of request `index`, counted from 0: the repeats of a user are neighbours and so go out side by side. */
export function userOf(index: number, repeat: number): number {
  return Math.floor(index / repeat);
}

/** The id of a user counted from 0. */
export function userIdOf(user: number): number {
  return userIdFirst + user;
}

/**
 * Mints the tokens; returns what makes the text of request `index`. Call that in order: random seats are drawn as it goes,
 * anew for each repeat, since somebody who was refused tries other seats.
 */
export function prepareRequests(
  target: Target,
  jwtSecret: string,
  performanceId: number,
  rush: Rush,
): (index: number) => string {
  const { users, repeat, sale, seed, firstUser } = rush;
  const heads = Array.from({ length: users }, (_, user) =>
    headText('POST', target, '/v1/reservations', {
      authorization: `Bearer ${mintToken(jwtSecret, userIdOf(firstUser + user), 'user', tokenSeconds)}`,
      'content-type': 'application/json',
    }),
  );
  if (sale.kind === 'capacity') {
    const body = JSON.stringify({ performanceId, partySize: sale.party });
    return (index) => requestText(heads[userOf(index, repeat)]!, body);
  }
  const random = seededRandom(seed);
  return (index) => {
    const seats = drawSeats(random, sale.seats, sale.seatsPerRequest);
    return requestText(
      heads[userOf(index, repeat)]!,
      `{"performanceId":${performanceId},"seats":[${seats.join(',')}]}`,
    );
  };
}

/** `count` different seats of 1 to `seats`. */
function drawSeats(random: () => number, seats: number, count: number): number[] {
  const drawn: number[] = [];
  while (drawn.length < count) {
    const seat = 1 + Math.floor(random() * seats);
    if (!drawn.includes(seat)) drawn.push(seat);
  }
  return drawn;
}
