/**
 * Everything the running system asks of MySQL: each function of src/persist, called as the gateway and its jobs call it,
 * on a few rows, and full batches apart. plans.test.ts explains these statements on a small database and finds what is
 * missing here; the statements bench measures them on a large one. What only a start asks (migrations) is not among them.
 */
import { newReservationId } from '../../src/domain/ids.ts';
import type { Hold } from '../../src/domain/reservation.ts';
import { charge, listEntries, readBalance } from '../../src/persist/balances.ts';
import type { Database } from '../../src/persist/database.ts';
import { persistHolds } from '../../src/persist/holds.ts';
import { isMigrated } from '../../src/persist/migrate.ts';
import { deleteOutbox, readOutbox } from '../../src/persist/outbox.ts';
import { pay, readRefunded, refund } from '../../src/persist/payments.ts';
import {
  countRemaining,
  insertEvent,
  insertPerformance,
  isOfDemo,
  listEvents,
  listPerformances,
  listUpcoming,
  readChangedSeats,
  readEvent,
  readPerformance,
  readSnapshot,
} from '../../src/persist/performances.ts';
import { cancelHeld, expireDue } from '../../src/persist/releases.ts';
import { type ListOptions, listReservations, readReservation } from '../../src/persist/reservations.ts';
import { readDraws, readRoom, writeDraw, writeIssued, writeRoom } from '../../src/persist/rooms.ts';
import { deleteEnded, findUser, insertRevoked, insertUser, makeAdmin, readRevoked } from '../../src/persist/users.ts';

/** What the questions are about. */
export interface Ground {
  /** On sale, with free seats, and with free places. */
  readonly hallId: number;
  readonly openId: number;
  /** Sold long ago. */
  readonly pastHallId: number;
  readonly eventId: number;
  /** Who reads, and has some reservations; who has very many. */
  readonly userId: number;
  readonly regularId: number;
  /** Who holds and pays; batches are of this one and those after. */
  readonly buyerId: number;
}

/** Runs one question on a database whose statements are watched; `name` is what it is called in a report. */
export type Ask = <Result>(name: string, work: (on: Database) => Promise<Result>) => Promise<Result>;

/** What a round needs: how to ask, how to prepare unseen, and what about. */
interface Round {
  readonly ask: Ask;
  /** Not watched. */
  readonly database: Database;
  readonly ground: Ground;
}

const holdMs = 300_000;
/** Stored as held, and over at the next look: a party whose time is over before is written down as expired at once. */
const lapsingMs = 1;
/** A page and the row that tells whether there is a next one. */
const pageLimit = 21;
const expireMax = 500;
const relayMax = 50;
/** Half of a full batch of holds: as many seats as places. */
const halfBatch = 100;
const moneyAmount = 1_000_000;
const ignore = (): void => {};

/** Asks everything once. Leaves a few rows behind; may be called any number of times on the same ground. */
export async function askEverything(ask: Ask, database: Database, ground: Ground): Promise<void> {
  const round = { ask, database, ground };
  await askCatalogue(round);
  await askHolds(round);
  await askReleases(round);
  await askLists(round);
  await askMoney(round);
  await askRefusals(round);
  await askAccounts(round);
  await askRooms(round);
  await askJobs(round);
}

/** What the batcher and the jobs ask when they are full: 200 holds at once, all of them over at once. */
export async function askBatches(ask: Ask, database: Database, ground: Ground): Promise<void> {
  const holds = await hallHolds({ ask, database, ground }, halfBatch, 1);
  for (let i = 0; i < halfBatch; i++) holds.push(holdOf(ground.openId, 0, { partySize: 1 }));
  const lapsed = holds.map((hold, i) => ({ ...hold, userId: ground.buyerId + i, holdMs: lapsingMs }));
  await ask('hold 100 seats and 100 places', (on) => persist(on, lapsed));
  await untilLapsed(database);
  const releases = await ask('expire them', (on) => expireDue(on, expireMax));
  if (releases.length < holds.length) throw new Error(`${releases.length} holds of ${holds.length} have expired`);
  await relay(ask);
}

