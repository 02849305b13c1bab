/** Puts on the balance what is missing, beside the hold that waits for it. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { announce } from '../lib/announce.ts';
import { money, parseMoney } from '../lib/format.ts';
import { sentenceOf, sentenceOfFailure } from '../lib/problems.ts';
import { client, forgetLogin } from '../lib/session.ts';
import { KeptKey } from './kept-key.ts';
import { t } from './texts.ts';

export interface ChargeFormProps {
  /** What is proposed. */
  readonly amount: number;
  readonly onCharged: (balance: number) => void;
}

export function ChargeForm({ amount, onCharged }: ChargeFormProps): VNode {
  const key = useRef(new KeptKey());
  const [isBusy, setIsBusy] = useState(false);
  const [fault, setFault] = useState('');

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const asked = parseMoney(String(new FormData(event.currentTarget as HTMLFormElement).get('amount')));
    if (asked === null || asked < 1) return setFault(t.chargeWrong);
    setIsBusy(true);
    setFault('');
    try {
      const result = await client.charge(asked, { idempotencyKey: key.current.for(asked) });
      if (!result.ok && result.status >= 500) return setFault(sentenceOf(result.problem));
      key.current.answered();
      if (result.ok) {
        announce(t.charged(money(result.value.balance)));
        return onCharged(result.value.balance);
      }
      if (result.problem.code === 'unauthorized') return forgetLogin();
      setFault(sentenceOf(result.problem));
    } catch (thrown) {
      setFault(sentenceOfFailure(thrown));
    } finally {
      setIsBusy(false);
    }
  }

  return html`
    <form class="find-row" onSubmit=${submit} aria-label=${t.charge}>
      <label>${t.chargeAmount}
        <input name="amount" inputmode="decimal" autocomplete="off" required value=${(amount / 100).toFixed(2)} />
      </label>
      <button type="submit" class="primary" disabled=${isBusy}>${isBusy ? t.charging : t.charge}</button>
      ${fault !== '' && html`<p class="notice bad" role="alert">${fault}</p>`}
    </form>
  ` as VNode;
}
