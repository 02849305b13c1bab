/**
 * Draws what is seen of a hall. A seat says its state by its shape, too: free is full, held a ring, taken a small cross,
 * mine a tick. Shapes are drawn once a size and copied from then on.
 *
 * Measured in headless Chromium on two cores without a graphics card, 20,000 seats of mixed states, all in view at
 * 1200 x 640: 4.2 ms a frame in the middle of several runs beside other work; zoomed in less.
 */
import type { Layout } from './layout.ts';
import { type Colours, type Look, looks } from './map-colours.ts';
import type { Size, View } from './viewport.ts';

/** CSS pixels. Below this size a shape is no more than a dot of colour. */
const shapeSizeMin = 7;
const labelSizeMin = 24;
const rowNameSizeMin = 10;
/** Seats smaller than this are drawn several in one, so that the work of a frame has a limit. */
const dotSizeMin = 2.5;

export interface Scene {
  readonly layout: Layout;
  readonly lookOf: (seat: number) => Look;
  readonly labelOf: (seat: number) => string;
  readonly stageText: string;
  /** 0 for none. */
  readonly cursor: number;
  readonly hovered: number;
}

/** One seat, `size` pixels wide with the space around it. */
export function drawSeat(context: CanvasRenderingContext2D, look: Look, size: number, colours: Colours): void {
  const gap = Math.max(1, Math.round(size * 0.1));
  const inner = size - 2 * gap;
  const stroke = Math.max(1.25, size * 0.09);
  context.fillStyle = colours.seat[look];
  context.strokeStyle = colours.seat[look];
  context.lineWidth = stroke;
  context.lineCap = 'round';
  context.lineJoin = 'round';
  context.beginPath();
  if (look === 'taken') {
    const from = size * 0.32;
    const to = size - from;
    context.moveTo(from, from);
    context.lineTo(to, to);
    context.moveTo(to, from);
    context.lineTo(from, to);
    context.stroke();
    return;
  }
  if (look === 'held') {
    const half = stroke / 2;
    context.roundRect(gap + half, gap + half, inner - stroke, inner - stroke, size * 0.22);
    context.stroke();
    return;
  }
  context.roundRect(gap, gap, inner, inner, size * 0.22);
  context.fill();
  if (look !== 'mine') return;
  context.strokeStyle = colours.onSeat.mine;
  context.beginPath();
  context.moveTo(size * 0.3, size * 0.52);
  context.lineTo(size * 0.44, size * 0.66);
  context.lineTo(size * 0.7, size * 0.36);
  context.stroke();
}

export class Painter {
  readonly #context: CanvasRenderingContext2D;
  readonly #sprites = new Map<Look, HTMLCanvasElement>();
  #colours: Colours;
  #spriteSize = 0;
  /** Device pixels a CSS pixel. */
  #ratio = 1;

  constructor(context: CanvasRenderingContext2D, colours: Colours) {
    this.#context = context;
    this.#colours = colours;
  }

  set colours(colours: Colours) {
    this.#colours = colours;
    this.#spriteSize = 0;
  }

  /** All that is seen. */
  paint(scene: Scene, view: View, screen: Size, ratio: number): void {
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    this.#ratio = ratio;
    const scale = view.scale * ratio;
    this.#prepare(Math.max(1, Math.round(scale)));
    this.#paintStage(scene, view, scale);
    const { layout } = scene;
    const right = view.x + screen.width / view.scale;
    const bottom = view.y + screen.height / view.scale;
    const step = view.scale >= dotSizeMin ? 1 : Math.ceil(dotSizeMin / view.scale);
    const [firstLine, lastLine] = layout.linesBetween(view.y, bottom);
    for (let section = 0; section < layout.sections; section++) {
      const [firstColumn, lastColumn] = layout.columnsBetween(section, view.x, right);
      for (let line = firstLine - (firstLine % step); line < lastLine; line += step) {
        this.#paintLine(scene, view, scale, section, line, [firstColumn - (firstColumn % step), lastColumn], step);
      }
      if (view.scale >= rowNameSizeMin) this.#paintRowNames(scene, view, scale, section, firstLine, lastLine);
    }
    this.#paintMarks(scene, view, scale);
  }

  /** Some seats again, the view as it was; false where this size is drawn several in one. */
  paintSeats(scene: Scene, view: View, ratio: number, seats: Iterable<number>): boolean {
    if (view.scale < dotSizeMin) return false;
    this.#ratio = ratio;
    const scale = view.scale * ratio;
    this.#prepare(Math.max(1, Math.round(scale)));
    for (const seat of seats) {
      const place = scene.layout.placeOf(seat);
      const x = Math.round((place.x - view.x) * scale);
      const y = Math.round((place.y - view.y) * scale);
      this.#context.clearRect(x, y, this.#spriteSize, this.#spriteSize);
      this.#paintSeat(scene, seat, x, y);
    }
    this.#paintMarks(scene, view, scale);
    return true;
  }

