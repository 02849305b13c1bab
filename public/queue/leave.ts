/** Gives a place or a turn back, after a question: there is no way to get it again. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { t } from './texts.ts';

export interface LeaveProps {
  readonly kind: 'place' | 'turn';
  /** Null when it is done; else why not. */
  readonly leave: () => Promise<string | null>;
}

const asked = {
  place: { button: t.leave, title: t.leaveTitle, text: t.leaveText, keep: t.stay },
  turn: { button: t.giveBack, title: t.giveBackTitle, text: t.giveBackText, keep: t.keepTurn },
};

export function Leave({ kind, leave }: LeaveProps): VNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isBusy, setIsBusy] = useState(false);
  const [fault, setFault] = useState('');
  const { button, title, text, keep } = asked[kind];

  function ask(): void {
    setFault('');
    dialog.current?.showModal();
  }

  async function giveUp(): Promise<void> {
    if (isBusy) return;
    setIsBusy(true);
    setFault('');
    const why = await leave();
    setIsBusy(false);
    // Done: the page shows another view, and this dialog is gone.
    if (why !== null) setFault(why);
  }

  return html`
    <button type="button" class="quiet" onClick=${ask}>${button}</button>
    <dialog ref=${dialog} class="card" aria-labelledby="leave-title">
      <h2 id="leave-title">${title}</h2>
      <p>${text}</p>
      ${fault !== '' && html`<p class="notice bad" role="alert">${fault}</p>`}
      <div class="row">
        <button type="button" class="primary" autofocus onClick=${() => dialog.current?.close()}>${keep}</button>
        <button type="button" aria-disabled=${isBusy} onClick=${giveUp}>${isBusy ? t.leaving : button}</button>
      </div>
    </dialog>
  ` as VNode;
}
