/** The control room in a real browser: what an operator makes, steers and sees there is what the gateway does. */
import type { BrowserContext, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Role } from '../src/domain/account.ts';
import { freePort } from '../src/embedded/supervise.ts';
import { performanceKeys } from '../src/lua/keys.ts';
import { accessibilityFaults, useBrowser, type Visitor } from './browser.ts';
import {
  call,
  createPerformance,
  newUserId,
  patient,
  redisClient,
  spawnGateway,
  startGateway,
  type TestGateway,
  tokenOf,
  until,
} from './harness.ts';
import { closeSockets, configure, joinAll, openRoom, socketOf, stateOf, watch } from './rooms.ts';

const browser = useBrowser();
let gateway: TestGateway;
const opened: BrowserContext[] = [];

beforeAll(async () => {
  gateway = await startGateway(patient);
});
afterEach(async () => {
  closeSockets();
  // What a page asks every second would meet the tests after it.
  await Promise.all(opened.splice(0).map((context) => context.close()));
});
afterAll(() => gateway.stop());

const seated = { seating: { kind: 'seated', seats: 100 } };
const phone = { viewport: { width: 360, height: 740 }, colorScheme: 'dark', locale: 'ko-KR' } as const;

/** A browser in which somebody of this role is logged in. */
async function visitorOf(role: Role, options: BrowserContextOptions = {}, url = gateway.url): Promise<Visitor> {
  const visitor = await browser.visitor(url, options);
  opened.push(visitor.context);
  const userId = newUserId();
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const login = { accessToken: tokenOf(userId, role), expiresAt, userId, role, email: `${role}@example.org` };
  const kept = JSON.stringify(JSON.stringify(login));
  await visitor.context.addInitScript(`localStorage.setItem('fastpass.session', ${kept})`);
  return visitor;
}

async function panelOf(performanceId: number, url = gateway.url): Promise<Visitor> {
  const visitor = await visitorOf('admin', {}, url);
  await visitor.page.goto(`/admin#performance-${performanceId}`);
  await visitor.page.getByText('Free places').first().waitFor();
  return visitor;
}

const button = (page: Page, name: string): Locator => page.getByRole('button', { name, exact: true });
const figure = (page: Page, name: string): Locator =>
  page.locator('figure').filter({ has: page.getByText(name, { exact: true }) });

async function textOf(locator: Locator): Promise<string> {
  return ((await locator.textContent()) ?? '').trim();
}

/** The number that a figure shows now; NaN for none. */
async function numberOf(page: Page, name: string): Promise<number> {
  return Number.parseFloat((await textOf(figure(page, name).locator('.now'))).replaceAll(',', ''));
}

/** The highest number of its last minutes. */
async function highestOf(page: Page, name: string): Promise<number> {
  const text = await textOf(figure(page, name).locator('.range'));
  return Number(/highest ([\d.,]+)/.exec(text)?.[1]?.replaceAll(',', ''));
}

/** What the table of outcomes says of one. */
async function totalOf(page: Page, outcome: string): Promise<number> {
  const row = page.locator('.totals tbody tr').filter({ hasText: outcome });
  return (await row.count()) === 0 ? 0 : Number((await textOf(row.locator('td'))).replaceAll(',', ''));
}

const badge = (page: Page): Locator => page.locator('#room-title .badge');
const untilText = (locator: Locator, text: string): Promise<void> => locator.filter({ hasText: text }).waitFor();

/** As when another tab comes before it, or goes again. */
async function hide(page: Page, isHidden: boolean): Promise<void> {
  const state = isHidden ? 'hidden' : 'visible';
  await page.evaluate(`
    Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => '${state}' });
    document.dispatchEvent(new Event('visibilitychange'));
  `);
}

async function overflowOf(page: Page): Promise<unknown> {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
}

function holdSeat(url: string, performanceId: number, seat: number): ReturnType<typeof call> {
  return call(url, 'POST', '/v1/reservations', { userId: newUserId(), body: { performanceId, seats: [seat] } });
}

