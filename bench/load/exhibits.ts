/** What a bench shows of its result, in the same shape for a terminal and for the report: tables and plots. */

export type Cell = string | number | null;

export interface Table {
  readonly title: string;
  /** Heads with their units: the first column names the row. */
  readonly columns: readonly string[];
  /** As many cells as columns; null where there is nothing to say. */
  readonly rows: readonly (readonly Cell[])[];
}

export interface Axis {
  /** With its unit. */
  readonly title: string;
  readonly scale: 'linear' | 'log';
}

export interface LinePlot {
  readonly kind?: 'lines';
  /** Of the file: small letters and hyphens. */
  readonly name: string;
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  /** Lines through points, in the order of x. */
  readonly series: readonly { readonly name: string; readonly points: readonly (readonly [number, number])[] }[];
}

/** Horizontal bars, the first one on top, with their values written at their ends. */
export interface BarPlot {
  readonly kind: 'bars';
  readonly name: string;
  readonly title: string;
  /** Of the values. */
  readonly x: Axis;
  /** Those highlighted are what the others are to be compared with. */
  readonly bars: readonly { readonly name: string; readonly value: number; readonly isHighlighted: boolean }[];
}

export type Plot = LinePlot | BarPlot;

export interface Exhibits {
  readonly tables: readonly Table[];
  readonly plots: readonly Plot[];
}

/** Three digits that count, as people compare them: 93,214 stays whole, 0.5871 becomes 0.587. */
export function cellText(cell: Cell): string {
  if (cell === null) return '';
  if (typeof cell === 'string') return cell;
  if (Number.isInteger(cell) || Math.abs(cell) >= 100) return Math.round(cell).toLocaleString('en-US');
  return String(Number(cell.toPrecision(3)));
}

/** The table for a terminal, with a newline at its end: the first column to the left, numbers to the right. */
export function tableText({ title, columns, rows }: Table): string {
  const texts = [columns, ...rows.map((row) => row.map(cellText))];
  const widths = columns.map((_, i) => Math.max(...texts.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `  ${row.map((text, i) => (i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join('   ')}`.trimEnd();
  return `${[title, '', ...texts.map(line)].join('\n')}\n`;
}
