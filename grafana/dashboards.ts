/** The dashboards: tables of panels. */
import { badAbove, badBelow, type DashboardTable, lines, stat } from './panels.ts';
import { max, quantile, rate, rateOrZero, series, sum } from './queries.ts';
import { limits } from './rules.ts';

const ofHold = 'route="hold"';

const overview: DashboardTable = {
  name: 'overview',
  title: 'Overview',
  description: 'The golden signals: traffic, errors, latency, saturation.',
  rows: [
    {
      title: 'Now',
      panels: [
        stat('Gateways up', 'short', 'Gateways that Prometheus reaches.', [[sum('up'), 'up']], badBelow(1)),
        stat(
          'Stores up',
          'short',
          '1 while every gateway reaches the store.',
          [[`min by (store) (${series('fastpass_store_up')})`, '{{store}}']],
          badBelow(1),
        ),
        stat(
          'Errors',
          'percentunit',
          'Share of answers with a 5xx in the last minute, of all gateways; checks of readiness are left out.',
          [['job:fastpass_http_errors:ratio_rate1m', '5xx']],
          badAbove(limits.errorRatio / 10, limits.errorRatio),
        ),
        stat(
          'Slowest hold in a hundred',
          's',
          'The 99th percentile of the answers to holds in the last five minutes, of all gateways.',
          [['job_route:fastpass_request_duration_seconds:p99_rate5m{route="hold"}', 'p99']],
          badAbove(limits.holdSeconds / 2, limits.holdSeconds),
        ),
        stat(
          'Acknowledged holds lost',
          'short',
          'Holds that people were told of and MySQL refused; anything but 0 breaks the promise.',
          [[sum('fastpass_acknowledged_lost_total'), 'lost']],
          badAbove(1),
        ),
        stat(
          'Alerts firing',
          'short',
          'Alerts of fastpass that fire now; docs/runbook.md has a section for each.',
          [['count(ALERTS{alertname=~"Fastpass.*",alertstate="firing"}) or vector(0)', 'firing']],
          badAbove(1),
        ),
      ],
    },
    {
      title: 'Traffic',
      panels: [
        lines('Requests by route', 'reqps', 'Requests answered a second over HTTP, by route.', [
          [rate('fastpass_http_requests_total', 'method, route'), '{{method}} {{route}}'],
        ]),
        lines('Holds by outcome', 'reqps', 'What became of requests for seats and places, over HTTP and WebSocket.', [
          [rate('fastpass_holds_total', 'outcome'), '{{outcome}}'],
        ]),
        lines('WebSockets', 'short', 'WebSockets open, and those among them that watch a place in a queue.', [
          [sum('fastpass_sockets'), 'open'],
          [sum('fastpass_queue_watchers'), 'watching a place'],
        ]),
      ],
    },
    {
      title: 'Errors',
      panels: [
        lines('Server errors by route', 'reqps', 'Answers with a 5xx a second: the gateway or a store is at fault.', [
          [rateOrZero('fastpass_http_requests_total', 'route, status', 'status=~"5.."'), '{{status}} {{route}}'],
        ]),
        lines('Refusals by code', 'reqps', 'Answers with a 4xx a second by their code; a sold-out sale has many.', [
          [rateOrZero('fastpass_http_requests_total', 'status, code', 'status=~"4.."'), '{{status}} {{code}}'],
        ]),
        lines('Turned away under load', 'reqps', 'Holds that found the memory queue full, or waited in it too long.', [
          [rate('fastpass_overloaded_total'), 'queue full'],
          [rate('fastpass_deadline_exceeded_total'), 'waited too long'],
        ]),
      ],
    },
    {
      title: 'Latency',
      panels: [
        lines(
          'Holds',
          's',
          'Time from reading a request for seats to its answer.',
          [0.5, 0.95, 0.99].map((share) => [
            quantile(share, 'fastpass_request_duration_seconds', '', ofHold),
            `p${share * 100}`,
          ]),
          badAbove(limits.holdSeconds),
        ),
        lines(
          'Other requests',
          's',
          'Time from reading any other request to its answer.',
          [0.5, 0.95, 0.99].map((share) => [
            quantile(share, 'fastpass_request_duration_seconds', '', 'route="other"'),
            `p${share * 100}`,
          ]),
        ),
        lines('Where a hold waits', 's', 'The 99th percentile of each step of a hold: in memory, in Redis, in MySQL.', [
          [quantile(0.99, 'fastpass_queue_wait_seconds'), 'memory queue'],
          [quantile(0.99, 'fastpass_flush_duration_seconds'), 'Redis'],
          [quantile(0.99, 'fastpass_commit_duration_seconds'), 'MySQL'],
        ]),
      ],
    },
    {
      title: 'Saturation',
      panels: [
        lines(
          'Memory queue',
          'short',
          'Holds not answered yet, a gateway process; past FASTPASS_QUEUE_DEPTH_MAX they are refused.',
          [['job_instance:fastpass_queue_depth:per_worker{instance=~"$instance"}', '{{instance}}']],
          badAbove(limits.queueDepth),
        ),
        lines(
          'Event loop lag',
          's',
          'How late timers fire: 99th percentile since the last scrape.',
          [[max('nodejs_eventloop_lag_p99_seconds', 'instance'), '{{instance}}']],
          badAbove(limits.eventLoopLagSeconds),
        ),
        lines('Processor', 'percentunit', 'Processor time a second; a gateway process cannot use much more than one.', [
          [rate('process_cpu_seconds_total', 'instance'), '{{instance}}'],
        ]),
      ],
    },
  ],
};

