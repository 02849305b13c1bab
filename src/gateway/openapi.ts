/** OpenAPI 3.1 out of the route table and the schemas that validate: never a second copy by hand. */
import { Code, codeTable, statusLine } from '../domain/codes.ts';
import { problemExample, problemSchema } from './problems.ts';
import type { ResponseHeader, Route, Success, Tag } from './route.ts';
import { type Described, type RequestHeader, requestHeaders } from './schemas.ts';

type Json = Readonly<Record<string, unknown>>;

const description = `Gateway for first-come-first-served sales: no seat sold twice, no acknowledged reservation lost.

Bodies are JSON, or msgpack where \`Content-Type\` and \`Accept\` say so, of at most 16 KiB. Money is an integer in the
currency's minor unit; times are ISO 8601 in UTC. Errors are \`application/problem+json\` (RFC 9457): decide by \`code\`,
and wait for \`Retry-After\` where it is given. A path that is none answers \`not_found\`. Every GET also answers HEAD.

Pushes (positions in the queue, changed seats, the fate of a reservation) come over the WebSocket \`/v1/ws\`, described in
\`asyncapi.yaml\`.`;

const tags: readonly { readonly name: Tag; readonly description: string }[] = [
  { name: 'Accounts', description: 'Sign-up, log-in, log-out, and the balance that pays.' },
  { name: 'Catalogue', description: 'Events, performances, seat maps. Writes need the role admin, reads no token.' },
  { name: 'Waiting room', description: 'One a performance: who joins is let in by number, with a pass.' },
  { name: 'Reservations', description: 'Hold, pay, read, cancel.' },
  { name: 'Rehearsals', description: 'A rush of played visitors against a demo performance. Role admin.' },
  { name: 'Operations', description: 'The process itself, and its documents.' },
];

const retryAfter = 'Retry-After';
const replayed = 'Idempotency-Replayed';
const allow = 'Allow';
const authenticate = 'WWW-Authenticate';
const requestId = 'Request-Id';
const traceparent = 'Traceparent';

/** Those marked as required are in every answer that names them. */
const responseHeaders: Readonly<Record<string, Json>> = {
  Location: {
    description: 'The path of what was created.',
    required: true,
    schema: { type: 'string', format: 'uri-reference' },
    example: '/v1/reservations/0190c7a5-3f60-7d3c-8a3e-6f1d2b9c4e57',
  },
  ETag: {
    description: 'Names this state, for `If-None-Match`.',
    required: true,
    schema: { type: 'string' },
    example: '"9c1d5e-311"',
  },
  [replayed]: {
    description: '`true` where this is the answer of an earlier request with the same `Idempotency-Key`.',
    schema: { type: 'string', const: 'true' },
  },
  [retryAfter]: {
    description: 'Seconds after which a repeat makes sense.',
    required: true,
    schema: { type: 'integer', minimum: 1 },
    example: 1,
  },
  [allow]: {
    description: 'The methods of this path.',
    required: true,
    schema: { type: 'string' },
    example: 'GET, HEAD',
  },
  [requestId]: {
    description:
      'For whoever runs the gateway: the trace id of the request, or a new one; a failure is logged under it.',
    required: true,
    schema: { type: 'string', pattern: '^[0-9a-f]{32}$' },
    example: '4bf92f3577b34da6a3ce929d0e0e4736',
  },
  [traceparent]: {
    description: 'The same id as W3C Trace Context writes it.',
    required: true,
    schema: { type: 'string', pattern: '^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$' },
    example: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  },
  [authenticate]: { description: 'The scheme.', required: true, schema: { type: 'string' }, example: 'Bearer' },
} satisfies Record<ResponseHeader, Json> & Record<string, Json>;

function headersOf(names: readonly string[]): Json {
  if (names.length === 0) return {};
  return { headers: Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }])) };
}

/** Every code a route may answer: its own and those of what stands before it. */
function codesOf(route: Route): Code[] {
  const codes = new Set<Code>(route.codes);
  if (route.auth !== 'none') for (const code of [Code.unauthorized, Code.rateLimited]) codes.add(code);
  if (route.auth === 'admin') codes.add(Code.forbidden);
  if (route.body !== undefined) for (const code of [Code.payloadTooLarge, Code.unsupportedMediaType]) codes.add(code);
  if (route.isCreating === true) codes.add(Code.idempotencyKeyReused);
  const takesValues = route.body !== undefined || route.query !== undefined || route.isCreating === true;
  if (takesValues || route.path.includes('{')) codes.add(Code.validationFailed);
  // A gateway that stops refuses whatever still comes; the path answers every other method.
  for (const code of [Code.unavailable, Code.methodNotAllowed]) codes.add(code);
  return [...codes];
}

const pathParameters: Readonly<Record<string, Json>> = {
  reservationId: {
    description: 'As the hold was answered.',
    schema: { type: 'string', format: 'uuid' },
    example: '0190c7a5-3f60-7d3c-8a3e-6f1d2b9c4e57',
  },
  performanceId: {
    description: 'Of a performance.',
    schema: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
    example: 42,
  },
  eventId: {
    description: 'Of an event.',
    schema: { type: 'integer', minimum: 1, maximum: Number.MAX_SAFE_INTEGER },
    example: 7,
  },
};

