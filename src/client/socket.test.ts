import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type FakeSocket, fakeNetwork, fakeSockets, problemReply } from '../../test/client-fakes.ts';
import { FastpassClient, FastpassSocket, type LinkState, NetworkError, type SocketOptions } from './index.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const good = problemReply(400, 'validation_failed');
const ended = problemReply(401, 'unauthorized');

/** A socket whose other side is the test's; the token is good unless said otherwise. */
function start(options: SocketOptions & { readonly isTokenEnded?: () => boolean } = {}) {
  const { isTokenEnded = () => false, ...rest } = options;
  const network = fakeNetwork(() => (isTokenEnded() ? ended : good));
  const client = new FastpassClient({ baseUrl: 'https://gateway.test', token: 'a.b.c', fetch: network.fetch });
  const sockets = fakeSockets();
  const socket = new FastpassSocket(client, { connect: sockets.connect, ...rest });
  const states: LinkState[] = [];
  socket.onState((state) => states.push(state));
  socket.open();
  const last = (): FakeSocket => sockets.opened.at(-1)!;
  return { client, socket, states, opened: sockets.opened, last, asked: network.asked };
}

/** The next try of one that has just been lost. */
async function reconnected({ opened, last }: ReturnType<typeof start>, count: number): Promise<FakeSocket> {
  for (let waits = 0; opened.length < count && waits < 6000; waits++) await vi.advanceTimersByTimeAsync(10);
  expect(opened).toHaveLength(count);
  last().accept();
  return last();
}

