/** The turn: said in every way there is, with the time that is left and the way on. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import { announce } from '../lib/announce.ts';
import { countdown, roughly } from '../lib/format.ts';
import { useNow } from '../lib/use.ts';
import { chime, vibrate } from './chime.ts';
import { GoOn } from './go-on.ts';
import { Leave } from './leave.ts';
import { isSoundWanted } from './sound.ts';
import { t } from './texts.ts';

export interface TurnProps {
  readonly turn: { readonly passExpiresAt: string };
  readonly seatsPath: string;
  readonly leave: () => Promise<string | null>;
}

/** Who is in another tab may have missed the first one. */
const chimesMax = 4;
const chimeAgainMs = 15_000;

export function Turn({ turn, seatsPath, leave }: TurnProps): VNode {
  const left = (Date.parse(turn.passExpiresAt) - useNow(500)) / 1000;
  useCall(left);
  return html`
    <section class="card turn">
      <h2 tabindex="-1">${t.turn}</h2>
      <p>${t.turnText}</p>
      <p class="place">
        <span class="soft">${t.turnLeft}</span>
        <span class="big" role="timer">${countdown(left)}</span>
      </p>
      ${left <= 0 && html`<p class="soft" role="status">${t.turnChecking}</p>`}
      <${GoOn} seatsPath=${seatsPath} />
    </section>
    <div class="row after"><${Leave} kind="turn" leave=${leave} /></div>
  ` as VNode;
}

function useCall(left: number): void {
  // Once a turn, with the time there is then.
  useEffect(() => {
    announce(t.saidTurn(roughly(Math.max(0, left))), 'assertive');
    vibrate();
    if (!isSoundWanted()) return;
    chime();
    let chimes = 1;
    const timer = setInterval(() => {
      if (document.hidden && chimes++ < chimesMax) chime();
    }, chimeAgainMs);
    return () => clearInterval(timer);
  }, []);
}
