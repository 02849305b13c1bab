import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, createPerformance, newUserId, startGateway, type TestGateway } from './harness.ts';
import { openSocket } from './socket.ts';

let gateway: TestGateway;
let url = '';
beforeAll(async () => {
  gateway = await startGateway();
  url = gateway.url;
});
afterAll(() => gateway.stop());

const seated = { seating: { kind: 'seated', seats: 100 } };

async function room(performanceId: number, fields: Record<string, unknown> = {}) {
  const body = { mode: 'on', admitPerSecond: 10, maxActive: 5, ...fields };
  return call(url, 'PUT', `/v1/performances/${performanceId}/queue`, { userId: 1, role: 'admin', body });
}

describe('the waiting room', () => {
  it('lets people in, in order, and they hold with their pass', async () => {
    const id = await createPerformance(url, seated);
    expect((await room(id)).body).toMatchObject({ mode: 'on', maxActive: 5 });
    const path = `/v1/performances/${id}/queue/tickets`;
    const users = [newUserId(), newUserId(), newUserId()];
    const tickets = [];
    for (const userId of users) {
      const joined = await call(url, 'POST', path, { userId });
      expect(joined.status).toBe(201);
      tickets.push(joined.body);
    }
    expect(tickets.map(({ number }) => number)).toEqual([1, 2, 3]);
    const socket = await openSocket(url, users[2]!);
    socket.send({ type: 'queue.watch', ticket: tickets[2]!.ticket });
    const admitted = await socket.message('queue.admitted');
    expect(admitted.performanceId).toBe(id);
    const refused = await call(url, 'POST', '/v1/reservations', {
      userId: users[2]!,
      body: { performanceId: id, seats: [1] },
    });
    expect([refused.status, refused.body.code]).toEqual([403, 'queue_pass_required']);
    socket.send({ type: 'seats.watch', performanceId: id });
    socket.send({ type: 'reserve', id: 'a', performanceId: id, seats: [1, 2], pass: admitted.pass });
    const result = await socket.message('reserve.result');
    expect(result).toMatchObject({ id: 'a', status: 201, seats: [1, 2] });
    const state = await call(url, 'GET', `/v1/performances/${id}/queue`);
    expect(state.body).toMatchObject({ mode: 'on', issued: 3, admitted: 3, waiting: 0, active: 3 });
    const again = await call(url, 'GET', `${path}/current`, {
      userId: users[0]!,
      headers: { 'queue-ticket': tickets[0]!.ticket },
    });
    expect(again.body.status).toBe('admitted');
    const held = await call(url, 'POST', '/v1/reservations', {
      userId: users[0]!,
      body: { performanceId: id, seats: [5] },
      headers: { 'queue-pass': again.body.pass },
    });
    expect(held.status).toBe(201);
    const changed = await socket.message('seats.changed', ({ changes }) =>
      changes.some(([seat]: [number]) => seat === 5),
    );
    expect(changed.changes).toContainEqual([5, 'HELD']);
    socket.close();
  });
});
