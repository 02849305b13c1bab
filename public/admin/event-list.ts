/** The list at the side: events, found by name, each with its performances once it is opened. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Performance, Event as SaleEvent } from '../../src/client/index.ts';
import { count, dateTime } from '../lib/format.ts';
import type { Catalogue } from './catalogue.ts';
import { Sentence } from './form.ts';
import { t } from './texts.ts';

const shownStep = 30;

export interface EventListProps {
  readonly catalogue: Catalogue;
  /** Whose performance is chosen: it is open. */
  readonly chosenEventId: number | null;
  readonly chosenPerformanceId: number | null;
  readonly onNewEvent: () => void;
  readonly onNewPerformance: (event: SaleEvent) => void;
  readonly onChoose: (performanceId: number) => void;
}

export function EventList(props: EventListProps): VNode {
  const { catalogue, chosenEventId, onNewEvent, onChoose } = props;
  const { events, sentence, readEvents } = catalogue;
  const [search, setSearch] = useState('');
  const [shownMax, setShownMax] = useState(shownStep);
  const [open, setOpen] = useState<ReadonlySet<number>>(new Set());
  useEffect(() => {
    if (chosenEventId !== null) setOpen((before) => new Set(before).add(chosenEventId));
  }, [chosenEventId]);

  const wanted = search.trim().toLowerCase();
  const found = (events ?? []).filter(({ name }) => name.toLowerCase().includes(wanted));
  // A chosen one is never below the end of the list.
  const shown = found.filter(({ eventId }, i) => i < shownMax || eventId === chosenEventId);
  const number = /^[1-9]\d{0,14}$/.test(wanted) ? Number(wanted) : null;
  const readAgain = async (): Promise<void> => {
    await readEvents();
    for (const eventId of open) if (!catalogue.performances.has(eventId)) await catalogue.readPerformances(eventId);
  };
  const toggle = (eventId: number): void =>
    setOpen((before) => {
      const now = new Set(before);
      if (!now.delete(eventId)) now.add(eventId);
      return now;
    });

  return html`
    <section class="events card" aria-labelledby="events-title">
      <div class="row between">
        <h2 id="events-title">${t.events}</h2>
        <button type="button" onClick=${onNewEvent}>${t.newEvent}</button>
      </div>
      <label>${t.search}<input type="search" value=${search}
        onInput=${(event: InputEvent) => setSearch((event.currentTarget as HTMLInputElement).value)} /></label>
      <${Sentence} text=${sentence} />
      ${sentence !== '' && html`<button type="button" onClick=${readAgain}>${t.again}</button>`}
      ${events === null && sentence === '' && html`<p class="soft" role="status">${t.loading}</p>`}
      ${events?.length === 0 && html`<p class="soft">${t.noEvents}</p>`}
      ${
        number !== null &&
        html`<p><button type="button" onClick=${() => onChoose(number)}>${t.goTo(String(number))}</button></p>`
      }
      ${events !== null && events.length > 0 && found.length === 0 && html`<p class="soft">${t.noMatch}</p>`}
      <ul class="plain">
        ${shown.map(
          (event) => html`<${EventItem} key=${event.eventId} ...${props} event=${event}
            isOpen=${open.has(event.eventId)} onToggle=${() => toggle(event.eventId)} />`,
        )}
      </ul>
      ${
        found.length > shown.length &&
        html`<button type="button" class="quiet" onClick=${() => setShownMax(shownMax + shownStep)}>
          ${t.more(count(found.length - shown.length))}</button>`
      }
    </section>
  ` as VNode;
}

interface EventItemProps extends EventListProps {
  readonly event: SaleEvent;
  readonly isOpen: boolean;
  readonly onToggle: () => void;
}

function EventItem({ event, isOpen, onToggle, ...props }: EventItemProps): VNode {
  const { catalogue, chosenPerformanceId, onChoose, onNewPerformance } = props;
  const { eventId, name, isDemo } = event;
  const { readPerformances } = catalogue;
  const performances = catalogue.performances.get(eventId);
  useEffect(() => {
    if (isOpen) void readPerformances(eventId);
  }, [isOpen, eventId, readPerformances]);
  const id = `event-${eventId}`;
  return html`
    <li>
      <button type="button" class="event" aria-expanded=${isOpen} aria-controls=${id} onClick=${onToggle}>
        <span>${name}</span>${isDemo && html` <span class="badge">${t.demo}</span>`}
      </button>
      <div id=${id} class="performances" hidden=${!isOpen}>
        ${performances === undefined && html`<p class="soft">${t.loading}</p>`}
        ${performances?.length === 0 && html`<p class="soft">${t.noPerformances}</p>`}
        <ul class="plain">
          ${performances?.map(
            (one) => html`<li key=${one.performanceId}>
              <button type="button" class="performance" aria-current=${one.performanceId === chosenPerformanceId ? 'true' : undefined}
                onClick=${() => onChoose(one.performanceId)}>${lineOf(one)}</button>
            </li>`,
          )}
        </ul>
        <button type="button" class="quiet" onClick=${() => onNewPerformance(event)}>${t.newPerformance}</button>
      </div>
    </li>
  ` as VNode;
}

function lineOf({ performanceId, startsAt }: Performance): VNode {
  return html`<span>${dateTime(startsAt)}</span> <span class="soft numbers">#${performanceId}</span>` as VNode;
}
