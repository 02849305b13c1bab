/** The home page, the account: who one is, what one has, and what one holds, over lost answers and blocked sockets. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessibilityFaults, useBrowser, type Visitor } from './browser.ts';
import { call, newUserId, startGateway, type TestGateway, until } from './harness.ts';
import { balance, balanceOf, button, hold, logIn, newSale, put, reservationOf } from './home.ts';
import { newEmail } from './people.ts';

const browser = useBrowser();
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway();
});

afterAll(() => gateway.stop());

/** A visitor who is logged in, on the home page. */
async function visitorOf(userId: number): Promise<Visitor> {
  const visitor = await browser.visitor(gateway.url);
  await logIn(visitor.context, userId);
  await visitor.page.goto('/');
  return visitor;
}

/** Links inside a page and what follows an answer move the focus a moment later. */
const untilFocused = (page: Page, property: string, value: string): Promise<void> =>
  until(
    `the focus is on "${value}"`,
    async () => (await page.evaluate(`document.activeElement.${property}`)) === value,
    20_000,
  );

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
    await untilFocused(page, 'textContent', 'Your account');
    expect(await page.locator('.who .email').textContent()).toBe(email);

    const other = await context.newPage();
    await other.goto('/');
    await balance(other, '0.00');
    await button(page, 'Log out').click();
    await page.getByLabel('Password').waitFor();
    // In every tab.
    await other.getByLabel('Password').waitFor();
    await untilFocused(page, 'textContent', 'Log in');

    await page.keyboard.press('Enter');
    await untilFocused(page, 'name', 'email');
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
      await untilFocused(page, 'name', 'amount');
    }
    expect(await accessibilityFaults(page)).toEqual([]);
    await field.fill('1,234.50');
    await field.press('Enter');
    await balance(page, '1,234.50');
    expect(await balanceOf(gateway.url, userId)).toBe(123_450);
    await page.locator('.movements', { hasText: '+1,234.50' }).waitFor();
    expect(faults).toEqual([]);
  });

  it('reads again by itself what it could not read', async () => {
    const { page, context, faults } = await browser.visitor(gateway.url);
    await logIn(context, newUserId());
    await context.addInitScript('WebSocket = class { constructor() { throw new Error("blocked"); } }');
    await page.route('**/v1/balance/history*', (route) => route.abort());
    await page.goto('/');
    await page.getByText('—', { exact: true }).waitFor({ timeout: 45_000 });
    await page.unroute('**/v1/balance/history*');
    await page.getByText('No movements yet.').waitFor({ timeout: 45_000 });
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
    expect(await balanceOf(gateway.url, userId)).toBe(5000);
    expect(faults).toEqual([]);
  });
});

describe('own reservations', () => {
  it('made elsewhere appear with the time left, are paid, cancelled after a question, and their money is back', async () => {
    const userId = newUserId();
    const sale = await newSale(gateway.url);
    await put(gateway.url, userId, 4000);
    const { page, faults } = await visitorOf(userId);
    await page.getByText('No reservations yet.').waitFor();
    await hold(gateway.url, userId, sale.performanceId, [1, 12]);
    const mine = reservationOf(page, sale);
    await mine.getByText('Seats A-1, B-2').waitFor();
    expect(await mine.locator('.time').textContent()).toMatch(/[45]:[0-5]\d left to pay/);
    expect(await mine.getByRole('link').getAttribute('href')).toBe(`/performances/${sale.performanceId}`);
    await page.getByRole('link', { name: 'One reservation waits for your payment' }).waitFor();

    await button(mine, 'Pay 30.00').click();
    await page.locator('.notice', { hasText: `Paid: ${sale.eventName}, Seats A-1, B-2.` }).waitFor();
    await balance(page, '10.00');
    await untilFocused(page, 'textContent', 'Your reservations');

    const cancel = button(mine, 'Cancel');
    await cancel.click();
    const dialog = page.getByRole('dialog', { name: 'Cancel this reservation?' });
    await dialog.getByText('30.00 goes back to your balance').waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    expect(await balanceOf(gateway.url, userId)).toBe(1000);
    expect(await page.evaluate('document.activeElement.textContent')).toContain('Cancel');
    await cancel.click();
    await button(dialog, 'Cancel the reservation').click();
    await page.locator('.notice', { hasText: '30.00 is on your balance again.' }).waitFor();
    await balance(page, '40.00');
    expect(await balanceOf(gateway.url, userId)).toBe(4000);

    await page.getByText('Cancelled and expired').click();
    await page.locator('.reservation.ended', { hasText: sale.eventName }).waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    expect(faults).toEqual([]);
  });

  it('are told to be paid once, though the socket is faster than the answer', async () => {
    const userId = newUserId();
    const sale = await newSale(gateway.url);
    await put(gateway.url, userId, 4000);
    await hold(gateway.url, userId, sale.performanceId, [5]);
    const { page, faults } = await visitorOf(userId);
    const paid = page.locator('.notice', { hasText: `Paid: ${sale.eventName}, Seat A-5.` });
    await page.route('**/payments', async (route) => {
      const response = await route.fetch();
      await paid.waitFor();
      await route.fulfill({ response });
    });
    await button(reservationOf(page, sale), 'Pay 15.00').click();
    await untilFocused(page, 'textContent', 'Your reservations');
    expect(await paid.count()).toBe(1);
    expect(faults).toEqual([]);
  });

  it('are given back, and not paid with money that is missing, which the page leads to', async () => {
    const userId = newUserId();
    const sale = await newSale(gateway.url);
    await hold(gateway.url, userId, sale.performanceId, [3]);
    const { page, faults } = await visitorOf(userId);
    const mine = reservationOf(page, sale);
    await button(mine, 'Pay 15.00').click();
    await mine.getByText('Your balance is too low').waitFor();
    await mine.getByRole('link', { name: 'Charge the balance' }).click();
    await untilFocused(page, 'name', 'amount');
    await button(mine, 'Give back').click();
    await page.locator('.notice', { hasText: `Given back: ${sale.eventName}, Seat A-3.` }).waitFor();
    await mine.waitFor({ state: 'detached' });
    expect((await call(gateway.url, 'GET', `/v1/performances/${sale.performanceId}`)).body.remaining).toBe(50);
    expect(faults).toEqual([]);
  });

  it.for(['over a socket', 'where sockets are blocked'])('that expire say so without a reload, %s', async (way) => {
    const userId = newUserId();
    const sale = await newSale(gateway.url, { holdSeconds: 25 });
    const { page, context, faults } = await browser.visitor(gateway.url);
    await logIn(context, userId);
    if (way === 'over a socket') await quietReads(page);
    else await context.addInitScript('WebSocket = class { constructor() { throw new Error("blocked"); } }');
    const opened = page.waitForEvent('websocket', { timeout: way === 'over a socket' ? 20_000 : 1 }).catch(() => null);
    await hold(gateway.url, userId, sale.performanceId, [7]);
    await page.goto('/');
    await reservationOf(page, sale).getByText('left to pay').waitFor();
    expect((await opened) !== null).toBe(way === 'over a socket');
    await page
      .locator('.notice', { hasText: `The time to pay is over: ${sale.eventName}, Seat A-7.` })
      .waitFor({ timeout: 75_000 });
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
