/** What is measured: every room counts in plain numbers, and this names them for Prometheus. */
import { readFileSync } from 'node:fs';
import type { HoldFlush } from './batcher/flush.ts';
import type { SeatWatch } from './catalog/seat-watch.ts';
import type { Warmer } from './catalog/warm.ts';
import { type Code, codeIndexes } from './domain/codes.ts';
import { DriftKind } from './domain/drift.ts';
import type { Sockets } from './gateway/sockets.ts';
import type { RedisConnection } from './lua/connection.ts';
import type { RedisHoldStore } from './lua/store.ts';
import type { CounterSource, GaugeSource, Metrics } from './metrics.ts';
import type { Database } from './persist/database.ts';
import type { JobCounters } from './scheduler/jobs.ts';
import type { ReconcileCounters } from './scheduler/reconcile.ts';
import type { RoomMeasure, RoomMeasures } from './scheduler/room-measures.ts';
import type { Scheduler } from './scheduler/scheduler.ts';
import type { RoomCounters } from './scheduler/waiting-rooms.ts';
import type { Places } from './waiting-room/places.ts';
import type { RoomWatch } from './waiting-room/watch.ts';

/** Whatever counts. */
export interface Instruments {
  readonly flush: HoldFlush;
  readonly store: RedisHoldStore;
  readonly roomMeasures: RoomMeasures;
  readonly warmer: Warmer;
  readonly jobs: JobCounters;
  readonly roomJobs: RoomCounters;
  readonly relay: { readonly relayed: number };
  readonly reconcile: ReconcileCounters;
  readonly places: Places;
  readonly rooms: RoomWatch;
  readonly seats: SeatWatch;
  readonly sockets: Sockets;
  readonly scheduler: Scheduler;
  readonly connection: RedisConnection;
  readonly database: Database;
}

function reconcileCountersOf(counters: ReconcileCounters): CounterSource[] {
  return [
    {
      name: 'fastpass_reconciled_performances_total',
      help: 'Performances whose state in Redis was compared with MySQL.',
      read: () => counters.compared,
    },
    {
      name: 'fastpass_repairs_total',
      help: 'Performances loaded anew because Redis differed from MySQL.',
      read: () => counters.repairs,
    },
    ...Object.values(DriftKind).map((kind) => ({
      name: 'fastpass_drift_total',
      help: 'Differences of Redis from MySQL found by two looks.',
      labels: { kind },
      read: () => counters.drift[kind],
    })),
  ];
}

/** The outcomes of holds: at their index, `held` at 0. */
function holdCountersOf({ outcomes }: HoldFlush): CounterSource[] {
  const outcomeNames: (Code | 'held')[] = ['held', ...(Object.keys(codeIndexes) as Code[])];
  return outcomeNames.map((outcome, index) => ({
    name: 'fastpass_holds_total',
    help: 'Hold requests answered, by what became of them.',
    labels: { outcome },
    read: () => outcomes[index]!,
  }));
}

/** What the leader alone knows: the others show 0, and no rooms. */
function addLeaderGauges(metrics: Metrics, { scheduler, store, roomMeasures }: Instruments): void {
  const ofLeader = (read: () => number) => (): number => (scheduler.isLeader ? read() : 0);
  metrics.addGauges([
    {
      name: 'fastpass_journal_entries',
      help: 'Entries of the journals: script calls whose holds MySQL has not settled yet.',
      read: ofLeader(() => store.journalSeen.entries),
    },
    {
      name: 'fastpass_journal_oldest_seconds',
      help: 'Age of the oldest journal entry; 0 while all are younger than two seconds.',
      read: ofLeader(() => store.journalSeen.oldestMs / 1000),
    },
  ]);
  const addRoomGauge = (name: string, help: string, numberOf: (room: RoomMeasure) => number): void => {
    const read = (): { labels: { performance: string }; value: number }[] =>
      (scheduler.isLeader ? roomMeasures.shown : []).map((room) => ({
        labels: { performance: String(room.performanceId) },
        value: numberOf(room),
      }));
    metrics.addGaugeGroup({ name, help, labelNames: ['performance'], read });
  };
  addRoomGauge('fastpass_room_waiting', 'People waiting in a room.', ({ waiting }) => waiting);
  addRoomGauge('fastpass_room_active', 'Passes out, used or not.', ({ active }) => active);
  addRoomGauge('fastpass_room_admit_rate', 'People admitted a second.', ({ admitRate }) => admitRate);
}

