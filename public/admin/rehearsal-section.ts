/** A rehearsal rush against a demo performance: its form, its progress, and what came of it. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useId, useRef, useState } from 'preact/hooks';
import type { Rehearsal } from '../../src/client/index.ts';
import { announce } from '../lib/announce.ts';
import { count, timeOfDay } from '../lib/format.ts';
import { client } from '../lib/session.ts';
import { ask, usePoll } from './ask.ts';
import { Field, Sentence, useSubmit, WorkButton } from './form.ts';
import { t } from './texts.ts';
import { milliseconds } from './words.ts';

const everyMs = 1000;

function refusedOf({ refused }: Rehearsal): number {
  return Object.values(refused).reduce((sum, one) => sum + one, 0);
}

export function RehearsalSection({ performanceId }: { readonly performanceId: number }): VNode {
  const [rehearsal, setRehearsal] = useState<Rehearsal | null>(null);
  const [lost, setLost] = useState('');
  const starts = useRef(0);
  const isRunning = rehearsal?.state === 'running';
  // Asked until one answer says that nothing runs: somebody else may have started one before.
  usePoll(rehearsal === null || isRunning ? everyMs : null, async (signal) => {
    const startsBefore = starts.current;
    const asked = await ask(client.rehearsal(performanceId, { signal }));
    // What was asked before a start, and answered after it, may be older.
    if (signal.aborted || starts.current !== startsBefore) return;
    setLost(asked.ok ? '' : asked.sentence);
    if (!asked.ok) return;
    const now = asked.value;
    if (isRunning && now.state === 'done') announce(t.doneNow(count(now.held), count(refusedOf(now))));
    setRehearsal(now);
  });
  const { form, isBusy, faults, sentence, submit } = useSubmit<Rehearsal>(
    async (fields) => {
      const request = { people: Number(fields.get('people')), places: Number(fields.get('places')) };
      const asked = await ask(client.startRehearsal(performanceId, request));
      if (asked.ok) announce(asked.status === 200 ? t.underWay : t.startedNow);
      return asked;
    },
    (started) => {
      starts.current++;
      setRehearsal(started);
    },
  );
  return html`
    <section class="card" aria-labelledby="rehearsal-title">
      <h3 id="rehearsal-title">${t.rehearsal}</h3>
      <p class="hint">${t.rehearsalHint}</p>
      <form ref=${form} class="row rehearsal" aria-label=${t.rehearsal} onSubmit=${submit}>
        <${Field} name="people" label=${t.people} faults=${faults} type="number" inputmode="numeric" required min="10" max="1000" defaultValue="200" />
        <${Field} name="places" label=${t.placesEach} faults=${faults} type="number" inputmode="numeric" required min="1" max="10" defaultValue="2" />
        <${WorkButton} type="submit" kind="primary" isBusy=${isBusy} isOff=${isRunning}>${isRunning ? t.running : t.start}</${WorkButton}>
      </form>
      <${Sentence} text=${sentence} />
      <${Sentence} text=${lost} />
      ${rehearsal !== null && rehearsal.state !== 'none' && html`<${Progress} rehearsal=${rehearsal} />`}
    </section>
  ` as VNode;
}

function Progress({ rehearsal }: { readonly rehearsal: Rehearsal }): VNode {
  const { state, people, waiting, held, refused, failed, p50Ms, p95Ms, p99Ms, endedAt } = rehearsal;
  const served = held + refusedOf(rehearsal) + failed;
  const id = useId();
  const time = (name: string, value: number | null): string =>
    `${name} ${value === null ? t.unknown : milliseconds(value)}`;
  return html`
    <label for=${id}>${t.progress} <span class="numbers soft">${count(served)} / ${count(people)}</span></label>
    <progress id=${id} max=${people} value=${served}></progress>
    ${state === 'done' && endedAt !== null && html`<p>${t.doneAt(timeOfDay(endedAt))}</p>`}
    <dl class="numbers">
      <dt>${t.stillWaiting}</dt><dd>${count(waiting)}</dd>
      <dt>${t.heldPlaces}</dt><dd>${count(held)}</dd>
      <dt>${t.refused}</dt>
      <dd>${count(refusedOf(rehearsal))}${Object.entries(refused).map(
        ([code, number]) => html` <span class="soft" key=${code}><code>${code}</code> ${count(number)}</span>`,
      )}</dd>
      <dt>${t.failed}</dt><dd>${count(failed)}</dd>
      <dt>${t.times}</dt><dd>${time('p50', p50Ms)} · ${time('p95', p95Ms)} · ${time('p99', p99Ms)}</dd>
    </dl>
  ` as VNode;
}
