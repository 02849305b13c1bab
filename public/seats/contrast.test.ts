import { expect, it } from 'vitest';
import { moreLegible } from './contrast.ts';

it.each([
  ['rgb(47, 158, 88)', 'rgb(27, 30, 36)'],
  ['rgb(52, 81, 199)', 'rgb(255, 255, 255)'],
])('on %s, %s is read more easily', (background, expected) => {
  const [ink, card] = ['rgb(27, 30, 36)', 'rgb(255, 255, 255)'];
  expect(moreLegible(background, ink, card)).toBe(expected);
  expect(moreLegible(background, card, ink)).toBe(expected);
});
