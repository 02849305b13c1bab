import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CursorKey, isCursorKey, moveCursor } from './cursor.ts';
import { Layout } from './layout.ts';

const halls = fc.oneof(
  fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 })).map(([rows, seatsPerRow]) => ({
    seats: rows * seatsPerRow,
    seatsPerRow,
  })),
  fc.integer({ min: 1, max: 20_000 }).map((seats) => ({ seats, seatsPerRow: seats })),
);
const someSeat = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const seatOf = (layout: Layout, share: number): number => 1 + Math.floor(share * layout.seats);

describe('the layout of a hall', () => {
  it('has a place of its own for each seat, which is found again at each point of it', () => {
    fc.assert(
      fc.property(halls, someSeat, someSeat, someSeat, (plan, share, dx, dy) => {
        const layout = new Layout(plan);
        const seat = seatOf(layout, share);
        const { x, y } = layout.placeOf(seat);
        expect(layout.seatAt(x + dx * 0.999, y + dy * 0.999)).toBe(seat);
        const { line, column } = layout.lineOf(seat);
        expect(layout.seatOf(line, column)).toBe(seat);
      }),
    );
  });

  it('has every seat within its bounds and behind the stage', () => {
    fc.assert(
      fc.property(halls, someSeat, (plan, share) => {
        const layout = new Layout(plan);
        const { x, y } = layout.placeOf(seatOf(layout, share));
        expect(x).toBeGreaterThan(0);
        expect(x + 1).toBeLessThan(layout.width);
        expect(y).toBeGreaterThan(layout.stage.y + layout.stage.height);
        expect(y + 1).toBeLessThan(layout.height);
      }),
    );
  });

  it.each([
    { seats: 50, seatsPerRow: 50 },
    { seats: 1000, seatsPerRow: 50 },
    { seats: 20_000, seatsPerRow: 200 },
    { seats: 20_000, seatsPerRow: 50 },
    { seats: 20_000, seatsPerRow: 20_000 },
    { seats: 100_000, seatsPerRow: 50 },
    { seats: 100_000, seatsPerRow: 100_000 },
  ])('has the shape of a screen, for $seats seats in rows of $seatsPerRow', (plan) => {
    const { width, height } = new Layout(plan);
    expect(width / height).toBeGreaterThan(0.7);
    expect(width / height).toBeLessThan(3);
  });

  it('has no seat in an aisle, on the stage or outside', () => {
    const layout = new Layout({ seats: 1000, seatsPerRow: 50 });
    const { x } = layout.placeOf(13);
    const { x: next, y } = layout.placeOf(14);
    expect(next - x).toBe(2);
    expect(layout.seatAt(x + 1.5, y + 0.5)).toBe(0);
    expect(layout.seatAt(layout.width / 2, layout.stage.y + 0.5)).toBe(0);
    expect(layout.seatAt(-1, -1)).toBe(0);
    expect(layout.seatAt(layout.width, layout.height)).toBe(0);
  });

  it('names the lines and columns that an interval touches', () => {
    const layout = new Layout({ seats: 1000, seatsPerRow: 50 });
    const { x, y } = layout.placeOf(51 + 10);
    expect(layout.columnsBetween(0, x + 0.5, x + 1.5)).toEqual([10, 12]);
    expect(layout.linesBetween(y + 0.5, y + 0.6)).toEqual([1, 2]);
    expect(layout.linesBetween(-5, -1)).toEqual([0, 0]);
  });
});

describe('the cursor', () => {
  const layout = new Layout({ seats: 1000, seatsPerRow: 50 });

  it.each<[CursorKey, number, number]>([
    ['ArrowRight', 1, 2],
    ['ArrowLeft', 1, 1],
    ['ArrowDown', 1, 51],
    ['ArrowUp', 60, 10],
    ['ArrowUp', 10, 10],
    ['Home', 75, 51],
    ['End', 75, 100],
    ['PageDown', 7, 507],
    ['PageDown', 957, 957],
    ['PageUp', 957, 457],
  ])('goes with %s from %d to %d', (key, from, to) => {
    expect(moveCursor(layout, from, key)).toBe(to);
  });

  it('never leaves the hall, and reaches the last seat of a shorter line', () => {
    const folded = new Layout({ seats: 50, seatsPerRow: 50 });
    expect(moveCursor(folded, 39, 'ArrowDown')).toBe(50);
    const keys = fc.constantFrom<CursorKey>('ArrowLeft', 'ArrowRight', 'ArrowUp', 'ArrowDown', 'Home', 'End', 'PageUp');
    fc.assert(
      fc.property(halls, fc.array(keys), (plan, pressed) => {
        const hall = new Layout(plan);
        const end = pressed.reduce((seat, key) => moveCursor(hall, seat, key), 1);
        expect(end).toBeGreaterThanOrEqual(1);
        expect(end).toBeLessThanOrEqual(hall.seats);
      }),
    );
    expect(isCursorKey('a')).toBe(false);
  });
});
