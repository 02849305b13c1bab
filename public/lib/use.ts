/** What several pages need of a component's life. */
import { useEffect, useState } from 'preact/hooks';

/** Milliseconds since 1970 by this machine, again every `intervalMs`; for countdowns that are only shown. */
export function useNow(intervalMs: number): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), intervalMs);
    return () => clearInterval(timer);
  }, [intervalMs]);
  return now;
}

/** The number in `/performances/7` and below it; null where there is none. */
export function performanceIdOfPath(): number | null {
  const id = Number(/^\/performances\/([1-9]\d{0,15})(?:\/|$)/.exec(location.pathname)?.[1]);
  return Number.isSafeInteger(id) ? id : null;
}
