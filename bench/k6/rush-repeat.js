// @ts-check
/** Rush with repeats: every user asks several times, the next time as soon as there is an answer. */
import { whole } from './lib/environment.js';
import { attempt, closeRush, openRush, rushOptions } from './lib/rush.js';

/** @typedef {import('./lib/rush.js').Rush} Rush */

export const options = rushOptions(whole('REPEAT', 3));

export function setup() {
  return openRush();
}

/** @param {Rush} rush */
export default function visit(rush) {
  attempt(rush);
}

/** @param {Rush} rush */
export function teardown(rush) {
  closeRush(rush);
}
