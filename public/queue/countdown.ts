/** How long until the room opens. It is the gateway that opens it: this is shown, and decides nothing. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { countdown, dateTime } from '../lib/format.ts';
import { useNow } from '../lib/use.ts';
import { t } from './texts.ts';

export interface CountdownProps {
  readonly opensAt: string;
  /** Waits for the gateway to say that it has opened; else nothing is shown any more. */
  readonly isAwaited?: boolean;
}

export function Countdown({ opensAt, isAwaited = false }: CountdownProps): VNode | null {
  const left = (Date.parse(opensAt) - useNow(500)) / 1000;
  if (left <= 0) return isAwaited ? (html`<p class="big">${t.opening}</p>` as VNode) : null;
  return html`
    <p class="opens">
      <span class="soft">${t.opensIn}</span>
      <span class="big">${countdown(left)}</span>
      <span class="soft">${t.opensAt(dateTime(opensAt))}</span>
    </p>
  ` as VNode;
}
