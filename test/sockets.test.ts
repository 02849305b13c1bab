/** The contract of `/v1/ws`: how it opens, each message and its answer, what a user is told, and how it ends. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { unpack } from 'msgpackr';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { mintToken } from '../src/gateway/auth.ts';
import { leaseKey, performanceKeys } from '../src/lua/keys.ts';
import { QueueTokens } from '../src/waiting-room/tokens.ts';
import {
  call,
  createPerformance,
  metricOf,
  newUserId,
  parseAnswer,
  patient,
  type Reply,
  redisClient,
  spawnGateway,
  startGateway,
  storedReservations,
  storedStatus,
  type TestGateway,
  testSecret,
  tokenOf,
  until,
  untilLapsed,
  whileLocked,
} from './harness.ts';
import { type Message, openSocket, type SocketOptions, type TestSocket } from './socket.ts';

let gateway: TestGateway;
let other: TestGateway;
let url = '';
const opened: TestSocket[] = [];

beforeAll(async () => {
  gateway = await startGateway();
  other = await startGateway();
  url = gateway.url;
});

afterEach(() => {
  for (const socket of opened.splice(0)) socket.close();
});

afterAll(async () => {
  await gateway.stop();
  await other.stop();
});

async function open(userId = newUserId(), options: SocketOptions = {}, at = url): Promise<TestSocket> {
  const socket = await openSocket(at, userId, options);
  opened.push(socket);
  return socket;
}

const seated = (seats = 20, fields: Readonly<Record<string, unknown>> = {}): Promise<number> =>
  createPerformance(url, { seating: { kind: 'seated', seats }, ...fields });
const hold = (userId: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Reply> =>
  call(url, 'POST', '/v1/reservations', { userId, body, headers });

/** Sends a `reserve` with an id of its own and resolves with its result, whatever else comes in between. */
async function reserve(socket: TestSocket, fields: Readonly<Record<string, unknown>>): Promise<Message> {
  const id = randomUUID();
  socket.send({ type: 'reserve', id, ...fields });
  return socket.message('reserve.result', (message) => message.id === id);
}

interface Refusal {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever field it asserts on
  readonly body: any;
}

const upgradeHeaders = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

/** A request to `/v1/ws` that is to be refused: its HTTP answer. */
function refusal(
  at: string,
  headers: Readonly<Record<string, string>>,
  { method = 'GET', query = '' } = {},
): Promise<Refusal> {
  return new Promise((resolve, reject) => {
    const sent = request(`${at}/v1/ws${query}`, { method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('latin1');
      response.on('data', (part: string) => {
        text += part;
      });
      response.on('end', () => {
        const isJson = response.headers['content-type']?.endsWith('json') === true && text !== '';
        const body = isJson ? JSON.parse(text) : null;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body });
      });
    });
    sent.on('upgrade', (_, socket) => {
      socket.destroy();
      reject(new Error('it was opened'));
    });
    sent.on('error', reject);
    sent.end();
  });
}

const authorized = (userId: number): Record<string, string> => ({
  ...upgradeHeaders,
  Authorization: `Bearer ${tokenOf(userId)}`,
});

async function isAlive(socket: TestSocket): Promise<boolean> {
  const before = socket.of('pong').length;
  socket.send({ type: 'ping' });
  return socket.until('a pong', () => socket.of('pong').length > before);
}

