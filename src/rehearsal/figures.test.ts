import { expect, it } from 'vitest';
import { Figures } from './figures.ts';

it('everybody is counted once, and who has not come to an end is on the way', () => {
  const figures = new Figures(6);
  figures.onHeld();
  figures.onRefused('seat_taken');
  figures.onRefused('seat_taken');
  figures.onRefused('sold_out');
  figures.onFailed();
  expect(figures.counted()).toMatchObject({
    waiting: 1,
    held: 1,
    refused: { seat_taken: 2, sold_out: 1 },
    failed: 1,
  });
});

it('percentiles are answers that there were, and none before the first', () => {
  const figures = new Figures(1);
  expect(figures.counted()).toMatchObject({ p50Ms: null, p95Ms: null, p99Ms: null });
  figures.onAnswer(7.04);
  expect(figures.counted()).toMatchObject({ p50Ms: 7, p95Ms: 7, p99Ms: 7 });
  // 7 and 1 to 100 backwards.
  for (let ms = 100; ms > 0; ms--) figures.onAnswer(ms);
  expect(figures.counted()).toMatchObject({ p50Ms: 50, p95Ms: 95, p99Ms: 99 });
});
