/** What is known of a sale from its numbers and times: pure, for the cards of the events and the own reservations. */
import type { Event, Performance, Places } from '../../src/client/index.ts';

/**
 * How a sale stands. `over`: the performance has begun. By the visitor's clock, so it is only shown: whether a hold is
 * taken, the gateway says.
 */
export type SaleState = 'before' | 'open' | 'closed' | 'over';

export function saleStateOf(performance: Performance, nowMs: number): SaleState {
  const { startsAt, bookingOpensAt, bookingClosesAt } = performance;
  if (Date.parse(startsAt) <= nowMs) return 'over';
  if (bookingClosesAt !== null && Date.parse(bookingClosesAt) <= nowMs) return 'closed';
  return bookingOpensAt !== null && Date.parse(bookingOpensAt) > nowMs ? 'before' : 'open';
}

/** Seats or places it has in all. */
export function placesOf({ seating }: Performance): number {
  return seating.kind === 'seated' ? seating.seats : seating.capacity;
}

/** How much is left: `few` from a tenth on. */
type Fill = 'many' | 'few' | 'none';

export function fillOf(performance: Performance): Fill {
  if (performance.remaining <= 0) return 'none';
  return performance.remaining * 10 <= placesOf(performance) ? 'few' : 'many';
}

/** The soonest first; those that are over last, the latest of them first. */
export function inOrder(performances: readonly Performance[], nowMs: number): Performance[] {
  const startMs = ({ startsAt }: Performance): number => Date.parse(startsAt);
  const isOver = (performance: Performance): boolean => startMs(performance) <= nowMs;
  return [...performances].sort((a, b) => {
    if (isOver(a) !== isOver(b)) return isOver(a) ? 1 : -1;
    return (isOver(a) ? startMs(b) - startMs(a) : startMs(a) - startMs(b)) || a.performanceId - b.performanceId;
  });
}

/** Letters alike however they were typed: case, width, and Hangul in one piece or in several. */
function plain(text: string): string {
  return text.normalize('NFKC').toLowerCase();
}

/** Events whose name has every word of the search in it. */
export function eventsFound(events: readonly Event[], search: string): readonly Event[] {
  const words = plain(search).split(/\s+/).filter(Boolean);
  if (words.length === 0) return events;
  return events.filter(({ name }) => words.every((word) => plain(name).includes(word)));
}

function rowLetters(row: number): string {
  const last = String.fromCharCode(65 + (row % 26));
  return row < 26 ? last : rowLetters(Math.floor(row / 26) - 1) + last;
}

/** `B-1` for seat 51 in rows of 50: as the gateway labels them, without its whole seat map. */
function seatLabelOf(seat: number, seatsPerRow: number): string {
  return `${rowLetters(Math.floor((seat - 1) / seatsPerRow))}-${((seat - 1) % seatsPerRow) + 1}`;
}

/** Labels of the seats of a reservation, while its performance is not known their numbers; null for a party. */
export function seatsOf({ seats }: Places, performance: Performance | null): string[] | null {
  if (seats === undefined) return null;
  const seating = performance?.seating;
  return seats.map((seat) => (seating?.kind === 'seated' ? seatLabelOf(seat, seating.seatsPerRow) : String(seat)));
}