async function askCatalogue({ ask, ground }: Round): Promise<void> {
  const { hallId, openId, pastHallId, eventId } = ground;
  const newEventId = await ask('create an event', (on) => insertEvent(on, 'Event', null, false));
  await ask('read an event', (on) => readEvent(on, newEventId));
  await ask('list the events', listEvents);
  const plan = {
    eventId: newEventId,
    startsAtMs: Date.now() - 1000,
    bookingOpensAtMs: null,
    bookingClosesAtMs: null,
    price: 100,
    holdSeconds: 300,
    maxReservationsPerUser: 4,
  };
  const hall = { kind: 'seated', seats: 100, seatsPerRow: 50 } as const;
  await ask('create a performance of 100 seats', (on) => insertPerformance(on, { ...plan, seating: hall }));
  const room = { kind: 'capacity', capacity: 100, maxPartySize: 4 } as const;
  await ask('create a performance of 100 places', (on) => insertPerformance(on, { ...plan, seating: room }));
  await ask('list the performances of an event', (on) => listPerformances(on, eventId));
  await ask('list what is on sale soon', (on) => listUpcoming(on, 1000));
  for (const performanceId of [hallId, openId]) {
    const performance = await ask('read a performance', (on) => readPerformance(on, performanceId));
    await ask('count the free places, Redis away', (on) => countRemaining(on, performance!));
    await ask('may it be rehearsed', (on) => isOfDemo(on, performanceId));
  }
  await ask('read the seat map, Redis away', (on) => readChangedSeats(on, hallId));
  await ask('warm a hall on sale', (on) => readSnapshot(on, hallId));
  await ask('warm a hall that is sold', (on) => readSnapshot(on, pastHallId));
  await ask('warm a performance of places', (on) => readSnapshot(on, openId));
}

function holdOf(performanceId: number, userId: number, what: Partial<Hold>): Hold {
  return {
    reservationId: newReservationId(),
    performanceId,
    userId,
    seats: [],
    partySize: 0,
    versions: [],
    amount: 100,
    holdMs,
    expiresAtMs: Date.now() + holdMs,
    journal: null,
    supersedes: [],
    ...what,
  };
}

/** Holds of free seats, `seatsEach` a hold. */
async function hallHolds({ database, ground }: Round, count: number, seatsEach: number): Promise<Hold[]> {
  const { hallId, buyerId } = ground;
  const sql = 'SELECT seat, version FROM seats WHERE performance_id = ? AND status = 0 ORDER BY seat LIMIT ?';
  const rows = await database.rows(sql, [hallId, count * seatsEach]);
  if (rows.length < count * seatsEach) throw new Error(`performance ${hallId} has too few free seats`);
  return Array.from({ length: count }, (_, i) => {
    const mine = rows.slice(i * seatsEach, (i + 1) * seatsEach);
    const versions = mine.map((row) => (row['version'] as number) + 1);
    return holdOf(hallId, buyerId, { seats: mine.map((row) => row['seat'] as number), versions });
  });
}

async function persist(on: Database, holds: readonly Hold[]): Promise<void> {
  const results = await persistHolds(on, holds, ignore);
  if (results.some((result) => result !== 'persisted')) throw new Error(`holds were refused: ${results.join(' ')}`);
}

/** By MySQL's own clock. */
async function untilLapsed(database: Database): Promise<void> {
  await database.rows('SELECT SLEEP(?)', [(2 * lapsingMs) / 1000]);
}

async function askHolds(round: Round): Promise<void> {
  const { ask, database, ground } = round;
  const [one, taken] = await hallHolds(round, 2, 1);
  await ask('hold a seat', (on) => persist(on, [one!]));
  await ask('hold it again, a repeat', (on) => persist(on, [one!]));
  const party = holdOf(ground.openId, ground.buyerId, { partySize: 3 });
  await ask('hold three places', (on) => persist(on, [party]));
  const lapsed = { ...taken!, holdMs: 0 };
  await persist(database, [lapsed]);
  const versions = lapsed.versions.map((version) => version + 2);
  const over = { ...lapsed, holdMs, reservationId: newReservationId(), versions, supersedes: [lapsed.reservationId] };
  await ask('hold a seat of a lapsed hold', (on) => persist(on, [over]));
  const batch = await hallHolds(round, 10, 2);
  await ask('hold 20 seats and 3 places, a batch', (on) =>
    persist(on, [...batch, holdOf(ground.openId, ground.buyerId, { partySize: 3 })]),
  );
  const given = [one!, party, over];
  for (const { reservationId } of given) await ask('cancel a hold', (on) => cancelHeld(on, reservationId));
  for (const { reservationId } of batch) await cancelHeld(database, reservationId);
}

async function askReleases(round: Round): Promise<void> {
  const { ask, database, ground } = round;
  const holds = await hallHolds(round, 3, 2);
  holds.push(holdOf(ground.openId, ground.buyerId, { partySize: 2 }));
  await persist(
    database,
    holds.map((hold) => ({ ...hold, holdMs: lapsingMs })),
  );
  await untilLapsed(database);
  const releases = await ask('expire what is due', (on) => expireDue(on, expireMax));
  if (releases.length < holds.length) throw new Error(`${releases.length} holds of ${holds.length} have expired`);
}

