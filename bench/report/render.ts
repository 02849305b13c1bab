/** Writes the page and its pictures from the raw numbers that lie beside it. The same numbers give the same bytes. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { barsOf } from './bars.ts';
import { type Chapter, type Run, reportMarkdown } from './markdown.ts';
import { plotSvg } from './plot.ts';
import { sections } from './sections.ts';

/** Where the raw numbers and the pictures lie in the folder of the page. */
const besideOf = (out: string): string => join(out, 'report');

/** Keeps the run of a bench for the page. */
export function keepRun(out: string, name: string, run: Run): void {
  mkdirSync(besideOf(out), { recursive: true });
  writeFileSync(join(besideOf(out), `${name}.json`), `${JSON.stringify(run, null, 1)}\n`);
}

function chaptersIn(out: string): Chapter[] {
  return sections.flatMap((section) => {
    const path = join(besideOf(out), `${section.name}.json`);
    if (!existsSync(path)) return [];
    const run: Run = JSON.parse(readFileSync(path, 'utf8'));
    const { tables, plots } = section.exhibits(JSON.stringify(run.result));
    const bars = section.bars.map((wanted) => barsOf(tables, wanted));
    return [{ section, run, exhibits: { tables, plots: [...bars, ...plots] } }];
  });
}

/** Returns the path of the page. Pictures that it no longer shows are removed. */
export function render(out: string): string {
  const chapters = chaptersIn(out);
  mkdirSync(besideOf(out), { recursive: true });
  const plots = chapters.flatMap(({ exhibits }) => exhibits.plots);
  const shown = new Set(plots.map(({ name }) => `${name}.svg`));
  if (shown.size < plots.length) throw new Error('two plots have one name');
  for (const name of readdirSync(besideOf(out))) {
    if (name.endsWith('.svg') && !shown.has(name)) rmSync(join(besideOf(out), name));
  }
  for (const plot of plots) writeFileSync(join(besideOf(out), `${plot.name}.svg`), plotSvg(plot));
  const path = join(out, 'REPORT.md');
  writeFileSync(path, reportMarkdown(chapters));
  return path;
}
