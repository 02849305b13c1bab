// @ts-check
/**
 * Waiting room: every user joins the queue over HTTP, watches the own position over a WebSocket until admitted, holds with
 * the pass, and gives the pass back for the next one.
 */
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';
import { clearTimeout, setTimeout } from 'k6/timers';
import { WebSocket } from 'k6/websockets';
import { baseUrl, whole } from './lib/environment.js';
import { create, remove, replace } from './lib/gateway.js';
import { expect, isTime, objectIn, refusalIn, wrong } from './lib/judge.js';
import { expectRemaining, expectSoon, hold, openSale, outcomeOf, required } from './lib/sale.js';
import { mintAdmin, mintUsers, userOf } from './lib/tokens.js';

/** @typedef {import('./lib/gateway.js').User} User */
/** @typedef {import('./lib/sale.js').Sale & { users: import('./lib/tokens.js').Users, issued: number, admitted: number }} Room */
/** @typedef {{ ticket: string, number: number, position: number, joinedMs: number }} Place */

const users = whole('USERS', 100);
const places = whole('SEATS', users);
const admitPerSecond = whole('ADMIT_PER_SECOND', 50);
const maxActive = whole('MAX_ACTIVE', 1000);
/** How long one may wait before it counts as wrong: twice as long as the room takes, and some seconds. */
const waitSeconds = whole('WAIT_SECONDS', Math.ceil((2 * users) / Math.min(admitPerSecond, maxActive)) + 30);
const placesHeldExpected = Math.min(users, places);
const wanted = { partySize: 1 };

http.setResponseCallback(http.expectedStatuses({ min: 200, max: 299 }, 403, 409));

const placesHeld = new Counter('places_held');
const admitted = new Counter('admitted');
const positions = new Counter('positions');
const admissionWait = new Trend('admission_wait', true);

/** @type {import('k6/options').Options} */
export const options = {
  scenarios: {
    queue: { executor: 'per-vu-iterations', vus: users, iterations: 1, maxDuration: `${waitSeconds + 60}s` },
  },
  thresholds: {
    'http_req_duration{name:join}': [`p(95)<${whole('P95_MS', 1000)}`],
    'http_req_duration{name:hold}': [`p(95)<${whole('P95_MS', 1000)}`],
    admission_wait: [`p(95)<${whole('WAIT_P95_MS', waitSeconds * 1000)}`],
    http_req_failed: ['rate==0'],
    wrong_answers: ['count==0'],
    admitted: [`count==${users}`],
    places_held: [`count==${placesHeldExpected}`],
  },
  setupTimeout: '5m',
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
};

/** @returns {Room} */
export function setup() {
  const sale = openSale({ kind: 'capacity', capacity: places }, places);
  const settings = { mode: 'on', admitPerSecond, maxActive };
  const path = `/v1/performances/${sale.performanceId}/queue`;
  const room = required(replace('room', path, mintAdmin(), settings), 200);
  // One user more than there are VUs: the one who tries without a pass.
  const all = mintUsers(users + 1);
  const refused = hold(sale, userOf(all, users), wanted);
  const code = refusalIn(refused, { queue_pass_required: 403 });
  expect(code !== null, 'places without a pass', refused);
  return { ...sale, users: all, issued: Number(room['issued']), admitted: Number(room['admitted']) };
}

/** @param {Room} room */
export default function visit(room) {
  const user = userOf(room.users, exec.vu.idInTest - 1);
  const place = join(room, user);
  if (place !== null) watch(room, user, place);
}

/**
 * Joins the queue; null where the answer is wrong.
 * @param {Room} room
 * @param {User} user
 * @returns {Place | null}
 */
function join(room, user) {
  const joinedMs = Date.now();
  const response = create('join', `/v1/performances/${room.performanceId}/queue/tickets`, user.token, null);
  const { status, ticket, number, position } = objectIn(response.body);
  const isPlace =
    response.status === 201 &&
    status === 'waiting' &&
    typeof ticket === 'string' &&
    isFromOne(number) &&
    isFromOne(position);
  if (!isPlace) {
    wrong('a ticket', response);
    return null;
  }
  return { ticket, number: Number(number), position: Number(position), joinedMs };
}

/**
 * Watches the ticket until it is admitted; the iteration ends with the socket.
 * @param {Room} room
 * @param {User} user
 * @param {Place} place
 */
function watch(room, user, place) {
  const headers = { Authorization: `Bearer ${user.token}` };
  const socket = new WebSocket(`${baseUrl.replace(/^http/, 'ws')}/v1/ws`, null, { headers });
  let position = place.position;
  let isOver = false;
  /** @param {string} fault empty: none */
  const end = (fault) => {
    if (isOver) return;
    isOver = true;
    clearTimeout(limit);
    if (fault !== '') wrong(fault);
    socket.close();
  };
  const limit = setTimeout(() => end(`not admitted within ${waitSeconds} s`), waitSeconds * 1000);
  socket.onopen = () => socket.send(JSON.stringify({ type: 'queue.watch', ticket: place.ticket }));
  socket.onerror = (event) => end(`the socket failed: ${event?.error}`);
  socket.onclose = () => end('the socket was closed before the admission');
  socket.onmessage = (event) => {
    if (isOver) return;
    const message = objectIn(event?.data);
    if (message['type'] === 'queue.position') {
      positions.add(1);
      const isRight = isFromOne(message['position']) && message['number'] === place.number;
      if (!isRight) wrong(`a position: ${event?.data}`);
      if (Number(message['position']) > position) wrong(`a position that grows: ${position} before, ${event?.data}`);
      position = Number(message['position']);
    } else if (message['type'] === 'queue.admitted') {
      admissionWait.add(Date.now() - place.joinedMs);
      end('');
      enter(room, user, place, message);
    } else end(`another message: ${event?.data}`);
  };
}

/**
 * Holds with the pass, and gives it back.
 * @param {Room} room
 * @param {User} user
 * @param {Place} place
 * @param {import('./lib/judge.js').Body} message `queue.admitted`
 */
function enter(room, user, place, message) {
  const { pass, passExpiresAt, number, performanceId } = message;
  const isPass = typeof pass === 'string' && isTime(passExpiresAt);
  const isOwn = number === place.number && performanceId === room.performanceId;
  if (!expect(isPass && isOwn, `an admission: ${JSON.stringify(message)}`)) return;
  admitted.add(1);
  const response = hold(room, user, wanted, { 'Queue-Pass': String(pass) });
  const outcome = outcomeOf(response, room, user, wanted, { sold_out: 409 });
  if (outcome !== null && 'reservationId' in outcome) placesHeld.add(1);
  const path = `/v1/performances/${room.performanceId}/queue/tickets/current`;
  const left = remove('leave', path, user.token, { 'Queue-Ticket': place.ticket });
  expect(left.status === 204, 'a pass given back', left);
}

/** @param {unknown} value */
function isFromOne(value) {
  return Number.isInteger(value) && Number(value) >= 1;
}

/**
 * Everybody had a ticket and was admitted, nobody waits, and all that was there is sold, and not one place more.
 * @param {Room} room
 */
export function teardown(room) {
  const path = `/v1/performances/${room.performanceId}/queue`;
  expectSoon(
    'queue',
    path,
    (body) =>
      body['waiting'] === 0 && body['issued'] === room.issued + users && body['admitted'] === room.admitted + users,
    `not ${users} tickets given out and admitted`,
  );
  expectRemaining(room, places - placesHeldExpected);
}
