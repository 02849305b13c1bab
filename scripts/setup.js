// Runs before every npm script, on whatever Node started npm: installs the packages of package-lock.json where they
// are missing or older than the lock file. Plain JavaScript without imports of packages, since none may be there yet.
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Time of the last change of a file in milliseconds, or 0 where there is none. */
function modifiedAtMs(path) {
  return statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  console.error(`fastpass needs Node 20 or newer to install itself; this is ${process.version}.`);
  process.exit(1);
}

if (modifiedAtMs('node_modules/.package-lock.json') < modifiedAtMs('package-lock.json')) {
  console.log('fastpass: installing npm packages (npm ci), half a minute the first time ...');
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: 'inherit' });
  if (npm.status !== 0) {
    console.error('fastpass: npm ci failed; its message is above.');
    process.exit(npm.status ?? 1);
  }
}
