/** The account: log-in, else the balance with its movements, and the own reservations. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Event } from '../../src/client/index.ts';
import { AuthForm } from '../lib/auth-form.ts';
import { dateTime, money, signedMoney } from '../lib/format.ts';
import { client, type Login, useLogin } from '../lib/session.ts';
import { useKept, useKeptPages } from './ask.ts';
import { Charge } from './charge.ts';
import { Button, Fault, goTo } from './parts.ts';
import { Reservations } from './reservations.ts';
import { t } from './texts.ts';

const balanceEveryMs = 60_000;
const movementsAPage = 5;
const hash = '#account';

interface AccountProps {
  readonly events: readonly Event[];
  /** How many reservations wait for their payment. */
  readonly onHolds: (holds: number) => void;
}

export function Account({ events, onHolds }: AccountProps): VNode {
  const login = useLogin();
  const place = useRef<HTMLElement>(null);
  const userId = login?.userId ?? null;
  useEffect(() => {
    const follow = (): void => {
      if (location.hash !== hash) return;
      // Else a second click on the link would change nothing, and nobody would hear of it.
      history.replaceState(null, '', location.pathname);
      goTo(place.current?.querySelector<HTMLElement>('input[type=email], h2[tabindex]') ?? null);
    };
    follow();
    addEventListener('hashchange', follow);
    return () => removeEventListener('hashchange', follow);
  }, []);
  useFocusAfterLogin(place, userId);
  return html`
    <section id="account" class="account" aria-label=${t.account} ref=${place}>
      ${login === null ? html`<${AuthForm} />` : html`<${Own} key=${userId} login=${login} events=${events} onHolds=${onHolds} />`}
    </section>
  ` as VNode;
}

/** The form that had the focus is gone; in a tab behind another nobody has to be led anywhere. */
function useFocusAfterLogin(place: { readonly current: HTMLElement | null }, userId: number | null): void {
  const before = useRef(userId);
  useLayoutEffect(() => {
    const hasLoggedIn = before.current === null && userId !== null;
    before.current = userId;
    if (hasLoggedIn && document.hasFocus()) place.current?.querySelector<HTMLElement>('h2[tabindex]')?.focus();
  }, [place, userId]);
}

interface OwnProps extends AccountProps {
  readonly login: Login;
}

function Own({ login, events, onHolds }: OwnProps): VNode {
  const [round, setRound] = useState(0);
  const onChanged = (): void => setRound((before) => before + 1);
  const { value, fault, answers } = useKept((signal) => client.balance({ signal }), {
    everyMs: balanceEveryMs,
    of: [round],
  });
  return html`
    <div class="card">
      <h2 tabindex="-1">${t.account}</h2>
      ${value === null && fault !== '' && html`<${Fault} sentence=${fault} answers=${answers} onAgain=${onChanged} />`}
      <p class="balance"><span class="soft">${t.balance}</span> <strong class="numbers">${value === null ? '…' : money(value.balance)}</strong></p>
      <${Charge} userId=${login.userId} onChanged=${onChanged} />
    </div>
    <${Reservations} events=${events} round=${round} onChanged=${onChanged} onHolds=${onHolds} />
    <${Movements} round=${round} />
  ` as VNode;
}

function Movements({ round }: { readonly round: number }): VNode {
  const { value, fault, more } = useKeptPages((request) => client.history({ ...request, limit: movementsAPage }), {
    of: [round],
  });
  return html`
    <div class="card">
      <h2>${t.history}</h2>
      ${value === null && html`<p class="soft">${fault === '' ? t.loading : '—'}</p>`}
      ${value?.items.length === 0 && html`<p class="soft">${t.noHistory}</p>`}
      <ul class="movements">
        ${value?.items.map(
          ({ id, type, amount, balance, at }) => html`
            <li key=${id}>
              <span>${t.type[type]}<br /><time class="soft" datetime=${at}>${dateTime(at)}</time></span>
              <span class="numbers">
                <strong class=${amount > 0 ? 'in' : ''}>${signedMoney(amount)}</strong><br />
                <span class="soft">${t.balance} ${money(balance)}</span>
              </span>
            </li>
          `,
        )}
      </ul>
      ${value !== null && value.next !== null && html`<${Button} class="quiet" onClick=${more}>${t.more}</${Button}>`}
    </div>
  ` as VNode;
}
