/** Figures out of two readings, and their course. */
import { describe, expect, it } from 'vitest';
import { admittedRate, CourseKeeper, gatewayFigures, rangeOf, windowSeconds } from './figures.ts';
import { Scrape } from './prometheus.ts';

interface Told {
  readonly held?: number;
  readonly taken?: number;
  readonly soldOut?: number;
  readonly fast?: number;
  readonly all?: number;
  readonly startedAt?: number;
}

function at(atSeconds: number, { held = 0, taken = 0, soldOut = 0, fast = 0, all = 0, startedAt = 1 }: Told) {
  return {
    atSeconds,
    value: new Scrape(`
process_start_time_seconds ${startedAt}
fastpass_holds_total{outcome="held"} ${held}
fastpass_holds_total{outcome="seat_taken"} ${taken}
fastpass_holds_total{outcome="sold_out"} ${soldOut}
fastpass_queue_depth 4
fastpass_sockets 9
fastpass_store_up{store="redis"} 1
fastpass_store_up{store="mysql"} 0
fastpass_request_duration_seconds_bucket{route="hold",le="0.01"} ${fast}
fastpass_request_duration_seconds_bucket{route="hold",le="0.1"} ${all}
fastpass_request_duration_seconds_bucket{route="hold",le="+Inf"} ${all}
fastpass_request_duration_seconds_bucket{route="other",le="0.01"} ${all * 100}
fastpass_request_duration_seconds_bucket{route="other",le="0.1"} ${all * 100}
fastpass_request_duration_seconds_bucket{route="other",le="+Inf"} ${all * 100}
`),
  };
}

describe('the figures of a gateway', () => {
  it('are rates of the time in between, by code, beside what is now', () => {
    const figures = gatewayFigures(
      at(10, { held: 100, taken: 5 }),
      at(12, { held: 120, taken: 9, soldOut: 2, fast: 0, all: 26 }),
    );
    expect(figures).toMatchObject({ holds: 10, refusals: 3, held: 20, depth: 4, sockets: 9 });
    expect([...figures.refused]).toEqual([
      ['seat_taken', 4],
      ['sold_out', 2],
    ]);
    expect([...figures.stores]).toEqual([
      ['redis', true],
      ['mysql', false],
    ]);
    expect(figures.p99Ms).toBeCloseTo(10 + 90 * 0.99);
  });

  it('are 0 holds and no duration where nothing was asked', () => {
    const figures = gatewayFigures(at(10, { held: 3, fast: 3, all: 3 }), at(11, { held: 3, fast: 3, all: 3 }));
    expect(figures).toMatchObject({ holds: 0, refusals: 0, p99Ms: null });
  });

  it('are unknown at first, after a restart, and after a long while', () => {
    const unknown = { holds: null, refusals: null, p99Ms: null, held: 0, depth: 4 };
    const now = at(11, { held: 8, all: 8 });
    expect(gatewayFigures(null, now)).toMatchObject(unknown);
    expect(gatewayFigures(at(10, { held: 9 }), now)).toMatchObject(unknown);
    // It has counted further than before already.
    expect(gatewayFigures(at(10, { held: 2, startedAt: 0 }), now)).toMatchObject(unknown);
    expect(gatewayFigures(at(11 - windowSeconds - 1, { held: 2 }), now)).toMatchObject(unknown);
  });

  it('of a gap are counts, but no rates', () => {
    const figures = gatewayFigures(at(10, { held: 2 }), at(20, { held: 9, taken: 3, all: 12 }));
    expect(figures).toMatchObject({ holds: null, refusals: null, p99Ms: null, held: 7 });
    expect([...figures.refused]).toEqual([['seat_taken', 3]]);
  });

  it('of a room are people admitted a second, unknown where the count went back', () => {
    const room = (atSeconds: number, admitted: number) => ({ atSeconds, value: { admitted } });
    expect(admittedRate(room(0, 10), room(2, 40))).toBe(15);
    expect(admittedRate(null, room(2, 40))).toBeNull();
    expect(admittedRate(room(0, 50), room(2, 40))).toBeNull();
    expect(admittedRate(room(0, 10), room(60, 40))).toBeNull();
  });
});

describe('a course', () => {
  it('keeps the last minutes', () => {
    const course = new CourseKeeper(['a', 'b']);
    for (let second = 0; second <= windowSeconds + 60; second++) course.add(second, { a: second, b: null });
    expect(course.times[0]).toBe(60);
    expect(course.times.length).toBe(windowSeconds + 1);
    expect(course.rows.a[0]).toBe(60);
    expect(course.rows.b.length).toBe(course.times.length);
  });

  it('has a gap where nothing was read for a while', () => {
    const course = new CourseKeeper(['a']);
    for (const second of [1, 2, 30, 31]) course.add(second, { a: second });
    expect(course.rows.a).toEqual([1, 2, null, 30, 31]);
    expect(course.times).toEqual([1, 2, 3, 30, 31]);
  });

  it('has its lowest and highest, and nothing where nothing is known', () => {
    expect(rangeOf([null, 3, 9, null, 4])).toEqual({ now: 4, lowest: 3, highest: 9 });
    expect(rangeOf([3, null])).toEqual({ now: null, lowest: 3, highest: 3 });
    expect(rangeOf([null, null])).toEqual({ now: null, lowest: null, highest: null });
    expect(rangeOf([])).toEqual({ now: null, lowest: null, highest: null });
  });
});
