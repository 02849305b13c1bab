/** The whole page: which performance, and whichever of its views fits how one stands. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { announce } from '../lib/announce.ts';
import { AuthForm } from '../lib/auth-form.ts';
import { count, dateTime } from '../lib/format.ts';
import { useLogin } from '../lib/session.ts';
import { Shell } from '../lib/shell.ts';
import { GoOn } from './go-on.ts';
import { Outside } from './outside.ts';
import { Over } from './over.ts';
import { type Sale, useSale } from './sale.ts';
import { t } from './texts.ts';
import { Turn } from './turn.ts';
import { useOnline, useVisit, type Visiting } from './use-visit.ts';
import { type Link, Waiting } from './waiting.ts';

export function WaitingRoomPage({ performanceId }: { readonly performanceId: number }): VNode {
  const login = useLogin();
  const visiting = useVisit(performanceId, login?.accessToken ?? null);
  const isOnline = useOnline();
  const { stand, way } = visiting;
  const isInside = login !== null;
  const isWaiting = stand.status === 'waiting' || stand.status === 'joining';
  const sale = useSale(performanceId, {
    wantsRoom: !isInside,
    isProbing: isInside && isWaiting && way !== 'socket',
  });
  const link = linkOf(visiting, sale, isOnline);
  const seatsPath = `/performances/${performanceId}`;
  const isPassingThrough = isInside && stand.status === 'open' && !stand.hasWaited;
  useEffect(() => {
    // Without a trace: the way back leads past this page.
    if (isPassingThrough) location.replace(seatsPath);
  }, [isPassingThrough, seatsPath]);
  const content = useRef<HTMLDivElement>(null);
  const view = isInside ? viewOf(visiting) : 'outside';
  useMoveFocus(content, view);

  if (sale.isUnknown) return html`<${Unknown} />` as VNode;
  return html`
    <${Shell} title=${titleOf(visiting, isInside)}>
      <${Heading} performanceId=${performanceId} sale=${sale} />
      <div ref=${content}>${isInside ? inside() : outside()}</div>
    </${Shell}>
  ` as VNode;

  function outside(): VNode {
    const isOff = sale.room?.mode === 'off';
    const isDraw = sale.room?.drawBeforeOpen === true && Date.parse(sale.room.opensAt ?? '') > Date.now();
    const reason = isDraw ? t.logInDrawReason : t.logInReason;
    return html`
      <${Outside} sale=${sale} seatsPath=${seatsPath} />
      ${!isOff && html`<${AuthForm} reason=${visiting.hasSessionEnded ? t.sessionEnded : reason} />`}
    ` as VNode;
  }

  function inside(): VNode {
    switch (stand.status) {
      case 'joining':
        return html`
          <section class="card">
            <p role="status">${t.joining}</p>
            ${stand.trouble !== '' && html`<p class="notice warn" role="alert">${stand.trouble}</p>`}
          </section>
        ` as VNode;
      case 'waiting':
        return html`
          <${Waiting} place=${stand.place} link=${link} sale=${sale} isNewPlace=${visiting.isNewPlace} leave=${visiting.leave} />
        ` as VNode;
      case 'admitted':
        return html`<${Turn} turn=${stand} seatsPath=${seatsPath} leave=${visiting.leave} />` as VNode;
      case 'open':
        return html`<${Opened} seatsPath=${seatsPath} isPassingThrough=${isPassingThrough} />` as VNode;
      default:
        return html`<${Over} stand=${stand} joinAgain=${visiting.joinAgain} />` as VNode;
    }
  }
}

function Heading({ performanceId, sale }: { readonly performanceId: number; readonly sale: Sale }): VNode {
  const { performance, name } = sale;
  return html`
    <header class="whereto">
      <p class="soft">${t.title}</p>
      <h1>${name === '' ? t.performance(performanceId) : name}</h1>
      ${performance !== null && html`<p class="soft"><time datetime=${performance.startsAt}>${dateTime(performance.startsAt)}</time></p>`}
    </header>
  ` as VNode;
}

/** Nobody needs a pass any more. */
function Opened({ seatsPath, isPassingThrough }: { readonly seatsPath: string; readonly isPassingThrough: boolean }) {
  useEffect(() => {
    if (!isPassingThrough) announce(`${t.openTitle}. ${t.openText}`, 'assertive');
  }, [isPassingThrough]);
  return html`
    <section class="card turn">
      <h2 tabindex="-1">${t.openTitle}</h2>
      <p>${t.openText}</p>
      <${GoOn} seatsPath=${seatsPath} />
    </section>
  `;
}

/** No performance of that number. */
export function Unknown(): VNode {
  return html`
    <${Shell} title=${t.title}>
      <h1>${t.title}</h1>
      <p class="notice warn" role="alert">${t.unknown}</p>
      <p><a class="button" href="/">${t.home}</a></p>
    </${Shell}>
  ` as VNode;
}

function linkOf({ way }: Visiting, { isReachable }: Sale, isOnline: boolean): Link {
  if (!isOnline) return 'lost';
  if (way === 'socket') return 'socket';
  return isReachable ? way : 'lost';
}

/** What stands in the tab, which may be all that is seen of this page. */
function titleOf({ stand }: Visiting, isInside: boolean): string {
  if (!isInside) return t.title;
  if (stand.status === 'admitted') return t.turnTab;
  if (stand.status === 'open' && stand.hasWaited) return t.turnTab;
  const position = stand.status === 'waiting' ? stand.place.position : null;
  return position === null ? t.title : `${count(position)} · ${t.title}`;
}

/** Views that stand in for one another; the first place and those after it are one. */
function viewOf({ stand }: Visiting): string {
  return stand.status === 'joining' ? 'waiting' : stand.status;
}

/** Where the view is another one, the focus goes to its heading, as soon as there is one: what had it may be gone. */
function useMoveFocus(content: { readonly current: HTMLElement | null }, view: string): void {
  const before = useRef(view);
  useEffect(() => {
    const heading = content.current?.querySelector<HTMLElement>('h2[tabindex]');
    if (before.current === view || heading === null || heading === undefined) return;
    before.current = view;
    heading.focus();
  });
}
