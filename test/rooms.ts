/** Waiting rooms of a test: opened, joined and watched over the API, and what they publish, heard from Redis itself. */
import type { Redis } from 'ioredis';
import type { RoomNews } from '../src/domain/waiting-room.ts';
import { performanceKeys } from '../src/lua/keys.ts';
import { parseRoomNews } from '../src/lua/rooms.ts';
import {
  call,
  createPerformance,
  newUserId,
  type Reply,
  redisClient,
  type Sending,
  seededRandom,
  until,
} from './harness.ts';
import { type Message, openSocket, type TestSocket } from './socket.ts';

type Fields = Readonly<Record<string, unknown>>;

const admin = { userId: 1, role: 'admin' } as const;

export function roomPath(performanceId: number): string {
  return `/v1/performances/${performanceId}/queue`;
}

/** Puts the room's settings in force: on, and fast enough for a test that does not care. */
export function configure(url: string, performanceId: number, fields: Fields = {}): Promise<Reply> {
  const body = { mode: 'on', admitPerSecond: 1000, maxActive: 1000, ...fields };
  return call(url, 'PUT', roomPath(performanceId), { ...admin, body });
}

/** A new performance of a hundred seats with a room; returns its id. */
export async function openRoom(url: string, fields: Fields = {}, performance: Fields = {}): Promise<number> {
  const id = await createPerformance(url, { seating: { kind: 'seated', seats: 100 }, ...performance });
  const { status, body } = await configure(url, id, fields);
  if (status !== 200) throw new Error(`no room: ${JSON.stringify(body)}`);
  return id;
}

export async function stateOf(url: string, performanceId: number): Promise<Message> {
  return (await call(url, 'GET', roomPath(performanceId))).body;
}

/** Polls until the state has these values: what it shows may be a moment old. */
export async function untilState(url: string, performanceId: number, fields: Fields): Promise<void> {
  let state: Message = null;
  const isReached = async (): Promise<boolean> => {
    state = await stateOf(url, performanceId);
    return Object.entries(fields).every(([name, value]) => state[name] === value);
  };
  await until(`the room is ${JSON.stringify(fields)}`, isReached).catch((thrown: Error) => {
    throw new Error(`${thrown.message}; it is ${JSON.stringify(state)}`);
  });
}

/** Joins, with the ticket that the user has already where one is given. */
export function join(url: string, performanceId: number, userId: number, ticket?: string): Promise<Reply> {
  const headers = ticket === undefined ? {} : { 'queue-ticket': ticket };
  return call(url, 'POST', `${roomPath(performanceId)}/tickets`, { userId, headers });
}

export function look(url: string, performanceId: number, userId: number, ticket: string): Promise<Reply> {
  return call(url, 'GET', `${roomPath(performanceId)}/tickets/current`, {
    userId,
    headers: { 'queue-ticket': ticket },
  });
}

export function leave(url: string, performanceId: number, userId: number, ticket: string): Promise<Reply> {
  return call(url, 'DELETE', `${roomPath(performanceId)}/tickets/current`, {
    userId,
    headers: { 'queue-ticket': ticket },
  });
}

/** The join of a crowd's user. */
export function joinSending(performanceId: number, userId: number): Sending {
  return { userId, path: `${roomPath(performanceId)}/tickets` };
}

export interface Visitor {
  readonly userId: number;
  readonly ticket: string;
  /** Null until the draw. */
  readonly number: number | null;
}

/** New users who join one after the other. */
export async function joinAll(url: string, performanceId: number, count: number): Promise<Visitor[]> {
  const visitors: Visitor[] = [];
  for (let i = 0; i < count; i++) {
    const userId = newUserId();
    const { status, body } = await join(url, performanceId, userId);
    if (status !== 201) throw new Error(`no ticket: ${status} ${JSON.stringify(body)}`);
    visitors.push({ userId, ticket: body.ticket, number: body.number });
  }
  return visitors;
}

/** Polls until the ticket stands as wanted; returns the answer. */
export async function untilStatus(url: string, performanceId: number, visitor: Visitor, status: string) {
  let reply: Reply | undefined;
  await until(`the ticket is ${status}`, async () => {
    reply = await look(url, performanceId, visitor.userId, visitor.ticket);
    return reply.body.status === status;
  });
  return reply!.body as Message;
}

/** A new user with a pass. */
export async function admittedVisitor(
  url: string,
  performanceId: number,
): Promise<Visitor & { readonly pass: string }> {
  const [visitor] = await joinAll(url, performanceId, 1);
  const { pass } = await untilStatus(url, performanceId, visitor!, 'admitted');
  return { ...visitor!, pass };
}

