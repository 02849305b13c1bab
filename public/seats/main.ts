/** The page of a performance: reads what is performed and its places, then sells them. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Performance } from '../../src/client/index.ts';
import { sentenceOf, sentenceOfFailure } from '../lib/problems.ts';
import { client } from '../lib/session.ts';
import { Shell, show } from '../lib/shell.ts';
import { performanceIdOfPath } from '../lib/use.ts';
import { Sale } from './sale.ts';
import { SeatStore } from './seat-store.ts';
import { t } from './texts.ts';

type Loaded =
  | { readonly state: 'loading' }
  | { readonly state: 'unknown' }
  | { readonly state: 'failed'; readonly sentence: string }
  | {
      readonly state: 'ready';
      readonly performance: Performance;
      readonly name: string;
      readonly store: SeatStore | null;
      readonly etag: string | undefined;
    };

async function load(performanceId: number | null, signal: AbortSignal): Promise<Loaded> {
  if (performanceId === null) return { state: 'unknown' };
  // The map is the largest: it does not wait until the kind of the performance is known.
  const [performance, seats, events] = await Promise.all([
    client.performance(performanceId, { signal }),
    client.seats(performanceId, { signal }),
    client.events({ signal }),
  ]);
  if (!performance.ok) {
    const { problem } = performance;
    return problem.code === 'performance_not_found'
      ? { state: 'unknown' }
      : { state: 'failed', sentence: sentenceOf(problem) };
  }
  if (!seats.ok) return { state: 'failed', sentence: sentenceOf(seats.problem) };
  const map = seats.value.isChanged ? seats.value.map.seats : [];
  const { eventId, seating } = performance.value;
  // The name is not worth a failed page.
  const event = events.ok ? events.value.items.find((one) => one.eventId === eventId) : undefined;
  const store = seating.kind === 'seated' ? new SeatStore(map) : null;
  return {
    state: 'ready',
    performance: performance.value,
    name: event?.name ?? t.title,
    store,
    etag: seats.value.etag,
  };
}

function SeatsPage(): VNode {
  const [loaded, setLoaded] = useState<Loaded>({ state: 'loading' });
  const [tries, setTries] = useState(0);
  useEffect(() => {
    const over = new AbortController();
    setLoaded({ state: 'loading' });
    void load(performanceIdOfPath(), over.signal)
      .catch((thrown: unknown): Loaded => ({ state: 'failed', sentence: sentenceOfFailure(thrown) }))
      .then((now) => {
        if (!over.signal.aborted) setLoaded(now);
      });
    return () => over.abort();
  }, [tries]);
  return html`
    <${Shell} title=${loaded.state === 'ready' ? loaded.name : t.title} isWide=${true}>
      <${Content} loaded=${loaded} onAgain=${() => setTries(tries + 1)} />
    </${Shell}>
  ` as VNode;
}

function Content({ loaded, onAgain }: { loaded: Loaded; onAgain: () => void }): VNode {
  switch (loaded.state) {
    case 'ready':
      return html`<${Sale} ...${loaded} />` as VNode;
    case 'loading':
      return html`<h1>${t.title}</h1><p role="status">${t.loading}</p>` as unknown as VNode;
    case 'unknown':
      return html`<h1>${t.unknown}</h1><p>${t.unknownMore}</p><p><a class="button primary" href="/">${t.home}</a></p>` as unknown as VNode;
    case 'failed':
      return html`
        <h1>${t.title}</h1>
        <p class="notice bad" role="alert">${loaded.sentence}</p>
        <button type="button" onClick=${onAgain}>${t.again}</button>
      ` as unknown as VNode;
  }
}

show(html`<${SeatsPage} />` as VNode);
