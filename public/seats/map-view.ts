/**
 * The seat map on its canvas: what is seen, and when it is drawn again. Nothing is drawn but in a frame of the browser, and
 * only where something has changed: all of it for another view, single seats for another state.
 */

import type { Layout } from './layout.ts';
import { coloursOf, type Look } from './map-colours.ts';
import { Painter, type Scene } from './map-painter.ts';
import { clampView, fitScale, fitView, panBy, reveal, type Size, type View, zoomAt } from './viewport.ts';

export interface MapSource {
  readonly layout: Layout;
  readonly lookOf: (seat: number) => Look;
  readonly labelOf: (seat: number) => string;
  readonly stageText: string;
}

/** More than these at once: all is drawn again. */
const changedMax = 2000;
const frameName = 'seat-map-frame';
const framesKept = 500;

export class MapView {
  readonly #canvas: HTMLCanvasElement;
  readonly #source: MapSource;
  readonly #painter: Painter;
  readonly #resizes: ResizeObserver;
  #view: View = { scale: 1, x: 0, y: 0 };
  #screen: Size = { width: 1, height: 1 };
  #ratio = 1;
  #cursor = 0;
  #hovered = 0;
  #isAllDirty = true;
  /** The whole hall stays in view when the window changes, until somebody zooms. */
  #isFitted = true;
  readonly #changed = new Set<number>();
  #frame = 0;
  #frames = 0;

  constructor(canvas: HTMLCanvasElement, source: MapSource) {
    this.#canvas = canvas;
    this.#source = source;
    this.#painter = new Painter(canvas.getContext('2d')!, coloursOf(canvas));
    this.#resizes = new ResizeObserver(() => this.#resize());
    this.#resizes.observe(canvas);
    this.#resize();
  }

  close(): void {
    this.#resizes.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  get cursor(): number {
    return this.#cursor;
  }

  set cursor(seat: number) {
    this.#cursor = seat;
    if (seat !== 0)
      this.#view = reveal(this.#view, this.#source.layout.placeOf(seat), this.#source.layout, this.#screen);
    this.#redraw();
  }

  get hovered(): number {
    return this.#hovered;
  }

  set hovered(seat: number) {
    if (seat === this.#hovered) return;
    this.#hovered = seat;
    this.#redraw();
  }

  get isZoomed(): boolean {
    return this.#view.scale > fitScale(this.#source.layout, this.#screen) * 1.001;
  }

  /** The seat at a point of the canvas, in CSS pixels; 0 for none. */
  seatAt(x: number, y: number): number {
    return this.#source.layout.seatAt(this.#view.x + x / this.#view.scale, this.#view.y + y / this.#view.scale);
  }

  /** The upper middle of a seat, in CSS pixels of the canvas. */
  pointOf(seat: number): { x: number; y: number } {
    const { x, y } = this.#source.layout.placeOf(seat);
    return { x: (x + 0.5 - this.#view.x) * this.#view.scale, y: (y - this.#view.y) * this.#view.scale };
  }

  get seatSize(): number {
    return this.#view.scale;
  }

  fit(): void {
    this.#isFitted = true;
    this.#show(fitView(this.#source.layout, this.#screen));
  }

  zoom(factor: number, at?: { x: number; y: number }): void {
    const middle = { x: this.#screen.width / 2, y: this.#screen.height / 2 };
    this.#show(zoomAt(this.#view, factor, at ?? middle, this.#source.layout, this.#screen));
    this.#isFitted = !this.isZoomed;
  }

  pan(dx: number, dy: number): void {
    this.#show(panBy(this.#view, dx, dy, this.#source.layout, this.#screen));
  }

  seatsChanged(seats: Iterable<number>): void {
    for (const seat of seats) this.#changed.add(seat);
    if (this.#changed.size > changedMax) this.#isAllDirty = true;
    this.#request();
  }

  coloursChanged(): void {
    this.#painter.colours = coloursOf(this.#canvas);
    this.#redraw();
  }

  #show(view: View): void {
    this.#view = view;
    this.#redraw();
  }

  #redraw(): void {
    this.#isAllDirty = true;
    this.#request();
  }

  #request(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(() => this.#draw());
  }

  #resize(): void {
    const { clientWidth, clientHeight } = this.#canvas;
    if (clientWidth === 0 || clientHeight === 0) return;
    this.#screen = { width: clientWidth, height: clientHeight };
    this.#ratio = devicePixelRatio;
    this.#canvas.width = Math.round(clientWidth * this.#ratio);
    this.#canvas.height = Math.round(clientHeight * this.#ratio);
    const { layout } = this.#source;
    this.#show(this.#isFitted ? fitView(layout, this.#screen) : clampView(this.#view, layout, this.#screen));
  }

  #draw(): void {
    this.#frame = 0;
    // The window may have moved to a screen of another kind.
    if (devicePixelRatio !== this.#ratio) this.#resize();
    const scene: Scene = { ...this.#source, cursor: this.#cursor, hovered: this.#hovered };
    const startMs = performance.now();
    const isDone = !this.#isAllDirty && this.#painter.paintSeats(scene, this.#view, this.#ratio, this.#changed);
    if (!isDone) this.#painter.paint(scene, this.#view, this.#screen, this.#ratio);
    // Seen in the browser's profile, and by what measures this page; browsers keep them until they are told.
    if (++this.#frames % framesKept === 0) performance.clearMeasures(frameName);
    performance.measure(frameName, { start: startMs, end: performance.now() });
    this.#isAllDirty = false;
    this.#changed.clear();
  }
}
