/** All settings of a waiting room, typed in peace and put in force at once. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import type { Queue } from '../../src/client/index.ts';
import { announce } from '../lib/announce.ts';
import type { Asked } from './ask.ts';
import { Check, Field, Sentence, useSubmit, WorkButton } from './form.ts';
import { isTouched, type RoomDraft, type RoomSettings, requestOf } from './room-draft.ts';
import { t } from './texts.ts';

/** `changed`: nothing was put in force, because what is in force is not what was seen. */
export type PutOutcome = Asked<Queue> | 'changed';

export interface RoomFormProps {
  readonly mode: 'on' | 'off';
  /** What was in force when the draft was begun. */
  readonly base: RoomSettings;
  readonly draft: RoomDraft;
  /** Nothing is sent before somebody has decided. */
  readonly isConflict: boolean;
  readonly onDraft: (draft: RoomDraft) => void;
  readonly put: (settings: RoomSettings, seen: RoomSettings) => Promise<PutOutcome>;
  /** With the draft as it was sent. */
  readonly onDone: (queue: Queue, sent: RoomDraft) => void;
  readonly onUndo: () => void;
  readonly onOff: () => void;
}

export function RoomForm({ mode, base, draft, isConflict, onDraft, put, onDone, onUndo, onOff }: RoomFormProps): VNode {
  const { form, isBusy, faults, sentence, submit } = useSubmit<Queue>(
    async () => {
      const done = await put(requestOf('on', draft, base), base);
      return done === 'changed' ? null : done;
    },
    (done) => {
      announce(t.applied);
      onDone(done, draft);
    },
  );
  const number = (name: 'admitPerSecond' | 'maxActive' | 'passSeconds', hint: string, limits: object): unknown => html`
    <${Field} name=${name} label=${t[name]} hint=${hint} faults=${faults} type="number" required ...${limits}
      value=${draft[name]} onInput=${(event: InputEvent) => onDraft({ ...draft, [name]: (event.currentTarget as HTMLInputElement).value })} />
  `;
  const isSame = mode === 'on' && !isTouched(draft, base);
  return html`
    <form ref=${form} aria-label=${t.room} onSubmit=${submit}>
      <div class="fields">
        ${number('admitPerSecond', t.admitPerSecondHint, { min: 0, max: 100_000, step: 'any', inputmode: 'decimal' })}
        ${number('maxActive', t.maxActiveHint, { min: 1, max: 10_000_000, inputmode: 'numeric' })}
        ${number('passSeconds', t.passSecondsHint, { min: 1, max: 86_400, inputmode: 'numeric' })}
        <${Field} name="opensAt" label=${t.opensAt} hint=${t.opensAtHint} faults=${faults} type="datetime-local" value=${draft.opensAt}
          onInput=${(event: InputEvent) => onDraft({ ...draft, opensAt: (event.currentTarget as HTMLInputElement).value })} />
      </div>
      <${Check} name="drawBeforeOpen" label=${t.drawBeforeOpen} checked=${draft.drawBeforeOpen}
        onChange=${(event: Event) => onDraft({ ...draft, drawBeforeOpen: (event.currentTarget as HTMLInputElement).checked })} />
      <${Sentence} text=${sentence} />
      <div class="row">
        <${WorkButton} type="submit" kind="primary" isBusy=${isBusy} isOff=${isConflict || isSame}>
          ${mode === 'on' ? t.apply : t.turnOn}</${WorkButton}>
        ${isTouched(draft, base) && html`<button type="button" onClick=${onUndo}>${t.undo}</button>`}
        ${mode === 'on' && html`<button type="button" class="end" onClick=${onOff}>${t.turnOff}</button>`}
      </div>
    </form>
  ` as VNode;
}
