/** A gateway as a process of its own on a free port, for a bench. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../src/embedded/supervise.ts';
import { guardUrl, nodeFlags } from './server.ts';
import type { Stoppable } from './stage.ts';

export interface GatewayOptions {
  readonly redisUrl: string;
  readonly mysqlUrl: string;
  readonly jwtSecret: string;
  /** Gateway processes that share the port. */
  readonly workers: number;
  /** Modules to load before it. */
  readonly imports?: readonly string[];
  /** More of its environment, before that of this process. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface Gateway extends Stoppable {
  readonly url: string;
  /** Process number: of the one that starts the others where there are several. */
  readonly pid: number;
  /** What it wrote to stderr, its last 20 lines: warnings and errors. */
  complaints(): readonly string[];
}

const startTimeoutMs = 30_000;
/** The gateway gives itself 8 seconds to commit what it has. */
const stopTimeoutMs = 12_000;
const complaintsMax = 20;
const mainPath = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

/**
 * Starts one that answers every request of a user (no rate limit); resolves when all its processes listen.
 * Rejects with what it wrote when it does not start.
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { redisUrl, mysqlUrl, jwtSecret, workers, imports = [], settings = {} } = options;
  const port = await freePort();
  const child = spawn(
    process.execPath,
    [...nodeFlags, ...[guardUrl, ...imports].flatMap((url) => ['--import', url]), mainPath],
    {
      env: {
        ...process.env,
        NODE_ENV: 'development',
        REDIS_URL: redisUrl,
        MYSQL_URL: mysqlUrl,
        JWT_SECRET: jwtSecret,
        HOST: '127.0.0.1',
        PORT: String(port),
        FASTPASS_RATE_LIMIT_PER_SECOND: '0',
        FASTPASS_WORKERS: String(workers),
        // A line when a process listens is the only way to know that all of them do; none is written per request.
        LOG_LEVEL: 'info',
        ...settings,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
      // The terminal's Ctrl-C reaches the bench alone, which stops things in order.
      detached: true,
    },
  );
  // Nothing is written to its standard input: the only error is its end, which the exit event reports.
  child.stdin.on('error', () => {});
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const complaints: string[] = [];
  child.stderr.on('data', (data: Buffer) => {
    complaints.push(...data.toString().trimEnd().split('\n'));
    complaints.splice(0, complaints.length - complaintsMax);
  });
  const stop = (): Promise<void> => stopChild(child, exited);
  try {
    await listening(child, exited, port, workers);
  } catch (thrown) {
    await stop();
    throw new Error(`the gateway did not start: ${String(thrown)}\n${complaints.join('\n')}`);
  }
  return { url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0, complaints: () => complaints, stop };
}

/** Resolves when `workers` processes have said that they listen on the port. */
function listening(child: ChildProcess, exited: Promise<void>, port: number, workers: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`not within ${startTimeoutMs} ms`)), startTimeoutMs);
    let count = 0;
    let rest = '';
    child.stdout?.on('data', (data: Buffer) => {
      const lines = (rest + data.toString()).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.includes(' listening ') && line.includes(` port=${port} `)) count++;
      if (count < workers) return;
      clearTimeout(limit);
      resolve();
    });
    void exited.then(() => {
      clearTimeout(limit);
      reject(new Error(`it ended with ${child.exitCode ?? child.signalCode}`));
    });
  });
}

async function stopChild(child: ChildProcess, exited: Promise<void>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const limit = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
  await exited;
  clearTimeout(limit);
}

/** Resolves when MySQL has every hold of the gateway; rejects after a minute. */
export async function committed(gateway: Gateway): Promise<void> {
  const endMs = performance.now() + 60_000;
  for (;;) {
    const text = await (await fetch(`${gateway.url}/metrics`)).text();
    if (/^fastpass_commit_depth 0$/m.test(text)) return;
    if (performance.now() > endMs) throw new Error('holds were not committed within a minute');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
