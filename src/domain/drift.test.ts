import { describe, expect, it } from 'vitest';
import { compare } from './compare.ts';
import {
  type ArbiterView,
  countByKind,
  type Difference,
  DriftKind,
  type JournalledHold,
  seenTwice,
  type ViewedReservation,
  type ViewedSeat,
} from './drift.ts';
import { SeatStatus } from './reservation.ts';
import type { LiveReservation, SeatState, Snapshot } from './snapshot.ts';

const nowMs = 1_000_000;
const soonMs = nowMs + 60_000;

/** Both sides of a performance, to be taken apart by a test. */
interface Sides {
  readonly seating: Snapshot['performance']['seating'];
  readonly stored: {
    seats: SeatState[];
    ownerOf: Map<number, string>;
    reservations: LiveReservation[];
  };
  readonly view: {
    -readonly [Field in keyof ArbiterView]: ArbiterView[Field];
  } & {
    seats: Map<number, ViewedSeat>;
    reservations: Map<string, ViewedReservation>;
    users: Map<number, string[]>;
    expiry: Map<string, number>;
    journal: JournalledHold[];
  };
}

/** Ten seats: 1 and 2 held by `held` of user 7, 3 sold as `sold` to user 8, 4 given back once. Redis and MySQL agree. */
function hall(): Sides {
  return {
    seating: { kind: 'seated', seats: 10, seatsPerRow: 10 },
    stored: {
      seats: [
        { seat: 1, status: SeatStatus.HELD, version: 1 },
        { seat: 2, status: SeatStatus.HELD, version: 3 },
        { seat: 3, status: SeatStatus.OCCUPIED, version: 2 },
        { seat: 4, status: SeatStatus.AVAILABLE, version: 2 },
      ],
      ownerOf: new Map([
        [1, 'held'],
        [2, 'held'],
        [3, 'sold'],
      ]),
      reservations: [
        { reservationId: 'held', userId: 7, partySize: 0, remainingMs: 60_000 },
        { reservationId: 'sold', userId: 8, partySize: 0, remainingMs: null },
      ],
    },
    view: {
      isSeated: true,
      places: 10,
      remaining: 7,
      nowMs,
      isStill: true,
      seats: new Map([
        [1, { state: 'H', version: 1, owner: 'held' }],
        [2, { state: 'H', version: 3, owner: 'held' }],
        [3, { state: 'O', version: 2, owner: 'sold' }],
        [4, { state: 'A', version: 2, owner: '' }],
      ]),
      reservations: new Map([
        ['held', { userId: 7, endMs: soonMs, partySize: 0, seats: [2, 1] }],
        ['sold', { userId: 8, endMs: 0, partySize: 0, seats: [3] }],
      ]),
      users: new Map([
        [7, ['held']],
        [8, ['sold']],
      ]),
      expiry: new Map(),
      journal: [],
    },
  };
}

/** A hundred places: 2 held by user 7, 3 sold to user 8. Redis and MySQL agree. */
function floor(): Sides {
  return {
    seating: { kind: 'capacity', capacity: 100, maxPartySize: 10 },
    stored: {
      seats: [],
      ownerOf: new Map(),
      reservations: [
        { reservationId: 'held', userId: 7, partySize: 2, remainingMs: 60_000 },
        { reservationId: 'sold', userId: 8, partySize: 3, remainingMs: null },
      ],
    },
    view: {
      isSeated: false,
      places: 100,
      remaining: 95,
      nowMs,
      isStill: true,
      seats: new Map(),
      reservations: new Map([
        ['held', { userId: 7, endMs: soonMs, partySize: 2, seats: [] }],
        ['sold', { userId: 8, endMs: 0, partySize: 3, seats: [] }],
      ]),
      users: new Map([
        [7, ['held']],
        [8, ['sold']],
      ]),
      expiry: new Map([['held', soonMs]]),
      journal: [],
    },
  };
}

function differencesOf({ seating, stored, view }: Sides): Difference[] {
  const performance = {
    performanceId: 1,
    eventId: 1,
    startsAtMs: 0,
    bookingOpensAtMs: null,
    bookingClosesAtMs: null,
    price: 100,
    holdSeconds: 60,
    maxReservationsPerUser: 1,
    seating,
  };
  const comparison = compare({ performance, ...stored, room: null }, view);
  for (;;) {
    const step = comparison.next();
    if (step.done === true) return step.value;
  }
}

/** `kind subject` of each difference. */
function found(sides: Sides, change: (sides: Sides) => void = () => {}): string[] {
  change(sides);
  return differencesOf(sides).map(({ kind, subject }) => `${kind} ${subject}`);
}

/** A hold of seat 5 that Redis has granted to user 9 and MySQL does not have. */
function grant({ view }: Sides): void {
  view.seats.set(5, { state: 'H', version: 1, owner: 'new' });
  view.reservations.set('new', { userId: 9, endMs: soonMs, partySize: 0, seats: [5] });
  view.users.set(9, ['new']);
  view.remaining -= 1;
}

