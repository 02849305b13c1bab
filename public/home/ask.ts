/** Calls of this page: an answer or a sentence, asked for once or kept up to date while somebody looks. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Page, PageRequest, Result } from '../../src/client/index.ts';
import { sentenceOf, sentenceOfFailure } from '../lib/problems.ts';
import { currentLogin, forgetLogin } from '../lib/session.ts';
import { Lanes } from './lanes.ts';

type Asked<Value> =
  | { readonly ok: true; readonly value: Value }
  /** `code`: of a refusal; null where there was no answer. */
  | { readonly ok: false; readonly sentence: string; readonly code: string | null };

/** One call. Rejects with its signal's reason. */
export async function ask<Value>(call: () => Promise<Result<Value>>, signal?: AbortSignal): Promise<Asked<Value>> {
  const asker = currentLogin();
  try {
    const result = await call();
    if (result.ok) return { ok: true, value: result.value };
    // Not where somebody else has logged in since.
    if (result.status === 401 && asker !== null && currentLogin() === asker) forgetLogin();
    return { ok: false, sentence: sentenceOf(result.problem), code: result.problem.code };
  } catch (thrown) {
    if (signal?.aborted === true) throw thrown;
    return { ok: false, sentence: sentenceOfFailure(thrown), code: null };
  }
}

/** Whether the page is seen: a tab behind another one is not. */
function usePageIsSeen(): boolean {
  const [isSeen, setIsSeen] = useState(!document.hidden);
  useEffect(() => {
    const onChange = (): void => setIsSeen(!document.hidden);
    document.addEventListener('visibilitychange', onChange);
    return () => document.removeEventListener('visibilitychange', onChange);
  }, []);
  return isSeen;
}

interface Action {
  readonly isBusy: boolean;
  /** What the last one came to instead of an answer; empty for nothing. */
  readonly fault: string;
  /** Null where one is under way already: of two clicks one counts. */
  run<Value>(call: () => Promise<Result<Value>>): Promise<Asked<Value> | null>;
  /** Takes the fault back. */
  forget(): void;
}

/** What a person sets off by a click, one at a time. */
export function useAction(): Action {
  const [isBusy, setIsBusy] = useState(false);
  const [fault, setFault] = useState('');
  // Two clicks may come before a button is drawn anew.
  const isUnderWay = useRef(false);
  return {
    isBusy,
    fault,
    async run(call) {
      if (isUnderWay.current) return null;
      isUnderWay.current = true;
      setIsBusy(true);
      setFault('');
      try {
        const asked = await ask(call);
        if (!asked.ok) setFault(asked.sentence);
        return asked;
      } finally {
        isUnderWay.current = false;
        setIsBusy(false);
      }
    },
    forget: () => setFault(''),
  };
}

/** Of the reads that keep the page up to date; what a person has clicked does not wait behind them. */
const lanes = new Lanes(4);

/** After a failure, of what is read but once: there may be no button to try again. */
const faultAgainMs = 10_000;

interface KeptOptions {
  /** After an answer; without it, only after a failure. */
  readonly everyMs?: number;
  /** False: nothing is asked, what is known stays. */
  readonly isActive?: boolean;
  /** Asked again at once when one of them changes. */
  readonly of?: readonly unknown[];
}

export interface Kept<Value> {
  /** The last one that came; null until then. */
  readonly value: Value | null;
  /** What the last answer was instead of a value; empty for nothing. */
  readonly fault: string;
  /** Answers so far, good or not. */
  readonly answers: number;
}

/** What `read` gives, again and again while the page is seen. */
export function useKept<Value>(
  read: (signal: AbortSignal) => Promise<Result<Value>>,
  { everyMs, isActive = true, of = [] }: KeptOptions = {},
): Kept<Value> {
  const [kept, setKept] = useState<Kept<Value>>({ value: null, fault: '', answers: 0 });
  const isSeen = usePageIsSeen();
  const readNow = useRef(read);
  readNow.current = read;
  const answeredMs = useRef(Number.NEGATIVE_INFINITY);
  const lastOf = useRef(of);
  useEffect(() => {
    // Back from another tab or window, everything may have changed there.
    if (!isSeen) answeredMs.current = Number.NEGATIVE_INFINITY;
    if (!isActive || !isSeen) return;
    const controller = new AbortController();
    const { signal } = controller;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const once = async (): Promise<void> => {
      const asked = await ask(() => lanes.run(() => readNow.current(signal), signal), signal);
      if (signal.aborted) return;
      answeredMs.current = performance.now();
      lastOf.current = of;
      setKept(({ value, answers }) => ({
        value: asked.ok ? asked.value : value,
        fault: asked.ok ? '' : asked.sentence,
        answers: answers + 1,
      }));
      const nextMs = everyMs ?? (asked.ok ? undefined : faultAgainMs);
      if (nextMs !== undefined) timer = setTimeout(go, nextMs);
    };
    const go = (): void => {
      once().catch((thrown: unknown) => {
        if (!signal.aborted) throw thrown;
      });
    };
    // Back in view: what is not due yet is left to its time.
    const isChanged = lastOf.current.some((value, index) => value !== of[index]);
    const waitMs = isChanged ? 0 : answeredMs.current + (everyMs ?? Number.POSITIVE_INFINITY) - performance.now();
    if (waitMs <= 0 || answeredMs.current === Number.NEGATIVE_INFINITY) go();
    else if (everyMs !== undefined) timer = setTimeout(go, waitMs);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [isActive, isSeen, everyMs, ...of]);
  return kept;
}

interface KeptPages<Item> extends Kept<Page<Item>> {
  /** Shows one page more. */
  more(): void;
}

/** A list of which more and more is shown. It is read anew as a whole: what has changed in it may lie anywhere. */
export function useKeptPages<Item>(
  read: (request: PageRequest & { readonly signal: AbortSignal }) => Promise<Result<Page<Item>>>,
  { of = [], ...options }: KeptOptions = {},
): KeptPages<Item> {
  const [pages, setPages] = useState(1);
  const readAll = async (signal: AbortSignal): Promise<Result<Page<Item>>> => {
    const items: Item[] = [];
    let cursor: string | undefined;
    for (let page = 1; ; page++) {
      const result = await read({ cursor, signal });
      if (!result.ok) return result;
      items.push(...result.value.items);
      if (page === pages || result.value.next === null) return { ...result, value: { ...result.value, items } };
      cursor = result.value.next;
    }
  };
  const kept = useKept(readAll, { ...options, of: [...of, pages] });
  return { ...kept, more: () => setPages(pages + 1) };
}
