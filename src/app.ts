/** The composition root: builds the rooms right to left, starts them, stops them in reverse. Nothing connects on import. */
import { Payments } from './accounts/payments.ts';
import { Revocations } from './accounts/revocations.ts';
import { Users } from './accounts/users.ts';
import { HoldFlush } from './batcher/flush.ts';
import { Catalog } from './catalog/catalog.ts';
import { SeatWatch } from './catalog/seat-watch.ts';
import { storeWarmer } from './catalog/store-warmer.ts';
import type { Config } from './config.ts';
import { codeTable } from './domain/codes.ts';
import { accountRoutes } from './gateway/account-routes.ts';
import { createAuthenticate, mintToken } from './gateway/auth.ts';
import { catalogRoutes } from './gateway/catalog-routes.ts';
import { Dispatch } from './gateway/dispatch.ts';
import { Idempotency } from './gateway/idempotency.ts';
import { operationRoutes } from './gateway/operation-routes.ts';
import { queueRoutes } from './gateway/queue-routes.ts';
import { RateLimit } from './gateway/rate-limit.ts';
import { rehearsalRoutes } from './gateway/rehearsal-routes.ts';
import { reservationRoutes } from './gateway/reservation-routes.ts';
import { Server } from './gateway/server.ts';
import { Sockets } from './gateway/sockets.ts';
import { addMetrics } from './instruments.ts';
import { systemClock } from './lib/clock.ts';
import { messageOf } from './lib/errors.ts';
import { within } from './lib/within.ts';
import type { Log } from './logger.ts';
import { Attempts } from './lua/attempts.ts';
import { appendEvents } from './lua/events.ts';
import { IdempotencyStore } from './lua/idempotency.ts';
import { catalogChannel, performanceKeys, reservationsChannel, revocationsChannel } from './lua/keys.ts';
import { Lease } from './lua/lease.ts';
import { parseNotices, publishNotices, type ReservationNotice } from './lua/notices.ts';
import { absenceMs, parseRoomNews, RedisRoomStore } from './lua/rooms.ts';
import { parseSeatNews, readTakenSeats, watchSeats } from './lua/seats.ts';
import { heldReconnectGraceMs, Settlement } from './lua/settlement.ts';
import { RedisHoldStore } from './lua/store.ts';
import { publish, RedisBus } from './lua/subscriber.ts';
import { Metrics } from './metrics.ts';
import { Assets } from './pages/assets.ts';
import { MysqlLedger } from './persist/ledger.ts';
import { MysqlMoney } from './persist/money.ts';
import { deleteOutbox, readOutbox } from './persist/outbox.ts';
import { MysqlRoomLedger } from './persist/room-ledger.ts';
import { deleteEnded, insertRevoked, readRevoked } from './persist/users.ts';
import { Rehearsals } from './rehearsal/rehearsals.ts';
import { expireJob, type JobCounters, recoverJob } from './scheduler/jobs.ts';
import { outboxJob } from './scheduler/outbox.ts';
import { newReconcileCounters, reconcileJob } from './scheduler/reconcile.ts';
import { reconcileSources } from './scheduler/reconcile-sources.ts';
import { RoomMeasures } from './scheduler/room-measures.ts';
import { Scheduler } from './scheduler/scheduler.ts';
import { type RoomCounters, waitingRoomJobs } from './scheduler/waiting-rooms.ts';
import { Stores } from './stores.ts';
import { Places } from './waiting-room/places.ts';
import { Rooms } from './waiting-room/rooms.ts';
import { QueueTokens } from './waiting-room/tokens.ts';
import { RoomWatch } from './waiting-room/watch.ts';

/** The configuration with both stores found. */
export interface AppConfig extends Config {
  readonly mysqlUrl: string;
}

export interface App {
  readonly port: number;
  readonly catalog: Catalog;
  /** Takes no more, answers what it has, tells MySQL everything, then lets go. Takes at most 9 seconds. */
  stop(): Promise<void>;
}

const leaseDurationMs = 2500;
const leaseIntervalMs = 500;
const upcomingWarmedMax = 1000;
const endedTokensPrunedMax = 1000;
/** The stop as a whole stays under ten seconds. */
const drainTimeoutMs = 3500;
const closeTimeoutMs = 1000;

