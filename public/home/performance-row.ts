/** One performance on sale: when, how much, what is left, and the way on. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import type { Performance } from '../../src/client/index.ts';
import { countdown, dateTime } from '../lib/format.ts';
import { client } from '../lib/session.ts';
import { useNow } from '../lib/use.ts';
import { useKept } from './ask.ts';
import { fillOf, placesOf, type SaleState, saleStateOf } from './sale.ts';
import { t } from './texts.ts';

const roomsEveryMs = 20_000;
/** Before that a date says more than a countdown. */
const countdownMsMax = 24 * 3_600_000;

interface PerformanceRowProps {
  readonly performance: Performance;
  readonly eventName: string;
  readonly isInView: boolean;
}

export function PerformanceRow({ performance, eventName, isInView }: PerformanceRowProps): VNode {
  const { performanceId, startsAt, bookingOpensAt, price, seating } = performance;
  const opensMs = Date.parse(bookingOpensAt ?? startsAt);
  const isSoon = opensMs - Date.now() < countdownMsMax && opensMs > Date.now() - 2000;
  const nowMs = useNow(isSoon ? 1000 : 30_000);
  const seconds = (opensMs - nowMs) / 1000;
  const state = saleStateOf(performance, nowMs);
  // Where nothing is known of its room, there is none: the page behind the link sends to it.
  const room = useKept((signal) => client.queue(performanceId, { signal }), {
    everyMs: roomsEveryMs,
    isActive: isInView && (state === 'before' || state === 'open'),
  });
  const hasRoom = room.value?.mode === 'on' && (state === 'before' || state === 'open');
  const when = dateTime(startsAt);
  return html`
    <li class=${`performance ${state}`}>
      <div>
        <h3 tabindex="-1"><time datetime=${startsAt}>${when}</time></h3>
        <p class="soft">${seating.kind === 'seated' ? t.seats : t.places} · ${t.each(price)}</p>
      </div>
      <div class="sale">
        ${state !== 'over' && html`<${Bar} performance=${performance} />`}
        <p class="figures numbers">
          ${state !== 'over' && html`<${Remaining} performance=${performance} />`}
          ${state === 'before' && bookingOpensAt !== null && html`<span class="badge warn">${isSoon ? t.opensIn(countdown(seconds)) : t.opensAt(dateTime(bookingOpensAt))}</span>`}
          ${state === 'closed' && html`<span class="badge">${t.closed}</span>`}
          ${state === 'over' && html`<span class="badge">${t.over}</span>`}
          ${state === 'open' && fillOf(performance) === 'many' && html`<span class="badge good">${t.open}</span>`}
          ${hasRoom && html`<span class="badge room">${t.room}</span>`}
        </p>
      </div>
      <${WayOn} performance=${performance} state=${state} hasRoom=${hasRoom} what=${`${eventName}, ${when}`} />
    </li>
  ` as VNode;
}

interface SaleProps {
  readonly performance: Performance;
}

/** For the eye alone: the words beside it say the same. */
function Bar({ performance }: SaleProps): VNode {
  const share = Math.min(1, Math.max(0, performance.remaining / placesOf(performance)));
  return html`
    <div class=${`bar ${fillOf(performance)}`} aria-hidden="true"><span style=${{ width: `${share * 100}%` }}></span></div>
  ` as VNode;
}

function Remaining({ performance }: SaleProps): VNode {
  const fill = fillOf(performance);
  if (fill === 'none') return html`<span class="badge bad">${t.soldOut}</span>` as VNode;
  return html`
    <span>${t.left(performance.remaining, placesOf(performance))}</span>
    ${fill === 'few' && html`<span class="badge warn">${t.few}</span>`}
  ` as VNode;
}

interface WayOnProps {
  readonly performance: Performance;
  readonly state: SaleState;
  readonly hasRoom: boolean;
  /** For those who hear a list of links: all of them say the same. */
  readonly what: string;
}

function WayOn({ performance, state, hasRoom, what }: WayOnProps): VNode | null {
  if (state === 'over') return null;
  const isSeated = performance.seating.kind === 'seated';
  const isLook = state === 'closed' || fillOf(performance) === 'none' || (state === 'before' && !hasRoom);
  const [look, choose] = isSeated ? [t.seeSeats, t.chooseSeats] : [t.seePlaces, t.choosePlaces];
  return html`
    <a class=${`button ${isLook ? '' : 'primary'}`} href=${`/performances/${performance.performanceId}`}>
      ${isLook ? look : hasRoom ? t.joinRoom : choose}<span class="hidden-visually">: ${what}</span>
    </a>
  ` as VNode;
}
