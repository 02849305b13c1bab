/**
 * Where each seat of a hall lies: rows one behind the other, the stage in front, aisles between blocks. The unit is the
 * width of a seat. A hall that is much too long is laid out in sections side by side; a row that is much too wide, as of a
 * performance of so many seats and no rows, in several lines.
 */

export interface HallPlan {
  readonly seats: number;
  readonly seatsPerRow: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

const aisleWidth = 1;
/** Between two sections that stand side by side. */
const sectionGap = 4;
/** Left of each section: the letters of its rows. */
const rowNameWidth = 2;
/** A large hall has a large stage: it is to be seen when all of it is. */
const stageHeightMin = 2;
const stageShare = 0.06;
const stageGap = 1.5;
const margin = 1;
/** A block is about as wide: nobody climbs over more than half of it. */
const blockWidth = 14;
const bandHeight = 20;
/** Width to height, as screens are. */
const goodShape = 1.6;
const tooWide = 25;
const lineLengthMin = 14;

/** The starts of `length` seats in a line with an aisle after each block. */
function startsOf(length: number, blockLength: number): { starts: Float64Array; blocks: Uint16Array } {
  const count = Math.max(1, Math.round(length / blockLength));
  const blocks = Uint16Array.from({ length }, (_, index) => Math.floor((index * count) / length));
  return { starts: Float64Array.from(blocks, (block, index) => index + block * aisleWidth), blocks };
}

/** The last index whose start is not after `value`; -1 for none. */
function lastAtOrBefore(starts: Float64Array, value: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export class Layout {
  readonly seats: number;
  readonly seatsPerRow: number;
  readonly width: number;
  readonly height: number;
  /** Seats in a line; a line is a row, or a part of one. */
  readonly lineLength: number;
  readonly lines: number;
  readonly sections: number;
  readonly linesPerSection: number;
  readonly stage: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  readonly #top: number;
  readonly #linesPerRow: number;
  readonly #sectionWidth: number;
  readonly #columnStarts: Float64Array;
  readonly #lineStarts: Float64Array;
  readonly #blocks: Uint16Array;

  constructor({ seats, seatsPerRow }: HallPlan) {
    this.seats = seats;
    this.seatsPerRow = seatsPerRow;
    const rows = Math.ceil(seats / seatsPerRow);
    const isTooWide = seatsPerRow > lineLengthMin && seatsPerRow / rows > tooWide;
    const lengthMax = Math.max(lineLengthMin, Math.ceil(Math.sqrt(seats * goodShape)));
    this.#linesPerRow = isTooWide ? Math.ceil(seatsPerRow / lengthMax) : 1;
    this.lineLength = Math.ceil(seatsPerRow / this.#linesPerRow);
    this.lines = rows * this.#linesPerRow;
    // Side by side they are `sections` times as wide and as much less high.
    const sections = Math.max(1, Math.round(Math.sqrt((this.lines * goodShape) / this.lineLength / 2)));
    this.linesPerSection = Math.ceil(this.lines / sections);
    this.sections = Math.ceil(this.lines / this.linesPerSection);
    const columns = startsOf(this.lineLength, blockWidth);
    this.#columnStarts = columns.starts;
    this.#blocks = columns.blocks;
    this.#lineStarts = startsOf(this.linesPerSection, bandHeight).starts;
    this.#sectionWidth = rowNameWidth + columns.starts[this.lineLength - 1]! + 1;
    this.width = 2 * margin + this.sections * this.#sectionWidth + (this.sections - 1) * sectionGap + rowNameWidth;
    const depth = this.#lineStarts[this.linesPerSection - 1]! + 1;
    // In quarters, which numbers hold exactly: a point on the edge of a seat is on that seat.
    const stageHeight = Math.max(stageHeightMin, Math.ceil(depth * stageShare * 4) / 4);
    this.#top = margin + stageHeight + stageGap;
    this.height = this.#top + depth + margin;
    const stageWidth = Math.max(6, this.width * 0.5);
    this.stage = { x: (this.width - stageWidth) / 2, y: margin, width: stageWidth, height: stageHeight };
  }

  /** The line of a seat, and where in it. */
  lineOf(seat: number): { readonly line: number; readonly column: number } {
    const inRow = (seat - 1) % this.seatsPerRow;
    const row = (seat - 1 - inRow) / this.seatsPerRow;
    const part = Math.floor(inRow / this.lineLength);
    return { line: row * this.#linesPerRow + part, column: inRow - part * this.lineLength };
  }

  /** The seat of a line; 0 for none, at the ends of short lines. */
  seatOf(line: number, column: number): number {
    const part = line % this.#linesPerRow;
    const inRow = part * this.lineLength + column;
    if (line < 0 || line >= this.lines || column < 0 || column >= this.lineLength || inRow >= this.seatsPerRow)
      return 0;
    const seat = ((line - part) / this.#linesPerRow) * this.seatsPerRow + inRow + 1;
    return seat <= this.seats ? seat : 0;
  }

  /** Whether the line is the first one of its row. */
  startsRow(line: number): boolean {
    return line % this.#linesPerRow === 0;
  }

  sectionLeft(section: number): number {
    return margin + section * (this.#sectionWidth + sectionGap) + rowNameWidth;
  }

  columnX(column: number): number {
    return this.#columnStarts[column]!;
  }

  /** The top of a line, of a section counted from its own first one. */
  lineY(lineInSection: number): number {
    return this.#top + this.#lineStarts[lineInSection]!;
  }

  /** The upper left corner of a seat. */
  placeOf(seat: number): Point {
    const { line, column } = this.lineOf(seat);
    const section = Math.floor(line / this.linesPerSection);
    return {
      x: this.sectionLeft(section) + this.columnX(column),
      y: this.lineY(line - section * this.linesPerSection),
    };
  }

  /** The seat at a point; 0 for none. */
  seatAt(x: number, y: number): number {
    for (let section = 0; section < this.sections; section++) {
      const inX = x - this.sectionLeft(section);
      const column = lastAtOrBefore(this.#columnStarts, inX);
      if (column < 0 || inX >= this.columnX(column) + 1) continue;
      const inY = y - this.#top;
      const line = lastAtOrBefore(this.#lineStarts, inY);
      if (line < 0 || inY >= this.#lineStarts[line]! + 1) return 0;
      return this.seatOf(section * this.linesPerSection + line, column);
    }
    return 0;
  }

  /** Columns of a section, or its lines, that an interval touches: `[first, behind the last)`. */
  columnsBetween(section: number, left: number, right: number): readonly [number, number] {
    const at = this.sectionLeft(section);
    return [
      Math.max(0, lastAtOrBefore(this.#columnStarts, left - at)),
      lastAtOrBefore(this.#columnStarts, right - at) + 1,
    ];
  }

  linesBetween(top: number, bottom: number): readonly [number, number] {
    return [
      Math.max(0, lastAtOrBefore(this.#lineStarts, top - this.#top)),
      lastAtOrBefore(this.#lineStarts, bottom - this.#top) + 1,
    ];
  }

  /** Whether two seats of one line have no aisle between them. */
  isSameBlock(column: number, other: number): boolean {
    return this.#blocks[column] === this.#blocks[other];
  }
}
