/** A real Prometheus for tests: found, or fetched from the distribution, and run on a folder and a port of its own. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnGuarded } from '../src/embedded/guardian.ts';
import { runProgram } from '../src/embedded/run.ts';
import { freePort } from '../src/embedded/supervise.ts';
import { until } from './harness.ts';
import { privateFolder, removeFolder } from './private-stores.ts';

/** Stays from run to run. */
const unpacked = join(dirname(dirname(fileURLToPath(import.meta.url))), '.data', 'prometheus');

// The package is unpacked and not installed: that needs no root, and no service of it comes up on this machine.
const fetchScript = `
set -eu
export DEBIAN_FRONTEND=noninteractive
sudo=
[ "$(id -u)" = 0 ] || sudo='sudo -n'
apt-get -q download prometheus || { $sudo apt-get -q -o DPkg::Lock::Timeout=120 update; apt-get -q download prometheus; }
dpkg-deb -x prometheus_*.deb .
rm prometheus_*.deb
`;
const fetchTimeoutMs = 240_000;

interface Programs {
  readonly prometheus: string;
  readonly promtool: string;
}

async function findPrograms(): Promise<Programs | null> {
  const own = join(unpacked, 'usr', 'bin');
  if (existsSync(join(own, 'promtool'))) {
    return { prometheus: join(own, 'prometheus'), promtool: join(own, 'promtool') };
  }
  const isInstalled = (await runProgram('prometheus', ['--version'], 10_000)).exitCode === 0;
  return isInstalled ? { prometheus: 'prometheus', promtool: 'promtool' } : null;
}

/** Finds Prometheus, or fetches it: apt-get on Debian and Ubuntu, brew on macOS. Throws where there is no way to get it. */
export async function ensurePrometheus(): Promise<Programs> {
  const found = await findPrograms();
  if (found !== null) return found;
  const folder = privateFolder('prometheus-package');
  try {
    const [command, ...parameters] =
      process.platform === 'darwin' ? ['brew', 'install', 'prometheus'] : ['/bin/sh', '-c', fetchScript];
    const { exitCode, output } = await runProgram(command!, parameters, fetchTimeoutMs, folder);
    if (exitCode !== 0) throw new Error(`Prometheus is not installed and could not be fetched:\n${output}`);
    if (existsSync(join(folder, 'usr')) && !existsSync(unpacked)) renameSync(folder, unpacked);
  } finally {
    removeFolder(folder);
  }
  const fetched = await findPrograms();
  if (fetched === null) throw new Error('Prometheus was fetched, yet it does not start');
  return fetched;
}

export interface Verdict {
  readonly exitCode: number;
  readonly output: string;
}

/** Runs `promtool`, with a text to read where one is given. */
export async function promtool(parameters: readonly string[], input = ''): Promise<Verdict> {
  const { promtool: program } = await ensurePrometheus();
  return new Promise((resolve) => {
    const child = execFile(program, [...parameters], { timeout: 20_000 }, (fault, stdout, stderr) => {
      resolve({ exitCode: fault === null ? 0 : Number(fault.code ?? 1), output: stdout + stderr });
    });
    // One that ended before it read all says so by its exit code.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** A rule as the API of Prometheus tells of it. */
export interface RuleState {
  readonly name: string;
  readonly type: 'alerting' | 'recording';
  readonly health: string;
  readonly lastError?: string;
  /** Of alerts. */
  readonly state?: 'inactive' | 'pending' | 'firing';
  readonly alerts?: readonly { readonly labels: Readonly<Record<string, string>>; readonly state: string }[];
}

export interface Prometheus {
  /** The values of an expression now, one a series. Throws what Prometheus says against it. */
  values(expression: string): Promise<number[]>;
  rules(): Promise<RuleState[]>;
  stop(): Promise<void>;
}

/** Starts it on a configuration; the files, by their names, lie beside that. */
export async function startPrometheus(config: string, files: Readonly<Record<string, string>>): Promise<Prometheus> {
  const { prometheus: program } = await ensurePrometheus();
  const folder = privateFolder('prometheus');
  mkdirSync(join(folder, 'data'));
  for (const [name, text] of Object.entries({ ...files, 'prometheus.yml': config })) {
    writeFileSync(join(folder, name), text);
  }
  const url = `http://127.0.0.1:${await freePort()}`;
  const settings = [
    `--config.file=${join(folder, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=${new URL(url).host}`,
  ];
  const server = await spawnGuarded([program, ...settings], folder, join(folder, 'prometheus.log'));

  async function ask<Data>(path: string, body?: URLSearchParams): Promise<Data> {
    const response = await fetch(`${url}/api/v1/${path}`, body === undefined ? {} : { method: 'POST', body });
    const answer = (await response.json()) as { status: string; error?: string; data: Data };
    if (answer.status !== 'success') throw new Error(`${body}: ${answer.error}`);
    return answer.data;
  }

  await until('Prometheus is ready', () =>
    fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return {
    async values(expression) {
      const body = new URLSearchParams({ query: expression });
      const { result } = await ask<{ result: { value: [number, string] }[] }>('query', body);
      return result.map(({ value }) => Number(value[1]));
    },
    async rules() {
      const { groups } = await ask<{ groups: { rules: RuleState[] }[] }>('rules');
      return groups.flatMap(({ rules }) => rules);
    },
    async stop() {
      await server.stop();
      removeFolder(folder);
    },
  };
}
