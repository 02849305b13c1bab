/** Every file that is made from the tables here. */
import { dashboards } from './dashboards.ts';
import { dashboardOf } from './panels.ts';
import { rulesText } from './rules.ts';

/** Their texts by path from this folder. */
export function generatedFiles(): Map<string, string> {
  const files = new Map<string, string>();
  for (const table of dashboards) {
    files.set(`dashboards/${table.name}.json`, `${JSON.stringify(dashboardOf(table), null, 2)}\n`);
  }
  return files.set('prometheus/rules.yml', rulesText());
}