describe('who is no admin', () => {
  it('sees the log-in and nothing else, and after it the control room', async () => {
    const own = await startGateway({
      ...patient,
      ADMIN_EMAIL: 'head@example.org',
      ADMIN_PASSWORD: 'a password for the head',
    });
    try {
      const { context, page, faults } = await browser.visitor(own.url);
      opened.push(context);
      await page.goto('/admin');
      await page.getByLabel('E-mail').waitFor();
      expect(await page.locator('figure, .events, .control-room').count()).toBe(0);
      expect(await accessibilityFaults(page)).toEqual([]);
      await page.getByLabel('E-mail').fill('head@example.org');
      await page.getByLabel('Password').fill('a password for the head');
      await page.locator('form.auth button[type=submit]').click();
      await page.locator('.events').waitFor();
      await page.getByText('Gateway and stores are ready').waitFor();
      expect(faults).toEqual([]);
    } finally {
      await own.stop();
    }
  });

  it('is told so with another account, and asks the gateway for no figure', async () => {
    const { page, faults } = await visitorOf('user', phone);
    const asked: string[] = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await page.goto('/admin');
    await page.locator('.notice').waitFor();
    await page.waitForLoadState('networkidle');
    expect(await page.locator('figure, form, .control-room').count()).toBe(0);
    expect(asked.filter((path) => path === '/metrics' || path.startsWith('/v1'))).toEqual([]);
    expect(await accessibilityFaults(page)).toEqual([]);
    expect([await overflowOf(page), faults]).toEqual([0, []]);
  });
});

