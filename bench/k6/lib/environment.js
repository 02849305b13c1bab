// @ts-check
/** The parameters of a run, from the environment: what is no use ends the run before it begins. */

/**
 * A text, or the fallback; without one it is required.
 * @param {string} name
 * @param {string} [fallback]
 */
export function text(name, fallback) {
  const value = __ENV[name] || fallback;
  if (value === undefined) throw new Error(`${name} is required`);
  return value;
}

/**
 * A whole number of at least `min`, or the fallback.
 * @param {string} name
 * @param {number} fallback
 * @param {number} [min]
 */
export function whole(name, fallback, min = 1) {
  const value = __ENV[name];
  if (value === undefined || value === '') return fallback;
  const number = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(number) || number < min) {
    throw new Error(`${name} is a whole number of ${min} or more, not ${value}`);
  }
  return number;
}

/** Where the gateway is, without a slash at the end. */
export const baseUrl = text('BASE_URL', 'http://127.0.0.1:3000').replace(/\/+$/, '');

/** The performance to sell, or 0: create one. */
export const givenPerformanceId = whole('PERFORMANCE_ID', 0);
