/** Asks for places, and for the same ones again where no answer came: nothing is held twice. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Places, Problem } from '../../src/client/index.ts';
import { announce } from '../lib/announce.ts';
import { sentenceOf, sentenceOfFailure } from '../lib/problems.ts';
import { client, forgetLogin, useLogin } from '../lib/session.ts';
import { KeptKey } from './kept-key.ts';
import { t } from './texts.ts';
import type { Holding } from './use-holding.ts';
import { goToQueue } from './use-room.ts';

export interface Reserve {
  readonly isBusy: boolean;
  /** Asked for, with no answer: it may be held or not, and is asked for again before anything else. */
  readonly uncertain: Places | null;
  /** A sentence, or empty. */
  readonly fault: string;
  readonly hold: (places: Places) => Promise<void>;
}

export interface ReserveOptions {
  readonly performanceId: number;
  readonly pass: string | undefined;
  readonly holding: Holding;
  /** Somebody else has some of the seats. */
  readonly onTaken: (seats: readonly number[]) => void;
}

export function useReserve({ performanceId, pass, holding, onTaken }: ReserveOptions): Reserve {
  const key = useRef(new KeptKey());
  const [isBusy, setIsBusy] = useState(false);
  const [uncertain, setUncertain] = useState<Places | null>(null);
  const [fault, setFault] = useState('');

  const userId = useLogin()?.userId;
  const asker = useRef(userId);
  useEffect(() => {
    // What somebody else has asked for here is nothing to ask for again.
    if (userId === undefined || userId === asker.current) return;
    setUncertain(null);
    setFault('');
  }, [userId]);

  const say = (sentence: string): void => {
    setFault(sentence);
    announce(sentence, 'assertive');
  };

  async function refuse(problem: Problem): Promise<void> {
    switch (problem.code) {
      case 'unauthorized':
        return forgetLogin();
      case 'queue_pass_required':
      case 'queue_pass_invalid':
        return goToQueue(performanceId);
      case 'already_reserved':
        return holding.show(problem.reservationId);
      case 'seat_taken':
        return onTaken(problem.seats);
      default:
        return say(sentenceOf(problem));
    }
  }

  async function ask(places: Places): Promise<void> {
    const idempotencyKey = key.current.for(places);
    const result = await client.reserve({ performanceId, ...places }, { idempotencyKey, pass });
    if (!result.ok && result.status >= 500) {
      // It may have been done behind the answer.
      setUncertain(places);
      return say(`${sentenceOf(result.problem)} ${t.uncertain}`);
    }
    // Until here the key stays the same: what follows may still be asked for again.
    if (!result.ok) await refuse(result.problem);
    else if (result.replayed) await holding.show(result.value.reservationId);
    else holding.begin(result.value);
    key.current.answered();
    setUncertain(null);
  }

  async function hold(places: Places): Promise<void> {
    asker.current = userId;
    const asked = uncertain ?? places;
    setIsBusy(true);
    setFault('');
    try {
      await ask(asked);
    } catch (thrown) {
      say(`${sentenceOfFailure(thrown)} ${t.uncertain}`);
      setUncertain(asked);
    } finally {
      setIsBusy(false);
    }
  }
  return { isBusy, uncertain, fault, hold };
}
