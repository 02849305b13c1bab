/** The operations of the served OpenAPI document: each prepared, sent with its examples, and its answer checked against it. */
import { randomInt } from 'node:crypto';
import { type Agent, request } from 'node:http';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { pack, unpack } from 'msgpackr';
import { expect } from 'vitest';
import type { Role } from '../src/domain/account.ts';
import { call, createPerformance, newUserId, tokenOf } from './harness.ts';

// biome-ignore lint/suspicious/noExplicitAny: a test reads whatever field of the document it asserts on
export type Json = any;

export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  /** As it stands in the document. */
  readonly described: Json;
}

/** A status of an operation; of a problem, with its code. */
export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly type: string;
  readonly bytes: Buffer;
  readonly body: Json;
}

/** What a request is made of beside its operation. */
export interface Prepared {
  /** 0: no token. */
  readonly userId: number;
  readonly role: Role;
  readonly parameters: Readonly<Record<string, string | number>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

export interface Way {
  readonly method?: string;
  /** Instead of the path of the operation, with its query. */
  readonly target?: string;
  readonly isMsgpack?: boolean;
  readonly agent?: Agent;
  /** A local address to call from. */
  readonly from?: string;
  readonly raw?: { readonly type: string; readonly body: string };
}

const password = 'correct horse battery';

/** An address of this machine from which nobody has called: log-ins are counted by address. */
export function newAddress(): string {
  return `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`;
}
const ownAddress = newAddress();

export function operationsOf(document: Json): Operation[] {
  return Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, described]) => ({
      id: described.operationId,
      method: method.toUpperCase(),
      path,
      described,
    })),
  );
}

/** `status` of each success, `status code` of each problem. */
export function outcomesOf({ described }: Operation): string[] {
  return Object.entries<Json>(described.responses).flatMap(([status, response]) => {
    const examples = response.content?.['application/problem+json']?.examples;
    return examples === undefined ? [status] : Object.keys(examples).map((code) => `${status} ${code}`);
  });
}

/** The examples of a body, or a single `undefined` where there is no body. */
export function bodiesOf({ described }: Operation): unknown[] {
  const examples = described.requestBody?.content['application/json'].examples;
  return examples === undefined ? [undefined] : Object.values<Json>(examples).map(({ value }) => value);
}

/** Sends it; rejects when there is no answer. */
export function send(url: string, operation: Operation, prepared: Prepared, way: Way = {}): Promise<Answered> {
  const { userId, role, parameters, body } = prepared;
  const path = way.target ?? operation.path.replace(/\{(\w+)\}/g, (_, name: string) => String(parameters[name]));
  const type = way.isMsgpack === true ? 'application/msgpack' : 'application/json';
  const encoded = body === undefined ? '' : way.isMsgpack === true ? pack(body) : JSON.stringify(body);
  const content = way.raw?.body ?? encoded;
  const headers = {
    ...prepared.headers,
    ...(userId === 0 ? {} : { authorization: `Bearer ${tokenOf(userId, role)}` }),
    ...(content.length === 0 ? {} : { 'content-type': way.raw?.type ?? type }),
    'content-length': Buffer.byteLength(content),
    accept: type,
  };
  const { method = operation.method, agent = false, from = ownAddress } = way;
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { method, headers, agent, localAddress: from }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () => {
        const bytes = Buffer.concat(parts);
        const answeredType = (response.headers['content-type'] ?? '').split(';')[0]!;
        const body =
          bytes.length === 0
            ? undefined
            : answeredType === 'application/msgpack'
              ? unpack(bytes)
              : answeredType.endsWith('json')
                ? JSON.parse(bytes.toString())
                : bytes.toString();
        const status = response.statusCode ?? 0;
        resolve({ status, headers: response.headers, type: answeredType, bytes, body });
      });
    });
    sent.on('error', reject);
    sent.end(content);
  });
}

/** Everything an operation needs is made first, over the API. */
export class World {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  /** A request of the operation that succeeds, with a body made of this example. */
  async prepare(operation: Operation, example?: Json): Promise<Prepared> {
    const isAdmin = operation.described.security[0]?.bearer.includes('admin') === true;
    const role = isAdmin ? 'admin' : 'user';
    const userId = operation.described.security.length === 0 ? 0 : newUserId();
    const plain: Prepared = { userId, role, parameters: {}, headers: {}, body: example };
    switch (operation.id) {
      case 'signUp':
        return { ...plain, body: { ...example, email: `new-${newUserId()}@example.org` } };
      case 'logIn':
        return { ...plain, body: { ...example, email: await this.signUp(example.password) } };
      case 'createReservation': {
        const seating =
          example.seats === undefined ? { kind: 'capacity', capacity: 40 } : { kind: 'seated', seats: 50 };
        return { ...plain, body: { ...example, performanceId: await this.performance({ seating }) } };
      }
      case 'readReservation':
      case 'cancelReservation':
        return { ...plain, parameters: { reservationId: await this.hold(userId) } };
      case 'payReservation':
        await this.charge(userId, 20_000);
        return { ...plain, parameters: { reservationId: await this.hold(userId) } };
      case 'listReservations':
        await this.hold(userId);
        return plain;
      case 'listBalanceHistory':
        await this.charge(userId, 20_000);
        return plain;
      case 'startRehearsal':
        return { ...plain, parameters: { performanceId: await this.performance({}, { isDemo: true }) } };
      case 'joinQueue':
        return { ...plain, parameters: { performanceId: await this.performanceWithRoom() } };
      case 'readTicket':
      case 'leaveQueue': {
        const performanceId = await this.performanceWithRoom();
        const ticket = await this.join(performanceId, userId);
        return { ...plain, parameters: { performanceId }, headers: { 'queue-ticket': ticket } };
      }
    }
    const parameters: Record<string, number> = {};
    if (operation.path.includes('{performanceId}')) parameters['performanceId'] = await this.performance();
    if (operation.path.includes('{eventId}')) {
      const id = await this.performance();
      const { body } = await call(this.url, 'GET', `/v1/performances/${id}`);
      parameters['eventId'] = body.eventId;
    }
    return { ...plain, parameters };
  }

