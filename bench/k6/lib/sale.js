// @ts-check
/** What is sold: found or created in `setup`, held by users, and counted in `teardown`. */
import { sleep } from 'k6';
import { givenPerformanceId } from './environment.js';
import { create, read } from './gateway.js';
import { expect, has, isTime, isUuid, objectIn, refusalIn, wrong } from './judge.js';
import { mintAdmin } from './tokens.js';

const looksMax = 30;
const lookSeconds = 0.1;

/** @typedef {import('./gateway.js').User} User */
/** @typedef {{ performanceId: number, price: number }} Sale */
/** @typedef {{ seats: number[] } | { partySize: number }} Places */

/**
 * The answer of a call of `setup`, without which there is no run.
 * @param {import('./judge.js').Response} response
 * @param {number} status
 */
export function required(response, status) {
  if (response.status === status) return objectIn(response.body);
  throw new Error(`${response.url} answered ${response.status} ${response.error || response.body}, not ${status}`);
}

/**
 * The performance of `PERFORMANCE_ID`, else a new one, with `places` to sell; ready to be sold.
 * @param {object} seating as the API takes it
 * @param {number} places
 * @returns {Sale}
 */
export function openSale(seating, places) {
  const admin = mintAdmin();
  const performanceId = givenPerformanceId || createPerformance(admin, seating);
  required(create('warm', `/v1/performances/${performanceId}/warm`, admin, null), 200);
  const { price, remaining } = required(read('performance', `/v1/performances/${performanceId}`, null), 200);
  if (remaining !== places)
    throw new Error(`performance ${performanceId} has ${remaining} places left, not SEATS=${places}`);
  return { performanceId, price: Number(price) };
}

/**
 * @param {string} admin
 * @param {object} seating
 */
function createPerformance(admin, seating) {
  const { eventId } = required(create('event', '/v1/events', admin, { name: 'k6' }), 201);
  const startsAt = new Date(Date.now() + 30 * 24 * 3600 * 1000).toISOString();
  const path = `/v1/events/${eventId}/performances`;
  return Number(required(create('create', path, admin, { startsAt, price: 1000, seating }), 201)['performanceId']);
}

/**
 * Asks for places.
 * @param {Sale} sale
 * @param {User} user
 * @param {Places} places
 * @param {Record<string, string>} [headers]
 */
export function hold(sale, user, places, headers) {
  const body = { performanceId: sale.performanceId, ...places };
  return create('hold', '/v1/reservations', user.token, body, headers);
}

/**
 * The reservation that the answer to a hold gives, or the code of the refusal. Anything else is wrong, and null.
 * @param {import('./judge.js').Response} response
 * @param {Sale} sale
 * @param {User} user
 * @param {Places} places
 * @param {Readonly<Record<string, number>>} refusals those that may come, status by code
 * @returns {{ reservationId: string } | { code: string } | null}
 */
export function outcomeOf(response, sale, user, places, refusals) {
  const code = refusalIn(response, refusals);
  if (code !== null) return { code };
  const body = objectIn(response.body);
  const { reservationId, expiresAt } = body;
  const count = 'seats' in places ? places.seats.length : places.partySize;
  const { performanceId, price } = sale;
  const fields = { performanceId, userId: user.userId, status: 'HELD', ...places, amount: count * price };
  const isHold =
    response.status === 201 &&
    isUuid(reservationId) &&
    isTime(expiresAt) &&
    has(body, fields) &&
    response.headers['Location'] === `/v1/reservations/${reservationId}`;
  if (isHold) return { reservationId: String(reservationId) };
  wrong('a hold', response);
  return null;
}

/**
 * Asks again until what is read is as expected, for three seconds: what the gateway shows may be a moment old.
 * @param {string} name of the request
 * @param {string} path
 * @param {(body: import('./judge.js').Body) => boolean} isExpected
 * @param {string} what
 */
export function expectSoon(name, path, isExpected, what) {
  let response = read(name, path, null);
  for (let i = 0; i < looksMax && !isExpected(objectIn(response.body)); i++) {
    sleep(lookSeconds);
    response = read(name, path, null);
  }
  expect(response.status === 200 && isExpected(objectIn(response.body)), what, response);
}

/**
 * What is left must be `remaining`, neither less nor more.
 * @param {Sale} sale
 * @param {number} remaining
 */
export function expectRemaining(sale, remaining) {
  const path = `/v1/performances/${sale.performanceId}`;
  expectSoon('performance', path, (body) => body['remaining'] === remaining, `not ${remaining} places left at the end`);
}
