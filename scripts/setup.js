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
  console.log('fastpass: installing npm packages, half a minute the first time ...');
  // The versions of the lock file, which stays as it is. Not `npm ci`: that refuses a lock file without the optional
  // packages of every other platform, and not every registry offers all of them.
  const install = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  const npm = spawnSync('npm', install, { cwd: root, stdio: 'inherit' });
  if (npm.status !== 0) {
    console.error('fastpass: npm install failed; its message is above.');
    process.exit(npm.status ?? 1);
  }
}
