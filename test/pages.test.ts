/** What holds for every page alike: it comes fast and small, leaves nothing to outsiders, and everybody can use it. */
import { get } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pages } from '../src/pages/page.ts';
import { accessibilityFaults, useBrowser } from './browser.ts';
import { createPerformance, spawnGateway, type TestGateway } from './harness.ts';

const browser = useBrowser();
let gateway: TestGateway;
let performanceId: number;

beforeAll(async () => {
  gateway = await spawnGateway();
  performanceId = await createPerformance(gateway.url, { seating: { kind: 'seated', seats: 50 } });
});

afterAll(() => gateway.stop());

const pathOf = (path: string): string => path.replace('{performanceId}', String(performanceId));

/** The addresses of assets in a text. */
const assetsIn = (text: string): string[] => [...new Set(text.match(/\/assets\/[\w./-]+/g))];

describe.for(pages)('the page $path', ({ path, title }) => {
  it('shows its first content within a second, loads under 100 KiB of scripts, and has no fault', async () => {
    const { page, faults } = await browser.visitor(gateway.url);
    let scriptBytes = 0;
    const session = await page.context().newCDPSession(page);
    await session.send('Network.enable');
    const scripts = new Set<string>();
    session.on('Network.responseReceived', ({ requestId, type }) => {
      if (type === 'Script') scripts.add(requestId);
    });
    session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      if (scripts.has(requestId)) scriptBytes += encodedDataLength;
    });
    await page.goto(pathOf(path));
    await page.locator('footer select').first().waitFor();
    await page.waitForLoadState('networkidle');
    const firstContentMs = await page.evaluate(
      () => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? Number.NaN,
    );
    console.log(
      `${path}: first content after ${Math.round(firstContentMs)} ms, ${(scriptBytes / 1024).toFixed(1)} KiB of scripts`,
    );
    expect(scriptBytes).toBeGreaterThan(1000);
    expect(scriptBytes).toBeLessThan(100 * 1024);
    expect(await page.locator('h1').count()).toBe(1);
    expect(await page.title()).toMatch(/fastpass$/);
    expect(title).not.toBe('');
    expect(faults).toEqual([]);
  });

  it.for([
    { name: 'in light colours, wide', options: { colorScheme: 'light', viewport: { width: 1280, height: 800 } } },
    {
      name: 'in dark colours, on a phone, in Korean',
      options: { colorScheme: 'dark', viewport: { width: 360, height: 740 }, locale: 'ko-KR' },
    },
  ] as const)('can be used by everybody $name', async ({ options }) => {
    const { page, faults } = await browser.visitor(gateway.url, options);
    await page.goto(pathOf(path));
    await page.locator('footer select').first().waitFor();
    await page.waitForLoadState('networkidle');
    expect(await accessibilityFaults(page)).toEqual([]);
    const overflow = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    expect(overflow).toBe(0);
    expect(await page.evaluate('document.documentElement.lang')).toBe('locale' in options ? 'ko' : 'en');
    expect(faults).toEqual([]);
  });

  it('allows no script, style or connection of anybody else, and is asked for each time', async () => {
    const answer = await fetch(gateway.url + pathOf(path));
    const policy = answer.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe-|\*|https?:/);
    expect(answer.headers.get('cache-control')).toBe('no-cache');
    const again = await fetch(gateway.url + pathOf(path), {
      headers: { 'if-none-match': answer.headers.get('etag')! },
    });
    expect(again.status).toBe(304);
  });
});

describe('what the pages load', () => {
  it('is kept for good under its version, comes compressed as asked, and the same whichever way', async () => {
    const html = await (await fetch(`${gateway.url}/`)).text();
    const assets = assetsIn(html);
    expect(assets.length).toBeGreaterThan(10);
    for (const path of assets) {
      const plain = await fetch(gateway.url + path, { headers: { 'accept-encoding': 'identity' } });
      expect([path, plain.status, plain.headers.get('cache-control')]).toEqual([
        path,
        200,
        'public, max-age=31536000, immutable',
      ]);
      expect(plain.headers.get('content-type')).toMatch(/^(text\/(javascript|css)|image\/svg\+xml); charset=utf-8$/);
      const body = Buffer.from(await plain.arrayBuffer());
      for (const [encoding, unpack] of [
        ['br', brotliDecompressSync],
        ['gzip', gunzipSync],
      ] as const) {
        const packed = await rawBody(gateway.url + path, encoding);
        expect(unpack(packed).equals(body)).toBe(true);
      }
    }
  });

  it('comes unkept under another version, and not at all from outside its folders', async () => {
    const html = await (await fetch(`${gateway.url}/`)).text();
    const known = assetsIn(html).find((path) => path.endsWith('public/style.css'))!;
    const other = await fetch(gateway.url + known.replace(/\/assets\/\w+/, '/assets/0123456789ab'));
    expect([other.status, other.headers.get('cache-control')]).toEqual([200, 'no-cache']);
    const version = known.split('/')[2];
    for (const path of [
      '../package.json',
      '%2e%2e/package.json',
      'package.json',
      'src/main.ts',
      'public/tsconfig.json',
      '',
    ]) {
      const { hostname, port } = new URL(gateway.url);
      expect([path, await statusOf(hostname, Number(port), `/assets/${version}/${path}`)]).toEqual([path, 404]);
    }
  });
});

/** The bytes as they were sent: fetch would unpack them. */
async function rawBody(url: string, encoding: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    get(url, { headers: { 'accept-encoding': encoding } }, (answer) => {
      expect(answer.headers['content-encoding']).toBe(encoding);
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => resolve(Buffer.concat(parts)));
    }).on('error', reject);
  });
}

/** Of a path that is sent as it stands: fetch would take `..` out of it. */
async function statusOf(host: string, port: number, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get({ host, port, path }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    }).on('error', reject);
  });
}
