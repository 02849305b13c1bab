/**
 * Payment against what would take the hold away at the same moment: expiry, a rival, cancellation, Redis forgetting.
 *
 * How long the machine takes for a request is not known. So the end of each hold is moved by the outcome of the rounds
 * before: a little earlier after a payment that came in time, a little later after one that did not. The two keep meeting.
 */
import type { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { silentLog } from '../src/logger.ts';
import { RedisConnection } from '../src/lua/connection.ts';
import { performanceKeys } from '../src/lua/keys.ts';
import { RedisHoldStore } from '../src/lua/store.ts';
import { Database } from '../src/persist/database.ts';
import { MysqlLedger } from '../src/persist/ledger.ts';
import { expireJob } from '../src/scheduler/jobs.ts';
import {
  acknowledged,
  countByStatus,
  createPerformance,
  crowd,
  disagreements,
  holdSending,
  metricOf,
  newUserId,
  patient,
  query,
  type Reply,
  redisClient,
  seededRandom,
  startGateway,
  storedReservations,
  storedStatus,
  type TestGateway,
  until,
  untilJournalsEmpty,
} from './harness.ts';
import { brokenSales, cancel, giveMoney, hold, pay } from './money.ts';

const seed = Number(process.env['RUSH_SEED'] ?? 20_260_404);
const price = 500;

let gateway: TestGateway;
let other: TestGateway;
let url: string;
let redis: Redis;
let database: Database;

beforeAll(async () => {
  redis = redisClient();
  gateway = await startGateway(patient);
  other = await startGateway(patient);
  url = gateway.url;
  database = new Database(inject('mysqlUrl'), silentLog, 10);
});

afterAll(async () => {
  await Promise.all([gateway.stop(), other.stop(), database.close()]);
  redis.disconnect();
});

/** One of the two gateways, in turns. */
const at = (i: number): string => (i % 2 === 0 ? url : other.url);

function wait(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}

/** Runs rounds in their order, so many at a time. */
async function inLanes(lanes: number, rounds: number, run: (round: number) => Promise<void>): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (next < rounds) await run(next++);
    }),
  );
}

/** Where two things meet: how long the first one has before the second, moved by who won. */
class Meeting {
  afterMs: number;
  #stepMs = 4;

  constructor(afterMs: number) {
    this.afterMs = afterMs;
  }

