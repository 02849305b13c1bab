// @ts-check
/**
 * Whether answers are right. What is wrong is counted in `wrong_answers`, of which a run may have none, and the first of each
 * VU are shown.
 */
import { Counter } from 'k6/metrics';

/** k6 has a console; its types leave that to those of the DOM, which have much that k6 has not. */
const { console } = /** @type {{ console: { error(text: string): void } }} */ (/** @type {unknown} */ (globalThis));

const wrongAnswers = new Counter('wrong_answers');
const shownMax = 3;
let shown = 0;

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** @typedef {import('k6/http').RefinedResponse<'text'>} Response */
/** @typedef {Record<string, unknown>} Body */

/**
 * Counts a wrong answer, or anything else that breaks a promise.
 * @param {string} what
 * @param {Response} [response]
 */
export function wrong(what, response) {
  wrongAnswers.add(1);
  if (shown++ >= shownMax) return;
  const answer = response === undefined ? '' : `: ${response.status} ${response.error || response.body}`;
  console.error(`wrong: ${what}${answer}`);
}

/**
 * Counts `what` as wrong where it does not hold; returns whether it does.
 * @param {boolean} holds
 * @param {string} what
 * @param {Response} [response]
 */
export function expect(holds, what, response) {
  if (!holds) wrong(what, response);
  return holds;
}

/**
 * The object in a text, empty where there is none: its fields are what fails then.
 * @param {unknown} json
 * @returns {Body}
 */
export function objectIn(json) {
  try {
    const value = JSON.parse(String(json));
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}

/** @param {unknown} value */
export function isUuid(value) {
  return typeof value === 'string' && uuidPattern.test(value);
}

/** @param {unknown} value */
export function isTime(value) {
  return typeof value === 'string' && value.endsWith('Z') && !Number.isNaN(Date.parse(value));
}

/**
 * Whether every field of `fields` stands in the body with that value; lists are compared by their elements.
 * @param {Body} body
 * @param {Body} fields
 */
export function has(body, fields) {
  return Object.keys(fields).every((name) => JSON.stringify(body[name]) === JSON.stringify(fields[name]));
}

/**
 * The code of a refusal that is expected here and has the shape of one (RFC 9457), else null.
 * @param {Response} response
 * @param {Readonly<Record<string, number>>} refusals status by code
 */
export function refusalIn(response, refusals) {
  const { code, status, title, type, detail } = objectIn(response.body);
  if (typeof code !== 'string' || refusals[code] !== response.status || status !== response.status) return null;
  const isTold = [title, type, detail].every((each) => typeof each === 'string');
  return isTold && response.headers['Content-Type'] === 'application/problem+json' ? code : null;
}
