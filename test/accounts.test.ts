import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, createPerformance, newUserId, startGateway, type TestGateway } from './harness.ts';

let gateway: TestGateway;
let url = '';
beforeAll(async () => {
  gateway = await startGateway();
  url = gateway.url;
});
afterAll(() => gateway.stop());

async function signedUp() {
  const email = `u${newUserId()}@example.org`;
  const user = await call(url, 'POST', '/v1/users', { body: { email, password: 'correct horse', name: 'U' } });
  expect(user.status).toBe(201);
  const session = await call(url, 'POST', '/v1/sessions', { body: { email, password: 'correct horse' } });
  expect(session.status).toBe(201);
  return { userId: user.body.userId, email, headers: { authorization: `Bearer ${session.body.accessToken}` } };
}

describe('a new user', () => {
  it('signs up, logs in, charges, holds, pays, reads, is refunded and logs out', async () => {
    const { headers, userId } = await signedUp();
    expect((await call(url, 'POST', '/v1/balance/charges', { headers, body: { amount: 5000 } })).body).toEqual({
      balance: 5000,
    });
    const id = await createPerformance(url, { seating: { kind: 'seated', seats: 10 } });
    const held = await call(url, 'POST', '/v1/reservations', { headers, body: { performanceId: id, seats: [1, 2] } });
    expect(held.status).toBe(201);
    const path = `/v1/reservations/${held.body.reservationId}`;
    const paid = await call(url, 'POST', `${path}/payments`, { headers, body: {} });
    expect([paid.status, paid.body]).toEqual([
      201,
      expect.objectContaining({ amount: 2000, balance: 3000, status: 'PAID' }),
    ]);
    const again = await call(url, 'POST', `${path}/payments`, { headers, body: {} });
    expect(again.body).toEqual(paid.body);
    expect((await call(url, 'GET', path, { headers })).body).toMatchObject({ status: 'CONFIRMED', userId });
    const seats = await call(url, 'GET', `/v1/performances/${id}/seats`);
    expect(seats.body.seats[0].status).toBe('OCCUPIED');
    const cancelled = await call(url, 'DELETE', path, { headers });
    expect(cancelled.body).toEqual({ reservationId: held.body.reservationId, status: 'CANCELLED', refunded: 2000 });
    expect((await call(url, 'DELETE', path, { headers })).body).toEqual(cancelled.body);
    expect((await call(url, 'GET', '/v1/balance', { headers })).body).toEqual({ balance: 5000 });
    const history = await call(url, 'GET', '/v1/balance/history', { headers });
    expect(
      history.body.items.map(({ type, amount, balance }: Record<string, unknown>) => [type, amount, balance]),
    ).toEqual([
      ['refund', 2000, 5000],
      ['payment', -2000, 3000],
      ['charge', 5000, 5000],
    ]);
    const seatsNow = await call(url, 'GET', `/v1/performances/${id}/seats`);
    expect(seatsNow.body.seats[0].status).toBe('AVAILABLE');
    expect((await call(url, 'DELETE', '/v1/sessions/current', { headers })).status).toBe(204);
    expect((await call(url, 'GET', '/v1/balance', { headers })).status).toBe(401);
  });
});
