/** The page `/admin`: the control room for admins, the log-in or a word to everybody else. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { AuthForm } from '../lib/auth-form.ts';
import { useLogin } from '../lib/session.ts';
import { Shell, show } from '../lib/shell.ts';
import { ControlRoom } from './control-room.ts';
import { t } from './texts.ts';

function Page(): VNode {
  const login = useLogin();
  const isAdmin = login?.role === 'admin';
  return html`
    <${Shell} title=${t.title} isWide=${isAdmin}>
      ${isAdmin ? html`<${ControlRoom} key=${login.userId} />` : html`<h1>${t.title}</h1>`}
      ${login === null && html`<${AuthForm} reason=${t.logInReason} />`}
      ${login !== null && !isAdmin && html`<p class="notice warn">${t.noAdmin}</p>`}
    </${Shell}>
  ` as VNode;
}

show(html`<${Page} />` as VNode);
