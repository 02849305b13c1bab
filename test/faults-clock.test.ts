/** Clocks that are wrong or jump: those of the gateways decide nothing, those of the stores are never compared. */
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  brokenPromises,
  call,
  createPerformance,
  disagreements,
  type GatewayProcess,
  newUserId,
  redisClient,
  spawnGateway,
  storedReservations,
  storedStatus,
  until,
} from './harness.ts';
import { charge, hold, pay } from './money.ts';
import { recovered } from './reliability.ts';
import { openRoom, roomPath } from './rooms.ts';
import { simulate } from './simulation/run.ts';

/** A gateway whose own clock is ahead by so much; below 0 behind. */
async function gatewayAhead(ms: number): Promise<GatewayProcess> {
  const text = `const now = Date.now; Date.now = () => now() + ${ms};
    const Real = Date; globalThis.Date = class extends Real { constructor(...a) { a.length ? super(...a) : super(Date.now()); } };
    globalThis.Date.now = () => now() + ${ms};`;
  const gateway = await spawnGateway({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(text)}` });
  onTestFinished(() => gateway.kill());
  return gateway;
}

const dayMs = 86_400_000;
// Tokens of the tests are good for an hour by the clock of the gateway.
const halfAnHourMs = 1_800_000;

describe('clock jumps: TIME of Redis decides in scripts, MySQL in SQL, never two clocks compared', () => {
  it('two gateways a day apart sell, expire and admit as one', async () => {
    const [early, late] = [await gatewayAhead(-dayMs), await gatewayAhead(halfAnHourMs)];
    const redis = redisClient();
    onTestFinished(() => redis.disconnect());
    const seating = { kind: 'seated', seats: 3 };
    const performanceId = await createPerformance(early.url, { seating, holdSeconds: 3 });
    const [payer, idler] = [newUserId(), newUserId()];
    const [seconds] = await redis.time();
    const first = await hold(early.url, payer, { performanceId, seats: [1] });
    const second = await hold(late.url, idler, { performanceId, seats: [2] });
    for (const { status, body } of [first, second]) {
      expect(status).toBe(201);
      const leftMs = Date.parse(body.expiresAt) - Number(seconds) * 1000;
      expect(leftMs).toBeGreaterThan(2000);
      expect(leftMs).toBeLessThan(15_000);
    }
    await charge(late.url, payer, 1000);
    expect((await pay(late.url, payer, first.body.reservationId)).status).toBe(201);
    const heldAtMs = performance.now();
    await until('the other one is expired', async () => {
      const stored = await storedReservations(performanceId);
      return stored.find(({ id }) => id === second.body.reservationId)?.status === storedStatus.EXPIRED;
    });
    recovered('Gateways with clocks a day apart: a hold of 3 s is expired', performance.now() - heldAtMs);
    await until('both stores agree', async () => (await disagreements(early.url, performanceId)).length === 0);
    expect((await hold(early.url, newUserId(), { performanceId, seats: [2] })).status).toBe(201);
    expect(await brokenPromises(performanceId)).toEqual([]);

    const roomId = await openRoom(late.url);
    const guest = newUserId();
    const joined = await call(early.url, 'POST', `${roomPath(roomId)}/tickets`, { userId: guest });
    const headers = { 'queue-ticket': joined.body.ticket };
    let pass = '';
    await until('the guest is admitted', async () => {
      const { body } = await call(late.url, 'GET', `${roomPath(roomId)}/tickets/current`, { userId: guest, headers });
      pass = body.pass;
      return body.status === 'admitted';
    });
    const body = { performanceId: roomId, seats: [1] };
    const withPass = { userId: guest, body, headers: { 'queue-pass': pass } };
    expect((await call(early.url, 'POST', '/v1/reservations', withPass)).status).toBe(201);
  });

  it('jumps of the clocks of Redis and MySQL in the simulation break no promise', async () => {
    let jumps = 0;
    for (let seed = 1; jumps < 25; seed++) {
      const { weather, broken, trace } = await simulate(seed, 120);
      if (!weather.includes('jumps')) continue;
      jumps += trace.filter((line) => line.includes('a clock jumps')).length;
      expect(broken, `npm run simulate -- --seed ${seed} --steps 120`).toEqual([]);
    }
  });
});
