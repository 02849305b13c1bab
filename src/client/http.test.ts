import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FakeNetwork, fakeNetwork, problemReply, type Reaction } from '../../test/client-fakes.ts';
import { FastpassClient, NetworkError, type RetryOptions } from './index.ts';

const baseUrl = 'http://gateway.test';

function clientOf(network: FakeNetwork, retry: RetryOptions = {}): FastpassClient {
  return new FastpassClient({ baseUrl, token: 'a.b.c', fetch: network.fetch, retry });
}

/** Answers one after the other; the last one for all that follow. */
function inTurn(...reactions: Reaction[]): FakeNetwork {
  return fakeNetwork((_, index) => reactions[Math.min(index, reactions.length - 1)]!);
}

const busy = problemReply(503, 'overloaded', { 'retry-after': '2' });

async function thrownBy(promise: Promise<unknown>): Promise<NetworkError> {
  const thrown: unknown = await promise.catch((reason: unknown) => reason);
  expect(thrown).toBeInstanceOf(NetworkError);
  return thrown as NetworkError;
}

describe('each operation', () => {
  const id = '0190a0de-0000-7000-8000-000000000001';
  const performance = {
    startsAt: '2030-01-01T20:00:00Z',
    price: 1000,
    seating: { kind: 'seated', seats: 10 },
  } as const;
  const room = { mode: 'on', admitPerSecond: 10, maxActive: 5 } as const;
  it.each<[string, (client: FastpassClient) => Promise<unknown>, string, unknown?, Record<string, string>?]>([
    [
      'signUp',
      (c) => c.signUp({ email: 'a@b', password: '12345678' }),
      'POST /v1/users',
      { email: 'a@b', password: '12345678' },
    ],
    ['logIn', (c) => c.logIn('a@b', 'secret'), 'POST /v1/sessions', { email: 'a@b', password: 'secret' }],
    ['logOut', (c) => c.logOut(), 'DELETE /v1/sessions/current'],
    [
      'charge',
      (c) => c.charge(500, { idempotencyKey: 'k' }),
      'POST /v1/balance/charges',
      { amount: 500 },
      { 'idempotency-key': 'k' },
    ],
    ['balance', (c) => c.balance(), 'GET /v1/balance'],
    ['history', (c) => c.history({ limit: 5, cursor: '9' }), 'GET /v1/balance/history?limit=5&cursor=9'],
    ['createEvent', (c) => c.createEvent({ name: 'E', isDemo: true }), 'POST /v1/events', { name: 'E', isDemo: true }],
    ['events', (c) => c.events(), 'GET /v1/events'],
    ['createPerformance', (c) => c.createPerformance(3, performance), 'POST /v1/events/3/performances', performance],
    ['performances', (c) => c.performances(3), 'GET /v1/events/3/performances'],
    ['performance', (c) => c.performance(7), 'GET /v1/performances/7'],
    [
      'seats',
      (c) => c.seats(7, { etag: '"1"' }),
      'GET /v1/performances/7/seats',
      undefined,
      { 'if-none-match': '"1"' },
    ],
    ['warm', (c) => c.warm(7), 'POST /v1/performances/7/warm'],
    [
      'startRehearsal',
      (c) => c.startRehearsal(7, { people: 9, places: 2 }, { idempotencyKey: 'k' }),
      'POST /v1/performances/7/rehearsals',
      { people: 9, places: 2 },
      { 'idempotency-key': 'k' },
    ],
    ['rehearsal', (c) => c.rehearsal(7), 'GET /v1/performances/7/rehearsals/current'],
    [
      'reserve',
      (c) => c.reserve({ performanceId: 7, seats: [1] }, { pass: 'p' }),
      'POST /v1/reservations',
      { performanceId: 7, seats: [1] },
      { 'queue-pass': 'p' },
    ],
    ['reservation', (c) => c.reservation(id), `GET /v1/reservations/${id}`],
    ['reservations', (c) => c.reservations({ status: 'HELD' }), 'GET /v1/reservations?status=HELD'],
    ['pay', (c) => c.pay(id), `POST /v1/reservations/${id}/payments`, {}],
    ['cancel', (c) => c.cancel(id), `DELETE /v1/reservations/${id}`],
    ['setQueue', (c) => c.setQueue(7, room), 'PUT /v1/performances/7/queue', room],
    ['queue', (c) => c.queue(7), 'GET /v1/performances/7/queue'],
    [
      'joinQueue',
      (c) => c.joinQueue(7, 't'),
      'POST /v1/performances/7/queue/tickets',
      undefined,
      { 'queue-ticket': 't' },
    ],
    [
      'ticket',
      (c) => c.ticket(7, 't'),
      'GET /v1/performances/7/queue/tickets/current',
      undefined,
      { 'queue-ticket': 't' },
    ],
    [
      'leaveQueue',
      (c) => c.leaveQueue(7, 't'),
      'DELETE /v1/performances/7/queue/tickets/current',
      undefined,
      { 'queue-ticket': 't' },
    ],
  ])('%s is sent as the contract has it', async (_, call, request, body, headers = {}) => {
    const network = inTurn({ status: 200, body: {} });
    await call(clientOf(network));
    expect(network.asked).toHaveLength(1);
    const [asked] = network.asked;
    expect(`${asked!.method} ${asked!.path}`).toBe(request);
    expect(asked!.body).toEqual(body);
    expect(asked!.headers).toMatchObject({ authorization: 'Bearer a.b.c', ...headers });
    expect('content-type' in asked!.headers).toBe(body !== undefined);
  });
});