describe('opening', () => {
  it('takes the token in the Authorization header, or as access_token, or in both', async () => {
    const [userId, token] = [newUserId(), tokenOf(newUserId())];
    for (const options of [
      {},
      { token: '', query: `access_token=${token}` },
      { token: '', query: `a=1&access_token=${token}&b=2` },
      { query: 'access_token=nonsense' },
    ]) {
      expect(await isAlive(await open(userId, options))).toBe(true);
    }
  });

  const expired = mintToken(testSecret, 4711, 'user', -1);
  const forged = mintToken(`${testSecret}?`, 4711, 'user', 3600);
  const queueTicket = new QueueTokens(testSecret).signTicket({ performanceId: 1, userId: 4711, arrival: 1 });
  const refusedTokens: [string, Record<string, string>, string][] = [
    ['no token', {}, ''],
    ['an empty access_token', {}, '?access_token='],
    ['an empty header and a query without a token', { Authorization: '' }, '?token=a'],
    ['a forged token', { Authorization: `Bearer ${forged}` }, ''],
    ['a forged access_token', {}, `?access_token=${forged}`],
    ['an expired token', { Authorization: `Bearer ${expired}` }, ''],
    ['an expired access_token', {}, `?access_token=${expired}`],
    ['a queue ticket as access_token', {}, `?access_token=${queueTicket}`],
    ['another scheme', { Authorization: `Basic ${tokenOf(4711)}` }, ''],
    ['a bad header beside a good access_token', { Authorization: 'Bearer x' }, `?access_token=${tokenOf(4711)}`],
  ];
  it.each(refusedTokens)('refuses %s with 401 and a problem', async (_name, headers, query) => {
    const refused = await refusal(url, { ...upgradeHeaders, ...headers }, { query });
    expect(refused.status).toBe(401);
    expect(refused.headers['content-type']).toBe('application/problem+json');
    expect(refused.headers['www-authenticate']).toBe('Bearer');
    expect(refused.body).toMatchObject({ status: 401, code: 'unauthorized', detail: expect.stringMatching(/./) });
  });

  it('tells whoever asks for msgpack of a refusal in msgpack', async () => {
    const refused = await refusal(url, { ...upgradeHeaders, Accept: 'application/msgpack' });
    expect(refused.headers['content-type']).toBe('application/msgpack');
    expect(unpack(Buffer.from(refused.text, 'latin1'))).toMatchObject({ status: 401, code: 'unauthorized' });
  });

  it('answers 400 to a request that asks for no upgrade, whatever its method and token', async () => {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      for (const headers of [{}, { Authorization: `Bearer ${tokenOf(newUserId())}` }]) {
        const refused = await refusal(url, headers, { method });
        expect([method, refused.status]).toEqual([method, 400]);
        expect(refused.body).toMatchObject({ code: 'validation_failed', errors: [{ path: 'Upgrade' }] });
      }
    }
    const head = await refusal(url, {}, { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([400, '']);
    const posted = await refusal(url, authorized(newUserId()), { method: 'POST' });
    expect(posted.status, 'an upgrade of a POST').toBe(400);
  });

  const offers: [string, string[], string, boolean][] = [
    ['none', [], '', false],
    ['fastpass.v1.json', ['fastpass.v1.json'], 'fastpass.v1.json', false],
    ['fastpass.v1.msgpack', ['fastpass.v1.msgpack'], 'fastpass.v1.msgpack', true],
    ['both, JSON first', ['fastpass.v1.json', 'fastpass.v1.msgpack'], 'fastpass.v1.json', false],
    ['both, msgpack first', ['fastpass.v1.msgpack', 'fastpass.v1.json'], 'fastpass.v1.msgpack', true],
    ['an unknown one before', ['fastpass.v2.json', 'fastpass.v1.msgpack'], 'fastpass.v1.msgpack', true],
  ];
  it.each(offers)(
    'speaks the first subprotocol it knows of those offered: %s',
    async (_name, protocols, chosen, isBinary) => {
      const socket = await open(newUserId(), { protocols });
      expect(socket.raw.protocol).toBe(chosen);
      if (isBinary) socket.sendPacked({ type: 'ping' });
      else socket.send({ type: 'ping' });
      expect(await socket.message('pong')).toEqual({ type: 'pong' });
      expect(socket.binary).toEqual([isBinary]);
    },
  );

  it('answers 400 where it knows none of the subprotocols offered', async () => {
    for (const offered of ['chat', 'fastpass.v2.json, chat', 'FASTPASS.V1.JSON', 'fastpass.v1.json2', ',']) {
      const headers = { ...authorized(newUserId()), 'Sec-WebSocket-Protocol': offered };
      const refused = await refusal(url, headers);
      expect([offered, refused.status]).toEqual([offered, 400]);
      expect(refused.body).toMatchObject({
        code: 'validation_failed',
        errors: [{ path: 'Sec-WebSocket-Protocol' }],
      });
    }
  });

  it('ends a socket with 1008 when its token ends, and no other one', async () => {
    const userId = newUserId();
    const lasting = await open(userId);
    const brief = await open(userId, { token: mintToken(testSecret, userId, 'user', 3) });
    expect(await isAlive(brief)).toBe(true);
    expect(await brief.closeCode()).toBe(1008);
    expect(await isAlive(lasting)).toBe(true);
  });

  it('refuses the 21st socket of one user with 429, and takes it once another one has closed', async () => {
    const userId = newUserId();
    const twenty = await Promise.all(Array.from({ length: 20 }, () => open(userId)));
    const refused = await refusal(url, authorized(userId));
    expect(refused.status).toBe(429);
    expect(refused.body).toMatchObject({ status: 429, code: 'rate_limited' });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(await isAlive(await open(newUserId())), 'another user').toBe(true);
    expect(await isAlive(await open(userId, {}, other.url)), 'another gateway').toBe(true);
    twenty[7]!.raw.close();
    await twenty[7]!.closeCode();
    expect(await isAlive(await open(userId))).toBe(true);
    expect((await refusal(url, authorized(userId))).status).toBe(429);
  });

  it('counts among the requests of its user where they are limited', async () => {
    const limited = await startGateway({ FASTPASS_RATE_LIMIT_PER_SECOND: '3' });
    try {
      const userId = newUserId();
      const sockets = await Promise.allSettled(Array.from({ length: 12 }, () => open(userId, {}, limited.url)));
      const reasons = sockets.flatMap((socket) => (socket.status === 'rejected' ? [String(socket.reason)] : []));
      expect(reasons.length).toBeGreaterThan(0);
      expect(new Set(reasons)).toEqual(new Set(['Error: status 429']));
      expect(sockets.length - reasons.length).toBeGreaterThanOrEqual(3);
    } finally {
      await limited.stop();
    }
  });

  it('counts the sockets that are open', async () => {
    const count = (): Promise<number> => metricOf(url, 'fastpass_sockets');
    // Those of the tests before are closed, and the gateway hears of it some time.
    await until('those of before are gone', async () => (await count()) === 0);
    const sockets = await Promise.all([1, 2, 3].map(() => open()));
    expect(await count()).toBe(3);
    for (const socket of sockets) socket.close();
    await until('they are gone', async () => (await count()) === 0);
  });
});

describe('a message', () => {
  it('ping is answered with pong', async () => {
    const socket = await open();
    socket.send({ type: 'ping' });
    socket.send({ type: 'ping', more: [1, 2, 3] });
    await socket.until('both pongs', () => socket.messages.length >= 2);
    expect(socket.messages).toEqual([{ type: 'pong' }, { type: 'pong' }]);
  });

  it('that is none gets an error, and the third one ends the socket with 1007', async () => {
    const socket = await open();
    for (const nonsense of ['nonsense', '{"type":"no.such"}']) {
      const before = socket.messages.length;
      socket.raw.send(nonsense);
      await socket.until('an error', () => socket.messages.length > before);
      expect(await isAlive(socket)).toBe(true);
    }
    socket.raw.send('[]');
    expect(await socket.closeCode()).toBe(1007);
    expect(socket.of('error')).toEqual(
      new Array(3).fill({ type: 'error', code: 'validation_failed', detail: expect.stringMatching(/./) }),
    );
  });

  it('that asks for what cannot be, in the right form, is no strike against the socket', async () => {
    const socket = await open();
    for (let i = 0; i < 5; i++) socket.send({ type: 'queue.watch', ticket: 'a.b.c' });
    for (let i = 0; i < 5; i++) socket.send({ type: 'reserve', id: i, performanceId: 'none' });
    await socket.until('all answers', () => socket.messages.length >= 10);
    expect(await isAlive(socket)).toBe(true);
  });

  it('seats.watch of a performance that is not there gets performance_not_found, and may be sent again', async () => {
    const socket = await open();
    for (let i = 1; i <= 2; i++) {
      socket.send({ type: 'seats.watch', performanceId: 999_999_999_999 });
      await socket.until('its error', () => socket.of('error').length >= i);
      expect(socket.of('error').at(-1)).toMatchObject({ code: 'performance_not_found' });
    }
    expect(await isAlive(socket)).toBe(true);
  });

  it('seats.watch of a performance that is not there gets its error on each of several sockets at once', async () => {
    const sockets = await Promise.all(Array.from({ length: 5 }, () => open()));
    for (const socket of sockets) socket.send({ type: 'seats.watch', performanceId: 999_999_999_998 });
    for (const socket of sockets) {
      expect(await socket.message('error', undefined, 3000)).toMatchObject({ code: 'performance_not_found' });
    }
  });

  it('seats.watch of the 17th performance is refused, and the 16 are watched on', async () => {
    const ids: number[] = [];
    for (let i = 0; i < 17; i++) ids.push(await seated(2));
    const socket = await open();
    for (const performanceId of ids) socket.send({ type: 'seats.watch', performanceId });
    expect(await socket.message('error')).toMatchObject({ code: 'validation_failed' });
    for (const performanceId of ids.slice(0, 16)) {
      // Until it is watched, whatever the order they are subscribed in.
      await until('its change is told', async () => {
        const held = await hold(newUserId(), { performanceId, seats: [1] });
        await call(url, 'DELETE', `/v1/reservations/${held.body.reservationId}`, { userId: held.body.userId });
        const told = socket.of('seats.changed').filter((message) => message.performanceId === performanceId);
        return told.some(({ changes }) => changes.length > 0);
      });
    }
    expect(socket.of('error')).toHaveLength(1);
  });
});

describe('queue.watch', () => {
  async function room(performanceId: number, fields: Record<string, unknown> = {}): Promise<void> {
    const body = { mode: 'on', admitPerSecond: 100, maxActive: 1, ...fields };
    const reply = await call(url, 'PUT', `/v1/performances/${performanceId}/queue`, { userId: 1, role: 'admin', body });
    expect(reply.status).toBe(200);
  }
  const ticketsOf = (performanceId: number): string => `/v1/performances/${performanceId}/queue/tickets`;
  async function join(performanceId: number, userId: number): Promise<Message> {
    return (await call(url, 'POST', ticketsOf(performanceId), { userId })).body;
  }
  const leave = (performanceId: number, userId: number, ticket: string): Promise<Reply> =>
    call(url, 'DELETE', `${ticketsOf(performanceId)}/current`, { userId, headers: { 'queue-ticket': ticket } });

  it('of a ticket that is not ours is validation_failed, of another user’s forbidden, whatever kind of token it is', async () => {
    const performanceId = await seated();
    await room(performanceId);
    const [owner, stranger] = [newUserId(), newUserId()];
    const { ticket } = await join(performanceId, owner);
    const socket = await open(stranger);
    const watch = async (token: string): Promise<Message> => {
      const before = socket.messages.length;
      socket.send({ type: 'queue.watch', ticket: token });
      return socket.until('an answer', () => socket.messages[before]);
    };
    const tokens = new QueueTokens(testSecret);
    const place = { performanceId, userId: stranger };
    const forged = new QueueTokens(`${testSecret}?`).signTicket({ ...place, arrival: 1 });
    for (const token of [forged, tokenOf(stranger), tokens.signPass({ ...place, number: 1 }), `${ticket}x`, 'a']) {
      expect(await watch(token)).toMatchObject({ type: 'error', code: 'validation_failed' });
    }
    expect(await watch(ticket)).toMatchObject({ type: 'error', code: 'forbidden' });
    expect(await isAlive(socket)).toBe(true);
    expect(socket.of('queue.position')).toEqual([]);
    expect(socket.of('queue.admitted')).toEqual([]);
  });

  it('of a performance that is not there, by a ticket of ours, gets an answer', async () => {
    const userId = newUserId();
    const socket = await open(userId);
    const ticket = new QueueTokens(testSecret).signTicket({ performanceId: 999_999_999_997, userId, arrival: 1 });
    socket.send({ type: 'queue.watch', ticket });
    expect(await socket.message('error')).toMatchObject({ code: 'performance_not_found' });
  });

  it('sent again is told again how it stands, and what follows once', async () => {
    const performanceId = await seated();
    await room(performanceId);
    const [first, second] = [newUserId(), newUserId()];
    const ahead = await join(performanceId, first);
    const mine = await join(performanceId, second);
    const socket = await open(second);
    await until('the first one is inside', async () => {
      return (await call(url, 'GET', `/v1/performances/${performanceId}/queue`)).body.admitted === 1;
    });
    for (let i = 1; i <= 3; i++) {
      socket.send({ type: 'queue.watch', ticket: mine.ticket });
      await socket.until('its position', () => socket.of('queue.position').length >= i);
    }
    await until('one watches', async () => (await metricOf(url, 'fastpass_queue_watchers')) === 1);
    for (const told of socket.of('queue.position')) {
      expect(told).toEqual({
        type: 'queue.position',
        performanceId,
        number: 2,
        position: 1,
        etaSeconds: told.etaSeconds,
      });
    }
    expect((await leave(performanceId, first, ahead.ticket)).status).toBe(204);
    await socket.message('queue.admitted');
    expect(await isAlive(socket)).toBe(true);
    expect(socket.of('queue.admitted')).toHaveLength(1);
  });

  it('of several rooms on one socket tells of each; the 17th is refused', async () => {
    const userId = newUserId();
    const socket = await open(userId);
    const ids: number[] = [];
    for (let i = 0; i < 17; i++) {
      const performanceId = await seated(1);
      ids.push(performanceId);
      await room(performanceId);
      socket.send({ type: 'queue.watch', ticket: (await join(performanceId, userId)).ticket });
    }
    expect(await socket.message('error')).toMatchObject({ code: 'validation_failed' });
    for (const performanceId of ids.slice(0, 16)) {
      await socket.message('queue.admitted', (message) => message.performanceId === performanceId);
    }
  });

  it('goes the whole way in msgpack: positions, admission, reserve with the pass, seats', async () => {
    const performanceId = await seated();
    await room(performanceId, { passSeconds: 60 });
    const [first, second] = [newUserId(), newUserId()];
    const ahead = await join(performanceId, first);
    const mine = await join(performanceId, second);
    const socket = await open(second, { protocols: ['fastpass.v1.msgpack'] });
    socket.sendPacked({ type: 'queue.watch', ticket: mine.ticket });
    expect(await socket.message('queue.position')).toMatchObject({ performanceId, number: 2 });
    await leave(performanceId, first, ahead.ticket);
    const admitted = await socket.message('queue.admitted');
    expect(admitted).toMatchObject({ performanceId, number: 2, pass: expect.stringMatching(/./) });
    expect(Date.parse(admitted.passExpiresAt)).toBeGreaterThan(Date.now());

    const fields = { type: 'reserve', performanceId, seats: [3, 4] };
    socket.sendPacked({ ...fields, id: 1 });
    const refused = await socket.message('reserve.result', ({ id }) => id === 1);
    expect(refused).toMatchObject({ status: 403, code: 'queue_pass_required' });
    socket.sendPacked({ ...fields, id: 'two', pass: admitted.pass });
    const held = await socket.message('reserve.result', ({ id }) => id === 'two');
    expect(held).toMatchObject({ status: 201, performanceId, userId: second, seats: [3, 4], amount: 2000 });
    expect(socket.binary).toEqual(new Array(socket.messages.length).fill(true));
    expect((await storedReservations(performanceId)).map(({ id }) => id)).toEqual([held.reservationId]);
  });
});

describe('reserve', () => {
  it('gives the HTTP answer with the status as a number and the id that was sent', async () => {
    const performanceId = await seated();
    const userId = newUserId();
    const socket = await open(userId);
    const id = 'an id with "quotes", ünïcode and \u0000';
    socket.send({ type: 'reserve', id, performanceId, seats: [1, 2] });
    const result = await socket.message('reserve.result');
    const { reservationId, expiresAt } = result;
    expect(result).toEqual({
      type: 'reserve.result',
      id,
      status: 201,
      reservationId,
      performanceId,
      userId,
      seats: [1, 2],
      amount: 2000,
      expiresAt,
    });
    const read = await call(url, 'GET', `/v1/reservations/${reservationId}`, { userId });
    expect(read.body).toMatchObject({ reservationId, performanceId, seats: [1, 2], status: 'HELD', expiresAt });
  });

  it('holds places for a party', async () => {
    const performanceId = await createPerformance(url, { seating: { kind: 'capacity', capacity: 6 } });
    const socket = await open();
    expect(await reserve(socket, { performanceId, partySize: 4 })).toMatchObject({ status: 201, partySize: 4 });
    expect(await reserve(await open(), { performanceId, partySize: 4 })).toMatchObject({
      status: 409,
      code: 'sold_out',
    });
  });

  /** What a result has beside its own `type` and `id`. */
  function fieldsOfHttp({ status, body: { type: _, ...fields } }: Reply): Record<string, unknown> {
    return { ...fields, status };
  }

  describe('is refused as over HTTP', () => {
    let seatedId: number;
    let closedId: number;
    let roomId: number;
    const holder = newUserId();
    let reservationId = '';

    beforeAll(async () => {
      seatedId = await seated();
      closedId = await seated(5, { bookingClosesAt: '2020-01-01T00:00:00Z' });
      roomId = await seated(5);
      const body = { mode: 'on', admitPerSecond: 1, maxActive: 1 };
      await call(url, 'PUT', `/v1/performances/${roomId}/queue`, { userId: 1, role: 'admin', body });
      reservationId = (await hold(holder, { performanceId: seatedId, seats: [7, 8] })).body.reservationId;
    });

    const cases: [string, () => Record<string, unknown>, number, string, unknown?][] = [
      ['no performance', () => ({ seats: [1] }), 400, 'validation_failed', { errors: [{ path: '/performanceId' }] }],
      ['a performance as text', () => ({ performanceId: '1', seats: [1] }), 400, 'validation_failed'],
      ['seats as text', () => ({ performanceId: seatedId, seats: 'A-1' }), 400, 'validation_failed'],
      ['a seat twice', () => ({ performanceId: seatedId, seats: [1, 1] }), 400, 'validation_failed'],
      ['neither seats nor party', () => ({ performanceId: seatedId }), 400, 'validation_failed'],
      ['both', () => ({ performanceId: seatedId, seats: [1], partySize: 1 }), 400, 'validation_failed'],
      [
        '101 seats',
        () => ({ performanceId: seatedId, seats: Array.from({ length: 101 }, (_, i) => i + 1) }),
        400,
        'validation_failed',
      ],
      ['no such performance', () => ({ performanceId: 999_999_999_996, seats: [1] }), 404, 'performance_not_found'],
      ['no such seat', () => ({ performanceId: seatedId, seats: [1, 21] }), 404, 'seat_not_found', { seats: [21] }],
      ['taken seats', () => ({ performanceId: seatedId, seats: [6, 7, 8] }), 409, 'seat_taken', { seats: [7, 8] }],
      ['closed booking', () => ({ performanceId: closedId, seats: [1] }), 403, 'booking_closed'],
      ['no pass', () => ({ performanceId: roomId, seats: [1] }), 403, 'queue_pass_required'],
    ];
    it.each(cases)('%s', async (_name, fieldsOf, status, code, more = {}) => {
      const userId = newUserId();
      const viaHttp = await hold(userId, fieldsOf());
      const { type, id, ...viaSocket } = await reserve(await open(userId), fieldsOf());
      expect(viaSocket).toMatchObject({ status, code, ...(more as object) });
      expect(viaSocket).toEqual(fieldsOfHttp(viaHttp));
      expect([type, typeof id]).toEqual(['reserve.result', 'string']);
    });

    it('a forged pass, which travels in the message', async () => {
      const userId = newUserId();
      const viaHttp = await hold(userId, { performanceId: roomId, seats: [1] }, { 'queue-pass': 'a.b.c' });
      const {
        type: _,
        id: __,
        ...viaSocket
      } = await reserve(await open(userId), {
        performanceId: roomId,
        seats: [1],
        pass: 'a.b.c',
      });
      expect(viaSocket).toMatchObject({ status: 403, code: 'queue_pass_invalid' });
      expect(viaSocket).toEqual(fieldsOfHttp(viaHttp));
    });

    it('a second reservation of the user', async () => {
      const result = await reserve(await open(holder), { performanceId: seatedId, seats: [10] });
      expect(result).toMatchObject({ status: 409, code: 'already_reserved', reservationId });
    });
  });

  it('answers several at once, each by its own id, with one winner a seat', async () => {
    const performanceId = await seated(30, { maxReservationsPerUser: 1000 });
    const socket = await open();
    for (let i = 0; i < 40; i++) socket.send({ type: 'reserve', id: i, performanceId, seats: [(i % 30) + 1] });
    await socket.until('all results', () => socket.of('reserve.result').length >= 40);
    const results = socket.of('reserve.result');
    expect(results.map(({ id }) => id).sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    for (const { id, status, seats } of results) {
      expect([201, 409]).toContain(status);
      expect(seats).toEqual([(id % 30) + 1]);
    }
    expect(results.filter(({ status }) => status === 201)).toHaveLength(30);
    expect(await storedReservations(performanceId)).toHaveLength(30);
  });

  it('with an id used twice is answered twice: the id is the client’s own business', async () => {
    const performanceId = await seated(5, { maxReservationsPerUser: 5 });
    const socket = await open();
    for (const seat of [1, 2]) socket.send({ type: 'reserve', id: 'same', performanceId, seats: [seat] });
    await socket.until('both', () => socket.of('reserve.result').length === 2);
    expect(socket.of('reserve.result').map(({ id, status }) => [id, status])).toEqual([
      ['same', 201],
      ['same', 201],
    ]);
  });

  describe('with an idempotencyKey', () => {
    it('gives the first answer again and says so, on the same socket, another one and another gateway', async () => {
      const performanceId = await seated();
      const [userId, idempotencyKey] = [newUserId(), randomUUID()];
      const socket = await open(userId);
      const { id: _, ...first } = await reserve(socket, { performanceId, seats: [1, 2], idempotencyKey });
      expect(first.status).toBe(201);
      expect(first).not.toHaveProperty('replayed');
      for (const at of [socket, await open(userId), await open(userId, {}, other.url)]) {
        const { id: __, ...again } = await reserve(at, { seats: [1, 2], performanceId, idempotencyKey });
        expect(again).toEqual({ ...first, replayed: true });
      }
      expect(await storedReservations(performanceId)).toHaveLength(1);
    });

    it('makes one reservation of repeats at once', async () => {
      const performanceId = await seated(20, { maxReservationsPerUser: 100 });
      const [userId, idempotencyKey] = [newUserId(), randomUUID()];
      const sockets = [await open(userId), await open(userId), await open(userId, {}, other.url)];
      const results = await Promise.all(
        Array.from({ length: 18 }, (_, i) => reserve(sockets[i % 3]!, { performanceId, seats: [3], idempotencyKey })),
      );
      expect(results.map(({ status }) => status)).toEqual(new Array(18).fill(201));
      expect(new Set(results.map(({ reservationId }) => reservationId)).size).toBe(1);
      expect(results.filter(({ replayed }) => replayed !== true)).toHaveLength(1);
      expect(await storedReservations(performanceId)).toHaveLength(1);
    });

    it('is the same key as over HTTP, both ways', async () => {
      const performanceId = await seated(20, { maxReservationsPerUser: 100 });
      const userId = newUserId();
      const socket = await open(userId);
      const [one, two] = [randomUUID(), randomUUID()];

      const held = await hold(userId, { performanceId, seats: [1] }, { 'idempotency-key': one });
      const again = await reserve(socket, { performanceId, seats: [1], idempotencyKey: one });
      expect(again).toMatchObject({ status: 201, replayed: true, reservationId: held.body.reservationId });

      const reserved = await reserve(socket, { performanceId, seats: [2], idempotencyKey: two });
      const replayed = await hold(userId, { performanceId, seats: [2] }, { 'idempotency-key': two });
      expect(replayed).toMatchObject({ status: 201, body: { reservationId: reserved.reservationId, status: 'HELD' } });
      expect(replayed.headers.get('idempotency-replayed')).toBe('true');
      expect(replayed.headers.get('location')).toBe(`/v1/reservations/${reserved.reservationId}`);
      expect(await storedReservations(performanceId)).toHaveLength(2);
    });

    it('and another body is idempotency_key_reused', async () => {
      const performanceId = await seated();
      const [userId, idempotencyKey] = [newUserId(), randomUUID()];
      const socket = await open(userId);
      expect(await reserve(socket, { performanceId, seats: [1], idempotencyKey })).toMatchObject({ status: 201 });
      expect(await reserve(socket, { performanceId, seats: [2], idempotencyKey })).toMatchObject({
        status: 422,
        code: 'idempotency_key_reused',
      });
      const viaHttp = await hold(userId, { performanceId, seats: [2] }, { 'idempotency-key': idempotencyKey });
      expect(viaHttp.status).toBe(422);
    });

    it('that can be none is validation_failed, and holds nothing', async () => {
      const performanceId = await seated();
      const socket = await open();
      for (const idempotencyKey of ['a b', 'k'.repeat(65), 'ü', '\u0000', '\ud800', 'a\nb']) {
        expect(await reserve(socket, { performanceId, seats: [1], idempotencyKey })).toMatchObject({
          status: 400,
          code: 'validation_failed',
          errors: [{ path: '/idempotencyKey' }],
        });
      }
      expect(await storedReservations(performanceId)).toEqual([]);
    });
  });

  it('counts among the requests of its user: 429 past FASTPASS_RATE_LIMIT_PER_SECOND, for nobody else', async () => {
    const limited = await startGateway({ FASTPASS_RATE_LIMIT_PER_SECOND: '5' });
    try {
      const performanceId = await seated(20, { maxReservationsPerUser: 100 });
      const [often, once] = [await open(newUserId(), {}, limited.url), await open(newUserId(), {}, limited.url)];
      for (let i = 1; i <= 20; i++) often.send({ type: 'reserve', id: i, performanceId, seats: [i] });
      await often.until('all results', () => often.of('reserve.result').length === 20);
      const refused = often.of('reserve.result').filter(({ status }) => status !== 201);
      expect(refused.length).toBeGreaterThan(0);
      expect(20 - refused.length).toBeGreaterThanOrEqual(4);
      for (const result of refused) expect(result).toMatchObject({ status: 429, code: 'rate_limited', retryAfter: 1 });
      expect(await reserve(once, { performanceId, seats: [20] })).toMatchObject({ status: 201 });
      expect(await isAlive(often)).toBe(true);
    } finally {
      await limited.stop();
    }
  });

  it('is dropped, or else known to its user, when its socket goes at once', async () => {
    const performanceId = await seated();
    const userId = newUserId();
    const socket = await open(userId);
    socket.send({ type: 'reserve', id: 1, performanceId, seats: [1] });
    socket.raw.close();
    await socket.closeCode();
    // Whatever became of it: the seat has at most one owner, and the user can go on.
    const again = await hold(userId, { performanceId, seats: [1] });
    if (again.status === 409) expect(again.body.code).toMatch(/seat_taken|already_reserved/);
    else expect(again.status).toBe(201);
    await until('it is settled', async () => (await storedReservations(performanceId)).length === 1);
    expect((await storedReservations(performanceId))[0]).toMatchObject({ userId, seats: [1] });
  });
});

describe('reservation.expired', () => {
  it('reaches all sockets of its user on every gateway, in both subprotocols, and nobody else', async () => {
    const performanceId = await seated(10, { holdSeconds: 1 });
    const [userId, stranger] = [newUserId(), newUserId()];
    const mine = [
      await open(userId),
      await open(userId, { protocols: ['fastpass.v1.msgpack'] }),
      await open(userId, {}, other.url),
    ];
    const theirs = [await open(stranger), await open(stranger, {}, other.url)];
    const { reservationId } = await reserve(mine[0]!, { performanceId, seats: [1] });
    const lasting = await reserve(theirs[0]!, { performanceId: await seated(), seats: [1] });
    expect(lasting.status).toBe(201);
    for (const socket of mine) {
      expect(await socket.message('reservation.expired')).toEqual({ type: 'reservation.expired', reservationId });
    }
    // A notice of the strangers' own comes behind it on the same channel.
    const second = await reserve(theirs[0]!, { performanceId, seats: [2] });
    for (const socket of theirs) {
      await socket.message('reservation.expired');
      expect(socket.of('reservation.expired')).toEqual([
        { type: 'reservation.expired', reservationId: second.reservationId },
      ]);
    }
    for (const socket of mine) expect(socket.of('reservation.expired')).toHaveLength(1);
  });

  it('is not said of a reservation that was cancelled', async () => {
    const performanceId = await seated(10, { holdSeconds: 2 });
    const userId = newUserId();
    const socket = await open(userId);
    const cancelled = await reserve(socket, { performanceId, seats: [1] });
    const reply = await call(url, 'DELETE', `/v1/reservations/${cancelled.reservationId}`, { userId });
    expect(reply.status).toBe(200);
    const lapsed = await reserve(socket, { performanceId, seats: [2] });
    await socket.message('reservation.expired');
    expect(socket.of('reservation.expired').map(({ reservationId }) => reservationId)).toEqual([lapsed.reservationId]);
  });

  it('comes also when another user’s hold takes over at its end, before any job sees it', async () => {
    const redis = redisClient();
    const stranger = `test ${randomUUID()}`;
    try {
      // Somebody else has the lease, and does nothing with it: only the takeover can expire it.
      await redis.set(leaseKey, stranger, 'EX', 600);
      await until('nobody leads', async () => {
        return (await metricOf(url, 'fastpass_leader')) + (await metricOf(other.url, 'fastpass_leader')) === 0;
      });
      const performanceId = await seated(4, { holdSeconds: 1 });
      const [owner, next] = [newUserId(), newUserId()];
      const sockets = [await open(owner), await open(owner, {}, other.url)];
      const bystander = await open(next);
      const { reservationId } = await reserve(sockets[0]!, { performanceId, seats: [2, 3] });
      await untilLapsed(performanceId, reservationId);
      await until('the next one has the seat', async () => {
        return (await reserve(bystander, { performanceId, seats: [2] })).status === 201;
      });
      for (const socket of sockets) {
        expect(await socket.message('reservation.expired')).toEqual({ type: 'reservation.expired', reservationId });
      }
      expect(bystander.of('reservation.expired')).toEqual([]);
      const stored = await storedReservations(performanceId);
      expect(stored.find(({ id }) => id === reservationId)?.status).toBe(storedStatus.EXPIRED);
      expect(await redis.get(leaseKey)).toBe(stranger);
    } finally {
      await redis.del(leaseKey);
      redis.disconnect();
    }
  });
});

describe('a graceful stop', () => {
  it('answers the reserve under way, refuses new ones and new sockets with 503, ends with 1001 and exits 0', async () => {
    const stopping = await spawnGateway(patient);
    try {
      const performanceId = await createPerformance(stopping.url, { seating: { kind: 'seated', seats: 5 } });
      const sockets = [await open(newUserId(), {}, stopping.url), await open(newUserId(), {}, stopping.url)];
      const [busy, idle] = [sockets[0]!, sockets[1]!];
      // A connection from before: new ones are not taken any more.
      const { hostname, port } = new URL(stopping.url);
      const kept = connect({ host: hostname, port: Number(port), noDelay: true });
      let received = '';
      kept.on('data', (data) => {
        received += data.toString('latin1');
      });
      kept.on('error', () => {});
      kept.write('GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n');
      await until('it is a connection', () => parseAnswer(received)?.status === 200);

      const redis = redisClient();
      const exited = once(stopping.child, 'exit');
      const lock = 'SELECT seat FROM seats WHERE performance_id = ? AND seat = 1 FOR UPDATE';
      await whileLocked(lock, [performanceId], async () => {
        busy.send({ type: 'reserve', id: 'under way', performanceId, seats: [1] });
        await until('Redis has it', async () => (await redis.xlen(performanceKeys(performanceId).journal)) === 1);
        stopping.child.kill('SIGTERM');
        await until('it takes no more', () =>
          fetch(`${stopping.url}/healthz`).then(
            ({ status }) => status === 503,
            () => true,
          ),
        );
        expect(await reserve(idle, { performanceId, seats: [2] })).toMatchObject({
          status: 503,
          code: 'unavailable',
          retryAfter: 1,
        });
        expect(await isAlive(idle)).toBe(true);
        received = '';
        const headers = Object.entries(authorized(newUserId())).map(([name, value]) => `${name}: ${value}\r\n`);
        kept.write(`GET /v1/ws HTTP/1.1\r\nHost: test\r\n${headers.join('')}\r\n`);
        await until('its answer', () => parseAnswer(received) !== null);
        expect(parseAnswer(received)!.status).toBe(503);
        expect(JSON.parse(parseAnswer(received)!.text)).toMatchObject({ status: 503, code: 'unavailable' });
        expect(busy.messages).toEqual([]);
        expect(sockets.map(({ closed }) => closed)).toEqual([null, null]);
      });
      redis.disconnect();
      const codes = await Promise.all(sockets.map((socket) => socket.closeCode()));
      expect(codes).toEqual([1001, 1001]);
      expect(busy.messages).toEqual([
        expect.objectContaining({ type: 'reserve.result', id: 'under way', status: 201, seats: [1] }),
      ]);
      expect(await exited).toEqual([0, null]);
      kept.destroy();
      expect((await storedReservations(performanceId)).map(({ id }) => id)).toEqual([busy.messages[0].reservationId]);
    } finally {
      await stopping.kill();
    }
  });
});
