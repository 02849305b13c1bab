/** The home page, what is on sale: each performance says how it stands, now and when things go wrong. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessibilityFaults, useBrowser } from './browser.ts';
import { call, newUserId, startGateway, type TestGateway } from './harness.ts';
import { balance, button, cardOf, hold, logIn, newSale, reservationOf } from './home.ts';
import { startTcpProxy } from './tcp-proxy.ts';

const admin = { userId: newUserId(), role: 'admin' } as const;
const browser = useBrowser();
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway();
});

afterAll(() => gateway.stop());

describe('what is on sale', () => {
  it('says how each performance stands, and leads on', async () => {
    const hourMs = 3_600_000;
    const at = (ms: number): string => new Date(Date.now() + ms).toISOString();
    const open = await newSale(gateway.url);
    const soon = await newSale(gateway.url, {
      bookingOpensAt: at(2 * hourMs),
      seating: { kind: 'capacity', capacity: 40 },
    });
    const closed = await newSale(gateway.url, { bookingClosesAt: at(-hourMs) });
    const over = await newSale(gateway.url, { startsAt: at(-hourMs) });
    const few = await newSale(gateway.url, { seating: { kind: 'capacity', capacity: 10 }, maxReservationsPerUser: 9 });
    const userId = newUserId();
    const body = { performanceId: few.performanceId, partySize: 9 };
    expect((await call(gateway.url, 'POST', '/v1/reservations', { userId, body })).status).toBe(201);
    const room = { mode: 'on', admitPerSecond: 1, maxActive: 10 };
    const roomPath = `/v1/performances/${open.performanceId}/queue`;
    expect((await call(gateway.url, 'PUT', roomPath, { ...admin, body: room })).status).toBe(200);

    const { page, faults } = await browser.visitor(gateway.url);
    await page.goto('/');
    const join = cardOf(page, open).getByRole('link', { name: /^Join the waiting room/ });
    expect(await join.getAttribute('href')).toBe(`/performances/${open.performanceId}`);
    await cardOf(page, open).getByText('50 of 50 left').waitFor();
    await cardOf(page, soon)
      .getByText(/Opens in [12]:\d\d:\d\d/)
      .waitFor();
    await cardOf(page, soon)
      .getByRole('link', { name: /^See the places/ })
      .waitFor();
    await cardOf(page, closed).getByText('Booking closed').waitFor();
    await cardOf(page, over).getByText('Over', { exact: true }).waitFor();
    expect(await cardOf(page, over).getByRole('link').count()).toBe(0);
    await cardOf(page, few).getByText('Few left').waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);

    // The last one goes, and the page sees it by itself.
    expect(
      (await call(gateway.url, 'POST', '/v1/reservations', { userId, body: { ...body, partySize: 1 } })).status,
    ).toBe(201);
    await cardOf(page, few).getByText('Sold out').waitFor();
    expect(faults).toEqual([]);
  });

  it('is asked for while somebody looks, and not behind another tab', async () => {
    await newSale(gateway.url);
    const { page, faults } = await browser.visitor(gateway.url);
    let reads = 0;
    page.on('request', (request) => {
      if (request.url().endsWith('/performances')) reads++;
    });
    await page.clock.install();
    await page.goto('/');
    await page.locator('.performance').first().waitFor();
    await page.waitForLoadState('networkidle');
    const turn = async (isHidden: boolean): Promise<void> => {
      await page.evaluate(`
        Object.defineProperty(document, 'hidden', { configurable: true, value: ${isHidden} });
        document.dispatchEvent(new Event('visibilitychange'));
      `);
    };
    const renewed = page.waitForRequest(/\/performances$/);
    await page.clock.runFor(6000);
    await renewed;
    await page.waitForLoadState('networkidle');
    await turn(true);
    reads = 0;
    await page.clock.runFor(120_000);
    expect(reads).toBe(0);
    const again = page.waitForRequest(/\/performances$/);
    await turn(false);
    await again;
    expect(faults).toEqual([]);
  });

  it('is found among 60 events by its name, and read when it comes into view', async () => {
    const mark = `Festival ${newUserId()}`;
    for (let number = 1; number <= 60; number++) {
      const body = { name: `${mark} night ${String(number).padStart(2, '0')}` };
      expect((await call(gateway.url, 'POST', '/v1/events', { ...admin, body })).status).toBe(201);
    }
    const sale = await newSale(gateway.url);
    const { page, faults } = await browser.visitor(gateway.url, { viewport: { width: 360, height: 740 } });
    const read = new Set<string>();
    page.on('request', (request) => {
      if (request.url().endsWith('/performances')) read.add(request.url());
    });
    await page.goto('/');
    await cardOf(page, sale).getByText('50 of 50 left').waitFor();
    expect(read.size).toBeLessThan(15);
    const search = page.getByLabel('Search events');
    await search.fill(`${mark} night`);
    await page.getByText('60 of ').waitFor();
    expect(await page.locator('.event').count()).toBe(20);
    await button(page, /^Show more events/).click();
    await button(page, /^Show more events/).click();
    expect(await page.locator('.event').count()).toBe(60);
    await search.fill(`37 ${mark.toUpperCase()}`);
    await page.getByText('1 of ').waitFor();
    expect(await page.locator('.event h2').allTextContents()).toEqual([`${mark} night 37`]);
    await page.getByText('No dates yet.').waitFor();
    await search.fill('nothing has this name');
    await page.getByText('No event has this name.').waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    expect(faults).toEqual([]);
  });

  it('may be nothing yet, or not be read at first: then a sentence says so, and another try helps', async () => {
    const { page, faults } = await browser.visitor(gateway.url);
    await page.route('**/v1/events', (route) => route.abort());
    await page.goto('/');
    await page.getByText('There is no connection to the gateway.').waitFor({ timeout: 60_000 });
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.unroute('**/v1/events');
    await page.route('**/v1/events', (route) => route.fulfill({ json: { items: [] } }));
    await button(page, 'Try again').click();
    await page.getByText('Nothing is on sale yet.').waitFor();
    expect(await page.evaluate('document.activeElement.id')).toBe('content');
    expect(await accessibilityFaults(page)).toEqual([]);
    expect(faults).toEqual([]);
  });

  it('stays in sight while the gateway is away, which is said, and is renewed once it is back', async () => {
    const { hostname, port } = new URL(gateway.url);
    const proxy = await startTcpProxy(hostname, Number(port));
    try {
      const sale = await newSale(gateway.url);
      const userId = newUserId();
      const { page, context, faults } = await browser.visitor(`http://127.0.0.1:${proxy.port}`);
      await logIn(context, userId);
      await page.goto('/');
      await cardOf(page, sale).getByText('50 of 50 left').waitFor();
      await balance(page, '0.00');
      proxy.cut();
      const fault = page.locator('.on-sale .fault', { hasText: 'There is no connection to the gateway.' });
      await fault.waitFor({ timeout: 60_000 });
      expect(await cardOf(page, sale).getByText('50 of 50 left').count()).toBe(1);
      expect(await accessibilityFaults(page)).toEqual([]);
      proxy.restore();
      // By then it may have gone by itself.
      await page.evaluate("document.querySelector('.on-sale .fault button')?.click()");
      await fault.waitFor({ state: 'detached', timeout: 60_000 });
      await hold(gateway.url, userId, sale.performanceId, [1]);
      await cardOf(page, sale).getByText('49 of 50 left').waitFor();
      await reservationOf(page, sale).getByText('left to pay').waitFor();
      expect(faults).toEqual([]);
      await context.close();
    } finally {
      await proxy.close();
    }
  });
});
