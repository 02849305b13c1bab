/** The composition root: builds the rooms right to left, starts them, stops them in reverse. Nothing connects on import. */
import { HoldFlush } from './batcher/flush.ts';
import { Catalog } from './catalog/catalog.ts';
import { Warmer } from './catalog/warm.ts';
import type { Config } from './config.ts';
import { createAuthenticate } from './gateway/auth.ts';
import { catalogRoutes } from './gateway/catalog-routes.ts';
import { Idempotency } from './gateway/idempotency.ts';
import { operationRoutes } from './gateway/operation-routes.ts';
import { RateLimit } from './gateway/rate-limit.ts';
import { reservationRoutes } from './gateway/reservation-routes.ts';
import { Server } from './gateway/server.ts';
import { systemClock } from './lib/clock.ts';
import { messageOf } from './lib/errors.ts';
import type { Log } from './logger.ts';
import { RedisConnection } from './lua/connection.ts';
import { IdempotencyStore } from './lua/idempotency.ts';
import { Lease } from './lua/lease.ts';
import { Settlement } from './lua/settlement.ts';
import { RedisHoldStore } from './lua/store.ts';
import { Metrics } from './metrics.ts';
import { Database } from './persist/database.ts';
import { MysqlLedger } from './persist/ledger.ts';
import { isMigrated, migrate } from './persist/migrate.ts';
import { expireJob, type JobCounters, recoverJob } from './scheduler/jobs.ts';
import { Scheduler } from './scheduler/scheduler.ts';

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
/** For the gateway's reads, cancellations and loads; commits and jobs have their own. */
const readConnectionsMax = 8;
const commitConnectionsMax = 4;
/** The stop as a whole stays under ten seconds. */
const drainTimeoutMs = 3500;
const closeTimeoutMs = 1000;

