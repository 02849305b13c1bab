/** The seats page in a real browser: choosing by every way there is, holding, paying, losing, and what others see of it. */
import type { BrowserContextOptions, Page, Route } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessibilityFaults, useBrowser, type Visitor } from './browser.ts';
import {
  brokenPromises,
  call,
  createPerformance,
  newUserId,
  patient,
  startGateway,
  type TestGateway,
  tokenOf,
} from './harness.ts';

const browser = useBrowser();
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startGateway(patient);
});

afterAll(() => gateway.stop());

const price = 4500;
const seated = (seats: number): object => ({ kind: 'seated', seats });

function createSale(fields: Readonly<Record<string, unknown>>): Promise<number> {
  return createPerformance(gateway.url, { price, ...fields });
}

interface Buyer extends Visitor {
  readonly userId: number;
}

/** Somebody who is logged in, with `balance`, before the page of a performance. */
async function buyer(
  performanceId: number,
  { balance = 0, options }: { balance?: number; options?: BrowserContextOptions } = {},
): Promise<Buyer> {
  const userId = newUserId();
  if (balance > 0) await call(gateway.url, 'POST', '/v1/balance/charges', { userId, body: { amount: balance } });
  const visitor = await browser.visitor(gateway.url, options);
  const session = {
    accessToken: tokenOf(userId),
    expiresAt: '2099-01-01T00:00:00Z',
    userId,
    role: 'user',
    email: 'kim@example.com',
  };
  const text = JSON.stringify(JSON.stringify(session));
  await visitor.context.addInitScript(`localStorage.setItem('fastpass.session', ${text})`);
  await visitor.page.goto(`/performances/${performanceId}`);
  return { ...visitor, userId };
}

/** Holds seats as somebody else, over the API. */
async function holdAsAnother(
  performanceId: number,
  places: object,
): Promise<{ userId: number; reservationId: string }> {
  const userId = newUserId();
  const held = await call(gateway.url, 'POST', '/v1/reservations', { userId, body: { performanceId, ...places } });
  expect(held.status).toBe(201);
  return { userId, reservationId: held.body.reservationId };
}

async function giveBackAs({ userId, reservationId }: { userId: number; reservationId: string }): Promise<void> {
  const answer = await call(gateway.url, 'DELETE', `/v1/reservations/${reservationId}`, { userId });
  expect(answer.status).toBe(200);
}

const heading = (page: Page, name: string | RegExp) => page.getByRole('heading', { name });
const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name });
/** The number of the legend: free, held, taken, mine. */
const counted = (page: Page, look: string, value: number) =>
  page.locator(`[data-count=${look}]`, { hasText: new RegExp(`^${value.toLocaleString('en')}$`) });
const connected = (page: Page) => page.locator('[data-connection=live]').waitFor();

async function type(page: Page, labels: string): Promise<void> {
  await page.getByLabel('Or type seats').fill(labels);
  await page.getByLabel('Or type seats').press('Enter');
}

