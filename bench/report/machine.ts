/** Where and with what a number was made. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findPrograms } from '../../src/embedded/programs.ts';

/** What it is, and its value. */
export type Facts = Readonly<Record<string, string>>;

/** The code that was measured. */
export interface Source {
  /** Null outside a repository. */
  readonly commit: string | null;
  /** Whether something else than what the report writes was changed and not committed. */
  readonly isDirty: boolean;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const timeoutMs = 10_000;
const written = ['bench/REPORT.md', 'bench/report/*.json', 'bench/report/*.svg'];

/** What it prints; null when it cannot be run. */
async function printed(command: string | undefined, ...args: string[]): Promise<string | null> {
  if (command === undefined) return null;
  try {
    return (await promisify(execFile)(command, args, { cwd: root, timeout: timeoutMs })).stdout.trim();
  } catch (thrown) {
    // wrk says its version with exit code 1.
    const { stdout = '' } = thrown as { stdout?: string };
    return stdout.trim() || null;
  }
}

function versionIn(text: string | null, pattern: RegExp): string {
  return pattern.exec(text ?? '')?.[1] ?? 'not found';
}

/** The machine and the versions. Reads the programs on it; what a URL names is somewhere else. */
export async function readMachine(environment: Readonly<Record<string, string | undefined>>): Promise<Facts> {
  const { redis, mysql } = await findPrograms();
  const [redisText, mysqlText, wrkText] = await Promise.all([
    printed(redis, '--version'),
    printed(mysql?.server, '--version'),
    printed('wrk', '--version'),
  ]);
  const uws: { name: string; version: string } = JSON.parse(
    readFileSync(new URL('../../node_modules/uWebSockets.js/package.json', import.meta.url), 'utf8'),
  );
  const { REDIS_URL: redisUrl = '', MYSQL_URL: mysqlUrl = '' } = environment;
  return {
    CPU: cpus()[0]?.model.trim() ?? 'unknown',
    Cores: String(availableParallelism()),
    Memory: `${(totalmem() / 1024 ** 3).toFixed(1)} GiB`,
    Kernel: `${type()} ${release()}`,
    'Node.js': process.version.slice(1),
    'uWebSockets.js': `${uws.version} (${uws.name})`,
    Redis: redisUrl === '' ? versionIn(redisText, /v=([\w.]+)/) : 'that of REDIS_URL',
    [mysql?.flavour === 'mysql' ? 'MySQL' : 'MariaDB']:
      mysqlUrl === '' ? versionIn(mysqlText, /Ver ([\w.]+)/) : 'that of MYSQL_URL',
    wrk: versionIn(wrkText, /^wrk (\S+)/),
  };
}

export async function readSource(): Promise<Source> {
  const commit = await printed('git', 'rev-parse', 'HEAD');
  const changes = await printed('git', 'status', '--porcelain', '--', '.', ...written.map((path) => `:!${path}`));
  return { commit, isDirty: (changes ?? '') !== '' };
}
