/** `redocly lint`, the public validator of both documents: offline, and silent towards its makers. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// Nobody has chosen a licence for this project.
const rules = 'extends: [recommended]\nrules:\n  info-license: off\n';
const redocly = fileURLToPath(new URL('../node_modules/@redocly/cli/bin/cli.js', import.meta.url));

/** What it says against a document, errors and warnings; `name` is the file it goes by. */
export async function lint(name: string, content: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'fastpass-redocly-'));
  try {
    await writeFile(join(folder, name), content);
    await writeFile(join(folder, 'redocly.yaml'), rules);
    const output = await run(folder, [redocly, 'lint', name, '--format=json']);
    const { problems } = JSON.parse(output) as { problems: { severity: string; ruleId: string; message: string }[] };
    return problems.map(({ severity, ruleId, message }) => `${severity} ${ruleId}: ${message}`);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Its output, whether it found errors or not. */
function run(cwd: string, parameters: readonly string[]): Promise<string> {
  const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, parameters, { cwd, env }, (fault, stdout) => {
      if (stdout.trim() === '') reject(fault ?? new Error('redocly said nothing'));
      else resolve(stdout);
    });
  });
}
