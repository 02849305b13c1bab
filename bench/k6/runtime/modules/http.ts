/** `k6/http`. */
import { demandFields, isText, isTexts, strict } from '../strict.ts';
import { exchange, state } from '../vu-state.ts';

interface Params {
  readonly headers?: Readonly<Record<string, string>>;
  readonly tags?: Readonly<Record<string, string>>;
}

type Range = number | { readonly min: number; readonly max: number };

const paramChecks = { headers: isTexts, tags: isTexts, responseType: isText } as const;
const made = new WeakSet<object>();

/** `content-type` -> `Content-Type`: how k6 names them, whatever was sent. */
function canonical(name: string): string {
  return name.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}

function request(method: string, url: string, body: string | null, params: Params = {}): object {
  if (state.phase === 'init') throw new Error('a request in the init context');
  // An object would become a form.
  if (body !== null && typeof body !== 'string') throw new Error('a body is text or null in this runtime');
  demandFields('params', params, paramChecks);
  const { headers = {}, tags = {} } = params;
  const answer = exchange({ method, url, headers, body });
  const samples = { http_reqs: 1, http_req_duration: answer.durationMs };
  const failed = state.isExpected(answer.status) ? 0 : 1;
  for (const [metric, value] of Object.entries({ ...samples, http_req_failed: failed })) {
    state.samples.push({ metric, value, tags: { name: url, ...tags } });
  }
  const fields = Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [canonical(name), value]));
  return strict('a response', { url, status: answer.status, headers: fields, body: answer.body, error: answer.error });
}

/** Statuses that are no failure: numbers, and ranges from `min` to `max`. */
function expectedStatuses(...ranges: Range[]): { isExpected(status: number): boolean } {
  const spans = ranges.map((range) => (typeof range === 'number' ? { min: range, max: range } : range));
  for (const { min, max } of spans) if (!(min >= 100 && max >= min)) throw new Error(`no statuses: ${min} to ${max}`);
  const callback = { isExpected: (status: number) => spans.some(({ min, max }) => status >= min && status <= max) };
  made.add(callback);
  return callback;
}

function setResponseCallback(callback: { isExpected(status: number): boolean }): void {
  if (!made.has(callback)) throw new Error('a response callback is what http.expectedStatuses returns');
  state.isExpected = callback.isExpected;
}

export default strict('k6/http', {
  get: (url: string, params?: Params) => request('GET', url, null, params),
  post: (url: string, body: string | null, params?: Params) => request('POST', url, body, params),
  put: (url: string, body: string | null, params?: Params) => request('PUT', url, body, params),
  del: (url: string, body: string | null, params?: Params) => request('DELETE', url, body, params),
  expectedStatuses,
  setResponseCallback,
});
