/** The home page as its visitors walk it: what is on sale, the account with its charges, the own reservations. */
import type { BrowserContext, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessibilityFaults, useBrowser, type Visitor } from './browser.ts';
import { call, newUserId, startGateway, type TestGateway, tokenOf, until } from './harness.ts';
import { newEmail } from './people.ts';
import { startTcpProxy } from './tcp-proxy.ts';

const browser = useBrowser();
const admin = { userId: newUserId(), role: 'admin' } as const;
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway();
});

afterAll(() => gateway.stop());

interface Sale {
  readonly eventName: string;
  readonly performanceId: number;
}

/** An event with one performance of seats. */
async function newSale(fields: Readonly<Record<string, unknown>> = {}): Promise<Sale> {
  const eventName = `Evening ${newUserId()}`;
  const event = await call(gateway.url, 'POST', '/v1/events', { ...admin, body: { name: eventName } });
  const seating = { kind: 'seated', rows: 5, seatsPerRow: 10 };
  const body = { startsAt: '2035-01-01T20:00:00Z', price: 1500, seating, ...fields };
  const path = `/v1/events/${event.body.eventId}/performances`;
  const created = await call(gateway.url, 'POST', path, { ...admin, body });
  expect(created.status).toBe(201);
  return { eventName, performanceId: created.body.performanceId };
}

async function hold(userId: number, performanceId: number, seats: readonly number[]): Promise<string> {
  const held = await call(gateway.url, 'POST', '/v1/reservations', { userId, body: { performanceId, seats } });
  expect(held.status).toBe(201);
  return held.body.reservationId;
}

async function put(userId: number, amount: number): Promise<void> {
  const charged = await call(gateway.url, 'POST', '/v1/balance/charges', { userId, body: { amount } });
  expect(charged.status).toBe(201);
}

async function balanceOf(userId: number): Promise<number> {
  return (await call(gateway.url, 'GET', '/v1/balance', { userId })).body.balance;
}

/** From its next page on, the browser of `context` has somebody logged in. */
function logIn(context: BrowserContext, userId: number, accessToken = tokenOf(userId)): Promise<unknown> {
  const session = { accessToken, expiresAt: '2099-01-01T00:00:00Z', userId, role: 'user', email: 'mina@example.org' };
  const text = JSON.stringify(JSON.stringify(session));
  // Once: a reload must not undo what the page has done since.
  return context.addInitScript(`
    if (!sessionStorage.getItem('begun')) localStorage.setItem('fastpass.session', ${text});
    sessionStorage.setItem('begun', 'yes');
  `);
}

/** A visitor who is logged in, on the home page. */
async function visitorOf(userId: number): Promise<Visitor> {
  const visitor = await browser.visitor(gateway.url);
  await logIn(visitor.context, userId);
  await visitor.page.goto('/');
  return visitor;
}

const cardOf = (page: Page, { eventName }: Sale): Locator => page.locator('.event', { hasText: eventName });
const reservationOf = (page: Page, { eventName }: Sale): Locator =>
  page.locator('.reservation', { hasText: eventName });
const button = (within: Page | Locator, name: string | RegExp): Locator => within.getByRole('button', { name });
const balance = (page: Page, text: string): Promise<void> =>
  page.locator('.balance strong', { hasText: new RegExp(`^${text.replace('.', '\\.')}$`) }).waitFor();