describe('the connection', () => {
  it('is made once, with the token and the subprotocol', () => {
    const { socket, opened, states, last } = start();
    socket.open();
    expect(opened).toHaveLength(1);
    expect(last()).toMatchObject({
      url: 'wss://gateway.test/v1/ws?access_token=a.b.c',
      protocol: 'fastpass.v1.json',
    });
    last().accept();
    expect(states.map(({ state }) => state)).toEqual(['connecting', 'open']);
    socket.close();
    expect(last().isClosed).toBe(true);
    expect([socket.state, vi.getTimerCount()]).toEqual(['closed', 0]);
  });

  it.each([1000, 1001, 1006, 1011, 1012, 1013])('comes back after %i, with the token of then', async (code) => {
    const run = start();
    run.last().accept();
    run.client.token = 'd.e.f';
    run.last().end(code, 'why');
    expect(run.states.at(-1)).toEqual({ state: 'connecting', failures: 1, code, reason: 'why' });
    await reconnected(run, 2);
    expect(run.last().url).toContain('access_token=d.e.f');
    expect(run.socket.state).toBe('open');
    run.socket.close();
  });

  it.each([1002, 1003, 1007, 1009, 1010])('does not come back after %i', async (code) => {
    const { last, states, opened } = start();
    last().accept();
    last().end(code);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(states.at(-1)).toMatchObject({ state: 'closed', code });
    expect(opened).toHaveLength(1);
  });

  it('does not come back after 1008 where the token has ended, and does where it has not', async () => {
    let isEnded = false;
    const run = start({ isTokenEnded: () => isEnded });
    run.last().accept();
    run.last().end(1008, 'too many messages');
    await reconnected(run, 2);
    isEnded = true;
    run.last().end(1008, 'the token has ended');
    await vi.advanceTimersByTimeAsync(60_000);
    expect(run.states.at(-1)).toMatchObject({ state: 'closed', code: 1008, reason: 'the token has ended' });
    expect(run.opened).toHaveLength(2);
    // Logged in again.
    isEnded = false;
    run.socket.open();
    run.last().accept();
    expect([run.socket.state, run.opened.length]).toEqual(['open', 3]);
    run.socket.close();
  });

  it('does not go on trying with a token that is refused at the handshake', async () => {
    const { last, states, opened } = start({ isTokenEnded: () => true });
    last().refuse();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(states.at(-1)).toMatchObject({ state: 'closed', code: 1008 });
    expect(opened).toHaveLength(1);
  });

  it('waits longer after each failure, up to a limit, never in step, and for the attempts it may', async () => {
    vi.spyOn(Math, 'random').mockReturnValue(0.5);
    const { states, opened, last } = start({ delayMs: 1000, delayMsMax: 8000, attemptsMax: 7 });
    const atsMs: number[] = [];
    for (let tries = 1; tries <= 7; tries++) {
      expect(opened).toHaveLength(tries);
      atsMs.push(performance.now());
      last().refuse();
      while (opened.length === tries && states.at(-1)!.state !== 'closed') await vi.advanceTimersByTimeAsync(10);
    }
    const waitsMs = atsMs.slice(1).map((atMs, i) => atMs - atsMs[i]!);
    expect(waitsMs).toEqual([1000, 2000, 4000, 4000, 4000, 4000]);
    expect(states.at(-1)).toMatchObject({ state: 'closed', failures: 6 });
    vi.restoreAllMocks();
  });

  it('counts one that did not last as a failure, and starts anew after one that did', async () => {
    const run = start();
    run.last().accept();
    run.last().end(1013);
    await reconnected(run, 2);
    run.last().end(1013);
    expect(run.states.at(-1)!.failures).toBe(2);
    const third = await reconnected(run, 3);
    await vi.advanceTimersByTimeAsync(5000);
    third.end(1001);
    expect(run.states.at(-1)!.failures).toBe(0);
    run.socket.close();
  });

  it('is given up when it does not answer a ping, and not while it answers', async () => {
    const run = start({ pingIntervalMs: 20_000, pongMsMax: 5000 });
    run.last().accept();
    for (let pings = 1; pings <= 3; pings++) {
      await vi.advanceTimersByTimeAsync(20_000);
      expect(run.last().of('ping')).toHaveLength(pings);
      run.last().say({ type: 'pong' });
      await vi.advanceTimersByTimeAsync(5000);
    }
    expect(run.opened).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(25_000);
    expect(run.opened[0]!.isClosed).toBe(true);
    expect(run.states.at(-1)).toMatchObject({ state: 'connecting', code: 1006, reason: 'no answer to a ping' });
    const next = await reconnected(run, 2);
    // What the dead one still says is not heard.
    run.opened[0]!.end(1007);
    run.opened[0]!.say({ type: 'pong' });
    expect([run.socket.state, next.isClosed]).toEqual(['open', false]);
    run.socket.close();
  });

  it('is given up when the handshake is not answered', async () => {
    const { opened, states, socket } = start({ connectMsMax: 3000 });
    await vi.advanceTimersByTimeAsync(3000);
    expect(opened[0]!.isClosed).toBe(true);
    expect(states.at(-1)).toMatchObject({ state: 'connecting', failures: 1 });
    socket.close();
  });

  it('ends where the platform has none, and where whoever is told closes it', () => {
    const client = new FastpassClient({ baseUrl: 'http://gateway.test' });
    const none = new FastpassSocket(client, {
      connect: () => {
        throw new Error('no WebSocket here');
      },
    });
    none.open();
    expect(none.state).toBe('closed');
    const { last, socket, opened } = start();
    socket.onState(({ state }) => {
      if (state === 'connecting') socket.close();
    });
    last().accept();
    last().end(1006);
    expect([socket.state, vi.getTimerCount(), opened.length]).toEqual(['closed', 0, 1]);
  });
});

