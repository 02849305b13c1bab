import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bestAvailable, nearestFree } from './find-seats.ts';
import { Layout } from './layout.ts';

const cases = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 40 })).chain(([rows, seatsPerRow]) =>
  fc.record({
    layout: fc.constant(new Layout({ seats: rows * seatsPerRow, seatsPerRow })),
    free: fc.uniqueArray(fc.integer({ min: 1, max: rows * seatsPerRow }), { maxLength: rows * seatsPerRow }),
    count: fc.integer({ min: 1, max: 10 }),
  }),
);

/** Whether these seats, in order, are neighbours without an aisle between them. */
function areTogether(layout: Layout, seats: readonly number[]): boolean {
  return seats.slice(1).every((seat, index) => {
    const before = layout.lineOf(seats[index]!);
    const now = layout.lineOf(seat);
    return (
      before.line === now.line && now.column === before.column + 1 && layout.isSameBlock(before.column, now.column)
    );
  });
}

/** Whether there are `count` free neighbours at all; by brute force. */
function hasTogether(layout: Layout, free: ReadonlySet<number>, count: number): boolean {
  return [...free].some((first) => {
    const seats = Array.from({ length: count }, (_, index) => first + index);
    return seats.every((seat) => free.has(seat)) && areTogether(layout, seats);
  });
}

describe('the best seats', () => {
  it('are free, as many as asked for or all there are, and together wherever that is possible', () => {
    fc.assert(
      fc.property(cases, ({ layout, free, count }) => {
        const set = new Set(free);
        const found = bestAvailable(layout, (seat) => set.has(seat), count);
        expect(found.seats.length).toBe(Math.min(count, free.length));
        expect(found.seats.every((seat) => set.has(seat))).toBe(true);
        expect(new Set(found.seats).size).toBe(found.seats.length);
        expect(found.isTogether).toBe(hasTogether(layout, set, count));
        if (found.isTogether) expect(areTogether(layout, found.seats)).toBe(true);
      }),
    );
  });

  it('are in front and in the middle', () => {
    const layout = new Layout({ seats: 1000, seatsPerRow: 50 });
    const { seats } = bestAvailable(layout, () => true, 2);
    expect(seats).toEqual([24, 25]);
    const second = bestAvailable(layout, (seat) => seat > 50, 3);
    expect(second.seats.map((seat) => seat - 50)).toEqual([23, 24, 25]);
  });

  it('are found in a hall of 100,000 seats, sold but for one corner', () => {
    const layout = new Layout({ seats: 100_000, seatsPerRow: 250 });
    expect(bestAvailable(layout, (seat) => seat > 99_996, 4)).toEqual({
      seats: [99_997, 99_998, 99_999, 100_000],
      isTogether: true,
    });
  });
});

describe('the nearest free seats', () => {
  const distance = (layout: Layout, seat: number, other: number): number => {
    const [a, b] = [layout.placeOf(seat), layout.placeOf(other)];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };

  it('are nearer to a lost one than any other free seat', () => {
    fc.assert(
      fc.property(cases, ({ layout, free }) => {
        const [lost, ...rest] = free;
        if (lost === undefined) return;
        const set = new Set(rest);
        const { seats } = nearestFree(layout, (seat) => set.has(seat), [lost]);
        expect(seats.length).toBe(Math.min(1, rest.length));
        if (rest.length === 0) return;
        const nearest = Math.min(...rest.map((seat) => distance(layout, seat, lost)));
        expect(distance(layout, seats[0]!, lost)).toBeCloseTo(nearest);
      }),
    );
  });

  it('are as many as were lost, together where that is possible', () => {
    const layout = new Layout({ seats: 1000, seatsPerRow: 50 });
    const lost = [120, 121];
    const found = nearestFree(layout, (seat) => !lost.includes(seat), lost);
    expect(found).toEqual({ seats: [70, 71], isTogether: true });
    const apart = nearestFree(layout, (seat) => !lost.includes(seat) && seat % 2 === 0, lost);
    expect(apart.isTogether).toBe(false);
    expect(apart.seats).toHaveLength(2);
    expect(nearestFree(layout, () => false, lost)).toEqual({ seats: [], isTogether: false });
    expect(nearestFree(layout, () => true, []).seats).toEqual([]);
  });
});
