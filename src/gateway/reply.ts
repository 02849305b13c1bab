/**
 * The one place that touches HttpResponse. An answer is given once, corked, and never to a client that has gone: using a
 * response after its abort kills the process (uWebSockets.js).
 */

import type { HttpRequest, HttpResponse } from 'uWebSockets.js';
import { Packr } from 'msgpackr';
import { type Code, type CodeRow, codeTable, statusLine } from '../domain/codes.ts';
import type { Refusal } from '../domain/reservation.ts';
import { type Trace, traceOf } from './trace.ts';

/** What a route answers: one of `value`, `json` and `text`, or no body. */
export interface Answer {
  readonly status: number;
  readonly value?: unknown;
  /** The value as JSON made by hand, where that is worth it: the hot path, large lists. */
  readonly json?: string;
  /** Instead of JSON or msgpack: a text of its own type, or its bytes. */
  readonly text?: { readonly type: string; readonly body: string | Buffer };
  readonly headers?: readonly (readonly [string, string])[];
  /** Set for an error: what the tables say of it. */
  readonly code?: Code;
}

const packr = new Packr({ useRecords: false });
const json = 'application/json';
const problemJson = 'application/problem+json';
const msgpack = 'application/msgpack';

// Everything of a problem that its code decides, as JSON made once: 0.10 us a refusal instead of 0.25.
const problemHeads = new Map<Code, string>();
const problemHeaders = new Map<Code, readonly (readonly [string, string])[]>();
for (const [code, row] of Object.entries(codeTable) as [Code, CodeRow][]) {
  const { title, status, retryAfterSeconds } = row;
  const head = JSON.stringify({ type: `urn:fastpass:problem:${code}`, title, status, code });
  problemHeads.set(code, head.slice(0, -1));
  const headers: [string, string][] = [];
  if (retryAfterSeconds > 0) headers.push(['retry-after', String(retryAfterSeconds)]);
  if (code === 'unauthorized') headers.push(['www-authenticate', 'Bearer']);
  problemHeaders.set(code, headers);
}

/** The answer for a refusal: RFC 9457, with what belongs to the code beside it. */
export function problem(refusal: Refusal): Answer {
  const { code, detail, seats, reservationId, errors, allow } = refusal;
  let json = `${problemHeads.get(code)},"detail":${JSON.stringify(detail)}`;
  if (seats !== undefined) json += `,"seats":[${seats.join(',')}]`;
  if (reservationId !== undefined) json += `,"reservationId":"${reservationId}"`;
  if (errors !== undefined) json += `,"errors":${JSON.stringify(errors)}`;
  const headers = problemHeaders.get(code)!;
  return {
    status: codeTable[code].status,
    code,
    headers: allow === undefined ? headers : [...headers, ['allow', allow]],
    json: `${json}}`,
  };
}

/** The value of an answer, whichever way it was made; null for none. */
export function bodyValueOf(answer: Answer): unknown {
  return answer.json === undefined ? (answer.value ?? null) : JSON.parse(answer.json);
}

/**
 * Longer bodies are not given to uWebSockets.js as a whole: it would copy what a client does not read, for each of thousands
 * of requests sent behind each other (0.4 MB of them for the document cost 2.7 GB).
 */
const bufferedLengthMax = 1024;
const keptLengthMin = 64 * 1024;
const keptMax = 4;

/** What large bodies are sent as, the last few of them: many slow readers share one, and nobody pays for it a request. */
class LargeBodies {
  readonly #make: (text: string) => Buffer;
  readonly #kept = new Map<string, Buffer>();

  constructor(make: (text: string) => Buffer) {
    this.#make = make;
  }

  bytesOf(text: string): Buffer {
    if (text.length < keptLengthMin) return this.#make(text);
    let bytes = this.#kept.get(text);
    if (bytes === undefined) {
      bytes = this.#make(text);
      if (this.#kept.size >= keptMax) this.#kept.delete(this.#kept.keys().next().value as string);
      this.#kept.set(text, bytes);
    }
    return bytes;
  }
}

const plain = new LargeBodies((text) => Buffer.from(text));
// Of a hall of 100,000 seats 0.1 s of the gateway each time.
const packed = new LargeBodies((text) => packr.pack(JSON.parse(text)));

type Serve = (response: HttpResponse, request: HttpRequest) => void;

/**
 * A handler behind the check that everybody reads the end of its body alike. uWebSockets.js takes any Transfer-Encoding for
 * chunked; a balancer that does not would see one request where we see two. Such a connection is closed, and nothing that
 * came behind the head is read.
 */
export function wellFramed(serve: Serve): Serve {
  return (response, request) => {
    const encoding = request.getHeader('transfer-encoding');
    if (encoding === '' || isChunkedOnly(encoding, request)) serve(response, request);
    else response.close();
  };
}

function isChunkedOnly(encoding: string, request: HttpRequest): boolean {
  let count = 0;
  request.forEach((name) => {
    if (name === 'transfer-encoding') count++;
  });
  return count === 1 && encoding.toLowerCase() === 'chunked';
}

/** One request and its one answer. */
export class Exchange {
  readonly #response: HttpResponse;
  readonly #wantsMsgpack: boolean;
  readonly #isHead: boolean;
  #isOver = false;
  /** What waits for the answer: told when the client goes before it has it. */
  pending: { abandoned: boolean } | null = null;
  /** When the request came in, by the clock of this process. */
  startedAtMs = 0;
  /** The header of the request; empty for none. */
  traceparent = '';
  #trace: Trace | null = null;
  /** Set to end the connection with the answer. */
  closesConnection = false;