describe('the forms', () => {
  it('create an event and a performance, show what is wrong at its field, and open what was created', async () => {
    const { page, faults } = await visitorOf('admin', { timezoneId: 'Asia/Seoul' });
    await page.goto('/admin');
    await page.getByText('Choose a performance').waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    const name = `Gala ${newUserId()}`;
    await button(page, 'New event').click();
    // Nothing is sent without a name.
    await button(page, 'Create event').click();
    expect(await page.evaluate('document.activeElement.name')).toBe('name');
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByLabel('Demo event').check();
    const sent = page.waitForRequest((request) => request.method() === 'POST');
    await button(page, 'Create event').click();
    expect((await sent).postDataJSON()).toEqual({ name, isDemo: true });

    await page.getByRole('heading', { name: `New performance of ${name}` }).waitFor();
    await page.getByLabel('Starts', { exact: true }).fill('2030-06-01T19:30');
    await page.getByLabel('Booking opens').fill('2029-06-02T09:00');
    await page.getByLabel('Booking closes').fill('2029-06-01T09:00');
    await page.getByLabel('Price of a place').fill('free');
    const create = button(page, 'Create performance');
    const focused = page.locator(':focus[aria-invalid="true"]');
    await create.click();
    await focused.and(page.getByLabel('Price of a place')).waitFor();
    await page.getByLabel('Price of a place').fill('45.50');
    await create.click();
    await focused.and(page.getByLabel('Booking closes')).waitFor();
    await page.getByText('Must be after the opening of the booking.').waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.getByLabel('Booking closes').fill('2030-05-01T09:00');
    await page.getByLabel('Rows', { exact: true }).fill('1000');
    await page.getByLabel('Seats a row').fill('1000');
    await create.click();
    await focused.and(page.getByLabel('Rows', { exact: true })).waitFor();
    expect(await page.locator('.fault').allInnerTexts()).toEqual(['Makes more than 100000 seats.']);
    await page.getByLabel('Rows', { exact: true }).fill('10');
    await page.getByLabel('Seats a row').fill('20');
    await create.click();

    await page.getByText('of 200', { exact: true }).waitFor();
    const performanceId = Number(/#performance-(\d+)$/.exec(page.url())?.[1]);
    const { body } = await call(gateway.url, 'GET', `/v1/performances/${performanceId}`);
    // Seoul is nine hours ahead of UTC.
    expect(body).toMatchObject({
      startsAt: '2030-06-01T10:30:00.000Z',
      bookingOpensAt: '2029-06-02T00:00:00.000Z',
      bookingClosesAt: '2030-05-01T00:00:00.000Z',
      price: 4550,
      seating: { kind: 'seated', rows: 10, seatsPerRow: 20 },
    });
    expect(await textOf(page.locator('button.performance[aria-current=true]'))).toContain(`#${performanceId}`);
    expect(await textOf(page.locator(':focus'))).toBe(`Performance ${performanceId}`);
    // A reload comes back to it.
    await page.reload();
    await page.getByText('of 200', { exact: true }).waitFor();
    expect(faults).toEqual([]);
  });

  it('create each kind of seating', async () => {
    const { page, faults } = await visitorOf('admin');
    const event = await call(gateway.url, 'POST', '/v1/events', {
      userId: 1,
      role: 'admin',
      body: { name: `Kinds ${newUserId()}` },
    });
    await page.goto('/admin');
    await page.getByLabel('Search').fill(event.body.name);
    await page.locator('button.event').click();
    for (const { kind, fill, seating } of [
      { kind: 'Numbered seats', fill: { Seats: '70' }, seating: { kind: 'seated', seats: 70 } },
      {
        kind: 'Places without numbers',
        fill: { Places: '40', 'Largest party': '4' },
        seating: { kind: 'capacity', capacity: 40, maxPartySize: 4 },
      },
    ]) {
      await button(page, 'New performance').click();
      await page.getByLabel('Starts', { exact: true }).fill('2030-06-01T19:30');
      await page.getByLabel('Price of a place').fill('15');
      await page.getByLabel(kind).check();
      for (const [label, value] of Object.entries(fill)) await page.getByLabel(label, { exact: true }).fill(value);
      await button(page, 'Create performance').click();
      await page.getByText('Free places').first().waitFor();
      const id = /#performance-(\d+)$/.exec(page.url())?.[1];
      expect((await call(gateway.url, 'GET', `/v1/performances/${id}`)).body).toMatchObject({ price: 1500, seating });
    }
    expect(await page.locator('button.performance').count()).toBe(2);
    expect(faults).toEqual([]);
  });

  it('can be gone through by keyboard alone', async () => {
    const { page, faults } = await visitorOf('admin');
    await page.goto('/admin');
    await page.getByText('Choose a performance').waitFor();
    const press = async (...keys: string[]): Promise<void> => {
      for (const key of keys) await page.keyboard.press(key);
    };
    /** By Tab, and no further than a person would go. */
    const tabTo = async (target: Locator): Promise<void> => {
      for (let i = 0; i < 40; i++) {
        if (await target.evaluate((element) => element.matches(':focus'))) return;
        await press('Tab');
      }
      throw new Error('not reached by Tab');
    };
    const name = `Keys ${newUserId()}`;
    await tabTo(button(page, 'New event'));
    await press('Enter');
    await page.locator('h2:focus').waitFor();
    await tabTo(page.getByLabel('Name', { exact: true }));
    await page.keyboard.type(name);
    await press('Enter');
    await page.getByRole('heading', { name: `New performance of ${name}` }).waitFor();
    await tabTo(page.getByLabel('Starts', { exact: true }));
    // Day, month, year, hour, minute, and where the browser asks for it the half of the day.
    await page.keyboard.type('010120300800P');
    await tabTo(page.getByLabel('Price of a place'));
    await page.keyboard.type('10');
    await press('Enter');
    await page.getByText('Free places').first().waitFor();
    await tabTo(button(page, 'Turn on'));
    await press('Enter');
    await untilText(badge(page), 'On');
    await tabTo(button(page, 'Turn off …'));
    await press('Enter');
    await page.getByRole('dialog').waitFor();
    await press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    // Back where one came from.
    await button(page, 'Turn off …').and(page.locator(':focus')).waitFor();
    await press('Enter');
    await page.getByRole('dialog').waitFor();
    await press('Tab', 'Enter');
    await untilText(badge(page), 'Off');
    await page.locator('#room-title:focus').waitFor();
    expect(faults).toEqual([]);
  });
});

describe('the panel of a performance', () => {
  it('warms it and says whether it was cold', async () => {
    const id = await createPerformance(gateway.url, seated);
    const { page, faults } = await panelOf(id);
    // As after a loss of Redis. What the page reads every second would warm it again: it stops, and the last is answered.
    const underWay = new Set<unknown>();
    const isRead = page.waitForRequest(`**/v1/performances/${id}/queue`);
    page.on('request', (request) => underWay.add(request));
    page.on('requestfinished', (request) => underWay.delete(request));
    page.on('requestfailed', (request) => underWay.delete(request));
    await isRead;
    await hide(page, true);
    await until('all is answered', () => underWay.size === 0, 30_000);
    const redis = redisClient();
    await redis.del(performanceKeys(id).meta);
    redis.disconnect();
    await button(page, 'Warm up').click();
    await page.locator('.hint', { hasText: 'It was cold: 100 places are loaded now.' }).waitFor();
    await button(page, 'Warm up').click();
    await page.locator('.hint', { hasText: 'It was warm already: 100 places.' }).waitFor();
    expect(faults).toEqual([]);
  });

  it('shows places as they go, and what is no performance', async () => {
    const id = await createPerformance(gateway.url, seated);
    const { page, faults } = await panelOf(id);
    await page.locator('.big', { hasText: /^100$/ }).waitFor();
    for (const seat of [1, 2, 3]) expect((await holdSeat(gateway.url, id, seat)).status).toBe(201);
    await page.locator('.big', { hasText: /^97$/ }).waitFor();
    await page.getByLabel('Search').fill('999999999');
    await button(page, 'Open performance 999999999').click();
    await page.getByText('There is no such performance.').waitFor();
    expect(faults).toEqual([]);
  });
});

describe('the waiting room', () => {
  it('is turned on, steered while people wait, paused, and turned off after a question', async () => {
    const { url } = gateway;
    const id = await createPerformance(url, seated);
    const { page, faults } = await panelOf(id);
    await page.getByLabel('Admitted a second').fill('0');
    await button(page, 'Turn on').click();
    await untilText(badge(page), 'Paused');
    expect(await stateOf(url, id)).toMatchObject({ mode: 'on', admitPerSecond: 0, maxActive: 500, passSeconds: 300 });

    const people = await joinAll(url, id, 30);
    const sockets = await Promise.all(people.map((person) => watch(url, person)));
    await until('30 wait', async () => (await numberOf(page, 'Waiting')) === 30, 30_000);
    expect(await accessibilityFaults(page)).toEqual([]);
    await page.getByLabel('Admitted a second').fill('10');
    await button(page, 'Apply').click();
    await page.getByText('10 a second, up to 500 inside at once').waitFor();
    await until('all are admitted', () => sockets.every((socket) => socket.of('queue.admitted').length > 0), 30_000);
    await until('the figures say so', async () => (await numberOf(page, 'Inside')) === 30, 30_000);
    expect(await numberOf(page, 'Waiting')).toBe(0);
    expect(await highestOf(page, 'Admitted a second')).toBeGreaterThan(0);

    await button(page, 'Halve').click();
    await page.getByText('5 a second, up to').waitFor();
    await button(page, 'Double').click();
    await page.getByText('10 a second, up to').waitFor();
    await button(page, 'Pause').click();
    await untilText(badge(page), 'Paused');
    await button(page, 'Resume at 10').waitFor();
    const [late] = await joinAll(url, id, 3);
    const socket = await watch(url, late!);
    await until('3 wait', async () => (await numberOf(page, 'Waiting')) === 3, 30_000);

    await button(page, 'Turn off …').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Waiting now: 3.').waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(await stateOf(url, id)).toMatchObject({ mode: 'on', waiting: 3 });
    await button(page, 'Turn off …').click();
    await dialog.getByRole('button', { name: 'Turn off, let all in' }).click();
    await untilText(badge(page), 'Off');
    await until('who waited is let in', () => socket.of('queue.admitted').length > 0, 30_000);
    expect(await stateOf(url, id)).toMatchObject({ mode: 'off', maxActive: 500 });
    expect(faults).toEqual([]);
  });

  it('shows what the gateway does not take at its field', async () => {
    const id = await createPerformance(gateway.url, seated);
    const { page, faults } = await panelOf(id);
    await page.getByLabel('Shuffle all').check();
    await button(page, 'Turn on').click();
    await page.locator('[name=opensAt][aria-invalid=true]:focus').waitFor();
    await page.getByText('To shuffle, say when it opens.').waitFor();
    await page.getByLabel('Opens', { exact: true }).fill('2030-01-01T09:00');
    await button(page, 'Turn on').click();
    await untilText(badge(page), 'On');
    expect(await stateOf(gateway.url, id)).toMatchObject({ drawBeforeOpen: true, mode: 'on' });
    expect(faults).toEqual([]);
  });

  it('that was changed elsewhere is never overwritten silently', async () => {
    const { url } = gateway;
    const id = await openRoom(url, { admitPerSecond: 8, maxActive: 100 });
    const { page, faults } = await panelOf(id);
    // Who types nothing sees what is in force.
    await configure(url, id, { admitPerSecond: 9, maxActive: 100 });
    await until(
      'the form follows',
      async () => (await page.getByLabel('Admitted a second').inputValue()) === '9',
      30_000,
    );
    // Who types keeps it, and is told.
    await page.getByLabel('Inside at once').fill('700');
    await configure(url, id, { admitPerSecond: 20, maxActive: 200 });
    const notice = page.locator('.notice.warn', { hasText: 'changed elsewhere' });
    await notice.waitFor();
    expect(await notice.locator('li').allInnerTexts()).toEqual([
      'Admitted a second: 9 → 20',
      'Inside at once: 100 → 200',
    ]);
    expect(await page.getByLabel('Inside at once').inputValue()).toBe('700');
    expect(await button(page, 'Apply').getAttribute('aria-disabled')).toBe('true');
    expect(await accessibilityFaults(page)).toEqual([]);
    await button(page, 'Take theirs').click();
    await notice.waitFor({ state: 'detached' });
    expect(await page.getByLabel('Inside at once').inputValue()).toBe('200');

    // A change that the page has not heard of yet is found before anything is put in force.
    await hide(page, true);
    await page.getByLabel('Inside at once').fill('300');
    await configure(url, id, { admitPerSecond: 21, maxActive: 201 });
    await button(page, 'Apply').click();
    await notice.waitFor();
    expect(await stateOf(url, id)).toMatchObject({ admitPerSecond: 21, maxActive: 201 });
    await button(page, 'Keep mine, to apply it').click();
    await button(page, 'Apply').click();
    await page.getByText('20 a second, up to 300').waitFor();
    // What is typed while an answer is awaited stays.
    await page.getByLabel('Inside at once').fill('301');
    await page.route('**/queue', async (route) => {
      if (route.request().method() === 'PUT') await page.getByLabel('Seconds of a pass').fill('77');
      await route.continue();
    });
    await button(page, 'Apply').click();
    await page.getByText('20 a second, up to 301').waitFor();
    await page.unroute('**/queue');
    expect(await page.getByLabel('Seconds of a pass').inputValue()).toBe('77');
    await button(page, 'Undo my changes').click();
    expect(await stateOf(url, id)).toMatchObject({ admitPerSecond: 20, maxActive: 301 });
    await configure(url, id, { admitPerSecond: 40, maxActive: 301 });
    await button(page, 'Halve').click();
    await page.getByText('have just been changed elsewhere').waitFor();
    expect(await stateOf(url, id)).toMatchObject({ admitPerSecond: 40 });
    expect(faults).toEqual([]);
  });
});

describe('the live figures', () => {
  it('are what was done: holds, refusals by code, sockets, and the plots follow', async () => {
    const { url } = gateway;
    const id = await createPerformance(url, seated);
    const { page, faults } = await panelOf(id);
    await until('holds are known', async () => (await numberOf(page, 'Holds a second')) === 0, 30_000);
    const plot = `document.querySelector('[aria-labelledby="gateway-title"] canvas').toDataURL()`;
    const before = await page.evaluate(plot);
    for (let seat = 1; seat <= 7; seat++) expect((await holdSeat(url, id, seat)).status).toBe(201);
    for (let seat = 1; seat <= 5; seat++) expect((await holdSeat(url, id, seat)).status).toBe(409);
    await Promise.all([1, 2, 3].map(() => socketOf(url, newUserId())));
    await until('7 were held', async () => (await totalOf(page, 'held')) === 7, 30_000);
    await until('5 were refused', async () => (await totalOf(page, 'seat_taken')) === 5, 30_000);
    await until('3 sockets are open', async () => (await numberOf(page, 'Sockets')) === 3, 30_000);
    expect(await highestOf(page, 'Holds a second')).toBeGreaterThan(0);
    expect(await highestOf(page, 'Refusals a second')).toBeGreaterThan(0);
    expect(await textOf(figure(page, 'Answers to holds, p99').locator('.range'))).toMatch(/highest [\d.,]+ ms$/);
    expect(await page.evaluate(plot)).not.toBe(before);
    await page.getByText('redis answers').waitFor();
    // The words stand beside the plots; nothing of them is called out every second.
    expect(await page.locator('[aria-live] figure, [role=status] figure').count()).toBe(0);
    expect(faults).toEqual([]);
  });

  it('are drawn in the colours chosen, and as wide as there is place', async () => {
    const id = await createPerformance(gateway.url, seated);
    const { page, faults } = await panelOf(id);
    const canvas = page.locator('figure canvas').first();
    const wide = await canvas.evaluate((element) => element.getBoundingClientRect().width);
    const colours = (): Promise<unknown> => page.evaluate(`document.querySelector('figure canvas').toDataURL()`);
    const light = await colours();
    await page.getByLabel('Colours').selectOption('dark');
    await until('the plot is another', async () => (await colours()) !== light, 30_000);
    await page.setViewportSize({ width: 360, height: 740 });
    const isNarrow = async (): Promise<boolean> => {
      const now = await canvas.evaluate((element) => element.getBoundingClientRect().width);
      return now !== wide && now <= 330;
    };
    await until('the plot is narrow', isNarrow, 30_000);
    expect(await overflowOf(page)).toBe(0);
    expect(await accessibilityFaults(page)).toEqual([]);
    expect(faults).toEqual([]);
  });

  it('stop while nobody sees the page, and go on after', async () => {
    const id = await createPerformance(gateway.url, seated);
    const { page, faults } = await panelOf(id);
    let asked = 0;
    page.on('request', () => asked++);
    await until('it asks', () => asked > 4, 30_000);
    await hide(page, true);
    await page.waitForLoadState('networkidle');
    const before = asked;
    // Two turns and more, in which nothing may come: there is no condition to wait for.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(asked).toBe(before);
    await hide(page, false);
    await until('it asks again', () => asked > before + 4, 30_000);
    expect(faults).toEqual([]);
  });

  it('say what is known where the metrics are kept from outside', async () => {
    const id = await openRoom(gateway.url, { admitPerSecond: 0 });
    const { context, page, faults } = await visitorOf('admin');
    await context.route('**/metrics', (route) => route.fulfill({ status: 403, body: 'no' }));
    await page.goto(`/admin#performance-${id}`);
    await page.getByText('The metrics of the gateway do not answer here').waitFor();
    expect(await figure(page, 'Holds a second').count()).toBe(0);
    await joinAll(gateway.url, id, 2);
    await until('2 wait', async () => (await numberOf(page, 'Waiting')) === 2, 30_000);
    expect(await accessibilityFaults(page)).toEqual([]);
    await context.unroute('**/metrics');
    await figure(page, 'Holds a second').waitFor();
    expect(faults).toEqual([]);
  });

  it('go on after a restart of the gateway without a spike', async () => {
    const settings = { ...patient, PORT: String(await freePort()) };
    let own = await spawnGateway(settings);
    try {
      const id = await createPerformance(own.url, seated);
      const { page, faults } = await panelOf(id, own.url);
      await until('holds are known', async () => (await numberOf(page, 'Holds a second')) === 0, 30_000);
      for (let seat = 1; seat <= 4; seat++) await holdSeat(own.url, id, seat);
      await until('4 were held', async () => (await totalOf(page, 'held')) === 4, 30_000);
      await own.kill();
      await page.getByText('The gateway does not answer').waitFor();
      await page.getByText('There is no answer at this moment.').waitFor();
      own = await spawnGateway(settings);
      await page.getByText('Gateway and stores are ready').waitFor();
      await figure(page, 'Holds a second').waitFor();
      await until('holds are known again', async () => (await numberOf(page, 'Holds a second')) === 0, 30_000);
      for (let seat = 5; seat <= 6; seat++) await holdSeat(own.url, id, seat);
      await until('2 more were held', async () => (await totalOf(page, 'held')) === 6, 30_000);
      expect(await highestOf(page, 'Holds a second')).toBeLessThan(20);
      expect(faults).toEqual([]);
    } finally {
      await own.stop();
    }
  });

  it('are followed by a health line that names the store that is down', async () => {
    const { context, page, faults } = await visitorOf('admin', phone);
    await context.route('**/readyz', (route) =>
      route.fulfill({ status: 503, json: { code: 'unavailable', detail: 'Not usable: redis.' } }),
    );
    await page.goto('/admin');
    await untilText(page.locator('.health'), 'Not usable: redis.');
    expect(await accessibilityFaults(page)).toEqual([]);
    expect([await overflowOf(page), faults]).toEqual([0, []]);
  });
});

describe('a rehearsal', () => {
  it('is offered for performances of a demo event alone, and shown from its start to its result', async () => {
    const demoId = await createPerformance(gateway.url, seated, { isDemo: true });
    const realId = await createPerformance(gateway.url, seated);
    const { page, faults } = await visitorOf('admin');
    await page.goto(`/admin#performance-${realId}`);
    await page.getByText('Free places').first().waitFor();
    await page.locator('button.performance[aria-current=true]').waitFor();
    expect(await page.getByText('Rehearsal').count()).toBe(0);
    await page.goto(`/admin#performance-${demoId}`);
    const section = page.locator('[aria-labelledby=rehearsal-title]');
    await section.waitFor();
    await section.getByLabel('People', { exact: true }).fill('5');
    await button(page, 'Start the rush').click();
    expect(await page.evaluate('document.activeElement.validity.rangeUnderflow')).toBe(true);
    await section.getByLabel('People', { exact: true }).fill('100');
    await button(page, 'Start the rush').click();
    await button(page, 'The rush is under way …').waitFor();
    // It ends by itself after a minute at the latest.
    await button(page, 'Start the rush').waitFor({ timeout: 75_000 });
    await section.getByText('100 / 100').waitFor();
    const admin = { userId: newUserId(), role: 'admin' } as const;
    const { body } = await call(gateway.url, 'GET', `/v1/performances/${demoId}/rehearsals/current`, admin);
    const refused = Object.values<number>(body.refused).reduce((sum, one) => sum + one, 0);
    expect([body.state, body.held + refused + body.failed]).toEqual(['done', 100]);
    expect(body.held).toBeGreaterThan(0);
    await page
      .locator('[aria-live=polite]', { hasText: `${body.held} held, ${refused} refused` })
      .waitFor({ state: 'attached' });
    await section.getByText(/p50 [\d.]+ ms/).waitFor();
    expect(await accessibilityFaults(page)).toEqual([]);
    expect(faults).toEqual([]);
  });
});
