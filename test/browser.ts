/** A real browser for the tests of the pages, one for a whole file, and what they look at in a page. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { installMsMax, launchBrowser } from './chromium.ts';

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
