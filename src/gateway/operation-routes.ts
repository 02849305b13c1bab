/** The process itself: health, readiness, metrics, the OpenAPI document. No token is needed. */

import Type from 'typebox';
import { Code } from '../domain/codes.ts';
import type { Metrics } from '../metrics.ts';
import type { Assets } from '../pages/assets.ts';
import { described } from './answers.ts';
import { documentRoutes } from './document-routes.ts';
import { openApiOf } from './openapi.ts';
import { pageRoutes } from './page-routes.ts';
import { type Answer, problem } from './reply.ts';
import type { Route } from './route.ts';

/** The names of the stores that cannot be used now; what they say of it is for the log alone. */
export type Readiness = () => Promise<readonly string[]>;

const alive = described(Type.Object({ status: Type.Literal('ok') }, { title: 'Alive' }), {
  alive: { status: 'ok' },
});
const readyNow = described(Type.Object({ status: Type.Literal('ready') }, { title: 'Ready' }), {
  ready: { status: 'ready' },
});
const prometheus = described(Type.String(), {
  metrics:
    '# HELP fastpass_store_up Whether a store answers.\n# TYPE fastpass_store_up gauge\nfastpass_store_up{store="redis"} 1\n',
});
const openApi = described(
  Type.Object(
    {
      openapi: Type.String({ pattern: '^3\\.1\\.' }),
      info: Type.Object({ title: Type.String(), version: Type.String() }, { additionalProperties: true }),
      paths: Type.Record(Type.String(), Type.Unknown()),
      components: Type.Record(Type.String(), Type.Unknown()),
    },
    { title: 'OpenApi', description: 'as the OpenAPI Initiative describes it', additionalProperties: true },
  ),
  { document: { openapi: '3.1.0', info: { title: 'fastpass', version: '1.0.0' }, paths: {}, components: {} } },
);

export function operationRoutes(
  readiness: Readiness,
  metrics: Metrics,
  assets: Assets,
  apiRoutes: readonly Route[],
): Route[] {
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
      operationId: 'readHealth',
      tag: 'Operations',
      summary: 'The process is alive',
      auth: 'none',
      success: [{ status: 200, description: 'Alive', answer: alive }],
      codes: [],
      handle: () => ({ status: 200, value: { status: 'ok' } }),
    },
    {
      method: 'get',
      path: '/readyz',
      operationId: 'readReadiness',
      tag: 'Operations',
      summary: 'Redis, MySQL and migrations are usable; 503 names what is not',
      auth: 'none',
      success: [{ status: 200, description: 'Ready', answer: readyNow }],
      codes: [Code.unavailable],
      handle: ready,
    },
    {
      method: 'get',
      path: '/metrics',
      operationId: 'readMetrics',
      tag: 'Operations',
      summary: 'Prometheus text',
      auth: 'none',
      success: [{ status: 200, description: 'Metrics', answer: prometheus, mediaType: 'text/plain' }],
      codes: [],
      handle: scrape,
    },
    {
      method: 'get',
      path: '/openapi.json',
      operationId: 'readDocument',
      tag: 'Operations',
      summary: 'This document',
      auth: 'none',
      success: [{ status: 200, description: 'OpenAPI 3.1', answer: openApi }],
      codes: [],
      handle: () => ({ status: 200, json: document }),
    },
    ...documentRoutes(),
    ...pageRoutes(assets),
  ];
  const document = JSON.stringify(openApiOf([...apiRoutes, ...routes]));
  return routes;
}