  performance(fields: Json = {}, ofEvent: Json = {}): Promise<number> {
    return createPerformance(this.url, { seating: { kind: 'seated', seats: 50 }, ...fields }, ofEvent);
  }

  async performanceWithRoom(fields: Readonly<Record<string, unknown>> = {}): Promise<number> {
    const performanceId = await this.performance();
    const body = { mode: 'on', admitPerSecond: 0, maxActive: 5, ...fields };
    const admin = { userId: newUserId(), role: 'admin' } as const;
    const answer = await call(this.url, 'PUT', `/v1/performances/${performanceId}/queue`, { ...admin, body });
    expect(answer.status).toBe(200);
    return performanceId;
  }

  async join(performanceId: number, userId: number): Promise<string> {
    const answer = await call(this.url, 'POST', `/v1/performances/${performanceId}/queue/tickets`, { userId });
    expect(answer.status).toBe(201);
    return answer.body.ticket;
  }

  /** A hold of one seat of a performance of its own; its id. */
  async hold(userId: number, fields: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const body = { performanceId: await this.performance(fields), seats: [1] };
    const answer = await call(this.url, 'POST', '/v1/reservations', { userId, body });
    expect(answer.status).toBe(201);
    return answer.body.reservationId;
  }

  async charge(userId: number, amount: number, headers: Record<string, string> = {}): Promise<void> {
    const answer = await call(this.url, 'POST', '/v1/balance/charges', { userId, body: { amount }, headers });
    expect(answer.status).toBe(201);
  }

  /** A new account; its e-mail address. */
  async signUp(secret = password): Promise<string> {
    const email = `new-${newUserId()}@example.org`;
    const answer = await call(this.url, 'POST', '/v1/users', { body: { email, password: secret } });
    expect(answer.status).toBe(201);
    return email;
  }
}

/** The schemas without room for fields that the document does not have. */
export function closed(value: Json): Json {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, closed(part)]));
  const isOpen = copy['type'] !== 'object' || copy['properties'] === undefined || 'additionalProperties' in copy;
  return isOpen ? copy : { ...copy, additionalProperties: false };
}

const documentId = 'https://document/openapi.json';

/** Compares answers with the document, and remembers which of its outcomes were met. */
export class Checker {
  readonly #met = new Set<string>();
  readonly #document: Json;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: Json) {
    this.#document = document;
    formats.default(this.#ajv);
    this.#ajv.addSchema({ ...closed(document), $id: documentId }, undefined, undefined, false);
  }

  /** A schema of the document by its JSON pointer. */
  #validatorOf(pointer: string): ValidateFunction {
    let validator = this.#validators.get(pointer);
    if (validator === undefined) {
      validator = this.#ajv.compile({ $ref: `${documentId}#${encodeURI(pointer)}` });
      this.#validators.set(pointer, validator);
    }
    return validator;
  }

  /** Fails unless the value fits the schema of this operation, status and media type. */
  expectFits(operation: Operation, status: number, mediaType: string, value: unknown): void {
    const parts = ['paths', operation.path, operation.method.toLowerCase(), 'responses', status, 'content', mediaType];
    const pointer = [...parts, 'schema'].map((part) => String(part).replaceAll('~', '~0').replaceAll('/', '~1'));
    const validator = this.#validatorOf(`/${pointer.join('/')}`);
    const isValid = validator(value);
    expect(isValid, `${operation.id} ${status} ${mediaType}: ${this.#ajv.errorsText(validator.errors)}`).toBe(true);
  }

  /** Fails unless the document says of this operation what was answered; with `code`, unless it is that code. */
  expectDescribed(operation: Operation, answered: Answered, expected: number | string): void {
    const { status, headers, type, body } = answered;
    const outcome = body?.code === undefined ? status : body.code;
    expect(outcome, `${operation.id}: ${JSON.stringify(body)}`).toBe(expected);
    const response = operation.described.responses[status];
    expect(response, `${operation.id}: ${status}`).toBeDefined();
    if (response.content === undefined) expect(body).toBeUndefined();
    else {
      expect(Object.keys(response.content)).toContain(type);
      this.expectFits(operation, status, type, body);
    }
    for (const [name, { $ref }] of Object.entries<Json>(response.headers ?? {})) {
      const { required, schema } = this.#document.components.headers[$ref.split('/').at(-1)];
      const given = headers[name.toLowerCase()];
      // One status has several codes; what belongs to one of them need not come with the others.
      if (required === true) expect(given, `${operation.id} ${status}: ${name}`).toEqual(expect.any(String));
      if (given !== undefined && schema.type === 'integer')
        expect(Number(given)).toBeGreaterThanOrEqual(schema.minimum);
    }
    this.#met.add(`${operation.id} ${status}${typeof expected === 'string' ? ` ${expected}` : ''}`);
  }

  hasMet(operation: Operation, outcome: string): boolean {
    return this.#met.has(`${operation.id} ${outcome}`);
  }
}
