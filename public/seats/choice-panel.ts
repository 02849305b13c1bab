/** What was chosen, what it costs, and the button that holds it; seats that somebody else was faster for, and others instead. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { money } from '../lib/format.ts';
import type { Found } from './find-seats.ts';
import type { SeatStore } from './seat-store.ts';
import { t } from './texts.ts';
import type { Reserve } from './use-reserve.ts';

/** Seats that are gone, and those that are offered for them. */
export interface Lost {
  readonly seats: readonly number[];
  readonly offer: Found;
  /** They were lost by asking for them: one click asks for the others. */
  readonly wasAsked: boolean;
}

export interface ChoicePanelProps {
  readonly store: SeatStore;
  readonly chosen: readonly number[];
  readonly lost: Lost | null;
  readonly reserve: Reserve;
  /** Somebody is logged in. */
  readonly canHold: boolean;
  readonly onDrop: (seat: number) => void;
  readonly onDropAll: () => void;
  readonly onTakeOffer: () => void;
  readonly onLeaveOffer: () => void;
}

export function ChoicePanel(props: ChoicePanelProps): VNode {
  const { store, chosen, lost, reserve, canHold, onDrop, onDropAll } = props;
  const sum = chosen.reduce((total, seat) => total + store.priceOf(seat), 0);
  const isFixed = reserve.isBusy || reserve.uncertain !== null;
  return html`
    <section class="card choice" aria-label=${t.choice}>
      <h2 id="choice-title" tabindex="-1">${t.choice}</h2>
      ${lost !== null && html`<${LostNotice} ...${props} lost=${lost} />`}
      ${chosen.length === 0 && lost === null && html`<p class="soft">${t.choiceNone}</p>`}
      ${
        chosen.length > 0 &&
        html`
          <ul class="places">
            ${chosen.map(
              (seat) => html`
                <li key=${seat}>
                  <button type="button" class="place" disabled=${isFixed} aria-label=${t.drop(store.labelOf(seat))}
                    onClick=${() => onDrop(seat)}>${store.labelOf(seat)} <span aria-hidden="true">×</span></button>
                </li>
              `,
            )}
          </ul>
          <p class="sum"><span class="soft">${t.sum}</span> <strong class="numbers">${money(sum)}</strong></p>
        `
      }
      ${reserve.fault !== '' && html`<p class="notice bad">${reserve.fault}</p>`}
      ${
        canHold &&
        chosen.length > 0 &&
        html`
          <div class="row">
            <button type="button" class="primary" disabled=${reserve.isBusy} onClick=${() => reserve.hold({ seats: chosen })}>
              ${reserve.isBusy ? t.holding : reserve.uncertain !== null ? t.holdAgain : t.hold(chosen.length)}
            </button>
            <button type="button" class="quiet" disabled=${isFixed} onClick=${onDropAll}>${t.dropAll}</button>
          </div>
        `
      }
    </section>
  ` as VNode;
}

function LostNotice(props: ChoicePanelProps & { readonly lost: Lost }): VNode {
  const { store, chosen, lost, reserve, canHold, onTakeOffer, onLeaveOffer } = props;
  const textOf = (seats: readonly number[]): string => seats.map((seat) => store.labelOf(seat)).join(', ');
  const { seats, isTogether } = lost.offer;
  const offered = textOf(seats);
  const holds = lost.wasAsked && canHold;
  return html`
    <div class="notice warn lost">
      <p><strong>${t.lostSeats(textOf(lost.seats))}</strong></p>
      <p>${seats.length === 0 ? t.offerNone : isTogether ? t.offer(offered) : t.offerApart(offered)}</p>
      <div class="row">
        ${
          seats.length > 0 &&
          html`
            <button type="button" class="primary" disabled=${reserve.isBusy || reserve.uncertain !== null} onClick=${onTakeOffer}>
              ${holds ? t.holdInstead(textOf([...chosen, ...seats])) : t.take(offered)}
            </button>
          `
        }
        <button type="button" class="quiet" onClick=${onLeaveOffer}>${t.noThanks}</button>
      </div>
    </div>
  ` as VNode;
}
