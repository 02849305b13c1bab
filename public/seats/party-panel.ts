/** A performance without numbered seats: how many come, and the button that holds places for them. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { money } from '../lib/format.ts';
import { t } from './texts.ts';
import type { Reserve } from './use-reserve.ts';

export interface PartyPanelProps {
  /** What one party may have, and what is left. */
  readonly partyMax: number;
  readonly price: number;
  readonly reserve: Reserve;
  readonly canHold: boolean;
}

export function PartyPanel({ partyMax, price, reserve, canHold }: PartyPanelProps): VNode {
  const [asked, setAsked] = useState(1);
  const { isBusy, uncertain, fault } = reserve;
  // What no answer came for is asked for again as it was.
  const size = uncertain?.partySize ?? Math.min(Math.max(1, asked), Math.max(1, partyMax));
  const isFixed = isBusy || uncertain !== null;
  const submit = (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    return reserve.hold({ partySize: size });
  };
  const onInput = (event: Event): void => {
    const value = Math.floor((event.currentTarget as HTMLInputElement).valueAsNumber);
    // More than there are now must not come back once there are.
    if (value >= 1) setAsked(Math.min(value, Math.max(1, partyMax)));
  };
  return html`
    <form class="card party" onSubmit=${submit} aria-labelledby="party-title">
      <h2 id="party-title" tabindex="-1">${t.party}</h2>
      <div class="stepper">
        <button type="button" aria-label=${t.fewer} disabled=${isFixed || size <= 1} onClick=${() => setAsked(size - 1)}>−</button>
        <label><span class="hidden-visually">${t.partySize}</span>
          <input type="number" inputmode="numeric" min="1" max=${Math.max(1, partyMax)} required value=${size}
            disabled=${isFixed} aria-describedby="party-max" onInput=${onInput} />
        </label>
        <button type="button" aria-label=${t.more} disabled=${isFixed || size >= partyMax} onClick=${() => setAsked(size + 1)}>+</button>
        <span class="soft" id="party-max">${t.partyMax(partyMax)}</span>
      </div>
      <p class="sum"><span class="soft">${t.sum}</span> <strong class="numbers">${money(size * price)}</strong></p>
      ${fault !== '' && html`<p class="notice bad">${fault}</p>`}
      ${
        canHold &&
        html`
          <button type="submit" class="primary" disabled=${isBusy}>
            ${isBusy ? t.holding : uncertain !== null ? t.holdAgain : t.holdParty(size)}
          </button>
        `
      }
    </form>
  ` as VNode;
}