describe('no difference is', () => {
  it('found where Redis and MySQL agree', () => {
    expect(found(hall())).toEqual([]);
    expect(found(floor())).toEqual([]);
  });

  it('a hold on its way to MySQL, nor what it took over', () => {
    const isIn = { reservationId: 'new', seats: [5], supersedes: [] };
    const onItsWay = hall();
    grant(onItsWay);
    onItsWay.view.journal.push(isIn);
    expect(found(onItsWay)).toEqual([]);
    expect(
      found(hall(), ({ view }) => {
        // Seat 1 was taken over; seat 2 of the same hold became free.
        view.seats.set(1, { state: 'H', version: 3, owner: 'new' }).set(2, { state: 'A', version: 4, owner: '' });
        view.reservations.delete('held');
        view.reservations.set('new', { userId: 9, endMs: soonMs, partySize: 0, seats: [1] });
        view.users.delete(7);
        view.users.set(9, ['new']);
        view.remaining = 8;
        view.journal.push({ reservationId: 'new', seats: [1], supersedes: ['held'] });
      }),
    ).toEqual([]);
  });

  it.each([
    ['in Redis', ({ view }: Sides) => Object.assign(view, { nowMs: soonMs })],
    ['in MySQL', ({ stored }: Sides) => Object.assign(stored.reservations[0]!, { remainingMs: 0 })],
  ])('a hold whose time is over %s, whatever the other side has of it', (_, end) => {
    for (const sides of [hall(), floor()]) {
      end(sides);
      expect(found(sides)).toEqual([]);
    }
    const released = hall();
    end(released);
    Object.assign(released.stored.reservations[0]!, { remainingMs: -1 });
    released.view.reservations.delete('held');
    released.view.users.delete(7);
    for (const seat of [1, 2]) released.view.seats.set(seat, { state: 'A', version: 4, owner: '' });
    released.view.remaining = 9;
    expect(found(released)).toEqual([]);
  });

  it('another end of a hold: two clocks are not compared', () => {
    const changed = floor();
    changed.view.reservations.set('held', { userId: 7, endMs: soonMs + 3_600_000, partySize: 2, seats: [] });
    changed.view.expiry.set('held', soonMs + 3_600_000);
    expect(found(changed)).toEqual([]);
  });

  it('what remains, read while it moved', () => {
    expect(found(hall(), ({ view }) => Object.assign(view, { remaining: 5, isStill: false }))).toEqual([]);
  });
});

describe('a difference is', () => {
  it.each<[string, ViewedSeat | null]>([
    ['lost', null],
    ['of an old version', { state: 'A', version: 1, owner: '' }],
    ['of a version MySQL never gave', { state: 'A', version: 9, owner: '' }],
    ['of an unknown state', { state: '?', version: 2, owner: '' }],
  ])('a free seat that is %s', (_, seat) => {
    const changed = hall();
    if (seat === null) changed.view.seats.delete(4);
    else changed.view.seats.set(4, seat);
    expect(found(changed)).toContain(`${DriftKind.SEAT} seat 4`);
  });

  it('a seat that is free in Redis and held in MySQL, or the other way round', () => {
    expect(found(hall(), ({ view }) => view.seats.set(1, { state: 'A', version: 0, owner: '' }))).toEqual([
      'seat seat 1',
      'remaining places',
    ]);
    expect(found(hall(), ({ view }) => view.seats.set(6, { state: 'O', version: 1, owner: 'nobody' }))).toEqual([
      'seat seat 6',
      'remaining places',
    ]);
  });

  it('a seat with another owner', () => {
    expect(found(hall(), ({ view }) => view.seats.set(3, { state: 'O', version: 2, owner: 'held' }))).toEqual([
      'seat seat 3',
    ]);
  });

  it('a reservation that Redis has lost, told once with its seats', () => {
    const changed = hall();
    changed.view.reservations.delete('sold');
    changed.view.users.delete(8);
    changed.view.seats.delete(3);
    changed.view.remaining = 8;
    expect(differencesOf(changed)).toEqual([
      { kind: 'missing', subject: 'reservation sold', redis: 'none', mysql: 'confirmed by user 8, seats 3' },
    ]);
    expect(found(floor(), ({ view }) => view.reservations.delete('held'))).toContain('missing reservation held');
  });

  it('a hold that MySQL never had and no journal covers, over or not', () => {
    expect(found(hall(), grant)).toEqual(['phantom reservation new']);
    const over = hall();
    grant(over);
    over.view.reservations.set('new', { userId: 9, endMs: nowMs, partySize: 0, seats: [5] });
    expect(found(over)).toEqual(['phantom reservation new']);
  });

  it('a sale that Redis still takes for a hold, also when the time of that hold is over', () => {
    for (const endMs of [soonMs, nowMs - 1]) {
      const changed = hall();
      changed.view.seats.set(3, { state: 'H', version: 1, owner: 'sold' });
      changed.view.reservations.set('sold', { userId: 8, endMs, partySize: 0, seats: [3] });
      expect(found(changed)).toEqual(['unconfirmed reservation sold']);
    }
  });

  it('a release that Redis did not hear of', () => {
    const cancelled = ({ stored }: Sides): void => {
      stored.reservations.splice(0, 1);
      stored.seats[0] = { seat: 1, status: SeatStatus.AVAILABLE, version: 2 };
      stored.seats[1] = { seat: 2, status: SeatStatus.AVAILABLE, version: 4 };
      stored.ownerOf.delete(1);
      stored.ownerOf.delete(2);
    };
    expect(found(hall(), cancelled)).toEqual(['unreleased reservation held']);
    // The places of a sale that was refunded.
    expect(found(floor(), ({ stored }) => stored.reservations.splice(1, 1))).toEqual(['unreleased reservation sold']);
  });

  it('a reservation of another user, party or seats, or sold in Redis alone', () => {
    const change = (to: Partial<ViewedReservation>) => (sides: Sides) => {
      sides.view.reservations.set('held', { ...sides.view.reservations.get('held')!, ...to });
    };
    expect(found(hall(), change({ userId: 8 }))).toContain('reservation reservation held');
    expect(found(hall(), change({ seats: [1] }))).toContain('reservation reservation held');
    expect(found(hall(), change({ endMs: 0 }))).toContain('reservation reservation held');
    expect(found(floor(), change({ partySize: 3 }))).toContain('reservation reservation held');
  });

  it('a slot that a user lacks, or has for nothing', () => {
    expect(found(hall(), ({ view }) => view.users.delete(7))).toEqual(['user user 7']);
    expect(found(hall(), ({ view }) => view.users.set(7, ['held', 'gone']))).toEqual(['user user 7']);
    expect(found(hall(), ({ view }) => view.users.set(5, ['gone']))).toEqual(['user user 5']);
    // In the slot of somebody else.
    expect(found(hall(), ({ view }) => view.users.set(8, ['sold', 'held']))).toEqual(['user user 8']);
  });

  it('an end that the index lacks, has wrong, or has for nothing', () => {
    const held = ['expiry reservation held'];
    expect(found(floor(), ({ view }) => view.expiry.delete('held'))).toEqual(held);
    expect(found(floor(), ({ view }) => view.expiry.set('held', soonMs + 1))).toEqual(held);
    expect(found(floor(), ({ view }) => view.expiry.set('sold', soonMs))).toEqual(['expiry reservation sold']);
    expect(found(floor(), ({ view }) => view.expiry.set('gone', soonMs))).toEqual(['expiry reservation gone']);
  });

  it('a number said to remain that is not what nobody has', () => {
    for (const sides of [hall(), floor()]) {
      for (const by of [-1, 1]) {
        const wrong = { ...sides, view: { ...sides.view, remaining: sides.view.remaining + by } };
        expect(found(wrong)).toEqual(['remaining places']);
      }
    }
  });
});