describe('what is watched', () => {
  it('is watched again after every loss', async () => {
    const run = start();
    const { socket } = run;
    socket.watchQueue(1, 'one');
    socket.watchSeats(1);
    run.last().accept();
    socket.watchQueue(2, 'two');
    socket.watchQueue(2, 'two');
    socket.watchSeats(2);
    socket.watchSeats(2);
    const all = [
      { type: 'queue.watch', ticket: 'one' },
      { type: 'seats.watch', performanceId: 1 },
      { type: 'queue.watch', ticket: 'two' },
      { type: 'seats.watch', performanceId: 2 },
    ];
    expect(run.last().sent).toEqual(all);
    socket.unwatchSeats(1);
    run.last().say({ type: 'queue.position', performanceId: 1, number: 3, position: 2, etaSeconds: null });
    run.last().end(1001);
    expect(new Set((await reconnected(run, 2)).sent)).toEqual(new Set([all[0], all[2], all[3]]));
    socket.close();
  });

  it('becomes typed events, positions never growing', async () => {
    const run = start();
    const { socket } = run;
    const told: unknown[] = [];
    socket.onPosition((event) => told.push(event));
    socket.onAdmitted((event) => told.push(event));
    const stop = socket.onSeats((event) => told.push(event));
    socket.onPassExpired((event) => told.push(event));
    socket.onReservationExpired((event) => told.push(['expired', event]));
    socket.onReservationConfirmed((event) => told.push(['confirmed', event]));
    socket.watchQueue(1, 'one');
    socket.watchSeats(1);
    run.last().accept();
    const say = (message: Record<string, unknown>): void => run.last().say(message);
    const place = (position: number | null) => ({ performanceId: 1, number: 9, position, etaSeconds: 4 });
    const admitted = { performanceId: 1, number: 9, pass: 'p', passExpiresAt: '2030-01-01T00:00:00Z' };
    const seats = { performanceId: 1, changes: [[5, 'HELD']] };
    say({ type: 'queue.position', ...place(null), number: null, opensAt: '2030-01-01T00:00:00Z' });
    say({ type: 'queue.position', ...place(7) });
    say({ type: 'queue.position', ...place(8) });
    say({ type: 'seats.changed', ...seats });
    stop();
    say({ type: 'seats.changed', ...seats });
    say({ type: 'queue.admitted', ...admitted });
    run.last().end(1001);
    await reconnected(run, 2);
    // As it comes with the new watch.
    say({ type: 'queue.admitted', ...admitted });
    say({ type: 'queue.expired', performanceId: 1, status: 'expired' });
    say({ type: 'queue.position', ...place(3) });
    say({ type: 'reservation.expired', reservationId: 'a' });
    say({ type: 'reservation.confirmed', reservationId: 'b' });
    run.last().say('null');
    run.last().say('no JSON');
    say({ type: 'of a later version' });
    expect(told).toEqual([
      { ...place(null), number: null, opensAt: '2030-01-01T00:00:00Z' },
      place(7),
      place(7),
      seats,
      admitted,
      { performanceId: 1, status: 'expired' },
      ['expired', { reservationId: 'a' }],
      ['confirmed', { reservationId: 'b' }],
    ]);
    socket.close();
  });

  it('is watched again where the gateway could not, but for rooms it has told a position of', async () => {
    const { socket, last } = start();
    const errors: unknown[] = [];
    socket.onError((event) => errors.push(event));
    socket.watchQueue(1, 'one');
    socket.watchQueue(2, 'two');
    socket.watchSeats(3);
    last().accept();
    last().say({ type: 'queue.position', performanceId: 1, number: 3, position: 2, etaSeconds: null });
    last().say({ type: 'error', code: 'unavailable', detail: 'a store is away' });
    last().say({ type: 'error', code: 'unavailable', detail: 'a store is away' });
    expect(errors).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(5000);
    expect(last().sent.slice(3)).toEqual([
      { type: 'queue.watch', ticket: 'two' },
      { type: 'seats.watch', performanceId: 3 },
    ]);
    socket.close();
  });

  it('has a limit', () => {
    const { socket } = start();
    for (let id = 1; id <= 16; id++) {
      socket.watchQueue(id, `t${id}`);
      socket.watchSeats(id);
    }
    expect(() => socket.watchQueue(17, 't17')).toThrow(RangeError);
    expect(() => socket.watchSeats(17)).toThrow(RangeError);
    socket.close();
  });
});

