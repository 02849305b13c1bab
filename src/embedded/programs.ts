import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** The two kinds of server this project can start. */
export type ServerKind = 'redis' | 'mysql';

export type MysqlPrograms =
  | { readonly flavour: 'mariadb'; readonly server: string; readonly initialiser: string }
  | { readonly flavour: 'mysql'; readonly server: string };

/** Where the servers of this machine lie, as absolute paths; undefined for what is missing. */
export interface Programs {
  readonly redis: string | undefined;
  readonly mysql: MysqlPrograms | undefined;
}

const SEARCH_TIMEOUT_MS = 5_000;

// The shell looks through PATH, and after it through the folders where packages put servers outside the PATH of
// ordinary users: sbin on Debian, libexec on Fedora, opt under Homebrew. One line for each name, empty when missing.
const SEARCH_SCRIPT = `
PATH="$PATH:/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/libexec:/opt/homebrew/bin"
PATH="$PATH:/opt/homebrew/opt/mariadb/bin:/usr/local/opt/mariadb/bin:/opt/homebrew/opt/mysql/bin:/usr/local/opt/mysql/bin"
for name do command -v "$name" || echo; done
`;

const runFile = promisify(execFile);

/** Looks for the server programs. Throws when the shell itself does not answer within five seconds. */
export async function findPrograms(): Promise<Programs> {
  // my_print_defaults is a helper mariadb-install-db cannot do without; Debian keeps it in another package.
  const names = ['redis-server', 'mariadbd', 'mariadb-install-db', 'my_print_defaults', 'mysqld'];
  const { stdout } = await runFile('/bin/sh', ['-c', SEARCH_SCRIPT, 'find-programs', ...names], {
    timeout: SEARCH_TIMEOUT_MS,
  });
  const [redis, mariadbd, initialiser, helper, mysqld] = stdout.split('\n').map((line) => line.trim());
  return { redis: redis || undefined, mysql: chooseMysql(mariadbd, initialiser, helper, mysqld) };
}

function chooseMysql(mariadbd = '', initialiser = '', helper = '', mysqld = ''): MysqlPrograms | undefined {
  if (mariadbd !== '') {
    // Beside mariadbd, mysqld is only its second name: an incomplete MariaDB does not become a MySQL by it.
    if (initialiser === '' || helper === '') return undefined;
    return { flavour: 'mariadb', server: mariadbd, initialiser };
  }
  return mysqld === '' ? undefined : { flavour: 'mysql', server: mysqld };
}