const hotPath: DashboardTable = {
  name: 'hot-path',
  title: 'Hot path',
  description: 'The way of a hold: memory queue, Redis, MySQL, answer.',
  rows: [
    {
      title: 'Memory queue and Redis',
      panels: [
        lines('Requests a flush', 'short', 'How many holds a pipeline to Redis carries: more under load.', [
          [`${rate('fastpass_flushed_requests_total')} / (${rate('fastpass_flushes_total')} > 0)`, 'mean'],
          [quantile(0.99, 'fastpass_flush_batch_size'), 'p99'],
        ]),
        lines('Time in Redis', 's', 'From sending a pipeline to its replies.', [
          [quantile(0.5, 'fastpass_flush_duration_seconds'), 'p50'],
          [quantile(0.99, 'fastpass_flush_duration_seconds'), 'p99'],
        ]),
        lines(
          'Wait in memory',
          's',
          'How long the oldest hold of a flush had waited; about the flush interval at rest.',
          [
            [quantile(0.5, 'fastpass_queue_wait_seconds'), 'p50'],
            [quantile(0.99, 'fastpass_queue_wait_seconds'), 'p99'],
          ],
        ),
        lines('Pipelines and holds', 'ops', 'Pipelines sent to Redis a second, and the holds in them.', [
          [rate('fastpass_flushes_total'), 'pipelines'],
          [rate('fastpass_flushed_requests_total'), 'holds'],
        ]),
        lines('Under way', 'short', 'Holds waiting in memory, and holds on their way to MySQL.', [
          [sum('fastpass_queue_depth'), 'not answered'],
          [sum('fastpass_commit_depth'), 'on their way to MySQL'],
        ]),
        lines('Dropped or refused early', 'ops', 'Holds that never reached Redis, by reason.', [
          [rate('fastpass_refused_in_memory_total'), 'sold out, known in memory'],
          [rate('fastpass_abandoned_total'), 'client gone'],
          [rate('fastpass_overloaded_total'), 'queue full'],
          [rate('fastpass_deadline_exceeded_total'), 'waited too long'],
        ]),
      ],
    },
    {
      title: 'MySQL and answers',
      panels: [
        lines('Holds a transaction', 'short', 'How many holds one commit stores.', [
          [`${rate('fastpass_committed_holds_total')} / (${rate('fastpass_commits_total')} > 0)`, 'mean'],
          [quantile(0.99, 'fastpass_commit_batch_size'), 'p99'],
        ]),
        lines('Time of a transaction', 's', 'From its first statement to the commit.', [
          [quantile(0.5, 'fastpass_commit_duration_seconds'), 'p50'],
          [quantile(0.99, 'fastpass_commit_duration_seconds'), 'p99'],
        ]),
        lines('Transactions and holds', 'ops', 'Transactions a second, and the holds in them.', [
          [rate('fastpass_commits_total'), 'transactions'],
          [rate('fastpass_committed_holds_total'), 'holds'],
        ]),
        lines('Answers', 'reqps', 'Answers to holds over HTTP, by status: 201 are acknowledged.', [
          [rate('fastpass_http_requests_total', 'status', 'method="POST",route="/v1/reservations"'), '{{status}}'],
        ]),
        lines(
          'Conflicts and failures',
          'ops',
          'Holds that MySQL refused by their version, and commits of unknown outcome.',
          [
            [rate('fastpass_version_conflicts_total'), 'version conflicts'],
            [rate('fastpass_commit_failures_total'), 'unknown outcome'],
          ],
        ),
        lines(
          'Acknowledged holds lost',
          'short',
          'Must stay 0: holds that people were told of and MySQL refused.',
          [[sum('fastpass_acknowledged_lost_total', 'instance'), '{{instance}}']],
          badAbove(1),
        ),
      ],
    },
    {
      title: 'Cold path',
      panels: [
        lines('Loads', 'ops', 'Performances read from MySQL, and holds that waited for one.', [
          [rate('fastpass_cold_loads_total'), 'loads'],
          [rate('fastpass_cold_waits_total'), 'holds that waited'],
        ]),
        lines('Waits for the load lock', 's', 'Seconds a second spent waiting for the lock of a load.', [
          [rate('fastpass_lock_wait_seconds_total'), 'waited'],
        ]),
        lines(
          'Lock waits and scripts sent again',
          'ops',
          'Waits for the load lock, and scripts that Redis did not know.',
          [
            [rate('fastpass_lock_waits_total'), 'lock waits'],
            [rate('fastpass_scripts_resent_total'), 'scripts sent again'],
          ],
        ),
      ],
    },
  ],
};

