/** What who waits should know of the sale: nobody is to wait blindly. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import type { Performance } from '../../src/client/index.ts';
import { dateTime } from '../lib/format.ts';
import { t } from './texts.ts';

export interface WarningsProps {
  readonly performance: Performance | null;
  /** Null where it is not known. */
  readonly ahead: number | null;
}

/** The gateway decides whether it is too late; this machine's clock only says so. */
export function Warnings({ performance, ahead }: WarningsProps): VNode | null {
  if (performance === null) return null;
  const { bookingOpensAt, bookingClosesAt, remaining } = performance;
  if (bookingClosesAt !== null && Date.parse(bookingClosesAt) <= Date.now()) {
    return html`<p class="notice bad" role="status">${t.bookingClosed(dateTime(bookingClosesAt))}</p>` as VNode;
  }
  const opensLater = bookingOpensAt !== null && Date.parse(bookingOpensAt) > Date.now();
  return html`
    ${opensLater && html`<p class="notice" role="status">${t.bookingOpens(dateTime(bookingOpensAt))}</p>`}
    ${remaining === 0 && html`<p class="notice warn" role="status">${t.soldOut}</p>`}
    ${remaining > 0 && ahead !== null && ahead >= remaining && html`<p class="notice">${t.fewLeft(remaining)}</p>`}
  ` as VNode;
}
