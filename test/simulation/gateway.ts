/** One gateway process of the simulation: the real rooms, put together as app.ts does, over fakes behind a network. */
import { Payments } from '../../src/accounts/payments.ts';
import { HoldFlush } from '../../src/batcher/flush.ts';
import { Warmer } from '../../src/catalog/warm.ts';
import type { HoldStore, Ledger, LoadStore, MoneyLedger, RoomLedger, RoomStore } from '../../src/domain/stores.ts';
import type { RoomNews } from '../../src/domain/waiting-room.ts';
import { Again } from '../../src/lib/again.ts';
import { type Clock, sleep, type Timer } from '../../src/lib/clock.ts';
import { StoreUnavailable } from '../../src/lib/errors.ts';
import { absenceMs } from '../../src/lua/rooms.ts';
import { heldReconnectGraceMs, Settlement } from '../../src/lua/settlement.ts';
import type { OnMessage } from '../../src/lua/subscriber.ts';
import { expireJob, recoverJob } from '../../src/scheduler/jobs.ts';
import { newReconcileCounters, reconcileJob } from '../../src/scheduler/reconcile.ts';
import { Scheduler } from '../../src/scheduler/scheduler.ts';
import { waitingRoomJobs } from '../../src/scheduler/waiting-rooms.ts';
import { Places } from '../../src/waiting-room/places.ts';
import { RoomWatch } from '../../src/waiting-room/watch.ts';
import { MemoryArbiter } from './memory-arbiter.ts';
import { MemoryLedger, MemoryMoney, MemoryRoomLedger } from './memory-ledger.ts';
import { MemoryRooms } from './memory-rooms.ts';
import { Link } from './network.ts';
import { viewOf } from './view.ts';
import type { World } from './world.ts';

const redisTimeoutMs = 1000;
const mysqlTimeoutMs = 3000;
const requestDeadlineMs = 2000;
const flushDelayMsMax = 10;
const leaseMs = 2500;
const leaseIntervalMs = 500;
const lockMs = 5000;
const lockRetryMs = 30;
const lockAttemptsMax = 100;
const tellIntervalMs = 500;

/** The clock of a process: what it has set goes with it. */
class ProcessClock implements Clock {
  readonly #clock: Clock;
  readonly #isDead: () => boolean;

  constructor(clock: Clock, isDead: () => boolean) {
    this.#clock = clock;
    this.#isDead = isDead;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#clock.after(delayMs, () => {
      if (!this.#isDead()) callback();
    });
  }

  soon(callback: () => void): void {
    this.#clock.soon(() => {
      if (!this.#isDead()) callback();
    });
  }
}

export class SimulatedGateway {
  readonly name: string;
  readonly flush: HoldFlush;
  readonly places: Places;
  readonly payments: Payments;
  readonly roomWatch: RoomWatch;
  readonly drift = newReconcileCounters();
  readonly #world: World;
  readonly #redis: Link;
  readonly #mysql: Link;
  readonly #scheduler: Scheduler;
  readonly #clock: Clock;
  readonly #channels = new Map<string, OnMessage>();
  readonly #rooms = new Map<number, (news: RoomNews) => void>();
  #isDead = false;
  /** Null while it hears nothing of the others. */
  #heardSinceMs: number | null = Number.NEGATIVE_INFINITY;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    const isDead = (): boolean => this.#isDead;
    this.#clock = new ProcessClock(world.clock, isDead);
    const { chance } = world;
    const weather = (): World['weather'] => world.weather;
    const network = { clock: world.clock, chance, weather, isDead };
    this.#redis = new Link({ ...network, server: world.redisServer, timeoutMs: redisTimeoutMs });
    this.#mysql = new Link({ ...network, server: world.mysqlServer, timeoutMs: mysqlTimeoutMs });

