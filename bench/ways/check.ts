/**
 * What is right, of every way alike. After each measurement, by its counts: each request was a hold or `seat_taken`, no seat
 * was sold twice, as many were sold as were held and asked for. In a trial with its answers kept, one by one: each 201 has its
 * seat, nobody else has one, all others got a 409.
 */

import { headText, requestText, targetOf } from '../load/connection.ts';
import { fire, openConnections } from '../load/fire.ts';
import type { Answer } from '../load/response.ts';
import type { LoadResult } from '../load/wrk.ts';
import type { Contestant, Outcomes } from './contestants.ts';
import type { Sold } from './shop.ts';

const trialSeats = 300;
/** Requests for one and the same seat, all at once, before the others. */
const hotAsks = 64;

function twice(sold: readonly Sold[]): number {
  return sold.length - new Set(sold.map(({ performanceId, seat }) => `${performanceId}:${seat}`)).size;
}

/** What each request may come to: that of a client who has gone in the middle, to nothing. */
const expected = new Set(['held', 'taken', 'left']);

/** How many outcomes there are. */
export function sumOf(outcomes: Outcomes): number {
  return Object.values(outcomes).reduce((sum, count) => sum + count, 0);
}

/**
 * The faults of a measurement, empty for none. The generator ends in the middle: at each connection one more request may
 * have been on its way, and was answered to nobody. `outcomes` are those of the server, which are all of them.
 */
export function faultsOfLoad(
  result: LoadResult,
  outcomes: Outcomes,
  sold: readonly Sold[],
  connections: number,
  asks: number,
  seats: number,
): string[] {
  const faults: string[] = [];
  const { requests, refused, failed } = result;
  const acknowledged = requests - refused;
  // wrk makes one request more at its start, to look at it, and does not send it.
  const asked = Math.ceil((requests + connections + 1) / asks);
  const decided = sumOf(outcomes);
  const strange = Object.fromEntries(Object.entries(outcomes).filter(([name, n]) => n !== 0 && !expected.has(name)));
  const held = outcomes['held'] ?? 0;
  if (failed > 0) faults.push(`${failed} requests without an answer`);
  if (sumOf(strange) !== 0) {
    faults.push(`${sumOf(strange)} answers were neither a hold nor seat_taken: ${JSON.stringify(strange)}`);
  }
  if (decided < requests || decided > requests + connections + 1)
    faults.push(`${requests} answers, ${decided} decided`);
  if (sold.length !== held) faults.push(`${held} held, ${sold.length} sold`);
  if (twice(sold) > 0) faults.push(`${twice(sold)} seats sold twice`);
  if (sold.length < acknowledged) faults.push(`${acknowledged} acknowledged, ${sold.length} sold`);
  if (sold.length > acknowledged + connections) faults.push(`${sold.length} sold, ${acknowledged} acknowledged`);
  // Whoever is refused is refused because somebody else has the seat.
  if (sold.length < Math.floor(requests / asks) - connections || sold.length > asked) {
    faults.push(`${sold.length} sold of ${asked} seats that were asked for`);
  }
  if (asked > seats) faults.push(`${seats} seats were too few: the last requests found none`);
  return faults;
}

/** Empty for a body that is no JSON object, as that of a 500. */
function bodyOf(answer: Answer): Record<string, unknown> {
  try {
    return Object(JSON.parse(answer.body));
  } catch {
    return {};
  }
}

interface Reply {
  readonly seat: number;
  readonly answer: Answer;
}

function faultsOfTrial(performanceId: number, replies: readonly Reply[], sold: readonly Sold[]): string[] {
  const faults: string[] = [];
  const ownerOf = new Map(sold.map((each) => [each.seat, each]));
  const acknowledged = new Set<number>();
  for (const { seat, answer } of replies) {
    const body = bodyOf(answer);
    if (answer.status === 201) {
      const owner = ownerOf.get(seat);
      const isOwner = owner?.reservationId === body['reservationId'] && owner?.userId === body['userId'];
      if (!isOwner || body['performanceId'] !== performanceId || String(body['seats']) !== String(seat)) {
        faults.push(`seat ${seat} was acknowledged as ${answer.body}, and belongs to ${JSON.stringify(owner)}`);
      }
      if (acknowledged.has(seat)) faults.push(`seat ${seat} was acknowledged twice`);
      acknowledged.add(seat);
    } else if (answer.status !== 409 || body['code'] !== 'seat_taken') {
      faults.push(`seat ${seat} was answered ${answer.status} ${answer.body}`);
    }
  }
  if (twice(sold) > 0) faults.push(`${twice(sold)} seats sold twice`);
  if (sold.length !== acknowledged.size) faults.push(`${sold.length} sold, ${acknowledged.size} acknowledged`);
  if (acknowledged.size !== trialSeats) faults.push(`${acknowledged.size} of ${trialSeats} seats were acknowledged`);
  return faults;
}

/** Asks for one seat many times and for the others `asks` times each; returns the faults, empty for none. */
export async function tryOut(
  contestant: Contestant,
  tokens: readonly string[],
  connections: number,
  asks: number,
): Promise<string[]> {
  const performanceId = await contestant.performance(trialSeats);
  const target = targetOf(contestant.url);
  const seatOf = (index: number): number => (index < hotAsks ? 1 : Math.floor((index - hotAsks) / asks) + 2);
  const total = hotAsks + asks * (trialSeats - 1);
  const replies: Reply[] = [];
  const lost: string[] = [];
  await fire({
    target,
    connections: await openConnections(target, Math.min(connections, total)),
    total,
    textOf(index) {
      const authorization = `Bearer ${tokens[index % tokens.length]}`;
      const head = headText('POST', target, '/v1/reservations', { authorization, 'content-type': 'application/json' });
      return requestText(head, JSON.stringify({ performanceId, seats: [seatOf(index)] }));
    },
    onAnswer: (index, answer) => replies.push({ seat: seatOf(index), answer }),
    onLost: (index, reason) => lost.push(`request ${index}: ${reason}`),
  });
  await contestant.settled();
  return [...lost, ...faultsOfTrial(performanceId, replies, await contestant.sold([performanceId]))];
}
