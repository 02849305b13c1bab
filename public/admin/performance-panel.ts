/** One performance: what is left of it, its room and its figures, and for a demo its rehearsals. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Performance, Event as SaleEvent } from '../../src/client/index.ts';
import { announce } from '../lib/announce.ts';
import { count, dateTime, money } from '../lib/format.ts';
import { client } from '../lib/session.ts';
import { ask } from './ask.ts';
import { windowSeconds } from './figures.ts';
import { Sentence, WorkButton } from './form.ts';
import { Plot } from './plot.ts';
import { RehearsalSection } from './rehearsal-section.ts';
import { RoomSection } from './room-section.ts';
import { type Sale, useSale } from './sale.ts';
import { t } from './texts.ts';
import { rate } from './words.ts';

export interface PerformancePanelProps {
  readonly performanceId: number;
  readonly events: readonly SaleEvent[];
  /** Told the event of the performance once it is known. */
  readonly onEvent: (eventId: number) => void;
}

/** Its key must be the performance's number. */
export function PerformancePanel({ performanceId, events, onEvent }: PerformancePanelProps): VNode {
  const sale = useSale(performanceId);
  const { performance, queue, sentence } = sale;
  const eventId = performance?.eventId ?? null;
  const event = events.find((one) => one.eventId === eventId);
  useEffect(() => {
    if (eventId !== null) onEvent(eventId);
  }, [eventId]);
  if (performance === null || queue === null) {
    return (
      sentence === '' ? html`<p role="status">${t.loading}</p>` : html`<${Sentence} text=${sentence} />`
    ) as VNode;
  }
  return html`
    ${sentence !== '' && html`<p class="notice warn" role="status">${t.lost}</p>`}
    <${Facts} performance=${performance} name=${event?.name ?? ''} />
    <${SaleFigures} course=${sale.course} />
    <${RoomSection} performanceId=${performanceId} queue=${queue} onQueue=${sale.takeQueue} />
    ${event?.isDemo === true && html`<${RehearsalSection} performanceId=${performanceId} />`}
  ` as VNode;
}

function placesOf({ seating }: Performance): number {
  return seating.kind === 'seated' ? seating.seats : seating.capacity;
}

function bookingOf({ bookingOpensAt, bookingClosesAt }: Performance): string {
  const parts = [
    bookingOpensAt === null ? '' : t.bookingFrom(dateTime(bookingOpensAt)),
    bookingClosesAt === null ? '' : t.bookingUntil(dateTime(bookingClosesAt)),
  ].filter(Boolean);
  return parts.length === 0 ? t.bookingAlways : parts.join(' ');
}

function Facts({ performance, name }: { readonly performance: Performance; readonly name: string }): VNode {
  const { performanceId, startsAt, price, holdSeconds, maxReservationsPerUser, remaining } = performance;
  const places = placesOf(performance);
  return html`
    <section class="card facts" aria-labelledby="facts-title">
      <div>
        <h3 id="facts-title">${name === '' ? t.facts : name}</h3>
        <dl>
          <dt>${t.startsAt}</dt><dd>${dateTime(startsAt)}</dd>
          <dt>${t.booking}</dt><dd>${bookingOf(performance)}</dd>
          <dt>${t.price}</dt><dd class="numbers">${money(price)}</dd>
          <dt>${t.holdSeconds}</dt><dd>${t.seconds(count(holdSeconds))}</dd>
          <dt>${t.maxReservations}</dt><dd>${count(maxReservationsPerUser)}</dd>
        </dl>
        <a href=${`/performances/${performanceId}`}>${t.openPage}</a>
      </div>
      <div class="remaining">
        <p class="name">${t.remaining}</p>
        <p><span class="big">${count(remaining)}</span> <span class="soft numbers">${t.ofPlaces(count(places))}</span></p>
        <meter min="0" max=${places} value=${remaining} aria-label=${t.remaining}></meter>
        <${WarmButton} performanceId=${performanceId} />
      </div>
    </section>
  ` as VNode;
}

function WarmButton({ performanceId }: { readonly performanceId: number }): VNode {
  const [isBusy, setIsBusy] = useState(false);
  const [said, setSaid] = useState('');
  const [sentence, setSentence] = useState('');
  async function warm(): Promise<void> {
    setIsBusy(true);
    setSentence('');
    setSaid('');
    const asked = await ask(client.warm(performanceId));
    setIsBusy(false);
    if (!asked.ok) return setSentence(asked.sentence);
    const text = (asked.value.warmed ? t.wasCold : t.wasWarm)(count(asked.value.seats));
    setSaid(text);
    announce(text);
  }
  return html`
    <${WorkButton} type="button" isBusy=${isBusy} onClick=${warm}>${t.warm}</${WorkButton}>
    <p class="hint">${said === '' ? t.warmHint : said}</p>
    <${Sentence} text=${sentence} />
  ` as VNode;
}

function SaleFigures({ course }: Pick<Sale, 'course'>): VNode {
  const { times, rows } = course;
  return html`
    <section class="card" aria-labelledby="sale-title">
      <h3 id="sale-title">${t.figuresOfSale}</h3>
      <p class="hint">${t.figuresHint(count(windowSeconds / 60))}</p>
      <div class="figures">
        <${Plot} name=${t.waiting} times=${times} row=${rows.waiting} show=${rate} />
        <${Plot} name=${t.active} times=${times} row=${rows.active} show=${rate} />
        <${Plot} name=${t.admitted} times=${times} row=${rows.admitted} show=${rate} />
      </div>
    </section>
  ` as VNode;
}
