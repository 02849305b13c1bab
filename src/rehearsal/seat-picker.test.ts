import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../test/harness.ts';
import { SeatPicker } from './seat-picker.ts';

function random(): () => number {
  const next = seededRandom(7);
  return () => next(1_000_000) / 1_000_000;
}

const all = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('seats that a visitor picks', () => {
  it('are neighbours of one row, and there is no seat that nobody ever picks', () => {
    const picker = new SeatPicker(38, 10, 3, random());
    const picked = new Set<number>();
    for (let i = 0; i < 1000; i++) {
      const seats = picker.pick();
      expect(seats).toEqual(all(seats[0]!, seats[0]! + 2));
      expect(Math.floor((seats[0]! - 1) / 10)).toBe(Math.floor((seats[2]! - 1) / 10));
      for (const seat of seats) picked.add(seat);
    }
    expect([...picked].sort((a, b) => a - b)).toEqual(all(1, 38));
  });

  it('look free, down to the last ones', () => {
    const picker = new SeatPicker(1000, 50, 2, random());
    picker.onMap(all(1, 1000).filter((seat) => seat !== 737 && seat !== 738));
    for (let i = 0; i < 20; i++) expect(picker.pick()).toEqual([737, 738]);
  });

  it('are none that somebody else was told to have', () => {
    const picker = new SeatPicker(4, 4, 2, random());
    picker.onTaken([2]);
    for (let i = 0; i < 20; i++) expect(picker.pick()).toEqual([3, 4]);
    picker.onMap([3]);
    for (let i = 0; i < 20; i++) expect(picker.pick()).toEqual([1, 2]);
  });

  it('are asked for where nothing looks free, too', () => {
    const picker = new SeatPicker(4, 4, 2, random());
    picker.onMap([1, 2, 3, 4]);
    for (let i = 0; i < 20; i++) expect(picker.pick()).toHaveLength(2);
    picker.onMap([1, 2]);
    expect(picker.pick()).toEqual([3, 4]);
  });

  it('go over the end of a row where rows are shorter, and over that of the hall where it is smaller', () => {
    expect(new SeatPicker(4, 2, 4, random()).pick()).toEqual([1, 2, 3, 4]);
    expect(new SeatPicker(2, 2, 3, random()).pick()).toEqual([1, 2, 3]);
  });
});