describe('a result', () => {
  it('is a value, said to be replayed where it is', async () => {
    const network = inTurn({ status: 201, body: { balance: 500 }, headers: { 'idempotency-replayed': 'true' } });
    expect(await clientOf(network).charge(500)).toEqual({
      ok: true,
      status: 201,
      value: { balance: 500 },
      replayed: true,
    });
  });

  it('is a problem told apart by its code', async () => {
    const taken = problemReply(409, 'seat_taken');
    const network = inTurn({ ...taken, body: { ...(taken.body as object), seats: [2] } });
    const result = await clientOf(network).reserve({ performanceId: 1, seats: [1, 2] });
    expect(result).toMatchObject({ ok: false, status: 409 });
    if (result.ok || result.problem.code !== 'seat_taken') throw new Error('not taken');
    // Typed by the code.
    expect(result.problem.seats).toEqual([2]);
    expect(network.asked).toHaveLength(1);
  });

  it('of a seat map says whether the one at hand still holds', async () => {
    const map = { performanceId: 7, seats: [] };
    const network = inTurn(
      { status: 200, body: map, headers: { etag: '"a"' } },
      { status: 304, headers: { etag: '"a"' } },
    );
    const client = clientOf(network);
    expect(await client.seats(7)).toMatchObject({ value: { isChanged: true, etag: '"a"', map } });
    expect(await client.seats(7, { etag: '"a"' })).toEqual({
      ok: true,
      status: 304,
      value: { isChanged: false, etag: '"a"' },
    });
  });

  it('of a list is read page by page, until the last or a failure', async () => {
    const network = inTurn(
      { status: 200, body: { items: [3, 2], next: '2' } },
      { status: 200, body: { items: [1], next: null } },
      { status: 200, body: { items: [3, 2], next: '2' } },
      problemReply(401, 'unauthorized'),
    );
    const client = clientOf(network);
    const items: unknown[] = [];
    for await (const page of client.historyPages({ limit: 2 })) if (page.ok) items.push(...page.value.items);
    expect(items).toEqual([3, 2, 1]);
    const statuses: number[] = [];
    for await (const page of client.reservationPages({ status: 'HELD' })) statuses.push(page.status);
    expect(statuses).toEqual([200, 401]);
    expect(network.asked.map(({ path }) => path)).toEqual([
      '/v1/balance/history?limit=2',
      '/v1/balance/history?limit=2&cursor=2',
      '/v1/reservations?status=HELD',
      '/v1/reservations?status=HELD&cursor=2',
    ]);
  });
});

