/** The place of who waits: large, with what lies ahead, how far it has come, and how it is followed. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { announce } from '../lib/announce.ts';
import { count, dateTime, roughly } from '../lib/format.ts';
import { Countdown } from './countdown.ts';
import { Leave } from './leave.ts';
import { Warnings } from './notices.ts';
import type { Sale } from './sale.ts';
import { Sayings } from './sayings.ts';
import { SoundChoice } from './sound.ts';
import { t } from './texts.ts';
import type { WaitingPlace, Way } from './visit.ts';

/** As `Way`, and that there is no answer at all. */
export type Link = Way | 'lost';

export interface WaitingProps {
  readonly place: WaitingPlace;
  readonly link: Link;
  readonly sale: Sale;
  readonly isNewPlace: boolean;
  readonly leave: () => Promise<string | null>;
}

export function Waiting({ place, link, sale, isNewPlace, leave }: WaitingProps): VNode {
  const { position, opensAt } = place;
  useSayings(place);
  useSayLink(link);
  return html`
    ${isNewPlace && html`<p class="notice" role="status">${t.newPlace}</p>`}
    ${link === 'lost' && html`<p class="notice bad lost">${t.lostNotice}</p>`}
    <${Warnings} performance=${sale.performance} ahead=${position === null ? null : position - 1} />
    <section class="card waiting ${link === 'lost' ? 'is-lost' : ''}">
      <p class="way ${link}"><span class="hidden-visually">${t.way}: </span><span data-fact="way">${t[link]}</span></p>
      ${position === null ? html`<${Draw} opensAt=${opensAt} />` : html`<${Place} place=${place} position=${position} />`}
      <dl class="facts numbers">
        ${position !== null && html`<div><dt>${t.ahead}</dt><dd data-fact="ahead">${t.aheadCount(position - 1)}</dd></div>`}
        ${position !== null && html`<div><dt>${t.eta}</dt><dd>${place.etaSeconds === null ? t.etaUnknown : roughly(place.etaSeconds)}</dd></div>`}
        ${place.number !== null && html`<div><dt>${t.number}</dt><dd data-fact="number">${count(place.number)}</dd></div>`}
        ${sale.performance !== null && html`<div><dt>${t.freeNow}</dt><dd>${count(sale.performance.remaining)}</dd></div>`}
      </dl>
      <p class="soft">${position === null ? t.drawKeep : t.keepOpen}</p>
    </section>
    <div class="row after">
      <${SoundChoice} />
      <${Leave} kind="place" leave=${leave} />
    </div>
  ` as VNode;
}

function Place({ place, position }: { readonly place: WaitingPlace; readonly position: number }): VNode {
  const { progress, opensAt } = place;
  const first = progress?.first ?? position;
  const passed = first - position;
  return html`
    <h2 class="hidden-visually" tabindex="-1">${t.yourPlace}</h2>
    <p class="place">
      <span class="soft">${t.yourPlace}</span>
      <span><span class="big" data-fact="place">${count(position)}</span><span class="unit">${t.placeUnit}</span></span>
    </p>
    <p class="way-passed">
      <progress max=${first} value=${passed} aria-label=${t.progress}></progress>
      <span class="soft numbers">${t.progressValue(passed, first)}</span>
    </p>
    ${opensAt !== undefined && html`<${Countdown} opensAt=${opensAt} />`}
  ` as VNode;
}

function Draw({ opensAt }: { readonly opensAt: string | undefined }): VNode {
  return html`
    <h2 tabindex="-1">${t.drawTitle}</h2>
    <p>${t.drawText}</p>
    ${opensAt !== undefined && html`<${Countdown} opensAt=${opensAt} isAwaited=${true} />`}
  ` as VNode;
}

function useSayings({ position, etaSeconds, opensAt }: WaitingPlace): void {
  const shown = useRef({ position, etaSeconds });
  shown.current = { position, etaSeconds };
  useEffect(() => {
    if (position === null && opensAt !== undefined) announce(t.saidDraw(dateTime(opensAt)));
  }, [position, opensAt]);
  useEffect(() => {
    const sayings = new Sayings();
    let say = t.saidJoined;
    const look = (): void => {
      const { position: now, etaSeconds: eta } = shown.current;
      if (now === null || !sayings.isDue(now, performance.now())) return;
      announce(say(now, eta));
      say = t.saidPlace;
    };
    look();
    const timer = setInterval(look, 1000);
    return () => clearInterval(timer);
  }, []);
}

/** Losses are said, and their ends. */
function useSayLink(link: Link): void {
  const wasLost = useRef(false);
  useEffect(() => {
    if (link === 'lost' && !wasLost.current) announce(t.lostNotice);
    if (wasLost.current && (link === 'socket' || link === 'polling')) announce(t.backNotice);
    if (link !== 'connecting') wasLost.current = link === 'lost';
  }, [link]);
}
