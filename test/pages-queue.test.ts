/** The waiting room page in a real browser: a place that is right and never grows, kept over whatever happens, up to the turn. */
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../src/embedded/supervise.ts';
import { accessibilityFaults, useBrowser } from './browser.ts';
import {
  call,
  createPerformance,
  newUserId,
  spawnGateway,
  startGateway,
  type TestGateway,
  tokenOf,
  until,
} from './harness.ts';
import { newEmail } from './people.ts';
import {
  closeSockets,
  configure,
  isFalling,
  join,
  joinAll,
  leave,
  look,
  openRoom,
  roomPath,
  shuffled,
  untilState,
  type Visitor,
  watch,
} from './rooms.ts';

const paused = { admitPerSecond: 0 };
const phone: BrowserContextOptions = { viewport: { width: 360, height: 740 }, colorScheme: 'dark', locale: 'ko-KR' };
const slow = { timeout: 180_000 };

const browser = useBrowser();
let gateway: TestGateway;
let url: string;

beforeAll(async () => {
  gateway = await startGateway();
  url = gateway.url;
});

afterEach(() => closeSockets());

afterAll(() => gateway.stop());

/** Keeps every place that the page shows, in `placesShown`. */
const recorder = `
  globalThis.placesShown = [];
  new MutationObserver(() => {
    const text = document.querySelector('[data-fact="place"]')?.textContent;
    const place = text === undefined ? undefined : Number(text.replace(/\\D/g, ''));
    if (place !== undefined && place !== placesShown.at(-1)) placesShown.push(place);
  }).observe(document, { subtree: true, childList: true, characterData: true });
`;

interface Guest {
  readonly page: Page;
  readonly userId: number;
  readonly faults: readonly string[];
  /** Another tab of the same browser. */
  tab(): Promise<Page>;
}

/** A browser of somebody who is logged in. */
async function guest(at = url, options: BrowserContextOptions = {}, userId = newUserId()): Promise<Guest> {
  const { context, page, faults } = await browser.visitor(at, options);
  onTestFinished(() => context.close());
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const session = { accessToken: tokenOf(userId), expiresAt, userId, role: 'user', email: 'guest@example.org' };
  // Once a browser, and not again with each page: who was logged out stays so.
  await context.addInitScript(`
    if (localStorage.getItem('test.began') === null) {
      localStorage.setItem('test.began', 'yes');
      localStorage.setItem('fastpass.session', ${JSON.stringify(JSON.stringify(session))});
    }
    ${recorder}
  `);
  return { page, userId, faults, tab: () => context.newPage() };
}

const pathOf = (id: number): string => `/performances/${id}/queue`;
const fact = (page: Page, name: string) => page.locator(`[data-fact="${name}"]`);

async function shownPlace(page: Page): Promise<number | null> {
  const text = await fact(page, 'place')
    .textContent({ timeout: 3000 })
    .catch(() => null);
  return text === null ? null : Number(text.replace(/\D/g, ''));
}

async function untilPlace(page: Page, place: number): Promise<void> {
  let shown: number | null = null;
  const isShown = async (): Promise<boolean> => {
    shown = await shownPlace(page);
    return shown === place;
  };
  await until(`place ${place} is shown`, isShown, 30_000).catch((thrown: Error) => {
    throw new Error(`${thrown.message}; it is ${shown}`);
  });
}

const placesShown = (page: Page): Promise<number[]> => page.evaluate('placesShown');
const untilWay = (page: Page, way: string) =>
  fact(page, 'way').getByText(way, { exact: true }).waitFor({ timeout: 45_000 });
/** The focus follows what is drawn a moment later. */
const untilFocused = (page: Page, text: string): Promise<void> =>
  until(
    `the focus is on "${text}"`,
    async () => (await page.evaluate('document.activeElement.textContent')) === text,
    20_000,
  );
const heading = (page: Page, name: string) => page.getByRole('heading', { name });

/** How many of the others still wait, by their own tickets. */
async function othersWaiting(at: string, id: number, others: readonly Visitor[]): Promise<number> {
  const stands = await Promise.all(others.map(({ userId, ticket }) => look(at, id, userId, ticket)));
  return stands.filter(({ body }) => body.status === 'waiting').length;
}

async function leaveAll(id: number, visitors: readonly Visitor[]): Promise<void> {
  await Promise.all(visitors.map(({ userId, ticket }) => leave(url, id, userId, ticket)));
}

