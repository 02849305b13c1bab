/** The question before a waiting room is turned off: whoever waits is let through, and nothing brings their order back. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { announce } from '../lib/announce.ts';
import { count } from '../lib/format.ts';
import { Sentence, WorkButton } from './form.ts';
import type { PutOutcome } from './room-form.ts';
import { t } from './texts.ts';

export interface OffDialogProps {
  /** As many as now, while it stands open. */
  readonly waiting: number;
  readonly turnOff: () => Promise<PutOutcome>;
  readonly onClose: (isOff: boolean) => void;
}

export function OffDialog({ waiting, turnOff, onClose }: OffDialogProps): VNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const [isBusy, setIsBusy] = useState(false);
  const [sentence, setSentence] = useState('');
  const isOff = useRef(false);
  useEffect(() => dialog.current?.showModal(), []);

  async function confirm(): Promise<void> {
    setIsBusy(true);
    setSentence('');
    const done = await turnOff();
    setIsBusy(false);
    if (done === 'changed') return setSentence(t.changedQuick);
    if (!done.ok) return setSentence(done.sentence);
    isOff.current = true;
    announce(t.turnedOff);
    dialog.current?.close();
  }

  // Closed before it goes: the browser gives the focus back to where it came from.
  return html`
    <dialog ref=${dialog} aria-labelledby="off-title" aria-describedby="off-text" onClose=${() => onClose(isOff.current)}>
      <h4 id="off-title">${t.offTitle}</h4>
      <p id="off-text">${waiting === 0 ? t.offTextEmpty : t.offText(count(waiting))}</p>
      <${Sentence} text=${sentence} />
      <div class="row">
        <button type="button" autofocus onClick=${() => dialog.current?.close()}>${t.cancel}</button>
        <${WorkButton} type="button" kind="danger" isBusy=${isBusy} onClick=${confirm}>${t.offYes}</${WorkButton}>
      </div>
    </dialog>
  ` as VNode;
}