describe('reserve', () => {
  const wish = { performanceId: 1, seats: [1, 2] } as const;
  const hold = { reservationId: 'r', performanceId: 1, userId: 5, seats: [1, 2], amount: 2000, expiresAt: 'then' };

  it('settles by its id, whatever order the results come in', async () => {
    const { socket, last } = start();
    last().accept();
    const first = socket.reserve(wish, { pass: 'p', idempotencyKey: 'k' });
    const second = socket.reserve(wish);
    const [one, two] = last().of('reserve');
    expect(one).toEqual({ type: 'reserve', id: one!['id'], ...wish, idempotencyKey: 'k', pass: 'p' });
    expect(two!['idempotencyKey']).toMatch(/^[\x21-\x7e]{1,64}$/);
    const taken = { title: 'A seat is taken', code: 'seat_taken', detail: 'A seat is taken.', seats: [2] };
    last().say({ type: 'reserve.result', id: two!['id'], status: 409, ...taken });
    last().say({ type: 'reserve.result', id: one!['id'], ...hold, status: 201, replayed: true });
    expect(await first).toEqual({ ok: true, status: 201, value: { ...hold, status: 'HELD' }, replayed: true });
    const problem = { type: 'urn:fastpass:problem:seat_taken', ...taken, status: 409 };
    expect(await second).toEqual({ ok: false, status: 409, problem });
    socket.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is sent again over the next connection, with the same key', async () => {
    const run = start();
    // Before there is a connection at all.
    const held = run.socket.reserve(wish, { deadlineMs: 300_000 });
    run.last().accept();
    const [before] = run.last().of('reserve');
    run.last().end(1006);
    const [after] = (await reconnected(run, 2)).of('reserve');
    expect(after).toEqual(before);
    run.last().say({ type: 'reserve.result', id: after!['id'], ...hold, status: 201 });
    expect((await held).ok).toBe(true);
    run.last().end(1006);
    expect((await reconnected(run, 3)).of('reserve')).toEqual([]);
    run.socket.close();
  });

  it('is sent again after 503 and 429, not before the time they ask for, and within its deadline', async () => {
    const { socket, last } = start();
    last().accept();
    const held = socket.reserve(wish, { deadlineMs: 5000 });
    const id = last().of('reserve')[0]!['id'];
    const busy = { type: 'reserve.result', id, status: 503, code: 'overloaded', detail: 'busy', retryAfter: 2 };
    last().say(busy);
    await vi.advanceTimersByTimeAsync(1999);
    expect(last().of('reserve')).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(501);
    expect(last().of('reserve')).toHaveLength(2);
    last().say({ ...busy, retryAfter: 3 });
    expect(await held).toMatchObject({ ok: false, problem: { code: 'overloaded' }, retryAfterSeconds: 3 });
    const controller = new AbortController();
    const given = socket.reserve(wish, { signal: controller.signal }).catch((reason: unknown) => reason);
    last().say({ ...busy, id: last().of('reserve')[2]!['id'] });
    controller.abort('another seat');
    expect(await given).toBe('another seat');
    await vi.advanceTimersByTimeAsync(4000);
    expect(last().of('reserve')).toHaveLength(3);
    socket.close();
  });

  it('is rejected after its deadline, when it is aborted, and when the socket is closed', async () => {
    const { socket, last } = start();
    last().accept();
    const controller = new AbortController();
    const outcomes = [
      socket.reserve(wish, { deadlineMs: 1000 }),
      socket.reserve(wish, { signal: controller.signal }),
      socket.reserve(wish),
    ].map((held) => held.catch((reason: unknown) => reason));
    controller.abort('another seat');
    await vi.advanceTimersByTimeAsync(1000);
    socket.close();
    const [late, aborted, closed] = await Promise.all(outcomes);
    expect([late, closed].map((reason) => (reason as NetworkError).kind)).toEqual(['timeout', 'closed']);
    expect(aborted).toBe('another seat');
    await expect(socket.reserve(wish)).rejects.toThrow(NetworkError);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('has a limit', async () => {
    const { socket, last } = start();
    last().accept();
    const held = Array.from({ length: 17 }, () => socket.reserve(wish).catch((reason: unknown) => reason));
    expect(await held[16]).toBeInstanceOf(RangeError);
    socket.close();
    for (const reason of await Promise.all(held.slice(0, 16))) expect(reason).toBeInstanceOf(NetworkError);
  });
});
