/** OpenAPI 3.1 out of the route table and the schemas that validate: never a second copy by hand. */
import { Code, codeTable, statusLine } from '../domain/codes.ts';
import type { Route } from './route.ts';

type Json = Readonly<Record<string, unknown>>;

const problemSchema: Json = {
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'detail'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', enum: Object.values(Code) },
    detail: { type: 'string' },
    seats: { type: 'array', items: { type: 'integer' } },
    reservationId: { type: 'string', format: 'uuid' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: { path: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
};

/** Every code a route may answer: its own and those of what stands before it. */
function codesOf(route: Route): Code[] {
  const codes = new Set<Code>(route.codes);
  if (route.auth !== 'none') for (const code of [Code.unauthorized, Code.rateLimited]) codes.add(code);
  if (route.auth === 'admin') codes.add(Code.forbidden);
  if (route.body !== undefined) for (const code of [Code.payloadTooLarge, Code.unsupportedMediaType]) codes.add(code);
  if (route.isCreating === true) codes.add(Code.idempotencyKeyReused);
  if (route.body !== undefined || route.query !== undefined || route.path.includes('{'))
    codes.add(Code.validationFailed);
  if (route.path.startsWith('/v1/')) codes.add(Code.unavailable);
  return [...codes];
}

function parametersOf(route: Route): Json[] {
  const parameters: Json[] = [];
  for (const name of route.path.match(/(?<=\{)\w+(?=\})/g) ?? []) {
    const schema = name === 'reservationId' ? { type: 'string', format: 'uuid' } : { type: 'integer', minimum: 1 };
    parameters.push({ name, in: 'path', required: true, schema });
  }
  const query = route.query?.schema as { properties?: Record<string, unknown> } | undefined;
  for (const [name, schema] of Object.entries(query?.properties ?? {})) parameters.push({ name, in: 'query', schema });
  for (const name of route.headers ?? []) parameters.push({ name, in: 'header', schema: { type: 'string' } });
  if (route.isCreating === true) {
    const schema = { type: 'string', minLength: 1, maxLength: 64, pattern: '^[\\x21-\\x7e]+$' };
    parameters.push({ name: 'Idempotency-Key', in: 'header', schema });
  }
  return parameters;
}

function operationOf(route: Route): Json {
  const [status, description] = route.success;
  const responses: Record<string, unknown> = { [status]: { description } };
  for (const code of codesOf(route)) {
    const row = codeTable[code];
    const earlier = responses[row.status] as { description: string } | undefined;
    responses[row.status] = {
      description:
        earlier === undefined ? `${statusLine(row.status).slice(4)}: ${code}` : `${earlier.description}, ${code}`,
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    };
  }
  const schema = route.body?.schema;
  const content = { 'application/json': { schema }, 'application/msgpack': { schema } };
  return {
    summary: route.summary,
    operationId: `${route.method}${route.path.replace(/[^a-zA-Z0-9]+(.)?/g, (_, next: string = '') => next.toUpperCase())}`,
    parameters: parametersOf(route),
    ...(schema === undefined ? {} : { requestBody: { required: true, content } }),
    responses,
    security: route.auth === 'none' ? [] : [{ bearer: [] }],
  };
}

/** The document for a route table. */
export function openApiOf(routes: readonly Route[]): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'fastpass',
      version: '1',
      description: 'Gateway for first-come-first-served sales. Money is an integer in the minor unit; times are UTC.',
    },
    paths,
    components: {
      schemas: { Problem: problemSchema },
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  };
}
