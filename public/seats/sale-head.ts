/** Above the places: what is performed, what it costs, how many are left, and whether booking is open. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import type { Performance } from '../../src/client/index.ts';
import { countdown, dateTime, money } from '../lib/format.ts';
import { useNow } from '../lib/use.ts';
import { t } from './texts.ts';
import type { Connection, Live } from './use-live.ts';

export interface SaleHeadProps {
  readonly performance: Performance;
  readonly name: string;
  readonly live: Live;
}

const connectionLooks: Readonly<Record<Connection, string>> = { live: 'good', polling: '', lost: 'bad' };

export function SaleHead({ performance, name, live }: SaleHeadProps): VNode {
  const { startsAt, price } = performance;
  return html`
    <header class="sale-head">
      <h1>${name}</h1>
      <p class="row">
        <time datetime=${startsAt}>${dateTime(startsAt)}</time>
        <span class="soft">${t.price(money(price))}</span>
        <strong class="numbers" data-remaining=${live.remaining}>
          ${live.remaining === 0 ? t.soldOut : t.remaining(live.remaining)}
        </strong>
        <span class=${`badge ${connectionLooks[live.connection]}`} data-connection=${live.connection}>${t[live.connection]}</span>
      </p>
      <${BookingTime} performance=${performance} />
    </header>
  ` as VNode;
}

const dayMs = 86_400_000;

/** For show: whether places can be held the gateway decides, whatever the clock of this machine says. */
function BookingTime({ performance: { bookingOpensAt, bookingClosesAt } }: { performance: Performance }): VNode | null {
  const now = useNow(1000);
  const opensInMs = bookingOpensAt === null ? 0 : Date.parse(bookingOpensAt) - now;
  if (opensInMs > 0) {
    const text = opensInMs > dayMs ? t.opensOn(dateTime(bookingOpensAt!)) : t.opens(countdown(opensInMs / 1000));
    return html`<p class="notice warn">${text}</p>` as VNode;
  }
  const isClosed = bookingClosesAt !== null && Date.parse(bookingClosesAt) <= now;
  return isClosed ? (html`<p class="notice warn">${t.closed}</p>` as VNode) : null;
}

export function SoldOut(): VNode {
  return html`
    <section class="card sold-out" aria-labelledby="sold-out-title">
      <h2 id="sold-out-title" tabindex="-1">${t.soldOut}</h2>
      <p>${t.soldOutMore}</p>
    </section>
  ` as VNode;
}