async function askLists({ ask, ground }: Round): Promise<void> {
  const { userId, regularId } = ground;
  const ofUser: ListOptions = { userId, status: null, before: null, limit: pageLimit };
  const [newest] = await ask('list the reservations of a user', (on) => listReservations(on, ofUser));
  await ask('read a reservation', (on) => readReservation(on, newest!.reservationId));
  const ofRegular = { ...ofUser, userId: regularId };
  const page = await ask('list the reservations of a regular', (on) => listReservations(on, ofRegular));
  const before = page.at(-1)!.reservationId;
  await ask('list their next page', (on) => listReservations(on, { ...ofRegular, before }));
  for (const status of ['HELD', 'CONFIRMED', 'EXPIRED'] as const) {
    const name = status.toLowerCase();
    await ask(`list their ${name} ones`, (on) => listReservations(on, { ...ofRegular, status }));
    await ask(`list their older ${name} ones`, (on) => listReservations(on, { ...ofRegular, status, before }));
  }
  const entries = await ask('list the entries of a regular', (on) => listEntries(on, regularId, null, pageLimit));
  await ask('list their older entries', (on) => listEntries(on, regularId, entries.at(-1)!.id, pageLimit));
}

async function askMoney(round: Round): Promise<void> {
  const { ask, database, ground } = round;
  const { buyerId, openId } = ground;
  const requestId = newReservationId();
  await ask('charge a balance', (on) => charge(on, buyerId, moneyAmount, requestId));
  await ask('charge it again, a repeat', (on) => charge(on, buyerId, moneyAmount, requestId));
  await ask('read a balance', (on) => readBalance(on, buyerId));
  const [seated] = await hallHolds(round, 1, 2);
  const party = holdOf(openId, buyerId, { partySize: 2 });
  await persist(database, [seated!, party]);
  for (const { reservationId, seats } of [seated!, party]) {
    const what = seats.length > 0 ? 'two seats' : 'two places';
    const result = await ask(`pay ${what}`, (on) => pay(on, reservationId, buyerId));
    if (result.kind !== 'paid') throw new Error(`${what} could not be paid: ${result.kind}`);
    await ask('pay again, a repeat', (on) => pay(on, reservationId, buyerId));
    await ask('cancel what may be held', (on) => cancelHeld(on, reservationId));
    await ask(`refund ${what}`, (on) => refund(on, reservationId));
    await ask('read what was refunded', (on) => readRefunded(on, reservationId));
  }
}

/** Payments that come to nothing, and the first charge of a user of an outside provider, who has no rows yet. */
async function askRefusals(round: Round): Promise<void> {
  const { ask, database, ground } = round;
  const strangerId = Date.now() * 1000 + Math.floor(Math.random() * 1000);
  const [seated] = await hallHolds(round, 1, 1);
  const hold = { ...seated!, userId: strangerId };
  await persist(database, [hold]);
  await ask('pay with an empty balance', (on) => pay(on, hold.reservationId, strangerId));
  await ask('pay the hold of another', (on) => pay(on, hold.reservationId, ground.buyerId));
  await ask('charge a first time', (on) => charge(on, strangerId, 1, newReservationId()));
  await cancelHeld(database, hold.reservationId);
}

async function askAccounts({ ask }: Round): Promise<void> {
  const email = `${newReservationId()}@example.org`;
  const passwordHash = 'x'.repeat(97);
  await ask('sign up', async (on) => {
    await findUser(on, email);
    await insertUser(on, { email, name: null, role: 'user', passwordHash });
  });
  const user = await ask('log in', (on) => findUser(on, email));
  await ask('make an admin', (on) => makeAdmin(on, user!.userId, passwordHash));
  const tokenId = newReservationId().replaceAll('-', '');
  await ask('log out', (on) => insertRevoked(on, { tokenId, endsAtMs: Date.now() - 1000 }));
  await ask('forget ended tokens', (on) => deleteEnded(on, 1000));
  await ask('load the revoked tokens', readRevoked);
}

async function askRooms({ ask, ground }: Round): Promise<void> {
  const performanceId = ground.hallId;
  const settings = { mode: 'on', admitPerSecond: 50, maxActive: 500, passSeconds: 300 } as const;
  const room = await ask('set a waiting room', (on) =>
    writeRoom(on, performanceId, { ...settings, opensAtMs: null, drawBeforeOpen: true }),
  );
  await ask('read a waiting room', (on) => readRoom(on, performanceId));
  await ask('write down the tickets given out', (on) => writeIssued(on, performanceId, room.issued + 1));
  const draw = { performanceId, firstArrival: 1, lastArrival: 500, seed: '0b'.repeat(32) };
  await ask('write down a draw', (on) => writeDraw(on, draw));
  await ask('read the draws', (on) => readDraws(on, performanceId));
}

async function askJobs({ ask }: Round): Promise<void> {
  await relay(ask);
  await ask('am I ready', isMigrated);
}

/** Takes what the questions before have left in the outbox, as the job does: until a look finds fewer rows than it could. */
async function relay(ask: Ask): Promise<void> {
  for (let count = relayMax; count === relayMax; ) {
    count = await ask('relay the outbox', async (on) => {
      const ids = (await readOutbox(on, relayMax)).map(({ id }) => id);
      if (ids.length > 0) await deleteOutbox(on, ids);
      return ids.length;
    });
  }
}
