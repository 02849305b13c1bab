import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it, test } from 'vitest';
import { exhibits, type GrowthResult } from '../growth/report.ts';
import { type BarPlot, cellText, type LinePlot, type Table } from '../load/exhibits.ts';
import { barsOf } from './bars.ts';
import { reportMarkdown, tableMarkdown } from './markdown.ts';
import { plotSvg } from './plot.ts';

const mainPath = fileURLToPath(new URL('../main.ts', import.meta.url));
const run = (...args: string[]): Promise<{ stdout: string; stderr: string }> =>
  promisify(execFile)(process.execPath, [mainPath, 'report', ...args], {
    env: { ...process.env, REDIS_URL: inject('redisUrl'), MYSQL_URL: inject('mysqlUrl') },
  });
const svgBytesMax = 40 * 1024;

/** Throws when a text is no well-formed XML: tags closed in order, attributes quoted and once, no bare `<` or `&`. */
function parseXml(text: string): void {
  const open: string[] = [];
  const token =
    /<!\[CDATA\[[\s\S]*?\]\]>|<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<\/([\w:-]+)\s*>|<([\w:-]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>|[^<]+/y;
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (match === null) throw new Error(`no XML: ${text.slice(at, at + 80)}`);
    const [whole, closed, opened, attributes = '', slash] = match;
    if (!whole.startsWith('<!') && /&(?!(amp|lt|gt|quot|apos|#\d+);)/.test(whole)) throw new Error(`bare &: ${whole}`);
    const names = [...attributes.matchAll(/([\w:-]+)=/g)].map(([, name]) => name);
    if (new Set(names).size < names.length) throw new Error(`an attribute twice: ${whole}`);
    if (closed !== undefined && open.pop() !== closed) throw new Error(`</${closed}> closes nothing`);
    if (opened !== undefined && slash === '') open.push(opened);
  }
  if (open.length > 0) throw new Error(`not closed: ${open.join(', ')}`);
}

describe('a report', () => {
  let out = '';
  const files = (): string[] => readdirSync(out, { recursive: true, encoding: 'utf8' }).sort();
  const contents = (): (string | null)[] =>
    files().map((name) => (name.includes('.') ? readFileSync(join(out, name), 'utf8') : null));

  beforeAll(async () => {
    out = mkdtempSync(join(tmpdir(), 'fastpass-report-'));
    const { stdout } = await run('--quick', '--only', 'growth', '--out', out);
    expect(stdout).toBe(`${join(out, 'REPORT.md')}\n`);
  }, 120_000);

  afterAll(() => rmSync(out, { recursive: true, force: true }));

  it('has every number of the raw results, the command and the machine', () => {
    const page = readFileSync(join(out, 'REPORT.md'), 'utf8');
    const raw: { result: GrowthResult } = JSON.parse(readFileSync(join(out, 'report/growth.json'), 'utf8'));
    const lines = page.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
    const { tables } = exhibits(raw.result);
    expect(tables).toHaveLength(1);
    for (const { rows } of tables) {
      for (const row of rows) expect(lines).toContainEqual(['', ...row.map(cellText), '']);
    }
    expect(page).toContain('npm run bench -- growth --axes performances');
    expect(page).toContain(`| Node.js | ${process.version.slice(1)} |`);
  });

  it('shows pictures that are there, are well-formed and small, and run nothing', () => {
    const page = readFileSync(join(out, 'REPORT.md'), 'utf8');
    const shown = [...page.matchAll(/!\[.*?\]\((.*?)\)/g)].map(([, path]) => path!);
    expect(shown).toEqual(['report/growth-performances.svg']);
    for (const path of shown) {
      const svg = readFileSync(join(out, path), 'utf8');
      parseXml(svg);
      expect(svg).not.toContain('<script');
      expect(svg.length).toBeLessThan(svgBytesMax);
    }
  });

  it('is the same again, to the byte, when it is only rendered', async () => {
    const before = contents();
    await run('--render', '--out', out);
    expect(contents()).toEqual(before);
  });
});

test('a bench that the report does not know is wrong usage', async () => {
  const failure = await run('--only', 'weather').catch((thrown) => thrown);
  expect(failure.code).toBe(2);
  expect(failure.stderr).toContain('npm run bench -- report');
});

test('a report without numbers says so', () => {
  expect(reportMarkdown([])).toContain('Nothing was measured');
});

test('a table as Markdown has numbers to the right and its bars escaped', () => {
  const table: Table = {
    title: 'Ways',
    columns: ['way', 'requests/s', 'note'],
    rows: [
      ['a | b', 12_345.6, 'x'],
      ['c', null, ''],
    ],
  };
  const lines = ['| way | requests/s | note |', '| --- | ---: | --- |', '| a \\| b | 12,346 | x |', '| c |  |  |'];
  expect(tableMarkdown(table)).toBe(`**Ways**\n\n${lines.join('\n')}\n`);
});

describe('bars', () => {
  const table: Table = {
    title: 'Ways',
    columns: ['way', 'requests/s', 'note'],
    rows: [
      ['this <gateway> & more', 14_000, ''],
      ['Redlock', 600, ''],
      ['not measured', null, ''],
    ],
  };
  const wanted = {
    name: 'ways',
    title: 'Holds a second',
    table: 'Ways',
    column: 'requests/s',
    x: { title: 'requests a second', scale: 'linear' },
    highlighted: ['this <gateway> & more'],
  } as const;

  it('are the numbers of a column, one a row', () => {
    expect(barsOf([table], wanted).bars).toEqual([
      { name: 'this <gateway> & more', value: 14_000, isHighlighted: true },
      { name: 'Redlock', value: 600, isHighlighted: false },
    ]);
  });

  it('of a column that is not there are a fault', () => {
    expect(() => barsOf([table], { ...wanted, column: 'weather' })).toThrow('no column weather');
    expect(() => barsOf([], wanted)).toThrow('in a table Ways');
  });
});

describe('a picture', () => {
  const bars: BarPlot = {
    kind: 'bars',
    name: 'ways',
    title: 'Holds a second',
    x: { title: 'requests a second', scale: 'linear' },
    bars: [{ name: 'this <gateway> & more', value: 14_000, isHighlighted: true }],
  };
  const lines: LinePlot = {
    name: 'lines',
    title: 'Growth',
    x: { title: 'users', scale: 'log' },
    y: { title: 'seconds', scale: 'log' },
    series: ['one', 'two'].map((name, index) => ({
      name,
      points: [
        [100, 5 + index],
        [2000, 70],
      ],
    })),
  };

  it.each([bars, lines])('of $name is well-formed, names what it shows, and is the same every time', (plot) => {
    const svg = plotSvg(plot);
    parseXml(svg);
    const names = plot.kind === 'bars' ? ['this &lt;gateway&gt; &amp; more', '14,000'] : ['one', 'two', 'seconds'];
    for (const text of [plot.title, plot.x.title, ...names]) expect(svg).toContain(`>${text}</text>`);
    plotSvg(bars);
    expect(plotSvg(plot)).toBe(svg);
  });
});
