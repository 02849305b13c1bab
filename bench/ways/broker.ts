/**
 * A private RabbitMQ node. Debian's packages are unpacked and not installed: that needs no root, and no service of theirs
 * comes up on this machine. The node and the port mapper that Erlang wants (epmd) listen on loopback and end with the bench.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect } from 'amqplib';
import { readTail } from '../../src/embedded/files.ts';
import { type GuardedProcess, spawnGuarded } from '../../src/embedded/guardian.ts';
import { runProgram } from '../../src/embedded/run.ts';
import { freePort } from '../../src/embedded/supervise.ts';
import { say } from '../load/progress.ts';
import type { Stoppable } from '../load/stage.ts';

export interface Broker extends Stoppable {
  readonly url: string;
  readonly pid: number;
}

const dataDir = fileURLToPath(new URL('../../.data', import.meta.url));
/** Stays from run to run. */
const unpacked = join(dataDir, 'rabbitmq');
const serverPath = join('usr', 'lib', 'rabbitmq', 'bin', 'rabbitmq-server');
const fetchTimeoutMs = 300_000;
const startTimeoutMs = 90_000;
const pollMs = 100;

// The parts of Erlang that rabbitmq-server asks for, and those that these ask for. Debian's `erl` knows one place for
// Erlang, the system's; here it looks beside itself.
const fetchScript = `
set -eu
export DEBIAN_FRONTEND=noninteractive
sudo=
[ "$(id -u)" = 0 ] || sudo='sudo -n'
packages=rabbitmq-server
for part in base asn1 crypto eldap inets mnesia os-mon parsetools public-key runtime-tools ssl syntax-tools tools xmerl; do
  packages="$packages erlang-$part"
done
apt-get -q download $packages || { $sudo apt-get -q -o DPkg::Lock::Timeout=120 update; apt-get -q download $packages; }
for package in *.deb; do dpkg-deb -x "$package" .; done
rm -- *.deb
sed -i 's|^\\( *ROOTDIR=\\)/usr/lib/erlang|\\1$(cd "$(dirname "$0")/.." \\&\\& pwd -P)|' usr/lib/erlang/bin/erl
`;

async function ensureUnpacked(): Promise<void> {
  if (existsSync(join(unpacked, serverPath))) return;
  say('fetching RabbitMQ (35 MB) ...');
  mkdirSync(dataDir, { recursive: true });
  const folder = mkdtempSync(join(dataDir, 'rabbitmq-package-'));
  try {
    const { exitCode, output } = await runProgram('/bin/sh', ['-c', fetchScript], fetchTimeoutMs, folder);
    if (exitCode !== 0) throw new Error(`RabbitMQ could not be fetched:\n${output}`);
    // Another run may have been faster.
    if (!existsSync(unpacked)) renameSync(folder, unpacked);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function settingsOf(folder: string, ports: { amqp: number; mapper: number; node: number }): Record<string, string> {
  const config = join(folder, 'rabbitmq.conf');
  writeFileSync(config, `listeners.tcp.1 = 127.0.0.1:${ports.amqp}\n`);
  const plugins = join(folder, 'enabled_plugins');
  writeFileSync(plugins, '[].\n');
  return {
    // For the cookie of the node.
    HOME: folder,
    PATH: `${join(unpacked, 'usr', 'lib', 'erlang', 'bin')}:${process.env['PATH'] ?? ''}`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_EPMD_PORT: String(ports.mapper),
    RABBITMQ_NODENAME: `fastpass-${process.pid}@localhost`,
    RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_LOGS: '-',
    RABBITMQ_CONFIG_FILE: config,
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_ENABLED_PLUGINS_FILE: plugins,
    RABBITMQ_DIST_PORT: String(ports.node),
    // Erlang's threads do not spin while they have nothing to do: on a small machine that would slow everybody down.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      '-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none',
    // The script then becomes the node instead of waiting for it: the process that is measured is the node.
    RUNNING_UNDER_SYSTEMD: 'true',
  };
}

/** Resolves when it takes connections. Rejects with the end of its log when it ends first, or after a minute and a half. */
async function answering(url: string, node: GuardedProcess, logFile: string): Promise<void> {
  const endMs = performance.now() + startTimeoutMs;
  let ended = '';
  void node.exited.then((how) => {
    ended = how;
  });
  for (;;) {
    try {
      const connection = await connect(url);
      return await connection.close();
    } catch (thrown) {
      if (ended === '' && performance.now() < endMs) await sleep(pollMs);
      else throw new Error(`RabbitMQ did not start (${ended || String(thrown)}):\n${readTail(logFile)}`);
    }
  }
}

/** Starts one on `<folder>/rabbitmq`; fetches it first where it was not yet. Rejects where there is no way to get it. */
export async function startBroker(folder: string): Promise<Broker> {
  await ensureUnpacked();
  const home = join(folder, 'rabbitmq');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const ports = { amqp: await freePort(), mapper: await freePort(), node: await freePort() };
  const logFile = join(home, 'rabbitmq.log');
  const mapperPath = join(unpacked, 'usr', 'lib', 'erlang', 'bin', 'epmd');
  const started: GuardedProcess[] = [];
  // Last started, first stopped.
  const stop = async (): Promise<void> => {
    for (const each of started.reverse()) await each.stop();
  };
  const start = async (commandLine: readonly string[]): Promise<GuardedProcess> => {
    const guarded = await spawnGuarded(commandLine, home, logFile);
    started.push(guarded);
    return guarded;
  };
  try {
    // Its own, or the node would leave one behind that serves the whole machine.
    await start([mapperPath, '-address', '127.0.0.1', '-port', String(ports.mapper)]);
    const settings = Object.entries(settingsOf(home, ports)).map(([name, value]) => `${name}=${value}`);
    const node = await start(['env', ...settings, 'sh', join(unpacked, serverPath)]);
    const url = `amqp://guest:guest@127.0.0.1:${ports.amqp}`;
    await answering(url, node, logFile);
    return { url, pid: node.pid, stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}
