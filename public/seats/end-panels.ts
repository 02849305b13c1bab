/** How it ends: paid, or the time was over. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { PlacesList } from './places-list.ts';
import { t } from './texts.ts';
import type { Yours } from './use-holding.ts';

export function OverPanel({ onAgain }: { onAgain: () => void }): VNode {
  return html`
    <section class="card" aria-labelledby="over-title">
      <h2 id="over-title" tabindex="-1">${t.overTitle}</h2>
      <p class="notice warn">${t.over}</p>
      <button type="button" class="primary" onClick=${onAgain}>${t.anew}</button>
    </section>
  ` as VNode;
}

export interface YoursPanelProps {
  readonly phase: Yours;
  readonly labelOf: (seat: number) => string;
  /** An account may have more than one reservation here. */
  readonly mayHaveMore: boolean;
  readonly onMore: () => void;
}

export function YoursPanel({
  phase: { reservation, isNew, balance },
  labelOf,
  mayHaveMore,
  onMore,
}: YoursPanelProps): VNode {
  return html`
    <section class="card yours" aria-labelledby="yours-title">
      <h2 id="yours-title" tabindex="-1">${isNew ? t.paidTitle : t.yoursTitle}</h2>
      <${PlacesList} places=${reservation} labelOf=${labelOf} />
      ${
        isNew
          ? html`<p class="notice good">${t.paid(reservation.amount)} ${balance !== null && t.paidBalance(balance)}</p>`
          : html`<p class="soft">${mayHaveMore ? t.paid(reservation.amount) : t.yours(reservation.amount)}</p>`
      }
      <div class="row">
        <a class="button primary" href="/">${t.toHome}</a>
        ${mayHaveMore && html`<button type="button" class="quiet" onClick=${onMore}>${t.yoursMore}</button>`}
      </div>
    </section>
  ` as VNode;
}
