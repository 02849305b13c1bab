/** The home page: what is on sale, and beside it the account. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useState } from 'preact/hooks';
import { client, useLogin } from '../lib/session.ts';
import { Shell, show } from '../lib/shell.ts';
import { Account } from './account.ts';
import { useKept } from './ask.ts';
import { Events } from './events.ts';
import { t } from './texts.ts';

const eventsEveryMs = 60_000;

function Home(): VNode {
  const login = useLogin();
  const [round, setRound] = useState(0);
  const [holds, setHolds] = useState(0);
  const events = useKept((signal) => client.events({ signal }), { everyMs: eventsEveryMs, of: [round] });
  return html`
    <${Shell} title=${t.title} isWide>
      <div class="home-top">
        <h1>${t.title}</h1>
        ${login !== null && html`<a class=${`to-account ${holds > 0 ? 'button' : ''}`} href="#account">${holds > 0 ? t.toHolds(holds) : t.toAccount}</a>`}
      </div>
      <div class="home">
        <div class="on-sale"><${Events} events=${events} round=${round} onAgain=${() => setRound(round + 1)} /></div>
        <${Account} events=${events.value?.items ?? []} onHolds=${setHolds} />
      </div>
    </${Shell}>
  ` as VNode;
}

show(html`<${Home} />` as VNode);