  constructor(response: HttpResponse, accept: string, isHead: boolean) {
    this.#response = response;
    this.#wantsMsgpack = accept !== '' && accept.includes(msgpack);
    this.#isHead = isHead;
    response.onAborted(() => {
      this.#isOver = true;
      if (this.pending !== null) this.pending.abandoned = true;
    });
  }

  /** Made when it is asked for: only a failure needs one. */
  get requestId(): string {
    return this.#traceNow().id;
  }

  #traceNow(): Trace {
    this.#trace ??= traceOf(this.traceparent);
    return this.#trace;
  }

  /**
   * Collects the body, at most `bytesMax`; then `onBody` gets it, valid only during the call, or null when it was longer.
   */
  readBody(bytesMax: number, onBody: (body: Buffer | null) => void): void {
    let collected: Buffer | null = null;
    this.#response.onData((chunk, isLast) => {
      if (this.#isOver) return;
      const part = Buffer.from(chunk);
      const length = (collected === null ? 0 : collected.length) + part.length;
      if (length > bytesMax) return onBody(null);
      if (isLast) return onBody(collected === null ? part : Buffer.concat([collected, part]));
      // The chunk is uWebSockets.js's memory again after this call: copy it.
      collected = collected === null ? Buffer.from(part) : Buffer.concat([collected, part]);
    });
  }

  /** Gives the answer; nothing happens when there was one already or the client has gone. */
  send(answer: Answer): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#response.cork(() => this.#write(answer));
  }

  #write(answer: Answer): void {
    const response = this.#response;
    response.writeStatus(answer.code === undefined ? statusLine(answer.status) : codeTable[answer.code].statusLine);
    const { headers } = answer;
    if (headers !== undefined) {
      for (let i = 0; i < headers.length; i++) response.writeHeader(headers[i]![0], headers[i]![1]);
    }
    if (answer.status >= 500) {
      response.writeHeader('request-id', this.requestId).writeHeader('traceparent', this.#traceNow().traceparent);
    }
    // A body that was refused for its size is not read to its end.
    const closeConnection = answer.status === 413 || this.closesConnection;
    if (answer.text !== undefined) {
      response.writeHeader('content-type', answer.text.type);
      this.#end(answer.text.body, closeConnection);
    } else if (answer.value === undefined && answer.json === undefined) {
      this.#endWithoutBody(answer.status === 204 || answer.status === 304 ? null : 0, closeConnection);
    } else if (this.#wantsMsgpack) {
      response.writeHeader('content-type', msgpack);
      const { value = null, json } = answer;
      this.#end(json === undefined ? packr.pack(value) : packed.bytesOf(json), closeConnection);
    } else {
      response.writeHeader('content-type', answer.code === undefined ? json : problemJson);
      this.#end(answer.json ?? JSON.stringify(answer.value), closeConnection);
    }
  }

  #end(body: string | Buffer, closeConnection: boolean): void {
    if (this.#isHead) this.#endWithoutBody(Buffer.byteLength(body), closeConnection);
    else if (body.length <= bufferedLengthMax || closeConnection) this.#response.end(body, closeConnection);
    else this.#endAsRead(typeof body === 'string' ? plain.bytesOf(body) : body);
  }

  /** Goes on where the client has read what there was; it costs no copy, and no request behind it is served before. */
  #endAsRead(bytes: Buffer): void {
    const response = this.#response;
    const start = response.getWriteOffset();
    const [isWritten] = response.tryEnd(bytes, bytes.length);
    if (isWritten) return;
    response.onWritable((offset) => response.tryEnd(bytes.subarray(offset - start), bytes.length)[0]);
  }

  /**
   * A length given to uWebSockets.js' own endWithoutBody is waited for, and `undefined` is a length of 2^63 to it: the next
   * request on the connection would end it.
   */
  #endWithoutBody(length: number | null, closeConnection: boolean): void {
    if (closeConnection) {
      this.#response.endWithoutBody(length ?? 0, true);
      return;
    }
    if (length !== null) this.#response.writeHeader('content-length', String(length));
    this.#response.endWithoutBody();
  }
}