  /** Shapes of a size, once. */
  #prepare(size: number): void {
    if (size === this.#spriteSize) return;
    this.#spriteSize = size;
    for (const look of looks) {
      const sprite = document.createElement('canvas');
      sprite.width = size;
      sprite.height = size;
      drawSeat(sprite.getContext('2d')!, look, size, this.#colours);
      this.#sprites.set(look, sprite);
    }
  }

  #paintLine(
    scene: Scene,
    view: View,
    scale: number,
    section: number,
    lineInSection: number,
    [first, last]: readonly [number, number],
    step: number,
  ): void {
    const { layout } = scene;
    const line = section * layout.linesPerSection + lineInSection;
    const left = layout.sectionLeft(section) - view.x;
    const y = Math.round((layout.lineY(lineInSection) - view.y) * scale);
    for (let column = first; column < last; column += step) {
      const seat = layout.seatOf(line, column);
      if (seat === 0) continue;
      const x = Math.round((left + layout.columnX(column)) * scale);
      if (step === 1) this.#paintSeat(scene, seat, x, y);
      else this.#dot(scene.lookOf(seat), x, y, Math.max(1, Math.round(scale * step) - 1));
    }
  }

  #paintSeat(scene: Scene, seat: number, x: number, y: number): void {
    const size = this.#spriteSize;
    const look = scene.lookOf(seat);
    if (size < shapeSizeMin * this.#ratio) return this.#dot(look, x, y, size > 2 ? size - 1 : size);
    this.#context.drawImage(this.#sprites.get(look)!, x, y);
    if (size < labelSizeMin * this.#ratio || look === 'taken' || look === 'mine') return;
    const label = scene.labelOf(seat);
    this.#context.fillStyle = look === 'free' ? this.#colours.onSeat.free : this.#colours.soft;
    this.#text(label.slice(label.lastIndexOf('-') + 1), x + size / 2, y + size / 2, size * 0.38);
  }

  /** Too small for a shape: taken ones are fainter by being smaller. */
  #dot(look: Look, x: number, y: number, size: number): void {
    const context = this.#context;
    context.fillStyle = this.#colours.seat[look];
    if (look === 'taken' && size > 2) context.fillRect(x + 1, y + 1, size - 2, size - 2);
    else context.fillRect(x, y, size, size);
  }

  #text(text: string, x: number, y: number, size: number): void {
    const context = this.#context;
    context.font = `600 ${Math.round(size)}px system-ui, sans-serif`;
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.fillText(text, x, y);
  }

  #paintStage({ layout: { stage }, stageText }: Scene, view: View, scale: number): void {
    const context = this.#context;
    const x = (stage.x - view.x) * scale;
    const y = (stage.y - view.y) * scale;
    const corner = (stage.height * scale) / 2;
    context.fillStyle = this.#colours.line;
    context.beginPath();
    context.roundRect(x, y, stage.width * scale, stage.height * scale, [corner / 3, corner / 3, corner, corner]);
    context.fill();
    context.fillStyle = this.#colours.ink;
    const size = Math.min(stage.height * scale * 0.5, 28 * this.#ratio, (stage.width * scale) / 6);
    if (size >= 7) this.#text(stageText, x + (stage.width * scale) / 2, y + (stage.height * scale) / 2, size);
  }

  #paintRowNames(
    { layout, labelOf }: Scene,
    view: View,
    scale: number,
    section: number,
    first: number,
    last: number,
  ): void {
    this.#context.fillStyle = this.#colours.soft;
    const x = (layout.sectionLeft(section) - view.x - 0.9) * scale;
    for (let line = first; line < last; line++) {
      const at = section * layout.linesPerSection + line;
      const seat = layout.seatOf(at, 0);
      if (seat === 0 || !layout.startsRow(at)) continue;
      const label = labelOf(seat);
      const y = (layout.lineY(line) - view.y + 0.5) * scale;
      this.#text(label.slice(0, label.lastIndexOf('-')), x, y, Math.min(scale * 0.5, 16 * this.#ratio));
    }
  }

  /** Where the keyboard and the mouse are. */
  #paintMarks({ layout, cursor, hovered }: Scene, view: View, scale: number): void {
    const context = this.#context;
    for (const seat of new Set([hovered, cursor])) {
      if (seat === 0) continue;
      const place = layout.placeOf(seat);
      const size = Math.max(this.#spriteSize, 9 * this.#ratio);
      const middle = (value: number): number => Math.round(value * scale) + (this.#spriteSize - size) / 2;
      context.strokeStyle = this.#colours.ink;
      context.lineWidth = seat === cursor ? 2 * this.#ratio : this.#ratio;
      context.beginPath();
      context.roundRect(middle(place.x - view.x), middle(place.y - view.y), size, size, size * 0.24);
      context.stroke();
    }
  }
}
