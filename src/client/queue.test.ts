import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Asked,
  type FakeSocket,
  fakeNetwork,
  fakeSockets,
  problemReply,
  type Reaction,
} from '../../test/client-fakes.ts';
import {
  FastpassClient,
  FastpassSocket,
  NetworkError,
  type QueuePlace,
  type TicketStorage,
  type WaitOptions,
  type WaitOutcome,
  waitForPass,
} from './index.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const performanceId = 7;
const pass = { number: 9, pass: 'the pass', passExpiresAt: '2030-01-01T00:00:00Z' };
const admitted = { status: 'admitted', ticket: 'mine', ...pass };
const left = { status: 'left' };

function placeOf(position: number | null): QueuePlace {
  return { number: 9, position, etaSeconds: 4 };
}

function waiting(position: number | null, ticket = 'mine'): Reaction {
  return { status: 200, body: { status: 'waiting', ticket, ...placeOf(position) } };
}

function ok(body: unknown): Reaction {
  return { status: 200, body };
}

class FakeStorage implements TicketStorage {
  readonly kept = new Map<string, string>();

  constructor(ticket?: string) {
    if (ticket !== undefined) this.kept.set('fastpass.ticket.7', ticket);
  }

  getItem(key: string): string | null {
    return this.kept.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.kept.set(key, value);
  }

  removeItem(key: string): void {
    this.kept.delete(key);
  }
}

interface Side {
  /** What HTTP answers; may be changed on the way. */
  react: (asked: Asked) => Reaction;
  /** What a new socket does; by default it is accepted. */
  onOpened?: (socket: FakeSocket) => void;
}

/** A wait whose gateway is the test's; it shares a socket that the test can see. */
function start(side: Side, options: WaitOptions = {}) {
  const network = fakeNetwork((asked) => side.react(asked));
  const client = new FastpassClient({
    baseUrl: 'http://gateway.test',
    token: 'a.b.c',
    fetch: network.fetch,
    retry: { attemptsMax: 1 },
  });
  const accept = (socket: FakeSocket): void => queueMicrotask(() => socket.accept());
  const sockets = fakeSockets((socket) => (side.onOpened ?? accept)(socket));
  const socket = new FastpassSocket(client, { connect: sockets.connect });
  const places: (number | null)[] = [];
  const transports: string[] = [];
  const wait = waitForPass(client, performanceId, {
    socket,
    onPosition: ({ position }) => places.push(position),
    onTransport: (transport) => transports.push(transport),
    ...options,
  });
  let outcome: WaitOutcome | null = null;
  wait
    .then((value) => {
      outcome = value;
    })
    .catch(() => {});
  return {
    wait,
    socket,
    places,
    transports,
    opened: sockets.opened,
    asked: network.asked,
    last: () => sockets.opened.at(-1)!,
    outcome: () => outcome,
    looks: () => network.asked.filter(({ path }) => path.endsWith('/current')).length,
  };
}

const seconds = (count: number): Promise<unknown> => vi.advanceTimersByTimeAsync(count * 1000);

