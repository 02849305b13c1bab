/** What a route is: one row of the table from which requests are served and the OpenAPI document is made. */
import type { Code } from '../domain/codes.ts';
import type { Identity } from './auth.ts';
import type { Answer } from './reply.ts';
import type { Described, RequestHeader, Shape } from './schemas.ts';

/** A request that has passed authorisation and its schemas. */
export interface Call {
  /** User 0 on routes that need no token. */
  readonly identity: Identity;
  /** Values of the path's `{names}`, checked by name: `...Id` numbers as numbers, `reservationId` as text. */
  readonly params: readonly (number | string)[];
  readonly query: Readonly<Record<string, string>>;
  readonly body: unknown;
  /** Headers the route asked for, in its order; empty text for none. */
  readonly headers: readonly string[];
  /** Of the client's connection, where the route asks for it; else empty. */
  readonly address: string;
  /** The id a created resource goes by; an earlier try's one when an Idempotency-Key is repeated after a crash. */
  readonly newId: string;
  /** True when an earlier try with `newId` ended without knowing its outcome. */
  readonly isRepeat: boolean;
  /** What waits for an answer on behalf of this call: told when the client goes before. */
  pending: { abandoned: boolean } | null;
}

/** One way a call succeeds, for the document. */
export interface Success {
  readonly status: number;
  readonly description: string;
  /** Its body; none where there is none. */
  readonly answer?: Described;
  /** What it is sent as; JSON, or msgpack where that is asked for, unless given. */
  readonly mediaType?: string;
  /** What its headers tell beside the body. */
  readonly headers?: readonly ResponseHeader[];
}

/** Headers of answers that the document describes. */
export type ResponseHeader = 'Location' | 'ETag';

/** Under what the document lists a route. */
export type Tag = 'Accounts' | 'Catalogue' | 'Reservations' | 'Waiting room' | 'Rehearsals' | 'Operations';

export interface Route {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** As OpenAPI writes it: `/v1/events/{eventId}`. */
  readonly path: string;
  /** What generated clients call it. */
  readonly operationId: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly auth: 'none' | 'user' | 'admin';
  readonly body?: Shape;
  readonly query?: Shape;
  /** In lower case; the handler gets their values in this order. */
  readonly headers?: readonly RequestHeader[];
  /** Those of `headers` without which the handler refuses. */
  readonly headersRequired?: readonly RequestHeader[];
  /** True where the handler needs the client's address. */
  readonly needsAddress?: boolean;
  /** True on a POST that creates: it honours Idempotency-Key. */
  readonly isCreating?: boolean;
  readonly success: readonly Success[];
  /** The codes of its own; those of what stands before every route are added in openapi.ts. */
  readonly codes: readonly Code[];
  readonly handle: (call: Call) => Answer | Promise<Answer>;
  /**
   * The hot path's way instead of `handle`: answers by a call, once, with no promise in between and one object from
   * headers to answer: 10.8 us of user time a hold instead of 16.
   */
  readonly submit?: (call: Call, onAnswer: (answer: Answer) => void) => void;
}
