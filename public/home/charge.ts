/** Money onto the balance: fixed amounts, an own one; a lost answer never makes it two charges. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useId, useRef, useState } from 'preact/hooks';
import { announce } from '../lib/announce.ts';
import { money, parseMoney } from '../lib/format.ts';
import { client } from '../lib/session.ts';
import { keepText, keptText } from '../lib/texts.ts';
import { useAction } from './ask.ts';
import { Button } from './parts.ts';
import { isSettled, newPendingCharge, type PendingCharge, readPendingCharge } from './pending-charge.ts';
import { t } from './texts.ts';

const amounts = [2000, 5000, 10_000];
/** As the gateway takes it. */
const amountMax = 1_000_000_000;
/** Of the field for an own amount: where money is missing, a link leads to it. */
export const chargeFieldId = 'charge-amount';

interface Charging {
  /** The one under way, or without an answer. */
  readonly pending: PendingCharge | null;
  readonly isBusy: boolean;
  readonly fault: string;
  /** True once it was made. */
  charge(amount: number): Promise<boolean>;
  leave(): void;
}

function useCharging(userId: number, onCharged: (text: string) => void): Charging {
  const name = `fastpass.charge.${userId}`;
  const [pending, setPending] = useState(() => readPendingCharge(keptText(name), Date.now()));
  const { isBusy, fault, run, forget } = useAction();
  const keep = (now: PendingCharge | null): void => {
    keepText(name, now === null ? null : JSON.stringify(now));
    setPending(now);
  };
  return {
    pending,
    isBusy,
    fault,
    async charge(amount) {
      const asking = pending ?? newPendingCharge(amount, Date.now());
      const asked = await run(async () => {
        // Inside: the second of two quick clicks does not come so far, and must not put its key in place of the first's.
        keep(asking);
        const result = await client.charge(asking.amount, { idempotencyKey: asking.key });
        if (isSettled(result.status)) keep(null);
        return result;
      });
      if (asked?.ok !== true) return false;
      const text = t.charged(asking.amount, asked.value.balance);
      announce(text);
      onCharged(text);
      return true;
    },
    leave() {
      keep(null);
      forget();
    },
  };
}

interface ChargeProps {
  readonly userId: number;
  /** The balance is another one, or may be. */
  readonly onChanged: () => void;
}

export function Charge({ userId, onChanged }: ChargeProps): VNode {
  const [done, setDone] = useState('');
  const place = useRef<HTMLFieldSetElement>(null);
  const charging = useCharging(userId, (text) => {
    setDone(text);
    onChanged();
  });
  const { pending, isBusy, fault } = charging;
  const charge = async (amount: number): Promise<boolean> => {
    setDone('');
    const isDone = await charging.charge(amount);
    // The button that asked again is gone.
    if (document.activeElement === document.body) place.current?.focus();
    return isDone;
  };
  const leave = (): void => {
    charging.leave();
    onChanged();
    place.current?.focus();
  };
  const isUnsure = pending !== null && !isBusy;
  return html`
    <fieldset class="charge" ref=${place} tabindex="-1">
      <legend>${t.chargeLegend}</legend>
      ${
        isUnsure
          ? html`
            <div class="notice warn" role="alert">
              <p>${t.chargeUnsure(pending.amount)}</p>
              <div class="row">
                <${Button} class="primary" onClick=${() => charge(pending.amount)}>${t.chargeAskAgain}</${Button}>
                <${Button} class="quiet" onClick=${leave}>${t.chargeLeave}</${Button}>
              </div>
            </div>
          `
          : html`
            <div class="amounts">
              ${amounts.map(
                (amount) => html`
                  <${Button} key=${amount} isBusy=${isBusy} onClick=${() => charge(amount)}>
                    <span class="hidden-visually">${t.chargeAmount(amount)}</span><span aria-hidden="true">${money(amount)}</span>
                  </${Button}>
                `,
              )}
            </div>
            <${OwnAmount} isBusy=${isBusy} onCharge=${charge} />
          `
      }
      ${pending !== null && isBusy && html`<p class="soft" role="status">${t.charging(pending.amount)}</p>`}
      ${fault !== '' && !isBusy && html`<p class=${pending === null ? 'notice bad' : 'soft'} role="alert">${fault}</p>`}
      ${done !== '' && !isUnsure && html`<p class="notice good">${done}</p>`}
    </fieldset>
  ` as VNode;
}

interface OwnAmountProps {
  readonly isBusy: boolean;
  readonly onCharge: (amount: number) => Promise<boolean>;
}

function OwnAmount({ isBusy, onCharge }: OwnAmountProps): VNode {
  const [text, setText] = useState('');
  const [fault, setFault] = useState('');
  const faultId = useId();
  const field = useRef<HTMLInputElement>(null);
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    if (isBusy) return;
    const amount = parseMoney(text);
    const sentence = amount === null ? t.notMoney : amount < 1 || amount > amountMax ? t.chargeBounds(amountMax) : '';
    setFault(sentence);
    if (amount === null || sentence !== '') return field.current?.focus();
    if (await onCharge(amount)) setText('');
  };
  return html`
    <form class="own" onSubmit=${submit} noValidate>
      <label for=${chargeFieldId}>${t.ownAmount}</label>
      <div class="row">
        <input id=${chargeFieldId} ref=${field} name="amount" inputmode="decimal" autocomplete="off" placeholder="0.00" value=${text}
          onInput=${(event: InputEvent) => setText((event.currentTarget as HTMLInputElement).value)}
          aria-invalid=${fault !== ''} aria-describedby=${fault === '' ? undefined : faultId} />
        <${Button} class="primary" isBusy=${isBusy}>${t.charge}</${Button}>
      </div>
      ${fault !== '' && html`<p class="fault-text" id=${faultId} role="alert">${fault}</p>`}
    </form>
  ` as VNode;
}
