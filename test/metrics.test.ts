/** What `/metrics` tells: that it is what clients saw, whichever of several processes answers. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../src/embedded/supervise.ts';
import { performanceKeys } from '../src/lua/keys.ts';
import {
  call,
  createPerformance,
  type GatewayProcess,
  metricOf,
  newUserId,
  redisClient,
  spawnGateway,
  startGateway,
  type TestGateway,
  until,
} from './harness.ts';
import { closeSockets, joinAll, leave, openRoom, untilStatus, watch } from './rooms.ts';

const seated = { seating: { kind: 'seated', seats: 500 } };

/** The processes that one has started. */
async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text.split(' ').filter(Boolean).map(Number);
}

/** The samples of a scrape by name and labels. */
async function scrape(url: string): Promise<Map<string, number>> {
  // A connection of its own: of several processes the next one may answer.
  const response = await fetch(`${url}/metrics`, { headers: { connection: 'close' } });
  expect(response.status).toBe(200);
  const samples = new Map<string, number>();
  for (const line of (await response.text()).split('\n')) {
    const end = line.lastIndexOf(' ');
    if (line.startsWith('#') || end < 0) continue;
    expect(samples.has(line.slice(0, end)), line).toBe(false);
    samples.set(line.slice(0, end), Number(line.slice(end + 1)));
  }
  return samples;
}

const heldLine = 'fastpass_http_requests_total{method="POST",route="/v1/reservations",status="201",code=""}';
const takenLine = 'fastpass_http_requests_total{method="POST",route="/v1/reservations",status="409",code="seat_taken"}';

function hold(url: string, performanceId: number, seat: number): ReturnType<typeof call> {
  return call(url, 'POST', '/v1/reservations', { userId: newUserId(), body: { performanceId, seats: [seat] } });
}

