/** Numbers, money and times as both languages write them. */
import { describe, expect, it } from 'vitest';
import { countdown, formatsOf, parseMoney } from './formats.ts';

const en = formatsOf('en', 'UTC');
const ko = formatsOf('ko', 'Asia/Seoul');

describe('money', () => {
  it('is written with two digits behind the point, and a sign where it is a change', () => {
    expect([0, 5, 4500, 123_456_789, -4500].map(en.money)).toEqual(['0.00', '0.05', '45.00', '1,234,567.89', '-45.00']);
    expect([0, 4500, -4500].map(en.signedMoney)).toEqual(['0.00', '+45.00', '-45.00']);
    expect(ko.money(4500)).toBe('45.00');
  });

  it.for([
    ['12', 1200],
    ['12.5', 1250],
    ['12,50', 1250],
    ['0.29', 29],
    ['0', 0],
    ['1,234', 123_400],
    ['1,234.50', 123_450],
    ['1 234 567', 123_456_700],
    ['  20.00 ', 2000],
    ['2０.5', 2050],
    ['999999999.99', 99_999_999_999],
  ] as const)('of a person is understood: %s', ([text, minor]) => {
    expect(parseMoney(text)).toBe(minor);
  });

  it.for(['', '-5', '1.234', '0,500', '1.234,50', '1,2345', '12,34,567', '1e3', '0x10', '5 euro', '.5', '9999999999'])(
    'is not guessed at: "%s"',
    (text) => {
      expect(parseMoney(text)).toBeNull();
    },
  );

  it('comes back as it was written', () => {
    for (const minor of [0, 1, 99, 100, 123_456, 100_000_000]) expect(parseMoney(en.money(minor))).toBe(minor);
  });
});

describe('times', () => {
  it('are those of the zone, in the words of the language', () => {
    expect(en.dateTime('2030-01-01T20:00:00Z')).toMatch(/Jan 1, 2030, 8:00\sPM/);
    expect(ko.dateTime('2030-01-01T20:00:00Z')).toBe('2030. 1. 2. 오전 5:00');
    expect(en.timeOfDay('2030-01-01T20:00:07Z')).toMatch(/8:00:07\sPM/);
  });

  it('count down by the second, and stop at nothing', () => {
    const seconds = [299, 60, 59.2, 5, 0.1, 0, -3, 3723, 36_000];
    expect(seconds.map(countdown)).toEqual([
      '4:59',
      '1:00',
      '1:00',
      '0:05',
      '0:01',
      '0:00',
      '0:00',
      '1:02:03',
      '10:00:00',
    ]);
  });

  it('are said roughly where nobody knows them better', () => {
    expect([0, 44, 45, 90, 240, 3599, 5400].map(en.roughly)).toEqual([
      'less than a minute',
      'less than a minute',
      'about 1 minute',
      'about 2 minutes',
      'about 4 minutes',
      'about 1 hour',
      'about 1.5 hours',
    ]);
    expect([0, 240, 5400].map(ko.roughly)).toEqual(['1분 이내', '약 4분', '약 1.5시간']);
  });
});

it('counts are set apart by thousands', () => {
  expect([en.count(20_000), ko.count(1_234_567)]).toEqual(['20,000', '1,234,567']);
});
