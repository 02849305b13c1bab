import { expect, test } from 'vitest';
import { ensureInstalled, type Machine } from './install.ts';

const lines: string[] = [];
const say = (line: string) => {
  lines.push(line);
};

/** A machine without servers; `exitCodes` answers for the programs by name, all others are missing. */
function bareMachine(platform: string, isRoot: boolean, exitCodes: Record<string, number>) {
  const ran: string[] = [];
  const machine: Machine = {
    platform,
    isRoot,
    find: () => Promise.resolve({ redis: undefined, mysql: undefined }),
    run: (command, args) => {
      ran.push([command, ...args].join(' '));
      return Promise.resolve({ exitCode: exitCodes[command] ?? 127, output: `last words of ${command}` });
    },
  };
  return { machine, ran };
}

test('missing programs that cannot be installed are one error that says what to do', async () => {
  const { machine, ran } = bareMachine('linux', false, { 'apt-get': 0, sudo: 1 });
  const message =
    /^redis-server and MariaDB not found .* sudo apt-get install redis-server mariadb-server.*REDIS_URL and MYSQL_URL.*docker compose up/;
  await expect(ensureInstalled(['redis', 'mysql'], say, machine)).rejects.toThrow(message);
  expect(ran).toEqual(['apt-get --version', 'sudo -n true']);
  await expect(ensureInstalled(['redis'], say, bareMachine('linux', true, {}).machine)).rejects.toThrow(/not found/);
  await expect(ensureInstalled(['mysql'], say, bareMachine('darwin', false, {}).machine)).rejects.toThrow(
    /brew install mariadb/,
  );
});

test('an installer that fails is an error with its last lines', async () => {
  const { machine } = bareMachine('linux', true, { 'apt-get': 0, sh: 100 });
  await expect(ensureInstalled(['mysql'], say, machine)).rejects.toThrow(
    /apt-get could not install MariaDB: it ended with code 100.*last words of sh/s,
  );
  const { machine: macintosh, ran } = bareMachine('darwin', false, { brew: 0 });
  await expect(ensureInstalled(['redis', 'mysql'], say, macintosh)).rejects.toThrow(/brew reported success, yet/);
  expect(ran).toContain('brew install redis mariadb');
});

test('both kinds are installed in one run, and a second request finds them', async () => {
  let installed = false;
  const { machine, ran } = bareMachine('linux', false, { 'apt-get': 0, sudo: 0 });
  const programs = { redis: '/x/redis-server', mysql: { flavour: 'mysql', server: '/x/mysqld' } } as const;
  const changing: Machine = {
    ...machine,
    find: () => Promise.resolve(installed ? programs : { redis: undefined, mysql: undefined }),
    run: (command, args, timeoutMs) => {
      if (args.includes('fastpass-install')) installed = true;
      return machine.run(command, args, timeoutMs);
    },
  };
  await Promise.all([ensureInstalled(['redis', 'mysql'], say, changing), ensureInstalled(['mysql'], say, changing)]);
  const installations = ran.filter((line) => line.includes('fastpass-install'));
  expect(installations).toHaveLength(1);
  expect(installations[0]).toMatch(/^sudo -n sh -c .*fastpass-install redis mysql$/s);
  expect(lines.at(-1)).toBe('installed redis-server and MariaDB');
});
