/** The whole way of a visitor, in one go, in a real browser: from the sign-up through a queue to a seat that others see sold. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../src/embedded/supervise.ts';
import { accessibilityFaults, useBrowser } from './browser.ts';
import {
  brokenPromises,
  call,
  type GatewayProcess,
  newUserId,
  patient,
  spawnGateway,
  tokenOf,
  until,
} from './harness.ts';
import { button, cardOf, newSale } from './home.ts';
import { newEmail } from './people.ts';
import { closeSockets, configure, joinAll, look, type Visitor, watch } from './rooms.ts';

const journeyMs = 240_000;
const browser = useBrowser();
let settings: Readonly<Record<string, string>>;
let gateway: GatewayProcess;

beforeAll(async () => {
  settings = { ...patient, PORT: String(await freePort()) };
  gateway = await spawnGateway(settings);
});

afterAll(async () => {
  closeSockets();
  await gateway.stop();
});

/** Another browser, of one of the others who wait: logged in, with the ticket where the page looks for it. */
async function browserOf({ userId, ticket }: Visitor, performanceId: number) {
  const visitor = await browser.visitor(gateway.url);
  const login = {
    accessToken: tokenOf(userId),
    expiresAt: '2099-01-01T00:00:00Z',
    userId,
    role: 'user',
    email: 'b@example.org',
  };
  const kept = { 'fastpass.session': JSON.stringify(login), [`fastpass.ticket.${performanceId}`]: ticket };
  const lines = Object.entries(kept).map(([name, text]) => `localStorage.setItem('${name}', ${JSON.stringify(text)});`);
  await visitor.context.addInitScript(lines.join('\n'));
  return visitor;
}

it('a visitor signs up, keeps a place behind 200 over a reload and a restart, is let in, holds, pays, and others see it', {
  timeout: journeyMs,
}, async () => {
  const sale = await newSale(gateway.url);
  const { performanceId } = sale;
  await configure(gateway.url, performanceId, { admitPerSecond: 0, maxActive: 1000 });
  const others = await joinAll(gateway.url, performanceId, 200);
  await Promise.all(others.map((other) => watch(gateway.url, other)));

  // Sign up, and on to the room.
  const { page, faults } = await browser.visitor(gateway.url);
  await page.goto('/');
  await button(page, 'No account yet? Sign up').click();
  await page.getByLabel('E-mail').fill(newEmail());
  await page.getByLabel('Password').fill('correct horse battery');
  await button(page, 'Sign up').click();
  await page.getByText('Balance').first().waitFor();
  await cardOf(page, sale).getByRole('link', { name: 'Join the waiting room' }).click();
  const place = page.locator('[data-fact="place"]');
  const shown = async (): Promise<number> => Number((await place.textContent())?.replace(/\D/g, ''));
  await until('the place behind the others is shown', async () => (await shown()) === 201, 30_000);

  // The place falls, and stays over a reload and a gateway that restarts.
  await configure(gateway.url, performanceId, { admitPerSecond: 20, maxActive: 1000 });
  await until('it has fallen', async () => (await shown()) < 180, 30_000);
  await configure(gateway.url, performanceId, { admitPerSecond: 0, maxActive: 1000 });
  const ahead = async (): Promise<number> => {
    const stands = await Promise.all(
      others.map(({ userId, ticket }) => look(gateway.url, performanceId, userId, ticket)),
    );
    return stands.filter(({ body }) => body.status === 'waiting').length;
  };
  await until('it is what the tickets of the others say', async () => (await shown()) === (await ahead()) + 1, 30_000);
  const before = await shown();
  await page.reload();
  await until('the reload keeps it', async () => (await shown()) === before, 30_000);
  await gateway.stop();
  await page.locator('[data-fact="way"]').getByText('Lost', { exact: true }).waitFor({ timeout: 45_000 });
  gateway = await spawnGateway(settings);
  await page.locator('[data-fact="way"]').getByText('Live', { exact: true }).waitFor({ timeout: 45_000 });
  expect(await shown()).toBe(before);

  // Let in.
  await configure(gateway.url, performanceId, { admitPerSecond: 1000, maxActive: 1000 });
  await page.getByRole('heading', { name: 'It is your turn' }).waitFor({ timeout: 45_000 });
  await page.getByRole('link', { name: 'Choose your places' }).click();

  // Chosen, held, charged, paid; while somebody else looks on.
  const second = await browserOf(others[0]!, performanceId);
  await second.page.goto(`/performances/${performanceId}`);
  await second.page.locator('[data-connection=live]').waitFor();
  await page.getByLabel('How many together?').selectOption('2');
  await button(page, 'Find the best').click();
  await button(page, 'Hold 2 seats').click();
  await page.getByRole('heading', { name: 'Held for you' }).waitFor();
  await second.page.locator('[data-count=held]', { hasText: /^2$/ }).waitFor();
  await button(page, 'Charge').click();
  await button(page, 'Pay 30.00').click();
  await page.getByRole('heading', { name: 'These places are yours' }).waitFor();
  await second.page.locator('[data-count=taken]', { hasText: /^2$/ }).waitFor();
  expect(await accessibilityFaults(page)).toEqual([]);
  expect(await accessibilityFaults(second.page)).toEqual([]);

  // As the gateway has it.
  const admin = { userId: newUserId(), role: 'admin' } as const;
  const { body: map } = await call(gateway.url, 'GET', `/v1/performances/${performanceId}/seats`, admin);
  expect(map.seats.filter(({ status }: { status: string }) => status === 'OCCUPIED')).toHaveLength(2);
  expect(await brokenPromises(performanceId)).toEqual([]);
  await page.goto('/');
  await page.locator('.reservation', { hasText: sale.eventName }).waitFor();
  expect([...faults, ...second.faults]).toEqual([]);
});
