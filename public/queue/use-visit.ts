/** A visit as a component sees it: begun for who is logged in, kept over a lost network, ended with the page. */
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { forgetLogin } from '../lib/session.ts';
import { type Stand, Visit, type Way } from './visit.ts';

export interface Visiting {
  readonly stand: Stand;
  readonly way: Way;
  /** The place of an earlier visit was over. */
  readonly isNewPlace: boolean;
  /** Its token was refused. */
  readonly hasSessionEnded: boolean;
  leave(): Promise<string | null>;
  joinAgain(): void;
}

const joining: Stand = { status: 'joining', trouble: '' };

/** `token` of who waits; null for nobody: then it stands at `joining` and does nothing. */
export function useVisit(performanceId: number, token: string | null): Visiting {
  const [stand, setStand] = useState<Stand>(joining);
  const [way, setWay] = useState<Way>('connecting');
  const [isNewPlace, setIsNewPlace] = useState(false);
  const [hasSessionEnded, setHasSessionEnded] = useState(false);
  const [attempt, setAttempt] = useState(0);
  const current = useRef<Visit | null>(null);
  // Another attempt is another visit.
  useEffect(() => {
    setIsNewPlace(false);
    setWay('connecting');
    setStand(joining);
    if (token === null) return;
    setHasSessionEnded(false);
    const visit = new Visit(performanceId, {
      onStand: (now) => {
        if (current.current !== visit) return;
        if (now.status === 'refused' && now.problem.code === 'unauthorized') {
          setHasSessionEnded(true);
          return forgetLogin();
        }
        setStand(now);
      },
      onWay: setWay,
      onNewPlace: () => setIsNewPlace(true),
    });
    current.current = visit;
    const askNow = (): void => visit.askNow();
    addEventListener('online', askNow);
    void visit.run();
    return () => {
      removeEventListener('online', askNow);
      current.current = null;
      visit.stop();
    };
  }, [performanceId, token, attempt]);
  useAwake(stand.status === 'waiting' || stand.status === 'admitted');
  const actions = useMemo(
    () => ({
      leave: () => current.current?.leave() ?? Promise.resolve(null),
      joinAgain: () => setAttempt((before) => before + 1),
    }),
    [],
  );
  return { stand, way, isNewPlace, hasSessionEnded, ...actions };
}

/** A browser may freeze a tab that was hidden for long, its socket too; not one that holds a lock. */
function useAwake(isWaiting: boolean): void {
  useEffect(() => {
    // There are locks on https and localhost alone.
    if (!isWaiting || navigator.locks === undefined) return;
    const over = new AbortController();
    const untilOver = new Promise<void>((resolve) => over.signal.addEventListener('abort', () => resolve()));
    navigator.locks
      .request('fastpass.waiting', { mode: 'shared', signal: over.signal }, () => untilOver)
      .catch(() => {
        // Given up before it was granted: nothing to hold any more.
      });
    return () => over.abort();
  }, [isWaiting]);
}

/** False while the machine says that it has no network. */
export function useOnline(): boolean {
  const [isOnline, setIsOnline] = useState(navigator.onLine);
  useEffect(() => {
    const look = (): void => setIsOnline(navigator.onLine);
    addEventListener('online', look);
    addEventListener('offline', look);
    return () => {
      removeEventListener('online', look);
      removeEventListener('offline', look);
    };
  }, []);
  return isOnline;
}
