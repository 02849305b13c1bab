/** `npm run dashboards`: writes the dashboards and the rules from their tables. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { generatedFiles } from './files.ts';

const usage = `Usage: npm run dashboards

Writes grafana/dashboards/*.json and grafana/prometheus/rules.yml from the tables in grafana/dashboards.ts and
grafana/rules.ts. A test fails while they differ.

  --help  this text
`;

/** Returns the exit code. */
function main(): number {
  try {
    const { values } = parseArgs({ options: { help: { type: 'boolean', default: false } } });
    if (values.help) {
      process.stdout.write(usage);
      return 0;
    }
  } catch (thrown) {
    process.stderr.write(`dashboards: ${thrown instanceof Error ? thrown.message : String(thrown)}\nTry --help.\n`);
    return 2;
  }
  for (const [path, text] of generatedFiles()) {
    writeFileSync(fileURLToPath(new URL(path, import.meta.url)), text);
    process.stdout.write(`grafana/${path}\n`);
  }
  return 0;
}

process.exitCode = main();
