/** Waiting rooms on real Redis: the requests of a room folded into one script call, admission in rounds. */
import type { PlaceDecision, PlaceGroup, RoomStore } from '../domain/stores.ts';
import type {
  Admission,
  AdmissionRound,
  Draw,
  Place,
  PlaceRequest,
  Room,
  RoomNews,
  RoomSettings,
  RoomState,
} from '../domain/waiting-room.ts';
import { etaSecondsOf } from '../domain/waiting-room.ts';
import { StoreUnavailable } from '../lib/errors.ts';
import type { RedisConnection } from './connection.ts';
import { scriptPackr } from './journal.ts';
import { performanceKeys, roomsKey } from './keys.ts';
import {
  queueAdmitCall,
  queueDrawCall,
  queueSeenCall,
  queueServeCall,
  queueSetCall,
  type ScriptCall,
} from './scripts.ts';

/** Absent for so long, somebody who waits has left. */
export const absenceMs = 60_000;

const kindNumbers = { join: 0, look: 1, leave: 2, restore: 3 } as const;

/** First element of a result of queue-serve.lua. */
export const PlaceCode = { open: 0, joined: 1, waits: 2, admitted: 3, left: 4, expired: 5, lost: 6 } as const;

/** `[rate, opensAt, results]`, see queue-serve.lua. */
export type ServeReply = [number, number, [number, ...number[]][]];
/** `[isOn, admitted, expired, left, issued, earlyFrom, earlyTo]`, see queue-admit.lua. */
export type AdmitReply = [number, number, number, number, number, number, number];
/** See queue-admit.lua. */
type NewsHead = [number, number, number, number[], number[], number, number];

const seenPerCallMax = 20_000;
export const drawnPerCallMax = 1000;
/** A room that is off needs no admission but for those who waited when it was turned off. */
export const offRoundsSkipped = 2;

const open: Place = { status: 'open' };
const left: Place = { status: 'left' };
const expired: Place = { status: 'expired' };
const lost: Place = { status: 'lost' };
const cold: PlaceDecision = { status: 'cold' };

/** The settings as fields and values of the queue hash. */
export function roomFields(settings: RoomSettings): string[] {
  const { mode, admitPerSecond, maxActive, passSeconds, opensAtMs, drawBeforeOpen } = settings;
  const fields = {
    mode,
    rate: admitPerSecond,
    maxActive,
    passMs: passSeconds * 1000,
    opensAt: opensAtMs ?? 0,
    draw: drawBeforeOpen ? 1 : 0,
  };
  return Object.entries(fields).flat().map(String);
}

export class RedisRoomStore implements RoomStore {
  readonly #connection: RedisConnection;
  readonly #onFault: (performanceId: number, fault: Error) => void;
  /** Rounds until a room that is off is looked at again. */
  readonly #skips = new Map<number, number>();

  /** `onFault` is told of a room whose round failed while others did not. */
  constructor(connection: RedisConnection, onFault: (performanceId: number, fault: Error) => void = () => {}) {
    this.#connection = connection;
    this.#onFault = onFault;
  }

  async serve(groups: readonly PlaceGroup[]): Promise<PlaceDecision[][]> {
    const calls = groups.map(({ performanceId, requests }) =>
      queueServeCall(performanceKeys(performanceId), packRequests(requests), absenceMs),
    );
    const replies = await this.#connection.run(calls);
    return groups.map(({ requests }, g) => decisionsOf(requests, replies[g]));
  }

