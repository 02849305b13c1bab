/** `k6/timers`. */
import { callBack, keepOpen } from '../vu-state.ts';

const running = new Map<number, { timer: NodeJS.Timeout; close: () => void }>();
let lastId = 0;

/** Calls a function once, later; the iteration lasts until then. */
function later(listener: () => unknown, delayMs: number): number {
  const id = ++lastId;
  const close = keepOpen();
  const timer = setTimeout(() => {
    running.delete(id);
    callBack(listener);
    close();
  }, delayMs);
  running.set(id, { timer, close });
  return id;
}

function forget(id: number): void {
  const entry = running.get(id);
  if (entry === undefined) return;
  running.delete(id);
  clearTimeout(entry.timer);
  entry.close();
}

export { forget as clearTimeout, later as setTimeout };
