/** When a place is read out: often enough to be followed by ear, seldom enough to leave the ear in peace. */

/** Between two of them, however fast the queue is. */
const pauseMsMin = 5000;
/** After so long a place is said again if it has changed at all. */
const pauseMsMax = 30_000;
/** From here on every change counts. */
const nearPlace = 10;

/** The places of one ticket. */
export class Sayings {
  #said: { readonly position: number; readonly atMs: number } | null = null;

  /** Whether the place is to be said now; then it counts as said. */
  isDue(position: number, nowMs: number): boolean {
    const said = this.#said;
    if (said !== null) {
      const sinceMs = nowMs - said.atMs;
      if (position === said.position || sinceMs < pauseMsMin) return false;
      if (position > nearPlace && position > said.position / 2 && sinceMs < pauseMsMax) return false;
    }
    this.#said = { position, atMs: nowMs };
    return true;
  }
}
