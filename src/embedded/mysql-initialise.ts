import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { MysqlPrograms } from './programs.ts';
import { runProgram } from './run.ts';
import type { Say } from './types.ts';

/** Half a second on an ordinary machine; minutes on a slow disk. */
const INITIALISE_TIMEOUT_MS = 180_000;
const UNFINISHED = '.unfinished-';

/** Both servers refuse to run as root unless told so. */
export function userArguments(): string[] {
  return process.getuid?.() === 0 ? ['--user=root'] : [];
}

/**
 * The server's own folder for temporary tables below `folder`, made where it is not. Every starting server deletes the
 * temporary tables it finds: two that share /tmp break each other's statements (3 of 30 initialisations side by side).
 */
export function temporaryFolder(folder: string): string {
  const path = join(folder, 'tmp');
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}

/** The size of the redo log, under its MariaDB name and both MySQL names; a server skips a loose option it lacks. */
export function redoLogArguments(flavour: MysqlPrograms['flavour']): string[] {
  if (flavour === 'mariadb') return ['--innodb-log-file-size=256M'];
  return ['--loose-innodb-redo-log-capacity=256M', '--loose-innodb-log-file-size=256M'];
}

/**
 * The folder with the server's data below `folder`, initialised first where it is not. A folder of its own for either
 * flavour: neither can read the other's files. Initialises into a folder with another name and renames it when done, so
 * that an interrupted initialisation is never taken for a whole one.
 *
 * Throws an Error with the initialiser's last lines when it fails.
 */
export async function initialisedDataFolder(folder: string, programs: MysqlPrograms, say: Say): Promise<string> {
  for (const name of readdirSync(folder)) {
    // A remnant; its initialiser may still run for a moment, hence the new name below and the retries here.
    if (name.includes(UNFINISHED)) {
      await rm(join(folder, name), { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    }
  }
  const dataFolder = join(folder, programs.flavour);
  if (existsSync(dataFolder)) return dataFolder;

  const title = programs.flavour === 'mariadb' ? 'MariaDB' : 'MySQL';
  say(`initialising ${title} in ${dataFolder} ...`);
  const unfinishedName = `${programs.flavour}${UNFINISHED}${randomBytes(6).toString('hex')}`;
  const unfinished = join(folder, unfinishedName);
  // A name relative to the working folder: mariadb-install-db breaks a path at its spaces.
  const commandLine = initialiserCommandLine(programs, `./${unfinishedName}`);
  const command = commandLine[0];
  // By `env`, since the script would break this path at its spaces too.
  const withFolder = [`TMPDIR=${temporaryFolder(folder)}`, ...commandLine];
  const result = await runProgram('/usr/bin/env', withFolder, INITIALISE_TIMEOUT_MS, folder);
  if (result.exitCode !== 0) {
    await rm(unfinished, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
    throw new Error(
      `${title} could not be initialised: ${command} ended with code ${result.exitCode}. Its last lines:\n${result.output}`,
    );
  }
  renameSync(unfinished, dataFolder);
  return dataFolder;
}

function initialiserCommandLine(programs: MysqlPrograms, dataFolder: string): [string, ...string[]] {
  const common = [`--datadir=${dataFolder}`, ...userArguments(), ...redoLogArguments(programs.flavour)];
  // Root gets an empty password here; the first start replaces it before it listens (see mysql.ts).
  if (programs.flavour === 'mysql') return [programs.server, '--no-defaults', '--initialize-insecure', ...common];
  return [
    programs.initialiser,
    '--no-defaults',
    // Root may come in by the socket alone and as the same user of the system alone: no password to guess.
    '--auth-root-authentication-method=socket',
    '--skip-test-db',
    '--skip-name-resolve',
    ...common,
    // Nothing is lost by a crash in here: the folder counts only once it is whole.
    '--innodb-flush-log-at-trx-commit=0',
  ];
}
