/** The form of a new event. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import type { EventRequest, Event as SaleEvent } from '../../src/client/index.ts';
import { client } from '../lib/session.ts';
import { ask } from './ask.ts';
import { Check, Field, Sentence, useSubmit, WorkButton } from './form.ts';
import { t } from './texts.ts';

export interface EventFormProps {
  readonly onDone: (event: SaleEvent) => void;
  readonly onCancel: () => void;
}

export function EventForm({ onDone, onCancel }: EventFormProps): VNode {
  const { form, isBusy, faults, sentence, submit } = useSubmit<SaleEvent>((fields, idempotencyKey) => {
    const description = String(fields.get('description')).trim();
    const request: EventRequest = {
      name: String(fields.get('name')).trim(),
      ...(description === '' ? {} : { description }),
      isDemo: fields.has('isDemo'),
    };
    return ask(client.createEvent(request, { idempotencyKey }));
  }, onDone);
  return html`
    <form ref=${form} class="narrow" aria-labelledby="pane-title" onSubmit=${submit}>
      <${Field} name="name" label=${t.eventName} faults=${faults} required maxlength="200" pattern=".*\\S.*" autocomplete="off" />
      <${Field} name="description" label=${t.eventDescription} faults=${faults} maxlength="2000" autocomplete="off" />
      <${Check} name="isDemo" label=${t.isDemo} hint=${t.isDemoHint} />
      <${Sentence} text=${sentence} />
      <div class="row">
        <${WorkButton} type="submit" kind="primary" isBusy=${isBusy}>${t.createEvent}</${WorkButton}>
        <button type="button" onClick=${onCancel}>${t.cancel}</button>
      </div>
    </form>
  ` as VNode;
}
