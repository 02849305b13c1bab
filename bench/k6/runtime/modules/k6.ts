/** `k6`. */
import { state } from '../vu-state.ts';

/** Sleeps for some seconds; the whole VU does. */
export function sleep(seconds: number): void {
  if (state.phase === 'init') throw new Error('sleep in the init context');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
}
