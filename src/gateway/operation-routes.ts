/** The process itself: health, readiness, metrics, the OpenAPI document. No token is needed. */
import type { Metrics } from '../metrics.ts';
import { openApiOf } from './openapi.ts';
import type { Answer } from './reply.ts';
import type { Route } from './route.ts';

/** What a store says of itself when asked; an empty text is good. */
export type Readiness = () => Promise<Readonly<Record<string, string>>>;

export function operationRoutes(readiness: Readiness, metrics: Metrics, apiRoutes: readonly Route[]): Route[] {
  async function ready(): Promise<Answer> {
    const faults = Object.entries(await readiness()).filter(([, fault]) => fault !== '');
    if (faults.length === 0) return { status: 200, value: { status: 'ready' } };
    return {
      status: 503,
      headers: [['retry-after', '1']],
      value: { status: 'not ready', faults: Object.fromEntries(faults) },
    };
  }

  async function scrape(): Promise<Answer> {
    return { status: 200, text: { type: metrics.contentType, body: await metrics.text() } };
  }

  const routes: Route[] = [
    {
      method: 'get',
      path: '/healthz',
      summary: 'The process is alive',
      auth: 'none',
      success: [200, 'Alive'],
      codes: [],
      handle: () => ({ status: 200, value: { status: 'ok' } }),
    },
    {
      method: 'get',
      path: '/readyz',
      summary: 'Redis, MySQL and migrations are usable; 503 names what is not',
      auth: 'none',
      success: [200, 'Ready'],
      codes: [],
      handle: ready,
    },
    {
      method: 'get',
      path: '/metrics',
      summary: 'Prometheus text',
      auth: 'none',
      success: [200, 'Metrics'],
      codes: [],
      handle: scrape,
    },
    {
      method: 'get',
      path: '/openapi.json',
      summary: 'This document',
      auth: 'none',
      success: [200, 'OpenAPI 3.1'],
      codes: [],
      handle: () => ({ status: 200, json: document }),
    },
  ];
  const document = JSON.stringify(openApiOf([...apiRoutes, ...routes]));
  return routes;
}