/** Starts a gateway. Rejects with StoreUnavailable when a store does not answer for a quarter of a minute, or when the port is taken. */
export async function startApp(
  config: AppConfig,
  log: Log,
  isPortShared = false,
  metrics = new Metrics(),
): Promise<App> {
  const clock = systemClock;
  const stores = new Stores(config, log);
  await stores.open();
  const { redis: connection, subscriber, reads: database, commits: commitDatabase, money: moneyDatabase } = stores;
  const store = new RedisHoldStore(connection, log, (performanceId, remaining) =>
    flush.noteRemaining(performanceId, remaining),
  );
  const notify = (notices: readonly ReservationNotice[]): void => {
    publishNotices(connection, notices).catch((thrown: unknown) => {
      log.warn('users were not told of their reservations', { error: messageOf(thrown) });
    });
  };
  const ledger = new MysqlLedger(commitDatabase, (releases) => {
    notify(releases.map(({ userId, reservationId }) => ({ userId, reservationId, kind: 'expired' })));
  });
  const settled = (performanceId: number): Promise<void> => flush.settled(performanceId);
  const reconnectGraceMs = config.ack === 'held' ? heldReconnectGraceMs : 0;
  const bus = new RedisBus(connection, subscriber);
  const settlement = new Settlement({ bus, clock, settled, reconnectGraceMs, log });
  await settlement.start();
  const warmer = storeWarmer(connection, database, settlement);
  const catalog = new Catalog(connection, database, warmer, (change) =>
    publish(connection, catalogChannel, String(change)),
  );
  await subscriber.subscribe(catalogChannel, (message) => {
    const change = message.toString();
    catalog.onChange(change === 'events' ? change : Number(change));
  });
  const warm = async (performanceId: number): Promise<'warm' | 'not_found'> =>
    (await warmer.warm(performanceId)) === 'not_found' ? 'not_found' : 'warm';
  const flush: HoldFlush = new HoldFlush({
    clock,
    store,
    ledger,
    warm,
    ack: config.ack,
    batchSizeMax: config.batchSizeMax,
    flushDelayMsMax: config.flushIntervalMs,
    depthMax: config.queueDepthMax,
    log,
  });

  const tokens = new QueueTokens(config.jwtSecret);
  const roomStore = new RedisRoomStore(connection, (performanceId, fault) =>
    log.error('a room could not be admitted to', { performanceId, error: fault.message }),
  );
  const roomLedger = new MysqlRoomLedger(database);
  const { requestDeadlineMs, queueDepthMax: depthMax, flushIntervalMs: flushDelayMsMax } = config;
  const places = new Places({ clock, store: roomStore, ledger: roomLedger, warm, flushDelayMsMax, depthMax, log });
  const rooms = new Rooms({ clock, store: roomStore, database, warm });
  const roomWatch = new RoomWatch({
    clock,
    places,
    subscribe: (performanceId, onNews) =>
      subscriber.subscribe(performanceKeys(performanceId).queueChannel, (message) =>
        onNews(parseRoomNews(performanceId, message)),
      ),
    unsubscribe: (performanceId) => subscriber.unsubscribe(performanceKeys(performanceId).queueChannel),
    seen: (performanceId, userIds, forMs) => roomStore.seen(performanceId, userIds, forMs),
    absenceMs,
    requestDeadlineMs,
    log,
  });
  const seatWatch = new SeatWatch({
    clock,
    subscribe: (performanceId, onNews) =>
      subscriber.subscribe(performanceKeys(performanceId).seatsChannel, (message) => onNews(parseSeatNews(message))),
    unsubscribe: (performanceId) => subscriber.unsubscribe(performanceKeys(performanceId).seatsChannel),
    announce: (performanceId, forMs) => watchSeats(connection, performanceId, forMs),
    warm,
    readTaken: (performanceId) => readTakenSeats(connection, performanceId),
    log,
  });
  const revocations = new Revocations({
    clock,
    read: () => readRevoked(database),
    write: (token) => insertRevoked(database, token),
    publish: (token) => publish(connection, revocationsChannel, JSON.stringify(token)),
    prune: () => deleteEnded(database, endedTokensPrunedMax),
    log,
  });
  await subscriber.subscribe(revocationsChannel, (message) => revocations.onRevoked(JSON.parse(message.toString())));
  await revocations.start();
  const users = new Users(database, new Attempts(connection));
  if (config.admin !== null) await users.ensureAdmin(config.admin.email, config.admin.password);
  const payments = new Payments({
    clock,
    deadlineMs: config.requestDeadlineMs,
    ledger: new MysqlMoney(moneyDatabase),
    store,
    log,
    onConfirmed: (userId, reservationId) => notify([{ userId, reservationId, kind: 'confirmed' }]),
  });
  subscriber.onGap(() => {
    void revocations.onGap();
    catalog.forget();
    roomWatch.askAll();
    seatWatch.readAll();
  });

  const jobCounters: JobCounters & { relayed: number } = { expired: 0, recovered: 0, takenBack: 0, relayed: 0 };
  const roomCounters: RoomCounters = { admitted: 0, expired: 0, left: 0, draws: 0 };
  const reconcileCounters = newReconcileCounters();
  const roomMeasures = new RoomMeasures({
    clock,
    rooms: () => roomStore.rooms(),
    state: (performanceId) => roomStore.state(performanceId),
  });
  const scheduler = new Scheduler({
    clock,
    lease: new Lease(connection, leaseDurationMs),
    leaseIntervalMs,
    jobs: [
      expireJob(store, ledger, jobCounters),
      recoverJob(store, ledger, jobCounters),
      ...waitingRoomJobs(roomStore, roomLedger, roomCounters),
      outboxJob({
        read: (rowsMax) => readOutbox(commitDatabase, rowsMax),
        append: (rows) => appendEvents(connection, rows),
        remove: (ids) => deleteOutbox(commitDatabase, ids),
        counters: jobCounters,
      }),
      reconcileJob({ ...reconcileSources(connection, database, store, warm), clock, counters: reconcileCounters, log }),
      roomMeasures.job,
    ],
    log,
  });

  const rehearsals = new Rehearsals({
    clock,
    connection,
    database,
    address: () => ({ host: config.host, port }),
    mintToken: (userId, seconds) => mintToken(config.jwtSecret, userId, 'user', seconds),
    log,
  });

  const apiRoutes = [
    ...reservationRoutes({
      clock,
      flush,
      tokens,
      payments,
      database,
      ack: config.ack,
      requestDeadlineMs,
    }),
    ...accountRoutes({ users, revocations, payments, database: moneyDatabase, jwtSecret: config.jwtSecret }),
    ...queueRoutes({ clock, places, rooms, tokens, requestDeadlineMs }),
    ...catalogRoutes(catalog),
    ...rehearsalRoutes(rehearsals),
  ];
  const assets = new Assets();
  const routes = [...apiRoutes, ...operationRoutes(() => stores.unusable(), metrics, assets, apiRoutes)];
  metrics.countAnswersOf(routes, Object.entries(codeTable));
  const isRevoked = (tokenId: string): boolean => revocations.has(tokenId);
  const authenticate = createAuthenticate(config.jwtSecret, isRevoked);
  const rateLimit = new RateLimit(config.rateLimitPerSecond);
  const idempotency = new Idempotency(new IdempotencyStore(connection), clock, requestDeadlineMs, log);
  const dispatch = new Dispatch({ idempotency, onAnswer: metrics.onAnswer, log });
  const holdIndex = routes.findIndex(({ method, path }) => method === 'post' && path === '/v1/reservations');
  const sockets = new Sockets({
    authenticate,
    isRevoked,
    rateLimit,
    dispatch,
    hold: { route: routes[holdIndex]!, index: holdIndex },
    tokens,
    rooms: roomWatch,
    seats: seatWatch,
    clock,
    log,
  });
  await subscriber.subscribe(reservationsChannel, (message) => {
    for (const notice of parseNotices(message)) sockets.onNotice(notice);
  });
  addMetrics(metrics, {
    flush,
    store,
    roomMeasures,
    warmer,
    jobs: jobCounters,
    roomJobs: roomCounters,
    relay: jobCounters,
    reconcile: reconcileCounters,
    places,
    rooms: roomWatch,
    seats: seatWatch,
    sockets,
    scheduler,
    connection,
    database: commitDatabase,
  });
  const server = new Server({ routes, authenticate, rateLimit, dispatch, sockets, assets, clock });

  const port = await server.listen(config.host, config.port, isPortShared);
  scheduler.start();
  const warming = warmUpcoming(catalog, log);
  log.info('listening', { host: config.host, port, ack: config.ack });

  return {
    port,
    catalog,
    async stop() {
      log.info('stopping');
      // What a rehearsal gives back is requests too: part of the time for the last answers.
      const drainEndMs = clock.nowMs() + drainTimeoutMs;
      await rehearsals.stop();
      sockets.drain();
      const isAnswered = await within(Promise.all([server.drain(), warming]), drainEndMs - clock.nowMs());
      await within(roomWatch.stop(), closeTimeoutMs);
      sockets.close();
      seatWatch.stop();
      // After the last answer MySQL may be behind (`held`); what it does not get in time the journal keeps.
      const isCommitted = await within(flush.drained(), drainTimeoutMs);
      if (!isAnswered || !isCommitted)
        log.warn('stopped with work left to the journal', { depth: flush.commits.queue.depth });
      await within(scheduler.stop(), closeTimeoutMs);
      server.close();
      revocations.stop();
      await within(stores.close(), closeTimeoutMs);
      log.info('stopped');
    },
  };
}

async function warmUpcoming(catalog: Catalog, log: Log): Promise<void> {
  try {
    const warmed = await catalog.warmUpcoming(upcomingWarmedMax);
    if (warmed > 0) log.info('warmed performances on sale soon', { warmed });
  } catch (thrown) {
    log.warn('performances were not warmed; their first request will', { error: messageOf(thrown) });
  }
}