describe('a gateway', () => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startGateway();
  });
  afterAll(() => gateway.stop());

  it('counts every answer once, by route, status and code, and every hold by what became of it', async () => {
    const { url } = gateway;
    const performanceId = await createPerformance(url, seated);
    for (const seat of [1, 2, 3]) expect((await hold(url, performanceId, seat)).status).toBe(201);
    for (const seat of [1, 2]) expect((await hold(url, performanceId, seat)).status).toBe(409);
    const invalid = { userId: newUserId(), body: {} };
    expect((await call(url, 'POST', '/v1/reservations', invalid)).status).toBe(400);

    const samples = await scrape(url);
    expect(samples.get(heldLine)).toBe(3);
    expect(samples.get(takenLine)).toBe(2);
    const invalidLine = takenLine.replace('409', '400').replace('seat_taken', 'validation_failed');
    expect(samples.get(invalidLine)).toBe(1);
    expect(samples.get('fastpass_holds_total{outcome="held"}')).toBe(3);
    expect(samples.get('fastpass_holds_total{outcome="seat_taken"}')).toBe(2);
    // What was not asked of the stores is no hold.
    expect(samples.get('fastpass_holds_total{outcome="validation_failed"}')).toBe(0);
    expect(samples.get('fastpass_request_duration_seconds_count{route="hold"}')).toBe(6);
  });

  it('keeps histograms whose buckets rise to their count', async () => {
    const { url } = gateway;
    const performanceId = await createPerformance(url, seated);
    await Promise.all(Array.from({ length: 50 }, (_, seat) => hold(url, performanceId, seat + 1)));
    // The last transaction is observed after its answers.
    await until('all is committed', async () => (await metricOf(url, 'fastpass_commit_depth')) === 0);
    const samples = await scrape(url);
    const names = [
      'flush_batch_size',
      'flush_duration_seconds',
      'queue_wait_seconds',
      'commit_batch_size',
      'commit_duration_seconds',
    ];
    for (const name of names) {
      const buckets = [...samples].filter(([line]) => line.startsWith(`fastpass_${name}_bucket{`));
      const counts = buckets.map(([, count]) => count);
      expect(counts, name).toEqual(counts.toSorted((a, b) => a - b));
      expect(buckets.at(-1), name).toEqual([
        `fastpass_${name}_bucket{le="+Inf"}`,
        samples.get(`fastpass_${name}_count`),
      ]);
      expect(counts.at(-1), name).toBeGreaterThan(0);
    }
    expect(samples.get('fastpass_flush_batch_size_sum')).toBe(samples.get('fastpass_flushed_requests_total'));
    expect(samples.get('fastpass_flush_batch_size_count')).toBe(samples.get('fastpass_flushes_total'));
    expect(samples.get('fastpass_commit_batch_size_sum')).toBe(samples.get('fastpass_committed_holds_total'));
    expect(samples.get('fastpass_flush_duration_seconds_sum')).toBeGreaterThan(0);
  });

  it('shows the rooms that people wait in, how they come in, and how wrong the time was that they were told', async () => {
    const { url } = gateway;
    await until('it leads', async () => (await metricOf(url, 'fastpass_leader')) === 1);
    // A pass lets one in at a time; the second comes in when the first has left.
    const performanceId = await openRoom(url, { admitPerSecond: 1000, maxActive: 1 });
    const [first, second] = await joinAll(url, performanceId, 2);
    await untilStatus(url, performanceId, first!, 'admitted');
    const socket = await watch(url, second!);
    await socket.message('queue.position');
    const label = `{performance="${performanceId}"}`;
    await until('the rooms are looked at', async () => (await scrape(url)).get(`fastpass_room_waiting${label}`) === 1);
    const samples = await scrape(url);
    expect(samples.get(`fastpass_room_active${label}`)).toBe(1);
    expect(samples.get(`fastpass_room_admit_rate${label}`)).toBeGreaterThanOrEqual(0);
    const before = samples.get('fastpass_queue_eta_error_seconds_count')!;
    await leave(url, performanceId, first!.userId, first!.ticket);
    await socket.message('queue.admitted');
    await until('it is observed', async () => {
      return (await scrape(url)).get('fastpass_queue_eta_error_seconds_count') === before + 1;
    });
    closeSockets();
  });

  it('shows what stays in the journals, and how old it is', async () => {
    const { url } = gateway;
    await until('it leads', async () => (await metricOf(url, 'fastpass_leader')) === 1);
    const performanceId = await createPerformance(url, seated);
    expect((await hold(url, performanceId, 1)).status).toBe(201);
    const read = async (): Promise<number[]> =>
      Promise.all(['entries', 'oldest_seconds'].map((name) => metricOf(url, `fastpass_journal_${name}`)));
    await until('the journals are empty', async () => (await read()).every((value) => value === 0));
    const redis = redisClient();
    const { journal } = performanceKeys(performanceId);
    try {
      // One that nobody can read stays; this one is of a minute ago, and no stream takes it behind a younger one.
      await redis.del(journal);
      await redis.xadd(journal, `${Date.now() - 60_000}-0`, 'h', 'none');
      await until('it is seen', async () => (await read())[0] === 1);
      const [, seconds] = await read();
      expect(seconds).toBeGreaterThanOrEqual(60);
      expect(seconds).toBeLessThan(120);
      await redis.del(journal);
      await until('it is gone', async () => (await read()).every((value) => value === 0));
    } finally {
      await redis.del(journal);
      redis.disconnect();
    }
  });

  it('counts the scripts that Redis had forgotten', async () => {
    const { url } = gateway;
    const performanceId = await createPerformance(url, seated);
    const before = await metricOf(url, 'fastpass_scripts_resent_total');
    const redis = redisClient();
    await redis.script('FLUSH');
    redis.disconnect();
    expect((await hold(url, performanceId, 1)).status).toBe(201);
    expect(await metricOf(url, 'fastpass_scripts_resent_total')).toBeGreaterThan(before);
  });

  it('says what runs, and waits for the lock of a load', async () => {
    const { url } = gateway;
    const performanceId = await createPerformance(url, seated);
    await hold(url, performanceId, 1);
    const samples = await scrape(url);
    expect(
      [...samples.keys()].filter((line) => /^fastpass_build_info\{version="\d.*",node="v\d/.test(line)),
    ).toHaveLength(1);
    expect(samples.get('fastpass_workers')).toBe(1);
    expect(samples.get('fastpass_lock_waits_total')).toBeGreaterThan(0);
    expect(samples.get('fastpass_lock_wait_seconds_total')).toBeGreaterThan(0);
    for (const name of ['nodejs_eventloop_lag_seconds', 'process_resident_memory_bytes', 'fastpass_journal_entries'])
      expect(samples.has(name), name).toBe(true);
  });
});