const waitingRoom: DashboardTable = {
  name: 'waiting-room',
  title: 'Waiting room',
  description: 'Who waits, who is let in and how fast, and whether what they are told comes true.',
  rows: [
    {
      title: 'Rooms (the leader tells of the fullest 20)',
      panels: [
        lines('Waiting', 'short', 'People in line, by performance.', [
          [max('fastpass_room_waiting', 'performance'), '{{performance}}'],
        ]),
        lines('Inside', 'short', 'People with a pass or a hold, by performance.', [
          [max('fastpass_room_active', 'performance'), '{{performance}}'],
        ]),
        lines('Admission rate', 'ops', 'People let in a second as the room measures it, by performance.', [
          [max('fastpass_room_admit_rate', 'performance'), '{{performance}}'],
        ]),
      ],
    },
    {
      title: 'Movement',
      panels: [
        lines('Admitted', 'ops', 'People let in a second, all rooms together.', [
          [rate('fastpass_queue_admitted_total'), 'admitted'],
        ]),
        lines('Gone without a hold', 'ops', 'Passes that ended unused, and people absent for a minute.', [
          [rate('fastpass_queue_passes_expired_total'), 'passes unused'],
          [rate('fastpass_queue_left_total'), 'absent'],
        ]),
        lines('Joins under way', 'short', 'Waiting-room requests not answered yet.', [
          [sum('fastpass_place_queue_depth', 'instance'), '{{instance}}'],
        ]),
      ],
    },
    {
      title: 'What people are told',
      panels: [
        lines('Pushes', 'ops', 'Positions and admissions pushed a second.', [
          [rate('fastpass_queue_told_total'), 'pushed'],
        ]),
        lines('Watchers', 'short', 'Tickets watched over WebSocket, by gateway.', [
          [sum('fastpass_queue_watchers', 'instance'), '{{instance}}'],
        ]),
        lines(
          'Error of the time told',
          's',
          'How far the waiting time first told over WebSocket was from the time waited.',
          [
            [quantile(0.5, 'fastpass_queue_eta_error_seconds'), 'p50'],
            [quantile(0.95, 'fastpass_queue_eta_error_seconds'), 'p95'],
          ],
        ),
        lines('Draws', 'short', 'Draws held since the gateways started.', [
          [sum('fastpass_queue_draws_total'), 'draws'],
        ]),
        lines('Places restored', 'ops', 'Tickets that Redis had lost, brought back by their signature.', [
          [rate('fastpass_queue_restored_total'), 'restored'],
        ]),
      ],
    },
  ],
};

