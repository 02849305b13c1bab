/** The reader of Prometheus text. */
import { describe, expect, it } from 'vitest';
import { type Buckets, increaseOf, quantileBetween, Scrape } from './prometheus.ts';

describe('a scrape', () => {
  it('knows values by name and labels, and sums up those that differ in others', () => {
    const scrape = new Scrape(
      [
        '# HELP fastpass_holds_total Hold requests answered {by}, what became of them.',
        '# TYPE fastpass_holds_total counter',
        'fastpass_holds_total{outcome="held"} 12',
        'fastpass_holds_total{outcome="seat_taken"} 3',
        'fastpass_holds_total{outcome="seat_taken",place="b",} 4',
        '',
        'fastpass_queue_depth 7',
        'with_time{a="b"} 1.5e3 1700000000000',
      ].join('\n'),
    );
    expect(scrape.value('fastpass_holds_total', { outcome: 'held' })).toBe(12);
    expect(scrape.value('fastpass_holds_total')).toBe(19);
    expect([...scrape.by('fastpass_holds_total', 'outcome')]).toEqual([
      ['held', 12],
      ['seat_taken', 7],
    ]);
    expect(scrape.value('fastpass_queue_depth')).toBe(7);
    expect(scrape.value('with_time', { a: 'b' })).toBe(1500);
    expect(scrape.isEmpty).toBe(false);
  });

  it('has no value, rather than 0, for what is not there', () => {
    const scrape = new Scrape('known{a="b"} 1\n');
    expect(scrape.value('unknown')).toBeNull();
    expect(scrape.value('known', { a: 'c' })).toBeNull();
    expect(scrape.by('unknown', 'a').size).toBe(0);
    expect(scrape.buckets('unknown')).toEqual([]);
  });

  it('reads escapes, and braces, commas and blanks within labels', () => {
    const line = String.raw`odd{path="C:\\new\\t",text="a \"b\", c=\"d\"} {",line="one\ntwo" , empty=""} 2`;
    const scrape = new Scrape(`${line}\r\nnext 1\r\n`);
    const labels = { path: 'C:\\new\\t', text: 'a "b", c="d"} {', line: 'one\ntwo', empty: '' };
    expect(scrape.value('odd', labels)).toBe(2);
    expect(scrape.value('next')).toBe(1);
  });

  it('reads every number of the format, and leaves out what is none', () => {
    const scrape = new Scrape('a +Inf\nb -Inf\nc NaN\nd -1.5E-3\ne\nf{x="1} 2\n<html lang="en"> 1\ng ok\nh{} 3\n 4\n');
    expect(scrape.value('a')).toBe(Number.POSITIVE_INFINITY);
    expect(scrape.value('b')).toBe(Number.NEGATIVE_INFINITY);
    expect(scrape.value('d')).toBe(-0.0015);
    expect(scrape.value('h')).toBe(3);
    for (const name of ['c', 'e', 'f', '<html', 'g', '']) expect([name, scrape.value(name)]).toEqual([name, null]);
    expect(new Scrape('<!doctype html>\n<p>Sorry, not 4 you</p>\n').isEmpty).toBe(true);
    expect(new Scrape('').isEmpty).toBe(true);
  });

  it('has the buckets of a histogram in order, those of one bound added up', () => {
    const text = (route: string): string =>
      ['+Inf', '0.5', '0.25'].map((le, i) => `t_bucket{route="${route}",le="${le}"} ${9 - i}`).join('\n');
    const scrape = new Scrape(`${text('hold')}\nt_sum{route="hold"} 3\n${text('other')}`);
    const expected = [
      [0.25, 7],
      [0.5, 8],
      [Number.POSITIVE_INFINITY, 9],
    ];
    expect(scrape.buckets('t', { route: 'hold' })).toEqual(expected);
    expect(scrape.buckets('t')).toEqual(expected.map(([bound, count]) => [bound, count! * 2]));
  });
});

describe('between two scrapes', () => {
  const none: Buckets = [
    [0.01, 0],
    [0.1, 0],
    [Number.POSITIVE_INFINITY, 0],
  ];
  const counts = (...of: number[]): Buckets => none.map(([bound], i) => [bound, of[i]!] as const);

  it('a counter grew by its difference, unless it is not known or went back', () => {
    expect(increaseOf(3, 10)).toBe(7);
    expect(increaseOf(3, 3)).toBe(0);
    expect(increaseOf(10, 3)).toBeNull();
    expect(increaseOf(null, 3)).toBeNull();
    expect(increaseOf(3, null)).toBeNull();
  });

  it('a quantile lies straight within its bucket, of the observations in between alone', () => {
    expect(quantileBetween(0.5, none, counts(100, 100, 100))).toBeCloseTo(0.005);
    expect(quantileBetween(0.99, none, counts(90, 100, 100))).toBeCloseTo(0.01 + 0.09 * 0.9);
    // A million quick ones from before do not hide the slow ones of now.
    const before = counts(1_000_000, 1_000_000, 1_000_000);
    expect(quantileBetween(0.5, before, counts(1_000_000, 1_000_010, 1_000_010))).toBeCloseTo(0.055);
  });

  it('a quantile above the highest bound is that bound', () => {
    expect(quantileBetween(0.99, none, counts(1, 1, 100))).toBe(0.1);
  });

  it('there is no quantile where nothing was observed, a count went back, or the buckets are others', () => {
    expect(quantileBetween(0.99, counts(5, 5, 5), counts(5, 5, 5))).toBeNull();
    expect(quantileBetween(0.99, counts(5, 6, 6), counts(5, 5, 7))).toBeNull();
    expect(quantileBetween(0.99, [], counts(5, 5, 7))).toBeNull();
    expect(quantileBetween(0.99, [], [])).toBeNull();
  });
});
