/** The k6 scripts against a gateway that lies: a thing between them and a real one that changes its answers. A run is red then. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { startGateway, type TestGateway, testSecret } from '../../test/harness.ts';
import { type Outcome, runScript } from './runtime/spawn.ts';

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a lie changes whatever field it likes
  readonly body: any;
}

interface Asked {
  /** Method and path. */
  readonly call: string;
  readonly userId: number;
  readonly body: string;
}

/** What is told instead of an answer. */
type Lie = (answer: Answer, asked: Asked) => Answer | Promise<Answer>;

const timeoutMs = 60_000;

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway();
});

afterAll(() => gateway.stop());

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

/** Passes a call on to the gateway; returns its answer with the headers that scripts look at. */
async function passOn(request: IncomingMessage, sent: string): Promise<Answer & { readonly headers: Headers }> {
  const names = ['authorization', 'content-type', 'queue-pass', 'queue-ticket'];
  const headers = new Headers();
  for (const name of names) if (name in request.headers) headers.set(name, String(request.headers[name]));
  const { method = 'GET', url } = request;
  const response = await fetch(gateway.url + url, { method, headers, body: sent === '' ? null : sent });
  const text = await response.text();
  return { status: response.status, body: text === '' ? null : JSON.parse(text), headers: response.headers };
}

/** Who asks, by the token; 0 without one. */
function userIn({ headers }: IncomingMessage): number {
  const claims = headers.authorization?.split('.')[1];
  return claims === undefined ? 0 : Number(JSON.parse(Buffer.from(claims, 'base64url').toString()).sub);
}

