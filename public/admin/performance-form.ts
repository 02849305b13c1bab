/** The form of a new performance. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import type { Performance, PerformanceRequest, SeatingRequest } from '../../src/client/index.ts';
import { parseMoney } from '../lib/format.ts';
import { client } from '../lib/session.ts';
import { ask } from './ask.ts';
import { type Faults, Field, Sentence, useSubmit, WorkButton } from './form.ts';
import { t } from './texts.ts';
import { isoOfLocal } from './times.ts';

type Plan = 'seats' | 'rows' | 'capacity';

const plans: readonly (readonly [plan: Plan, label: string])[] = [
  ['seats', t.seatingSeats],
  ['rows', t.seatingRows],
  ['capacity', t.seatingCapacity],
];
const placesMax = 100_000;

export interface PerformanceFormProps {
  readonly eventId: number;
  readonly onDone: (performance: Performance) => void;
  readonly onCancel: () => void;
}

function numberIn(fields: FormData, name: string): number {
  return Number(fields.get(name));
}

function seatingIn(fields: FormData, plan: Plan): SeatingRequest {
  switch (plan) {
    case 'seats':
      return { kind: 'seated', seats: numberIn(fields, 'seating/seats') };
    case 'rows':
      return {
        kind: 'seated',
        rows: numberIn(fields, 'seating/rows'),
        seatsPerRow: numberIn(fields, 'seating/seatsPerRow'),
      };
    case 'capacity':
      return {
        kind: 'capacity',
        capacity: numberIn(fields, 'seating/capacity'),
        maxPartySize: numberIn(fields, 'seating/maxPartySize'),
      };
  }
}

/** What is sent, or what is wrong with it already. */
function requestIn(fields: FormData, plan: Plan): PerformanceRequest | Faults {
  const price = parseMoney(String(fields.get('price')));
  if (price === null) return new Map([['price', t.priceFault]]);
  return {
    startsAt: isoOfLocal(String(fields.get('startsAt'))) ?? '',
    bookingOpensAt: isoOfLocal(String(fields.get('bookingOpensAt'))),
    bookingClosesAt: isoOfLocal(String(fields.get('bookingClosesAt'))),
    price,
    holdSeconds: numberIn(fields, 'holdSeconds'),
    maxReservationsPerUser: numberIn(fields, 'maxReservationsPerUser'),
    seating: seatingIn(fields, plan),
  };
}

export function PerformanceForm({ eventId, onDone, onCancel }: PerformanceFormProps): VNode {
  const [plan, setPlan] = useState<Plan>('rows');
  const { form, isBusy, faults, sentence, submit } = useSubmit<Performance>(async (fields, idempotencyKey) => {
    const request = requestIn(fields, plan);
    if (!('price' in request)) return request;
    return ask(client.createPerformance(eventId, request, { idempotencyKey }));
  }, onDone);
  const number = (name: string, label: string, value: number, max: number, hint?: string): unknown => html`
    <${Field} key=${name} name=${name} label=${label} faults=${faults} type="number" inputmode="numeric" required
      min="1" max=${max} defaultValue=${value} hint=${hint} />
  `;
  return html`
    <form ref=${form} aria-labelledby="pane-title" onSubmit=${submit}>
      <div class="fields">
        <${Field} name="startsAt" label=${t.startsAt} faults=${faults} type="datetime-local" required max="9998-12-31T00:00" />
        <${Field} name="bookingOpensAt" label=${t.bookingOpensAt} hint=${t.bookingOpensHint} faults=${faults} type="datetime-local" max="9998-12-31T00:00" />
        <${Field} name="bookingClosesAt" label=${t.bookingClosesAt} hint=${t.bookingClosesHint} faults=${faults} type="datetime-local" max="9998-12-31T00:00" />
      </div>
      <p class="hint">${t.zone(Intl.DateTimeFormat().resolvedOptions().timeZone)}</p>
      <div class="fields">
        <${Field} name="price" label=${t.price} faults=${faults} inputmode="decimal" required maxlength="16" autocomplete="off" />
        ${number('holdSeconds', t.holdSeconds, 300, 86_400, t.holdSecondsHint)}
        ${number('maxReservationsPerUser', t.maxReservations, 1, 1000)}
      </div>
      <fieldset>
        <legend>${t.seating}</legend>
        <div class="row plans">
          ${plans.map(
            ([value, label]) => html`<label class="check" key=${value}><input type="radio" name="plan" value=${value}
              checked=${plan === value} onChange=${() => setPlan(value)} />${label}</label>`,
          )}
        </div>
        <div class="fields">
          ${plan === 'seats' && number('seating/seats', t.seats, 100, placesMax)}
          ${plan === 'rows' && number('seating/rows', t.rows, 20, placesMax)}
          ${plan === 'rows' && number('seating/seatsPerRow', t.seatsPerRow, 50, placesMax)}
          ${plan === 'capacity' && number('seating/capacity', t.capacity, 100, placesMax)}
          ${plan === 'capacity' && number('seating/maxPartySize', t.maxPartySize, 10, placesMax)}
        </div>
      </fieldset>
      <${Sentence} text=${sentence} />
      <div class="row">
        <${WorkButton} type="submit" kind="primary" isBusy=${isBusy}>${t.createPerformance}</${WorkButton}>
        <button type="button" onClick=${onCancel}>${t.cancel}</button>
      </div>
    </form>
  ` as VNode;
}
