/** The waiting room's settings while it runs: what is in force, quick changes of the rate, and the form of all of them. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Queue } from '../../src/client/index.ts';
import { announce } from '../lib/announce.ts';
import { count, dateTime } from '../lib/format.ts';
import { client } from '../lib/session.ts';
import { ask } from './ask.ts';
import { Sentence, WorkButton } from './form.ts';
import { OffDialog } from './off-dialog.ts';
import { differencesOf, draftOf, isTouched, type RoomDraft, type RoomSettings, settingsOf } from './room-draft.ts';
import { type PutOutcome, RoomForm } from './room-form.ts';
import { t } from './texts.ts';
import { rate } from './words.ts';

export interface RoomSectionProps {
  readonly performanceId: number;
  readonly queue: Queue;
  readonly onQueue: (queue: Queue) => void;
}

export function RoomSection({ performanceId, queue, onQueue }: RoomSectionProps): VNode {
  const inForce = settingsOf(queue);
  const [base, setBase] = useState(inForce);
  const [draft, setDraft] = useState(() => draftOf(inForce));
  // A wish of somebody's met other settings than they saw: they are asked, although nothing is typed.
  const [isAsked, setIsAsked] = useState(false);
  const [isOffAsked, setIsOffAsked] = useState(false);
  const title = useRef<HTMLHeadingElement>(null);
  const differences = differencesOf(base, inForce);
  const isConflict = differences.length > 0 && (isAsked || isTouched(draft, base));

  const begin = (settings: RoomSettings): void => {
    setBase(settings);
    setDraft(draftOf(settings));
    setIsAsked(false);
  };
  useEffect(() => {
    if (differences.length > 0 && !isConflict) begin(inForce);
  });

  /** Puts settings in force, unless those there are now are not `seen` any more. */
  async function put(settings: RoomSettings, seen: RoomSettings): Promise<PutOutcome> {
    const asked = await ask(client.queue(performanceId));
    if (!asked.ok) return asked;
    if (differencesOf(seen, settingsOf(asked.value)).length > 0) {
      setIsAsked(true);
      onQueue(asked.value);
      return 'changed';
    }
    const done = await ask(client.setQueue(performanceId, settings));
    if (done.ok) onQueue(done.value);
    return done;
  }

  /** A change of some settings alone: what is typed meanwhile stays. */
  async function change(part: Partial<RoomSettings>): Promise<PutOutcome> {
    const done = await put({ ...inForce, ...part }, inForce);
    if (done === 'changed' || !done.ok) return done;
    const now = settingsOf(done.value);
    setDraft((latest) => rebased(latest, draftOf(base), now));
    setBase(now);
    return done;
  }

  /** The form is in force as it was sent: what was typed since stays. */
  const onDone = (done: Queue, sent: RoomDraft): void => {
    const now = settingsOf(done);
    setDraft((latest) => rebased(latest, sent, now));
    setBase(now);
    setIsAsked(false);
  };

  /** The buttons for it go: the focus goes to the heading above them. */
  const decide = (whose: 'theirs' | 'mine'): void => {
    if (whose === 'theirs') begin(inForce);
    setBase(inForce);
    setIsAsked(false);
    title.current?.focus();
  };

  return html`
    <section class="card" aria-labelledby="room-title">
      <h3 id="room-title" ref=${title} tabindex="-1">${t.room} <${ModeBadge} queue=${queue} /></h3>
      <p>${
        queue.mode === 'off' ? t.nobodyWaits : t.inForce(rate(queue.admitPerSecond), count(queue.maxActive))
      }${queue.mode === 'on' && queue.opensAt !== null && html` <span class="soft">${t.opensLater(dateTime(queue.opensAt))}</span>`}</p>
      ${queue.mode === 'on' && html`<${QuickRates} rateNow=${queue.admitPerSecond} onChange=${change} />`}
      ${isConflict && html`<${Conflict} before=${base} after=${inForce} names=${differences} onDecide=${decide} />`}
      <${RoomForm} mode=${queue.mode} base=${base} draft=${draft} isConflict=${isConflict} onDraft=${setDraft} put=${put}
        onDone=${onDone} onUndo=${() => decide('theirs')} onOff=${() => setIsOffAsked(true)} />
      ${
        isOffAsked &&
        html`<${OffDialog} waiting=${queue.waiting} turnOff=${() => change({ mode: 'off' })} onClose=${(
          isOff: boolean,
        ) => {
          setIsOffAsked(false);
          if (isOff) title.current?.focus();
        }} />`
      }
    </section>
  ` as VNode;
}

