/** Fields that show what is wrong with them, and the sending of a form. */
import { html } from 'htm/preact';
import type { ComponentChildren, RefObject, VNode } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { newKey, type Problem } from '../../src/client/index.ts';
import type { Asked } from './ask.ts';
import { faultText } from './fault-text.ts';
import { t } from './texts.ts';

/** By the name of the field, which is its path in the body: `seating/rows`. */
export type Faults = ReadonlyMap<string, string>;

const noFaults: Faults = new Map();

export interface FieldProps {
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  readonly faults: Faults;
  /** Of the input. */
  readonly [attribute: string]: unknown;
}

export function Field({ name, label, hint, faults, ...attributes }: FieldProps): VNode {
  const id = useId();
  const fault = faults.get(name);
  const described = [hint !== undefined && `${id}-hint`, fault !== undefined && `${id}-fault`]
    .filter(Boolean)
    .join(' ');
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <input id=${id} name=${name} ...${attributes} aria-invalid=${fault === undefined ? undefined : 'true'}
        aria-describedby=${described === '' ? undefined : described} />
      ${hint !== undefined && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
      ${fault !== undefined && html`<p class="fault" id=${`${id}-fault`}>${fault}</p>`}
    </div>
  ` as VNode;
}

export interface CheckProps {
  readonly name: string;
  readonly label: string;
  readonly hint?: string;
  readonly [attribute: string]: unknown;
}

export function Check({ name, label, hint, ...attributes }: CheckProps): VNode {
  const id = useId();
  return html`
    <div class="field">
      <label class="check"><input type="checkbox" name=${name} ...${attributes}
        aria-describedby=${hint === undefined ? undefined : id} />${label}</label>
      ${hint !== undefined && html`<p class="hint" id=${id}>${hint}</p>`}
    </div>
  ` as VNode;
}

export interface WorkButtonProps {
  readonly type: 'button' | 'submit';
  readonly kind?: string;
  readonly isBusy?: boolean;
  /** Not possible now. */
  readonly isOff?: boolean;
  readonly onClick?: () => unknown;
  readonly children: ComponentChildren;
}

/** A button that says when it is at work. It keeps the focus then, which one that is `disabled` would lose. */
export function WorkButton({
  type,
  kind = '',
  isBusy = false,
  isOff = false,
  onClick,
  children,
}: WorkButtonProps): VNode {
  const isStill = isBusy || isOff;
  const click = (event: Event): unknown => (isStill ? event.preventDefault() : onClick?.());
  return html`<button type=${type} class=${kind} aria-disabled=${isStill ? 'true' : undefined} onClick=${click}>
    ${isBusy ? t.busy : children}</button>` as VNode;
}

/** A sentence about the whole form. */
export function Sentence({ text }: { readonly text: string }): VNode | null {
  return text === '' ? null : (html`<p class="notice bad" role="alert">${text}</p>` as VNode);
}

/** What the gateway says of the fields that the form has. */
function faultsOf(problem: Problem | null, form: HTMLFormElement): Faults {
  const faults = new Map<string, string>();
  if (problem?.code !== 'validation_failed') return faults;
  for (const { path, message } of problem.errors ?? []) {
    const name = path.replace(/^\//, '');
    if (form.elements.namedItem(name) !== null && !faults.has(name)) faults.set(name, faultText(message));
  }
  return faults;
}

export interface Submission {
  readonly form: RefObject<HTMLFormElement | null>;
  readonly isBusy: boolean;
  readonly faults: Faults;
  /** What is wrong, but for the faults of fields; empty for nothing. */
  readonly sentence: string;
  readonly submit: (event: SubmitEvent) => Promise<void>;
}

/**
 * `send` gets what is in the form and a key for this content; it answers with faults that it has found itself, or null where
 * it sent nothing and has said why. The focus goes to the first field with a fault.
 */
export function useSubmit<Value>(
  send: (fields: FormData, idempotencyKey: string) => Promise<Asked<Value> | Faults | null>,
  onDone: (value: Value) => void,
): Submission {
  const form = useRef<HTMLFormElement>(null);
  // A repeat of what may have been done already must not do it twice; other contents are another wish.
  const tried = useRef({ content: '', key: '' });
  const [isBusy, setIsBusy] = useState(false);
  const [faults, setFaults] = useState(noFaults);
  const [sentence, setSentence] = useState('');
  useEffect(() => {
    if (faults.size > 0) form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [faults]);

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const element = event.currentTarget as HTMLFormElement;
    const fields = new FormData(element);
    const content = JSON.stringify([...fields]);
    if (tried.current.content !== content) tried.current = { content, key: newKey() };
    setIsBusy(true);
    setFaults(noFaults);
    setSentence('');
    const outcome = await send(fields, tried.current.key);
    setIsBusy(false);
    if (outcome === null) return;
    if (!('ok' in outcome)) return setFaults(outcome);
    if (outcome.ok) {
      tried.current = { content: '', key: '' };
      return onDone(outcome.value);
    }
    const found = faultsOf(outcome.problem, element);
    setFaults(found);
    if (found.size === 0) setSentence(outcome.sentence);
  }

  return { form, isBusy, faults, sentence, submit };
}
