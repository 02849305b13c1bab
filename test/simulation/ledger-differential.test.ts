/**
 * The fake of MySQL against the real one: the same seeded steps, each with the same result, and the same data after them.
 * The real server's clock is set by hand too, so that every moment is the same for both.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../bench/load/statistics.ts';
import { uuidFromBytes } from '../../src/domain/ids.ts';
import { type Hold, type Release, reservationStatusName } from '../../src/domain/reservation.ts';
import type { Ledger, MoneyLedger, RoomLedger } from '../../src/domain/stores.ts';
import { balanceMax } from '../../src/persist/balances.ts';
import { planOf } from '../ledger.contract.ts';
import { type MysqlUnderTest, openMysqlLedger } from '../mysql-ledger.ts';
import { MemoryLedger, MemoryMoney, MemoryMysql, MemoryRoomLedger } from './memory-ledger.ts';

const firstSeed = Number(process.env['LEDGER_SEED'] ?? 1);
const sequences = Number(process.env['LEDGER_SEEDS'] ?? 40);
const stepsMax = 60;
const seats = 8;
const capacity = 12;
const price = 100;

/** One of the two, as a step sees it. */
interface Side {
  readonly ledger: Ledger;
  readonly money: MoneyLedger;
  readonly rooms: RoomLedger;
}

interface Step {
  readonly name: string;
  readonly act: (side: Side) => Promise<unknown>;
}

/** The text of a result that both sides must have in common: ids that each makes for itself are left out. */
function normal(value: unknown): unknown {
  const text = JSON.stringify(value, (key, part: unknown) => (key === 'paymentId' ? 'made' : part)) ?? 'undefined';
  return JSON.parse(text === 'undefined' ? 'null' : text);
}

async function outcomeOf(act: Promise<unknown>): Promise<unknown> {
  try {
    return { result: normal(await act) };
  } catch (thrown) {
    return { thrown: thrown instanceof Error ? thrown.name : thrown };
  }
}

let real: MysqlUnderTest;
let fake: MemoryMysql;
let nowMs = Date.UTC(2027, 0, 1);
/** What each side has told its process to be expired since the last look. */
const told: { real: Release[][]; fake: Release[][] } = { real: [], fake: [] };
let sides: { real: Side; fake: Side };

/** Sets both clocks. NOW(3) cuts what is less than a millisecond off: half a one more is no other moment. */
async function passTime(ms: number): Promise<void> {
  nowMs += ms;
  await real.database.write(`SET timestamp = ${Math.floor(nowMs / 1000)}.${String(nowMs % 1000).padStart(3, '0')}5`);
}

beforeAll(async () => {
  // One connection, whose clock it is.
  real = await openMysqlLedger({ connectionsMax: 1, onExpired: (releases) => told.real.push([...releases]) });
  fake = new MemoryMysql(() => nowMs);
  sides = {
    real: { ledger: real.ledger, money: real.money, rooms: real.rooms[0] },
    fake: {
      ledger: new MemoryLedger(fake, (releases) => told.fake.push([...releases])),
      money: new MemoryMoney(fake),
      rooms: new MemoryRoomLedger(fake),
    },
  };
});

afterAll(() => real.close());

/** Everything there is of these performances and users, from either side, in one shape. */
async function realState(performances: readonly number[], users: readonly number[]): Promise<unknown> {
  const reservations = await real.database.rows(
    `SELECT id, performance_id, user_id, status, party_size, amount, expires_at, hold_ends_at FROM reservations
     WHERE performance_id IN (?) ORDER BY id`,
    [performances],
  );
  const payments = await real.database.rows(
    `SELECT p.reservation_id, p.user_id, p.amount, p.balance, p.status FROM payments p
     WHERE p.performance_id IN (?) ORDER BY p.reservation_id`,
    [performances],
  );
  return {
    performances: await Promise.all(
      performances.map(async (id) => [snapshotOf(await real.snapshot(id)), await real.remaining(id)]),
    ),
    draws: await Promise.all(performances.map((id) => real.rooms[0].readDraws(id))),
    reservations: reservations.map((row) => ({
      id: uuidFromBytes(row['id']),
      performanceId: row['performance_id'],
      userId: row['user_id'],
      status: reservationStatusName(row['status']),
      partySize: row['party_size'],
      amount: row['amount'],
      expiresAtMs: (row['expires_at'] as Date).getTime(),
      endsAtMs: (row['hold_ends_at'] as Date).getTime(),
    })),
    payments: payments.map((row) => ({
      id: uuidFromBytes(row['reservation_id']),
      userId: row['user_id'],
      amount: row['amount'],
      balance: row['balance'],
      isRefunded: row['status'] === 2,
    })),
    books: await Promise.all(users.map((userId) => real.books(userId))),
  };
}

