/** Everything of one run: both stores, the processes, the clock they share, and the faults that come over them. */
import { createHash } from 'node:crypto';
import { seededRandom } from '../../bench/load/statistics.ts';
import type { Performance } from '../../src/domain/performance.ts';
import type { RoomNews, RoomSettings } from '../../src/domain/waiting-room.ts';
import { ManualClock } from '../manual-clock.ts';
import { SimulatedGateway } from './gateway.ts';
import { MemoryMysql } from './memory-ledger.ts';
import { MemoryRedis, type RedisCopy } from './memory-redis.ts';
import { Server } from './network.ts';
import { Chance, drawWeather, type Weather } from './weather.ts';

/** Clocks that nobody may compare. */
const redisEpochMs = 1_800_000_000_000;
const mysqlEpochMs = 1_700_000_000_000;
const traceLinesMax = 5000;
const seatCount = 6;
const placeCount = 8;

/** The performances of every run. */
export const hallId = 1;
export const partyId = 2;
export const performanceIds = [hallId, partyId] as const;

export class World {
  readonly clock = new ManualClock();
  readonly chance: Chance;
  readonly redis: MemoryRedis;
  readonly mysql: MemoryMysql;
  readonly redisServer = new Server('redis');
  readonly mysqlServer = new Server('mysql');
  /** What is promised and was not kept. */
  readonly broken: string[] = [];
  /** What happened, the last of it. */
  readonly trace: string[] = [];
  /** As drawn; none of it once the run has cleared up. */
  weather: Weather;
  /** Numbers let into the room of the hall, in order. */
  readonly admitted: number[] = [];
  gateways: SimulatedGateway[] = [];
  readonly room: RoomSettings | null;
  /** Redis has lost writes, or time: what it alone knows may be wrong since. */
  hasRedisLost = false;
  #redisAheadMs = 0;
  #mysqlAheadMs = 0;
  #gatewaysMade = 0;
  #ids = 0;
  #seeds = 0;
  #tokens = 0;
  readonly #seed: number;
  readonly #drawn: Weather;
  #lease: { owner: string; untilMs: number } | null = null;
  readonly #locks = new Map<number, { token: number; untilMs: number }>();
  #older: RedisCopy | null = null;

  constructor(seed: number) {
    this.#seed = seed;
    this.chance = new Chance(seededRandom(seed));
    this.#drawn = drawWeather(this.chance);
    this.weather = this.#drawn;
    this.redis = new MemoryRedis(() => redisEpochMs + this.clock.nowMs() + this.#redisAheadMs, {
      seats: () => {},
      room: (news) => this.#onRoomNews(news),
    });
    this.mysql = new MemoryMysql(() => mysqlEpochMs + this.clock.nowMs() + this.#mysqlAheadMs);
    this.#insertPerformance(hallId, { kind: 'seated', seats: seatCount, seatsPerRow: 3 });
    this.#insertPerformance(partyId, { kind: 'capacity', capacity: placeCount, maxPartySize: 4 });
    this.room = this.#makeRoom();
    if (this.room !== null) this.mysql.writeRoom(hallId, this.room);
    for (let i = 0; i < this.weather.gateways; i++) this.startGateway();
  }

  /** Whatever MySQL does Redis is told at once. */
  get isRedisTold(): boolean {
    const { isLossy, hasOutages, hasFreezes, hasCrashes, hasJumps } = this.#drawn;
    return !(isLossy || hasOutages || hasFreezes || hasCrashes || hasJumps);
  }

  /** One line of the trace. */
  note(line: string): void {
    this.trace.push(`${this.clock.nowMs().toFixed(3).padStart(12)}  ${line}`);
    if (this.trace.length > traceLinesMax) this.trace.splice(0, traceLinesMax / 2);
  }

  /** A promise was broken. */
  fail(what: string): void {
    this.note(`BROKEN: ${what}`);
    this.broken.push(what);
  }

