/** What the fault tests measure: how long it took until the service was whole again. docs/reliability.md is made from it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const file = join(dirname(dirname(fileURLToPath(import.meta.url))), '.data', 'reliability.json');

/** Notes in `.data/reliability.json` that the fault named by `row` was over `ms` after its cause was. The last run counts. */
export function recovered(row: string, ms: number): void {
  mkdirSync(dirname(file), { recursive: true });
  let rows: Record<string, number> = {};
  try {
    rows = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // The first one to be noted, or the file of a run that was killed while it wrote.
  }
  rows[row] = Math.round(ms);
  writeFileSync(file, `${JSON.stringify(rows, null, 2)}\n`);
}
