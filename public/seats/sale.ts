/** The page of one performance: what is on sale, and beside it what this person does: choose, pay, or have. */
import { html } from 'htm/preact';
import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Performance } from '../../src/client/index.ts';
import { announce } from '../lib/announce.ts';
import { AuthForm } from '../lib/auth-form.ts';
import { money, timeOfDay } from '../lib/format.ts';
import { useLogin } from '../lib/session.ts';
import { ChoicePanel } from './choice-panel.ts';
import { OverPanel, YoursPanel } from './end-panels.ts';
import { FindForm } from './find-form.ts';
import { HoldPanel } from './hold-panel.ts';
import { Layout } from './layout.ts';
import { PartyPanel } from './party-panel.ts';
import { SaleHead, SoldOut } from './sale-head.ts';
import { SeatMap } from './seat-map.ts';
import type { SeatStore } from './seat-store.ts';
import { t } from './texts.ts';
import { seatsMax, useChoice } from './use-choice.ts';
import { type Holding, useHolding } from './use-holding.ts';
import { type Live, useLive } from './use-live.ts';
import { useReserve } from './use-reserve.ts';
import { type Room, useRoom } from './use-room.ts';

interface SaleState {
  readonly performance: Performance;
  readonly live: Live;
  readonly holding: Holding;
  readonly room: Room;
  readonly isLoggedIn: boolean;
  /** Above the form: what has just happened. */
  readonly note: string;
  readonly setNote: (note: string) => void;
  readonly askRoom: () => void;
}

export interface SaleProps {
  readonly performance: Performance;
  readonly name: string;
  /** Null for a capacity performance. */
  readonly store: SeatStore | null;
  /** Of the map that the store was made of. */
  readonly etag: string | undefined;
}

export function Sale({ performance, name, store, etag }: SaleProps): VNode {
  const login = useLogin();
  const [note, setNote] = useState('');
  const holding = useHolding(performance, login);
  const { phase, become } = holding;
  const isChoosing = phase.name === 'choosing';
  const [room, askRoom] = useRoom(performance.performanceId, login, isChoosing);
  const ownId = phase.name === 'held' ? phase.held.reservationId : '';
  const live = useLive({ performance, store, etag }, login, {
    onExpired: (id) => {
      if (id === ownId) become({ name: 'over' });
    },
    // Paid in this window or another one; here the answer follows, with the balance.
    onConfirmed: (id) => {
      if (phase.name === 'held' && id === ownId)
        become({ name: 'yours', reservation: phase.held, isNew: true, balance: null });
    },
  });
  useFocusOn(phase.name);
  useSaid(phase.name, live.remaining);
  const state: SaleState = { performance, live, holding, room, isLoggedIn: login !== null, note, setNote, askRoom };
  return html`
    <${SaleHead} performance=${performance} name=${name} live=${live} />
    ${store === null ? html`<${PartySale} state=${state} />` : html`<${SeatedSale} state=${state} store=${store} />`}
  ` as VNode;
}

/** What replaces what had the focus gets it: the panel's heading. */
function useFocusOn(phase: string): void {
  const before = useRef(phase);
  useEffect(() => {
    if (before.current === phase) return;
    const wasLooking = before.current === 'looking';
    before.current = phase;
    const isQuiet = phase === 'looking' || (wasLooking && phase === 'choosing');
    if (!isQuiet) document.querySelector<HTMLElement>('.panel h2[tabindex]')?.focus();
  }, [phase]);
}

function useSaid(phase: string, remaining: number): void {
  const before = useRef({ phase, remaining });
  useEffect(() => {
    const last = before.current;
    before.current = { phase, remaining };
    if (phase === 'over' && last.phase !== 'over') announce(`${t.overTitle}. ${t.over}`, 'assertive');
    else if (phase === 'yours' && last.phase === 'held') announce(t.paidTitle);
    else if (phase === 'choosing' && remaining === 0 && last.remaining > 0) announce(t.soldOut);
    else if (phase === 'choosing' && remaining > 0 && last.remaining === 0) announce(t.backOnSale);
  }, [phase, remaining]);
}