const stores: DashboardTable = {
  name: 'stores',
  title: 'Stores and scheduler',
  description: 'Redis and MySQL, the leader and its jobs, and the gateway processes themselves.',
  rows: [
    {
      title: 'Now',
      panels: [
        stat(
          'Stores up',
          'short',
          '1 while every gateway reaches the store.',
          [[`min by (store) (${series('fastpass_store_up')})`, '{{store}}']],
          badBelow(1),
        ),
        stat(
          'Leaders',
          'short',
          'Gateways that run the jobs: one; two for some seconds after a failover do no harm.',
          [[sum('fastpass_leader'), 'leaders']],
          badBelow(1),
        ),
        stat('Gateway processes', 'short', 'Processes that serve, over all gateways.', [
          [sum('fastpass_workers'), 'processes'],
        ]),
        stat('Versions', 'short', 'Gateways by the version of fastpass and of Node.', [
          [`count by (version, node) (${series('fastpass_build_info')})`, '{{version}}, Node {{node}}'],
        ]),
        stat(
          'Oldest journal entry',
          's',
          'How long a hold has been granted by Redis and not settled by MySQL.',
          [[max('fastpass_journal_oldest_seconds'), 'oldest']],
          badAbove(limits.journalSeconds / 3, limits.journalSeconds),
        ),
        stat(
          'Differences found',
          'short',
          'Differences between Redis and MySQL that the last hour brought; each is mended.',
          [[`sum(increase(${series('fastpass_drift_total')}[1h]))`, 'differences']],
          badAbove(1),
        ),
      ],
    },
    {
      title: 'Stores',
      panels: [
        lines('Stores up, by gateway', 'short', '1 while the gateway reaches the store.', [
          [`min by (instance, store) (${series('fastpass_store_up')})`, '{{instance}} {{store}}'],
        ]),
        lines('Journal', 'short', 'Holds granted by Redis that MySQL has not settled, in batches.', [
          [max('fastpass_journal_entries'), 'entries'],
        ]),
        lines('Commits of unknown outcome', 'ops', 'Transactions whose outcome the gateway had to find out.', [
          [rate('fastpass_commit_failures_total', 'instance'), '{{instance}}'],
        ]),
      ],
    },
    {
      title: 'Scheduler',
      panels: [
        lines('Leader', 'short', '1 while this gateway runs the jobs.', [
          [max('fastpass_leader', 'instance'), '{{instance}}'],
        ]),
        lines('Expired', 'ops', 'Reservations given back because nobody paid in time.', [
          [rate('fastpass_expired_reservations_total'), 'expired'],
        ]),
        lines('Recovered', 'ops', 'Holds of a dead gateway that were persisted from the journal.', [
          [rate('fastpass_recovered_holds_total'), 'recovered'],
        ]),
        lines('Differences by kind', 'ops', 'How Redis differed from MySQL.', [
          [rate('fastpass_drift_total', 'kind'), '{{kind}}'],
        ]),
        lines('Reconciliation', 'ops', 'Performances compared and, where they differed, loaded anew.', [
          [rate('fastpass_reconciled_performances_total'), 'compared'],
          [rate('fastpass_repairs_total'), 'mended'],
        ]),
        lines('Events relayed', 'ops', 'Events handed to other services.', [
          [rate('fastpass_events_relayed_total'), 'relayed'],
        ]),
      ],
    },
    {
      title: 'Processes',
      panels: [
        lines(
          'Event loop lag',
          's',
          'How late timers fire, since the last scrape.',
          [
            [max('nodejs_eventloop_lag_p50_seconds', 'instance'), '{{instance}} p50'],
            [max('nodejs_eventloop_lag_p99_seconds', 'instance'), '{{instance}} p99'],
          ],
          badAbove(limits.eventLoopLagSeconds),
        ),
        lines('Garbage collection', 'percentunit', 'Share of the time spent collecting garbage, by kind.', [
          [rate('nodejs_gc_duration_seconds_sum', 'instance, kind'), '{{instance}} {{kind}}'],
        ]),
        lines('Memory', 'bytes', 'Resident memory, and what of the heap is in use.', [
          [sum('process_resident_memory_bytes', 'instance'), '{{instance}} resident'],
          [sum('nodejs_heap_size_used_bytes', 'instance'), '{{instance}} heap'],
        ]),
        lines('Processor', 'percentunit', 'Processor time a second.', [
          [rate('process_cpu_seconds_total', 'instance'), '{{instance}}'],
        ]),
        lines('Open files', 'short', 'Connections and files that the process has open, of those it may have.', [
          [sum('process_open_fds', 'instance'), '{{instance}}'],
          [sum('process_max_fds', 'instance'), '{{instance}} at most'],
        ]),
        lines(
          'Silent processes',
          'ops',
          'Processes that a scrape did without, since they did not answer within a second.',
          [[rateOrZero('fastpass_workers_silent_total'), 'silent']],
        ),
        lines('WebSockets', 'ops', 'WebSockets opened, frames of seats and in all, and sockets ended by the gateway.', [
          [rate('fastpass_sockets_opened_total'), 'opened'],
          [rate('fastpass_socket_frames_total'), 'frames'],
          [rate('fastpass_seat_frames_total'), 'frames of seats'],
          [rate('fastpass_sockets_dropped_total', 'reason'), 'ended, {{reason}}'],
        ]),
      ],
    },
  ],
};

/** All of them. */
export const dashboards: readonly DashboardTable[] = [overview, hotPath, waitingRoom, stores];
