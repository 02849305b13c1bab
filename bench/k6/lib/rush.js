// @ts-check
/**
 * A rush: users, each a VU of its own, want parties of places of one performance, all at the same time. The answers must be
 * exact: as many parties held as there were, everybody else told that it is sold out.
 */
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter } from 'k6/metrics';
import { text, whole } from './environment.js';
import { wrong } from './judge.js';
import { expectRemaining, hold, openSale, outcomeOf } from './sale.js';
import { mintUsers, userOf } from './tokens.js';

/** @typedef {import('./sale.js').Sale & { users: import('./tokens.js').Users }} Rush */

const users = whole('USERS', 200);
const places = whole('SEATS', 40);
const party = whole('PARTY', 4);
const partiesHeld = Math.min(users, Math.floor(places / party));
const refusals = { sold_out: 409, already_reserved: 409 };

http.setResponseCallback(http.expectedStatuses({ min: 200, max: 299 }, 409));

const placesHeld = new Counter('places_held');
const answers = new Counter('answers');

/** What this VU, one user, was told: each later answer must go with it. */
let hasHeld = false;
let wasSoldOut = false;

/**
 * The options of a rush where each user tries `attempts` times, one after the other.
 * @param {number} attempts
 * @returns {import('k6/options').Options}
 */
export function rushOptions(attempts) {
  return {
    scenarios: {
      rush: {
        executor: 'per-vu-iterations',
        vus: users,
        iterations: attempts,
        maxDuration: text('MAX_DURATION', '10m'),
      },
    },
    thresholds: {
      'http_req_duration{name:hold}': [`p(95)<${whole('P95_MS', 1000)}`],
      http_req_failed: ['rate==0'],
      wrong_answers: ['count==0'],
      answers: [`count==${users * attempts}`],
      places_held: [`count==${partiesHeld * party}`],
    },
    setupTimeout: '5m',
    summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
  };
}

/** @returns {Rush} */
export function openRush() {
  const seating = { kind: 'capacity', capacity: places, maxPartySize: party };
  return { ...openSale(seating, places), users: mintUsers(users) };
}

/**
 * One attempt of the user of this VU.
 * @param {Rush} rush
 */
export function attempt(rush) {
  const user = userOf(rush.users, exec.vu.idInTest - 1);
  const wanted = { partySize: party };
  const response = hold(rush, user, wanted);
  const outcome = outcomeOf(response, rush, user, wanted, refusals);
  answers.add(1);
  if (outcome === null) return;
  if ('code' in outcome) {
    if (outcome.code === 'already_reserved' && !hasHeld) wrong('a reservation that nobody was told of', response);
    if (outcome.code === 'sold_out') wasSoldOut = true;
    return;
  }
  if (hasHeld) wrong('a second reservation of one user', response);
  if (wasSoldOut) wrong('places for somebody who was told that there are none', response);
  hasHeld = true;
  placesHeld.add(party);
}

/**
 * All that was there is sold, and not one place more.
 * @param {Rush} rush
 */
export function closeRush(rush) {
  expectRemaining(rush, places - partiesHeld * party);
}