describe('the account', () => {
  it('is made over the form, left, and entered again with the right password alone', async () => {
    const { page, context, faults } = await browser.visitor(gateway.url);
    const email = newEmail();
    await page.goto('/');
    await page.getByRole('link', { name: 'Log in' }).click();
    await button(page, 'No account yet? Sign up').click();
    await page.getByLabel('E-mail').fill(email);
    await page.getByLabel('Password').fill('a password of mine');
    await button(page, /^Sign up$/).click();
    await balance(page, '0.00');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Your account');
    expect(await page.locator('.who .email').textContent()).toBe(email);

    const other = await context.newPage();
    await other.goto('/');
    await balance(other, '0.00');
    await button(page, 'Log out').click();
    await page.getByLabel('Password').waitFor();
    // In every tab.
    await other.getByLabel('Password').waitFor();
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Log in');

    await page.keyboard.press('Enter');
    expect(await page.evaluate('document.activeElement.name')).toBe('email');
    await page.keyboard.type(email);
    await page.getByLabel('Password').fill('not the password');
    await page.keyboard.press('Enter');
    await page.getByText('Address or password is not right.').waitFor();
    await page.getByLabel('Password').fill('a password of mine');
    await page.keyboard.press('Enter');
    await balance(page, '0.00');
    await balance(other, '0.00');
    expect(faults).toEqual([]);
  });

  it('is there for who signs up twice with the same password: the first answer was lost', async () => {
    const { page, faults } = await browser.visitor(gateway.url);
    const body = { email: newEmail(), password: 'a password of mine' };
    expect((await call(gateway.url, 'POST', '/v1/users', { body })).status).toBe(201);
    await page.goto('/#account');
    await button(page, 'No account yet? Sign up').click();
    await page.getByLabel('E-mail').fill(body.email);
    await page.getByLabel('Password').fill('another password');
    await button(page, /^Sign up$/).click();
    await page.getByText('There is an account with this address already').waitFor();
    await page.getByLabel('Password').fill(body.password);
    await button(page, /^Sign up$/).click();
    await balance(page, '0.00');
    expect(faults).toEqual([]);
  });

  it('is forgotten once its token is refused', async () => {
    const { page, context, faults } = await browser.visitor(gateway.url);
    await logIn(context, newUserId(), 'no.good.token');
    await page.goto('/');
    await page.getByLabel('Password').waitFor();
    expect(await page.evaluate("localStorage.getItem('fastpass.session')")).toBeNull();
    expect(faults).toEqual([]);
  });

  it('is charged once over lost answers and a reload', async () => {
    const userId = newUserId();
    const { page, faults } = await visitorOf(userId);
    const keys: (string | undefined)[] = [];
    await page.route('**/v1/balance/charges', async (route) => {
      keys.push(route.request().headers()['idempotency-key']);
      await route.fetch();
      await route.abort();
    });
    // Two clicks at once are one.
    await page.evaluate("document.querySelectorAll('.amounts button').forEach((button) => button.click())");
    await page.getByText('It is not known whether 20.00 was charged').waitFor({ timeout: 60_000 });
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.reload();
    await page.getByText('It is not known whether 20.00 was charged').waitFor();
    await page.unroute('**/v1/balance/charges');
    const asked = page.waitForRequest('**/v1/balance/charges');
    await button(page, 'Ask again').click();
    keys.push((await asked).headers()['idempotency-key']);
    await page.getByText('20.00 charged. Your balance is 20.00.').last().waitFor();
    await balance(page, '20.00');
    expect(new Set(keys).size).toBe(1);
    expect((await call(gateway.url, 'GET', '/v1/balance/history', { userId })).body.items).toHaveLength(1);

    // Another one is another charge.
    await button(page, 'Charge 20.00').click();
    await balance(page, '40.00');
    expect(faults).toEqual([]);
  });

  it('takes an own amount, and says of what is none what is wrong with it', async () => {
    const userId = newUserId();
    const { page, faults } = await visitorOf(userId);
    const field = page.getByLabel('Another amount');
    for (const [typed, said] of [
      ['twenty', 'Type an amount, like 12.50.'],
      ['0', 'An amount from 0.01 to 10,000,000.00.'],
      ['10000000.01', 'An amount from 0.01 to 10,000,000.00.'],
    ] as const) {
      await field.fill(typed);
      await field.press('Enter');
      await page.locator('.fault-text', { hasText: said }).waitFor();
      expect(await page.evaluate('document.activeElement.name')).toBe('amount');
    }
    expect(await accessibilityFaults(page)).toEqual([]);
    await field.fill('1,234.50');
    await field.press('Enter');
    await balance(page, '1,234.50');
    expect(await balanceOf(userId)).toBe(123_450);
    expect(await page.locator('.movements').textContent()).toContain('+1,234.50');
    expect(faults).toEqual([]);
  });

  it('is walked by keyboard alone, from the top to a charge', async () => {
    const userId = newUserId();
    const { page, faults } = await visitorOf(userId);
    await balance(page, '0.00');
    const focused = (): Promise<string> => page.evaluate('document.activeElement.textContent.trim()');
    const tabTo = async (text: string): Promise<void> => {
      for (let presses = 0; (await focused()) !== text; presses++) {
        expect(presses, `tabs to "${text}"`).toBeLessThan(12);
        await page.keyboard.press('Tab');
      }
    };
    await tabTo('Skip to the content');
    await tabTo('Your account and reservations');
    await page.keyboard.press('Enter');
    await until('the account has the focus', async () => (await focused()) === 'Your account');
    await tabTo('Charge 50.0050.00');
    await page.keyboard.press('Enter');
    await balance(page, '50.00');
    // The way goes on from where it was.
    expect(await focused()).toBe('Charge 50.0050.00');
    expect(await balanceOf(userId)).toBe(5000);
    expect(faults).toEqual([]);
  });
});

