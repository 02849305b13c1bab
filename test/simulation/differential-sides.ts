/** Real Redis and its fake, each as a side of the differential test, and both in step. */
import type { HoldDecision, PlaceDecision } from '../../src/domain/stores.ts';
import type { AdmissionRound, RoomNews } from '../../src/domain/waiting-room.ts';
import { sleep, systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/logger.ts';
import type { RedisConnection } from '../../src/lua/connection.ts';
import { performanceKeys } from '../../src/lua/keys.ts';
import { RedisLoadStore } from '../../src/lua/load.ts';
import { RedisRoomStore } from '../../src/lua/rooms.ts';
import { readRemaining, watchSeats } from '../../src/lua/seats.ts';
import { RedisHoldStore } from '../../src/lua/store.ts';
import { comparable, type Side, type Step } from './differential-steps.ts';
import { MemoryArbiter } from './memory-arbiter.ts';
import { MemoryRedis, type RedisCopy } from './memory-redis.ts';
import { MemoryRooms } from './memory-rooms.ts';
import { passTime, passTimeScript } from './pass-time.ts';
import {
  copyKeys,
  fakeImage,
  type KeysCopy,
  type RedisImage,
  realImage,
  removeKeys,
  restoreKeys,
} from './redis-image.ts';
import * as seatScripts from './seat-scripts.ts';

/** Longer than a sequence takes on the slowest machine. */
const watchMs = 600_000;

/** Holds that have ended are taken over in one half of the sequences, and kept in the other. */
const graceMsOf = (performanceId: number): number => (performanceId % 2) * 60_000;

function realSide(connection: RedisConnection, id: number): Side {
  let copied: KeysCopy | null = null;
  const loads = new RedisLoadStore(connection, graceMsOf(id));
  const { queue, active, seen } = performanceKeys(id);
  return {
    store: new RedisHoldStore(connection, silentLog),
    rooms: new RedisRoomStore(connection),
    startLoad: () => loads.startLoad(id),
    finishLoad: (start, snapshot) => loads.finishLoad(start, snapshot),
    remaining: async () => (await readRemaining(connection, [id]))[0]!,
    watch: () => watchSeats(connection, id, watchMs),
    async passTime(ms) {
      await connection.client.eval(passTimeScript, 3, queue, active, seen, ms);
    },
    loseEverything: () => removeKeys(connection, id),
    async copy() {
      copied = await copyKeys(connection, id);
    },
    async restore() {
      if (copied === null) return;
      await restoreKeys(connection, id, copied);
      // A failover takes time; an entry that was lost and one that comes now must not get the same id.
      await sleep(systemClock, 2);
    },
    holds: [],
    entries: new Map(),
    starts: [],
  };
}

function fakeSide(redis: MemoryRedis, id: number): Side {
  let copied: RedisCopy | null = null;
  const store = new MemoryArbiter(redis, () => {}, graceMsOf(id));
  return {
    store,
    rooms: new MemoryRooms(redis),
    startLoad: () => store.startLoad(id),
    finishLoad: (start, snapshot) => store.finishLoad(start, snapshot),
    remaining: () => store.remaining(id),
    watch: async () => seatScripts.watchSeats(redis, id, watchMs),
    passTime: async (ms) => passTime(redis.of(id), ms),
    loseEverything: async () => redis.flushAll(),
    async copy() {
      copied = redis.copy();
    },
    async restore() {
      if (copied !== null) redis.restore(copied);
    },
    holds: [],
    entries: new Map(),
    starts: [],
  };
}

/** What a room has published, in words that both can say. */
export function comparableNews(news: RoomNews): unknown {
  return { ...news, line: news.line && { ...news.line, bits: [...news.line.bits] } };
}

/** When a script ran, as far as its answer and what it has written tell: a grant, a load, a round. */
function momentOf(answer: unknown, written: { readonly at: number; readonly revision: number }): number | null {
  if (answer === 'warmed') return written.revision;
  if (!Array.isArray(answer)) return null;
  for (const each of answer.flat() as (AdmissionRound | PlaceDecision | HoldDecision)[]) {
    if ('isOn' in each) return written.at;
    if ('hold' in each && each.hold.journal !== null) return each.hold.expiresAtMs - each.hold.holdMs;
  }
  return null;
}

/** Both sides of one performance, the fake one step behind. */
export class Pair {
  readonly real: Side;
  readonly fake: Side;
  readonly heard = { real: [] as unknown[], fake: [] as unknown[] };
  readonly #connection: RedisConnection;
  readonly #id: number;
  readonly #redis: MemoryRedis;
  #nowMs = 0;

  constructor(connection: RedisConnection, id: number) {
    this.#connection = connection;
    this.#id = id;
    this.real = realSide(connection, id);
    this.#redis = new MemoryRedis(() => this.#nowMs, {
      seats: (_, news) => this.heard.fake.push(news),
      room: (news) => this.heard.fake.push(comparableNews(news)),
    });
    this.fake = fakeSide(this.#redis, id);
  }

  async both(step: Step): Promise<{ readonly real: unknown; readonly fake: unknown }> {
    const { client } = this.#connection;
    const { meta, queue } = performanceKeys(this.#id);
    const acting = step(this.real);
    const [seconds, microseconds] = await client.time();
    const answer = await acting;
    const [at, revision] = await Promise.all([client.hget(queue, 'at'), client.hget(meta, 'revision')]);
    // Where the script has written down when it ran, that is the moment.
    const decided = momentOf(answer, { at: Number(at), revision: Number(revision) });
    this.#nowMs = Math.max(this.#nowMs, decided ?? Number(seconds) * 1000 + Number(microseconds) / 1000);
    const real = comparable(answer, this.real);
    const fake = comparable(await step(this.fake), this.fake);
    return { real, fake };
  }

  async images(): Promise<{ readonly real: RedisImage; readonly fake: RedisImage }> {
    return { real: await realImage(this.#connection, this.#id), fake: fakeImage(this.#redis, this.#id) };
  }
}
