/** A real browser for the tests of the pages: found, or installed with the system's package manager; one for a whole file. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { runProgram } from '../src/embedded/run.ts';

const candidates = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const onMac = '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome';
const installMsMax = 600_000;
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

/** What a page must never do: each is a line here. */
export interface Faults {
  readonly lines: string[];
}

/** A visitor: a browser of its own, with nothing kept. */
export interface Visitor {
  readonly context: BrowserContext;
  readonly page: Page;
  /** Console errors, uncaught errors, requests that leave the origin; answers that are refusals are no errors of a page. */
  readonly faults: readonly string[];
}

/** The browser of this test file, and a way to open visitors, who are gone after the file. */
export function useBrowser(): { visitor(url: string, options?: BrowserContextOptions): Promise<Visitor> } {
  let browser: Browser | null = null;
  beforeAll(async () => {
    browser = await launchBrowser();
  }, installMsMax);
  afterAll(() => browser?.close());
  return {
    async visitor(url, options = {}) {
      const context = await browser!.newContext({ baseURL: url, locale: 'en-GB', ...options });
      // A page that does not say within this what a test waits for is not going to.
      context.setDefaultTimeout(20_000);
      const page = await context.newPage();
      const faults: string[] = [];
      watchFaults(page, url, faults);
      return { context, page, faults };
    },
  };
}

/** Chromium writes a line for each answer of 400 and above, and for each lost connection: those a test may well provoke. */
const ownDoing = /Failed to load resource|net::ERR_|WebSocket connection to/;

function watchFaults(page: Page, url: string, faults: string[]): void {
  page.on('console', (message) => {
    if (message.type() === 'error' && !ownDoing.test(message.text())) faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`uncaught: ${error.stack ?? error.message}`));
  const { host } = new URL(url);
  const isOutside = (address: string): boolean =>
    !/^(data|blob|about):/.test(address) && new URL(address).host !== host;
  page.on('request', (request) => {
    if (isOutside(request.url())) faults.push(`left the origin: ${request.url()}`);
  });
  page.on('websocket', (socket) => {
    if (isOutside(socket.url())) faults.push(`left the origin: ${socket.url()}`);
  });
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe-core finds wrong with a page as it is now, one line a rule; empty for nothing. WCAG 2.2 A and AA, and best practice. */
export async function accessibilityFaults(page: Page): Promise<string[]> {
  // Past the page's own policy, which allows no script of ours: axe runs in the world of the test.
  const session = await page.context().newCDPSession(page);
  await session.send('Page.setBypassCSP', { enabled: true });
  try {
    await page.evaluate(axeSource);
    return await page.evaluate(async () => {
      const { axe } = globalThis as unknown as {
        axe: {
          run(): Promise<{
            violations: { id: string; help: string; nodes: { target: unknown[]; failureSummary?: string }[] }[];
          }>;
        };
      };
      const { violations } = await axe.run();
      return violations.map(
        ({ id, help, nodes }) =>
          `${id}: ${help}: ${nodes.map(({ target, failureSummary }) => `${target.join(' ')} (${failureSummary})`).join('; ')}`,
      );
    });
  } finally {
    await session.detach();
  }
}