describe('own reservations', () => {
  it('made elsewhere appear with the time left, are paid, cancelled after a question, and their money is back', async () => {
    const userId = newUserId();
    const sale = await newSale();
    await put(userId, 4000);
    const { page, faults } = await visitorOf(userId);
    await page.getByText('No reservations yet.').waitFor();
    await hold(userId, sale.performanceId, [1, 12]);
    const mine = reservationOf(page, sale);
    await mine.getByText('Seats A-1, B-2').waitFor();
    expect(await mine.locator('.time').textContent()).toMatch(/[45]:[0-5]\d left to pay/);
    expect(await mine.getByRole('link').getAttribute('href')).toBe(`/performances/${sale.performanceId}`);
    expect(await page.getByRole('link', { name: 'One reservation waits for your payment' }).count()).toBe(1);

    await button(mine, 'Pay 30.00').click();
    await page.locator('.notice', { hasText: `Paid: ${sale.eventName}, Seats A-1, B-2.` }).waitFor();
    await balance(page, '10.00');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Your reservations');

    const cancel = button(mine, 'Cancel');
    await cancel.click();
    const dialog = page.getByRole('dialog', { name: 'Cancel this reservation?' });
    await dialog.getByText('30.00 goes back to your balance').waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    expect(await balanceOf(userId)).toBe(1000);
    expect(await page.evaluate('document.activeElement.textContent')).toContain('Cancel');
    await cancel.click();
    await button(dialog, 'Cancel the reservation').click();
    await page.locator('.notice', { hasText: '30.00 is on your balance again.' }).waitFor();
    await balance(page, '40.00');
    expect(await balanceOf(userId)).toBe(4000);

    await page.getByText('Cancelled and expired').click();
    await page.locator('.reservation.ended', { hasText: sale.eventName }).waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    expect(faults).toEqual([]);
  });

  it('are given back, and not paid with money that is missing, which the page leads to', async () => {
    const userId = newUserId();
    const sale = await newSale();
    await hold(userId, sale.performanceId, [3]);
    const { page, faults } = await visitorOf(userId);
    const mine = reservationOf(page, sale);
    await button(mine, 'Pay 15.00').click();
    await mine.getByText('Your balance is too low').waitFor();
    await mine.getByRole('link', { name: 'Charge the balance' }).click();
    expect(await page.evaluate('document.activeElement.name')).toBe('amount');
    await button(mine, 'Give back').click();
    await page.locator('.notice', { hasText: `Given back: ${sale.eventName}, Seat A-3.` }).waitFor();
    await mine.waitFor({ state: 'detached' });
    expect((await call(gateway.url, 'GET', `/v1/performances/${sale.performanceId}`)).body.remaining).toBe(50);
    expect(faults).toEqual([]);
  });

  it.for(['over a socket', 'where sockets are blocked'])('that expire say so without a reload, %s', async (way) => {
    const userId = newUserId();
    const sale = await newSale({ holdSeconds: 15 });
    const { page, context, faults } = await browser.visitor(gateway.url);
    await logIn(context, userId);
    if (way === 'over a socket') await quietReads(page);
    else await context.addInitScript('WebSocket = class { constructor() { throw new Error("blocked"); } }');
    const opened = page.waitForEvent('websocket', { timeout: way === 'over a socket' ? 20_000 : 1 }).catch(() => null);
    await hold(userId, sale.performanceId, [7]);
    await page.goto('/');
    await reservationOf(page, sale).getByText('left to pay').waitFor();
    expect((await opened) !== null).toBe(way === 'over a socket');
    await page
      .locator('.notice', { hasText: `The time to pay is over: ${sale.eventName}, Seat A-7.` })
      .waitFor({ timeout: 60_000 });
    await reservationOf(page, sale).waitFor({ state: 'detached' });
    expect(faults).toEqual([]);
  });
});

/** Timers of the page that would ask by themselves never come: what it hears, it hears over its socket. */
async function quietReads(page: Page): Promise<void> {
  await page.addInitScript(`
    const { setTimeout: platform } = globalThis;
    globalThis.setTimeout = (callback, ms, ...rest) => (ms >= 3000 ? 0 : platform(callback, ms, ...rest));
  `);
}

describe('what is on sale', () => {
  it('says how each performance stands, and leads on', async () => {
    const hourMs = 3_600_000;
    const at = (ms: number): string => new Date(Date.now() + ms).toISOString();
    const open = await newSale();
    const soon = await newSale({ bookingOpensAt: at(2 * hourMs), seating: { kind: 'capacity', capacity: 40 } });
    const closed = await newSale({ bookingClosesAt: at(-hourMs) });
    const over = await newSale({ startsAt: at(-hourMs) });
    const few = await newSale({ seating: { kind: 'capacity', capacity: 10 }, maxReservationsPerUser: 9 });
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
    await newSale();
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
    const sale = await newSale();
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
      const sale = await newSale();
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
      await button(fault, 'Try again').click();
      await fault.waitFor({ state: 'detached', timeout: 60_000 });
      await hold(userId, sale.performanceId, [1]);
      await cardOf(page, sale).getByText('49 of 50 left').waitFor();
      await reservationOf(page, sale).getByText('left to pay').waitFor();
      expect(faults).toEqual([]);
      await context.close();
    } finally {
      await proxy.close();
    }
  });
});
