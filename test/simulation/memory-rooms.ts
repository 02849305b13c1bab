/** The waiting rooms on MemoryRedis: what RedisRoomStore is on Redis, without a network and without faults. */
import type { PlaceDecision, PlaceGroup, RoomStore } from '../../src/domain/stores.ts';
import type { AdmissionRound, Draw, Room, RoomState } from '../../src/domain/waiting-room.ts';
import { absenceMs, drawnPerCallMax, offRoundsSkipped, placesFrom, roundOf } from '../../src/lua/rooms.ts';
import { admit } from './admission-script.ts';
import type { MemoryRedis } from './memory-redis.ts';
import { configure, draw, seen, serve } from './room-scripts.ts';

/** Every method does its work at once; none rejects. */
export class MemoryRooms implements RoomStore {
  readonly #redis: MemoryRedis;
  /** Rounds that a room which is off is still passed over. */
  readonly #skips = new Map<number, number>();

  constructor(redis: MemoryRedis) {
    this.#redis = redis;
  }

  async serve(groups: readonly PlaceGroup[]): Promise<PlaceDecision[][]> {
    return groups.map(({ performanceId, requests }) => {
      const reply = serve(this.#redis, performanceId, requests, absenceMs);
      return reply === null ? requests.map(() => ({ status: 'cold' })) : placesFrom(requests, reply);
    });
  }

  async admit(roundMs: number): Promise<AdmissionRound[]> {
    const rounds: AdmissionRound[] = [];
    for (const performanceId of [...this.#redis.rooms].sort((a, b) => a - b)) {
      const reply = this.#isDue(performanceId) ? admit(this.#redis, performanceId, roundMs) : null;
      if (reply === null) continue;
      const round = roundOf(performanceId, reply);
      if (!round.isOn && round.admitted === 0 && round.drawDue === null) {
        this.#skips.set(performanceId, offRoundsSkipped);
      }
      rounds.push(round);
    }
    return rounds;
  }

  async draw({ performanceId, firstArrival, lastArrival }: Draw, numbers: readonly number[]): Promise<void> {
    for (let first = 0; first < numbers.length; first += drawnPerCallMax) {
      const part = numbers.slice(first, first + drawnPerCallMax);
      const isLast = first + drawnPerCallMax >= numbers.length;
      draw(this.#redis, performanceId, firstArrival + first, part, { firstArrival, lastArrival }, isLast);
    }
  }

  async configure(performanceId: number, room: Room): Promise<void> {
    configure(this.#redis, performanceId, room.revision, room);
    this.#skips.delete(performanceId);
    this.#redis.rooms.add(performanceId);
  }

  async seen(performanceId: number, userIds: readonly number[], forMs: number): Promise<void> {
    seen(this.#redis, performanceId, userIds, forMs);
  }

  async state(performanceId: number): Promise<RoomState | null> {
    const { meta, queue, waiting, early, active } = this.#redis.of(performanceId);
    if (meta === null) return null;
    return {
      mode: queue?.mode ?? 'off',
      admitPerSecond: queue?.rate ?? 0,
      maxActive: queue?.maxActive ?? 0,
      passSeconds: (queue?.passMs ?? 0) / 1000,
      opensAtMs: queue?.opensAt || null,
      drawBeforeOpen: queue?.draw ?? false,
      issued: queue?.issued ?? 0,
      admitted: queue?.admitted ?? 0,
      waiting: waiting.size + early.size,
      active: active.size,
    };
  }

  #isDue(performanceId: number): boolean {
    const skips = this.#skips.get(performanceId) ?? 0;
    if (skips <= 1) this.#skips.delete(performanceId);
    else this.#skips.set(performanceId, skips - 1);
    return skips === 0;
  }
}
