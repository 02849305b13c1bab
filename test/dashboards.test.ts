/** The dashboards and rules as files: those that the tables make, whole, and with a runbook for who is woken by them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { dashboards } from '../grafana/dashboards.ts';
import { generatedFiles } from '../grafana/files.ts';
import { dashboardOf } from '../grafana/panels.ts';
import { alerts, limits, rulesText } from '../grafana/rules.ts';
import { readConfig } from '../src/config.ts';

const folder = new URL('../grafana/', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, folder), 'utf8');

describe('the files in grafana', () => {
  it('are what npm run dashboards writes', () => {
    const stale = [...generatedFiles()].filter(
      ([path, text]) => !existsSync(new URL(path, folder)) || read(path) !== text,
    );
    expect(stale.map(([path]) => path)).toEqual([]);
  });

  it('hold no dashboard that no table makes', () => {
    const written = readdirSync(new URL('dashboards', folder)).map((name) => `dashboards/${name}`);
    expect(written.filter((path) => !generatedFiles().has(path))).toEqual([]);
  });

  it('provision the folder and the data source that Grafana is to have', () => {
    expect(parse(read('provisioning/dashboards/fastpass.yml')).providers).toMatchObject([{ type: 'file' }]);
    expect(parse(read('provisioning/datasources/prometheus.yml')).datasources).toMatchObject([{ type: 'prometheus' }]);
  });

  it('take rates over the interval of the scrapes', () => {
    const [source] = parse(read('provisioning/datasources/prometheus.yml')).datasources;
    expect(source.jsonData.timeInterval).toBe(parse(read('prometheus/prometheus.yml')).global.scrape_interval);
  });
});

describe.each(dashboards.map((table) => ({ table, name: table.name })))('the dashboard $name', ({ table }) => {
  const dashboard: Dashboard = dashboardOf(table);
  const panels = dashboard.panels ?? [];

  it('lets its reader choose the data source and the instances', () => {
    expect(dashboard.templating?.list?.map(({ name }) => name)).toEqual(['datasource', 'instance']);
  });

  it('numbers its panels, and none overlaps another', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos }) => {
      const { x, y, w, h } = gridPos!;
      return Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`);
    });
    expect(new Set(cells).size).toBe(cells.length);
  });

  it('says of each panel what it shows, in one sentence, and in which unit', () => {
    const bare = table.rows
      .flatMap((row) => row.panels)
      .filter(({ description, unit }) => !/^[A-Z0-9].*\.$/.test(description) || unit === '');
    expect(bare.map(({ title }) => title)).toEqual([]);
  });
});

describe('the runbook', () => {
  const runbook = readFileSync(new URL('../docs/runbook.md', folder), 'utf8');
  const sections = new Map(
    runbook
      .split(/^## /m)
      .slice(1)
      .map((section) => [section.slice(0, section.indexOf('\n')), section]),
  );

  it('has a section for every alert, in their order, and for nothing else', () => {
    expect([...sections.keys()]).toEqual(alerts.map(({ name }) => name));
  });

  it.each(alerts)('says of $name what it means, what people see, what to look at and what to do', ({ name }) => {
    const questions = [...sections.get(name)!.matchAll(/^- \*\*(.+?)\*\*/gm)].map(([, question]) => question);
    expect(questions).toEqual(['What it means.', 'What users see.', 'What to look at.', 'What to do.']);
  });

  it('is where each alert points to', () => {
    const [, { rules }] = parse(rulesText()).groups;
    const targets = rules.map(({ annotations }: { annotations: { runbook_url: string } }) => annotations.runbook_url);
    expect(targets).toEqual([...sections.keys()].map((name) => `docs/runbook.md#${name.toLowerCase()}`));
  });
});

it('the limit of the memory queue is half of what it may hold by default', () => {
  expect(limits.queueDepth).toBe(readConfig({}).queueDepthMax / 2);
});
