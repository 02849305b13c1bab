import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Seat, SeatStatus } from '../../src/client/index.ts';
import { LabelIndex } from './labels.ts';
import { SeatStore } from './seat-store.ts';

const mapOf = (statuses: readonly SeatStatus[]): Seat[] =>
  statuses.map((status, index) => ({ seat: index + 1, label: `A-${index + 1}`, price: 1000 + index, status }));
const status = fc.constantFrom<SeatStatus>('AVAILABLE', 'HELD', 'OCCUPIED');

describe('the store of seats', () => {
  it('has the last status told of each seat, counts them, and tells what changed', () => {
    const changes = fc.array(fc.tuple(fc.integer({ min: 1, max: 8 }), status));
    fc.assert(
      fc.property(fc.array(status, { minLength: 8, maxLength: 8 }), fc.array(changes), (first, batches) => {
        const store = new SeatStore(mapOf(first));
        const truth = [...first];
        for (const batch of batches) {
          const before = [...truth];
          const told: number[] = [];
          const stop = store.onChange((changed) => told.push(...changed));
          store.apply(batch);
          stop();
          for (const [seat, now] of batch) truth[seat - 1] = now;
          expect(truth.map((_, index) => store.statusOf(index + 1))).toEqual(truth);
          const changed = truth.flatMap((now, index) => (now === before[index] ? [] : [index + 1]));
          expect(told.sort((a, b) => a - b)).toEqual(changed);
        }
        for (const name of ['AVAILABLE', 'HELD', 'OCCUPIED'] as const) {
          expect(store.counts[name]).toBe(truth.filter((now) => now === name).length);
        }
      }),
    );
  });

  it('keeps what was told while a map was under way', () => {
    const store = new SeatStore(mapOf(['AVAILABLE', 'AVAILABLE', 'HELD']));
    const endRead = store.beginRead();
    // One that is given up meanwhile takes nothing from the other.
    store.beginRead()(null);
    store.apply([[1, 'OCCUPIED']]);
    endRead(mapOf(['AVAILABLE', 'HELD', 'AVAILABLE']));
    expect([1, 2, 3].map((seat) => store.statusOf(seat))).toEqual(['OCCUPIED', 'HELD', 'AVAILABLE']);
    const endWithout = store.beginRead();
    store.apply([[2, 'AVAILABLE']]);
    endWithout(null);
    expect(store.isFree(2)).toBe(true);
  });

  it('takes no harm from a seat that it has not', () => {
    const store = new SeatStore(mapOf(['AVAILABLE']));
    store.apply([
      [0, 'HELD'],
      [2, 'HELD'],
    ]);
    store.beginRead()(mapOf(['HELD', 'HELD']));
    expect(store.counts).toEqual({ AVAILABLE: 1, HELD: 0, OCCUPIED: 0 });
    expect([store.labelOf(1), store.priceOf(1), store.has(2)]).toEqual(['A-1', 1000, false]);
  });
});

describe('seats by what people type', () => {
  const rows = ['A', 'B', 'AA'];
  const index = new LabelIndex(30, (seat) => `${rows[Math.floor((seat - 1) / 10)]}-${((seat - 1) % 10) + 1}`);

  it.each([
    ['A-1', [1]],
    ['a1, b2 aa-10', [1, 12, 30]],
    ['  A-01;B-7\nB-8 ', [1, 17, 18]],
    ['A 3, b 4', [3, 14]],
    ['A-1 A1', [1]],
    ['', []],
  ])('reads %j', (text, seats) => {
    expect(index.read(text)).toEqual({ seats, unknown: [] });
  });

  it('says what it does not know', () => {
    expect(index.read('A-1, Q-9, 7')).toEqual({ seats: [1], unknown: ['Q-9', '7'] });
  });
});
