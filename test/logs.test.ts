/** What a gateway writes: the id of a failed request, and more of everything while somebody asks for it. */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { freePort } from '../src/embedded/supervise.ts';
import { call, type GatewayProcess, newUserId, spawnGateway, until } from './harness.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;

describe.each([
  ['one process', 1],
  ['two workers', 2],
])('a gateway of %s', (_name, workers) => {
  let gateway: GatewayProcess;
  let proxy: TcpProxy;
  let url: string;

  beforeAll(async () => {
    const redis = new URL(inject('redisUrl'));
    proxy = await startTcpProxy(redis.hostname, Number(redis.port));
    redis.port = String(proxy.port);
    const port = await freePort();
    const settings = { REDIS_URL: redis.href, PORT: String(port), FASTPASS_WORKERS: String(workers) };
    gateway = await spawnGateway({ ...settings, LOG_LEVEL: 'info' });
    url = `http://127.0.0.1:${port}`;
    const listening = new RegExp(`listening .*port=${port}`, 'g');
    await until('all listen', () => (gateway.output().match(listening) ?? []).length === workers, 30_000);
  });
  afterAll(async () => {
    await gateway.stop();
    await proxy.close();
  });

  const debugLines = (): number => (gateway.output().match(/ debug /g) ?? []).length;
  const unready = async (): Promise<boolean> => (await call(url, 'GET', '/readyz')).status === 503;

  it('says the id of a failed request in its answer, and of no other', async () => {
    const ask = (headers: Record<string, string>) =>
      call(url, 'POST', '/v1/reservations', {
        userId: newUserId(),
        body: { performanceId: 1, seats: [1] },
        headers,
      });
    const refused = await ask({ traceparent });
    expect(refused.status).toBeLessThan(500);
    expect(refused.headers.get('request-id')).toBe(null);
    expect(refused.headers.get('traceparent')).toBe(null);

    proxy.cut();
    try {
      await until('it sees that', unready);
      const failed = await ask({ traceparent });
      expect(failed.status).toBe(503);
      expect(failed.headers.get('request-id')).toBe(traceId);
      expect(failed.headers.get('traceparent')).toMatch(new RegExp(`^00-${traceId}-[\\da-f]{16}-01$`));
      const [first, second] = [await ask({}), await ask({ traceparent: 'none' })];
      const ids = [first, second].map(({ headers }) => headers.get('request-id'));
      for (const id of ids) expect(id).toMatch(/^[\da-f]{32}$/);
      expect(new Set([...ids, traceId]).size).toBe(3);
    } finally {
      proxy.restore();
    }
    await until('it is back', async () => !(await unready()));
  });

  it('tells more from one SIGUSR2 on, and no more from the next on, in every process', async () => {
    proxy.cut();
    try {
      await until('it sees that', unready);
      expect(debugLines()).toBe(0);
      gateway.child.kill('SIGUSR2');
      // A connection each: either process may answer.
      await until('details are told', async () => (await unready()) && debugLines() > 0);
      expect(gateway.output()).toContain('SIGUSR2: logs at debug');
      gateway.child.kill('SIGUSR2');
      await until('it says so', () => gateway.output().includes('SIGUSR2: logs at info'));
      await until('no details are told', async () => {
        const before = debugLines();
        for (let i = 0; i < 10; i++) await unready();
        return debugLines() === before;
      });
    } finally {
      proxy.restore();
    }
    await until('it is back', async () => !(await unready()));
    expect(gateway.child.exitCode).toBe(null);
  });
});
