/** Real Redis, or a Redis Cluster, as the contract suites want it. */
import { Redis } from 'ioredis';
import { silentLog } from '../src/logger.ts';
import { RedisConnection } from '../src/lua/connection.ts';
import { performanceKeys, roomsKey, warmPerformancesKey } from '../src/lua/keys.ts';
import { RedisLoadStore } from '../src/lua/load.ts';
import { parseRoomNews, RedisRoomStore } from '../src/lua/rooms.ts';
import { readRemaining } from '../src/lua/seats.ts';
import { RedisHoldStore } from '../src/lua/store.ts';
import { type HoldStoreUnderTest, newUser, type PassesUnderTest, seated } from './hold-store.contract.ts';
import type { RoomStoreUnderTest } from './room-store.contract.ts';
import { passTimeScript } from './simulation/pass-time.ts';

export async function connectRedis(urls: readonly string[]): Promise<RedisConnection> {
  const connection = new RedisConnection(urls, silentLog);
  await connection.connect();
  return connection;
}

/** Removes what tests have left of performances: another file's gateway would recover their journals. */
export async function removePerformances({ client }: RedisConnection, performanceIds: Iterable<number>): Promise<void> {
  for (const id of performanceIds) {
    await client.unlink(...Object.values(performanceKeys(id)).filter((key) => key.startsWith('{')));
    await client.srem(warmPerformancesKey, id);
    await client.srem(roomsKey, id);
  }
}

/** What rooms publish: one connection that hears, and one that says when everything so far has been heard. */
export class Ear {
  readonly #subscriber: Redis;
  readonly #client: RedisConnection['client'];
  readonly #messages = new Map<string, Buffer[]>();
  readonly #sentinel = `test:heard:${newUser()}`;
  #onSentinel = (): void => {};

  /** `url` of any node. */
  constructor(url: string, connection: RedisConnection) {
    this.#subscriber = new Redis(url);
    this.#client = connection.client;
    this.#subscriber.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      if (channel.toString() === this.#sentinel) this.#onSentinel();
      else this.#messages.get(channel.toString())?.push(message);
    });
  }

  async listen(performanceId: number): Promise<void> {
    const { queueChannel } = performanceKeys(performanceId);
    if (this.#messages.has(queueChannel)) return;
    this.#messages.set(queueChannel, []);
    await this.#subscriber.subscribe(queueChannel, this.#sentinel);
  }

  /** The messages of a room since the last time. */
  async messages(performanceId: number): Promise<Buffer[]> {
    await new Promise<void>((resolve) => {
      this.#onSentinel = resolve;
      // From the node of the room, behind what it has published.
      const script = "return redis.call('PUBLISH', ARGV[1], 'now')";
      void this.#client.eval(script, 1, performanceKeys(performanceId).queue, this.#sentinel);
    });
    return this.#messages.get(performanceKeys(performanceId).queueChannel)?.splice(0) ?? [];
  }

  close(): void {
    this.#subscriber.disconnect();
  }
}

/** What a hold store has beside it; `used` are the performances it was asked for. */
function loadsOf(connection: RedisConnection, used: Set<number>) {
  const loads = new RedisLoadStore(connection, 0);
  return {
    async startLoad(performanceId: number) {
      used.add(performanceId);
      const start = await loads.startLoad(performanceId);
      return (snapshot: Parameters<RedisLoadStore['finishLoad']>[1]) => loads.finishLoad(start, snapshot);
    },
    remaining: async (performanceId: number) => (await readRemaining(connection, [performanceId]))[0]!,
  };
}

export async function redisHoldStore(urls: readonly string[]): Promise<HoldStoreUnderTest> {
  const connection = await connectRedis(urls);
  const used = new Set<number>();
  return {
    store: new RedisHoldStore(connection, silentLog),
    ...loadsOf(connection, used),
    async loseEverything() {
      const { client } = connection;
      await Promise.all(('nodes' in client ? client.nodes('master') : [client]).map((node) => node.flushall()));
    },
    async close() {
      await removePerformances(connection, used);
      await connection.close();
    },
  };
}

export interface RedisRoomsUnderTest extends RoomStoreUnderTest {
  readonly connection: RedisConnection;
  readonly ear: Ear;
}

export async function redisRooms(urls: readonly string[]): Promise<RedisRoomsUnderTest> {
  const connection = await connectRedis(urls);
  const { client } = connection;
  const loads = new RedisLoadStore(connection, 0);
  const ear = new Ear(urls[0]!, connection);
  return {
    connection,
    ear,
    store: new RedisRoomStore(connection),
    async warm(performanceId, room) {
      await ear.listen(performanceId);
      await loads.finishLoad(await loads.startLoad(performanceId), { ...seated(performanceId), room });
    },
    async cool(performanceId) {
      await client.del(performanceKeys(performanceId).meta);
    },
    lose: (performanceIds) => removePerformances(connection, performanceIds),
    async passTime(performanceId, ms) {
      const { queue, active, seen } = performanceKeys(performanceId);
      await client.eval(passTimeScript, 3, queue, active, seen, ms);
    },
    nowMs: () => Date.now(),
    async news(performanceId) {
      return (await ear.messages(performanceId)).map((message) => parseRoomNews(performanceId, message));
    },
    async close() {
      ear.close();
      await connection.close();
    },
  };
}

/** A hold store and the rooms that give its passes. */
export async function redisPasses(urls: readonly string[]): Promise<PassesUnderTest> {
  const { connection, store: rooms, passTime, lose, close } = await redisRooms(urls);
  const used = new Set<number>();
  return {
    store: new RedisHoldStore(connection, silentLog),
    rooms,
    passTime,
    ...loadsOf(connection, used),
    loseEverything: () => lose([...used]),
    async close() {
      await lose([...used]);
      await close();
    },
  };
}
