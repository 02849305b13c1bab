/** The promises, checked on what the stores have: at every step those that always hold, at the end those of a world at rest. */
import { compare } from '../../src/domain/compare.ts';
import { ReservationStatus, SeatStatus } from '../../src/domain/reservation.ts';
import { viewOf } from './view.ts';
import { hallId, performanceIds, type World } from './world.ts';

/** A hold ends in MySQL so much later than in Redis: a reply may take a second, a commit three. */
const lagMsMax = 4000;

/** Never a seat with two owners, never more places than there are, never money that nobody has. */
export function checkAlways(world: World): void {
  checkSales(world);
  checkBooks(world);
  checkRoom(world);
}

function checkSales(world: World): void {
  for (const performanceId of performanceIds) {
    const { performance, live, ownerOf, seats, remaining } = world.mysql.performances.get(performanceId)!;
    const owners = new Map<number, string>();
    const perUser = new Map<number, number>();
    let places = 0;
    for (const { reservationId, userId, seats: own, partySize, status, holdEndsAtMs } of live.values()) {
      // One whose time is over is expired in a moment, and is none of the user's any more.
      const isOver = status === ReservationStatus.HELD && holdEndsAtMs <= world.mysql.nowMs() + lagMsMax;
      if (!isOver) perUser.set(userId, (perUser.get(userId) ?? 0) + 1);
      places += partySize;
      const wanted = status === ReservationStatus.CONFIRMED ? SeatStatus.OCCUPIED : SeatStatus.HELD;
      for (const seat of own) {
        if (owners.has(seat)) world.fail(`seat ${seat} belongs to ${owners.get(seat)} and ${reservationId}`);
        owners.set(seat, reservationId);
        if (ownerOf.get(seat) !== reservationId) world.fail(`${reservationId} does not own seat ${seat}`);
        if (seats.get(seat)?.status !== wanted) world.fail(`seat ${seat} of ${reservationId} has another status`);
      }
    }
    if (owners.size !== ownerOf.size) world.fail(`${ownerOf.size} seats have owners, ${owners.size} are reserved`);
    for (const [seat, { status }] of seats) {
      if ((status === SeatStatus.AVAILABLE) !== !owners.has(seat)) world.fail(`seat ${seat} has status ${status}`);
    }
    if (performance.seating.kind === 'capacity') {
      if (places + remaining !== performance.seating.capacity || remaining < 0) {
        world.fail(`${places} places are sold, ${remaining} remain of ${performance.seating.capacity}`);
      }
    }
    for (const [userId, count] of perUser) {
      // The limit is Redis' alone: until it is told of a sale, or where its clock jumps, it believes a hold over.
      if (!world.isRedisTold) break;
      if (count > performance.maxReservationsPerUser) world.fail(`user ${userId} has ${count} reservations`);
    }
  }
}

function checkBooks(world: World): void {
  for (const [userId, { balance, entries }] of world.mysql.accounts) {
    let sum = 0;
    for (const entry of entries) {
      sum += entry.amount;
      if (entry.balance !== sum) world.fail(`an entry of user ${userId} says ${entry.balance}, the sum is ${sum}`);
      if (sum < 0) world.fail(`user ${userId} was overdrawn`);
    }
    if (balance !== sum) world.fail(`user ${userId} has ${balance}, the sum of the entries is ${sum}`);
  }
}

function checkRoom(world: World): void {
  if (world.room === null || world.hasRedisLost) return;
  const { active } = world.redis.of(hallId);
  if (active.size > world.room.maxActive) world.fail(`${active.size} are inside, ${world.room.maxActive} may be`);
  const { admitted } = world;
  for (let i = 1; i < admitted.length; i++) {
    if (admitted[i]! <= admitted[i - 1]!) world.fail(`number ${admitted[i]} was let in after ${admitted[i - 1]}`);
  }
}

/** Once everything has had its time: nothing is on its way, and Redis says what MySQL says. */
export async function checkAtRest(world: World): Promise<void> {
  for (const { name, flush, places } of world.gateways) {
    const depths = [flush.queue.depth, flush.commits.queue.depth, places.queue.depth];
    if (depths.some((depth) => depth > 0)) world.fail(`${name} has work left: ${depths}`);
    if (flush.commits.counters.acknowledgedLost > 0) world.fail(`${name} counts acknowledged holds that were lost`);
  }
  for (const { reservationId, status } of world.mysql.reservations.values()) {
    const payment = world.mysql.payments.get(reservationId);
    const isPaid = payment !== undefined && !payment.isRefunded;
    if (isPaid !== (status === ReservationStatus.CONFIRMED)) {
      world.fail(`${reservationId} has status ${status} and is ${isPaid ? '' : 'not '}paid`);
    }
    if (status === ReservationStatus.HELD) world.fail(`${reservationId} is held still`);
  }
  for (const performanceId of performanceIds) {
    const { journal } = world.redis.of(performanceId);
    if (journal.length > 0) world.fail(`the journal of ${performanceId} has ${journal.length} entries left`);
    const view = viewOf(world.redis, performanceId);
    if (view === null) continue;
    const snapshot = (await world.mysql.readSnapshot(performanceId))!;
    const comparison = compare(snapshot, view);
    let step = comparison.next();
    while (step.done !== true) step = comparison.next();
    for (const { kind, subject, redis, mysql } of step.value) {
      world.fail(`${performanceId}: ${kind} ${subject}: redis has ${redis}, mysql ${mysql}`);
    }
  }
}