/** A liar before the gateway; each message of a socket goes through `twist`. Returns its address. */
async function startLiar(lie: Lie, twist: (message: string) => string = (message) => message): Promise<string> {
  const server = createServer(async (request, response) => {
    const body = await textOf(request);
    const { headers, ...answer } = await passOn(request, body);
    const told = await lie(answer, { call: `${request.method} ${request.url}`, userId: userIn(request), body });
    const { reservationId } = told.body ?? {};
    const location = reservationId === undefined ? {} : { location: `/v1/reservations/${reservationId}` };
    const type = headers.get('content-type');
    response.writeHead(told.status, { ...location, ...(type === null ? {} : { 'content-type': type }) });
    response.end(told.body === null ? '' : JSON.stringify(told.body));
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (client, request) => {
    const { authorization = '' } = request.headers;
    const upstream = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/ws`, { headers: { authorization } });
    const early: string[] = [];
    client.on('message', (data) => early.push(data.toString()));
    upstream.on('open', () => {
      for (const message of early) upstream.send(message);
      client.on('message', (data) => upstream.send(data.toString()));
    });
    upstream.on('message', (data) => client.send(twist(data.toString())));
    client.on('close', () => upstream.close());
    upstream.on('close', () => client.close());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const client of sockets.clients) client.terminate();
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function run(name: string, url: string, settings: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const path = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const tiny = { USERS: '3', SEATS: '4', PARTY: '2', REPEAT: '2', P95_MS: '20000' };
  const outcome = await runScript(path, { BASE_URL: url, JWT_SECRET: testSecret, ...tiny, ...settings });
  expect(outcome.errors).toEqual([]);
  return outcome;
}

let lastInvented = 0;
/** A hold in its shape, which the gateway never gave. */
function inventedHold({ userId, body }: Asked): Answer {
  const { performanceId, partySize } = JSON.parse(body);
  const reservationId = `0190c7a5-3f60-7d3c-8a3e-${String(++lastInvented).padStart(12, '0')}`;
  const fields = { performanceId, userId, status: 'HELD', partySize, amount: partySize * 1000 };
  return { status: 201, body: { reservationId, ...fields, expiresAt: new Date().toISOString() } };
}

const ofHolds =
  (lie: Lie): Lie =>
  (answer, asked) =>
    asked.call === 'POST /v1/reservations' ? lie(answer, asked) : answer;

const rushLies: [string, string[], Lie][] = [
  [
    'sells more than there is',
    ['places_held'],
    ofHolds((answer, asked) => (answer.status === 409 ? inventedHold(asked) : answer)),
  ],
  ['fails', ['http_req_failed', 'wrong_answers', 'places_held'], ofHolds(() => ({ status: 500, body: {} }))],
  [
    'is overloaded',
    ['http_req_failed', 'wrong_answers', 'places_held'],
    ofHolds(({ body }) => ({ status: 503, body })),
  ],
  [
    'gives away what belongs to another user',
    ['wrong_answers', 'places_held'],
    ofHolds(({ status, body }) => ({ status, body: { ...body, userId: 7 } })),
  ],
  [
    'says no for another reason',
    ['wrong_answers'],
    ofHolds(({ status, body }) => ({ status, body: status === 409 ? { ...body, code: 'seat_taken' } : body })),
  ],
  [
    'has lost a place at the end',
    ['wrong_answers'],
    ({ status, body }) => ({ status, body: body?.remaining === 0 ? { ...body, remaining: 1 } : body }),
  ],
];

it.each(rushLies)('a rush is red where the gateway %s: %j', { timeout: timeoutMs }, async (_, broken, lie) => {
  const outcome = await run('rush-once', await startLiar(lie));
  expect(outcome.broken).toEqual(broken);
  expect(outcome.exitCode).toBe(99);
});

it('a rush is red where the gateway is slower than wanted', { timeout: timeoutMs }, async () => {
  const slow = ofHolds(async (answer) => {
    await new Promise((resolve) => setTimeout(resolve, 60));
    return answer;
  });
  const outcome = await run('rush-once', await startLiar(slow), { P95_MS: '50' });
  expect(outcome.broken).toEqual(['http_req_duration{name:hold}']);
  expect(outcome.exitCode).toBe(99);
});

it('a rush with repeats is red where somebody has two reservations', { timeout: timeoutMs }, async () => {
  const twice = ofHolds((answer, asked) => (answer.body.code === 'already_reserved' ? inventedHold(asked) : answer));
  const outcome = await run('rush-repeat', await startLiar(twice), { USERS: '1' });
  expect(outcome.broken).toEqual(['wrong_answers', 'places_held']);
  expect(outcome.stderr).toContain('a second reservation of one user');
});

it('a soak is red where money is lost', { timeout: timeoutMs }, async () => {
  const keep: Lie = ({ status, body }) => ({ status, body: body?.refunded > 0 ? { ...body, refunded: 0 } : body });
  const settings = { SEATS: '50', RATE: '2', DURATION: '1s', PAUSE_MS: '0', VUS: '3' };
  const outcome = await run('soak', await startLiar(keep), settings);
  expect([outcome.broken, outcome.exitCode]).toEqual([['wrong_answers'], 99]);
});

const roomSettings = { USERS: '2', SEATS: '2', ADMIT_PER_SECOND: '1' };
const honest: Lie = (answer) => answer;

it('a waiting room is red where a position grows', { timeout: timeoutMs }, async () => {
  const twist = (message: string): string => message.replace(/"position":\d/, '$&00');
  const outcome = await run('waiting-room', await startLiar(honest, twist), roomSettings);
  expect([outcome.broken, outcome.exitCode]).toEqual([['wrong_answers'], 99]);
  expect(outcome.stderr).toContain('a position that grows');
});

it('a waiting room is red where people are not admitted', { timeout: timeoutMs }, async () => {
  const twist = (message: string): string => message.replace('queue.admitted', 'pong');
  const outcome = await run('waiting-room', await startLiar(honest, twist), roomSettings);
  expect(outcome.broken).toEqual(['wrong_answers', 'admitted', 'places_held']);
});

it('a waiting room is red where nobody needs a pass', { timeout: timeoutMs }, async () => {
  const open = ofHolds((answer, asked) => (answer.body.code === 'queue_pass_required' ? inventedHold(asked) : answer));
  const outcome = await run('waiting-room', await startLiar(open), roomSettings);
  expect([outcome.broken, outcome.exitCode]).toEqual([['wrong_answers'], 99]);
});