async function expectUsable({ page, faults }: Visitor): Promise<void> {
  expect(await accessibilityFaults(page)).toEqual([]);
  expect(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')).toBe(0);
  expect(faults).toEqual([]);
}

describe('a hold', () => {
  it('is chosen, held and paid by keyboard alone, and found again after a reload', async () => {
    const performanceId = await createSale({ seating: { kind: 'seated', rows: 10, seatsPerRow: 10 } });
    const visitor = await buyer(performanceId, { balance: price });
    const { page } = visitor;
    await button(page, 'Find the best').waitFor();
    await page.keyboard.press('Tab');
    const focused = (): Promise<string> => page.evaluate('document.activeElement.className');
    for (let i = 0; i < 15 && (await focused()) !== 'map-canvas'; i++) await page.keyboard.press('Tab');
    expect(await focused()).toBe('map-canvas');
    for (const key of ['ArrowDown', 'ArrowDown', 'ArrowRight', 'End', 'ArrowLeft']) await page.keyboard.press(key);
    await page.locator('[role=status]', { hasText: 'C-9, 45.00, Free' }).waitFor();
    await page.keyboard.press('Enter');
    await page.locator('[role=status]', { hasText: 'C-9 chosen. 1 seat.' }).waitFor();
    await page.keyboard.press('Home');
    await page.keyboard.press('Space');
    await button(page, 'Hold 2 seats').waitFor();
    await page.keyboard.press('Space');
    await button(page, 'Hold 1 seat').waitFor();
    await expectUsable(visitor);
    for (let i = 0; i < 20 && (await focused()) !== 'primary'; i++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await heading(page, 'Held for you').waitFor();
    expect(await page.evaluate('document.activeElement.id')).toBe('hold-title');
    await expectUsable(visitor);

    await page.reload();
    await heading(page, 'Held for you').waitFor();
    expect(await page.locator('.hold .places').textContent()).toContain('C-9');
    await counted(page, 'mine', 1).waitFor();
    for (let i = 0; i < 15 && (await focused()) !== 'primary'; i++) await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await heading(page, 'These places are yours').waitFor();
    await page.getByText('Your balance is now 0.00.').waitFor();
    await counted(page, 'taken', 1).waitFor();
    await expectUsable(visitor);

    await page.reload();
    await heading(page, 'You have places for this performance').waitFor();
    await expectUsable(visitor);
    expect(await brokenPromises(performanceId)).toEqual([]);
  });

  it('is seen as sold by a second browser at once: printed, within 300 ms of the answer to its payment', async () => {
    const rounds = 5;
    const performanceId = await createSale({ seating: seated(50), maxReservationsPerUser: rounds });
    const payer = await buyer(performanceId, { balance: rounds * price });
    const watcher = await buyer(performanceId);
    await Promise.all([connected(payer.page), connected(watcher.page)]);
    // Every change of the count, with its moment.
    await watcher.page.evaluate(`
      window.seen = {};
      const place = document.querySelector('[data-count=taken]');
      const look = () => { window.seen[place.textContent] ??= performance.timeOrigin + performance.now(); };
      new MutationObserver(look).observe(place, { characterData: true, childList: true, subtree: true });
    `);
    const delays: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      await type(payer.page, `A-${round}`);
      await button(payer.page, 'Hold 1 seat').click();
      await button(payer.page, 'Pay 45.00').click();
      await heading(payer.page, 'These places are yours').waitFor();
      await counted(watcher.page, 'taken', round).waitFor();
      const seenAtMs: number = await watcher.page.evaluate(`window.seen['${round}']`);
      const answeredAtMs: number = await payer.page.evaluate(`
        performance.timeOrigin + performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('/payments')).at(-1).responseEnd
      `);
      delays.push(Math.max(0, seenAtMs - answeredAtMs));
      if (round < rounds) await button(payer.page, 'Book more').click();
    }
    const median = delays.toSorted((a, b) => a - b)[Math.floor(rounds / 2)]!;
    console.log(`sold in a second browser after ${delays.map(Math.round).join(', ')} ms; median ${Math.round(median)}`);
    // Well below 300 ms on a machine at rest. On a busy one only this is certain: the socket told it, not the next read, 20 s later.
    expect(median).toBeLessThan(5000);
    expect([...payer.faults, ...watcher.faults]).toEqual([]);
  });

  it('that is not paid in time says so, and its places are free for another try', async () => {
    const performanceId = await createSale({ seating: seated(50), holdSeconds: 8 });
    const visitor = await buyer(performanceId);
    const { page } = visitor;
    await type(page, 'A-7, a8');
    await button(page, 'Hold 2 seats').click();
    await heading(page, 'Held for you').waitFor();
    await page.getByText('Missing').waitFor();
    await heading(page, 'The time is over').waitFor();
    await expectUsable(visitor);
    await counted(page, 'free', 50).waitFor();
    await button(page, 'Choose anew').click();
    await page.getByText('No seat yet.').waitFor();
    await counted(page, 'mine', 0).waitFor();
    expect(visitor.faults).toEqual([]);
  });

  it('is charged for where it is paid, and can be given back', async () => {
    const performanceId = await createSale({ seating: seated(50) });
    const visitor = await buyer(performanceId, { balance: 1000 });
    const { page } = visitor;
    await type(page, 'A-1 A-2');
    await button(page, 'Hold 2 seats').click();
    expect(await page.getByLabel('Amount to charge').inputValue()).toBe('80.00');
    expect(await button(page, 'Pay 90.00').isDisabled()).toBe(true);
    await button(page, 'Charge').click();
    await page.locator('.hold .primary:enabled:focus', { hasText: 'Pay 90.00' }).waitFor();
    await button(page, 'Give back').click();
    await page.getByText('Given back: the places are free again.').first().waitFor();
    await counted(page, 'free', 50).waitFor();
    await expectUsable(visitor);
  });

  it('whose answer was lost is asked for again, and made once', async () => {
    // A second one is allowed: nothing but the key keeps it from being asked for.
    const performanceId = await createSale({ seating: seated(50), maxReservationsPerUser: 2 });
    const { page, faults } = await buyer(performanceId, { balance: price });
    await type(page, 'A-3');
    // The gateway holds it, but what it says never comes; nor does it for the client's own repeats.
    let asked = 0;
    await page.route('**/v1/reservations', async (route) => {
      if (route.request().method() !== 'POST') return route.continue();
      asked++;
      if (asked === 1) await route.fetch();
      return route.abort('connectionreset');
    });
    await button(page, 'Hold 1 seat').click();
    await page.getByText('nothing is held twice').first().waitFor({ timeout: 40_000 });
    await counted(page, 'held', 1).waitFor();
    expect(asked).toBeGreaterThan(1);
    await page.unroute('**/v1/reservations');
    await button(page, 'Ask again').click();
    await heading(page, 'Held for you').waitFor();
    const loseAnswer = async (route: Route): Promise<void> => {
      await route.fetch();
      await route.abort('connectionreset');
    };
    await page.route('**/payments', loseAnswer, { times: 1 });
    await button(page, 'Pay 45.00').click();
    await page.getByRole('heading', { name: /yours|You have places/ }).waitFor();
    await counted(page, 'taken', 1).waitFor();
    expect(await brokenPromises(performanceId)).toEqual([]);
    expect(faults).toEqual([]);
  });

  it('whose answer was lost stands before any other, and is nothing to who logs in next', async () => {
    const performanceId = await createSale({ seating: seated(50), maxReservationsPerUser: 2 });
    const { page, context, faults } = await buyer(performanceId);
    await connected(page);
    await type(page, 'A-5, A-6');
    await holdAsAnother(performanceId, { seats: [5] });
    await button(page, 'Take A-4').waitFor();
    await page.route('**/v1/reservations', (route) => route.abort('connectionreset'));
    await button(page, 'Hold 1 seat').click();
    await button(page, 'Ask again').waitFor({ timeout: 40_000 });
    expect(await button(page, 'Take A-4').isDisabled()).toBe(true);
    await page.unroute('**/v1/reservations');
    // Another tab: somebody else logs in.
    const other = await context.newPage();
    await other.goto('/docs');
    const userId = newUserId();
    const session = {
      accessToken: tokenOf(userId),
      expiresAt: '2099-01-01T00:00:00Z',
      userId,
      role: 'user',
      email: 'lee@example.com',
    };
    await other.evaluate(`localStorage.setItem('fastpass.session', ${JSON.stringify(JSON.stringify(session))})`);
    await page.getByText('lee@example.com').waitFor();
    await button(page, 'Ask again').waitFor({ state: 'detached' });
    await button(page, 'Take A-4').click();
    await button(page, 'Hold 2 seats').click();
    await heading(page, 'Held for you').waitFor();
    expect(faults).toEqual([]);
  });

  it('that is answered after its owner has logged out elsewhere is not shown to who is here now', async () => {
    const performanceId = await createSale({ seating: seated(50) });
    const { page, context, faults } = await buyer(performanceId);
    await type(page, 'A-5');
    const isAsked = Promise.withResolvers<void>();
    const isLeft = Promise.withResolvers<void>();
    await page.route('**/v1/reservations', async (route) => {
      const response = await route.fetch();
      isAsked.resolve();
      await isLeft.promise;
      await route.fulfill({ response });
    });
    await button(page, 'Hold 1 seat').click();
    await isAsked.promise;
    const other = await context.newPage();
    await other.goto('/docs');
    await other.evaluate(`localStorage.removeItem('fastpass.session')`);
    await page.getByText('Log in to hold your places.').waitFor();
    isLeft.resolve();
    // For the page it is a seat like any other now, and held by somebody.
    await page.locator('.lost', { hasText: 'Somebody was faster: A-5.' }).waitFor();
    expect(await heading(page, 'Held for you').count()).toBe(0);
    expect(faults).toEqual([]);
  });

  it('that there is already is shown instead of another one', async () => {
    const performanceId = await createSale({ seating: seated(50) });
    const { page, userId, faults } = await buyer(performanceId);
    await type(page, 'A-5');
    await button(page, 'Hold 1 seat').waitFor();
    await call(gateway.url, 'POST', '/v1/reservations', { userId, body: { performanceId, seats: [20] } });
    await button(page, 'Hold 1 seat').click();
    await heading(page, 'Held for you').waitFor();
    expect((await page.locator('.hold .places').textContent())?.trim()).toBe('A-20');
    expect(faults).toEqual([]);
  });
});

describe('seats that somebody else was faster for', () => {
  it('are named, and one click holds the nearest ones', async () => {
    const performanceId = await createSale({ seating: { kind: 'seated', rows: 10, seatsPerRow: 10 } });
    const visitor = await buyer(performanceId);
    const { page } = visitor;
    await connected(page);
    await type(page, 'B-3, B-4, E-5');
    await button(page, 'Hold 3 seats').waitFor();
    const beFaster = async (route: Route): Promise<void> => {
      await holdAsAnother(performanceId, { seats: [13, 14] });
      await route.continue();
    };
    await page.route('**/v1/reservations', beFaster, { times: 1 });
    await button(page, 'Hold 3 seats').click();
    await page.locator('.lost', { hasText: 'Somebody was faster: B-3, B-4.' }).waitFor();
    await page.locator('.lost', { hasText: 'Nearest free: A-3, A-4.' }).waitFor();
    await expectUsable(visitor);
    await button(page, 'Hold E-5, A-3, A-4').click();
    await heading(page, 'Held for you').waitFor();
    expect(await page.locator('.hold .places li').allTextContents()).toEqual(['A-3', 'A-4', 'E-5']);
  });

  it('go from the choice under one’s hands, with the nearest offered', async () => {
    const performanceId = await createSale({ seating: seated(50) });
    const { page, faults } = await buyer(performanceId);
    await connected(page);
    await type(page, 'A-5, A-6');
    await holdAsAnother(performanceId, { seats: [5] });
    await page.locator('.lost', { hasText: 'Somebody was faster: A-5.' }).waitFor();
    await button(page, 'Hold 1 seat').waitFor();
    await button(page, 'Take A-4').click();
    await button(page, 'Hold 2 seats').waitFor();
    expect(faults).toEqual([]);
  });

  it('may be all there are: sold out, until one comes back', async () => {
    const performanceId = await createSale({ seating: seated(3) });
    const other = await holdAsAnother(performanceId, { seats: [1, 2, 3] });
    const visitor = await buyer(performanceId);
    const { page } = visitor;
    await heading(page, 'Sold out').waitFor();
    await connected(page);
    await expectUsable(visitor);
    await giveBackAs(other);
    await page.locator('[data-remaining="3"]').waitFor();
    await heading(page, 'Sold out').waitFor({ state: 'detached' });
    await button(page, 'Find the best').click();
    await button(page, 'Hold 2 seats').click();
    await heading(page, 'Held for you').waitFor();
    expect(visitor.faults).toEqual([]);
  });
});

describe('the map', () => {
  /** Where seat `row`, `column` lies on the canvas of a hall that is seen whole: asked of the layout the page has, too. */
  async function clickSeat(page: Page, seat: number, seats: number, seatsPerRow: number): Promise<void> {
    const { Layout } = await import('../public/seats/layout.ts');
    const { fitView } = await import('../public/seats/viewport.ts');
    const layout = new Layout({ seats, seatsPerRow });
    const canvas = page.locator('.map-canvas');
    const box = (await canvas.boundingBox())!;
    const view = fitView(layout, box);
    const place = layout.placeOf(seat);
    const at = { x: (place.x + 0.5 - view.x) * view.scale, y: (place.y + 0.5 - view.y) * view.scale };
    await canvas.hover({ position: at });
    await canvas.click({ position: at });
  }

  it('of 1,000 seats is chosen from by mouse, zoomed and moved', async () => {
    const performanceId = await createSale({ seating: { kind: 'seated', rows: 20, seatsPerRow: 50 } });
    const { page, faults } = await buyer(performanceId);
    await counted(page, 'free', 1000).waitFor();
    await clickSeat(page, 523, 1000, 50);
    await page.locator('.map-tip', { hasText: 'K-23, 45.00, Yours' }).waitFor();
    await clickSeat(page, 524, 1000, 50);
    await button(page, 'Hold 2 seats').waitFor();
    await button(page, 'Drop K-23').click();
    await button(page, 'Hold 1 seat').waitFor();
    // Zoomed in and out again, and moved about, the seat is where it was.
    const canvas = page.locator('.map-canvas');
    await canvas.hover({ position: { x: 300, y: 200 } });
    await page.mouse.wheel(0, -400);
    await page.mouse.down();
    await page.mouse.move(200, 300, { steps: 5 });
    await page.mouse.up();
    await button(page, 'Hold 1 seat').waitFor();
    await button(page, 'Zoom in').click();
    await button(page, 'Zoom out').click();
    await button(page, 'Whole hall').click();
    await clickSeat(page, 524, 1000, 50);
    await page.getByText('No seat yet.').waitFor();
    for (let column = 0; column < 11; column++) await clickSeat(page, 3 * 50 + 2 * column + 1, 1000, 50);
    await page.locator('[role=alert]', { hasText: 'You can choose 10 seats at most.' }).waitFor();
    await button(page, 'Hold 10 seats').click();
    await heading(page, 'Held for you').waitFor();
    expect(faults).toEqual([]);
  });

  it('of 20,000 seats opens, answers, and draws within a frame or two', async () => {
    const performanceId = await createSale({ seating: { kind: 'seated', rows: 100, seatsPerRow: 200 } });
    for (let i = 0; i < 60; i++) {
      const seats = Array.from({ length: 100 }, (_, index) => i * 330 + index * 3 + 1);
      await holdAsAnother(performanceId, { seats });
    }
    const { page, faults } = await buyer(performanceId, { options: { viewport: { width: 1600, height: 1000 } } });
    await counted(page, 'free', 14_000).waitFor();
    await counted(page, 'held', 6000).waitFor();
    const canvas = page.locator('.map-canvas');
    await canvas.focus();
    // Each step is another view, and all of the hall is drawn again.
    for (let i = 0; i < 20; i++) await page.keyboard.press(i % 2 === 0 ? 'ArrowRight' : 'PageDown');
    await canvas.hover({ position: { x: 400, y: 300 } });
    for (let i = 0; i < 10; i++) await page.mouse.wheel(0, i < 5 ? -200 : 200);
    await button(page, 'Find the best').click();
    await button(page, 'Hold 2 seats').waitFor();
    const frames: number[] = await page.evaluate(
      `performance.getEntriesByName('seat-map-frame').map(({ duration }) => duration).filter((ms) => ms > 1)`,
    );
    const sorted = frames.toSorted((a, b) => a - b);
    const at = (share: number): string => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(1);
    console.log(`20,000 seats: ${sorted.length} frames, median ${at(0.5)} ms, nine of ten within ${at(0.9)} ms`);
    expect(sorted.length).toBeGreaterThan(10);
    expect(faults).toEqual([]);
  });

  it('of 100,000 seats opens and answers, too', async () => {
    const performanceId = await createSale({ seating: { kind: 'seated', rows: 400, seatsPerRow: 250 } });
    const { page, faults } = await buyer(performanceId);
    await counted(page, 'free', 100_000).waitFor({ timeout: 60_000 });
    await type(page, 'OJ-250');
    await button(page, 'Hold 1 seat').click();
    await heading(page, 'Held for you').waitFor();
    expect(faults).toEqual([]);
  });

  it('goes on where there is no WebSocket', async () => {
    const performanceId = await createSale({ seating: seated(50) });
    const visitor = await browser.visitor(gateway.url);
    await visitor.context.addInitScript('delete globalThis.WebSocket');
    const { page } = visitor;
    await page.goto(`/performances/${performanceId}`);
    await page.locator('[data-connection=polling]').waitFor();
    const other = await holdAsAnother(performanceId, { seats: [1] });
    await counted(page, 'held', 1).waitFor();
    await giveBackAs(other);
    await counted(page, 'held', 0).waitFor();
    expect(visitor.faults).toEqual([]);
  });

  it('is shown to who is not logged in, who keeps the choice while logging in', async () => {
    const performanceId = await createSale({ seating: seated(50) });
    const visitor = await browser.visitor(gateway.url);
    const { page } = visitor;
    await page.goto(`/performances/${performanceId}`);
    await type(page, 'A-9');
    await page.getByText('Log in to hold your places.').waitFor();
    await expectUsable(visitor);
    await button(page, /Sign up/).click();
    await page.getByLabel('E-mail').fill(`seats-${newUserId()}@example.com`);
    await page.getByLabel('Password').fill('a good password');
    await button(page, 'Sign up').first().click();
    await button(page, 'Hold 1 seat').click();
    await heading(page, 'Held for you').waitFor();
    expect(visitor.faults).toEqual([]);
  });

  it('can be used at 360 px, in dark colours, in Korean', async () => {
    const performanceId = await createSale({ seating: { kind: 'seated', rows: 20, seatsPerRow: 50 } });
    const options = {
      colorScheme: 'dark',
      viewport: { width: 360, height: 740 },
      locale: 'ko-KR',
      hasTouch: true,
    } as const;
    const visitor = await buyer(performanceId, { balance: 2 * price, options });
    const { page } = visitor;
    await button(page, '좋은 자리 찾기').click();
    await button(page, '2석 선점하기').waitFor();
    await expectUsable(visitor);
    await button(page, '2석 선점하기').click();
    await heading(page, '자리를 선점했습니다').waitFor();
    await expectUsable(visitor);
    await button(page, '90.00 결제하기').click();
    await heading(page, '예매가 완료되었습니다').waitFor();
    await expectUsable(visitor);
  });
});

describe('a performance without seats', () => {
  it('asks how many come, and holds and sells them', async () => {
    const performanceId = await createSale({ seating: { kind: 'capacity', capacity: 5, maxPartySize: 4 } });
    const visitor = await buyer(performanceId, { balance: 4 * price });
    const { page } = visitor;
    await page.getByText('4 at most').waitFor();
    for (let i = 0; i < 3; i++) await button(page, 'One more').click();
    expect(await button(page, 'One more').isDisabled()).toBe(true);
    await expectUsable(visitor);
    await button(page, 'Hold 4 places').click();
    await heading(page, 'Held for you').waitFor();
    await expectUsable(visitor);
    await button(page, 'Pay 180.00').click();
    await heading(page, 'These places are yours').waitFor();

    const late = await buyer(performanceId);
    await late.page.getByText('1 at most').waitFor();
    const other = await holdAsAnother(performanceId, { partySize: 1 });
    await heading(late.page, 'Sold out').waitFor();
    await giveBackAs(other);
    await button(late.page, 'Hold 1 place').waitFor();
    expect([...visitor.faults, ...late.faults]).toEqual([]);
  });
});

describe('a waiting room', () => {
  it('is where one goes without a pass, and with one the places are held', async () => {
    const performanceId = await createSale({ seating: seated(50) });
    const path = `/v1/performances/${performanceId}/queue`;
    const admin = { userId: newUserId(), role: 'admin' } as const;
    const room = { mode: 'on', admitPerSecond: 100, maxActive: 100 };
    expect((await call(gateway.url, 'PUT', path, { ...admin, body: room })).status).toBe(200);

    const stranger = await browser.visitor(gateway.url);
    await stranger.page.goto(`/performances/${performanceId}`);
    await stranger.page.getByText('There is a waiting room for this performance.').waitFor();
    await expectUsable(stranger);

    const visitor = await buyer(performanceId, { balance: price });
    const { page } = visitor;
    await page.waitForURL(`**/performances/${performanceId}/queue`);
    await page.getByRole('link', { name: 'Choose' }).click();
    await page.getByText('It is your turn.').waitFor();
    await expectUsable(visitor);
    await type(page, 'A-1');
    await button(page, 'Hold 1 seat').click();
    await button(page, 'Pay 45.00').click();
    await heading(page, 'These places are yours').waitFor();
    expect([...stranger.faults, ...visitor.faults]).toEqual([]);
  });
});

describe('a performance that is not on sale', () => {
  it('says that there is none of that number', async () => {
    const visitor = await browser.visitor(gateway.url);
    await visitor.page.goto('/performances/999999999');
    await heading(visitor.page, 'There is no such performance').waitFor();
    await expectUsable(visitor);
  });

  it('says when booking opens, and that it is over', async () => {
    const soon = new Date(Date.now() + 3_600_000).toISOString();
    const before = new Date(Date.now() - 3_600_000).toISOString();
    const early = await buyer(await createSale({ seating: seated(50), bookingOpensAt: soon }));
    await early.page.getByText(/Booking opens in (59:|1:00:)/).waitFor();
    await type(early.page, 'A-1');
    await button(early.page, 'Hold 1 seat').click();
    await early.page.getByText('Booking has not opened yet.').first().waitFor();
    await expectUsable(early);
    const late = await buyer(await createSale({ seating: seated(50), bookingClosesAt: before }));
    await late.page.getByText('Booking is closed.').waitFor();
    await expectUsable(late);
  });
});