describe('the token', () => {
  it('is kept by log-in and forgotten by log-out', async () => {
    const session = { accessToken: 'x.y.z', expiresAt: '2030-01-01T00:00:00Z', userId: 1, role: 'user' };
    const network = fakeNetwork(({ method }) => (method === 'POST' ? { status: 201, body: session } : { status: 204 }));
    const client = new FastpassClient({ baseUrl: `${baseUrl}/`, fetch: network.fetch });
    await client.logIn('a@b', 'secret');
    expect(client.token).toBe('x.y.z');
    expect(await client.logOut()).toEqual({ ok: true, status: 204, value: null });
    expect(client.token).toBeNull();
    await client.balance();
    expect(network.asked.map(({ headers }) => headers['authorization'])).toEqual([
      undefined,
      'Bearer x.y.z',
      undefined,
    ]);
  });

  it('is good unless the gateway refuses it', async () => {
    expect(await clientOf(inTurn(problemReply(401, 'unauthorized'))).isTokenGood()).toBe(false);
    expect(await clientOf(inTurn(problemReply(400, 'validation_failed'))).isTokenGood()).toBe(true);
    const away = inTurn('lost');
    expect(await clientOf(away).isTokenGood()).toBe(true);
    expect(away.asked).toHaveLength(1);
  });
});

