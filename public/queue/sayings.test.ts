import { expect, it } from 'vitest';
import { Sayings } from './sayings.ts';

/** Which of the places, one a second, are said. */
function saidOf(places: readonly number[]): number[] {
  const sayings = new Sayings();
  return places.filter((place, second) => sayings.isDue(place, second * 1000));
}

const falling = (from: number, to: number): number[] => Array.from({ length: from - to + 1 }, (_, i) => from - i);

it('says the first place at once, and none twice', () => {
  expect(saidOf([50, 50, 50])).toEqual([50]);
  expect(saidOf(new Array(100).fill(50))).toEqual([50]);
});

it('says a long queue every half minute', () => {
  expect(saidOf(falling(1000, 900))).toEqual([1000, 970, 940, 910]);
});

it('says each halving of a fast one, but not more often than every five seconds', () => {
  expect(saidOf([1000, 900, 800, 700, 600, 500, 400, 300, 240, 240, 240, 230])).toEqual([1000, 500, 240]);
  expect(saidOf([64, 32, 16, 8, 4, 2])).toEqual([64, 2]);
});

it('says every change among the last ten, at most every five seconds', () => {
  expect(saidOf([12, 12, 12, 12, 12, 10, 9, 9, 8, 8, 8, 8, 8, 7, 6, 5])).toEqual([12, 10, 8, 5]);
});
