/** Seats without the map: the best ones together, or by their labels. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { announce } from '../lib/announce.ts';
import { bestAvailable } from './find-seats.ts';
import { LabelIndex } from './labels.ts';
import type { Layout } from './layout.ts';
import type { SeatStore } from './seat-store.ts';
import { t } from './texts.ts';

export interface FindFormProps {
  readonly layout: Layout;
  readonly store: SeatStore;
  readonly chosen: readonly number[];
  readonly seatsMax: number;
  /** The whole choice from now on. */
  readonly onChoose: (seats: readonly number[]) => void;
  readonly isDisabled: boolean;
}

export function FindForm({ layout, store, chosen, seatsMax, onChoose, isDisabled }: FindFormProps): VNode {
  const [together, setTogether] = useState(2);
  const [fault, setFault] = useState('');
  const labels = useMemo(() => new LabelIndex(store.size, (seat) => store.labelOf(seat)), [store]);
  const textOf = (seats: readonly number[]): string => seats.map((seat) => store.labelOf(seat)).join(', ');

  const say = (text: string, isFault: boolean): void => {
    // What was found is in the choice, for who sees it.
    setFault(isFault ? text : '');
    announce(text);
  };

  const find = (event: SubmitEvent): void => {
    event.preventDefault();
    const { seats, isTogether } = bestAvailable(layout, (seat) => store.isFree(seat), together);
    if (seats.length === 0) return say(t.soldOut, true);
    onChoose(seats);
    const fewer = seats.length < together ? `${t.foundFewer(seats.length)} ` : '';
    if (isTogether || seats.length === 1) say(fewer + t.found(textOf(seats)), fewer !== '');
    else say(fewer + t.foundApart(textOf(seats)), true);
  };

  const add = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const { seats, unknown } = labels.read(String(new FormData(form).get('labels')));
    const taken = seats.filter((seat) => !store.isFree(seat));
    const now = [...new Set([...chosen, ...seats.filter((seat) => store.isFree(seat))])];
    const faults = [
      unknown.length > 0 ? t.typedUnknown(unknown.join(', ')) : '',
      taken.length > 0 ? t.typedTaken(textOf(taken)) : '',
      now.length > seatsMax ? t.tooMany(seatsMax) : '',
    ].filter((fault) => fault !== '');
    if (now.length > seatsMax) return say(faults.join(' '), true);
    if (now.length > chosen.length) onChoose(now);
    if (faults.length === 0) form.reset();
    if (faults.length > 0) say(faults.join(' '), true);
    else if (now.length > 0) say(t.found(textOf(now)), false);
  };

  const numbers = Array.from({ length: seatsMax }, (_, index) => index + 1);
  return html`
    <section class="card find" aria-label=${t.find}>
      <h2>${t.find}</h2>
      <form class="find-row" onSubmit=${find}>
        <label>${t.findCount}
          <select value=${together} disabled=${isDisabled}
            onChange=${(event: Event) => setTogether(Number((event.currentTarget as HTMLSelectElement).value))}>
            ${numbers.map((n) => html`<option key=${n} value=${n}>${n}</option>`)}
          </select>
        </label>
        <button type="submit" disabled=${isDisabled}>${t.findButton}</button>
      </form>
      <form class="find-row" onSubmit=${add}>
        <label>${t.typed}
          <input name="labels" autocomplete="off" autocapitalize="characters" spellcheck=${false} required
            placeholder=${t.typedHint} disabled=${isDisabled} />
        </label>
        <button type="submit" disabled=${isDisabled}>${t.typedButton}</button>
      </form>
      ${fault !== '' && html`<p class="notice warn">${fault}</p>`}
    </section>
  ` as VNode;
}
