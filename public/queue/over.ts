/** What happened to a place or a turn that is over, and the way to another one. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect } from 'preact/hooks';
import { announce } from '../lib/announce.ts';
import { sentenceOf } from '../lib/problems.ts';
import { t } from './texts.ts';
import type { Stand } from './visit.ts';

type Ended = Extract<Stand, { status: 'left' | 'expired' | 'refused' }>;

export interface OverProps {
  readonly stand: Ended;
  readonly joinAgain: () => void;
}

export function Over({ stand, joinAgain }: OverProps): VNode {
  const [title, text] = wordsOf(stand);
  useEffect(() => announce(`${title}. ${text}`, 'assertive'), [title, text]);
  const isRefused = stand.status === 'refused';
  return html`
    <section class="card">
      <h2 tabindex="-1">${title}</h2>
      <p>${text}</p>
      <div class="row">
        <button type="button" class="primary" onClick=${joinAgain}>${isRefused ? t.tryAgain : t.joinAgain}</button>
        ${!isRefused && html`<span class="soft">${t.joinAgainHint}</span>`}
      </div>
      <p class="home"><a href="/">${t.home}</a></p>
    </section>
  ` as VNode;
}

function wordsOf(stand: Ended): readonly [title: string, text: string] {
  switch (stand.status) {
    case 'refused':
      return [t.refusedTitle, sentenceOf(stand.problem)];
    case 'expired':
      return [t.expiredTitle, t.expiredText];
    case 'left':
      return stand.isOwnDoing ? [t.leftTitle, t.leftText] : [t.awayTitle, t.awayText];
  }
}
