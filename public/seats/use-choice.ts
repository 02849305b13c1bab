/** The seats that are chosen, and what happens when somebody else takes one of them first. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { announce } from '../lib/announce.ts';
import type { Lost } from './choice-panel.ts';
import { nearestFree } from './find-seats.ts';
import type { Layout } from './layout.ts';
import type { SeatStore } from './seat-store.ts';
import { t } from './texts.ts';

/** A request takes 100 seats; ten are a group of friends or a family, and leave others some of a rush. */
export const seatsMax = 10;

export interface Choice {
  readonly chosen: readonly number[];
  readonly lost: Lost | null;
  readonly choose: (seats: readonly number[]) => void;
  /** Chosen or dropped, as it was before. */
  readonly toggle: (seat: number) => void;
  readonly lose: (seats: readonly number[], wasAsked: boolean) => void;
  /** The seats with those offered for the lost ones. */
  readonly takeOffer: () => readonly number[];
  readonly leaveOffer: () => void;
}

/** `isWatching`: seats are lost when they change; not while they are asked for, since it may be this person who gets them. */
export function useChoice(layout: Layout, store: SeatStore, isWatching: boolean): Choice {
  const [chosen, setChosen] = useState<readonly number[]>([]);
  const [lost, setLost] = useState<Lost | null>(null);

  const choose = (seats: readonly number[]): void => {
    setChosen([...seats].sort((a, b) => a - b));
    setLost(null);
  };

  const lose = (seats: readonly number[], wasAsked: boolean): void => {
    const kept = chosen.filter((seat) => !seats.includes(seat));
    // Lost before, and nothing chosen for them yet: they count still.
    const all = [...new Set([...(lost?.seats ?? []), ...seats])].sort((a, b) => a - b);
    const offer = nearestFree(layout, (seat) => store.isFree(seat) && !kept.includes(seat) && !all.includes(seat), all);
    setChosen(kept);
    setLost({ seats: all, offer, wasAsked: wasAsked || lost?.wasAsked === true });
    announce(t.lostSeats(all.map((seat) => store.labelOf(seat)).join(', ')), 'assertive');
  };

  const look = useRef(() => {});
  look.current = () => {
    if (!isWatching) return;
    const gone = chosen.filter((seat) => !store.isFree(seat));
    if (gone.length > 0) return lose(gone, false);
    // What is offered may go, too.
    if (lost?.offer.seats.some((seat) => !store.isFree(seat))) lose([], false);
  };
  useEffect(() => store.onChange(() => look.current()), [store]);
  useEffect(() => look.current(), [isWatching]);

  const toggle = (seat: number): void => {
    const label = store.labelOf(seat);
    const rest = chosen.filter((other) => other !== seat);
    if (rest.length < chosen.length) {
      choose(rest);
      return announce(t.dropped(label, rest.length));
    }
    if (!store.isFree(seat)) return announce(t.notFree(label));
    if (chosen.length >= seatsMax) return announce(t.tooMany(seatsMax), 'assertive');
    choose([...chosen, seat]);
    announce(t.added(label, chosen.length + 1));
  };

  const takeOffer = (): readonly number[] => {
    const seats = [...chosen, ...(lost?.offer.seats ?? [])].sort((a, b) => a - b);
    choose(seats);
    return seats;
  };
  return { chosen, lost, choose, toggle, lose, takeOffer, leaveOffer: () => setLost(null) };
}
