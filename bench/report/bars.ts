/** Bar plots made of the tables that the benches have anyway. */
import type { Axis, BarPlot, Table } from '../load/exhibits.ts';

/** One column of a table as bars, a bar a row. */
export interface BarsOfTable {
  /** Of the file. */
  readonly name: string;
  readonly title: string;
  /** What the title of the table begins with, and the head of its column. */
  readonly table: string;
  readonly column: string;
  readonly x: Axis;
  /** First cells of the rows that the others are to be compared with. */
  readonly highlighted: readonly string[];
}

/** The plot; rows without a number have no bar. Throws when there is no such table or column. */
export function barsOf(tables: readonly Table[], wanted: BarsOfTable): BarPlot {
  const { name, title, x, highlighted } = wanted;
  const table = tables.find((each) => each.title.startsWith(wanted.table));
  const index = table?.columns.indexOf(wanted.column) ?? -1;
  if (table === undefined || index < 1) throw new Error(`no column ${wanted.column} in a table ${wanted.table}`);
  const bars = table.rows.flatMap((row) => {
    const [label, value] = [String(row[0]), row[index]];
    return typeof value === 'number' ? [{ name: label, value, isHighlighted: highlighted.includes(label) }] : [];
  });
  return { kind: 'bars', name, title, x, bars };
}
