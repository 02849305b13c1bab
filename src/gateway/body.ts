/** Bodies: JSON or msgpack in, checked by a compiled schema, or a refusal that says where and why. */
import { Unpackr } from 'msgpackr';
import type { TSchema } from 'typebox';
import type { Validator } from 'typebox/compile';
import { Code } from '../domain/codes.ts';
import type { Refusal } from '../domain/reservation.ts';

/** Past it: `payload_too_large`. */
export const bodyBytesMax = 16 * 1024;

const errorsMax = 10;
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'number' });
const utf8 = new TextDecoder('utf-8', { fatal: true });

export type MediaType = 'json' | 'msgpack' | 'unsupported';

/** The media type of a body; none given counts as JSON. */
export function mediaTypeOf(contentType: string): MediaType {
  if (contentType === '' || contentType === 'application/json') return 'json';
  const type = contentType.split(';', 1)[0]!.trim().toLowerCase();
  if (type === 'application/json') return 'json';
  return type === 'application/msgpack' || type === 'application/x-msgpack' ? 'msgpack' : 'unsupported';
}

/** The value of a body, or undefined when it is not what its type says. An empty body is an empty object. */
export function parseBody(body: Buffer, mediaType: 'json' | 'msgpack'): unknown {
  if (body.length === 0) return {};
  try {
    return mediaType === 'json' ? parseJson(utf8.decode(body)) : unpackr.unpack(body);
  } catch {
    // Whatever the parser says of hostile bytes, the client is told one thing.
    return undefined;
  }
}

/** JSON without half characters, which it can escape (RFC 7493 forbids them): no store would give them back. Throws. */
function parseJson(text: string): unknown {
  return text.includes('\\u') ? JSON.parse(text, checkText) : JSON.parse(text);
}

function checkText(name: string, value: unknown): unknown {
  if (!name.isWellFormed() || (typeof value === 'string' && !value.isWellFormed()))
    throw new SyntaxError('half a pair');
  return value;
}

const depthMax = 32;

/**
 * True for what JSON can say, at most 32 deep: msgpack also brings big integers, dates, maps and circles, and what goes
 * through a value by recursion (the fingerprint of an Idempotency-Key) must come to an end.
 */
export function isPlain(value: unknown, depth = 0): boolean {
  if (typeof value !== 'object' || value === null) return typeof value !== 'bigint' && value !== undefined;
  if (depth >= depthMax) return false;
  if (Array.isArray(value)) return value.every((item) => isPlain(item, depth + 1));
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  return Object.values(value).every((item) => isPlain(item, depth + 1));
}

/** A refusal for one field. */
export function invalid(path: string, message: string): Refusal {
  return { code: Code.validationFailed, detail: `${path || 'body'}: ${message}`, errors: [{ path, message }] };
}

/** Why a value does not fit its schema. Call only after `Check` said no. */
export function schemaErrors(validator: Validator<Record<never, never>, TSchema>, value: unknown): Refusal {
  const errors: { path: string; message: string }[] = [];
  for (const error of validator.Errors(value)) {
    // A missing property is reported at its object: point to the property.
    const missing = error.keyword === 'required' ? error.params.requiredProperties : null;
    if (missing !== null)
      for (const name of missing) errors.push({ path: `${error.instancePath}/${name}`, message: 'is required' });
    else errors.push({ path: error.instancePath, message: error.message });
    if (errors.length >= errorsMax) break;
  }
  const first = errors[0] ?? { path: '', message: 'is not valid' };
  return { code: Code.validationFailed, detail: `${first.path || 'body'}: ${first.message}`, errors };
}

// DATETIME(3) of both databases holds the years 1000 to 9999; a sale needs fewer.
const timeMsMin = Date.UTC(1970, 0, 1);
const timeMsMax = Date.UTC(9999, 0, 1);

/** Unix milliseconds of an ISO 8601 text, null for none, or what is wrong with it. */
export function timeOf(path: string, text: string | null | undefined): number | null | Refusal {
  if (text === undefined || text === null) return null;
  const ms = Date.parse(text);
  return ms >= timeMsMin && ms < timeMsMax ? ms : invalid(path, 'is not a time');
}

/** True for a refusal among values. */
export function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && 'code' in value;
}