    const clock = this.#clock;
    const log = {
      info: (message: string, fields?: object) => world.note(`${name}: ${message} ${JSON.stringify(fields ?? {})}`),
      warn: (message: string, fields?: object) => world.note(`${name}: ${message} ${JSON.stringify(fields ?? {})}`),
      error: (message: string, fields?: object) => world.note(`${name}: ${message} ${JSON.stringify(fields ?? {})}`),
    };
    const store = this.#store();
    const ledger = this.#ledger();
    const rooms = this.#roomStore();
    const roomLedger = this.#roomLedger();
    const heardSinceMs = (): number | null => this.#heardSinceMs;
    const bus = {
      subscribe: async (channel: string, onMessage: OnMessage): Promise<void> => {
        this.#channels.set(channel, onMessage);
      },
      publish: (channel: string, message: string) =>
        this.#redis.call(async () => world.publish(channel, Buffer.from(message)), false),
      subscribersOf: (channel: string) => this.#redis.call(async () => world.subscribersOf(channel)),
      get heardSinceMs() {
        return heardSinceMs();
      },
    };
    const settled = (performanceId: number): Promise<void> => this.flush.settled(performanceId);
    const reconnectGraceMs = world.weather.ack === 'held' ? heldReconnectGraceMs : 0;
    const settlement = new Settlement({ bus, clock, settled, reconnectGraceMs, log });
    void settlement.start();
    const warmer = new Warmer({
      store: this.#loads(),
      readSnapshot: (performanceId) => this.#mysql.call(() => world.mysql.readSnapshot(performanceId)),
      settle: (performanceId) => settlement.settleEverywhere(performanceId),
      lock: (performanceId) => this.#lock(performanceId),
    });
    const warm = async (performanceId: number): Promise<'warm' | 'not_found'> =>
      (await warmer.warm(performanceId)) === 'not_found' ? 'not_found' : 'warm';
    const queue = { clock, warm, flushDelayMsMax, depthMax: 1000, log };
    this.flush = new HoldFlush({ ...queue, store, ledger, ack: world.weather.ack, batchSizeMax: 10 });
    this.places = new Places({ ...queue, store: rooms, ledger: roomLedger });
    const money = this.#money();
    this.payments = new Payments({
      clock,
      deadlineMs: requestDeadlineMs,
      ledger: money,
      store,
      log,
      onConfirmed: () => {},
    });
    this.roomWatch = new RoomWatch({
      clock,
      places: this.places,
      subscribe: async (performanceId, onNews) => {
        this.#rooms.set(performanceId, onNews);
      },
      unsubscribe: (performanceId) => this.#rooms.delete(performanceId),
      seen: (performanceId, userIds, forMs) => rooms.seen(performanceId, userIds, forMs),
      absenceMs,
      requestDeadlineMs,
      log,
    });
    this.#scheduler = new Scheduler({
      clock,
      lease: {
        take: () => this.#redis.call(async () => world.takeLease(name, leaseMs)),
        end: () => this.#redis.call(async () => world.endLease(name)),
      },
      leaseIntervalMs,
      jobs: [
        expireJob(store, ledger, { expired: 0, recovered: 0, takenBack: 0 }),
        recoverJob(store, ledger, { expired: 0, recovered: 0, takenBack: 0 }),
        ...waitingRoomJobs(rooms, roomLedger, { admitted: 0, expired: 0, left: 0, draws: 0 }, () => world.newSeed()),
        reconcileJob({
          clock,
          counters: this.drift,
          log,
          performances: () => this.#redis.call(async () => [...world.redis.warmed]),
          snapshot: (performanceId) => this.#mysql.call(() => world.mysql.readSnapshot(performanceId)),
          view: (performanceId) => this.#redis.call(async () => viewOf(world.redis, performanceId)),
          repair: async (performanceId) => {
            await store.cool(performanceId, []);
            await warmer.warm(performanceId);
          },
        }),
      ],
      log,
    });
    this.#scheduler.start();
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  /** SIGKILL: what it had in memory is gone, what it has sent arrives. */
  kill(): void {
    this.#isDead = true;
  }

  isSubscribedTo(channel: string): boolean {
    return this.#heardSinceMs !== null && this.#channels.has(channel);
  }

  hear(channel: string, message: Buffer): void {
    this.#channels.get(channel)?.(message);
  }

  hearOf(news: RoomNews): void {
    this.#rooms.get(news.performanceId)?.(news);
  }

  /** Redis is another one, or has another past: what it has is loaded anew, as src/lua/continuity.ts has it done. */
  reconnect(): void {
    const arbiter = new MemoryArbiter(this.#world.redis);
    this.#heardSinceMs = null;
    void this.#redis
      .reconnect(async () => {
        for (const id of this.#world.redis.warmed) await arbiter.cool(id, []);
      })
      .then(() => {
        this.#heardSinceMs = this.#clock.nowMs();
        this.onGap();
      });
  }

  /** Its subscription was lost and is back. */
  onGap(): void {
    this.roomWatch.askAll();
  }

  #store(): HoldStore {
    const { redis } = this.#world;
    const link = this.#redis;
    const noted: [number, number][] = [];
    const arbiter = new MemoryArbiter(redis, (performanceId, places) => noted.push([performanceId, places]));
    /** What the reply says of the places left is known here when it comes. */
    const noting = async <Result>(effect: () => Promise<Result>): Promise<Result> => {
      let said: [number, number][] = [];
      const result = await link.call(async () => {
        noted.length = 0;
        const done = await effect();
        said = noted.splice(0);
        return done;
      });
      for (const [performanceId, places] of said) this.flush.noteRemaining(performanceId, places);
      return result;
    };
    const cool = (performanceId: number, ids: readonly string[]): Promise<void> =>
      link.call(() => arbiter.cool(performanceId, ids));
    const untold = new Again<number>(this.#clock, tellIntervalMs, (performanceId) => cool(performanceId, []));
    const tell = async (
      told: readonly { readonly performanceId: number }[],
      effect: () => Promise<void>,
    ): Promise<void> => {
      try {
        await noting(effect);
      } catch (thrown) {
        for (const { performanceId } of told) untold.add(performanceId);
        throw thrown;
      }
    };
    return {
      async hold(groups) {
        try {
          return await noting(() => arbiter.hold(groups));
        } catch (thrown) {
          const error = thrown instanceof Error ? thrown : new Error(String(thrown));
          return groups.map(({ requests }) => requests.map(() => ({ kind: 'failed', error })));
        }
      },
      release: (releases) => tell(releases, () => arbiter.release(releases)),
      confirm: (sales) => tell(sales, () => arbiter.confirm(sales)),
      cool,
      // It counts the holds that are open, here: the command alone could come twice.
      forget: (holds) => link.call(() => arbiter.forget(holds), false),
      journal: (ageMs, countMax) => link.call(() => arbiter.journal(ageMs, countMax)),
    };
  }

  #loads(): LoadStore {
    const arbiter = new MemoryArbiter(this.#world.redis);
    const link = this.#redis;
    return {
      isWarm: (performanceId) => link.call(() => arbiter.isWarm(performanceId)),
      startLoad: (performanceId) => link.call(() => arbiter.startLoad(performanceId)),
      finishLoad: (start, snapshot) => link.call(() => arbiter.finishLoad(start, snapshot)),
    };
  }

  #ledger(): Ledger {
    const ledger = new MemoryLedger(this.#world.mysql);
    const link = this.#mysql;
    return {
      isAvailable: () => link.isBelievedUp,
      persistHolds: (holds) =>
        link.call(async () => {
          const results = await ledger.persistHolds(holds);
          holds.forEach(({ reservationId, supersedes, seats, versions }, i) => {
            const what = `${seats.map((seat, k) => `${seat}@${versions[k]}`)}${supersedes.length > 0 ? ` over ${supersedes}` : ''}`;
            this.#world.note(`mysql: ${reservationId} ${what} of ${this.name}: ${results[i]}`);
          });
          return results;
        }),
      // A transaction is not sent twice: only what carries an id may be.
      expireDue: (countMax) =>
        link.call(async () => {
          const releases = await ledger.expireDue(countMax);
          for (const { reservationId } of releases)
            this.#world.note(`mysql: ${reservationId} is expired by ${this.name}`);
          return releases;
        }, false),
    };
  }

  #money(): MoneyLedger {
    const money = new MemoryMoney(this.#world.mysql);
    const link = this.#mysql;
    return {
      pay: (reservationId, userId) => link.call(() => money.pay(reservationId, userId)),
      charge: (userId, amount, requestId) => link.call(() => money.charge(userId, amount, requestId)),
      cancelHeld: (reservationId) => link.call(() => money.cancelHeld(reservationId), false),
      refund: (reservationId) => link.call(() => money.refund(reservationId), false),
      readRefunded: (reservationId) => link.call(() => money.readRefunded(reservationId)),
    };
  }

  #roomStore(): RoomStore {
    const rooms = new MemoryRooms(this.#world.redis);
    const link = this.#redis;
    return {
      async serve(groups) {
        try {
          return await link.call(() => rooms.serve(groups));
        } catch (thrown) {
          const error = thrown instanceof Error ? thrown : new Error(String(thrown));
          return groups.map(({ requests }) => requests.map(() => ({ status: 'failed', error })));
        }
      },
      admit: (roundMs) => link.call(() => rooms.admit(roundMs)),
      draw: (draw, numbers) => link.call(() => rooms.draw(draw, numbers)),
      configure: (performanceId, room) => link.call(() => rooms.configure(performanceId, room)),
      seen: (performanceId, userIds, forMs) => link.call(() => rooms.seen(performanceId, userIds, forMs)),
      state: (performanceId) => link.call(() => rooms.state(performanceId)),
    };
  }

  #roomLedger(): RoomLedger {
    const ledger = new MemoryRoomLedger(this.#world.mysql);
    const link = this.#mysql;
    return {
      writeIssued: (performanceId, issued) => link.call(() => ledger.writeIssued(performanceId, issued)),
      writeDraw: (draw) => link.call(() => ledger.writeDraw(draw)),
      readDraws: (performanceId) => link.call(() => ledger.readDraws(performanceId)),
    };
  }

  /** As Redlock does: tried again for some seconds, given back, over by itself. */
  async #lock(performanceId: number): Promise<() => Promise<void>> {
    for (let attempt = 0; attempt < lockAttemptsMax; attempt++) {
      const token = await this.#redis.call(async () => this.#world.takeLock(performanceId, lockMs), false);
      if (token !== null) {
        return async () => {
          await this.#redis.call(async () => this.#world.endLock(performanceId, token)).catch(() => null);
        };
      }
      await sleep(this.#clock, lockRetryMs);
    }
    throw new StoreUnavailable('redis', `no lock on ${performanceId}`);
  }
}