async function fakeState(performances: readonly number[], users: readonly number[]): Promise<unknown> {
  const reservations = [...fake.reservations.values()]
    .filter(({ performanceId }) => performances.includes(performanceId))
    .sort((a, b) => (a.reservationId < b.reservationId ? -1 : 1));
  return {
    performances: await Promise.all(
      performances.map(async (id) => [snapshotOf(await fake.readSnapshot(id)), fake.performances.get(id)!.remaining]),
    ),
    draws: await Promise.all(performances.map((id) => sides.fake.rooms.readDraws(id))),
    reservations: reservations.map((reservation) => ({
      id: reservation.reservationId,
      performanceId: reservation.performanceId,
      userId: reservation.userId,
      status: reservationStatusName(reservation.status),
      partySize: reservation.partySize,
      amount: reservation.amount,
      expiresAtMs: reservation.expiresAtMs,
      endsAtMs: reservation.holdEndsAtMs,
    })),
    payments: reservations.flatMap(({ reservationId }) => {
      const payment = fake.payments.get(reservationId);
      if (payment === undefined) return [];
      const { userId, amount, balance, isRefunded } = payment;
      return { id: reservationId, userId, amount, balance, isRefunded };
    }),
    books: users.map((userId) => fake.accounts.get(userId) ?? { balance: 0, entries: [] }),
  };
}

/** A snapshot with its reservations, which come in no order, in one. */
function snapshotOf(snapshot: Awaited<ReturnType<MemoryMysql['readSnapshot']>>): unknown {
  if (snapshot === null) return null;
  const { ownerOf, reservations } = snapshot;
  return {
    ...snapshot,
    ownerOf: [...ownerOf].sort(([a], [b]) => a - b),
    reservations: [...reservations].sort((a, b) => (a.reservationId < b.reservationId ? -1 : 1)),
  };
}

/** Makes the steps of one sequence, from what the fake has become so far. */
class Sequence {
  readonly users: readonly number[];
  readonly performances: number[] = [];
  readonly #random: () => number;
  readonly #hall: number;
  readonly #club: number;
  readonly #holds: Hold[] = [];
  readonly #requests: string[] = [];

