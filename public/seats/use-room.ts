/** The waiting room before the sale: whether there is one, and the pass of who was admitted. */
import { useCallback, useEffect, useState } from 'preact/hooks';
import { sentenceOfFailure } from '../lib/problems.ts';
import { client, type Login } from '../lib/session.ts';
import { keptText } from '../lib/texts.ts';

export type Room =
  | { readonly state: 'asking' }
  /** The room is off. */
  | { readonly state: 'open' }
  | { readonly state: 'admitted'; readonly pass: string; readonly passExpiresAt: string }
  /** It is on, and nobody is logged in. */
  | { readonly state: 'closed' }
  /** On the way to the page of the waiting room. */
  | { readonly state: 'leaving' }
  | { readonly state: 'failed'; readonly sentence: string };

export function goToQueue(performanceId: number): void {
  // Not in the history: back would only come here again.
  location.replace(`/performances/${performanceId}/queue`);
}

async function ask(performanceId: number, isLoggedIn: boolean, signal: AbortSignal): Promise<Room> {
  const queue = await client.queue(performanceId, { signal });
  // What the gateway cannot say now it says when places are held.
  if (!queue.ok || queue.value.mode === 'off') return { state: 'open' };
  if (!isLoggedIn) return { state: 'closed' };
  // Kept there by the page of the waiting room (`waitForPass`).
  const kept = keptText(`fastpass.ticket.${performanceId}`);
  const ticket = kept === null || kept === '' ? null : await client.ticket(performanceId, kept, { signal });
  if (ticket?.ok === true && ticket.value.status === 'open') return { state: 'open' };
  if (ticket?.ok !== true || ticket.value.status !== 'admitted') return { state: 'leaving' };
  const { pass, passExpiresAt } = ticket.value;
  return { state: 'admitted', pass, passExpiresAt };
}

/** Asks while somebody `isChoosing`: who holds places, or has paid them, needs no pass. */
export function useRoom(performanceId: number, login: Login | null, isChoosing: boolean): [Room, () => void] {
  const [room, setRoom] = useState<Room>({ state: 'asking' });
  const [tries, setTries] = useState(0);
  useEffect(() => {
    if (!isChoosing) return;
    const over = new AbortController();
    void ask(performanceId, login !== null, over.signal)
      .catch((thrown: unknown): Room => ({ state: 'failed', sentence: sentenceOfFailure(thrown) }))
      .then((now) => {
        if (over.signal.aborted) return;
        setRoom(now);
        if (now.state === 'leaving') goToQueue(performanceId);
      });
    return () => over.abort();
  }, [performanceId, login?.accessToken, isChoosing, tries]);
  return [room, useCallback(() => setTries((before) => before + 1), [])];
}
