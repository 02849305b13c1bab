/** The own reservations: first what waits for its payment, then what is paid, and folded away what has ended. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Event, Page, Reservation } from '../../src/client/index.ts';
import { announce } from '../lib/announce.ts';
import { client } from '../lib/session.ts';
import { ask, useKept, useKeptPages } from './ask.ts';
import { useReservationEvents } from './live.ts';
import { Button, Fault } from './parts.ts';
import { Confirmed, Ended, Held, readPerformance, whatOf } from './reservation.ts';
import { t } from './texts.ts';

/** A socket tells how holds end, not that others were made elsewhere. */
const everyMs = 10_000;
/** Without a socket. */
const everyMsAlone = 4000;
const confirmedAPage = 10;
const noticesMax = 3;

interface Notice {
  readonly text: string;
  readonly isGood: boolean;
}

interface ReservationsProps {
  readonly events: readonly Event[];
  /** Changes when something may have. */
  readonly round: number;
  readonly onChanged: () => void;
  readonly onHolds: (holds: number) => void;
}

export function Reservations({ events, round, onChanged, onHolds }: ReservationsProps): VNode {
  const heading = useRef<HTMLHeadingElement>(null);
  const [notices, setNotices] = useState<readonly Notice[]>([]);
  const isLive = useReservationEvents(onChanged);
  const held = useKept((signal) => client.reservations({ status: 'HELD', limit: 100, signal }), {
    everyMs: isLive ? everyMs : everyMsAlone,
    of: [round],
  });
  const confirmed = useKeptPages(
    (request) => client.reservations({ ...request, status: 'CONFIRMED', limit: confirmedAPage }),
    { of: [round] },
  );
  const tell = (notice: Notice): void => {
    announce(notice.text);
    setNotices((before) => [notice, ...before].slice(0, noticesMax));
  };
  const settled = useEnds(held.value, events, (notice) => {
    tell(notice);
    onChanged();
  });
  const onDone = (text: string | null): void => {
    if (text !== null) tell({ text, isGood: true });
    // Its buttons go with it.
    heading.current?.focus();
    onChanged();
  };
  const onSettled = (reservationId: string, text: string): void => {
    // The socket may have been faster than the answer.
    onDone(settled.has(reservationId) ? null : text);
    settled.add(reservationId);
  };
  const holds = held.value?.items ?? [];
  const sold = confirmed.value?.items ?? [];
  useEffect(() => onHolds(holds.length), [holds.length, onHolds]);
  useEffect(() => () => onHolds(0), [onHolds]);
  const fault = held.fault || confirmed.fault;
  const isLoaded = held.value !== null && confirmed.value !== null;
  return html`
    <div class="card">
      <h2 tabindex="-1" ref=${heading}>${t.reservations}</h2>
      ${notices.map(
        (notice) => html`
          <div key=${notice} class=${`notice closable ${notice.isGood ? 'good' : 'warn'}`}>
            <p>${notice.text}</p>
            <${Button} class="quiet" onClick=${() => setNotices(notices.filter((other) => other !== notice))}>${t.dismiss}</${Button}>
          </div>
        `,
      )}
      ${fault !== '' && html`<${Fault} sentence=${fault} answers=${held.answers} onAgain=${onChanged} />`}
      ${!isLoaded && fault === '' && html`<p class="soft">${t.loading}</p>`}
      ${isLoaded && holds.length + sold.length === 0 && html`<p class="soft">${t.noReservations}</p>`}
      ${holds.length > 0 && html`<h3 class="group">${t.held}</h3>`}
      <ul class="reservations">
        ${holds.map((reservation) => html`<${Held} key=${reservation.reservationId} reservation=${reservation} events=${events} onSettled=${onSettled} onChanged=${onChanged} />`)}
      </ul>
      ${sold.length > 0 && html`<h3 class="group">${t.confirmed}</h3>`}
      <ul class="reservations">
        ${sold.map((reservation) => html`<${Confirmed} key=${reservation.reservationId} reservation=${reservation} events=${events} onDone=${onDone} />`)}
      </ul>
      ${confirmed.value !== null && confirmed.value.next !== null && html`<${Button} class="quiet" onClick=${confirmed.more}>${t.more}</${Button}>`}
      <${EndedOnes} events=${events} round=${round} />
    </div>
  ` as VNode;
}

/**
 * Holds that are there no more, and were not settled here: paid or given back in another window, or over. The gateway is
 * asked which. Ids of those whose end was told, here or there, are in the set returned: no end is told twice.
 */
function useEnds(
  held: Page<Reservation> | null,
  events: readonly Event[],
  onEnd: (notice: Notice) => void,
): Set<string> {
  const [settled] = useState(() => new Set<string>());
  const before = useRef<readonly Reservation[]>([]);
  const now = useRef({ events, onEnd });
  now.current = { events, onEnd };
  useEffect(() => {
    if (held === null) return;
    const ids = new Set(held.items.map(({ reservationId }) => reservationId));
    const gone = before.current.filter(({ reservationId }) => !ids.has(reservationId) && !settled.has(reservationId));
    before.current = held.items;
    const look = async ({ reservationId }: Reservation): Promise<void> => {
      const asked = await ask(() => client.reservation(reservationId));
      if (!asked.ok) return;
      const reservation = asked.value;
      const performance = await ask(() => readPerformance(reservation.performanceId));
      const what = whatOf(reservation, performance.ok ? performance.value : null, now.current.events);
      const texts = { HELD: null, CONFIRMED: t.paid(what), CANCELLED: t.givenBack(what), EXPIRED: t.expired(what) };
      const text = texts[reservation.status];
      // Settled here after all, while its end was looked up.
      if (text === null || settled.has(reservationId)) return;
      settled.add(reservationId);
      now.current.onEnd({ text, isGood: reservation.status !== 'EXPIRED' });
    };
    Promise.all(gone.map(look)).catch((thrown: unknown) => reportError(thrown));
  }, [held, settled]);
  return settled;
}

/** Read when it is opened for the first time. */
function EndedOnes({ events, round }: { readonly events: readonly Event[]; readonly round: number }): VNode {
  const [isOpened, setIsOpened] = useState(false);
  const { value, fault, more } = useKeptPages((request) => client.reservations(request), {
    isActive: isOpened,
    of: [round],
  });
  const ended = value?.items.filter(({ status }) => status === 'CANCELLED' || status === 'EXPIRED') ?? [];
  return html`
    <details onToggle=${() => setIsOpened(true)}>
      <summary>${t.ended}</summary>
      ${value === null && html`<p class="soft">${fault === '' ? t.loading : fault}</p>`}
      ${value !== null && ended.length === 0 && value.next === null && html`<p class="soft">${t.noEnded}</p>`}
      <ul class="reservations">
        ${ended.map((reservation) => html`<${Ended} key=${reservation.reservationId} reservation=${reservation} events=${events} />`)}
      </ul>
      ${value !== null && value.next !== null && html`<${Button} class="quiet" onClick=${more}>${t.more}</${Button}>`}
    </details>
  ` as VNode;
}