/** What is typed, on new ground: fields that are as before become the new ones. */
function rebased(draft: RoomDraft, before: RoomDraft, now: RoomSettings): RoomDraft {
  const touched = Object.entries(draft).filter(([name, value]) => before[name as keyof RoomDraft] !== value);
  return { ...draftOf(now), ...Object.fromEntries(touched) };
}

function ModeBadge({ queue }: { readonly queue: Queue }): VNode {
  if (queue.mode === 'off') return html`<span class="badge">${t.roomOff}</span>` as VNode;
  return (
    queue.admitPerSecond === 0
      ? html`<span class="badge warn">${t.roomPaused}</span>`
      : html`<span class="badge good">${t.roomOn}</span>`
  ) as VNode;
}

interface QuickRatesProps {
  readonly rateNow: number;
  readonly onChange: (part: Partial<RoomSettings>) => Promise<PutOutcome>;
}

/** In force at once: the sale does not wait for a form. */
function QuickRates({ rateNow, onChange }: QuickRatesProps): VNode {
  const [isBusy, setIsBusy] = useState(false);
  const [sentence, setSentence] = useState('');
  const [rateBefore, setRateBefore] = useState<number | null>(null);
  async function set(admitPerSecond: number): Promise<void> {
    setIsBusy(true);
    setSentence('');
    const done = await onChange({ admitPerSecond });
    setIsBusy(false);
    if (done === 'changed') return setSentence(t.changedQuick);
    if (!done.ok) return setSentence(done.sentence);
    if (admitPerSecond === 0) setRateBefore(rateNow);
    announce(t.rateNow(rate(done.value.admitPerSecond)));
  }
  const isPaused = rateNow === 0;
  const button = (label: string, to: number, isOff: boolean): unknown => html`
    <${WorkButton} type="button" isOff=${isBusy || isOff} onClick=${() => set(to)}>${label}</${WorkButton}>
  `;
  return html`
    <div class="row quick" role="group" aria-label=${t.quick}>
      <span class="soft" aria-hidden="true">${t.quick}</span>
      ${
        isPaused && rateBefore !== null
          ? button(t.resume(rate(rateBefore)), rateBefore, false)
          : button(t.pause, 0, isPaused)
      }
      ${button(t.halve, rateNow / 2, isPaused)}
      ${button(t.double, Math.min(rateNow * 2, 100_000), isPaused)}
    </div>
    <${Sentence} text=${sentence} />
  ` as VNode;
}

interface ConflictProps {
  readonly before: RoomSettings;
  readonly after: RoomSettings;
  readonly names: readonly (keyof RoomSettings)[];
  readonly onDecide: (whose: 'theirs' | 'mine') => void;
}

function Conflict({ before, after, names, onDecide }: ConflictProps): VNode {
  return html`
    <div class="notice warn" role="alert">
      <p>${t.changedElsewhere}</p>
      <ul>
        ${names.map(
          (name) => html`<li key=${name}>${t.changedLine(t[name], said(before[name]), said(after[name]))}</li>`,
        )}
      </ul>
      <div class="row">
        <button type="button" onClick=${() => onDecide('theirs')}>${t.takeTheirs}</button>
        <button type="button" onClick=${() => onDecide('mine')}>${t.keepMine}</button>
      </div>
    </div>
  ` as VNode;
}

function said(value: RoomSettings[keyof RoomSettings]): string {
  switch (value) {
    case null:
      return t.none;
    case 'on':
      return t.roomOn;
    case 'off':
      return t.roomOff;
    case true:
      return t.yes;
    case false:
      return t.no;
    default:
      return typeof value === 'number' ? rate(value) : dateTime(value);
  }
}