function SeatedSale({ state, store }: { state: SaleState; store: SeatStore }): VNode {
  const { performance, live, holding, room, isLoggedIn, setNote } = state;
  const { phase } = holding;
  const seatsPerRow = performance.seating.kind === 'seated' ? performance.seating.seatsPerRow : 1;
  const layout = useMemo(() => new Layout({ seats: store.size, seatsPerRow }), [store, seatsPerRow]);
  const taken = useRef((_seats: readonly number[]) => {});
  const reserve = useReserve({
    performanceId: performance.performanceId,
    pass: room.state === 'admitted' ? room.pass : undefined,
    holding,
    onTaken: (seats) => taken.current(seats),
  });
  const isFixed = reserve.isBusy || reserve.uncertain !== null;
  const isChoosing = phase.name === 'choosing';
  const choice = useChoice(layout, store, isChoosing && !isFixed);
  taken.current = (seats) => {
    // The socket tells the map a moment later than the refusal.
    store.apply(seats.filter((seat) => store.isFree(seat)).map((seat) => [seat, 'HELD'] as const));
    choice.lose(seats, true);
  };
  useEffect(() => {
    if (phase.name === 'held' || phase.name === 'over') choice.choose([]);
  }, [phase.name]);

  const own = phase.name === 'held' ? phase.held : phase.name === 'yours' ? phase.reservation : null;
  const mine = useMemo(() => new Set(own?.seats ?? choice.chosen), [own, choice.chosen]);
  const edit =
    <Value>(change: (value: Value) => void): ((value: Value) => void) =>
    (value) => {
      if (!isChoosing || isFixed) return;
      setNote('');
      change(value);
    };
  const takeOffer = (): void => {
    const { wasAsked } = choice.lost!;
    const seats = choice.takeOffer();
    if (wasAsked && isLoggedIn) void reserve.hold({ seats });
  };
  const labelOf = (seat: number): string => store.labelOf(seat);
  const isSoldOut = live.remaining === 0 && choice.chosen.length === 0;
  return html`
    <div class="sale">
      <${SeatMap} layout=${layout} store=${store} counts=${live.counts} mine=${mine} onChoose=${edit(choice.toggle)} />
      <${Panel} state=${state} labelOf=${labelOf}>
        ${
          isSoldOut
            ? html`<${SoldOut} />`
            : html`<${FindForm} layout=${layout} store=${store} chosen=${choice.chosen} seatsMax=${seatsMax}
                onChoose=${edit(choice.choose)} isDisabled=${isFixed} />`
        }
        ${
          (!isSoldOut || choice.lost !== null) &&
          html`<${ChoicePanel} store=${store} chosen=${choice.chosen} lost=${choice.lost} reserve=${reserve} canHold=${isLoggedIn}
          onDrop=${edit(choice.toggle)} onDropAll=${() => choice.choose([])}
          onTakeOffer=${takeOffer} onLeaveOffer=${choice.leaveOffer} />`
        }
      </${Panel}>
    </div>
  ` as VNode;
}

function PartySale({ state }: { state: SaleState }): VNode {
  const { performance, live, holding, room, isLoggedIn } = state;
  const { seating, price, performanceId } = performance;
  const pass = room.state === 'admitted' ? room.pass : undefined;
  const reserve = useReserve({ performanceId, pass, holding, onTaken: () => {} });
  const partyMax = Math.min(seating.kind === 'capacity' ? seating.maxPartySize : 1, live.remaining);
  const isForm = live.remaining > 0 || reserve.uncertain !== null || reserve.isBusy;
  return html`
    <${Panel} state=${state} labelOf=${String}>
      ${isForm ? html`<${PartyPanel} partyMax=${partyMax} price=${price} reserve=${reserve} canHold=${isLoggedIn} />` : html`<${SoldOut} />`}
    </${Panel}>
  ` as VNode;
}

interface PanelProps {
  readonly state: SaleState;
  readonly labelOf: (seat: number) => string;
  /** What is shown while places are chosen. */
  readonly children: ComponentChildren;
}

function Panel({ state, labelOf, children }: PanelProps): VNode {
  const { performance, holding, note, setNote, isLoggedIn, room } = state;
  const { phase, become } = holding;
  const anew = (): void => {
    setNote('');
    become({ name: 'choosing' });
  };
  const onGivenBack = (refunded: number): void => {
    const said = refunded > 0 ? t.refunded(money(refunded)) : t.givenBack;
    announce(said);
    setNote(said);
    become({ name: 'choosing' });
  };
  const content = (): unknown => {
    if (phase.name === 'looking') return html`<p class="soft" role="status">${t.loading}</p>`;
    if (phase.name === 'failed') return html`<${Failed} sentence=${phase.sentence} onAgain=${holding.look} />`;
    if (phase.name === 'over') return html`<${OverPanel} onAgain=${anew} />`;
    if (phase.name === 'held') {
      return html`<${HoldPanel} held=${phase.held} labelOf=${labelOf} holding=${holding} onGivenBack=${onGivenBack} />`;
    }
    if (phase.name === 'yours') {
      const mayHaveMore = performance.maxReservationsPerUser > 1;
      return html`<${YoursPanel} phase=${phase} labelOf=${labelOf} mayHaveMore=${mayHaveMore} onMore=${anew} />`;
    }
    if (room.state === 'asking') return html`<p class="soft" role="status">${t.loading}</p>`;
    if (room.state === 'leaving') return html`<p class="soft" role="status">${t.toQueue}</p>`;
    if (room.state === 'failed') return html`<${Failed} sentence=${room.sentence} onAgain=${state.askRoom} />`;
    if (room.state === 'closed') return html`<${AuthForm} reason=${t.roomLogin} />`;
    return html`
      ${room.state === 'admitted' && html`<p class="notice good">${t.passUntil(timeOfDay(room.passExpiresAt))}</p>`}
      ${note !== '' && html`<p class="notice good">${note}</p>`}
      ${children}
      ${!isLoggedIn && html`<${AuthForm} reason=${t.holdLogin} />`}
    `;
  };
  return html`<div class="panel">${content()}</div>` as VNode;
}

function Failed({ sentence, onAgain }: { sentence: string; onAgain: () => void }): VNode {
  return html`
    <div class="card">
      <p class="notice bad" role="alert">${sentence}</p>
      <button type="button" onClick=${onAgain}>${t.again}</button>
    </div>
  ` as VNode;
}