function headerParameter(name: RequestHeader, required: boolean): Json {
  const { name: asWritten, ...rest } = requestHeaders[name];
  return { name: asWritten, in: 'header', required, ...rest };
}

function parametersOf(route: Route): Json[] {
  const parameters: Json[] = [];
  for (const name of route.path.match(/(?<=\{)\w+(?=\})/g) ?? []) {
    const parameter = pathParameters[name];
    if (parameter === undefined) throw new Error(`the parameter ${name} of ${route.path} is not described`);
    parameters.push({ name, in: 'path', required: true, ...parameter });
  }
  const query = route.query?.schema as { properties?: Record<string, Json> } | undefined;
  for (const [name, { description, ...schema }] of Object.entries(query?.properties ?? {})) {
    parameters.push({ name, in: 'query', description, schema });
  }
  for (const name of route.headers ?? []) {
    parameters.push(headerParameter(name, route.headersRequired?.includes(name) === true));
  }
  if (route.isCreating === true) parameters.push(headerParameter('idempotency-key', false));
  return parameters;
}

/** An empty body counts as an empty object. */
function needsBody({ schema }: Described): boolean {
  return 'required' in schema && Array.isArray(schema.required) && schema.required.length > 0;
}

function examplesOf({ examples }: Described): Json {
  return Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }]));
}

/** The document while it is made: schemas with a title are moved to its components as they are met. */
class Document {
  readonly schemas: Record<string, unknown> = {};

  /** A schema whose titled parts are references. */
  #referenced(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.#referenced(item));
    if (typeof value !== 'object' || value === null) return value;
    const copy = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, this.#referenced(part)]));
    if (typeof copy['title'] !== 'string') return copy;
    const { title, ...schema } = copy;
    this.schemas[title] = schema;
    return { $ref: `#/components/schemas/${title}` };
  }

  #successOf(route: Route, { description, answer, mediaType, headers = [] }: Success): Json {
    const names = route.isCreating === true ? [...headers, replayed] : headers;
    const response = { description, ...headersOf(names) };
    if (answer === undefined) return response;
    const media = { schema: this.#referenced(answer.schema), examples: examplesOf(answer) };
    const types = mediaType === undefined ? ['application/json', 'application/msgpack'] : [mediaType];
    return { ...response, content: Object.fromEntries(types.map((type) => [type, media])) };
  }

  /** All codes of one status. */
  #problemOf(status: number, codes: readonly Code[]): Json {
    const problem = this.#referenced(problemSchema);
    const media = {
      schema: { allOf: [problem, { properties: { status: { const: status }, code: { enum: codes } } }] },
      examples: Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }])),
    };
    const headers: string[] = [];
    if (codes.some((code) => codeTable[code].retryAfterSeconds > 0)) headers.push(retryAfter);
    if (codes.includes(Code.methodNotAllowed)) headers.push(allow);
    if (codes.includes(Code.unauthorized)) headers.push(authenticate);
    if (status >= 500) headers.push(requestId, traceparent);
    return {
      description: `${statusLine(status).slice(4)}: ${codes.map((code) => `\`${code}\``).join(', ')}`,
      ...headersOf(headers),
      content: { 'application/problem+json': media, 'application/msgpack': media },
    };
  }

  operation(route: Route): Json {
    const responses: Record<string, Json> = {};
    for (const success of route.success) responses[success.status] = this.#successOf(route, success);
    const byStatus = Map.groupBy(codesOf(route), (code) => codeTable[code].status);
    for (const [status, codes] of byStatus) responses[status] = this.#problemOf(status, codes);
    const { body } = route;
    const media = body === undefined ? {} : { schema: body.schema, examples: examplesOf(body) };
    const content = { 'application/json': media, 'application/msgpack': media };
    const parameters = parametersOf(route);
    return {
      tags: [route.tag],
      operationId: route.operationId,
      summary: route.summary,
      ...(parameters.length === 0 ? {} : { parameters }),
      ...(body === undefined ? {} : { requestBody: { required: needsBody(body), content } }),
      responses,
      // With 3.1 the list names the roles that are needed.
      security: route.auth === 'none' ? [] : [{ bearer: route.auth === 'admin' ? ['admin'] : [] }],
    };
  }
}

/** The document for a route table. */
export function openApiOf(routes: readonly Route[]): Json {
  const document = new Document();
  const paths: Record<string, Record<string, Json>> = {};
  const codes = new Set<Code>();
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: document.operation(route) };
    for (const code of codesOf(route)) codes.add(code);
  }
  return {
    openapi: '3.1.0',
    info: { title: 'fastpass', version: '1.0.0', description },
    servers: [{ url: '/', description: 'The gateway that serves this document.' }],
    tags,
    paths,
    components: {
      schemas: document.schemas,
      headers: responseHeaders,
      examples: Object.fromEntries([...codes].map((code) => [code, { value: problemExample(code) }])),
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'HS256 with the claims `sub` (user id), `role` (`user` or `admin`), `exp` and `jti`.',
        },
      },
    },
  };
}
