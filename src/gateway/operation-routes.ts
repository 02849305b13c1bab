/** The process itself: health, readiness, metrics, the OpenAPI document. No token is needed. */

import { Code } from '../domain/codes.ts';
import type { Metrics } from '../metrics.ts';
import { openApiOf } from './openapi.ts';
import { type Answer, problem } from './reply.ts';
import type { Route } from './route.ts';

/** The names of the stores that cannot be used now; what they say of it is for the log alone. */
export type Readiness = () => Promise<readonly string[]>;

export function operationRoutes(readiness: Readiness, metrics: Metrics, apiRoutes: readonly Route[]): Route[] {
  async function ready(): Promise<Answer> {
    const down = await readiness();
    if (down.length === 0) return { status: 200, value: { status: 'ready' } };
    return problem({ code: Code.unavailable, detail: `Not usable: ${down.join(', ')}.` });
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