describe('two looks', () => {
  const phantom = (sides: Sides): Difference[] => {
    grant(sides);
    return differencesOf(sides);
  };

  it('count what both saw alike', () => {
    expect(seenTwice(phantom(hall()), phantom(hall()))).toEqual(phantom(hall()));
    expect(countByKind(phantom(hall()))).toEqual({ phantom: 1 });
  });

  it.each<[string, (sides: Sides) => void]>([
    [
      'was on its way in one of them',
      ({ view }) => view.journal.push({ reservationId: 'new', seats: [5], supersedes: [] }),
    ],
    [
      'is another hold of the same seat',
      ({ view }) => {
        view.reservations.set('newer', view.reservations.get('new')!);
        view.reservations.delete('new');
        view.seats.set(5, { state: 'H', version: 3, owner: 'newer' });
        view.users.set(9, ['newer']);
      },
    ],
    [
      'was gone',
      ({ view }) => {
        view.reservations.delete('new');
        view.seats.delete(5);
        view.users.delete(9);
        view.remaining += 1;
      },
    ],
  ])('do not count what %s', (_, change) => {
    const other = hall();
    grant(other);
    change(other);
    const differences = differencesOf(other);
    expect(seenTwice(phantom(hall()), differences)).toEqual([]);
    expect(seenTwice(differences, phantom(hall()))).toEqual([]);
  });

  it('do not count a seat that has moved on between them', () => {
    const behind = (version: number): Difference[] => {
      const sides = hall();
      sides.view.seats.set(4, { state: 'A', version, owner: '' });
      return differencesOf(sides);
    };
    expect(seenTwice(behind(0), behind(0))).toHaveLength(1);
    expect(seenTwice(behind(0), behind(1))).toEqual([]);
  });
});

describe('a hall of 100,000 seats', () => {
  it('is compared although all of it differs', () => {
    const seats = 100_000;
    const sides = hall();
    for (let seat = 11; seat <= seats; seat++) {
      sides.view.seats.set(seat, { state: 'H', version: 1, owner: `r${seat}` });
      sides.view.reservations.set(`r${seat}`, { userId: seat, endMs: soonMs, partySize: 0, seats: [seat] });
      sides.stored.seats.push({ seat, status: SeatStatus.AVAILABLE, version: 2 });
    }
    expect(countByKind(differencesOf(sides))).toEqual({ unreleased: seats - 10, remaining: 1 });
  });
});
