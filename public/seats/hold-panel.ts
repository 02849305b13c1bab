/** A hold: how long it lasts, what it costs, and the two ways out of it, paying and giving back. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { NetworkError, type Problem } from '../../src/client/index.ts';
import { announce } from '../lib/announce.ts';
import { countdown, money } from '../lib/format.ts';
import { sentenceOf, sentenceOfFailure } from '../lib/problems.ts';
import { client, forgetLogin } from '../lib/session.ts';
import { useNow } from '../lib/use.ts';
import { ChargeForm } from './charge-form.ts';
import { KeptKey } from './kept-key.ts';
import { PlacesList } from './places-list.ts';
import { t } from './texts.ts';
import type { HeldPlaces, Holding } from './use-holding.ts';

export interface HoldPanelProps {
  readonly held: HeldPlaces;
  readonly labelOf: (seat: number) => string;
  readonly holding: Holding;
  /** Of what was refunded; 0 for a hold. */
  readonly onGivenBack: (refunded: number) => void;
}

/** Told aloud at these seconds; more would be in the way of paying. */
const warnings = [60, 30, 10];
const askAgainMs = 1000;

export function HoldPanel({ held, labelOf, holding, onGivenBack }: HoldPanelProps): VNode {
  const { reservationId, amount } = held;
  const [balance, setBalance] = useState<number | null>(null);
  const [work, setWork] = useState<'' | 'paying' | 'givingBack'>('');
  const [fault, setFault] = useState('');
  const key = useRef(new KeptKey());
  const payButton = useRef<HTMLButtonElement>(null);
  const hasCharged = useRef(false);

  async function readBalance(signal?: AbortSignal): Promise<void> {
    try {
      const result = await client.balance({ signal });
      if (result.ok) setBalance(result.value.balance);
      else if (result.problem.code === 'unauthorized') forgetLogin();
    } catch (thrown) {
      // Paying says what is missing, too.
      if (!(thrown instanceof NetworkError) && signal?.aborted !== true) throw thrown;
    }
  }
  useEffect(() => {
    const over = new AbortController();
    void readBalance(over.signal);
    return () => over.abort();
  }, [reservationId]);

  const missing = balance === null ? 0 : Math.max(0, amount - balance);
  useEffect(() => {
    // The form that had the focus is gone.
    if (hasCharged.current && missing === 0) payButton.current?.focus();
  }, [missing]);
  const onCharged = (now: number): void => {
    hasCharged.current = true;
    setBalance(now);
  };

  async function refuse(problem: Problem): Promise<void> {
    if (problem.code === 'unauthorized') return forgetLogin();
    if (problem.code === 'reservation_expired') return holding.become({ name: 'over' });
    if (problem.code === 'reservation_not_payable') return holding.show(reservationId);
    if (problem.code === 'insufficient_balance') await readBalance();
    setFault(sentenceOf(problem));
    announce(sentenceOf(problem), 'assertive');
  }

  async function doing(name: 'paying' | 'givingBack', work: () => Promise<void>): Promise<void> {
    setWork(name);
    setFault('');
    try {
      await work();
    } catch (thrown) {
      setFault(sentenceOfFailure(thrown));
      announce(sentenceOfFailure(thrown), 'assertive');
    } finally {
      setWork('');
    }
  }

  const pay = (): Promise<void> =>
    doing('paying', async () => {
      const result = await client.pay(reservationId, { idempotencyKey: key.current.for(reservationId) });
      if (!result.ok && result.status >= 500) return setFault(sentenceOf(result.problem));
      key.current.answered();
      if (!result.ok) return refuse(result.problem);
      holding.become({ name: 'yours', reservation: held, isNew: true, balance: result.value.balance });
    });
  const giveBack = (): Promise<void> =>
    doing('givingBack', async () => {
      const result = await client.cancel(reservationId);
      if (!result.ok) return refuse(result.problem);
      onGivenBack(result.value.refunded);
    });

  const isBusy = work !== '';
  return html`
    <section class="card hold" aria-labelledby="hold-title">
      <h2 id="hold-title" tabindex="-1">${t.heldTitle}</h2>
      <${TimeLeft} held=${held} onEnd=${() => holding.show(reservationId)} />
      <${PlacesList} places=${held} labelOf=${labelOf} />
      <dl>
        <dt>${t.amount}</dt><dd class="numbers"><strong>${money(amount)}</strong></dd>
        ${balance !== null && html`<dt>${t.balance}</dt><dd class="numbers">${money(balance)}</dd>`}
        ${missing > 0 && html`<dt>${t.missing}</dt><dd class="numbers missing">${money(missing)}</dd>`}
      </dl>
      ${missing > 0 && html`<${ChargeForm} key=${missing} amount=${missing} onCharged=${onCharged} />`}
      ${fault !== '' && html`<p class="notice bad">${fault}</p>`}
      <div class="row">
        <button type="button" class="primary" ref=${payButton} disabled=${isBusy || missing > 0} onClick=${pay}>
          ${work === 'paying' ? t.paying : t.pay(money(amount))}
        </button>
        <button type="button" class="quiet" disabled=${isBusy} onClick=${giveBack}>
          ${work === 'givingBack' ? t.givingBack : t.giveBack}
        </button>
      </div>
    </section>
  ` as VNode;
}

/** Only shown: at its end the gateway is asked, until it says what became of the hold. */
function TimeLeft({ held, onEnd }: { held: HeldPlaces; onEnd: () => Promise<void> }): VNode {
  const seconds = Math.max(0, Math.ceil((held.endsAtMs - useNow(250)) / 1000));
  const isOver = seconds === 0;
  const last = useRef(seconds);
  useEffect(() => {
    const due = warnings.find((warning) => last.current > warning && seconds <= warning && seconds > 0);
    last.current = seconds;
    if (due !== undefined) announce(t.secondsLeft(seconds), seconds <= 10 ? 'assertive' : 'polite');
  }, [seconds]);
  const ask = useRef(onEnd);
  ask.current = onEnd;
  useEffect(() => {
    if (!isOver) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isDone = false;
    const askAgain = async (): Promise<void> => {
      try {
        await ask.current();
      } catch (thrown) {
        // No answer: asked again.
        if (!(thrown instanceof NetworkError)) throw thrown;
      }
      if (!isDone) timer = setTimeout(() => void askAgain(), askAgainMs);
    };
    void askAgain();
    return () => {
      isDone = true;
      clearTimeout(timer);
    };
  }, [isOver]);
  const urgency = seconds <= 10 ? ' bad' : seconds <= 30 ? ' warn' : '';
  return html`
    <p class=${`time-left${urgency}`}>
      <span class="soft" id="time-left">${isOver ? t.timeEnds : t.timeLeft}</span>
      <span class="big" role="timer" aria-labelledby="time-left">${countdown(seconds)}</span>
    </p>
  ` as VNode;
}