function addHistograms(metrics: Metrics, { flush, sockets }: Instruments): void {
  const { queue } = flush;
  const commits = flush.commits.queue;
  metrics.addHistograms([
    { name: 'fastpass_flush_batch_size', help: 'Requests a flush to Redis.', histogram: queue.batchSizes },
    {
      name: 'fastpass_flush_duration_seconds',
      help: 'From the sending of a flush to its replies.',
      histogram: queue.flushSeconds,
    },
    {
      name: 'fastpass_queue_wait_seconds',
      help: 'How long the oldest request of a flush had waited in memory.',
      histogram: queue.waitSeconds,
    },
    { name: 'fastpass_commit_batch_size', help: 'Holds a transaction.', histogram: commits.batchSizes },
    { name: 'fastpass_commit_duration_seconds', help: 'Time of a transaction.', histogram: commits.flushSeconds },
    {
      name: 'fastpass_queue_eta_error_seconds',
      help: 'Difference of the time first told and the time waited, of those admitted.',
      histogram: sockets.etaErrors,
    },
  ]);
}

/** Of this build; the same in every process of a gateway. */
function buildInfo(): GaugeSource {
  const { version }: { version: string } = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  );
  return {
    name: 'fastpass_build_info',
    help: 'The version that runs, and its Node.',
    labels: { version, node: process.version },
    aggregator: 'first',
    read: () => 1,
  };
}

/** Serves all of it. */
export function addMetrics(metrics: Metrics, instruments: Instruments): void {
  const { flush, warmer, jobs, roomJobs, relay, places, rooms, seats, sockets, scheduler, connection, database } =
    instruments;
  const { queue } = flush;
  metrics.addCounters([...reconcileCountersOf(instruments.reconcile), ...holdCountersOf(flush)]);
  addHistograms(metrics, instruments);
  addLeaderGauges(metrics, instruments);
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
      name: 'fastpass_lock_waits_total',
      help: 'Waits for the lock of a load.',
      read: () => warmer.counters.lockWaits,
    },
    {
      name: 'fastpass_lock_wait_seconds_total',
      help: 'Time waited for the locks of loads.',
      read: () => warmer.counters.lockWaitMs / 1000,
    },
    {
      name: 'fastpass_scripts_resent_total',
      help: 'Scripts sent again: whole, or to another node.',
      read: () => connection.counters.resent,
    },
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
    { name: 'fastpass_events_relayed_total', help: 'Events told to other services.', read: () => relay.relayed },
    { name: 'fastpass_queue_admitted_total', help: 'People admitted here.', read: () => roomJobs.admitted },
    { name: 'fastpass_queue_passes_expired_total', help: 'Passes that ended unused.', read: () => roomJobs.expired },
    { name: 'fastpass_queue_left_total', help: 'People who left by their absence.', read: () => roomJobs.left },
    { name: 'fastpass_queue_draws_total', help: 'Draws held.', read: () => roomJobs.draws },
    {
      name: 'fastpass_queue_restored_total',
      help: 'Tickets that Redis had lost, brought back by what is signed in them.',
      read: () => places.counters.restored,
    },
    { name: 'fastpass_queue_told_total', help: 'Positions and admissions pushed.', read: () => rooms.counters.told },
    { name: 'fastpass_seat_frames_total', help: 'Changes of seats pushed.', read: () => seats.counters.frames },
    { name: 'fastpass_sockets_opened_total', help: 'WebSockets opened.', read: () => sockets.counters.opened },
    { name: 'fastpass_socket_frames_total', help: 'Frames sent.', read: () => sockets.counters.frames },
    {
      name: 'fastpass_sockets_dropped_total',
      help: 'WebSockets ended by this process.',
      labels: { reason: 'slow' },
      read: () => sockets.counters.slow,
    },
    {
      name: 'fastpass_sockets_dropped_total',
      help: 'WebSockets ended by this process.',
      labels: { reason: 'hostile' },
      read: () => sockets.counters.hostile,
    },
  ]);
  metrics.addGauges([
    buildInfo(),
    { name: 'fastpass_workers', help: 'Gateway processes that this scrape sums up.', read: () => 1 },
    { name: 'fastpass_queue_depth', help: 'Hold requests not answered yet.', read: () => queue.depth },
    {
      name: 'fastpass_place_queue_depth',
      help: 'Waiting-room requests not answered yet.',
      read: () => places.queue.depth,
    },
    { name: 'fastpass_sockets', help: 'WebSockets open.', read: () => sockets.count },
    { name: 'fastpass_queue_watchers', help: 'Tickets watched over WebSocket.', read: () => rooms.watcherCount },
    { name: 'fastpass_commit_depth', help: 'Holds on their way to MySQL.', read: () => commits.depth },
    {
      name: 'fastpass_leader',
      help: '1 while this process runs the jobs.',
      aggregator: 'max',
      read: () => (scheduler.isLeader ? 1 : 0),
    },
    {
      name: 'fastpass_store_up',
      help: '1 while the store answers.',
      labels: { store: 'redis' },
      aggregator: 'min',
      read: () => (connection.isReady ? 1 : 0),
    },
    {
      name: 'fastpass_store_up',
      help: '1 while the store answers.',
      labels: { store: 'mysql' },
      aggregator: 'min',
      read: () => (database.isAvailable ? 1 : 0),
    },
  ]);
}
