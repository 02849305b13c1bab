/** The question before a paid reservation is cancelled, and what comes back of it. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import type { Reservation } from '../../src/client/index.ts';
import { client } from '../lib/session.ts';
import { useAction } from './ask.ts';
import { Button } from './parts.ts';
import { t } from './texts.ts';

interface CancelDialogProps {
  readonly reservation: Reservation;
  readonly what: string;
  readonly onCancelled: (refunded: number) => void;
  readonly onClose: () => void;
}

export function CancelDialog({ reservation, what, onCancelled, onClose }: CancelDialogProps): VNode {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const { isBusy, fault, run } = useAction();
  useEffect(() => dialog.current?.showModal(), []);
  const cancel = async (): Promise<void> => {
    const asked = await run(() => client.cancel(reservation.reservationId));
    if (asked?.ok !== true) return;
    // Closed first: while it is open, nothing behind it takes the focus.
    dialog.current?.close();
    onCancelled(asked.value.refunded);
  };
  // By the way of the dialog itself: it gives the focus back to the button that opened it.
  const close = (): void => dialog.current?.close();
  return html`
    <dialog ref=${dialog} class="card" aria-labelledby=${titleId} onClose=${onClose}>
      <h2 id=${titleId}>${t.cancelTitle}</h2>
      <p><strong>${what}</strong></p>
      <p>${t.cancelText(reservation.amount)}</p>
      ${fault !== '' && html`<p class="notice bad" role="alert">${fault}</p>`}
      <div class="row choices">
        <${Button} onClick=${close}>${t.cancelNo}</${Button}>
        <${Button} class="danger" isBusy=${isBusy} busy=${t.cancelling} onClick=${cancel}>${t.cancelYes}</${Button}>
      </div>
    </dialog>
  ` as VNode;
}
