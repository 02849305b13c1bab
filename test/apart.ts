/** A gateway whose way to Redis can be taken away from it, and from nobody else. */
import { inject, onTestFinished } from 'vitest';
import { startGateway } from './harness.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

interface Apart {
  readonly url: string;
  /** Between it and Redis. */
  readonly proxy: TcpProxy;
}

/** Starts one for the test that runs; with that it ends, Redis in its reach again. */
export async function startApart(): Promise<Apart> {
  const target = new URL(inject('redisUrl'));
  const proxy = await startTcpProxy(target.hostname, Number(target.port));
  const proxied = new URL(target);
  proxied.port = String(proxy.port);
  const gateway = await startGateway({ REDIS_URL: proxied.href });
  onTestFinished(async () => {
    proxy.restore();
    await gateway.stop();
    await proxy.close();
  });
  return { url: gateway.url, proxy };
}
