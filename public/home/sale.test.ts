/** What is shown of a sale follows from its numbers and times. */
import { describe, expect, it } from 'vitest';
import type { Event, Performance } from '../../src/client/index.ts';
import { seatLabel } from '../../src/domain/performance.ts';
import { eventsFound, fillOf, inOrder, saleStateOf, seatsOf } from './sale.ts';

const nowMs = Date.parse('2030-01-01T12:00:00Z');
const at = (hours: number): string => new Date(nowMs + hours * 3_600_000).toISOString();

function performanceWith(fields: Partial<Performance>): Performance {
  return {
    performanceId: 1,
    eventId: 1,
    startsAt: at(10),
    bookingOpensAt: null,
    bookingClosesAt: null,
    price: 1000,
    holdSeconds: 300,
    maxReservationsPerUser: 1,
    seating: { kind: 'seated', seats: 100, rows: 10, seatsPerRow: 10 },
    remaining: 100,
    ...fields,
  };
}

describe('a sale', () => {
  it('is before, open, closed or over by its times', () => {
    const states = [
      {},
      { bookingOpensAt: at(1) },
      { bookingOpensAt: at(-1), bookingClosesAt: at(1) },
      { bookingOpensAt: at(-2), bookingClosesAt: at(0) },
      { startsAt: at(0), bookingOpensAt: at(1) },
    ].map((fields) => saleStateOf(performanceWith(fields), nowMs));
    expect(states).toEqual(['open', 'before', 'open', 'closed', 'over']);
  });

  it('has many places, few from a tenth on, or none', () => {
    expect([100, 11, 10, 1, 0].map((remaining) => fillOf(performanceWith({ remaining })))).toEqual([
      'many',
      'many',
      'few',
      'few',
      'none',
    ]);
    const party = performanceWith({ seating: { kind: 'capacity', capacity: 4, maxPartySize: 2 }, remaining: 1 });
    expect(fillOf(party)).toBe('many');
  });
});

it('the soonest performance comes first, those that are over last', () => {
  const hours = [5, -30, 2, -1, 2];
  const performances = hours.map((hour, index) => performanceWith({ performanceId: index, startsAt: at(hour) }));
  expect(inOrder(performances, nowMs).map(({ performanceId }) => performanceId)).toEqual([2, 4, 0, 3, 1]);
});

it('events are found by any words of their names, however they were typed', () => {
  const events = ['Spring Concert', 'Autumn concert', '서울 재즈'].map(
    (name, eventId): Event => ({ eventId, name, description: null, isDemo: false, createdAt: at(0) }),
  );
  const found = (search: string): number[] => eventsFound(events, search).map(({ eventId }) => eventId);
  expect(found(' ')).toEqual([0, 1, 2]);
  expect(found('CONCERT')).toEqual([0, 1]);
  expect(found('concert  aut')).toEqual([1]);
  expect(found('재즈'.normalize('NFD'))).toEqual([2]);
  expect(found('none such')).toEqual([]);
});

describe('seats', () => {
  it('are labelled as the gateway labels them', () => {
    for (const seat of [1, 26, 27, 260, 261, 7000, 100_000]) {
      for (const seatsPerRow of [1, 10, 50]) {
        const seating = { kind: 'seated', seats: 100_000, rows: 100_000 / seatsPerRow, seatsPerRow } as const;
        expect(seatsOf({ seats: [seat] }, performanceWith({ seating }))).toEqual([seatLabel(seat, seatsPerRow)]);
      }
    }
  });

  it('of a reservation have numbers until its performance is known, and a party has none', () => {
    expect(seatsOf({ seats: [1, 12] }, performanceWith({}))).toEqual(['A-1', 'B-2']);
    expect(seatsOf({ seats: [1, 12] }, null)).toEqual(['1', '12']);
    expect(seatsOf({ partySize: 3 }, null)).toBeNull();
  });
});
