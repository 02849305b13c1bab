/** Where a key moves the cursor of the seat map, from seat to seat. */
import type { Layout } from './layout.ts';

export type CursorKey = 'ArrowLeft' | 'ArrowRight' | 'ArrowUp' | 'ArrowDown' | 'Home' | 'End' | 'PageUp' | 'PageDown';

const linesAPage = 10;
const moves: Readonly<Record<CursorKey, { readonly lines: number; readonly columns: number }>> = {
  ArrowLeft: { lines: 0, columns: -1 },
  ArrowRight: { lines: 0, columns: 1 },
  ArrowUp: { lines: -1, columns: 0 },
  ArrowDown: { lines: 1, columns: 0 },
  Home: { lines: 0, columns: Number.NEGATIVE_INFINITY },
  End: { lines: 0, columns: Number.POSITIVE_INFINITY },
  PageUp: { lines: -linesAPage, columns: 0 },
  PageDown: { lines: linesAPage, columns: 0 },
};

export function isCursorKey(key: string): key is CursorKey {
  return key in moves;
}

const within = (value: number, last: number): number => Math.min(Math.max(value, 0), last);

/** The same seat at an edge. A line that is shorter than the one before has its last seat. */
export function moveCursor(layout: Layout, seat: number, key: CursorKey): number {
  const { line, column } = layout.lineOf(seat);
  const { lines, columns } = moves[key];
  const nextLine = within(line + lines, layout.lines - 1);
  for (let next = within(column + columns, layout.lineLength - 1); next >= 0; next--) {
    const found = layout.seatOf(nextLine, next);
    if (found !== 0) return found;
  }
  return seat;
}
