/** What the tests of the home page share: sales, people with money and holds, and where the page shows them. */
import type { BrowserContext, Locator, Page } from 'playwright-core';
import { expect } from 'vitest';
import { call, newUserId, tokenOf } from './harness.ts';

const admin = { userId: newUserId(), role: 'admin' } as const;

export interface Sale {
  readonly eventName: string;
  readonly performanceId: number;
}

/** An event with one performance of seats. */
export async function newSale(url: string, fields: Readonly<Record<string, unknown>> = {}): Promise<Sale> {
  const eventName = `Evening ${newUserId()}`;
  const event = await call(url, 'POST', '/v1/events', { ...admin, body: { name: eventName } });
  const seating = { kind: 'seated', rows: 5, seatsPerRow: 10 };
  const body = { startsAt: '2035-01-01T20:00:00Z', price: 1500, seating, ...fields };
  const path = `/v1/events/${event.body.eventId}/performances`;
  const created = await call(url, 'POST', path, { ...admin, body });
  expect(created.status).toBe(201);
  return { eventName, performanceId: created.body.performanceId };
}

export async function hold(
  url: string,
  userId: number,
  performanceId: number,
  seats: readonly number[],
): Promise<void> {
  const held = await call(url, 'POST', '/v1/reservations', { userId, body: { performanceId, seats } });
  expect(held.status).toBe(201);
}

export async function put(url: string, userId: number, amount: number): Promise<void> {
  const charged = await call(url, 'POST', '/v1/balance/charges', { userId, body: { amount } });
  expect(charged.status).toBe(201);
}

export async function balanceOf(url: string, userId: number): Promise<number> {
  return (await call(url, 'GET', '/v1/balance', { userId })).body.balance;
}

/** From its next page on, the browser of `context` has somebody logged in. */
export function logIn(context: BrowserContext, userId: number, accessToken = tokenOf(userId)): Promise<unknown> {
  const session = { accessToken, expiresAt: '2099-01-01T00:00:00Z', userId, role: 'user', email: 'mina@example.org' };
  const text = JSON.stringify(JSON.stringify(session));
  // Once: a reload must not undo what the page has done since.
  return context.addInitScript(`
    if (!sessionStorage.getItem('begun')) localStorage.setItem('fastpass.session', ${text});
    sessionStorage.setItem('begun', 'yes');
  `);
}

export const cardOf = (page: Page, { eventName }: Sale): Locator => page.locator('.event', { hasText: eventName });
export const reservationOf = (page: Page, { eventName }: Sale): Locator =>
  page.locator('.reservation', { hasText: eventName });
export const button = (within: Page | Locator, name: string | RegExp): Locator => within.getByRole('button', { name });
export const balance = (page: Page, text: string): Promise<void> =>
  page.locator('.balance strong', { hasText: new RegExp(`^${text.replace('.', '\\.')}$`) }).waitFor();
