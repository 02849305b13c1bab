/** Recording and alert rules of Prometheus: tables, and the file that Prometheus reads. */
import { stringify } from 'yaml';

/** From here on something is wrong; the dashboards draw the same values. */
export const limits = {
  errorRatio: 0.01,
  holdSeconds: 0.5,
  /** Holds that wait in one process: half of the default of FASTPASS_QUEUE_DEPTH_MAX. */
  queueDepth: 10_000,
  /** What a dead gateway left is taken up after two seconds. */
  journalSeconds: 30,
  eventLoopLagSeconds: 0.1,
  socketsDroppedPerSecond: 1,
  turnedAwayPerSecond: 1,
} as const;

export interface Recording {
  readonly record: string;
  readonly expression: string;
}

export interface Alert {
  readonly name: string;
  /** What is watched: it always has a value while a gateway runs. */
  readonly expression: string;
  /** The value that is wrong, as PromQL compares. */
  readonly isWrong: string;
  readonly forSeconds: number;
  /** `critical` wakes somebody, `warning` waits for the morning. */
  readonly severity: 'critical' | 'warning';
  readonly summary: string;
}

/** Readiness answers 503 while a store is away, by its duty: that alert is another one. */
const answered = 'fastpass_http_requests_total{job="fastpass",route!="/readyz"}';
const failed = 'fastpass_http_requests_total{job="fastpass",route!="/readyz",status=~"5.."}';

export const recordings: readonly Recording[] = [
  { record: 'job:fastpass_http_requests:rate1m', expression: `sum by (job) (rate(${answered}[1m]))` },
  {
    record: 'job:fastpass_http_errors:ratio_rate1m',
    // Without a 5xx so far there is no series of them: then 0.
    expression:
      `(sum by (job) (rate(${failed}[1m])) or 0 * sum by (job) (rate(${answered}[1m])))` +
      ` / sum by (job) (rate(${answered}[1m]))`,
  },
  {
    record: 'job_outcome:fastpass_holds:rate1m',
    expression: 'sum by (job, outcome) (rate(fastpass_holds_total{job="fastpass"}[1m]))',
  },
  {
    record: 'job_route:fastpass_request_duration_seconds:p99_rate5m',
    expression:
      'histogram_quantile(0.99, sum by (job, route, le) (rate(fastpass_request_duration_seconds_bucket{job="fastpass"}[5m])))',
  },
  {
    record: 'job_instance:fastpass_queue_depth:per_worker',
    expression:
      'sum by (job, instance) (fastpass_queue_depth{job="fastpass"}) / sum by (job, instance) (fastpass_workers{job="fastpass"})',
  },
];