  constructor(seed: number, hall: number, club: number) {
    this.#random = seededRandom(seed);
    this.#hall = hall;
    this.#club = club;
    this.performances.push(hall, club);
    this.users = [1, 2, 3, 4].map((i) => hall * 10 + i);
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  pick<Value>(values: readonly Value[]): Value {
    return values[Math.floor(this.#random() * values.length)]!;
  }

  /** An id in no order: what goes by the order of ids must not go by that of time. */
  #newId(): string {
    const digits = Array.from({ length: 32 }, () => Math.floor(this.#random() * 16).toString(16)).join('');
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  }

  next(): Step {
    const at = this.#random();
    if (at < 0.35) return this.#persist();
    if (at < 0.48) return this.#charge();
    if (at < 0.64) return this.#pay();
    if (at < 0.72)
      return this.#of(
        'cancelHeld',
        (id) =>
          ({ money }) =>
            money.cancelHeld(id),
      );
    if (at < 0.79)
      return this.#of(
        'refund',
        (id) =>
          ({ money }) =>
            money.refund(id),
      );
    if (at < 0.82)
      return this.#of(
        'readRefunded',
        (id) =>
          ({ money }) =>
            money.readRefunded(id),
      );
    if (at < 0.94) return this.#expire();
    return this.#room();
  }

  #persist(): Step {
    const batch: Hold[] = [];
    const versions = new Map<number, number>();
    const size = 1 + Math.floor(this.#random() * this.pick([1, 3, 7]));
    while (batch.length < size) {
      const isAgain = this.#holds.length > 0 && this.chance(0.2);
      batch.push(isAgain ? this.#again() : this.#grant(batch, versions));
    }
    this.#holds.push(...batch);
    return { name: `persistHolds ${JSON.stringify(batch)}`, act: ({ ledger }) => ledger.persistHolds(batch) };
  }

  /** An earlier hold, as it was, or granted anew under the same id. */
  #again(): Hold {
    const hold = this.pick(this.#holds);
    if (this.chance(0.6)) return hold;
    return { ...hold, versions: hold.versions.map((version) => version + this.pick([0, 1, 2])) };
  }

  /** A hold as Redis would grant it after those of the batch, which it believes stored; sometimes a wrong one. */
  #grant(batch: readonly Hold[], versions: Map<number, number>): Hold {
    const isSeated = this.chance(0.65);
    const performanceId = isSeated ? this.#hall : this.#club;
    const supersedes = new Set<string>();
    const wanted = new Set<number>();
    if (isSeated) {
      const count = this.pick([1, 1, 2, 3]);
      while (wanted.size < count) wanted.add(this.chance(0.02) ? seats + 1 : 1 + Math.floor(this.#random() * seats));
    }
    const granted = [...wanted].map((seat) => {
      const owner = batch.findLast((hold) => hold.seats.includes(seat))?.reservationId ?? this.#ownerOf(seat);
      const before = versions.get(seat) ?? fake.seat(performanceId, seat)?.version ?? 0;
      if (owner !== undefined && this.chance(0.8)) supersedes.add(owner);
      const version = before + (supersedes.has(owner ?? '') ? 2 : 1) + (this.chance(0.05) ? this.pick([-1, 1]) : 0);
      versions.set(seat, version);
      return version;
    });
    if (this.#holds.length > 0 && this.chance(0.1)) supersedes.add(this.pick(this.#holds).reservationId);
    if (batch.length > 0 && this.chance(0.1)) supersedes.add(this.pick(batch).reservationId);
    const holdMs = this.pick([-5, 0, 1, 40, 1000, 60_000, 300_000, 300_000]);
    return {
      reservationId: this.#newId(),
      performanceId,
      userId: this.pick(this.users),
      seats: [...wanted],
      partySize: isSeated ? 0 : 1 + Math.floor(this.#random() * 5),
      versions: granted,
      amount: this.pick([0, price, price, 3 * price]),
      holdMs,
      expiresAtMs: nowMs + holdMs + 7,
      journal: null,
      supersedes: [...supersedes],
    };
  }

  #ownerOf(seat: number): string | undefined {
    return fake.performances.get(this.#hall)!.ownerOf.get(seat);
  }

  /** A reservation that was tried to be stored, live ones rather, or one that nobody knows. */
  #id(): string {
    const live = this.performances.flatMap((id) => [...fake.performances.get(id)!.live.keys()]);
    if (live.length > 0 && this.chance(0.7)) return this.pick(live);
    return this.#holds.length > 0 && this.chance(0.95) ? this.pick(this.#holds).reservationId : this.#newId();
  }

  #of(name: string, make: (id: string) => Step['act']): Step {
    const id = this.#id();
    return { name: `${name} ${id}`, act: make(id) };
  }

  #pay(): Step {
    const id = this.#id();
    const owner = fake.reservations.get(id)?.userId;
    const userId = owner !== undefined && this.chance(0.9) ? owner : this.pick(this.users);
    return { name: `pay ${id} by ${userId}`, act: ({ money }) => money.pay(id, userId) };
  }

  #charge(): Step {
    const userId = this.pick(this.users);
    const amount = this.pick([1, 50, price, 5 * price, 5 * price, balanceMax - 300]);
    const isAgain = this.#requests.length > 0 && this.chance(0.3);
    const requestId = isAgain ? this.pick(this.#requests) : this.#newId();
    this.#requests.push(requestId);
    return {
      name: `charge ${userId} ${amount} ${requestId}`,
      act: ({ money }) => money.charge(userId, amount, requestId),
    };
  }

  #expire(): Step {
    const countMax = this.pick([0, 1, 2, 3, 100, 100]);
    return { name: `expireDue ${countMax}`, act: ({ ledger }) => ledger.expireDue(countMax) };
  }

  #room(): Step {
    const performanceId = this.pick(this.performances);
    if (this.chance(0.5)) {
      const issued = Math.floor(this.#random() * 100);
      return { name: `writeIssued ${issued}`, act: ({ rooms }) => rooms.writeIssued(performanceId, issued) };
    }
    const firstArrival = this.pick([1, 11, 21]);
    const lastArrival = firstArrival + this.pick([1, 9]);
    const seed = this.pick(['a', 'b', 'c']).repeat(this.chance(0.1) ? 65 : 64);
    const draw = { performanceId, firstArrival, lastArrival, seed };
    return { name: `writeDraw ${JSON.stringify(draw)}`, act: ({ rooms }) => rooms.writeDraw(draw) };
  }
}

/** How often each thing has come of a step, so that a test of nothing shows. */
const seen = new Map<string, number>();

function note(name: string, outcome: unknown): void {
  const [kind] = name.split(' ');
  for (const word of JSON.stringify(outcome).match(
    /persisted|conflict|over|paid_before|paid|not_held|insufficient_balance|null|"release"|"reservationId"/g,
  ) ?? []) {
    seen.set(`${kind} ${word}`, (seen.get(`${kind} ${word}`) ?? 0) + 1);
  }
}

async function run(seed: number): Promise<void> {
  await passTime(0);
  const made: number[] = [];
  for (const seating of [
    { kind: 'seated', seats, seatsPerRow: 4 },
    { kind: 'capacity', capacity, maxPartySize: 5 },
  ] as const) {
    const id = await real.create(planOf(seating));
    made.push(fake.insertPerformance(planOf(seating), id));
  }
  const sequence = new Sequence(seed, made[0]!, made[1]!);
  const settings = {
    mode: 'on',
    admitPerSecond: 2.5,
    maxActive: 9,
    passSeconds: 60,
    opensAtMs: nowMs + 1,
    drawBeforeOpen: true,
  } as const;
  expect(fake.writeRoom(made[0]!, settings)).toEqual(await real.writeRoom(made[0]!, settings));

  const take = async (step: Step, number: number): Promise<unknown> => {
    const before = `seed ${seed}, step ${number}: ${step.name}`;
    const outcome = await outcomeOf(step.act(sides.fake));
    expect(outcome, before).toEqual(await outcomeOf(step.act(sides.real)));
    expect(told.fake, `${before}: onExpired`).toEqual(told.real);
    told.real.length = 0;
    told.fake.length = 0;
    note(step.name, outcome);
    return outcome;
  };
  const compare = async (when: string): Promise<void> => {
    const [a, b] = [await fakeState(made, sequence.users), await realState(made, sequence.users)];
    expect(a, `seed ${seed}, ${when}`).toEqual(b);
  };
  for (let number = 1; number <= stepsMax; number++) {
    if (sequence.chance(0.4)) await passTime(sequence.pick([1, 5, 39, 40, 999, 1000, 60_000]));
    await take(sequence.next(), number);
    if (number % 20 === 0) await compare(`after step ${number}`);
  }
  // Nothing is left over for the next sequence.
  await passTime(600_000);
  await take({ name: 'expireDue 1000', act: ({ ledger }) => ledger.expireDue(1000) }, stepsMax + 1);
  await compare('in the end');
}

describe('the fake of MySQL and MySQL itself', () => {
  it(`do the same in ${sequences} sequences of ${stepsMax} steps from seed ${firstSeed} on`, {
    timeout: sequences * 3000,
  }, async () => {
    for (let seed = firstSeed; seed < firstSeed + sequences; seed++) await run(seed);
    if (process.env['LEDGER_SEED'] !== undefined) return;
    // Each of these has come about: else the steps test less than they seem to.
    for (const each of [
      'persistHolds persisted',
      'persistHolds conflict',
      'persistHolds over',
      'pay paid',
      'pay paid_before',
      'pay not_held',
      'pay insufficient_balance',
      'charge null',
      'cancelHeld null',
      'cancelHeld "reservationId"',
      'refund "release"',
      'refund null',
      'expireDue "reservationId"',
    ]) {
      expect(seen.get(each) ?? 0, each).toBeGreaterThan(10);
    }
  });
});
