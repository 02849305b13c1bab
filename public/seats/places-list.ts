/** The seats of a reservation by their labels, or how many places it has. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import type { Places } from '../../src/client/index.ts';
import { t } from './texts.ts';

export function PlacesList({ places, labelOf }: { places: Places; labelOf: (seat: number) => string }): VNode {
  if (places.seats === undefined)
    return html`<p class="places"><strong>${t.party_(places.partySize)}</strong></p>` as VNode;
  return html`
    <ul class="places" aria-label=${t.places}>
      ${places.seats.map((seat) => html`<li class="badge" key=${seat}>${labelOf(seat)}</li>`)}
    </ul>
  ` as VNode;
}