export const alerts: readonly Alert[] = [
  {
    name: 'FastpassGatewayDown',
    expression: 'up{job="fastpass"}',
    isWrong: '== 0',
    forSeconds: 30,
    severity: 'warning',
    summary: 'The gateway {{ $labels.instance }} does not answer Prometheus.',
  },
  {
    name: 'FastpassNoGateway',
    expression: '(sum(up{job="fastpass"}) or vector(0))',
    isWrong: '== 0',
    forSeconds: 15,
    severity: 'critical',
    summary: 'No gateway answers: nobody can buy.',
  },
  {
    name: 'FastpassStoreDown',
    expression: 'fastpass_store_up{job="fastpass"}',
    isWrong: '== 0',
    forSeconds: 10,
    severity: 'critical',
    summary: 'The gateway {{ $labels.instance }} does not reach {{ $labels.store }}.',
  },
  {
    name: 'FastpassNoLeader',
    expression: 'max by (job) (fastpass_leader{job="fastpass"})',
    isWrong: '== 0',
    forSeconds: 30,
    severity: 'critical',
    summary: 'No gateway runs the jobs: nothing expires, nobody is admitted.',
  },
  {
    name: 'FastpassAcknowledgedHoldsLost',
    expression: 'sum by (job, instance) (increase(fastpass_acknowledged_lost_total{job="fastpass"}[1h]))',
    isWrong: '> 0',
    forSeconds: 0,
    severity: 'critical',
    summary: '{{ $value | humanize }} acknowledged holds were lost at {{ $labels.instance }}.',
  },
  {
    name: 'FastpassErrorRateHigh',
    expression: 'job:fastpass_http_errors:ratio_rate1m',
    isWrong: `> ${limits.errorRatio}`,
    forSeconds: 60,
    severity: 'critical',
    summary: '{{ $value | humanizePercentage }} of the answers are errors of the server.',
  },
  {
    name: 'FastpassHoldsSlow',
    expression: 'job_route:fastpass_request_duration_seconds:p99_rate5m{route="hold"}',
    isWrong: `> ${limits.holdSeconds}`,
    forSeconds: 60,
    severity: 'warning',
    summary: 'One hold in a hundred takes {{ $value | humanizeDuration }} or more.',
  },
  {
    name: 'FastpassMemoryQueueFilling',
    expression: 'job_instance:fastpass_queue_depth:per_worker',
    isWrong: `> ${limits.queueDepth}`,
    forSeconds: 5,
    severity: 'warning',
    summary: '{{ $value | humanize }} holds wait in memory at {{ $labels.instance }}.',
  },
  {
    name: 'FastpassTurnedAway',
    expression:
      'sum by (job, instance) (rate(fastpass_overloaded_total{job="fastpass"}[1m]) + rate(fastpass_deadline_exceeded_total{job="fastpass"}[1m]))',
    isWrong: `> ${limits.turnedAwayPerSecond}`,
    forSeconds: 30,
    severity: 'critical',
    summary: '{{ $labels.instance }} turns {{ $value | humanize }} holds a second away.',
  },
  {
    name: 'FastpassCommitFailures',
    expression: 'sum by (job, instance) (increase(fastpass_commit_failures_total{job="fastpass"}[5m]))',
    isWrong: '> 0',
    forSeconds: 30,
    severity: 'warning',
    summary: 'Transactions of {{ $labels.instance }} ended with an unknown outcome.',
  },
  {
    name: 'FastpassJournalOld',
    expression: 'max by (job) (fastpass_journal_oldest_seconds{job="fastpass"})',
    isWrong: `> ${limits.journalSeconds}`,
    forSeconds: 15,
    severity: 'critical',
    summary: 'A hold has waited {{ $value | humanizeDuration }} for MySQL.',
  },
  {
    name: 'FastpassDriftFound',
    expression: 'sum by (job, kind) (increase(fastpass_drift_total{job="fastpass"}[15m]))',
    isWrong: '> 0',
    forSeconds: 0,
    severity: 'warning',
    summary: 'Redis differed from MySQL: {{ $labels.kind }}.',
  },
  {
    name: 'FastpassSocketsDropped',
    expression: 'sum by (job, instance, reason) (rate(fastpass_sockets_dropped_total{job="fastpass"}[5m]))',
    isWrong: `> ${limits.socketsDroppedPerSecond}`,
    forSeconds: 60,
    severity: 'warning',
    summary: '{{ $labels.instance }} ends {{ $value | humanize }} WebSockets a second: {{ $labels.reason }}.',
  },
  {
    name: 'FastpassEventLoopLag',
    expression: 'max by (job, instance) (nodejs_eventloop_lag_p99_seconds{job="fastpass"})',
    isWrong: `> ${limits.eventLoopLagSeconds}`,
    forSeconds: 30,
    severity: 'warning',
    summary: 'Timers of {{ $labels.instance }} are {{ $value | humanizeDuration }} late.',
  },
];

/** The rules as Prometheus reads them. `forSecondsMax` makes alerts fire sooner than they are meant to, for a test. */
export function rulesText(forSecondsMax = Number.POSITIVE_INFINITY): string {
  const groups = [
    {
      name: 'fastpass-recordings',
      rules: recordings.map(({ record, expression }) => ({ record, expr: expression })),
    },
    {
      name: 'fastpass-alerts',
      rules: alerts.map(({ name, expression, isWrong, forSeconds, severity, summary }) => ({
        alert: name,
        expr: `${expression} ${isWrong}`,
        for: `${Math.min(forSeconds, forSecondsMax)}s`,
        labels: { severity },
        annotations: { summary, runbook_url: `docs/runbook.md#${name.toLowerCase()}` },
      })),
    },
  ];
  return `# Written by npm run dashboards.\n${stringify({ groups }, { lineWidth: 0 })}`;
}
