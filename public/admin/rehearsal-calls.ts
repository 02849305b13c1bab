/** Rehearsals over HTTP. A thin place of its own: the typed client takes it over. */
import { NetworkError, type Problem, type Result } from '../../src/client/index.ts';
import { client } from '../lib/session.ts';

export interface Rehearsal {
  readonly performanceId: number;
  readonly state: 'none' | 'running' | 'done';
  readonly people: number;
  readonly places: number;
  readonly waiting: number;
  readonly held: number;
  /** By code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly failed: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
}

const answerMsMax = 10_000;

async function send(method: string, path: string, body: string | null): Promise<Result<Rehearsal>> {
  const json = body === null ? {} : { 'content-type': 'application/json' };
  const headers = { authorization: `Bearer ${client.token ?? ''}`, ...json };
  let response: Response;
  let answer: unknown;
  try {
    response = await fetch(path, { method, headers, body, signal: AbortSignal.timeout(answerMsMax) });
    answer = await response.json();
  } catch (cause) {
    throw new NetworkError('unreachable', `${method} ${path}`, { cause });
  }
  const { status } = response;
  return response.ok
    ? { ok: true, status, value: answer as Rehearsal }
    : { ok: false, status, problem: answer as Problem };
}

/** 202: it has started; 200: one is under way. */
export function startRehearsal(
  performanceId: number,
  request: { readonly people: number; readonly places: number },
): Promise<Result<Rehearsal>> {
  return send('POST', `/v1/performances/${performanceId}/rehearsals`, JSON.stringify(request));
}

/** 200: the one that runs, or the last one. */
export function currentRehearsal(performanceId: number): Promise<Result<Rehearsal>> {
  return send('GET', `/v1/performances/${performanceId}/rehearsals/current`, null);
}
