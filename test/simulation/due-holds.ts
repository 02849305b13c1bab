/** When held reservations end, as an index of the fake MySQL: the one that ends first is at hand. A binary heap. */

export interface DueHold {
  readonly endsAtMs: number;
  readonly reservationId: string;
}

/** By end, then by id: as an index of InnoDB has them. */
function isBefore(a: DueHold, b: DueHold): boolean {
  return a.endsAtMs < b.endsAtMs || (a.endsAtMs === b.endsAtMs && a.reservationId < b.reservationId);
}

export class DueHolds {
  readonly #heap: DueHold[] = [];

  /** The one that ends first. It stays. */
  get first(): DueHold | undefined {
    return this.#heap[0];
  }

  add(hold: DueHold): void {
    const heap = this.#heap;
    let at = heap.push(hold) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(hold, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = hold;
  }

  removeFirst(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
  }
}
