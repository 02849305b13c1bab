/** Everything on sale: the events, searched by name, each with its performances as soon as it comes into view. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Event } from '../../src/client/index.ts';
import { client } from '../lib/session.ts';
import { useNow } from '../lib/use.ts';
import { type Kept, useKept } from './ask.ts';
import { Button, Fault, useIsInView } from './parts.ts';
import { PerformanceRow } from './performance-row.ts';
import { eventsFound, inOrder } from './sale.ts';
import { t } from './texts.ts';

const countsEveryMs = 5000;
const searchFrom = 6;
const eventsShown = 20;
const performancesShown = 5;

interface EventsProps {
  readonly events: Kept<{ readonly items: readonly Event[] }>;
  /** Changes with another try. */
  readonly round: number;
  readonly onAgain: () => void;
}

export function Events({ events, round, onAgain }: EventsProps): VNode {
  const [search, setSearch] = useState('');
  const [shown, setShown] = useState(eventsShown);
  const { fault, answers, onAnswer } = useFaults();
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => {
    if (shown > eventsShown) list.current?.querySelectorAll('h2')[shown - eventsShown]?.focus();
  }, [shown]);
  const all = events.value?.items ?? null;
  if (all === null && events.fault === '') return html`<p role="status" class="soft">${t.loading}</p>` as VNode;
  const faultAnywhere = events.fault || fault;
  const found = eventsFound(all ?? [], search);
  const onSearch = (input: InputEvent): void => {
    setSearch((input.currentTarget as HTMLInputElement).value);
    setShown(eventsShown);
  };
  return html`
    ${faultAnywhere !== '' && html`<${Fault} sentence=${faultAnywhere} isStale=${all !== null} answers=${events.answers + answers} onAgain=${onAgain} />`}
    ${all?.length === 0 && html`<div class="card none"><p><strong>${t.noEvents}</strong></p><p class="soft">${t.noEventsMore}</p></div>`}
    ${
      (all?.length ?? 0) > searchFrom &&
      html`
        <form role="search" class="search" onSubmit=${(submit: SubmitEvent) => submit.preventDefault()}>
          <label>${t.search}<input type="search" value=${search} autocomplete="off" onInput=${onSearch} /></label>
          <p role="status" class="soft">${search.trim() === '' ? '' : found.length === 0 ? t.noneFound : t.found(found.length, all!.length)}</p>
        </form>
      `
    }
    <ul class="events" ref=${list}>
      ${found.slice(0, shown).map((event) => html`<${EventCard} key=${event.eventId} event=${event} round=${round} onAnswer=${onAnswer} />`)}
    </ul>
    ${found.length > shown && html`<${Button} onClick=${() => setShown(shown + eventsShown)}>${t.moreEvents(found.length - shown)}</${Button}>`}
  ` as VNode;
}

type OnAnswer = (eventId: number, fault: string) => void;

/** Cards whose counts could not be read: one sentence for all of them. */
function useFaults(): { fault: string; answers: number; onAnswer: OnAnswer } {
  const [{ faults, answers }, setFaults] = useState({ faults: new Map<number, string>(), answers: 0 });
  const [onAnswer] = useState<OnAnswer>(() => (eventId: number, fault: string) => {
    setFaults((before) => {
      if (fault === '' && !before.faults.has(eventId)) return before;
      const now = new Map(before.faults);
      if (fault === '') now.delete(eventId);
      else now.set(eventId, fault);
      return { faults: now, answers: before.answers + 1 };
    });
  });
  const [fault = ''] = faults.values();
  return { fault, answers, onAnswer };
}

interface EventCardProps {
  readonly event: Event;
  readonly round: number;
  readonly onAnswer: OnAnswer;
}

function EventCard({ event, round, onAnswer }: EventCardProps): VNode {
  const { eventId, name, description } = event;
  const place = useRef<HTMLLIElement>(null);
  const isInView = useIsInView(place);
  const [isAll, setIsAll] = useState(false);
  const nowMs = useNow(30_000);
  const performances = useKept((signal) => client.performances(eventId, { signal }), {
    everyMs: countsEveryMs,
    isActive: isInView,
    of: [round],
  });
  const { fault, answers } = performances;
  useEffect(() => onAnswer(eventId, fault), [eventId, fault, answers, onAnswer]);
  // Gone by a search, or out of view: nobody asks for it, so nobody waits for its answer.
  useEffect(() => {
    if (!isInView) onAnswer(eventId, '');
    return () => onAnswer(eventId, '');
  }, [eventId, isInView, onAnswer]);
  const ordered = performances.value === null ? null : inOrder(performances.value.items, nowMs);
  const hasDates = ordered !== null && ordered.length > 0;
  // The button that had the focus is gone: the first of what it brought takes it.
  useEffect(() => {
    if (isAll) place.current?.querySelectorAll('h3')[performancesShown]?.focus();
  }, [isAll]);
  const rest = (ordered?.length ?? 0) - performancesShown;
  return html`
    <li class="card event" ref=${place}>
      <h2 tabindex="-1">${name}</h2>
      ${description !== null && description !== '' && html`<p class="description">${description}</p>`}
      ${ordered === null && html`<p class="waiting soft">${fault === '' ? t.loading : '—'}</p>`}
      ${ordered?.length === 0 && html`<p class="soft">${t.noPerformances}</p>`}
      ${
        hasDates &&
        html`<ul class="performances">
        ${ordered
          .slice(0, isAll ? undefined : performancesShown)
          .map(
            (performance) =>
              html`<${PerformanceRow} key=${performance.performanceId} performance=${performance} eventName=${name} isInView=${isInView} />`,
          )}
      </ul>`
      }
      ${rest > 0 && !isAll && html`<${Button} class="quiet" onClick=${() => setIsAll(true)}>${t.allPerformances(rest)}</${Button}>`}
    </li>
  ` as VNode;
}
