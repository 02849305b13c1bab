/** `npm run screenshots`: the pictures of the pages in the README, of a sale made for them on a gateway and stores of its own. */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { startGateway } from '../../bench/load/gateway.ts';
import { say } from '../../bench/load/progress.ts';
import { onStage, type Stage } from '../../bench/load/stage.ts';
import { startStores } from '../../bench/load/stores.ts';
import type { FastpassClient } from '../../src/client/index.ts';
import { launchBrowser } from '../chromium.ts';
import { must, Sale } from './sale.ts';

const help = `npm run screenshots -- [options]
  --out FOLDER    where the pictures are written    (docs/pages)
  --dark          in dark colours
  --language TAG  en or ko                          (en)
  --help`;

const root = fileURLToPath(new URL('../..', import.meta.url));
const jwtSecret = 'a-secret-of-the-screenshots-32-bytes!';
const viewport = { width: 1280, height: 800 };
/** The control room has more to show. */
const tall = { width: 1280, height: 1480 };
const rows = 20;
const seatsPerRow = 40;
/** Long enough for the plots to have something to show. */
const rehearsalMs = 25_000;

interface Look {
  readonly folder: string;
  readonly isDark: boolean;
  readonly language: string;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      out: { type: 'string', default: 'docs/pages' },
      dark: { type: 'boolean', default: false },
      language: { type: 'string', default: 'en' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${help}\n`);
    return 0;
  }
  if (values.language !== 'en' && values.language !== 'ko') {
    process.stderr.write(`${help}\n`);
    return 2;
  }
  const look = { folder: resolve(root, values.out), isDark: values.dark, language: values.language };
  await mkdir(look.folder, { recursive: true });
  await onStage((stage) => take(stage, look));
  return 0;
}

async function take(stage: Stage, look: Look): Promise<void> {
  const stores = await stage.add(() =>
    startStores({ name: 'screenshots', redisUrl: undefined, mysqlUrl: undefined, say }),
  );
  const gateway = await stage.add(() => startGateway({ ...stores, jwtSecret, workers: 1 }));
  const sale = new Sale(gateway.url, jwtSecret);
  say('making a sale ...');
  // The newest stand first at home: those of visitors.
  const demo = await sale.performance(
    'Rehearsal of the spring sale',
    9,
    { price: 4500, seating: { kind: 'seated', rows: 20, seatsPerRow: 50 } },
    true,
  );
  const hall = await sale.performance('Symphony night: Mahler 2', 12, {
    price: 6500,
    maxReservationsPerUser: 4,
    seating: { kind: 'seated', rows, seatsPerRow },
  });
  const jazz = await sale.performance('Jazz under the bridge', 30, {
    price: 2500,
    seating: { kind: 'capacity', capacity: 400 },
  });
  const film = await sale.performance('Silent film with organ', 5, {
    price: 1800,
    seating: { kind: 'seated', seats: 120 },
  });
  const queued = await sale.performance('The last night of the tour', 20, {
    price: 9900,
    seating: { kind: 'seated', rows: 50, seatsPerRow: 60 },
  });
  await sale.sell(hall, soldSeats());
  must(await sale.admin.setQueue(queued, { mode: 'on', admitPerSecond: 0, maxActive: 500 }));
  await sale.join(queued, 230);

  const visitor = sale.user();
  must(await visitor.charge(20_000));
  const held = must(await visitor.reserve({ performanceId: film, seats: [34, 35] }));
  must(await visitor.pay(held.reservationId));
  must(await visitor.reserve({ performanceId: jazz, partySize: 4 }));
  const { browser } = await stage.add(async () => {
    const started = await launchBrowser();
    return { browser: started, stop: () => started.close() };
  });

  say('home ...');
  const home = await openPage(browser, gateway.url, visitor, 'mina@example.org', look);
  await home.goto('/');
  await home.locator('.reservation').nth(1).waitFor();
  await home.locator(`.event a.primary[href="/performances/${queued}"]`).waitFor();
  await shoot(home, look, 'home');

  say('waiting room ...');
  const waiting = await openPage(browser, gateway.url, visitor, 'mina@example.org', look);
  await waiting.goto(`/performances/${queued}/queue`);
  await waiting.locator('[data-fact="place"]').waitFor();
  must(await sale.admin.setQueue(queued, { mode: 'on', admitPerSecond: 12, maxActive: 500 }));
  await waiting.locator('progress[value]').waitFor();
  const place = waiting.locator('[data-fact="place"]');
  while (Number((await place.textContent())?.replace(/\D/g, '')) > 130) await waiting.waitForTimeout(500);
  await shoot(waiting, look, 'waiting-room');

  say('seat map ...');
  const seats = await openPage(browser, gateway.url, visitor, 'mina@example.org', look);
  await seats.goto(`/performances/${hall}`);
  await seats.locator('[data-connection=live]').waitFor();
  await seats.locator('form select').first().selectOption('3');
  await seats.locator('form button').first().click();
  await seats.locator('button.primary:not([disabled]):not([aria-disabled=true])').first().waitFor();
  await shoot(seats, look, 'seat-map');

  say('control room: a rehearsal, half a minute ...');
  must(await sale.admin.setQueue(demo, { mode: 'on', admitPerSecond: 15, maxActive: 60 }));
  const control = await openPage(browser, gateway.url, sale.admin, 'admin@example.org', look, 'admin');
  await control.setViewportSize(tall);
  await control.goto(`/admin#performance-${demo}`);
  await control.locator('[aria-labelledby=rehearsal-title]').waitFor();
  must(await sale.admin.startRehearsal(demo, { people: 600, places: 2 }));
  await control.waitForTimeout(rehearsalMs);
  await shoot(control, look, 'control-room');
}

/** Seats that somebody has, in pairs, more of them in front: every third pair or so. */
function soldSeats(): number[] {
  const seats: number[] = [];
  for (let pair = 0; pair < (rows * seatsPerRow) / 2; pair++) {
    const row = Math.floor((pair * 2) / seatsPerRow);
    // A fixed pattern: pictures of two runs are to differ by what changed in the pages alone.
    if (((pair * 7919) % 97) / 97 < 0.62 - row * 0.025) seats.push(pair * 2 + 1, pair * 2 + 2);
  }
  return seats;
}

/** A page with somebody logged in. */
async function openPage(
  browser: Browser,
  baseURL: string,
  { token }: FastpassClient,
  email: string,
  { isDark, language }: Look,
  role = 'user',
): Promise<Page> {
  const context = await browser.newContext({
    baseURL,
    viewport,
    locale: language === 'ko' ? 'ko-KR' : 'en-GB',
    timezoneId: 'Asia/Seoul',
    colorScheme: isDark ? 'dark' : 'light',
  });
  const login = { accessToken: token, expiresAt: '2099-01-01T00:00:00Z', userId: 1, role, email };
  await context.addInitScript(`localStorage.setItem('fastpass.session', ${JSON.stringify(JSON.stringify(login))})`);
  return context.newPage();
}

async function shoot(page: Page, { folder }: Look, name: string): Promise<void> {
  const path = join(folder, `${name}.png`);
  await page.screenshot({ path });
  say(path);
  await page.context().close();
}

try {
  process.exitCode = await main();
} catch (thrown) {
  process.stderr.write(`${String(thrown)}\n`);
  process.exitCode = 1;
}