  async admit(roundMs: number): Promise<AdmissionRound[]> {
    const ids = (await this.rooms()).filter((id) => this.#isDue(id));
    const replies = await this.#connection.run(ids.map((id) => queueAdmitCall(performanceKeys(id), roundMs)));
    const rounds: AdmissionRound[] = [];
    for (let i = 0; i < ids.length; i++) {
      const reply = replies[i];
      if (reply instanceof Error) {
        // One that fails must not cost the others their round; where all do, it is Redis.
        if (replies.every((each) => each instanceof Error)) throw reply;
        this.#onFault(ids[i]!, reply);
        continue;
      }
      // No room: Redis has lost it, the next request of it loads the performance.
      if (!Buffer.isBuffer(reply)) continue;
      const performanceId = ids[i]!;
      const round = roundOf(performanceId, scriptPackr.unpack(reply) as AdmitReply);
      if (!round.isOn && round.admitted === 0 && round.drawDue === null)
        this.#skips.set(performanceId, offRoundsSkipped);
      rounds.push(round);
    }
    return rounds;
  }

  async draw(draw: Draw, numbers: readonly number[]): Promise<void> {
    const { performanceId, firstArrival, lastArrival } = draw;
    const keys = performanceKeys(performanceId);
    for (let first = 0; first < numbers.length; first += drawnPerCallMax) {
      const part = numbers.slice(first, first + drawnPerCallMax);
      const isLast = first + drawnPerCallMax >= numbers.length;
      const packed = scriptPackr.pack([firstArrival + first, part]);
      await this.#connection.runOne(queueDrawCall(keys, packed, `${firstArrival} ${lastArrival}`, isLast));
    }
  }

  async configure(performanceId: number, room: Room): Promise<void> {
    await this.#connection.runOne(queueSetCall(performanceKeys(performanceId), room.revision, roomFields(room)));
    this.#skips.delete(performanceId);
    try {
      await this.#connection.client.sadd(roomsKey, performanceId);
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  async seen(performanceId: number, userIds: readonly number[], forMs: number): Promise<void> {
    const keys = performanceKeys(performanceId);
    const calls: ScriptCall[] = [];
    for (let first = 0; first < userIds.length; first += seenPerCallMax) {
      const part = userIds.slice(first, first + seenPerCallMax).map(String);
      calls.push(queueSeenCall(keys, forMs, part));
    }
    for (const reply of await this.#connection.run(calls)) if (reply instanceof Error) throw reply;
  }

  async state(performanceId: number): Promise<RoomState | null> {
    const { meta, queue, waiting, early, active } = performanceKeys(performanceId);
    const fields = ['mode', 'rate', 'maxActive', 'passMs', 'opensAt', 'draw', 'issued', 'admitted'];
    try {
      const { client } = this.#connection;
      const [isWarm, values, waitingCount, earlyCount, activeCount] = await Promise.all([
        client.exists(meta),
        client.hmget(queue, ...fields),
        client.zcard(waiting),
        client.zcard(early),
        client.zcard(active),
      ]);
      if (isWarm === 0) return null;
      const [mode, rate, maxActive, passMs, opensAt, draw, issued, admitted] = values;
      return {
        mode: mode === 'on' ? 'on' : 'off',
        admitPerSecond: Number(rate),
        maxActive: Number(maxActive),
        passSeconds: Number(passMs) / 1000,
        opensAtMs: Number(opensAt) || null,
        drawBeforeOpen: draw === '1',
        issued: Number(issued),
        admitted: Number(admitted),
        waiting: waitingCount + earlyCount,
        active: activeCount,
      };
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  /** Performances that have had a waiting room. Rejects with StoreUnavailable. */
  async rooms(): Promise<number[]> {
    try {
      return (await this.#connection.client.smembers(roomsKey)).map(Number);
    } catch (thrown) {
      throw new StoreUnavailable('redis', thrown);
    }
  }

  #isDue(performanceId: number): boolean {
    const skips = this.#skips.get(performanceId) ?? 0;
    if (skips <= 1) this.#skips.delete(performanceId);
    else this.#skips.set(performanceId, skips - 1);
    return skips === 0;
  }
}

function packRequests(requests: readonly PlaceRequest[]): Buffer {
  return scriptPackr.pack(
    requests.map(({ kind, userId, arrival, number }) => [kindNumbers[kind], String(userId), arrival, number]),
  );
}

function decisionsOf(requests: readonly PlaceRequest[], reply: unknown): PlaceDecision[] {
  if (reply === null) return requests.map(() => cold);
  if (!Buffer.isBuffer(reply)) {
    const error = reply instanceof Error ? reply : new StoreUnavailable('redis', 'unexpected reply of queue-serve.lua');
    return requests.map(() => ({ status: 'failed', error }));
  }
  return placesFrom(requests, scriptPackr.unpack(reply) as ServeReply);
}

/** One decision a request, from what queue-serve.lua answered. */
export function placesFrom(requests: readonly PlaceRequest[], [rate, opensAt, results]: ServeReply): PlaceDecision[] {
  return requests.map((_, i) => {
    const result = results[i];
    if (result === undefined) {
      return { status: 'failed', error: new StoreUnavailable('redis', 'queue-serve.lua answered short') };
    }
    return placeOf(result, rate, opensAt);
  });
}

function placeOf(result: readonly number[], rate: number, opensAt: number): PlaceDecision {
  const [code, arrival = 0, number = 0, last = 0] = result;
  switch (code) {
    case PlaceCode.joined:
    case PlaceCode.waits:
      return {
        status: 'waiting',
        arrival,
        number: number === 0 ? null : number,
        position: number === 0 ? null : last,
        etaSeconds: number === 0 ? null : etaSecondsOf(last, rate),
        opensAtMs: opensAt === 0 ? null : opensAt,
        isNew: code === PlaceCode.joined,
      };
    case PlaceCode.admitted:
      return { status: 'admitted', arrival, number, passEndsAtMs: last };
    case PlaceCode.open:
      return open;
    case PlaceCode.left:
      return left;
    case PlaceCode.expired:
      return expired;
    case PlaceCode.lost:
      return lost;
    default:
      return { status: 'failed', error: new StoreUnavailable('redis', `queue-serve.lua answered ${code}`) };
  }
}

/** What queue-admit.lua answered, in words. */
export function roundOf(
  performanceId: number,
  [isOn, admitted, ended, gone, issued, firstArrival, lastArrival]: AdmitReply,
): AdmissionRound {
  return {
    performanceId,
    isOn: isOn === 1,
    admitted,
    expired: ended,
    left: gone,
    issued,
    drawDue: firstArrival > 0 ? { firstArrival, lastArrival } : null,
  };
}

/** Reads what a room has published. Throws on a message of another form. */
export function parseRoomNews(performanceId: number, message: Buffer): RoomNews {
  const headEnd = 4 + message.readUInt32BE(0);
  const head: NewsHead = scriptPackr.unpack(message.subarray(4, headEnd));
  const [roundMs, watermark, rate, triples, users, firstNumber, isDrawn] = head;
  const admitted: Admission[] = [];
  for (let i = 0; i < triples.length; i += 3) {
    admitted.push({ userId: triples[i]!, number: triples[i + 1]!, passEndsAtMs: triples[i + 2]! });
  }
  return {
    performanceId,
    roundMs,
    watermark,
    rate,
    admitted,
    expired: users,
    line: firstNumber < 0 ? null : { firstNumber, bits: message.subarray(headEnd) },
    isDrawn: isDrawn === 1,
  };
}
