/** Each alert fires for the fault it is named after, once that has lasted, and is silent on a calm day: promtool plays the series. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { alerts, rulesText } from '../grafana/rules.ts';
import { privateFolder, removeFolder } from './private-stores.ts';
import { ensurePrometheus, promtool, type Verdict } from './prometheus-server.ts';

/** A value every five seconds for fifteen minutes, in the notation of promtool: `0+5x180` grows by 5 a time. */
type Values = string;

const a = 'job="fastpass",instance="a"';
const b = 'job="fastpass",instance="b"';

/** Two gateways, one of them the leader, with some traffic; what people cause themselves happens now and then. */
const calm: Readonly<Record<string, Values>> = {
  [`up{${a}}`]: '1x180',
  [`up{${b}}`]: '1x180',
  [`fastpass_store_up{${a},store="redis"}`]: '1x180',
  [`fastpass_store_up{${a},store="mysql"}`]: '1x180',
  [`fastpass_store_up{${b},store="redis"}`]: '1x180',
  [`fastpass_store_up{${b},store="mysql"}`]: '1x180',
  [`fastpass_leader{${a}}`]: '1x180',
  [`fastpass_leader{${b}}`]: '0x180',
  [`fastpass_acknowledged_lost_total{${a}}`]: '0x180',
  [`fastpass_http_requests_total{${a},route="/v1/reservations",status="201"}`]: '0+500x180',
  [`fastpass_http_requests_total{${a},route="/v1/reservations",status="409"}`]: '0+5000x180',
  [`fastpass_http_requests_total{${a},route="/v1/reservations",status="503"}`]: '0+1x180',
  [`fastpass_http_requests_total{${a},route="/readyz",status="503"}`]: '0+5000x180',
  [`fastpass_request_duration_seconds_bucket{${a},route="hold",le="0.1"}`]: '0+500x180',
  [`fastpass_request_duration_seconds_bucket{${a},route="hold",le="1"}`]: '0+500x180',
  [`fastpass_request_duration_seconds_bucket{${a},route="hold",le="+Inf"}`]: '0+500x180',
  [`fastpass_queue_depth{${a}}`]: '16000x180',
  [`fastpass_workers{${a}}`]: '2x180',
  [`fastpass_overloaded_total{${a}}`]: '0x180',
  [`fastpass_deadline_exceeded_total{${a}}`]: '0x180',
  [`fastpass_commit_failures_total{${a}}`]: '0x180',
  [`fastpass_journal_oldest_seconds{${a}}`]: '2x180',
  [`fastpass_drift_total{${a},kind="missing"}`]: '0x180',
  [`fastpass_sockets_dropped_total{${a},reason="slow"}`]: '0+1x180',
  [`nodejs_eventloop_lag_p99_seconds{${a}}`]: '0.02x180',
};

/** What is different when things go wrong. */
const wrong: Readonly<Record<string, Readonly<Record<string, Values>>>> = {
  FastpassGatewayDown: { [`up{${b}}`]: '0x180' },
  FastpassNoGateway: { [`up{${a}}`]: '0x180', [`up{${b}}`]: '0x180' },
  FastpassStoreDown: { [`fastpass_store_up{${b},store="mysql"}`]: '0x180' },
  FastpassNoLeader: { [`fastpass_leader{${a}}`]: '0x180' },
  FastpassAcknowledgedHoldsLost: { [`fastpass_acknowledged_lost_total{${a}}`]: '0x10 1x170' },
  FastpassErrorRateHigh: {
    [`fastpass_http_requests_total{${a},route="/v1/reservations",status="503"}`]: '0+100x180',
  },
  FastpassHoldsSlow: { [`fastpass_request_duration_seconds_bucket{${a},route="hold",le="0.1"}`]: '0+490x180' },
  FastpassMemoryQueueFilling: { [`fastpass_queue_depth{${a}}`]: '21000x180' },
  FastpassTurnedAway: {
    [`fastpass_overloaded_total{${a}}`]: '0+3x180',
    [`fastpass_deadline_exceeded_total{${a}}`]: '0+3x180',
  },
  FastpassCommitFailures: { [`fastpass_commit_failures_total{${a}}`]: '0x120 1x60' },
  FastpassJournalOld: { [`fastpass_journal_oldest_seconds{${a}}`]: '35x180' },
  FastpassDriftFound: { [`fastpass_drift_total{${a},kind="missing"}`]: '0x10 1x170' },
  FastpassSocketsDropped: { [`fastpass_sockets_dropped_total{${a},reason="slow"}`]: '0+6x180' },
  FastpassEventLoopLag: { [`nodejs_eventloop_lag_p99_seconds{${a}}`]: '0.2x180' },
};

let folder: string;

beforeAll(async () => {
  folder = privateFolder('alerts');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'rules.yml'), rulesText());
  await ensurePrometheus();
}, 300_000);

afterAll(() => removeFolder(folder));

/** Plays the series, and compares the alerts that fire at these seconds. */
async function play(
  series: Readonly<Record<string, Values>>,
  expected: readonly { readonly atSeconds: number; readonly alert: string; readonly isFiring: boolean }[],
): Promise<Verdict> {
  const test = {
    interval: '5s',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    promql_expr_test: expected.map(({ atSeconds, alert, isFiring }) => ({
      expr: `count by (alertname) (ALERTS{alertstate="firing",alertname=~"${alert}"})`,
      eval_time: `${atSeconds}s`,
      exp_samples: isFiring ? [{ labels: `{alertname="${alert}"}`, value: 1 }] : [],
    })),
  };
  const path = join(folder, 'test.yml');
  writeFileSync(path, stringify({ rule_files: ['rules.yml'], evaluation_interval: '5s', tests: [test] }));
  return promtool(['test', 'rules', path]);
}

describe('the alerts', () => {
  it('are silent on a calm day', async () => {
    expect(await play(calm, [{ atSeconds: 900, alert: '.+', isFiring: false }])).toMatchObject({ exitCode: 0 });
  });

  it.each(alerts)('$name fires for its fault, and not before that has lasted', async ({ name, forSeconds }) => {
    const verdict = await play({ ...calm, ...wrong[name] }, [
      ...(forSeconds > 0 ? [{ atSeconds: forSeconds - 5, alert: name, isFiring: false }] : []),
      { atSeconds: 900, alert: name, isFiring: true },
    ]);
    expect(verdict).toMatchObject({ exitCode: 0 });
  });
});
