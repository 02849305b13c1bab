/** What is on sale here and how it stands: read at first, and renewed while somebody looks. */
import { useEffect, useState } from 'preact/hooks';
import type { Performance, Queue, Result } from '../../src/client/index.ts';
import { sentenceOf, sentenceOfFailure } from '../lib/problems.ts';
import { client } from '../lib/session.ts';
import { pause } from './pause.ts';

export interface Sale {
  readonly performance: Performance | null;
  /** Of its event; '' while it is not known. */
  readonly name: string;
  /** Null where nobody asked for it. */
  readonly room: Queue | null;
  readonly isUnknown: boolean;
  /** Why there is nothing new; '' for no reason. */
  readonly trouble: string;
  /** False since the last look got no answer. */
  readonly isReachable: boolean;
}

export interface SaleOptions {
  /** For who is outside: how many wait. */
  readonly wantsRoom: boolean;
  /** The socket is not there: whether the gateway is has to be found out. */
  readonly isProbing: boolean;
}

/** Thousands look at once: seldom enough for that, often enough to see that a sale is over. */
const renewMsMin = 8000;
const renewMsMax = 12_000;
const probeMs = 2000;
/** An answer that takes longer is none to who watches it. */
const answerMsMax = 4000;

const nothing: Sale = { performance: null, name: '', room: null, isUnknown: false, trouble: '', isReachable: true };

export function useSale(performanceId: number, { wantsRoom, isProbing }: SaleOptions): Sale {
  const [sale, setSale] = useState(nothing);
  useEffect(() => {
    const over = new AbortController();
    void renew(over.signal);
    return () => over.abort();

    async function renew(signal: AbortSignal): Promise<void> {
      for (let isFirst = true; !signal.aborted; isFirst = false) {
        if (isFirst || isProbing || !document.hidden) {
          const change = await lookAtSale(performanceId, wantsRoom, signal);
          if (!signal.aborted) setSale((before) => ({ ...before, ...change }));
        }
        await pause(isProbing ? probeMs : renewMsMin + Math.random() * (renewMsMax - renewMsMin), signal);
      }
    }
  }, [performanceId, wantsRoom, isProbing]);
  useEffect(() => {
    const over = new AbortController();
    const eventId = sale.performance?.eventId;
    if (eventId !== undefined) void nameEvent(eventId, over.signal);
    return () => over.abort();

    async function nameEvent(wanted: number, signal: AbortSignal): Promise<void> {
      const name = await nameOf(wanted, signal);
      if (!signal.aborted) setSale((before) => ({ ...before, name }));
    }
  }, [sale.performance?.eventId]);
  return sale;
}

async function lookAtSale(performanceId: number, wantsRoom: boolean, over: AbortSignal): Promise<Partial<Sale>> {
  const signal = AbortSignal.any([over, AbortSignal.timeout(answerMsMax)]);
  try {
    const [performance, room] = await Promise.all([
      client.performance(performanceId, { signal }),
      wantsRoom ? client.queue(performanceId, { signal }) : null,
    ]);
    return { ...changeOf(performance), ...(room?.ok === true ? { room: room.value } : {}), isReachable: true };
  } catch (thrown) {
    if (over.aborted) return {};
    return { trouble: sentenceOfFailure(thrown), isReachable: false };
  }
}

function changeOf(performance: Result<Performance>): Partial<Sale> {
  if (performance.ok) return { performance: performance.value, trouble: '' };
  const { problem } = performance;
  const isUnknown = problem.code === 'performance_not_found' || problem.code === 'validation_failed';
  return { isUnknown, trouble: sentenceOf(problem) };
}

/** Without an answer the page does without a name. */
async function nameOf(eventId: number, signal: AbortSignal): Promise<string> {
  try {
    const events = await client.events({ signal });
    return events.ok ? (events.value.items.find((event) => event.eventId === eventId)?.name ?? '') : '';
  } catch (thrown) {
    if (!signal.aborted) sentenceOfFailure(thrown);
    return '';
  }
}