/** Starts a gateway. Rejects with StoreUnavailable when a store does not answer, or when the port is taken. */
export async function startApp(config: AppConfig, log: Log, isPortShared = false): Promise<App> {
  const clock = systemClock;
  const connection = new RedisConnection(config.redisUrls, log);
  const applied = await migrate(config.mysqlUrl);
  if (applied.length > 0) log.info('migrated', { applied });
  const database = new Database(config.mysqlUrl, log, readConnectionsMax);
  const commitDatabase = new Database(config.mysqlUrl, log, commitConnectionsMax);
  await connection.connect();

  const store = new RedisHoldStore(connection, log, (performanceId, remaining) =>
    flush.noteRemaining(performanceId, remaining),
  );
  const ledger = new MysqlLedger(commitDatabase);
  const settled = (performanceId: number): Promise<void> => flush.commits.settled(performanceId);
  const settlement = new Settlement({ connection, clock, settled, log });
  await settlement.start();
  const warmer = new Warmer(connection, database, (performanceId) => settlement.settleEverywhere(performanceId));
  const catalog = new Catalog(connection, database, warmer);
  const flush: HoldFlush = new HoldFlush({
    clock,
    store,
    ledger,
    warm: async (performanceId) => ((await warmer.warm(performanceId)) === 'not_found' ? 'not_found' : 'warm'),
    ack: config.ack,
    batchSizeMax: config.batchSizeMax,
    flushDelayMsMax: config.flushIntervalMs,
    depthMax: config.queueDepthMax,
    log,
  });

  const jobCounters: JobCounters = { expired: 0, recovered: 0, takenBack: 0 };
  const scheduler = new Scheduler({
    clock,
    lease: new Lease(connection, leaseDurationMs),
    leaseIntervalMs,
    jobs: [expireJob(store, ledger, jobCounters), recoverJob(store, ledger, jobCounters)],
    log,
  });

  const metrics = new Metrics();
  const apiRoutes = [
    ...reservationRoutes({
      clock,
      flush,
      store,
      database,
      ack: config.ack,
      requestDeadlineMs: config.requestDeadlineMs,
      log,
    }),
    ...catalogRoutes(catalog),
  ];
  const readiness = async (): Promise<string[]> => {
    const isRedis = await isUsable('redis', () => connection.client.ping(), log);
    const isMysql = await isUsable('mysql', () => isMigrated(database), log);
    return [...(isRedis ? [] : ['redis']), ...(isMysql ? [] : ['mysql'])];
  };
  const routes = [...apiRoutes, ...operationRoutes(readiness, metrics, apiRoutes)];
  metrics.countAnswersOf(routes);
  addMetrics(metrics, flush, warmer, jobCounters, scheduler, connection, commitDatabase);
  const server = new Server({
    routes,
    authenticate: createAuthenticate(config.jwtSecret),
    rateLimit: new RateLimit(config.rateLimitPerSecond),
    idempotency: new Idempotency(new IdempotencyStore(connection), clock, log),
    clock,
    onAnswer: metrics.onAnswer,
    log,
  });

  const port = await server.listen(config.host, config.port, isPortShared);
  scheduler.start();
  const warming = warmUpcoming(catalog, log);
  log.info('listening', { host: config.host, port, ack: config.ack });

  return {
    port,
    catalog,
    async stop() {
      log.info('stopping');
      const isAnswered = await within(Promise.all([server.drain(), warming]), drainTimeoutMs);
      // After the last answer MySQL may be behind (`held`); what it does not get in time the journal keeps.
      const isCommitted = await within(flush.drained(), drainTimeoutMs);
      if (!isAnswered || !isCommitted)
        log.warn('stopped with work left to the journal', { depth: flush.commits.queue.depth });
      await within(scheduler.stop(), closeTimeoutMs);
      server.close();
      settlement.stop();
      await within(Promise.all([connection.close(), database.close(), commitDatabase.close()]), closeTimeoutMs);
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

async function isUsable(store: string, check: () => Promise<unknown>, log: Log): Promise<boolean> {
  try {
    return (await check()) !== false;
  } catch (thrown) {
    log.debug('not ready', { store, error: messageOf(thrown) });
    return false;
  }
}

/** True when the promise resolved in time. */
function within(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timeout = setTimeout(() => resolve(false), timeoutMs);
    promise.then(() => resolve(true), reject).finally(() => clearTimeout(timeout));
  });
}

function addMetrics(
  metrics: Metrics,
  flush: HoldFlush,
  warmer: Warmer,
  jobs: JobCounters,
  scheduler: Scheduler,
  connection: RedisConnection,
  database: Database,
): void {
  const { queue } = flush;
  const commits = flush.commits.queue;
  metrics.addCounters([
    { name: 'fastpass_flushes_total', help: 'Pipelines sent to Redis.', read: () => queue.counters.flushes },
    { name: 'fastpass_flushed_requests_total', help: 'Hold requests sent to Redis.', read: () => queue.counters.items },
    { name: 'fastpass_commits_total', help: 'Transactions of holds.', read: () => commits.counters.flushes },
    { name: 'fastpass_committed_holds_total', help: 'Holds handed to MySQL.', read: () => commits.counters.items },
    {
      name: 'fastpass_overloaded_total',
      help: 'Requests that found the queue full.',
      read: () => queue.counters.overloaded,
    },
    {
      name: 'fastpass_deadline_exceeded_total',
      help: 'Requests dropped after waiting too long.',
      read: () => queue.counters.expired,
    },
    {
      name: 'fastpass_abandoned_total',
      help: 'Requests dropped because their client had gone.',
      read: () => queue.counters.abandoned,
    },
    {
      name: 'fastpass_refused_in_memory_total',
      help: 'Refusals that needed no Redis.',
      read: () => flush.counters.refusedInMemory,
    },
    {
      name: 'fastpass_cold_waits_total',
      help: 'Requests that waited for a load.',
      read: () => flush.counters.coldWaits,
    },
    { name: 'fastpass_cold_loads_total', help: 'Performances read from MySQL.', read: () => warmer.counters.loads },
    {
      name: 'fastpass_version_conflicts_total',
      help: 'Holds that MySQL refused.',
      read: () => flush.commits.counters.conflicts,
    },
    {
      name: 'fastpass_commit_failures_total',
      help: 'Transactions with an unknown outcome.',
      read: () => flush.commits.counters.failures,
    },
    {
      name: 'fastpass_acknowledged_lost_total',
      help: 'Acknowledged holds that MySQL refused; must stay 0.',
      read: () => flush.commits.counters.acknowledgedLost,
    },
    { name: 'fastpass_expired_reservations_total', help: 'Reservations expired here.', read: () => jobs.expired },
    { name: 'fastpass_recovered_holds_total', help: 'Holds persisted from the journal.', read: () => jobs.recovered },
  ]);
  metrics.addGauges([
    { name: 'fastpass_queue_depth', help: 'Hold requests not answered yet.', read: () => queue.depth },
    { name: 'fastpass_commit_depth', help: 'Holds on their way to MySQL.', read: () => commits.depth },
    { name: 'fastpass_leader', help: '1 while this process runs the jobs.', read: () => (scheduler.isLeader ? 1 : 0) },
    {
      name: 'fastpass_store_up',
      help: '1 while the store answers.',
      labels: { store: 'redis' },
      read: () => (connection.isReady ? 1 : 0),
    },
    {
      name: 'fastpass_store_up',
      help: '1 while the store answers.',
      labels: { store: 'mysql' },
      read: () => (database.isAvailable ? 1 : 0),
    },
  ]);
}
