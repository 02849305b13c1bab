/** One reservation of one's own, with what can be done with it. */
import { html } from 'htm/preact';
import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { Event, Performance, Reservation, Result } from '../../src/client/index.ts';
import { announce } from '../lib/announce.ts';
import { countdown, dateTime, money } from '../lib/format.ts';
import { client } from '../lib/session.ts';
import { useNow } from '../lib/use.ts';
import { useAction, useKept } from './ask.ts';
import { CancelDialog } from './cancel-dialog.ts';
import { chargeFieldId } from './charge.ts';
import { Button } from './parts.ts';
import { seatsOf } from './sale.ts';
import { t } from './texts.ts';

const known = new Map<number, Result<Performance>>();

/** A performance by its id, read once: what is shown of it here does not change. */
export async function readPerformance(performanceId: number, signal?: AbortSignal): Promise<Result<Performance>> {
  const result = known.get(performanceId) ?? (await client.performance(performanceId, { signal }));
  if (result.ok) known.set(performanceId, result);
  return result;
}

function nameOf(performanceId: number, performance: Performance | null, events: readonly Event[]): string {
  const event = events.find(({ eventId }) => eventId === performance?.eventId);
  return event?.name ?? t.performance(performanceId);
}

function placesTextOf(reservation: Reservation, performance: Performance | null): string {
  const seats = seatsOf(reservation, performance);
  return seats === null ? t.party(reservation.partySize ?? 0) : t.seatList(seats);
}

/** `Spring Concert, Seats A-1, A-2`. */
export function whatOf(reservation: Reservation, performance: Performance | null, events: readonly Event[]): string {
  return `${nameOf(reservation.performanceId, performance, events)}, ${placesTextOf(reservation, performance)}`;
}

interface FrameProps {
  readonly reservation: Reservation;
  readonly performance: Performance | null;
  readonly events: readonly Event[];
  readonly class?: string;
  readonly children?: ComponentChildren;
}

/** What is the same for all of them. */
function Frame({ reservation, performance, events, class: name = '', children }: FrameProps): VNode {
  const { performanceId, amount } = reservation;
  return html`
    <li class=${`reservation ${name}`}>
      <div class="what">
        <a href=${`/performances/${performanceId}`}>${nameOf(performanceId, performance, events)}</a>
        <span class="numbers">${money(amount)}</span>
      </div>
      ${performance !== null && html`<p class="soft"><time datetime=${performance.startsAt}>${dateTime(performance.startsAt)}</time></p>`}
      <p>${placesTextOf(reservation, performance)}</p>
      ${children}
    </li>
  ` as VNode;
}

function usePerformance({ performanceId }: Reservation): Performance | null {
  return useKept((signal) => readPerformance(performanceId, signal), { of: [performanceId] }).value;
}

interface ReservationProps {
  readonly reservation: Reservation;
  readonly events: readonly Event[];
}

interface ConfirmedProps extends ReservationProps {
  readonly onDone: (text: string) => void;
}

interface HeldProps extends ReservationProps {
  readonly onSettled: (reservationId: string, text: string) => void;
  readonly onChanged: () => void;
}

/** The time is by this machine's clock, and only shown: whether it can still be paid, the gateway says. */
export function Held({ reservation, events, onSettled, onChanged }: HeldProps): VNode {
  const { reservationId, amount, expiresAt } = reservation;
  const performance = usePerformance(reservation);
  const paying = useAction();
  const giving = useAction();
  const [isShort, setIsShort] = useState(false);
  const seconds = (Date.parse(expiresAt) - useNow(1000)) / 1000;
  const what = whatOf(reservation, performance, events);
  const isLastMinute = seconds > 0 && seconds <= 60;
  useEffect(() => {
    if (isLastMinute) announce(t.lastMinute(what));
    // Once, and not again where the name of the event comes late.
  }, [isLastMinute]);
  const isBusy = paying.isBusy || giving.isBusy;
  const pay = async (): Promise<void> => {
    const asked = await paying.run(() => client.pay(reservationId));
    if (asked?.ok === true) return onSettled(reservationId, t.paid(what));
    setIsShort(asked?.code === 'insufficient_balance');
    // It may be over, or paid by now: look.
    if (asked !== null && asked.code !== 'insufficient_balance') onChanged();
  };
  const giveBack = async (): Promise<void> => {
    const asked = await giving.run(() => client.cancel(reservationId));
    if (asked?.ok === true) onSettled(reservationId, t.givenBack(what));
    else if (asked !== null) onChanged();
  };
  const fault = paying.fault || giving.fault;
  return html`
    <${Frame} reservation=${reservation} performance=${performance} events=${events} class="held">
      <p class="time">
        ${seconds > 0 ? html`<strong class="numbers" role="timer">${countdown(seconds)}</strong> ${t.timeLeft}` : t.ending}
      </p>
      ${fault !== '' && html`<p class="notice bad" role="alert">${fault}</p>`}
      ${isShort && html`<p><a href=${`#${chargeFieldId}`}>${t.toCharge}</a></p>`}
      <div class="row">
        <${Button} class="primary" isBusy=${isBusy} busy=${paying.isBusy ? t.paying : undefined} onClick=${pay}>${t.pay(amount)}</${Button}>
        <${Button} isBusy=${isBusy} busy=${giving.isBusy ? t.givingBack : undefined} onClick=${giveBack}>${t.giveBack}</${Button}>
      </div>
    </${Frame}>
  ` as VNode;
}

export function Confirmed({ reservation, events, onDone }: ConfirmedProps): VNode {
  const performance = usePerformance(reservation);
  const [isAsking, setIsAsking] = useState(false);
  const what = whatOf(reservation, performance, events);
  const onCancelled = (refunded: number): void => {
    setIsAsking(false);
    onDone(t.refunded(what, refunded));
  };
  return html`
    <${Frame} reservation=${reservation} performance=${performance} events=${events}>
      <div class="row"><${Button} onClick=${() => setIsAsking(true)}>${t.cancel}<span class="hidden-visually">: ${what}</span></${Button}></div>
      ${isAsking && html`<${CancelDialog} reservation=${reservation} what=${what} onCancelled=${onCancelled} onClose=${() => setIsAsking(false)} />`}
    </${Frame}>
  ` as VNode;
}

export function Ended({ reservation, events }: ReservationProps): VNode {
  const performance = usePerformance(reservation);
  return html`
    <${Frame} reservation=${reservation} performance=${performance} events=${events} class="ended">
      <p><span class="badge">${t.status[reservation.status]}</span></p>
    </${Frame}>
  ` as VNode;
}