  /** A UUIDv7 in form: the same in every run of a seed. */
  newId(): string {
    const hex = (++this.#ids).toString(16).padStart(12, '0');
    return `01900000-0000-7000-9000-${hex}`;
  }

  newSeed(): string {
    return createHash('sha256')
      .update(`${this.#seed} ${++this.#seeds}`)
      .digest('hex');
  }

  startGateway(): SimulatedGateway {
    const gateway = new SimulatedGateway(this, `gateway ${++this.#gatewaysMade}`);
    this.gateways.push(gateway);
    return gateway;
  }

  /** Those that live. */
  anyGateway(): SimulatedGateway | null {
    return this.gateways.length === 0 ? null : this.chance.pick(this.gateways);
  }

  /** SIGKILL. */
  killGateway(gateway: SimulatedGateway): void {
    this.note(`${gateway.name} is killed`);
    gateway.kill();
    this.gateways = this.gateways.filter((each) => each !== gateway);
  }

  // What gateways have in Redis beside the scripts.

  takeLease(owner: string, forMs: number): boolean {
    const nowMs = this.redis.nowMs();
    if (this.#lease !== null && this.#lease.owner !== owner && this.#lease.untilMs > nowMs) return false;
    this.#lease = { owner, untilMs: nowMs + forMs };
    return true;
  }

  endLease(owner: string): void {
    if (this.#lease?.owner === owner) this.#lease = null;
  }

  /** The token to give it back with; null: somebody has it. */
  takeLock(performanceId: number, forMs: number): number | null {
    const nowMs = this.redis.nowMs();
    const lock = this.#locks.get(performanceId);
    if (lock !== undefined && lock.untilMs > nowMs) return null;
    this.#locks.set(performanceId, { token: ++this.#tokens, untilMs: nowMs + forMs });
    return this.#tokens;
  }

  endLock(performanceId: number, token: number): void {
    if (this.#locks.get(performanceId)?.token === token) this.#locks.delete(performanceId);
  }

  publish(channel: string, message: Buffer): void {
    for (const gateway of this.gateways) this.#deliver(gateway, () => gateway.hear(channel, message));
  }

  subscribersOf(channel: string): number {
    return this.gateways.filter((gateway) => gateway.isSubscribedTo(channel)).length;
  }

  // Faults.

  flushRedis(): void {
    this.note('redis is emptied');
    this.hasRedisLost = true;
    this.redis.flushAll();
    this.#lease = null;
    this.#locks.clear();
  }

  /** Keeps what Redis has now, for a failover. */
  copyRedis(): void {
    this.#older = this.redis.copy();
  }

  /** Redis goes back to the copy; the gateways reconnect. */
  failRedisOver(): void {
    if (this.#older === null) return;
    this.note('redis goes back in time');
    this.hasRedisLost = true;
    // Entry ids are made of the clock: those that were lost are not given again.
    this.#redisAheadMs += 2;
    this.redis.restore(this.#older);
    this.#lease = null;
    this.#locks.clear();
    for (const gateway of this.gateways) gateway.reconnect();
  }

  jump(): void {
    const ms = this.chance.ms(0, 10_000);
    this.note(`a clock jumps by ${ms.toFixed(0)} ms`);
    this.hasRedisLost = true;
    // Redis made to run backwards would give no entry ids; MySQL does not mind.
    if (this.chance.is(0.5)) this.#redisAheadMs += ms;
    else this.#mysqlAheadMs += this.chance.is(0.5) ? ms : -ms;
  }

  setServer(server: Server, state: Server['state']): void {
    if (server.state === state) return;
    this.note(`${server.name} is ${state}`);
    const wasAway = server.state !== 'up';
    server.setState(state);
    if (wasAway && state === 'up' && server === this.redisServer) {
      for (const gateway of this.gateways) this.#deliver(gateway, () => gateway.onGap());
    }
  }

  /** No more faults: what was broken is given the time to come right. */
  clearUp(): void {
    this.note('the weather clears up');
    this.weather = {
      ...this.weather,
      isLossy: false,
      isRepeating: false,
      isReordering: false,
      hasOutages: false,
      hasFreezes: false,
      hasCrashes: false,
      hasFlushes: false,
      hasFailovers: false,
      hasJumps: false,
    };
    this.setServer(this.redisServer, 'up');
    this.setServer(this.mysqlServer, 'up');
    while (this.gateways.length < 2) this.startGateway();
  }

  #deliver(gateway: SimulatedGateway, message: () => void): void {
    if (this.redisServer.state !== 'up') return;
    this.clock.after(this.chance.ms(0.1, 3), () => {
      if (!gateway.isDead) message();
    });
  }

  #onRoomNews(news: RoomNews): void {
    for (const { number } of news.admitted) this.admitted.push(number);
    for (const gateway of this.gateways) this.#deliver(gateway, () => gateway.hearOf(news));
  }

  #insertPerformance(performanceId: number, seating: Performance['seating']): void {
    const plan = {
      eventId: 1,
      startsAtMs: mysqlEpochMs + 86_400_000,
      bookingOpensAtMs: null,
      bookingClosesAtMs: null,
      price: 100,
      holdSeconds: this.chance.pick([2, 5, 12]),
      maxReservationsPerUser: 1 + this.chance.below(2),
      seating,
    };
    this.mysql.insertPerformance(plan, performanceId);
  }

  #makeRoom(): RoomSettings | null {
    const { room } = this.weather;
    if (room === 'none') return null;
    return {
      mode: 'on',
      admitPerSecond: this.chance.pick([1, 3, 10]),
      maxActive: 2 + this.chance.below(5),
      passSeconds: this.chance.pick([5, 30]),
      opensAtMs: room === 'draw' ? this.redis.nowMs() + 3000 : null,
      drawBeforeOpen: room === 'draw',
    };
  }
}
