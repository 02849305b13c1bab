import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { keepPassword, randomPassword, writePrivateFile } from './files.ts';
import { lockFolder, runningPort } from './folder-lock.ts';
import { ensureInstalled } from './install.ts';
import { initialisedDataFolder, redoLogArguments, temporaryFolder, userArguments } from './mysql-initialise.ts';
import { findPrograms, type MysqlPrograms } from './programs.ts';
import { socketFileFor } from './socket-file.ts';
import { type ServerPlan, startServer } from './supervise.ts';
import type { EmbeddedMysqlOptions, EmbeddedServer } from './types.ts';

/** Includes crash recovery after a kill. */
const START_TIMEOUT_MS = 60_000;
const PROBE_TIMEOUT_MS = 2_000;
const BUFFER_POOL_MB = 512;
/** Name of the database and of its user. */
const NAME = 'fastpass';

/**
 * Starts a private MariaDB (or MySQL, where only that is installed) with its data in `<dataDir>/mysql`, installing and
 * initialising it first where needed. Resolves when the user `fastpass` can query the database `fastpass`; that user
 * may also make and drop databases named `fastpass_...`.
 *
 * Throws an Error for people when it cannot be installed, the folder is in use, or it does not answer in 60 seconds.
 */
export async function startEmbeddedMysql(options: EmbeddedMysqlOptions): Promise<EmbeddedServer> {
  await ensureInstalled(['mysql'], options.say);
  const programs = (await findPrograms()).mysql;
  if (programs === undefined) throw new Error('MariaDB was removed while it was about to be started');

  const dataDir = resolve(options.dataDir);
  const folder = join(dataDir, 'mysql');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(folder, dataDir, options.say);
  try {
    const password = keepPassword(passwordFile(dataDir));
    const dataFolder = await initialisedDataFolder(folder, programs, options.say);
    const bufferPoolMb = options.bufferPoolMb ?? BUFFER_POOL_MB;
    return await startServer(planMysql(programs, folder, dataFolder, password, bufferPoolMb), lock, options);
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The URL of the server that a gateway has started on the folder; undefined when none runs. Starts nothing. */
export function runningMysqlUrl(dataDir: string): string | undefined {
  const port = runningPort(join(resolve(dataDir), 'mysql'));
  return port === undefined ? undefined : urlOf(port, keepPassword(passwordFile(resolve(dataDir))));
}

function passwordFile(dataDir: string): string {
  return join(dataDir, 'mysql.password');
}

function urlOf(port: number, password: string): string {
  return `mysql://${NAME}:${password}@127.0.0.1:${port}/${NAME}`;
}

function planMysql(
  programs: MysqlPrograms,
  folder: string,
  dataFolder: string,
  password: string,
  bufferPoolMb: number,
): ServerPlan {
  const accountsFile = join(folder, 'accounts.sql');
  const socketFile = socketFileFor(folder);
  return {
    title: programs.flavour === 'mariadb' ? 'MariaDB' : 'MySQL',
    folder,
    logFile: join(folder, 'error.log'),
    startTimeoutMs: START_TIMEOUT_MS,
    prepare(port) {
      writePrivateFile(accountsFile, accountsText(programs.flavour, password));
      return [
        programs.server,
        '--no-defaults',
        ...userArguments(),
        `--datadir=${dataFolder}`,
        `--tmpdir=${temporaryFolder(folder)}`,
        `--init-file=${accountsFile}`,
        `--socket=${socketFile}`,
        `--pid-file=${join(folder, 'mysqld.pid')}`,
        '--bind-address=127.0.0.1',
        `--port=${port}`,
        '--skip-name-resolve',
        ...redoLogArguments(programs.flavour),
        `--innodb-buffer-pool-size=${bufferPoolMb}M`,
        // A commit that was acknowledged survives a crash. No binary log: nobody replicates from here.
        '--innodb-flush-log-at-trx-commit=1',
        '--skip-log-bin',
        '--innodb-lock-wait-timeout=5',
        '--transaction-isolation=READ-COMMITTED',
        '--max-connections=200',
        '--performance-schema=OFF',
        '--character-set-server=utf8mb4',
        '--default-time-zone=+00:00',
        // No second protocol on a second port.
        ...(programs.flavour === 'mysql' ? ['--mysqlx=OFF'] : []),
      ];
    },
    probe: (port) => probeMysql(port, password),
    url: (port) => urlOf(port, password),
  };
}

/**
 * What the server executes at every start before it listens: so there is no moment with an open root account, and no
 * first start that was interrupted between data and accounts. One statement a line, as both servers want it.
 */
function accountsText(flavour: MysqlPrograms['flavour'], password: string): string {
  const lines = [`CREATE DATABASE IF NOT EXISTS ${NAME} CHARACTER SET utf8mb4;`];
  // MariaDB was initialised with root on the socket. In MySQL it gets a password nobody knows: this file is root.
  if (flavour === 'mysql') lines.push(`ALTER USER root@localhost IDENTIFIED BY '${randomPassword()}';`);
  for (const host of ['127.0.0.1', 'localhost']) {
    const user = `'${NAME}'@'${host}'`;
    lines.push(
      `CREATE USER IF NOT EXISTS ${user} IDENTIFIED BY '${password}';`,
      `ALTER USER ${user} IDENTIFIED BY '${password}';`,
      `GRANT ALL PRIVILEGES ON \`${NAME}\`.* TO ${user};`,
      // For tests: databases of their own. The underscore is escaped, or it would stand for any character.
      `GRANT ALL PRIVILEGES ON \`${NAME}\\_%\`.* TO ${user};`,
    );
  }
  return `${lines.join('\n')}\n`;
}

async function probeMysql(port: number, password: string): Promise<string | undefined> {
  try {
    const connection = await createConnection({
      host: '127.0.0.1',
      port,
      user: NAME,
      password,
      database: NAME,
      connectTimeout: PROBE_TIMEOUT_MS,
    });
    try {
      await connection.query({ sql: 'SELECT 1', timeout: PROBE_TIMEOUT_MS });
      // Says goodbye without waiting for an answer; a bare hang-up would be a warning in the log.
      await connection.end();
      return undefined;
    } finally {
      connection.destroy();
    }
  } catch (error) {
    return String(error);
  }
}
