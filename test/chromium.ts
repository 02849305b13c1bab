/** A real Chromium, headless: found, or installed with the system's package manager. */
import { type Browser, chromium } from 'playwright-core';
import { runProgram } from '../src/embedded/run.ts';

const candidates = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const onMac = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome';
export const installMsMax = 600_000;
const installScript = `
set -eu
export DEBIAN_FRONTEND=noninteractive
sudo=
[ "$(id -u)" = 0 ] || sudo='sudo -n'
$sudo apt-get -q -o DPkg::Lock::Timeout=120 update || true
$sudo apt-get -q -y -o DPkg::Lock::Timeout=120 --no-install-recommends install chromium fonts-noto-cjk
`;

async function findChromium(): Promise<string | null> {
  for (const path of process.platform === 'darwin' ? [onMac] : candidates) {
    if ((await runProgram(path, ['--version'], 20_000)).exitCode === 0) return path;
  }
  return null;
}

/** The path of a Chromium; throws where there is none and none can be installed. */
export async function ensureChromium(): Promise<string> {
  const found = await findChromium();
  if (found !== null) return found;
  console.log('fastpass: installing Chromium for the tests of the pages ...');
  const command =
    process.platform === 'darwin' ? ['brew', 'install', '--cask', 'google-chrome'] : ['/bin/sh', '-c', installScript];
  const { exitCode, output } = await runProgram(command[0]!, command.slice(1), installMsMax);
  const installed = exitCode === 0 ? await findChromium() : null;
  if (installed === null) throw new Error(`Chromium is not installed and could not be:\n${output}`);
  return installed;
}

/** Starts a browser; the caller closes it. */
export async function launchBrowser(): Promise<Browser> {
  const executablePath = await ensureChromium();
  // Chromium's sandbox refuses root, and a container's /dev/shm is small: it opens no page but ours.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'] });
}
