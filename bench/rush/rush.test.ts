import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { call, createPerformance, query, startGateway, testSecret } from '../../test/harness.ts';
import { readRushOptions } from './options.ts';
import type { RushResult } from './report.ts';
import { userIdOf } from './sale.ts';
import { Tally } from './tally.ts';
import { checkVerdict } from './verdict.ts';

const rushPath = fileURLToPath(new URL('./main.ts', import.meta.url));

interface Run {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the rush as a user does, on the servers of the tests. */
function startRush(...args: string[]) {
  return spawn(process.execPath, [rushPath, ...args], {
    env: {
      PATH: process.env['PATH'] ?? '',
      REDIS_URL: inject('redisUrl'),
      MYSQL_URL: inject('mysqlUrl'),
      JWT_SECRET: testSecret,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** The same, to its end. */
function rush(...args: string[]): Promise<Run> {
  const child = startRush(...args);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => {
    stdout += data.toString();
  });
  child.stderr.on('data', (data: Buffer) => {
    stderr += data.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode) => resolve({ exitCode, stdout, stderr }));
  });
}

function countOf(result: RushResult, status: number, code: string): number {
  return result.outcomes.find((outcome) => outcome.status === status && outcome.code === code)?.count ?? 0;
}

describe('npm run rush', () => {
  it('sells a small capacity performance exactly and says so', async () => {
    const sale = ['--capacity', '8', '--party', '2'];
    const { exitCode, stdout, stderr } = await rush('--users', '50', '--repeat', '2', ...sale, '--json');
    expect(exitCode, stderr).toBe(0);
    const result: RushResult = JSON.parse(stdout);
    expect(result.verdict).toMatchObject({ holds: true });
    expect(result.requests).toBe(100);
    expect(countOf(result, 201, 'held')).toBe(4);
    expect(countOf(result, 409, 'sold_out') + countOf(result, 409, 'already_reserved')).toBe(96);
    expect(result.latency.count).toBe(100);
    expect(result.latency.p50Ms).toBeGreaterThan(0);
    expect(result.latencyFromStart.maxMs).toBeLessThanOrEqual(result.totalMs);
  });

  it('sells overlapping seats once each, behind the answers and with two processes', async () => {
    const args = [
      '--kind',
      'seated',
      '--seats',
      '20',
      '--users',
      '60',
      '--repeat',
      '2',
      '--ack',
      'held',
      '--workers',
      '2',
    ];
    const { exitCode, stdout, stderr } = await rush(...args);
    expect(stdout, stderr).toMatch(/The verdict, checked in MySQL: holds/);
    expect(stdout).toMatch(/201 held +\d/);
    expect(stdout).toMatch(/409 seat_taken +\d/);
    expect(exitCode).toBe(0);
  });

  it('refuses an unknown option with exit code 2', async () => {
    const { exitCode, stdout, stderr } = await rush('--customers', '5');
    expect(stderr).toContain('--customers');
    expect(stdout).toBe('');
    expect(exitCode).toBe(2);
  });

  it('takes its gateway with it when it is interrupted', async () => {
    const child = startRush('--users', '20000', '--repeat', '50');
    const gatewayPid = await new Promise<number>((resolve) => {
      let output = '';
      child.stderr.on('data', (data: Buffer) => {
        output += data.toString();
        const match = /the gateway is ready .*\(process (\d+)\)/.exec(output);
        if (match !== null) resolve(Number(match[1]));
      });
    });
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGINT');
    expect(await exited).toBe(130);
    expect(() => process.kill(gatewayPid, 0)).toThrow('ESRCH');
  });

  it('explains itself', async () => {
    const { exitCode, stdout } = await rush('--help');
    expect(stdout).toMatch(/--seats-per-request/);
    expect(exitCode).toBe(0);
  });
});

describe('readRushOptions', () => {
  it('has defaults and lets no connection idle', () => {
    const sale = { kind: 'capacity', capacity: 40, party: 4 };
    expect(readRushOptions([], {})).toMatchObject({ url: null, users: 2000, repeat: 3, sale, connections: 200 });
    expect(readRushOptions(['--users', '5'], {})).toMatchObject({ connections: 15 });
  });

  it.each([
    [['--users', 'many'], '--users must be a whole number'],
    [['--users', '1000000', '--repeat', '6'], '--users times --repeat'],
    [['--connections', '19001'], '--connections must be a whole number from 1 to 19000'],
    [['--capacity', '3', '--party', '4'], '--party must not exceed --capacity'],
    [['--kind', 'seated', '--seats', '1', '--seats-per-request', '2'], '--seats-per-request must not exceed --seats'],
    [['--kind', 'standing'], '--kind must be one of capacity, seated'],
    [['--seats', '10'], '--seats is for --kind seated'],
    [['--url', 'https://localhost'], '--url: only http:// URLs'],
    [['--url', 'http://localhost'], "--url needs the gateway's JWT_SECRET and MYSQL_URL"],
    [['--url', 'http://localhost', '--ack', 'held'], '--ack is for a gateway that the rush starts'],
  ])('refuses %j', (args, message) => {
    expect(() => readRushOptions(args, {})).toThrow(message);
  });
});

describe('checkVerdict', () => {
  it('notices a seat without its reservation, a half hold, and a reservation nobody was told of', async () => {
    const gateway = await startGateway();
    try {
      const performanceId = await createPerformance(gateway.url, { seating: { kind: 'seated', seats: 10 } });
      const tally = new Tally(2);
      for (const user of [0, 1]) {
        const body = { performanceId, seats: [2 * user + 1, 2 * user + 2] };
        const reply = await call(gateway.url, 'POST', '/v1/reservations', { userId: userIdOf(user), body });
        tally.add(user, { status: reply.status, body: JSON.stringify(reply.body), isLast: false });
      }
      const sale = { kind: 'seated', seats: 10, seatsPerRequest: 2 } as const;
      const failing = async (told = tally): Promise<string[]> => {
        const { checks } = await checkVerdict(inject('mysqlUrl'), performanceId, sale, 2, told, false);
        return checks.filter((check) => !check.holds).map((check) => check.name);
      };
      expect(await failing()).toEqual([]);
      expect(await failing(new Tally(2))).toEqual(['every request answered', 'MySQL agrees']);
      await query('UPDATE reservation_seats SET live = NULL WHERE performance_id = ? AND seat = 1', [performanceId]);
      expect(await failing()).toEqual(['sold exactly', 'none twice', 'MySQL agrees']);
      await query('UPDATE seats SET status = 0 WHERE performance_id = ? AND seat = 1', [performanceId]);
      expect(await failing()).toEqual(['sold exactly', 'MySQL agrees']);
    } finally {
      await gateway.stop();
    }
  });
});

describe('npm run rush -- --url', () => {
  // It answers 201 to everything and keeps no books.
  let liar: Server;
  let url: string;

  beforeAll(async () => {
    let count = 0;
    liar = createServer((request, response) => {
      request.resume().once('end', () => {
        count++;
        const reservationId = `00000000-0000-7000-8000-${String(count).padStart(12, '0')}`;
        const text = JSON.stringify({ eventId: 1, performanceId: 9_000_000_000_000, reservationId, seats: [1, 2] });
        response.writeHead(201, { 'content-type': 'application/json', 'content-length': text.length }).end(text);
      });
    });
    await new Promise<void>((resolve) => liar.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(liar.address() as AddressInfo).port}`;
  });

  afterAll(() => liar.close());

  it.concurrent.each(['capacity', 'seated'])(
    'fails the verdict of a gateway that promises what MySQL does not have: %s',
    async (kind) => {
      const { exitCode, stdout, stderr } = await rush(
        '--url',
        url,
        '--users',
        '5',
        '--repeat',
        '2',
        '--kind',
        kind,
        '--json',
      );
      expect(exitCode, stderr).toBe(1);
      const result: RushResult = JSON.parse(stdout);
      expect(result.verdict.holds).toBe(false);
      const failed = result.verdict.checks.filter((check) => !check.holds).map((check) => check.name);
      expect(failed).toContain('sold exactly');
      expect(failed).toContain('MySQL agrees');
    },
  );

  it('rushes a gateway that runs already', async () => {
    const gateway = await startGateway();
    try {
      const { exitCode, stdout, stderr } = await rush('--url', gateway.url, '--users', '5', '--repeat', '2');
      expect(stdout, stderr).toMatch(/sold exactly: 5 reservations by 4 where 5 are possible, 20 of 40 places free/);
      expect(exitCode).toBe(0);
    } finally {
      await gateway.stop();
    }
  });

  it('says that there is no gateway', async () => {
    const { exitCode, stderr } = await rush('--url', 'http://127.0.0.1:1');
    expect(stderr).toMatch(/rush: .*ECONNREFUSED/);
    expect(exitCode).toBe(1);
  });
});