const openSockets = new Set<TestSocket>();

/** A socket of a user, closed by `closeSockets` at the latest. */
export async function socketOf(url: string, userId: number): Promise<TestSocket> {
  const socket = await openSocket(url, userId);
  openSockets.add(socket);
  return socket;
}

/** A socket that watches a ticket. */
export async function watch(url: string, { userId, ticket }: Pick<Visitor, 'userId' | 'ticket'>): Promise<TestSocket> {
  const socket = await socketOf(url, userId);
  socket.send({ type: 'queue.watch', ticket });
  return socket;
}

/** Ends every socket of this file, or those given. */
export function closeSockets(sockets: Iterable<TestSocket> = openSockets): void {
  for (const socket of sockets) {
    socket.close();
    openSockets.delete(socket);
  }
}

/** Positions that a socket was told, in order. */
export function positionsOf(socket: TestSocket): (number | null)[] {
  return socket.of('queue.position').map(({ position }) => position);
}

/** The position a socket was told last. */
export function lastPositionOf(socket: TestSocket): number | null | undefined {
  return positionsOf(socket).at(-1);
}

/** True when every position is smaller than the one before: one that is not new is not told. */
export function isFalling(positions: readonly (number | null)[]): boolean {
  return positions.every((position, i) => i === 0 || (position !== null && position < positions[i - 1]!));
}

/** The elements in an order of chance that a seed repeats. */
export function shuffled<Element>(elements: readonly Element[], seed: number): Element[] {
  const random = seededRandom(seed);
  const order = [...elements];
  for (let i = order.length - 1; i > 0; i--) {
    const other = random(i + 1);
    [order[i], order[other]] = [order[other]!, order[i]!];
  }
  return order;
}

/** Hears what a room publishes, on a connection of its own and in the order of Redis. */
export class RoomListener {
  readonly performanceId: number;
  readonly news: RoomNews[] = [];
  /** Called with each message as it comes. */
  onNews: (news: RoomNews) => void = () => {};
  readonly #subscriber: Redis;
  readonly #publisher: Redis;
  readonly #markers = new Map<string, () => void>();
  #lastMarker = 0;

  private constructor(performanceId: number) {
    this.performanceId = performanceId;
    this.#subscriber = redisClient();
    this.#publisher = redisClient();
  }

  /** Hears everything from when this resolves on. */
  static async open(performanceId: number): Promise<RoomListener> {
    const listener = new RoomListener(performanceId);
    const { queueChannel } = performanceKeys(performanceId);
    listener.#subscriber.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      if (channel.toString() !== queueChannel) {
        listener.#markers.get(message.toString())?.();
        return;
      }
      const news = parseRoomNews(performanceId, message);
      listener.news.push(news);
      listener.onNews(news);
    });
    await listener.#subscriber.subscribe(queueChannel, listener.#markerChannel);
    return listener;
  }

  get #markerChannel(): string {
    return `test:marker:${this.performanceId}`;
  }

  /** Messages with the line: once a second. */
  get ticks(): RoomNews[] {
    return this.news.filter(({ line }) => line !== null);
  }

  /** Resolves when all that was published before now has been heard: what comes after it was made after it. */
  async marker(): Promise<void> {
    const name = String(++this.#lastMarker);
    const heard = new Promise<void>((resolve) => this.#markers.set(name, resolve));
    await this.#publisher.publish(this.#markerChannel, name);
    await heard;
    this.#markers.delete(name);
  }

  /** Resolves after `count` whole seconds of the room, all of them begun after now. */
  async pass(count: number): Promise<RoomNews> {
    await this.marker();
    const before = this.ticks.length;
    await until(`${count} ticks`, () => this.ticks.length >= before + count, 10_000 + count * 2000);
    return this.ticks[before + count - 1]!;
  }

  close(): void {
    this.#subscriber.disconnect();
    this.#publisher.disconnect();
  }
}

/** `work` with a listener that is closed after it. */
export async function whileListening<Result>(
  performanceId: number,
  work: (listener: RoomListener) => Promise<Result>,
): Promise<Result> {
  const listener = await RoomListener.open(performanceId);
  try {
    return await work(listener);
  } finally {
    listener.close();
  }
}

/** The numbers that a line says are waiting, bit by bit. */
export function waitingIn({ line, watermark }: RoomNews): number[] {
  const numbers: number[] = [];
  const { bits, firstNumber } = line!;
  for (let i = 0; i < bits.length * 8; i++) {
    const isSet = ((bits[i >> 3]! >> (7 - (i & 7))) & 1) === 1;
    if (isSet && firstNumber + i > watermark) numbers.push(firstNumber + i);
  }
  return numbers;
}
