/** The seat map with its buttons, legend, and what it says of the seat under the mouse or the keyboard's cursor. */
import { html } from 'htm/preact';
import type { VNode } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { announce } from '../lib/announce.ts';
import { count, money } from '../lib/format.ts';
import { coloursEvent } from '../lib/shell.ts';
import { type CursorKey, isCursorKey, moveCursor } from './cursor.ts';
import type { Layout } from './layout.ts';
import { coloursOf, type Look, looks } from './map-colours.ts';
import { listenToPointers, zoomStep } from './map-input.ts';
import { drawSeat } from './map-painter.ts';
import { MapView } from './map-view.ts';
import type { Counts, SeatStore } from './seat-store.ts';
import { t } from './texts.ts';

export interface SeatMapProps {
  readonly layout: Layout;
  readonly store: SeatStore;
  readonly counts: Counts;
  /** Chosen, held or bought by this person. */
  readonly mine: ReadonlySet<number>;
  readonly onChoose: (seat: number) => void;
}

const panStep = 60;
const statusLooks: Readonly<Record<string, Look>> = { AVAILABLE: 'free', HELD: 'held', OCCUPIED: 'taken' };

interface Tip {
  readonly seat: number;
  readonly x: number;
  readonly y: number;
}

export function SeatMap({ layout, store, counts, mine, onChoose }: SeatMapProps): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const view = useRef<MapView | null>(null);
  const lastCursor = useRef(0);
  // What listeners of the canvas call is always of the last drawing.
  const now = useRef({ mine, onChoose });
  now.current = { mine, onChoose };
  const drawn = useRef(mine);
  const [tip, setTip] = useState<Tip | null>(null);

  const lookOf = (seat: number): Look => (now.current.mine.has(seat) ? 'mine' : statusLooks[store.statusOf(seat)]!);
  const sentenceOf = (seat: number): string =>
    t.seatSays(store.labelOf(seat), money(store.priceOf(seat)), t[lookOf(seat)]);

  const showTip = (seat: number): void => {
    const map = view.current;
    if (seat === 0 || map === null) return setTip(null);
    setTip({ seat, ...map.pointOf(seat) });
  };

  useLayoutEffect(() => {
    const element = canvas.current!;
    const over = new AbortController();
    const map = new MapView(element, { layout, lookOf, labelOf: (seat) => store.labelOf(seat), stageText: t.stage });
    view.current = map;
    const onHover = (seat: number): void => {
      if (seat === map.hovered) return;
      map.hovered = seat;
      element.style.cursor = seat === 0 ? 'grab' : 'pointer';
      showTip(seat);
    };
    const choose = (seat: number): void => {
      lastCursor.current = seat;
      if (map.cursor !== 0) map.cursor = seat;
      now.current.onChoose(seat);
    };
    listenToPointers(element, map, { onChoose: choose, onHover }, over.signal);
    document.addEventListener(coloursEvent, () => map.coloursChanged(), { signal: over.signal });
    const stop = store.onChange((changed) => map.seatsChanged(changed));
    return () => {
      over.abort();
      stop();
      map.close();
    };
  }, [layout, store]);

  useLayoutEffect(() => {
    view.current?.seatsChanged([...drawn.current, ...mine]);
    drawn.current = mine;
  }, [mine]);

  const moveTo = (seat: number): void => {
    view.current!.cursor = seat;
    showTip(seat);
    announce(sentenceOf(seat));
  };
  const pan = (key: string): void => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key] ?? [0, 0];
    view.current!.pan(way[0]! * panStep, way[1]! * panStep);
    setTip(null);
  };
  const zoom = (factor: number): void => {
    const map = view.current!;
    // Towards the cursor, for whoever moves it.
    const { cursor } = map;
    map.zoom(factor, cursor === 0 ? undefined : map.pointOf(cursor));
    canvas.current!.style.touchAction = map.isZoomed ? 'none' : 'pan-y';
    showTip(cursor);
  };
  const fit = (): void => {
    view.current!.fit();
    canvas.current!.style.touchAction = 'pan-y';
    setTip(null);
  };

  /** Where the keyboard begins: where it was, or was clicked; at something of one's own; in front. */
  const startSeat = (): number => {
    const [first = 1] = mine;
    return lastCursor.current || first;
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const map = view.current!;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const isMove = isCursorKey(event.key);
    const isChoice = event.key === 'Enter' || event.key === ' ';
    if (event.shiftKey && event.key.startsWith('Arrow')) pan(event.key);
    else if ((isMove || isChoice) && map.cursor === 0) moveTo(startSeat());
    else if (isMove) moveTo(moveCursor(layout, map.cursor, event.key as CursorKey));
    else if (isChoice) now.current.onChoose(map.cursor);
    else if (event.key === '+' || event.key === '=') zoom(zoomStep);
    else if (event.key === '-') zoom(1 / zoomStep);
    else if (event.key === '0') fit();
    else return;
    event.preventDefault();
  };
  const onFocus = (): void => {
    const element = canvas.current!;
    // A click has a place of its own, and needs no cursor.
    if (element.matches(':focus-visible')) moveTo(startSeat());
  };
  const onBlur = (): void => {
    lastCursor.current = view.current!.cursor || lastCursor.current;
    view.current!.cursor = 0;
    setTip(null);
  };

  return html`
    <section class="map" aria-label=${t.map}>
      <div class="map-frame">
        <canvas class="map-canvas" ref=${canvas} tabindex="0" role="application" aria-label=${t.mapLabel}
          aria-describedby="map-help" style=${{ aspectRatio: `${layout.width} / ${layout.height}` }} onKeyDown=${onKeyDown} onFocus=${onFocus} onBlur=${onBlur}></canvas>
        ${tip !== null && html`<${SeatTip} tip=${tip} text=${sentenceOf(tip.seat)} />`}
      </div>
      <div class="map-bar">
        <${Legend} counts=${counts} mine=${mine.size} />
        <div class="map-buttons">
          <button type="button" aria-label=${t.zoomIn} title=${t.zoomIn} onClick=${() => zoom(zoomStep)}>+</button>
          <button type="button" aria-label=${t.zoomOut} title=${t.zoomOut} onClick=${() => zoom(1 / zoomStep)}>−</button>
          <button type="button" aria-label=${t.fit} title=${t.fit} onClick=${fit}>⤢</button>
        </div>
      </div>
      <p id="map-help" class="map-help soft">${t.mapHelp}</p>
    </section>
  ` as VNode;
}

