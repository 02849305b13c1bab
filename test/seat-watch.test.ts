/** Pushed seat changes, end to end: what watchers at two gateways are told adds up to the seats as they are, whatever happens. */
import { connect, createServer, type Socket } from 'node:net';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { performanceKeys } from '../src/lua/keys.ts';
import { parseSeatNews } from '../src/lua/seats.ts';
import {
  brokenPromises,
  call,
  createPerformance,
  disagreements,
  newUserId,
  type Reply,
  redisClient,
  seededRandom,
  spawnGateway,
  startGateway,
  type TestGateway,
  until,
  untilJournalsEmpty,
} from './harness.ts';
import { type Message, openSocket, type SocketOptions, type TestSocket } from './socket.ts';

const seed = Number(process.env['RUSH_SEED'] ?? 20_260_405);
/** A fault is found out after five seconds at the latest; the machine may be busy. */
const foundOutWithinMs = 20_000;

let first: TestGateway;
let second: TestGateway;
let redis: Redis;
const opened: TestSocket[] = [];

beforeAll(async () => {
  first = await startGateway();
  second = await startGateway();
  redis = redisClient();
});

afterEach(() => {
  for (const socket of opened.splice(0)) socket.close();
});

afterAll(async () => {
  redis.disconnect();
  await first.stop();
  await second.stop();
});

async function open(at: TestGateway, options: SocketOptions = {}): Promise<TestSocket> {
  const socket = await openSocket(at.url, newUserId(), options);
  opened.push(socket);
  return socket;
}

const seated = (seats: number, fields: Readonly<Record<string, unknown>> = {}): Promise<number> =>
  createPerformance(first.url, { seating: { kind: 'seated', seats }, ...fields });

const hold = (performanceId: number, seats: readonly number[], at = first): Promise<Reply> =>
  call(at.url, 'POST', '/v1/reservations', { userId: newUserId(), body: { performanceId, seats } });
const cancel = ({ body: { reservationId, userId } }: Reply, at = first): Promise<Reply> =>
  call(at.url, 'DELETE', `/v1/reservations/${reservationId}`, { userId });

async function held(performanceId: number, seats: readonly number[], at = first): Promise<Reply> {
  const reply = await hold(performanceId, seats, at);
  expect(reply.status).toBe(201);
  return reply;
}

type SeatMap = Map<number, string>;

async function readMap(performanceId: number, at = first): Promise<SeatMap> {
  const { body } = await call(at.url, 'GET', `/v1/performances/${performanceId}/seats`);
  return new Map(body.seats.map(({ seat, status }: Message) => [seat, status]));
}

/** Every change a socket was told of a performance, in order, from one of its messages on. */
function changesOf(socket: TestSocket, performanceId: number, from = 0): [number, string][] {
  const frames = socket.messages.slice(from).filter((message) => message.type === 'seats.changed');
  return frames.filter((frame) => frame.performanceId === performanceId).flatMap(({ changes }) => changes);
}

function toldOf(socket: TestSocket, performanceId: number, seat: number): string | undefined {
  return changesOf(socket, performanceId).findLast(([number]) => number === seat)?.[1];
}

/** Watches, and resolves once it is on: the first frame of a performance says so, and nothing else. */
async function watch(socket: TestSocket, performanceId: number): Promise<void> {
  const message = { type: 'seats.watch', performanceId };
  if (socket.raw.protocol === 'fastpass.v1.msgpack') socket.sendPacked(message);
  else socket.send(message);
  const begun = await socket.message('seats.changed', (frame) => frame.performanceId === performanceId);
  expect(begun).toEqual({ type: 'seats.changed', performanceId, changes: [] });
}

/** What somebody knows who reads the seats once it watches, and then goes by what it is told. */
class Viewer {
  readonly socket: TestSocket;
  readonly #performanceId: number;
  #map: SeatMap = new Map();
  #from = 0;

  constructor(socket: TestSocket, performanceId: number) {
    this.socket = socket;
    this.#performanceId = performanceId;
  }

  static async start(at: TestGateway, performanceId: number, options?: SocketOptions): Promise<Viewer> {
    const viewer = new Viewer(await open(at, options), performanceId);
    await watch(viewer.socket, performanceId);
    viewer.#from = viewer.socket.messages.length;
    viewer.#map = await readMap(performanceId, at);
    return viewer;
  }

