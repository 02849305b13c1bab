/** Finds free seats: the best ones together, or those nearest to seats that were lost. All in the page, from the map at hand. */
import type { Layout, Point } from './layout.ts';

export interface Found {
  /** In the order of their numbers; fewer than asked for only where there are no more. */
  readonly seats: readonly number[];
  /** All in one block of one line, next to each other. */
  readonly isTogether: boolean;
}

type IsFree = (seat: number) => boolean;

function distanceTo(layout: Layout, target: Point): (seat: number) => number {
  return (seat) => {
    const { x, y } = layout.placeOf(seat);
    return Math.hypot(x + 0.5 - target.x, y + 0.5 - target.y);
  };
}

/** `count` neighbours with the least sum of `costOf`; null where nowhere so many are free. */
function cheapestTogether(
  layout: Layout,
  isFree: IsFree,
  count: number,
  costOf: (seat: number) => number,
): readonly number[] | null {
  let best: readonly number[] | null = null;
  let bestCost = Number.POSITIVE_INFINITY;
  for (let line = 0; line < layout.lines; line++) {
    let run: number[] = [];
    let cost = 0;
    for (let column = 0; column < layout.lineLength; column++) {
      const seat = layout.seatOf(line, column);
      const isNext = column > 0 && layout.isSameBlock(column - 1, column);
      if (!isNext || seat === 0 || !isFree(seat)) {
        run = [];
        cost = 0;
      }
      if (seat === 0 || !isFree(seat)) continue;
      run.push(seat);
      cost += costOf(seat);
      if (run.length > count) cost -= costOf(run.shift()!);
      if (run.length === count && cost < bestCost - 1e-9) {
        best = [...run];
        bestCost = cost;
      }
    }
  }
  return best;
}

/** Each by itself, the cheapest first. */
function cheapestApart(layout: Layout, isFree: IsFree, count: number, costOf: (seat: number) => number): number[] {
  const best: { seat: number; cost: number }[] = [];
  for (let seat = 1; seat <= layout.seats; seat++) {
    if (!isFree(seat)) continue;
    const cost = costOf(seat);
    if (best.length === count && cost >= best[count - 1]!.cost) continue;
    const at = best.findIndex((other) => cost < other.cost);
    best.splice(at < 0 ? best.length : at, 0, { seat, cost });
    if (best.length > count) best.pop();
  }
  return best.map(({ seat }) => seat);
}

function cheapest(layout: Layout, isFree: IsFree, count: number, costOf: (seat: number) => number): Found {
  if (count < 1) return { seats: [], isTogether: true };
  const together = cheapestTogether(layout, isFree, count, costOf);
  if (together !== null) return { seats: together, isTogether: true };
  const [first] = cheapestApart(layout, isFree, 1, costOf);
  if (first === undefined) return { seats: [], isTogether: false };
  // Not together: at least near each other, around the best one.
  const { x, y } = layout.placeOf(first);
  const around = cheapestApart(layout, isFree, count, distanceTo(layout, { x: x + 0.5, y: y + 0.5 }));
  return { seats: around.sort((a, b) => a - b), isTogether: false };
}

/** `count` free seats together, in front and in the middle first. */
export function bestAvailable(layout: Layout, isFree: IsFree, count: number): Found {
  const middle = layout.width / 2;
  const { y, height } = layout.stage;
  // A seat aside sees less than one a row behind: twice as dear.
  const costOf = (seat: number): number => {
    const place = layout.placeOf(seat);
    return place.y - y - height + 2 * Math.abs(place.x + 0.5 - middle);
  };
  return cheapest(layout, isFree, count, costOf);
}

/** As many free seats as were lost, together where possible, nearest to them. */
export function nearestFree(layout: Layout, isFree: IsFree, lost: readonly number[]): Found {
  const places = lost.map((seat) => layout.placeOf(seat));
  const middle = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const target = { x: middle(places.map(({ x }) => x)) + 0.5, y: middle(places.map(({ y }) => y)) + 0.5 };
  return cheapest(layout, isFree, lost.length, distanceTo(layout, target));
}
