/** How the room stands, for who has not logged in. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { count } from '../lib/format.ts';
import { Countdown } from './countdown.ts';
import { Warnings } from './notices.ts';
import type { Sale } from './sale.ts';
import { t } from './texts.ts';

export function Outside({ sale, seatsPath }: { readonly sale: Sale; readonly seatsPath: string }): VNode {
  const { performance, room, isReachable, trouble } = sale;
  if (room?.mode === 'off') {
    return html`
      <section class="card">
        <h2 tabindex="-1">${t.openTitle}</h2>
        <p>${t.roomOff}</p>
        <p><a class="button primary" href=${seatsPath}>${t.choose}</a></p>
      </section>
    ` as VNode;
  }
  return html`
    <section class="card">
      <h2 tabindex="-1">${t.outside}</h2>
      ${!isReachable && html`<p class="notice warn" role="status">${trouble}</p>`}
      <${Warnings} performance=${performance} ahead=${null} />
      <dl class="facts bare numbers">
        <div><dt>${t.waitingNow}</dt><dd>${room === null ? '…' : t.waitingCount(room.waiting)}</dd></div>
        <div><dt>${t.insideNow}</dt><dd>${room === null ? '…' : t.waitingCount(room.active)}</dd></div>
        <div><dt>${t.freeNow}</dt><dd>${performance === null ? '…' : count(performance.remaining)}</dd></div>
      </dl>
      ${room !== null && room.opensAt !== null && html`<${Countdown} opensAt=${room.opensAt} />`}
    </section>
  ` as VNode;
}
