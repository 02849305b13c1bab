/** The page: how it was made, then a section a bench with its command, text, tables and plots. */
import { type Cell, cellText, type Exhibits, type Plot, type Table } from '../load/exhibits.ts';
import type { Facts, Source } from './machine.ts';
import type { Section } from './sections.ts';

/** What is kept of a run, beside the page. */
export interface Run {
  readonly command: string;
  /** ISO 8601. */
  readonly date: string;
  readonly tookSeconds: number;
  readonly source: Source;
  readonly machine: Facts;
  /** As the bench printed it. */
  readonly result: unknown;
}

export interface Chapter {
  readonly section: Section;
  readonly run: Run;
  readonly exhibits: Exhibits;
}

const commitDigits = 12;
const escaped = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

function lineOf(cells: readonly string[]): string {
  return `| ${cells.map(escaped).join(' | ')} |`;
}

/** A table as Markdown, with its title: columns of numbers to the right. */
export function tableMarkdown({ title, columns, rows }: Table): string {
  const isNumber = (cell: Cell | undefined): boolean => cell === null || typeof cell === 'number';
  const rules = columns.map((_, i) => (i > 0 && rows.every((row) => isNumber(row[i])) ? '---:' : '---'));
  const lines = [lineOf(columns), `| ${rules.join(' | ')} |`, ...rows.map((row) => lineOf(row.map(cellText)))];
  return `**${escaped(title)}**\n\n${lines.join('\n')}\n`;
}

function sourceText({ commit, isDirty }: Source): string {
  const name = commit === null ? 'no commit known' : `commit ${commit.slice(0, commitDigits)}`;
  return isDirty ? `${name} with changes that are not committed` : name;
}

function plotMarkdown({ name, title }: Plot): string {
  return `![${title}](report/${name}.svg)\n`;
}

function chapterMarkdown({ section, run, exhibits }: Chapter, machine: Facts): string {
  const { title, text, name } = section;
  const parts = [`## ${title}\n`, `${text}\n`, `\`\`\`sh\n${run.command}\n\`\`\`\n`];
  const took = `${Math.ceil(run.tookSeconds / 60)} min`;
  parts.push(`${sourceText(run.source)}, ${run.date}, ${took}; raw numbers: [${name}.json](report/${name}.json)\n`);
  const others = Object.entries(run.machine).filter(([what, value]) => machine[what] !== value);
  if (others.length > 0) parts.push(`Made elsewhere: ${others.map((fact) => fact.join(' ')).join(', ')}.\n`);
  // What is seen at a glance first.
  parts.push(...exhibits.plots.map(plotMarkdown), ...exhibits.tables.map(tableMarkdown));
  return parts.join('\n');
}

/** The whole page; the machine is that of the newest run. */
export function reportMarkdown(chapters: readonly Chapter[]): string {
  const newest = chapters.map(({ run }) => run).toSorted((a, b) => b.date.localeCompare(a.date))[0];
  if (newest === undefined) return '# Benchmarks\n\nNothing was measured yet.\n';
  const facts: Table = {
    title: 'How it was made',
    columns: ['', ''],
    rows: [
      ['Code', sourceText(newest.source)],
      ['Date', newest.date],
      ...Object.entries(newest.machine),
      ['Command', 'npm run bench -- report'],
    ],
  };
  const head = `# Benchmarks

Made by \`npm run bench -- report\`; do not edit. Load, gateway, Redis and MySQL share one machine and loopback: what counts are
ratios within one run, not the numbers of requests. Processor time is what Linux has counted for a process.
`;
  const parts = [head, tableMarkdown(facts), ...chapters.map((chapter) => chapterMarkdown(chapter, newest.machine))];
  return parts.join('\n');
}
