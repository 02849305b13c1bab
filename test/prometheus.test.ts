/**
 * What operators look at, asked of a real Prometheus that scrapes a gateway under a small rush: every panel, rule and alert
 * has data, and alerts fire when a store and the gateway die, not before.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { dashboards } from '../grafana/dashboards.ts';
import { alerts, recordings, rulesText } from '../grafana/rules.ts';
import {
  createPerformance,
  crowd,
  type GatewayProcess,
  holdSending,
  newUserId,
  spawnGateway,
  until,
  useStores,
} from './harness.ts';
import { createOwnDatabase } from './own-database.ts';
import { type PrivateRedis, startPrivateRedis } from './private-stores.ts';
import { type Prometheus, promtool, type RuleState, startPrometheus } from './prometheus-server.ts';
import { closeSockets, joinAll, joinSending, openRoom, watch } from './rooms.ts';

/** Alerts on how fast this machine is: others may have work on it. */
const ofTheMachine = ['FastpassHoldsSlow', 'FastpassEventLoopLag'];

interface Question {
  readonly title: string;
  readonly expression: string;
}

const pathOf = (path: string): string => fileURLToPath(new URL(`../grafana/prometheus/${path}`, import.meta.url));

let redis: PrivateRedis;
let database: { readonly url: string; drop(): Promise<void> };
let gateway: GatewayProcess;
let prometheus: Prometheus;
let saleId: number;
let soldOutId: number;
let roomId: number;
let quietRoomId: number;
let rounds = 0;

beforeAll(async () => {
  [redis, database] = await Promise.all([startPrivateRedis(), createOwnDatabase()]);
  useStores({ redisUrl: redis.url, mysqlUrl: database.url });
  gateway = await spawnGateway();
  saleId = await createPerformance(gateway.url, { seating: { kind: 'capacity', capacity: 100_000 } });
  soldOutId = await createPerformance(gateway.url, { seating: { kind: 'capacity', capacity: 10 } });
  roomId = await openRoom(gateway.url, { admitPerSecond: 5 });
  quietRoomId = await openRoom(gateway.url, { admitPerSecond: 2 });
  const config = parse(readFileSync(pathOf('prometheus.yml'), 'utf8'));
  config.global = { scrape_interval: '1s', evaluation_interval: '1s' };
  config.scrape_configs[0].static_configs[0].targets = [new URL(gateway.url).host];
  prometheus = await startPrometheus(stringify(config), { 'rules.yml': rulesText(1) });
}, 300_000);

afterAll(async () => {
  closeSockets();
  await prometheus?.stop();
  await gateway?.kill();
  await redis?.stop();
  await database?.drop();
});

/** One round of a small rush: some get a place, some find none left, some queue for another sale. */
async function rush(): Promise<void> {
  const holds = Array.from({ length: 40 }, (_, i) =>
    holdSending(newUserId(), { performanceId: i % 2 === 0 ? saleId : soldOutId, partySize: 2 }),
  );
  const joins = Array.from({ length: 4 }, () => joinSending(roomId, newUserId()));
  await crowd(gateway.url, [...holds, ...joins], { connections: 20 });
}

/** Now and then somebody hears how long it will take, and is let in soon: the error of that is measured. */
async function somebodyWaits(): Promise<void> {
  if (rounds++ % 3 !== 0) return;
  const [visitor] = await joinAll(gateway.url, quietRoomId, 1);
  await watch(gateway.url, visitor!);
}

/** As Grafana asks with every instance chosen. */
function asGrafana(expression: string): string {
  return expression.replaceAll('$instance', '.*').replaceAll('$__rate_interval', '30s');
}

/** Goes on with the rush until every question that can have an answer has a number; fails with those that have none. */
async function expectData(questions: readonly Question[]): Promise<void> {
  let unanswered = questions;
  await until(
    'every question has an answer',
    async () => {
      await rush();
      await somebodyWaits();
      const answers = await Promise.all(unanswered.map(({ expression }) => prometheus.values(expression)));
      unanswered = unanswered.filter((_, i) => !answers[i]!.some(Number.isFinite));
      return unanswered.length === 0;
    },
    25_000,
  ).catch((thrown: Error) => {
    throw new Error(`${thrown.message}; left are ${JSON.stringify(unanswered, null, 2)}`);
  });
}

