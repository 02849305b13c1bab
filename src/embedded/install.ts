import { APT_SCRIPT, APT_TIMEOUT_MS } from './apt-script.ts';
import { findPrograms, type Programs, type ServerKind } from './programs.ts';
import { type Run, runProgram } from './run.ts';
import type { Say } from './types.ts';

/** What installing needs to know of the machine; tests hand in another one. */
export interface Machine {
  readonly platform: string;
  readonly isRoot: boolean;
  readonly find: () => Promise<Programs>;
  readonly run: Run;
}

const THIS_MACHINE: Machine = {
  platform: process.platform,
  isRoot: process.getuid?.() === 0,
  find: findPrograms,
  run: runProgram,
};

const PROBE_TIMEOUT_MS = 10_000;
const BREW_TIMEOUT_MS = 15 * 60_000;

const TITLES: Readonly<Record<ServerKind, string>> = { redis: 'redis-server', mysql: 'MariaDB' };
const APT_NAMES: Readonly<Record<ServerKind, string>> = { redis: 'redis-server', mysql: 'mariadb-server' };
const BREW_NAMES: Readonly<Record<ServerKind, string>> = { redis: 'redis', mysql: 'mariadb' };

/** Installations of this process one after the other: the second finds what the first has brought. */
let lastInstallation: Promise<void> = Promise.resolve();

/**
 * Makes sure the servers can be started, and installs what is missing with the system's package manager: apt-get as
 * root or through sudo without a password, brew on macOS. Takes milliseconds when everything is there, else up to some
 * minutes. Ask for both kinds in one call: one run of the package manager is faster than two.
 *
 * Throws one Error for people when something is missing and cannot be installed.
 */
export function ensureInstalled(
  kinds: readonly ServerKind[],
  say: Say,
  machine: Machine = THIS_MACHINE,
): Promise<void> {
  const installation = lastInstallation.then(() => installMissing(kinds, say, machine));
  // The caller gets the failure; the next in line only waits for the end, whatever it was.
  lastInstallation = installation.catch(() => undefined);
  return installation;
}

async function installMissing(kinds: readonly ServerKind[], say: Say, machine: Machine): Promise<void> {
  const missing = missingOf(kinds, await machine.find());
  if (missing.length === 0) return;

  const installer = await chooseInstaller(missing, machine);
  if (installer === undefined) {
    throw new Error(
      `${titlesOf(missing)} not found on this machine, and this user cannot install packages without a password. ` +
        waysOn(missing, machine.platform),
    );
  }

  const titles = titlesOf(missing);
  say(`installing ${titles} with ${installer.title}, usually less than a minute ...`);
  const result = await machine.run(installer.command, installer.args, installer.timeoutMs);
  if (result.exitCode !== 0) {
    const end = result.exitCode === 124 ? 'ran into its time limit' : `ended with code ${result.exitCode}`;
    throw new Error(
      `${installer.title} could not install ${titles}: it ${end}. ${waysOn(missing, machine.platform)}\n` +
        `The last lines of the installer:\n${result.output}`,
    );
  }
  const stillMissing = missingOf(kinds, await machine.find());
  if (stillMissing.length > 0) {
    throw new Error(
      `${installer.title} reported success, yet ${titlesOf(stillMissing)} cannot be found. ` +
        `${waysOn(stillMissing, machine.platform)}\n` +
        `The last lines of the installer:\n${result.output}`,
    );
  }
  say(`installed ${titles}`);
}

function missingOf(kinds: readonly ServerKind[], programs: Programs): ServerKind[] {
  return kinds.filter((kind) => programs[kind] === undefined);
}

interface Installer {
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
}

/** The way to install on this machine as this user, or undefined when there is none. */
async function chooseInstaller(missing: readonly ServerKind[], machine: Machine): Promise<Installer | undefined> {
  if (machine.platform === 'darwin') {
    if (!(await succeeds(machine, 'brew', ['--version']))) return undefined;
    const names = missing.map((kind) => BREW_NAMES[kind]);
    return { title: 'brew', command: 'brew', args: ['install', ...names], timeoutMs: BREW_TIMEOUT_MS };
  }
  if (machine.platform !== 'linux' || !(await succeeds(machine, 'apt-get', ['--version']))) return undefined;
  const script = ['-c', APT_SCRIPT, 'fastpass-install', ...missing];
  if (machine.isRoot) return { title: 'apt-get', command: 'sh', args: script, timeoutMs: APT_TIMEOUT_MS };
  // -n: ask no password. Without it the start would hang at a prompt nobody sees.
  if (!(await succeeds(machine, 'sudo', ['-n', 'true']))) return undefined;
  return { title: 'sudo apt-get', command: 'sudo', args: ['-n', 'sh', ...script], timeoutMs: APT_TIMEOUT_MS };
}

async function succeeds(machine: Machine, command: string, args: readonly string[]): Promise<boolean> {
  return (await machine.run(command, args, PROBE_TIMEOUT_MS)).exitCode === 0;
}

function titlesOf(kinds: readonly ServerKind[]): string {
  return kinds.map((kind) => TITLES[kind]).join(' and ');
}

/** The three things a person can do about missing servers. */
function waysOn(missing: readonly ServerKind[], platform: string): string {
  const command =
    platform === 'darwin'
      ? `brew install ${missing.map((kind) => BREW_NAMES[kind]).join(' ')}`
      : `sudo apt-get install ${missing.map((kind) => APT_NAMES[kind]).join(' ')}`;
  return (
    `Install what is missing (for example: ${command}), or set REDIS_URL and MYSQL_URL to servers you run, ` +
    'or start everything with: docker compose up.'
  );
}
