import { describe, expect, it } from 'vitest';
import { Code, codeTable, statusLine } from './codes.ts';
import { isReservationId, newReservationId, uuidFromBytes, uuidTimeMs, uuidToBytes } from './ids.ts';
import { placesOf, seatLabel } from './performance.ts';
import { ReservationStatus, reservationStatusName, SeatStatus, seatStatusName } from './reservation.ts';

describe('the label of a seat', () => {
  it.each([
    [1, 50, 'A-1'],
    [50, 50, 'A-50'],
    [51, 50, 'B-1'],
    [26, 1, 'Z-1'],
    [27, 1, 'AA-1'],
    [52, 1, 'AZ-1'],
    [53, 1, 'BA-1'],
    [702, 1, 'ZZ-1'],
    [703, 1, 'AAA-1'],
    [100_000, 100_000, 'A-100000'],
  ])('of seat %d in rows of %d is %s', (seat, seatsPerRow, label) => {
    expect(seatLabel(seat, seatsPerRow)).toBe(label);
  });

  it('is never given twice in a hall', () => {
    const labels = new Set(Array.from({ length: 100_000 }, (_, i) => seatLabel(i + 1, 7)));
    expect(labels.size).toBe(100_000);
  });
});

it('the places of a performance are its seats, or its capacity', () => {
  const plan = {
    eventId: 1,
    startsAtMs: 0,
    bookingOpensAtMs: null,
    bookingClosesAtMs: null,
    price: 1,
    holdSeconds: 1,
    maxReservationsPerUser: 1,
  };
  expect(placesOf({ ...plan, seating: { kind: 'seated', seats: 12, seatsPerRow: 5 } })).toBe(12);
  expect(placesOf({ ...plan, seating: { kind: 'capacity', capacity: 7, maxPartySize: 2 } })).toBe(7);
});

describe('a reservation id', () => {
  it('is a UUIDv7 that nobody else has, and tells its time', () => {
    const beforeMs = Date.now();
    const ids = Array.from({ length: 5000 }, newReservationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) {
      expect(isReservationId(id)).toBe(true);
      expect(uuidTimeMs(id)).toBeGreaterThanOrEqual(beforeMs);
      expect(uuidTimeMs(id)).toBeLessThanOrEqual(Date.now());
    }
    // MySQL's primary key grows at its end: ids of later milliseconds sort later.
    const times = [...ids].sort().map(uuidTimeMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('is the same after its way through BINARY(16)', () => {
    const id = newReservationId();
    expect(uuidToBytes(id)).toHaveLength(16);
    expect(uuidFromBytes(uuidToBytes(id))).toBe(id);
    expect(uuidToBytes('00112233-4455-7677-8899-aabbccddeeff').toString('hex')).toBe(
      '00112233445576778899aabbccddeeff',
    );
  });

  it.each([
    '',
    'x',
    '00112233-4455-4677-8899-aabbccddeeff',
    '00112233-4455-7677-c899-aabbccddeeff',
    '00112233-4455-7677-8899-AABBCCDDEEFF',
    '001122334455-7677-8899-aabbccddeeff',
    '00112233-4455-7677-8899-aabbccddeeff0',
    '00112233-4455-7677-8899-aabbccddeefg',
    ' 00112233-4455-7677-8899-aabbccddeeff',
  ])('is not %j', (text) => {
    expect(isReservationId(text)).toBe(false);
  });
});

describe('the outcome table', () => {
  it('has a row for every code, and no other', () => {
    expect(Object.keys(codeTable).sort()).toEqual(Object.values(Code).sort());
  });

  it('has errors only, each with a title and its status line', () => {
    for (const [code, row] of Object.entries(codeTable)) {
      expect([code, row.status >= 400 && row.status < 600]).toEqual([code, true]);
      expect(row.statusLine).toBe(statusLine(row.status));
      expect(row.title).toMatch(/^[A-Z]/);
    }
  });

  it('says when to come again for limits and faults only, and remembers none of those', () => {
    for (const [code, row] of Object.entries(codeTable)) {
      const isPassing = row.status === 429 || row.status >= 500;
      expect([code, row.retryAfterSeconds > 0]).toEqual([code, isPassing]);
      if (isPassing) expect([code, row.remembered]).toEqual([code, false]);
    }
  });

  it('remembers no refusal that another moment may change', () => {
    for (const code of [
      Code.seatTaken,
      Code.soldOut,
      Code.alreadyReserved,
      Code.bookingNotOpen,
      Code.queuePassRequired,
    ]) {
      expect([code, codeTable[code].remembered]).toEqual([code, false]);
    }
  });

  it('names its codes as the API spells them', () => {
    for (const [name, code] of Object.entries(Code)) {
      expect(code).toBe(name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
    }
  });
});

describe('stored states', () => {
  it('have the name they were stored with', () => {
    for (const [name, stored] of Object.entries(ReservationStatus)) expect(reservationStatusName(stored)).toBe(name);
    for (const [name, stored] of Object.entries(SeatStatus)) expect(seatStatusName(stored)).toBe(name);
  });

  it.each([-1, 5, 1.5, Number.NaN])('of number %d are none', (stored) => {
    expect(() => reservationStatusName(stored)).toThrow(RangeError);
    expect(() => seatStatusName(stored)).toThrow(RangeError);
  });

  it('of number 0 is no reservation', () => {
    expect(() => reservationStatusName(0)).toThrow(RangeError);
  });
});

it('a status that this project never answers is a slip of ours', () => {
  expect(statusLine(201)).toBe('201 Created');
  expect(() => statusLine(418)).toThrow(RangeError);
});