  get seats(): SeatMap {
    return new Map([...this.#map, ...changesOf(this.socket, this.#performanceId, this.#from)]);
  }

  /** How its seats differ from the real ones. */
  differences(truth: SeatMap): string[] {
    const { seats } = this;
    return [...truth].flatMap(([seat, status]) =>
      seats.get(seat) === status ? [] : `seat ${seat} is ${status}, believed to be ${seats.get(seat)}`,
    );
  }
}

/** Resolves once all viewers know the seats as they are, and both stores agree about them. */
async function untilAllKnow(performanceId: number, viewers: readonly Viewer[], timeoutMs: number): Promise<void> {
  await untilJournalsEmpty([performanceId]);
  let differences: string[] = [];
  const isKnown = async (): Promise<boolean> => {
    const truth = await readMap(performanceId);
    differences = viewers.flatMap((viewer) => viewer.differences(truth));
    // What MySQL has committed Redis is told behind it, and where a connection was cut some time later.
    if (differences.length === 0) differences = await disagreements(first.url, performanceId);
    return differences.length === 0;
  };
  await until('all know the seats', isKnown, timeoutMs).catch((thrown) => {
    expect(differences).toEqual([]);
    throw thrown;
  });
  expect(await brokenPromises(performanceId)).toEqual([]);
}

interface CrowdOptions {
  readonly operations?: number;
  readonly random: (max: number) => number;
  /** Called before each operation with its number. */
  readonly onOperation?: (index: number) => Promise<unknown> | undefined;
}

/** Holds and cancels at random seats 1 to `seats` at both gateways. Whatever the answers: it is a crowd. */
async function crowd(performanceId: number, seats: number, options: CrowdOptions): Promise<void> {
  const { operations = 200, random, onOperation } = options;
  let next = 0;
  const person = async (): Promise<void> => {
    const mine: Reply[] = [];
    while (next < operations) {
      const index = next++;
      await onOperation?.(index);
      const at = random(2) === 0 ? first : second;
      if (mine.length > 0 && random(2) === 0) {
        await cancel(mine.splice(random(mine.length), 1)[0]!, at);
        continue;
      }
      const seat = 1 + random(seats - 2);
      const reply = await hold(performanceId, [seat, seat + 1, seat + 2].slice(0, 1 + random(3)), at);
      if (reply.status === 201) mine.push(reply);
    }
  };
  await Promise.all(Array.from({ length: 8 }, person));
}

describe('a watcher', () => {
  it('is told HELD of a hold and AVAILABLE of a cancellation, at both gateways, in both subprotocols', async () => {
    const performanceId = await seated(10);
    const sockets = [await open(first), await open(second), await open(first, { protocols: ['fastpass.v1.msgpack'] })];
    for (const socket of sockets) await watch(socket, performanceId);
    for (const at of [first, second]) {
      const starts = sockets.map(({ messages }) => messages.length);
      const reply = await held(performanceId, [2, 3], at);
      for (const socket of sockets) {
        // Promised within 250 ms; the machine may be busy.
        await socket.until('both are held', () => toldOf(socket, performanceId, 3) === 'HELD', 3000);
      }
      expect((await cancel(reply, at)).status).toBe(200);
      for (const socket of sockets) {
        await socket.until('both are free', () => toldOf(socket, performanceId, 3) === 'AVAILABLE', 3000);
      }
      for (let i = 0; i < sockets.length; i++) {
        const told = sockets[i]!.messages.slice(starts[i]);
        for (const message of told) {
          expect(message).toEqual({ type: 'seats.changed', performanceId, changes: message.changes });
        }
        expect(told.flatMap(({ changes }) => changes)).toEqual([
          [2, 'HELD'],
          [3, 'HELD'],
          [2, 'AVAILABLE'],
          [3, 'AVAILABLE'],
        ]);
      }
    }
    expect(sockets.map(({ binary }) => new Set(binary))).toEqual(
      [[false], [false], [true]].map((each) => new Set(each)),
    );
  });

  it('is told AVAILABLE when a hold ends, and of the takeover of an ended one that it is held', async () => {
    const performanceId = await seated(10, { holdSeconds: 2 });
    const viewers = [await Viewer.start(first, performanceId), await Viewer.start(second, performanceId)];
    await held(performanceId, [4, 5]);
    for (const { socket } of viewers) {
      await socket.until('it is free', () => toldOf(socket, performanceId, 5) === 'AVAILABLE');
      expect(changesOf(socket, performanceId)).toEqual([
        [4, 'HELD'],
        [5, 'HELD'],
        [4, 'AVAILABLE'],
        [5, 'AVAILABLE'],
      ]);
    }
    await held(performanceId, [6]);
    await until('somebody else has it', async () => (await hold(performanceId, [6, 7])).status === 201);
    for (const { socket } of viewers) {
      await socket.until('the other seat is held', () => toldOf(socket, performanceId, 7) === 'HELD');
      expect(
        changesOf(socket, performanceId)
          .filter(([seat]) => seat === 6)
          .at(-1),
      ).toEqual([6, 'HELD']);
    }
    await untilAllKnow(performanceId, viewers, foundOutWithinMs);
  });

  it('of several performances is told of each under its own number', async () => {
    const ids = [await seated(5), await seated(5), await seated(5)];
    const socket = await open(first);
    for (const performanceId of ids) await watch(socket, performanceId);
    for (let i = 0; i < ids.length; i++) await held(ids[i]!, [i + 1]);
    for (let i = 0; i < ids.length; i++) {
      await socket.until('its seat', () => toldOf(socket, ids[i]!, i + 1) === 'HELD');
      expect(changesOf(socket, ids[i]!)).toEqual([[i + 1, 'HELD']]);
    }
  });

  it('that asks twice is told once', async () => {
    const performanceId = await seated(5);
    const socket = await open(first);
    await watch(socket, performanceId);
    socket.send({ type: 'seats.watch', performanceId });
    await held(performanceId, [1]);
    await socket.until('its seat', () => toldOf(socket, performanceId, 1) === 'HELD');
    await held(performanceId, [2]);
    await socket.until('the next seat', () => toldOf(socket, performanceId, 2) === 'HELD');
    expect(changesOf(socket, performanceId).filter(([seat]) => seat === 1)).toHaveLength(1);
    expect(socket.of('error')).toEqual([]);
  });

  it('of a performance that is cold brings it back, and is told', async () => {
    const performanceId = await seated(5);
    await held(performanceId, [1]);
    await untilJournalsEmpty([performanceId]);
    await redis.del(performanceKeys(performanceId).meta);
    const viewer = await Viewer.start(first, performanceId);
    expect(viewer.seats.get(1)).toBe('HELD');
    await held(performanceId, [2]);
    await untilAllKnow(performanceId, [viewer], foundOutWithinMs);
  });

  it('hears on when others of its performance go, in whatever state', async () => {
    const performanceId = await seated(10);
    const brief = await Promise.all(Array.from({ length: 10 }, () => open(first)));
    for (const socket of brief) {
      socket.send({ type: 'seats.watch', performanceId });
      socket.close();
    }
    const viewer = await Viewer.start(first, performanceId);
    const other = await Viewer.start(first, performanceId);
    other.socket.close();
    await other.socket.closeCode();
    await held(performanceId, [1]);
    await untilAllKnow(performanceId, [viewer], foundOutWithinMs);
    viewer.socket.close();
    await viewer.socket.closeCode();
    // Everybody has gone; the next one begins anew.
    await held(performanceId, [2]);
    const next = await Viewer.start(first, performanceId);
    await held(performanceId, [3]);
    await untilAllKnow(performanceId, [next], foundOutWithinMs);
  });
});

describe('changes', () => {
  it('of a burst of 300 holds in a second travel in some four frames, and none is missing', async () => {
    const performanceId = await seated(300);
    const sockets = [await open(first), await open(second)];
    for (const socket of sockets) await watch(socket, performanceId);
    const starts = sockets.map(({ messages }) => messages.length);
    const startMs = performance.now();
    const replies = await Promise.all(
      Array.from({ length: 300 }, async (_, i) => {
        // The pace of the burst.
        await new Promise((resolve) => setTimeout(resolve, (i * 1000) / 300));
        return hold(performanceId, [i + 1], i % 2 === 0 ? first : second);
      }),
    );
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(300);
    for (let i = 0; i < sockets.length; i++) {
      const socket = sockets[i]!;
      const told = (): [number, string][] => changesOf(socket, performanceId, starts[i]);
      await socket.until('all seats', () => told().length >= 300);
      const all = Array.from({ length: 300 }, (_, k) => [k + 1, 'HELD'] as [number, string]);
      expect(told().sort(([a], [b]) => a - b)).toEqual(all);
      // On a machine that takes longer for it, four a second; one more at either end.
      const seconds = (socket.times.at(-1)! - startMs) / 1000;
      const frames = socket.messages.length - starts[i]!;
      expect(frames).toBeLessThanOrEqual(Math.ceil(4 * seconds) + 2);
      expect(frames).toBeGreaterThan(1);
    }
  });

  it('are published only while somebody watches', async () => {
    const performanceId = await seated(10);
    const { seatsChannel } = performanceKeys(performanceId);
    const listener = redisClient();
    const heard: string[] = [];
    listener.on('messageBuffer', (_: Buffer, message: Buffer) => {
      const isMark = message.toString() === 'mark';
      heard.push(isMark ? 'mark' : JSON.stringify(parseSeatNews(message).changes));
    });
    /** Everything published before has been heard then. */
    const mark = async (): Promise<void> => {
      const before = heard.length;
      await redis.publish(seatsChannel, 'mark');
      await until('the mark is heard', () => heard.slice(before).includes('mark'));
    };
    try {
      await listener.subscribe(seatsChannel);
      await cancel(await held(performanceId, [1]));
      await held(performanceId, [2], second);
      await mark();
      expect(heard).toEqual(['mark']);
      const socket = await open(first);
      await watch(socket, performanceId);
      await held(performanceId, [3], second);
      await mark();
      expect(heard).toContain('[[3,"HELD"]]');
      expect(Number((await redis.pubsub('NUMSUB', seatsChannel))[1]), 'the gateway and this test').toBe(2);
      socket.close();
      await until('the gateway listens no more', async () => {
        return Number((await redis.pubsub('NUMSUB', seatsChannel))[1]) === 1;
      });
    } finally {
      listener.disconnect();
    }
  });
});

describe(`what watchers were told over the seats they read (seed ${seed})`, () => {
  const seats = 40;

  async function viewersOf(performanceId: number): Promise<Viewer[]> {
    return [
      await Viewer.start(first, performanceId),
      await Viewer.start(first, performanceId, { protocols: ['fastpass.v1.msgpack'] }),
      await Viewer.start(second, performanceId),
    ];
  }

  it('is the seats as they are, for those who come before and amid a crowd', async () => {
    const performanceId = await seated(seats);
    const random = seededRandom(seed);
    const viewers = await viewersOf(performanceId);
    const late: Promise<Viewer>[] = [];
    await crowd(performanceId, seats, {
      operations: 500,
      random,
      onOperation: (index) => {
        // Each with its own seat to begin with, which nobody else wants.
        const at = index % 200 === 50 ? first : second;
        if (index % 100 === 50) late.push(Viewer.start(at, performanceId));
        return undefined;
      },
    });
    // Nothing was lost: it is known within moments, not by looking again after five seconds.
    await untilAllKnow(performanceId, [...viewers, ...(await Promise.all(late))], 4000);
    for (const { socket } of viewers) expect(changesOf(socket, performanceId).length).toBeGreaterThan(50);
  });

  it('is the seats as they are for the first one who watches, though people hold and cancel at that moment', async () => {
    const random = seededRandom(seed);
    for (let round = 0; round < 4; round++) {
      await Promise.all(
        Array.from({ length: 5 }, async () => {
          const performanceId = await seated(seats);
          let viewer: Promise<Viewer> | null = null;
          await crowd(performanceId, seats, {
            operations: 60,
            random,
            onOperation: (index) => {
              if (index === 20) viewer = Viewer.start(second, performanceId);
              return undefined;
            },
          });
          await untilAllKnow(performanceId, [await viewer!], 4000);
        }),
      );
    }
  });

  const faults: [string, (performanceId: number) => Promise<unknown>][] = [
    ['Redis forgets everything', () => redis.flushall()],
    ['the performance becomes cold', (performanceId) => redis.del(performanceKeys(performanceId).meta)],
    ['the gateways’ subscriptions are cut', () => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub')],
    ['all connections of the gateways are cut', () => redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')],
  ];
  it.each(faults)(
    'comes to be the seats as they are, though %s again and again',
    { timeout: 120_000 },
    async (_name, fault) => {
      const performanceId = await seated(seats);
      const random = seededRandom(seed);
      const viewers = await viewersOf(performanceId);
      await crowd(performanceId, seats, {
        random,
        onOperation: (index) => (index % 25 === 20 ? fault(performanceId) : undefined),
      });
      await untilAllKnow(performanceId, viewers, foundOutWithinMs);
    },
  );

  it('comes to be the seats as they are when a cancellation meets the cold performance, and nobody asks for it again', async () => {
    const performanceId = await seated(seats);
    const viewers = await viewersOf(performanceId);
    const replies = [await held(performanceId, [1, 2]), await held(performanceId, [3])];
    for (const { socket } of viewers) await socket.until('all', () => toldOf(socket, performanceId, 3) === 'HELD');
    await untilJournalsEmpty([performanceId]);
    await redis.del(performanceKeys(performanceId).meta);
    for (const reply of replies) expect((await cancel(reply)).status).toBe(200);
    // Nobody reads the seats: what brings them back is that they are watched.
    await until(
      'all are told',
      () =>
        viewers.every(({ socket }) => [1, 2, 3].every((seat) => toldOf(socket, performanceId, seat) === 'AVAILABLE')),
      foundOutWithinMs,
    );
    await held(performanceId, [4]);
    await untilAllKnow(performanceId, viewers, foundOutWithinMs);
  });

  it('comes to be the seats as they are when Redis forgets everything and nothing happens after that', async () => {
    const performanceId = await seated(seats);
    const viewers = await viewersOf(performanceId);
    const replies = [await held(performanceId, [1, 2]), await held(performanceId, [3])];
    await untilJournalsEmpty([performanceId]);
    await redis.flushall();
    expect((await cancel(replies[1]!)).status).toBe(200);
    await until(
      'the watched performance is back',
      async () => (await redis.exists(performanceKeys(performanceId).meta)) === 1,
      foundOutWithinMs,
    );
    await untilAllKnow(performanceId, viewers, foundOutWithinMs);
    await held(performanceId, [5], second);
    await untilAllKnow(performanceId, viewers, foundOutWithinMs);
  });

  it('is the seats as they are when holds end one after the other and are taken over', async () => {
    const performanceId = await seated(seats, { holdSeconds: 1 });
    const viewers = await viewersOf(performanceId);
    await crowd(performanceId, seats, { operations: 400, random: seededRandom(seed) });
    // All of them end, and nobody comes any more.
    await until('all are free', async () => {
      return [...(await readMap(performanceId)).values()].every((status) => status === 'AVAILABLE');
    });
    await untilAllKnow(performanceId, viewers, foundOutWithinMs);
  });
});

/** A way to Redis that, while it is told to, ends each connection that subscribes, before Redis hears of it. */
async function startRedisProxy() {
  const target = new URL(inject('redisUrl'));
  const state = { refusesSubscriptions: false, refused: 0 };
  const clients = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    clients.add(client);
    client.on('data', (data) => {
      if (!state.refusesSubscriptions || !data.includes('subscribe')) return void upstream.write(data);
      state.refused++;
      client.destroy();
    });
    upstream.pipe(client);
    for (const socket of [client, upstream]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        client.destroy();
        upstream.destroy();
        clients.delete(client);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = new URL(target);
  url.port = String(typeof address === 'object' && address !== null ? address.port : 0);
  return {
    url: url.href,
    state,
    close(): Promise<void> {
      for (const client of clients) client.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

describe('a gateway', () => {
  it('lives on, and its watchers are told again, when Redis goes away again just as it comes back', async () => {
    const proxy = await startRedisProxy();
    const gateway = await spawnGateway({ REDIS_URL: proxy.url });
    try {
      const performanceId = await seated(10);
      const viewer = await Viewer.start(gateway, performanceId);
      proxy.state.refusesSubscriptions = true;
      await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      await until('some subscriptions have failed', () => proxy.state.refused >= 4 || gateway.child.exitCode !== null);
      const missed = await held(performanceId, [1]);
      proxy.state.refusesSubscriptions = false;
      expect(gateway.child.exitCode).toBeNull();
      await viewer.socket.until('what it missed', () => toldOf(viewer.socket, performanceId, 1) === 'HELD');
      await cancel(missed);
      await untilAllKnow(performanceId, [viewer], foundOutWithinMs);
      expect(gateway.child.exitCode).toBeNull();
    } finally {
      await gateway.kill();
      await proxy.close();
    }
  });
});
