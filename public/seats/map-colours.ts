/** The colours of the map: those of the sheet, as they are at this moment. */
import { moreLegible } from './contrast.ts';

/** As the legend has them; the first three in the order of the store's states. */
export const looks = ['free', 'held', 'taken', 'mine'] as const;
export type Look = (typeof looks)[number];

export interface Colours {
  readonly seat: Readonly<Record<Look, string>>;
  /** Of marks on a full seat. */
  readonly onSeat: Readonly<Record<'free' | 'mine', string>>;
  readonly ink: string;
  readonly soft: string;
  readonly line: string;
}

/** Read from an element: a canvas knows no names of colours. */
export function coloursOf(element: HTMLElement): Colours {
  const read = (name: string): string => {
    element.style.color = `var(--${name})`;
    return getComputedStyle(element).color;
  };
  const seat = { free: read('seat-free'), held: read('seat-held'), taken: read('seat-taken'), mine: read('seat-mine') };
  const [ink, card, soft, line] = [read('ink'), read('card'), read('ink-soft'), read('line')];
  element.style.color = '';
  const onSeat = { free: moreLegible(seat.free, ink, card), mine: moreLegible(seat.mine, ink, card) };
  return { seat, onSeat, ink, soft, line };
}
