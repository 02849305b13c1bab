import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clampView, fitScale, fitView, panBy, reveal, zoomAt } from './viewport.ts';

const length = (min: number, max: number): fc.Arbitrary<number> => fc.double({ min, max, noNaN: true });
const sizes = fc.record({ width: length(10, 600), height: length(8, 400) });
const screens = fc.record({ width: length(280, 2000), height: length(200, 1200) });
const steps = fc.array(
  fc.oneof(
    fc.record({ factor: length(0.2, 5), x: length(0, 1), y: length(0, 1) }),
    fc.record({ dx: length(-3000, 3000), dy: length(-3000, 3000) }),
  ),
);

describe('the view', () => {
  it('shows the whole hall at first', () => {
    fc.assert(
      fc.property(sizes, screens, (hall, screen) => {
        const { scale, x, y } = fitView(hall, screen);
        expect(scale).toBeCloseTo(fitScale(hall, screen));
        expect(x).toBeLessThanOrEqual(1e-6);
        expect(y).toBeLessThanOrEqual(1e-6);
        expect(x + screen.width / scale).toBeGreaterThanOrEqual(hall.width - 1e-6);
        expect(y + screen.height / scale).toBeGreaterThanOrEqual(hall.height - 1e-6);
      }),
    );
  });

  it('never loses the hall, however it is moved and zoomed', () => {
    fc.assert(
      fc.property(sizes, screens, steps, (hall, screen, moves) => {
        let view = fitView(hall, screen);
        for (const move of moves) {
          view =
            'factor' in move
              ? zoomAt(view, move.factor, { x: move.x * screen.width, y: move.y * screen.height }, hall, screen)
              : panBy(view, move.dx, move.dy, hall, screen);
          expect(view.scale).toBeGreaterThanOrEqual(fitScale(hall, screen) - 1e-9);
          const seen = screen.width / view.scale;
          if (seen >= hall.width) expect(view.x + seen / 2).toBeCloseTo(hall.width / 2);
          else {
            expect(view.x).toBeGreaterThanOrEqual(0);
            expect(view.x + seen).toBeLessThanOrEqual(hall.width + 1e-6);
          }
        }
        expect(clampView(view, hall, screen)).toEqual(view);
      }),
    );
  });

  it('keeps what is under the mouse there while it zooms in', () => {
    const hall = { width: 200, height: 100 };
    const screen = { width: 1000, height: 500 };
    const at = { x: 300, y: 200 };
    const before = zoomAt(fitView(hall, screen), 2, { x: 500, y: 250 }, hall, screen);
    const after = zoomAt(before, 1.5, at, hall, screen);
    expect(after.scale).toBeCloseTo(before.scale * 1.5);
    expect(after.x + at.x / after.scale).toBeCloseTo(before.x + at.x / before.scale);
    expect(after.y + at.y / after.scale).toBeCloseTo(before.y + at.y / before.scale);
  });

  it('moves as far as needed to show a seat, and not at all for one that is seen', () => {
    const hall = { width: 200, height: 100 };
    const screen = { width: 400, height: 200 };
    const view = clampView({ scale: 20, x: 50, y: 50 }, hall, screen);
    expect(reveal(view, { x: 60, y: 55 }, hall, screen)).toEqual(view);
    expect(reveal(view, { x: 80, y: 55 }, hall, screen)).toEqual({ ...view, x: 62 });
    expect(reveal(view, { x: 0, y: 0 }, hall, screen)).toEqual({ ...view, x: 0, y: 0 });
  });
});