describe('waiting', () => {
  it('joins, follows the place over the socket without polling, and comes out with the pass', async () => {
    const run = start({ react: () => waiting(5) });
    await seconds(1);
    expect(run.last().of('queue.watch')).toEqual([{ type: 'queue.watch', ticket: 'mine' }]);
    for (const position of [5, 4, 4, 2]) {
      run.last().say({ type: 'queue.position', performanceId, ...placeOf(position) });
      await seconds(10);
    }
    run.last().say({ type: 'queue.position', performanceId: 8, ...placeOf(1) });
    run.last().say({ type: 'queue.admitted', performanceId, ...pass });
    expect(await run.wait).toEqual(admitted);
    expect(run.places).toEqual([5, 4, 2]);
    expect(run.transports).toEqual(['socket']);
    expect(run.asked).toHaveLength(1);
    expect(run.asked[0]).toMatchObject({ method: 'POST', path: '/v1/performances/7/queue/tickets' });
    // It was given from outside, and goes on watching the pass.
    expect(run.socket.state).toBe('open');
    run.last().end(1001);
    await seconds(20);
    expect(run.last().of('queue.watch')).toHaveLength(1);
    run.socket.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('looks over HTTP a pause after the loss of the socket, whenever the pause before it began', async () => {
    let isRefusing = false;
    const onOpened = (socket: FakeSocket): void =>
      queueMicrotask(() => (isRefusing ? socket.end(1006) : socket.accept()));
    const run = start({ react: () => waiting(5), onOpened }, { pollMsMin: 5000, pollMsMax: 5000 });
    await seconds(1);
    run.last().say({ type: 'queue.position', performanceId, ...placeOf(5) });
    await seconds(8);
    isRefusing = true;
    run.last().end(1006);
    await seconds(4.9);
    expect(run.looks()).toBe(0);
    await seconds(0.2);
    expect(run.looks()).toBe(1);
    expect(run.transports).toEqual(['socket', 'polling']);
    run.socket.close();
  });

  it('is over at once when there is nothing to wait for', async () => {
    expect(await start({ react: () => ok({ status: 'open' }) }).wait).toEqual({ status: 'open' });
    expect(await start({ react: () => ok(admitted) }).wait).toEqual(admitted);
    const refused = await start({ react: () => problemReply(404, 'performance_not_found') }).wait;
    expect(refused).toMatchObject({ status: 'refused', problem: { code: 'performance_not_found' } });
    await expect(start({ react: () => 'lost' }).wait).rejects.toThrow(NetworkError);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends when the room is turned off', async () => {
    const run = start({ react: () => waiting(5) });
    await seconds(1);
    run.last().say({ type: 'queue.admitted', performanceId, number: null, pass: null, passExpiresAt: null });
    expect(await run.wait).toEqual({ status: 'open' });
  });

  it("ends with the signal's reason and leaves nothing behind", async () => {
    const controller = new AbortController();
    const run = start({ react: () => waiting(5) }, { signal: controller.signal });
    const reason = run.wait.catch((thrown: unknown) => thrown);
    await seconds(10);
    controller.abort('left the page');
    expect(await reason).toBe('left the page');
    await seconds(10);
    const asked = run.asked.length;
    run.last().say({ type: 'queue.position', performanceId, ...placeOf(1) });
    await seconds(60);
    expect([run.asked.length, run.places]).toEqual([asked, [5]]);
    run.socket.close();
    expect(vi.getTimerCount()).toBe(0);
    await expect(start({ react: () => waiting(5) }, { signal: controller.signal }).wait).rejects.toBe('left the page');
  });
});

describe('without a socket', () => {
  it.each<[string, Side['onOpened'], WaitOptions]>([
    ['that is refused', (socket) => queueMicrotask(() => socket.refuse()), {}],
    [
      'that the platform does not have',
      () => {
        throw new Error('none');
      },
      {},
    ],
    ['that never answers the watch', undefined, {}],
    ['that is not wanted', undefined, { usesSocket: false }],
  ])('%s, it polls every two to five seconds', async (_, onOpened, options) => {
    let position = 20;
    const side: Side = { react: () => waiting(position--), ...(onOpened === undefined ? {} : { onOpened }) };
    const run = start(side, options);
    await seconds(35);
    expect(run.looks()).toBeGreaterThanOrEqual(7);
    expect(run.looks()).toBeLessThanOrEqual(18);
    const gapsMs = run.asked
      .filter(({ path }) => path.includes('/queue/'))
      .map(({ atMs }, i, all) => atMs - (all[i - 1]?.atMs ?? atMs - 3000));
    expect(Math.min(...gapsMs)).toBeGreaterThanOrEqual(2000);
    expect(Math.max(...gapsMs)).toBeLessThanOrEqual(5001);
    expect(run.transports).toEqual(['polling']);
    side.react = () => ok(admitted);
    await seconds(6);
    expect(run.outcome()).toEqual(admitted);
    run.socket.close();
  });

  it('finds the way back to the socket, and stops polling there', async () => {
    const side: Side = { react: () => waiting(5), onOpened: (socket) => queueMicrotask(() => socket.refuse()) };
    const run = start(side);
    await seconds(20);
    expect(run.transports).toEqual(['polling']);
    side.onOpened = (socket) => queueMicrotask(() => socket.accept());
    await seconds(20);
    run.last().say({ type: 'queue.position', performanceId, ...placeOf(4) });
    const looks = run.looks();
    await seconds(20);
    expect([run.looks(), run.transports]).toEqual([looks, ['polling', 'socket']]);
    // Lost again.
    side.onOpened = (socket) => queueMicrotask(() => socket.refuse());
    run.last().end(1006);
    await seconds(10);
    expect(run.looks()).toBeGreaterThan(looks);
    expect(run.transports).toEqual(['polling', 'socket', 'polling']);
    run.socket.close();
  });
});

describe('the place', () => {
  it('is never told to grow, whichever way it comes', async () => {
    const side: Side = { react: () => waiting(9) };
    const run = start(side);
    await seconds(1);
    run.last().say({ type: 'queue.position', performanceId, ...placeOf(6) });
    run.last().end(1001);
    // The next gateway is a moment behind.
    await seconds(10);
    run.last().say({ type: 'queue.position', performanceId, ...placeOf(8) });
    run.last().say({ type: 'queue.position', performanceId, ...placeOf(5) });
    expect(run.places).toEqual([9, 6, 5]);
    run.socket.close();
  });

  it('is kept while the gateway is away', async () => {
    const side: Side = { react: () => waiting(5) };
    const run = start(side);
    await seconds(1);
    side.react = () => 'lost';
    side.onOpened = (socket) => queueMicrotask(() => socket.refuse());
    run.last().end(1001);
    await seconds(50);
    expect(run.outcome()).toBeNull();
    side.react = () => problemReply(503, 'unavailable');
    await seconds(50);
    side.react = () => ok(admitted);
    await seconds(6);
    expect(run.outcome()).toEqual(admitted);
    run.socket.close();
  });

  it('is kept over a reload, and the ticket is forgotten when it is over', async () => {
    const storage = new FakeStorage();
    const controller = new AbortController();
    const first = start({ react: () => waiting(5) }, { storage, signal: controller.signal });
    const gone = first.wait.catch(() => 'gone');
    await seconds(1);
    controller.abort();
    await gone;
    first.socket.close();
    expect(storage.kept.get('fastpass.ticket.7')).toBe('mine');
    const second = start({ react: () => waiting(4) }, { storage });
    await seconds(1);
    expect(second.asked.map(({ method, headers }) => `${method} ${headers['queue-ticket']}`)).toEqual(['GET mine']);
    second.last().say({ type: 'queue.expired', performanceId, status: 'left' });
    expect(await second.wait).toEqual(left);
    expect(storage.kept.size).toBe(0);
    second.socket.close();
  });

  it('is waited for with a kept ticket where the gateway is away at first', async () => {
    const side: Side = { react: () => 'lost' };
    const run = start(side, { storage: new FakeStorage('mine') });
    await seconds(20);
    expect(run.outcome()).toBeNull();
    side.react = () => ok(admitted);
    await seconds(6);
    expect(run.outcome()).toEqual(admitted);
    run.socket.close();
  });

  it.each(['forbidden', 'validation_failed'])(
    'is a new one where the kept ticket is somebody else’s: %s',
    async (code) => {
      const storage = new FakeStorage('another');
      const run = start(
        {
          react: ({ method }) => (method === 'GET' ? problemReply(code === 'forbidden' ? 403 : 400, code) : waiting(3)),
        },
        { storage },
      );
      await seconds(1);
      expect(run.places).toEqual([3]);
      expect(storage.kept.get('fastpass.ticket.7')).toBe('mine');
      run.socket.close();
    },
  );

  it('is lost without `rejoins`, and made anew with it, at the end', async () => {
    expect(await start({ react: () => ok(left) }, { storage: new FakeStorage('mine') }).wait).toEqual(left);
    const expired = { status: 'expired' };
    expect(await start({ react: () => ok(expired) }, { storage: new FakeStorage('mine') }).wait).toEqual(expired);
    const side: Side = { react: ({ method }) => (method === 'GET' ? ok(left) : waiting(30, 'second')) };
    const run = start(side, { storage: new FakeStorage('first'), rejoins: true });
    await seconds(1);
    run.last().say({ type: 'queue.position', performanceId, ...placeOf(20) });
    side.react = ({ method }) => (method === 'GET' ? ok(left) : waiting(40, 'third'));
    run.last().say({ type: 'queue.expired', performanceId, status: 'left' });
    await seconds(1);
    expect(run.places).toEqual([30, 20, 40]);
    expect(
      run
        .last()
        .of('queue.watch')
        .map(({ ticket }) => ticket),
    ).toEqual(['second', 'third']);
    run.socket.close();
  });

  it('is waited for without storage, and with one that throws', async () => {
    const broken: TicketStorage = {
      getItem() {
        throw new Error('forbidden');
      },
      setItem() {
        throw new Error('full');
      },
    };
    const run = start({ react: () => waiting(5) }, { storage: broken });
    await seconds(1);
    run.last().say({ type: 'queue.admitted', performanceId, ...pass });
    expect(await run.wait).toEqual(admitted);
    run.socket.close();
  });
});

it('a token that ends while waiting ends the wait', async () => {
  const side: Side = { react: () => waiting(5) };
  const run = start(side);
  await seconds(1);
  run.last().say({ type: 'queue.position', performanceId, ...placeOf(5) });
  side.react = () => problemReply(401, 'unauthorized');
  run.last().end(1008, 'the token has ended');
  await seconds(1);
  expect(run.outcome()).toMatchObject({ status: 'refused', problem: { code: 'unauthorized' } });
  expect(run.socket.state).toBe('closed');
});
