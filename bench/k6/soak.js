// @ts-check
/**
 * Soak: at a constant rate over a long time somebody holds a seat, reads the reservation, and pays or cancels; who has paid
 * gives the seat back later for a refund, so that the sale never ends. At the end every seat is free again.
 */
import { sleep } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter } from 'k6/metrics';
import { text, whole } from './lib/environment.js';
import { create, read, remove } from './lib/gateway.js';
import { expect, has, isUuid, objectIn } from './lib/judge.js';
import { expectRemaining, expectSoon, hold, openSale, outcomeOf } from './lib/sale.js';
import { mintUsers, userOf } from './lib/tokens.js';

/** @typedef {import('./lib/gateway.js').User} User */
/** @typedef {import('./lib/sale.js').Sale & { users: import('./lib/tokens.js').Users }} Soak */

const users = whole('USERS', 1000);
const seats = whole('SEATS', 1000);
const rate = whole('RATE', 100);
const pauseSeconds = whole('PAUSE_MS', 200, 0) / 1000;
/** VUs that may be under way at once: an iteration has pauses, and answers of a slow moment. */
const vus = whole('VUS', Math.ceil(rate * (3 * pauseSeconds + 1)));
const p95 = [`p(95)<${whole('P95_MS', 1000)}`];
const refusals = { seat_taken: 409, already_reserved: 409 };

http.setResponseCallback(http.expectedStatuses({ min: 200, max: 299 }, 402, 409));

const held = new Counter('held');
const refused = new Counter('refused');
const paid = new Counter('paid');
const cancelled = new Counter('cancelled');

/** @type {import('k6/options').Options} */
export const options = {
  scenarios: {
    soak: {
      executor: 'constant-arrival-rate',
      rate,
      timeUnit: '1s',
      duration: text('DURATION', '10m'),
      preAllocatedVUs: vus,
      maxVUs: vus * 2,
      gracefulStop: '1m',
    },
  },
  thresholds: {
    'http_req_duration{name:hold}': p95,
    'http_req_duration{name:reservation}': p95,
    'http_req_duration{name:pay}': p95,
    'http_req_duration{name:cancel}': p95,
    http_req_failed: ['rate==0'],
    wrong_answers: ['count==0'],
    dropped_iterations: ['count==0'],
    held: ['count>0'],
  },
  setupTimeout: '5m',
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
};

/** @returns {Soak} */
export function setup() {
  return { ...openSale({ kind: 'seated', seats }, seats), users: mintUsers(users) };
}

/** @param {Soak} soak */
export default function turn(soak) {
  const number = exec.scenario.iterationInTest;
  const user = userOf(soak.users, number % users);
  const places = { seats: [1 + Math.floor(Math.random() * seats)] };
  const outcome = outcomeOf(hold(soak, user, places), soak, user, places, refusals);
  if (outcome === null) return;
  if ('code' in outcome) return refused.add(1);
  held.add(1);
  const { reservationId } = outcome;
  const fields = {
    reservationId,
    performanceId: soak.performanceId,
    userId: user.userId,
    ...places,
    amount: soak.price,
  };
  expectStatus(user, { ...fields, status: 'HELD' });
  sleep(pauseSeconds);
  const isPaid = number % 2 === 0 && pay(user, reservationId, soak.price);
  if (isPaid) {
    expectStatus(user, { ...fields, status: 'CONFIRMED' });
    sleep(pauseSeconds);
  }
  cancel(user, reservationId, isPaid ? soak.price : 0);
  expectStatus(user, { ...fields, status: 'CANCELLED' });
}

/**
 * The reservation must read like this.
 * @param {User} user
 * @param {{ reservationId: string, status: string }} fields
 */
function expectStatus(user, fields) {
  const response = read('reservation', `/v1/reservations/${fields.reservationId}`, user.token);
  const isRight = response.status === 200 && has(objectIn(response.body), fields);
  expect(isRight, `a reservation that is ${fields.status}`, response);
}

/**
 * Pays, and charges the balance before where there is not enough; returns whether it is paid.
 * @param {User} user
 * @param {string} reservationId
 * @param {number} amount
 */
function pay(user, reservationId, amount) {
  const path = `/v1/reservations/${reservationId}/payments`;
  let response = create('pay', path, user.token, {});
  if (response.status === 402) {
    const charged = create('charge', '/v1/balance/charges', user.token, { amount });
    expect(charged.status === 201 && isMoney(objectIn(charged.body)['balance']), 'a charge', charged);
    response = create('pay', path, user.token, {});
  }
  const body = objectIn(response.body);
  const isPaid =
    response.status === 201 &&
    isUuid(body['paymentId']) &&
    isMoney(body['balance']) &&
    has(body, { reservationId, amount, status: 'PAID' });
  if (expect(isPaid, 'a payment', response)) paid.add(1);
  return isPaid;
}

/** @param {unknown} value */
function isMoney(value) {
  return Number.isInteger(value) && Number(value) >= 0;
}

/**
 * Cancels; what was paid comes back.
 * @param {User} user
 * @param {string} reservationId
 * @param {number} refunded
 */
function cancel(user, reservationId, refunded) {
  const response = remove('cancel', `/v1/reservations/${reservationId}`, user.token);
  const isRight =
    response.status === 200 && has(objectIn(response.body), { reservationId, status: 'CANCELLED', refunded });
  if (expect(isRight, 'a cancellation', response)) cancelled.add(1);
}

/**
 * As many places as there were at the start, and every seat is free.
 * @param {Soak} soak
 */
export function teardown(soak) {
  expectRemaining(soak, seats);
  const path = `/v1/performances/${soak.performanceId}/seats`;
  /** @param {{ status: string }} seat */
  const isFree = (seat) => seat.status === 'AVAILABLE';
  expectSoon(
    'seats',
    path,
    ({ seats: all }) => Array.isArray(all) && all.length === seats && all.every(isFree),
    'a seat that is not free at the end',
  );
}