function SeatTip({ tip, text }: { tip: Tip; text: string }): VNode {
  const element = useRef<HTMLParagraphElement>(null);
  useLayoutEffect(() => {
    const { offsetWidth, offsetHeight, offsetParent, style } = element.current!;
    const room = (offsetParent as HTMLElement | null)?.clientWidth ?? offsetWidth;
    const left = Math.min(Math.max(tip.x - offsetWidth / 2, 4), Math.max(4, room - offsetWidth - 4));
    style.transform = `translate(${Math.round(left)}px, ${Math.round(Math.max(4, tip.y - offsetHeight - 8))}px)`;
  });
  // Told by `announce` already.
  return html`<p class="map-tip numbers" ref=${element} aria-hidden="true">${text}</p>` as VNode;
}

function Legend({ counts, mine }: { counts: Counts; mine: number }): VNode {
  const numbers: Readonly<Record<Look, number>> = {
    free: counts.AVAILABLE,
    held: counts.HELD,
    taken: counts.OCCUPIED,
    mine,
  };
  return html`
    <ul class="legend" aria-label=${t.legend}>
      ${looks.map(
        (look) => html`
          <li key=${look}><${Swatch} look=${look} />${t[look]} <span class="numbers soft" data-count=${look}>${count(numbers[look])}</span></li>
        `,
      )}
    </ul>
  ` as VNode;
}

const swatchSize = 20;

function Swatch({ look }: { look: Look }): VNode {
  const canvas = useRef<HTMLCanvasElement>(null);
  const ratio = useMemo(() => Math.max(1, Math.ceil(devicePixelRatio)), []);
  useEffect(() => {
    const draw = (): void => {
      const context = canvas.current!.getContext('2d')!;
      context.clearRect(0, 0, swatchSize * ratio, swatchSize * ratio);
      drawSeat(context, look, swatchSize * ratio, coloursOf(canvas.current!));
    };
    draw();
    document.addEventListener(coloursEvent, draw);
    return () => document.removeEventListener(coloursEvent, draw);
  }, [look, ratio]);
  return html`<canvas class="swatch" ref=${canvas} width=${swatchSize * ratio} height=${swatchSize * ratio} aria-hidden="true"></canvas>` as VNode;
}