describe('a call', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('is made again after 503 and 429, not before the time they ask for, with the same key', async () => {
    const network = inTurn(busy, problemReply(429, 'rate_limited', { 'retry-after': '1' }), {
      status: 201,
      body: { balance: 1 },
    });
    const result = clientOf(network).charge(1);
    await vi.runAllTimersAsync();
    expect((await result).ok).toBe(true);
    const [first, second, third] = network.asked;
    expect(second!.atMs - first!.atMs).toBeGreaterThanOrEqual(2000);
    expect(third!.atMs - second!.atMs).toBeGreaterThanOrEqual(1000);
    const keys = network.asked.map(({ headers }) => headers['idempotency-key']);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[\x21-\x7e]{1,64}$/);
  });

  it('is given up after the attempts or the deadline, with the last answer', async () => {
    const attempts = inTurn(busy);
    const byAttempts = clientOf(attempts, { attemptsMax: 3 }).balance();
    const late = inTurn(busy);
    const byDeadline = clientOf(late, { attemptsMax: 100, deadlineMs: 5000 }).balance();
    await vi.runAllTimersAsync();
    expect(await byAttempts).toMatchObject({ ok: false, problem: { code: 'overloaded' }, retryAfterSeconds: 2 });
    expect(attempts.asked).toHaveLength(3);
    expect(await byDeadline).toMatchObject({ ok: false, status: 503 });
    expect(late.asked.length).toBeGreaterThan(1);
    expect(late.asked.at(-1)!.atMs - late.asked[0]!.atMs).toBeLessThan(5000);
    // Longer than there is time: at once.
    const startMs = performance.now();
    const long = clientOf(inTurn(problemReply(429, 'rate_limited', { 'retry-after': '60' }))).balance();
    expect(await long).toMatchObject({ ok: false, retryAfterSeconds: 60 });
    expect(performance.now()).toBe(startMs);
  });

  it('is not made again for any other answer, nor where it must not be', async () => {
    const unsafe = inTurn(busy);
    expect((await clientOf(unsafe).signUp({ email: 'a@b', password: '12345678' })).status).toBe(503);
    expect((await clientOf(unsafe).logIn('a@b', 'x')).status).toBe(503);
    expect(unsafe.asked).toHaveLength(2);
    const noHint = inTurn(problemReply(503, 'unavailable'));
    expect((await clientOf(noHint).balance()).status).toBe(503);
    expect(noHint.asked).toHaveLength(1);
    const lost = inTurn('lost');
    const thrown = await thrownBy(clientOf(lost).signUp({ email: 'a@b', password: '12345678' }));
    expect(thrown).toMatchObject({ kind: 'unreachable', message: 'POST /v1/users: fetch failed: ECONNRESET' });
    expect(lost.asked).toHaveLength(1);
  });

  it.each<[string, Reaction]>([
    ['a lost connection', 'lost'],
    ['no answer in time', 'silent'],
    ["a proxy's page", { status: 502, body: '<h1>Bad gateway</h1>' }],
    ["a proxy's JSON", { status: 504, body: { message: 'timeout' } }],
  ])('is made again after %s, and throws in the end', async (_, reaction) => {
    const passing = inTurn(reaction, reaction, { status: 200, body: { balance: 1 } });
    const good = clientOf(passing, { attemptMsMax: 1000 }).balance();
    const lasting = inTurn(reaction);
    const bad = thrownBy(clientOf(lasting, { attemptMsMax: 1000 }).charge(1));
    await vi.runAllTimersAsync();
    expect((await good).ok).toBe(true);
    const kind = reaction === 'lost' ? 'unreachable' : reaction === 'silent' ? 'timeout' : 'unreadable';
    expect((await bad).kind).toBe(kind);
    expect(lasting.asked).toHaveLength(5);
    expect(new Set(lasting.asked.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
  });

  it('with an answer that nobody understands throws at once', async () => {
    const network = inTurn({ status: 200, body: '<h1>Log in to the Wi-Fi</h1>' });
    expect(await thrownBy(clientOf(network).events())).toMatchObject({ kind: 'unreadable', status: 200 });
    expect(network.asked).toHaveLength(1);
  });

  it("ends with the signal's reason, while it is under way and while it waits", async () => {
    for (const reaction of ['silent', busy] as const) {
      const network = inTurn(reaction);
      const controller = new AbortController();
      const result = clientOf(network).balance({ signal: controller.signal });
      const settled = result.catch((reason: unknown) => reason);
      await vi.advanceTimersByTimeAsync(100);
      controller.abort('left the page');
      expect(await settled).toBe('left the page');
      expect(vi.getTimerCount()).toBe(0);
      await expect(clientOf(network).balance({ signal: controller.signal })).rejects.toBe('left the page');
      expect(network.asked).toHaveLength(1);
    }
    const controller = new AbortController();
    const once = clientOf(inTurn('silent')).logIn('a@b', 'x', { signal: controller.signal });
    const settled = once.catch((reason: unknown) => reason);
    await vi.advanceTimersByTimeAsync(100);
    controller.abort('left the page');
    expect(await settled).toBe('left the page');
  });
});

describe('over a real connection', () => {
  let server: Server;
  let url: string;
  let handled = 0;
  beforeEach(async () => {
    handled = 0;
    server = createServer((request, response) => {
      request.resume().once('end', () => {
        handled++;
        if (handled === 1) return request.socket.destroy();
        if (handled === 2)
          return response.writeHead(503, { 'retry-after': '0', 'content-type': 'text/html' }).end('no');
        response.writeHead(200, { 'content-type': 'application/json' }).end('{"items":[]}');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => void server.close());

  it('gets through a reset and a proxy without a gateway', async () => {
    const client = new FastpassClient({ baseUrl: url, retry: { delayMs: 10 } });
    expect(await client.events()).toEqual({ ok: true, status: 200, value: { items: [] } });
    expect(handled).toBe(3);
  });

  it('says why there is none', async () => {
    await new Promise((resolve) => server.close(resolve));
    const client = new FastpassClient({ baseUrl: url, retry: { attemptsMax: 2, delayMs: 1 } });
    expect((await thrownBy(client.events())).message).toContain('ECONNREFUSED');
  });
});
