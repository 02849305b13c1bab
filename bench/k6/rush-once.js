// @ts-check
/** Rush, once: every user asks one time for places of one performance, all at the same time. */
import { attempt, closeRush, openRush, rushOptions } from './lib/rush.js';

/** @typedef {import('./lib/rush.js').Rush} Rush */

export const options = rushOptions(1);

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