async function alertStates(): Promise<RuleState[]> {
  return (await prometheus.rules()).filter(({ type }) => type === 'alerting');
}

/** Resolves once these alerts fire; people go on trying meanwhile. */
async function untilFiring(names: readonly string[]): Promise<void> {
  let silent = names;
  await until(
    `${names.join(', ')} fire`,
    async () => {
      await rush();
      const firing = (await alertStates()).filter(({ state }) => state === 'firing').map(({ name }) => name);
      silent = names.filter((name) => !firing.includes(name));
      return silent.length === 0;
    },
    25_000,
  ).catch((thrown: Error) => {
    throw new Error(`${thrown.message}; silent are ${silent.join(', ')}`);
  });
}

describe('during a rush', () => {
  it.each(dashboards)('every panel of $title shows something', async ({ rows }) => {
    const panels = rows.flatMap((row) => row.panels);
    await expectData(
      panels.flatMap(({ title, queries }) =>
        queries.map(([expression]) => ({ title, expression: asGrafana(expression) })),
      ),
    );
  });

  it('every recording rule records, and every alert has something to watch', async () => {
    await expectData([
      ...recordings.map(({ record }) => ({ title: record, expression: record })),
      ...alerts.map(({ name, expression }) => ({ title: name, expression })),
    ]);
  });

  it('no rule fails, and no alert fires but those on the speed of this machine', async () => {
    const rules = await prometheus.rules();
    const names = [...recordings.map(({ record }) => record), ...alerts.map(({ name }) => name)];
    expect(rules.map(({ name }) => name).sort()).toEqual(names.sort());
    expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
    const wrong = rules.filter(({ name, state }) => state === 'firing' && !ofTheMachine.includes(name));
    expect(wrong).toEqual([]);
  });

  it('everything that fastpass measures is on a dashboard', async () => {
    const text = await (await fetch(`${gateway.url}/metrics`)).text();
    const measured = [...text.matchAll(/^# TYPE (fastpass_\w+) /gm)].map(([, name]) => name!);
    const asked = JSON.stringify([dashboards, recordings]);
    expect(measured.length).toBeGreaterThan(30);
    expect(measured.filter((name) => !asked.includes(name))).toEqual([]);
  });

  it('promtool finds nothing wrong with the names of our metrics', async () => {
    const text = await (await fetch(`${gateway.url}/metrics`)).text();
    const { output } = await promtool(['check', 'metrics'], text);
    // Those of Node are named by prom-client; three of its gauges end in _total.
    const faults = output.split('\n').filter((line) => line !== '' && !line.startsWith('nodejs_'));
    expect(faults).toEqual([]);
  });
});

describe('promtool', () => {
  it('accepts the rules', async () => {
    expect(await promtool(['check', 'rules', pathOf('rules.yml')])).toMatchObject({ exitCode: 0 });
  });

  it('accepts the configuration', async () => {
    expect(await promtool(['check', 'config', pathOf('prometheus.yml')])).toMatchObject({ exitCode: 0 });
  });
});

describe('afterwards', () => {
  it('a dead Redis wakes somebody: the store, the leader, the errors', async () => {
    await redis.kill();
    await untilFiring(['FastpassStoreDown', 'FastpassNoLeader', 'FastpassErrorRateHigh']);
    const down = (await alertStates()).find(({ name }) => name === 'FastpassStoreDown');
    expect(down?.alerts?.map(({ labels }) => labels['store'])).toEqual(['redis']);
  });

  it('a dead gateway does, and the last one more so', async () => {
    await gateway.kill();
    await untilFiring(['FastpassGatewayDown', 'FastpassNoGateway']);
  });
});