describe('gateways that share a port', () => {
  const workers = 2;
  let gateway: GatewayProcess;
  /** Of the port that they share; `gateway.url` is the primary's own. */
  let url: string;

  beforeAll(async () => {
    const port = await freePort();
    gateway = await spawnGateway({ FASTPASS_WORKERS: String(workers), PORT: String(port) });
    url = `http://127.0.0.1:${port}`;
    await until('both listen', () => listening(port) === workers, 30_000);
  });
  afterAll(() => gateway.stop());

  const listening = (port: number): number =>
    [...gateway.output().matchAll(/ listening .*port=(\d+)/g)].filter((match) => Number(match[1]) === port).length;

  /** Connections of their own go to either process. */
  const holdAlone = async (performanceId: number, seat: number): Promise<number> => {
    const [userId, headers] = [newUserId(), { connection: 'close' }];
    return (await call(url, 'POST', '/v1/reservations', { userId, body: { performanceId, seats: [seat] }, headers }))
      .status;
  };

  it('answer a scrape with the sum of all, whichever is asked', async () => {
    const performanceId = await createPerformance(url, seated);
    const seats = Array.from({ length: 120 }, (_, i) => (i % 100) + 1);
    const statuses = await Promise.all(seats.map((seat) => holdAlone(performanceId, seat)));
    expect(statuses.filter((status) => status === 201)).toHaveLength(100);
    expect(statuses.filter((status) => status === 409)).toHaveLength(20);

    await until('one of them leads', async () => (await scrape(url)).get('fastpass_leader') === 1);
    const scrapes = [];
    for (let i = 0; i < 10; i++) scrapes.push(await scrape(url));
    scrapes.push(await scrape(gateway.url));
    for (const samples of scrapes) {
      expect(samples.get(heldLine)).toBe(100);
      expect(samples.get(takenLine)).toBe(20);
      expect(samples.get('fastpass_holds_total{outcome="held"}')).toBe(100);
      expect(samples.get('fastpass_flush_batch_size_sum')).toBe(samples.get('fastpass_flushed_requests_total'));
      expect(samples.get('fastpass_request_duration_seconds_count{route="hold"}')).toBe(120);
      expect(samples.get('fastpass_workers')).toBe(workers + 1);
      expect(samples.get('fastpass_leader')).toBe(1);
      expect(samples.get('fastpass_store_up{store="redis"}')).toBe(1);
      expect([...samples].filter(([line]) => line.startsWith('fastpass_build_info'))).toEqual([
        [expect.stringContaining('version='), 1],
      ]);
    }
  });

  it('do without one that does not answer, and what it had counted stays', async () => {
    // So many that either worker has some.
    const performanceId = await createPerformance(url, seated);
    await Promise.all(Array.from({ length: 60 }, (_, seat) => holdAlone(performanceId, seat + 1)));
    const before = await scrape(url);
    expect(before.get(heldLine)).toBeGreaterThanOrEqual(60);
    const children = await childrenOf(gateway.child.pid!);
    expect(children).toHaveLength(workers);
    process.kill(children[0]!, 'SIGSTOP');
    try {
      const samples = await scrape(gateway.url);
      expect(samples.get('fastpass_workers')).toBe(workers);
      expect(samples.get('fastpass_workers_silent_total')).toBe(before.get('fastpass_workers_silent_total')! + 1);
      expect(samples.get(heldLine)).toBe(before.get(heldLine));
    } finally {
      process.kill(children[0]!, 'SIGCONT');
    }
    await until('it answers again', async () => (await scrape(gateway.url)).get('fastpass_workers') === workers + 1);
    process.kill(children[0]!, 'SIGKILL');
    await until('it is replaced', async () => {
      const now = await childrenOf(gateway.child.pid!);
      return now.length === workers && !now.includes(children[0]!);
    });
    await until('the new one answers', async () => (await scrape(gateway.url)).get('fastpass_workers') === workers + 1);
    expect((await scrape(gateway.url)).get(heldLine)).toBe(before.get(heldLine));
  });
});