  note(wasFirstInTime: boolean): void {
    this.afterMs = Math.max(0, this.afterMs + (wasFirstInTime ? -this.#stepMs : this.#stepMs));
    this.#stepMs = Math.max(1, this.#stepMs * 0.98);
  }
}

interface Sale {
  readonly performanceId: number;
  /** By seat - 1. */
  readonly users: readonly number[];
  readonly ids: readonly string[];
}

/** A hall that is held for an hour, each seat by a user of its own with money for it. */
async function heldHall(seats: number): Promise<Sale> {
  const users = Array.from({ length: seats }, newUserId);
  await giveMoney(users, price);
  const performanceId = await createPerformance(url, { seating: { kind: 'seated', seats }, price, holdSeconds: 3600 });
  const sent = await crowd(
    url,
    users.map((userId, i) => holdSending(userId, { performanceId, seats: [i + 1] })),
  );
  expect(countByStatus(sent)).toEqual({ 201: seats });
  return { performanceId, users, ids: acknowledged(sent) };
}

/** `status code`, without a code for a good one. */
function told({ status, body }: Reply): string {
  return body?.code === undefined ? String(status) : `${status} ${body.code}`;
}

function countEach(outcomes: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

async function statusOf(performanceId: number): Promise<Map<string, number>> {
  return new Map((await storedReservations(performanceId)).map(({ id, status }) => [id, status]));
}

async function untilNoneHeld(performanceId: number): Promise<void> {
  await until('none is held any more', async () => {
    return ![...(await statusOf(performanceId)).values()].includes(storedStatus.HELD);
  });
}

/** Nothing is under way any more, and both stores say the same. */
async function expectRest(performanceId: number): Promise<void> {
  await untilJournalsEmpty([performanceId]);
  expect(await brokenSales(performanceId)).toEqual([]);
  for (const each of [url, other.url]) expect(await disagreements(each, performanceId)).toEqual([]);
}

async function moneyOf(users: readonly number[]): Promise<number> {
  const [row] = await query(`SELECT SUM(balance) AS total FROM balances WHERE user_id IN (${users.join(',')})`);
  return Number(row!['total']);
}

/** Lets a hold end so many milliseconds from now by the clock of MySQL. */
async function endInMysql(reservationId: string, inMs: number): Promise<void> {
  await database.write(
    `UPDATE reservations SET hold_ends_at = NOW(3) + INTERVAL ? MICROSECOND WHERE id = UNHEX(?) AND status = 1`,
    [Math.round(inMs * 1000), reservationId.replaceAll('-', '')],
  );
}

/** The same by the clock of Redis, of a hold of one seat: kept for longer than is told, as hold.lua does. */
async function endInRedis(performanceId: number, reservationId: string, seat: number, inMs: number): Promise<void> {
  const { meta, seats, reservations } = performanceKeys(performanceId);
  const [[seconds, microseconds], grace] = await Promise.all([redis.time(), redis.hget(meta, 'grace')]);
  const finishMs = Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000 + inMs) + Number(grace);
  const userId = /^\d+/.exec((await redis.hget(reservations, reservationId)) ?? '')?.[0];
  // Cold, or loaded anew this moment: then the seat is the owner's for an hour, in Redis.
  if (userId === undefined) return;
  await redis.hset(reservations, reservationId, `${userId} ${finishMs} 0 ${seat}`);
  await redis.hset(seats, seat, `H 1 ${finishMs} ${reservationId}`);
}

it('payment and expiry at the same millisecond, 1,000 rounds: paid with its seat, or expired and not charged', {
  timeout: 120_000,
}, async () => {
  const rounds = 1000;
  const { performanceId, users, ids } = await heldHall(rounds);
  // Expires all the time, as a second leader would: five rounds a second of a scheduler alone would miss most of it.
  const connection = new RedisConnection([inject('redisUrl')], silentLog);
  const counters = { expired: 0, recovered: 0, takenBack: 0 };
  const expire = expireJob(new RedisHoldStore(connection, silentLog), new MysqlLedger(database, () => {}), counters);
  const replies: string[] = [];
  let isOver = false;
  try {
    await connection.connect();
    const expiring = (async () => {
      while (!isOver) {
        await expire.run();
        await wait(1);
      }
    })();
    const meetings = Array.from({ length: 10 }, () => new Meeting(10));
    await inLanes(10, rounds, async (round) => {
      const meeting = meetings[round % 10]!;
      await endInMysql(ids[round]!, meeting.afterMs);
      const reply = await pay(at(round), users[round]!, ids[round]!);
      replies[round] = told(reply);
      meeting.note(reply.status === 201);
    });
    await untilNoneHeld(performanceId);
    isOver = true;
    await expiring;
  } finally {
    isOver = true;
    await connection.close();
  }

  const statuses = await statusOf(performanceId);
  const outcomes = countEach(ids.map((id, round) => `${replies[round]} -> ${statuses.get(id)}`));
  const [paid, late] = [`201 -> ${storedStatus.CONFIRMED}`, `409 reservation_expired -> ${storedStatus.EXPIRED}`];
  console.log('payment against expiry:', outcomes, `expired by the test: ${counters.expired}`);
  expect(Object.keys(outcomes).sort()).toEqual([paid, late]);
  for (const count of Object.values(outcomes)) expect(count, 'each won at times').toBeGreaterThan(rounds / 20);
  expect(await moneyOf(users)).toBe(outcomes[late]! * price);
  await expectRest(performanceId);
});

describe.each(['persisted', 'held'])('with FASTPASS_ACK=%s', (ack) => {
  let pair: TestGateway[];
  beforeAll(async () => {
    const settings = { ...patient, FASTPASS_ACK: ack };
    pair = [await startGateway(settings), await startGateway(settings)];
  });
  afterAll(async () => {
    await Promise.all(pair.map((each) => each.stop()));
  });

  it('payment and a rival for the ending hold, 300 rounds: sold to one or held by the other, and no 201 lost', {
    timeout: 120_000,
  }, async () => {
    const rounds = 300;
    const { performanceId, users, ids } = await heldHall(rounds);
    const meetings = Array.from({ length: 6 }, () => new Meeting(10));
    const results: { paid: string; taken: string }[] = [];
    await inLanes(6, rounds, async (round) => {
      const meeting = meetings[round % 6]!;
      const seat = round + 1;
      const rival = newUserId();
      await endInRedis(performanceId, ids[round]!, seat, meeting.afterMs);
      await endInMysql(ids[round]!, meeting.afterMs);
      let isPaid = false;
      const paying = pay(pair[round % 2]!.url, users[round]!, ids[round]!).then((paid) => {
        isPaid = paid.status === 201;
        return paid;
      });
      // Asks until it has the seat, whoever frees it, or the seat is sold: it meets the payment at any moment of that.
      const taking = (async () => {
        for (;;) {
          const taken = await hold(pair[Math.floor(round / 2) % 2]!.url, rival, { performanceId, seats: [seat] });
          if (taken.status === 201 || isPaid) return taken;
          expect(told(taken)).toBe('409 seat_taken');
          await wait(5);
        }
      })();
      const [paid, taken] = await Promise.all([paying, taking]);
      results[round] = { paid: told(paid), taken: told(taken) };
      meeting.note(paid.status === 201);
      if (taken.status === 201) await cancel(pair[0]!.url, rival, taken.body.reservationId);
    });
    console.log(`payment against a rival (${ack}):`, countEach(results.map(({ paid, taken }) => `${paid} / ${taken}`)));
    await untilNoneHeld(performanceId);
    const statuses = await statusOf(performanceId);
    let both = 0;
    for (const [round, { paid, taken }] of results.entries()) {
      expect(['201', '409 reservation_expired']).toContain(paid);
      expect(['201', '409 seat_taken']).toContain(taken);
      expect(statuses.get(ids[round]!)).toBe(paid === '201' ? storedStatus.CONFIRMED : storedStatus.EXPIRED);
      if (paid === '201' && taken === '201') both++;
    }
    const lostCounts = await Promise.all(pair.map((each) => metricOf(each.url, 'fastpass_acknowledged_lost_total')));
    expect(both, 'sold to one, and the other was told 201').toBe(0);
    expect(lostCounts).toEqual([0, 0]);
    expect(results.filter(({ paid }) => paid === '201').length).toBeGreaterThan(rounds / 20);
    expect(results.filter(({ taken }) => taken === '201').length).toBeGreaterThan(0);
    await expectRest(performanceId);
  });
});

it('payment and cancellation at once, 200 rounds: cancelled, and nobody is poorer', async () => {
  const rounds = 200;
  const { performanceId, users, ids } = await heldHall(rounds);
  const meetings = Array.from({ length: 5 }, () => new Meeting(1));
  const replies: string[] = [];
  await inLanes(5, rounds, async (round) => {
    const meeting = meetings[round % 5]!;
    const [paid, cancelled] = await Promise.all([
      pay(at(round), users[round]!, ids[round]!),
      wait(meeting.afterMs).then(() => cancel(at(Math.floor(round / 2)), users[round]!, ids[round]!)),
    ]);
    expect(cancelled.status).toBe(200);
    replies[round] = `${told(paid)}, refunded ${cancelled.body.refunded}`;
    meeting.note(paid.status === 201);
  });
  const outcomes = countEach(replies);
  console.log('payment against cancellation:', outcomes);
  for (const outcome of Object.keys(outcomes)) {
    expect([`201, refunded ${price}`, '409 reservation_not_payable, refunded 0']).toContain(outcome);
  }
  expect(outcomes[`201, refunded ${price}`]).toBeGreaterThan(rounds / 20);
  expect(new Set((await statusOf(performanceId)).values())).toEqual(new Set([storedStatus.CANCELLED]));
  expect(await moneyOf(users)).toBe(rounds * price);
  await expectRest(performanceId);
  // All of it can be had by others.
  const next = await hold(url, newUserId(), { performanceId, seats: Array.from({ length: 100 }, (_, i) => i + 1) });
  expect(next.status).toBe(201);
});

it('payments and refunds in a rush, while Redis forgets everything again and again, lose no sale and sell none twice', {
  timeout: 120_000,
}, async () => {
  const seats = 400;
  const random = seededRandom(seed);
  const { performanceId, users, ids } = await heldHall(seats);
  const areRefunded: boolean[] = [];
  const flushes: Promise<unknown>[] = [];
  await inLanes(30, seats, async (seat) => {
    expect(told(await pay(at(random(2)), users[seat]!, ids[seat]!))).toBe('201');
    if (seat % 50 === 25) flushes.push(redis.flushall());
    areRefunded[seat] = random(3) === 0;
    if (!areRefunded[seat]) return;
    expect((await cancel(at(random(2)), users[seat]!, ids[seat]!)).body).toMatchObject({ refunded: price });
  });
  await Promise.all(flushes);
  expect(flushes).toHaveLength(8);
  // Every seat is asked for again: those given back are free, the others are sold.
  const again: string[] = [];
  await inLanes(30, seats, async (seat) => {
    again[seat] = told(await hold(at(seat), newUserId(), { performanceId, seats: [seat + 1] }));
  });
  expect(again).toEqual(areRefunded.map((isRefunded) => (isRefunded ? '201' : '409 seat_taken')));
  await expectRest(performanceId);
});
