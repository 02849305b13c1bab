/**
 * What this person has of a performance, and how that goes on.
 *
 *   looking -> choosing | held | yours   what the gateway has of this account
 *   choosing -> held                     reserve
 *   held -> yours                        paid, here or in another window
 *   held -> over                         the gateway says that the time is over
 *   held -> choosing                     given back
 *   over, yours -> choosing              another try, or more places
 */
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { Held, Performance, Places, Reservation } from '../../src/client/index.ts';
import { sentenceOf, sentenceOfFailure } from '../lib/problems.ts';
import { client, forgetLogin, type Login } from '../lib/session.ts';

export type HeldPlaces = {
  readonly reservationId: string;
  readonly amount: number;
  /** By the clock of this machine; for show. */
  readonly endsAtMs: number;
} & Places;

export type Phase =
  | { readonly name: 'looking' }
  | { readonly name: 'failed'; readonly sentence: string }
  | { readonly name: 'choosing' }
  | { readonly name: 'held'; readonly held: HeldPlaces }
  | { readonly name: 'over' }
  | Yours;

export interface Yours {
  readonly name: 'yours';
  readonly reservation: Reservation | HeldPlaces;
  /** Paid just now, on this page. */
  readonly isNew: boolean;
  /** After the payment, where its answer has come. */
  readonly balance: number | null;
}

export interface Holding {
  readonly phase: Phase;
  /** Looks again what the gateway has. */
  readonly look: () => void;
  /** A hold was granted just now. */
  readonly begin: (held: Held) => void;
  /** Shows a reservation as the gateway has it; one that is shown stays while it cannot say. Rejects where there is no answer. */
  readonly show: (reservationId: string) => Promise<void>;
  readonly become: (phase: Phase) => void;
}

const listLimit = 100;
const yours = { name: 'yours', balance: null } as const;

function heldOf(reservation: Reservation): Phase {
  return { name: 'held', held: { ...reservation, endsAtMs: Date.parse(reservation.expiresAt) } };
}

/** What there is of this account: a hold first, else what leaves no room for another one. */
async function find({ performanceId, maxReservationsPerUser }: Performance, signal: AbortSignal): Promise<Phase> {
  for (const status of ['HELD', 'CONFIRMED'] as const) {
    const result = await client.reservations({ status, limit: listLimit, signal });
    if (!result.ok) {
      if (result.problem.code !== 'unauthorized') return { name: 'failed', sentence: sentenceOf(result.problem) };
      forgetLogin();
      return { name: 'choosing' };
    }
    const own = result.value.items.filter((reservation) => reservation.performanceId === performanceId);
    const [first] = own;
    if (first === undefined) continue;
    if (status === 'HELD') return heldOf(first);
    if (own.length >= maxReservationsPerUser) return { name: 'yours', reservation: first, isNew: false, balance: null };
  }
  return { name: 'choosing' };
}

export function useHolding(performance: Performance, login: Login | null): Holding {
  const { performanceId, holdSeconds } = performance;
  const [phase, setPhase] = useState<Phase>(login === null ? { name: 'choosing' } : { name: 'looking' });
  const [looks, setLooks] = useState(0);
  const token = login?.accessToken;
  const tokenNow = useRef(token);
  tokenNow.current = token;
  // What was asked for somebody who has logged out since, in another window perhaps, is nothing to whoever is here now.
  const become = useCallback(
    (next: Phase | ((now: Phase) => Phase)): void => {
      if (tokenNow.current === token) setPhase(next);
    },
    [token],
  );

  useEffect(() => {
    if (login === null) return become({ name: 'choosing' });
    const over = new AbortController();
    become({ name: 'looking' });
    void find(performance, over.signal)
      .catch((thrown: unknown): Phase => ({ name: 'failed', sentence: sentenceOfFailure(thrown) }))
      .then((now) => {
        if (!over.signal.aborted) become(now);
      });
    return () => over.abort();
  }, [performanceId, token, looks]);

  const show = useCallback(
    async (reservationId: string) => {
      const isHeldHere = (now: Phase): boolean => now.name === 'held' && now.held.reservationId === reservationId;
      const result = await client.reservation(reservationId);
      if (!result.ok) {
        if (result.problem.code === 'unauthorized') return forgetLogin();
        const failed: Phase = { name: 'failed', sentence: sentenceOf(result.problem) };
        return become((now) => (result.status >= 500 && isHeldHere(now) ? now : failed));
      }
      const reservation = result.value;
      if (reservation.status === 'HELD') {
        // One that is shown already keeps its own count.
        become((now) => (isHeldHere(now) ? now : heldOf(reservation)));
      }
      if (reservation.status === 'CONFIRMED') {
        become((now) => (now.name === 'yours' ? now : { ...yours, reservation, isNew: isHeldHere(now) }));
      }
      if (reservation.status === 'EXPIRED') become({ name: 'over' });
      if (reservation.status === 'CANCELLED') become({ name: 'choosing' });
    },
    [become],
  );

  // The gateway has just begun to count: that is right whatever the clock of this machine says.
  const begin = useCallback(
    (held: Held) => become({ name: 'held', held: { ...held, endsAtMs: Date.now() + holdSeconds * 1000 } }),
    [holdSeconds, become],
  );
  return { phase, look: useCallback(() => setLooks((before) => before + 1), []), begin, show, become };
}
