/** A call whose refusals and losses are sentences; and the loop that asks again and again while the page is seen. */
import { useEffect, useRef } from 'preact/hooks';
import type { Problem, Result } from '../../src/client/index.ts';
import { sentenceOf, sentenceOfFailure } from '../lib/problems.ts';
import { currentLogin, forgetLogin } from '../lib/session.ts';

export type Asked<Value> =
  | { readonly ok: true; readonly status: number; readonly value: Value }
  /** `problem`: null where there was no answer. */
  | { readonly ok: false; readonly sentence: string; readonly problem: Problem | null };

/** Waits for the answer. An ended session is forgotten: the page shows the log-in. */
export async function ask<Value>(call: Promise<Result<Value>>): Promise<Asked<Value>> {
  const asker = currentLogin();
  try {
    const result = await call;
    if (result.ok) return result;
    // Not where somebody else has logged in since.
    if (result.status === 401 && asker !== null && currentLogin() === asker) forgetLogin();
    return { ok: false, sentence: sentenceOf(result.problem), problem: result.problem };
  } catch (thrown) {
    return { ok: false, sentence: sentenceOfFailure(thrown), problem: null };
  }
}

/** A signal that also ends by itself: what is asked every second must not wait for long. */
export function within(ms: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}

/** Seconds of a clock that only goes on: half way through a question, whose answer is of some moment within it. */
export function midwaySeconds(askedAtMs: number): number {
  return (askedAtMs + performance.now()) / 2000;
}

function isHidden(): boolean {
  return document.visibilityState === 'hidden';
}

/**
 * Does `work` at once, and again `everyMs` after each begin (null: not at all), later where it took long; never twice at a
 * time, not while the page is hidden, and not past the component's end. `work` never throws; once the signal is aborted,
 * nobody wants what it brings.
 */
export function usePoll(everyMs: number | null, work: (signal: AbortSignal) => Promise<void>): void {
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    if (everyMs === null) return;
    const end = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isUnderWay = false;
    const turn = async (): Promise<void> => {
      clearTimeout(timer);
      if (isUnderWay || isHidden()) return;
      isUnderWay = true;
      const startedAtMs = performance.now();
      await latest.current(end.signal);
      isUnderWay = false;
      if (end.signal.aborted || isHidden()) return;
      timer = setTimeout(() => void turn(), Math.max(everyMs / 2, everyMs - (performance.now() - startedAtMs)));
    };
    const onVisibility = (): void => {
      if (isHidden()) clearTimeout(timer);
      else void turn();
    };
    document.addEventListener('visibilitychange', onVisibility);
    void turn();
    return () => {
      end.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onVisibility);
    };
  }, [everyMs]);
}
