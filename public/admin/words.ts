/** Figures as people read them. */
import { count } from '../lib/format.ts';
import { t } from './texts.ts';

/** Two digits that say something: 0.33, 4.7, 120. */
export function rate(value: number): string {
  if (value >= 10 || Number.isInteger(value)) return count(Math.round(value));
  return count(Number(value.toPrecision(2)));
}

export function milliseconds(value: number): string {
  return t.milliseconds(rate(value));
}