/** Nothing for axe, and nothing that runs out of a narrow window. */
async function expectFit(page: Page): Promise<void> {
  expect(await accessibilityFaults(page)).toEqual([]);
  expect(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')).toBe(0);
}

describe('a place behind two hundred others', () => {
  it('is right at every look, never grows, and leads to the turn', slow, async () => {
    const id = await openRoom(url, paused);
    const others = await joinAll(url, id, 200);
    await Promise.all(others.map((visitor) => watch(url, visitor)));
    const { page, faults } = await guest();
    await page.goto(pathOf(id));
    await untilPlace(page, 201);
    await untilWay(page, 'Live');
    await page.locator('[aria-live="polite"]').getByText('You have a place: 201.').waitFor();
    expect(await page.title()).toBe('201 · Waiting room · fastpass');
    await expectFit(page);

    // Those behind change nothing; those ahead who leave do.
    const behind = await joinAll(url, id, 3);
    const order = shuffled(others, 7);
    for (const [from, to] of [
      [0, 1],
      [1, 20],
      [20, 60],
    ] as const) {
      await leaveAll(id, order.slice(from, to));
      await untilPlace(page, 201 - to);
      await untilState(url, id, { waiting: 201 - to + behind.length });
      expect(await othersWaiting(url, id, others)).toBe(200 - to);
      expect(await fact(page, 'ahead').textContent()).toBe(`${200 - to} people`);
    }

    await configure(url, id, { admitPerSecond: 10 });
    await until('some are let in', async () => ((await shownPlace(page)) ?? 0) < 100, 30_000);
    await configure(url, id, paused);
    await until(
      'the page shows what the tickets say',
      async () => {
        const ahead = await othersWaiting(url, id, others);
        return (await shownPlace(page)) === ahead + 1;
      },
      30_000,
    );

    await configure(url, id);
    await heading(page, 'It is your turn').waitFor();
    await page.getByRole('button', { name: 'Stay here' }).click();
    expect(await page.title()).toBe('(!) Your turn · fastpass');
    expect(await page.locator('[aria-live="assertive"]').textContent()).toContain('It is your turn.');
    const places = await placesShown(page);
    expect(places[0]).toBe(201);
    expect(isFalling(places), String(places)).toBe(true);
    await expectFit(page);
    await page.getByRole('link', { name: 'Choose your places' }).click();
    await page.waitForURL(`**/performances/${id}`);
    expect(faults).toEqual([]);
  });
});

describe('a place is kept, with its number and progress', () => {
  it('over a reload', async () => {
    const id = await openRoom(url, paused);
    const others = await joinAll(url, id, 20);
    const { page, faults } = await guest(url, phone);
    await page.goto(pathOf(id));
    await untilPlace(page, 21);
    await expectFit(page);
    await leaveAll(id, others.slice(5, 13));
    await untilPlace(page, 13);
    const number = await fact(page, 'number').textContent();
    await page.reload();
    await untilPlace(page, 13);
    expect(await placesShown(page)).toEqual([13]);
    expect(await fact(page, 'number').textContent()).toBe(number);
    expect([await page.locator('progress').getAttribute('max'), await page.evaluate(progressValue)]).toEqual(['21', 8]);
    expect(faults).toEqual([]);
  });

  it('over a restart of the gateway, which the page tells of', slow, async () => {
    // A port that the system has chosen for a listener is not to be had again while connections of before linger.
    const settings = { PORT: String(await freePort()) };
    const first = await spawnGateway(settings);
    let running = first;
    onTestFinished(() => running.stop());
    const id = await openRoom(first.url, paused);
    await joinAll(first.url, id, 5);
    const { page, faults } = await guest(first.url);
    await page.goto(pathOf(id));
    await untilPlace(page, 6);
    await untilWay(page, 'Live');
    const number = await fact(page, 'number').textContent();
    await first.stop();
    await untilWay(page, 'Lost');
    expect(await shownPlace(page)).toBe(6);
    await page.locator('[aria-live="polite"]').getByText('Connection lost').waitFor();
    await expectFit(page);
    running = await spawnGateway(settings);
    await untilWay(page, 'Live');
    expect([await shownPlace(page), await fact(page, 'number').textContent()]).toEqual([6, number]);
    expect(await placesShown(page)).toEqual([6]);
    expect(faults).toEqual([]);
  });

  it('over a network that is away for a while', slow, async () => {
    const id = await openRoom(url, paused);
    await joinAll(url, id, 2);
    const { page, faults } = await guest();
    await page.goto(pathOf(id));
    await untilPlace(page, 3);
    await untilWay(page, 'Live');
    await page.context().setOffline(true);
    await untilWay(page, 'Lost');
    await page.context().setOffline(false);
    await untilWay(page, 'Live');
    expect(await placesShown(page)).toEqual([3]);
    await page.locator('[aria-live="polite"]').getByText('Connected again').waitFor();
    expect(faults).toEqual([]);
  });

  it('in two tabs alike, until one of them gives it up', async () => {
    const id = await openRoom(url, paused);
    const [other] = await joinAll(url, id, 2);
    const { page, tab, faults } = await guest();
    const second = await tab();
    await Promise.all([page.goto(pathOf(id)), second.goto(pathOf(id))]);
    await Promise.all([untilPlace(page, 3), untilPlace(second, 3)]);
    expect(await fact(second, 'number').textContent()).toBe(await fact(page, 'number').textContent());
    await untilState(url, id, { waiting: 3 });
    await leaveAll(id, [other!]);
    await Promise.all([untilPlace(page, 2), untilPlace(second, 2)]);
    await second.getByRole('button', { name: 'Leave the queue' }).click();
    await second.getByRole('dialog').getByRole('button', { name: 'Leave the queue' }).click();
    await heading(second, 'You have left the queue').waitFor();
    await heading(page, 'Your place is gone').waitFor();
    expect(faults).toEqual([]);
  });
});

/**
 * As a browser does it: a timer begun by a timer, five times in a row, is held back; here for good. One chain of the test's
 * own shows that it is.
 */
const timersOfHiddenTab = `
  const begin = setTimeout;
  let depth = 0;
  globalThis.setTimeout = (callback, ms, ...rest) => {
    const own = depth + 1;
    if (own > 5) return begin(() => {}, 2 ** 30);
    return begin(() => {
      depth = own;
      // A task of its own: what the timer's own task begins, its microtasks too, comes before.
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => { depth = 0; port1.close(); };
      port2.postMessage(null);
      callback(...rest);
    }, ms);
  };
  globalThis.heldBack = true;
  const chain = (left) => setTimeout(() => { if (left === 0) heldBack = false; else chain(left - 1); }, 1);
  chain(7);
`;

const progressValue = "document.querySelector('progress').value";

describe('where there is no WebSocket', () => {
  it.for([
    { name: 'because something on the way closes it', script: null },
    { name: 'because the browser has none', script: 'delete globalThis.WebSocket;' },
  ])('the page asks instead, says so, and is let in: $name', slow, async ({ script }) => {
    const id = await openRoom(url, paused);
    const [other] = await joinAll(url, id, 1);
    const { page, faults } = await guest();
    if (script === null) await page.routeWebSocket(/\/v1\/ws/, (socket) => void socket.close({ code: 1011 }));
    else await page.addInitScript(script);
    await page.goto(pathOf(id));
    await untilPlace(page, 2);
    await untilWay(page, 'Asking every few seconds');
    await leaveAll(id, [other!]);
    await untilPlace(page, 1);
    await configure(url, id, {});
    await heading(page, 'It is your turn').waitFor();
    expect(faults).toEqual([]);
  });

  it('a hidden tab goes on giving signs of life: no look waits for a timer that timers have begun', slow, async () => {
    const id = await openRoom(url, paused);
    const { page, faults } = await guest();
    await page.addInitScript(`delete globalThis.WebSocket; ${timersOfHiddenTab}`);
    let looks = 0;
    page.on('request', (request) => {
      if (request.url().endsWith('/tickets/current')) looks++;
    });
    await page.goto(pathOf(id));
    await until('more looks than timers in a row that run freely', () => looks > 7, 120_000);
    expect(await page.evaluate('heldBack')).toBe(true);
    expect(faults).toEqual([]);
  });
});

describe('the end of a place', () => {
  it('comes by leaving, and who joins again is at the end', async () => {
    const id = await openRoom(url, paused);
    await joinAll(url, id, 1);
    const { page, faults } = await guest(url, { viewport: phone.viewport! });
    await page.goto(pathOf(id));
    await untilPlace(page, 2);
    await joinAll(url, id, 4);
    await page.getByRole('button', { name: 'Leave the queue' }).click();
    await expectFit(page);
    // Not without the answer to the question.
    await page.keyboard.press('Escape');
    expect(await shownPlace(page)).toBe(2);
    await page.getByRole('button', { name: 'Leave the queue' }).press('Enter');
    await page.getByRole('dialog').getByRole('button', { name: 'Leave the queue' }).press('Enter');
    await heading(page, 'You have left the queue').waitFor();
    await untilState(url, id, { waiting: 5 });
    await untilFocused(page, 'You have left the queue');
    await expectFit(page);
    await page.getByRole('button', { name: 'Join again' }).click();
    await untilPlace(page, 6);
    expect(await page.locator('progress').getAttribute('max')).toBe('6');
    expect(faults).toEqual([]);
  });

  it('comes by giving the turn back, and nobody is taken away from the question', async () => {
    const id = await openRoom(url);
    const { page, faults } = await guest();
    await page.clock.install();
    await page.goto(pathOf(id));
    await page.getByRole('button', { name: 'Give the turn back' }).click();
    await page.clock.runFor(20_000);
    await page.getByRole('dialog').getByRole('button', { name: 'Give the turn back' }).click();
    await heading(page, 'You have left the queue').waitFor();
    await untilState(url, id, { active: 0 });
    expect(faults).toEqual([]);
  });

  it('comes when the turn goes by unused', slow, async () => {
    const id = await openRoom(url, { passSeconds: 40 });
    const { page, faults } = await guest(url, { viewport: phone.viewport! });
    await page.goto(pathOf(id));
    await page.getByRole('button', { name: 'Stay here' }).click();
    await page.reload();
    await heading(page, 'It is your turn').waitFor();
    await page.getByRole('button', { name: 'Stay here' }).click();
    await heading(page, 'Your turn is over').waitFor({ timeout: 90_000 });
    await expectFit(page);
    expect(await page.title()).toBe('Waiting room · fastpass');
    await configure(url, id, paused);
    await page.getByRole('button', { name: 'Join again' }).click();
    await untilPlace(page, 1);
    expect(faults).toEqual([]);
  });

  it('comes when the room is opened for everybody', async () => {
    const id = await openRoom(url, paused);
    const { page, faults } = await guest();
    await page.goto(pathOf(id));
    await untilPlace(page, 1);
    await configure(url, id, { mode: 'off' });
    await heading(page, 'The room is open').waitFor();
    await page.getByRole('link', { name: 'Choose your places' }).click();
    await page.waitForURL(`**/performances/${id}`);
    expect(faults).toEqual([]);
  });

  it('gives a new one to who comes back later', async () => {
    const id = await openRoom(url, paused);
    const { page, userId, faults } = await guest();
    await page.goto(pathOf(id));
    await untilPlace(page, 1);
    const ticket = await page.evaluate(`localStorage.getItem('fastpass.ticket.${id}')`);
    await page.goto('/');
    await joinAll(url, id, 2);
    await leave(url, id, userId, String(ticket));
    await page.goto(pathOf(id));
    await untilPlace(page, 3);
    await page.getByText('Your earlier place was over').waitFor();
    expect(faults).toEqual([]);
  });
});

describe('before a draw', () => {
  it('a countdown is shown, nobody has a number, and then everybody a place of their own', slow, async () => {
    const id = await openRoom(url, { ...paused, drawBeforeOpen: true, opensAt: new Date(Date.now() + 3_600_000) });
    const others = await joinAll(url, id, 3);
    const { page, userId, faults } = await guest(url, phone);
    await page.goto(pathOf(id));
    await heading(page, '추첨에 참여했습니다').waitFor();
    await page.getByText('시작까지').waitFor();
    expect(await fact(page, 'number').count()).toBe(0);
    await expectFit(page);
    await configure(url, id, { ...paused, drawBeforeOpen: true, opensAt: new Date(Date.now() + 3000) });
    await fact(page, 'place').waitFor();
    const mine = await join(url, id, userId);
    const all = [mine, ...(await Promise.all(others.map((other) => look(url, id, other.userId, other.ticket))))];
    expect(all.map(({ body }) => body.position).sort()).toEqual([1, 2, 3, 4]);
    await untilPlace(page, mine.body.position);
    expect(faults).toEqual([]);
  });
});

describe('whoever is not logged in', () => {
  it('sees how the room stands, signs up there, and has a place at once', async () => {
    const id = await openRoom(url, paused);
    await joinAll(url, id, 7);
    const { context, page, faults } = await browser.visitor(url, { viewport: phone.viewport! });
    onTestFinished(() => context.close());
    await page.goto(pathOf(id));
    await heading(page, 'Test event').waitFor();
    await page.getByText('7 people').waitFor();
    await expectFit(page);
    await page.getByRole('button', { name: 'No account yet? Sign up' }).click();
    await page.getByLabel('E-mail').fill(newEmail());
    await page.getByLabel('Password').fill('a long password');
    await page.getByRole('button', { name: 'Sign up', exact: true }).click();
    await untilPlace(page, 8);
    await untilFocused(page, 'Your place');
    await page.getByRole('button', { name: 'Log out' }).click();
    await heading(page, 'Log in').waitFor();
    expect(faults).toEqual([]);
  });

  it('any more is told so, and may log in again', async () => {
    const id = await openRoom(url, paused);
    const { page, userId, faults } = await guest();
    await page.goto(pathOf(id));
    await untilPlace(page, 1);
    await call(url, 'DELETE', '/v1/sessions/current', { userId });
    await page.getByText('Your session has ended.').waitFor({ timeout: 45_000 });
    expect(faults).toEqual([]);
  });

  it('any more is told so in the midst of a turn, too', async () => {
    const id = await openRoom(url);
    const { page, userId, faults } = await guest();
    await page.goto(pathOf(id));
    await page.getByRole('button', { name: 'Stay here' }).click();
    await call(url, 'DELETE', '/v1/sessions/current', { userId });
    await page.getByText('Your session has ended.').waitFor({ timeout: 45_000 });
    expect(faults).toEqual([]);
  });
});

describe('nobody waits blindly', () => {
  it('a sale that is sold out says so, and that it is not any more', async () => {
    const id = await createPerformance(url, { seating: { kind: 'capacity', capacity: 1 } });
    const holder = newUserId();
    const held = await call(url, 'POST', '/v1/reservations', {
      userId: holder,
      body: { performanceId: id, partySize: 1 },
    });
    await configure(url, id, paused);
    const { page, faults } = await guest();
    await page.goto(pathOf(id));
    await page.getByText('Sold out for now.').waitFor();
    await call(url, 'DELETE', `/v1/reservations/${held.body.reservationId}`, { userId: holder });
    await page.getByText('Sold out for now.').waitFor({ state: 'detached', timeout: 45_000 });
    expect(faults).toEqual([]);
  });

  it('a sale that is closed says so', async () => {
    const closed = { bookingOpensAt: '2020-01-01T00:00:00Z', bookingClosesAt: '2020-02-01T00:00:00Z' };
    const id = await openRoom(url, paused, closed);
    const { page, faults } = await guest();
    await page.goto(pathOf(id));
    await page.getByText('Booking closed').waitFor();
    expect(faults).toEqual([]);
  });

  it('a room that is off leads on at once, a performance that is none home', async () => {
    const id = await createPerformance(url, { seating: { kind: 'capacity', capacity: 10 } });
    expect((await call(url, 'GET', roomPath(id))).body.mode).toBe('off');
    const { page, faults } = await guest();
    await page.goto(pathOf(id));
    await page.waitForURL(`**/performances/${id}`);
    await page.goto(pathOf(999_999_999));
    await page.getByText('There is no such performance.').waitFor();
    await expectFit(page);
    expect(await page.getByRole('link', { name: 'See what is on sale' }).getAttribute('href')).toBe('/');
    expect(faults).toEqual([]);
  });
});

describe('the sound for the turn', () => {
  it('is off, is played once it is wanted, and stays wanted after a reload', async () => {
    const id = await openRoom(url, paused);
    const { page, faults } = await guest();
    await page.addInitScript(`
      globalThis.tones = 0;
      globalThis.AudioContext = class extends AudioContext {
        constructor() { super(); globalThis.audio = this; }
      };
      const start = OscillatorNode.prototype.start;
      OscillatorNode.prototype.start = function (...when) { tones++; return start.apply(this, when); };
    `);
    await page.goto(pathOf(id));
    await untilPlace(page, 1);
    const choice = page.getByLabel('Play a sound when it is my turn');
    expect(await choice.isChecked()).toBe(false);
    await choice.check();
    await until('both tones are played', async () => (await page.evaluate('tones')) === 2, 20_000);
    await page.reload();
    await untilPlace(page, 1);
    expect([await choice.isChecked(), await page.evaluate('tones')]).toEqual([true, 0]);
    await page.getByRole('heading', { level: 1 }).click();
    await until('sound is allowed', async () => (await page.evaluate('globalThis.audio?.state')) === 'running', 20_000);
    await configure(url, id);
    await until('both tones are played', async () => (await page.evaluate('tones')) === 2, 20_000);
    expect(faults).toEqual([]);
  });
});
