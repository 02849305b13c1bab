/** What keeps the client fit for a browser: types of the DOM instead of Node's, and no import but of its own files. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const folder = fileURLToPath(new URL('.', import.meta.url));
const root = fileURLToPath(new URL('../..', import.meta.url));
const files = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));

it('the client compiles against the types of a browser, without those of Node', async () => {
  const project = mkdtempSync(join(tmpdir(), 'fastpass-client-'));
  try {
    const compilerOptions = { lib: ['es2024', 'dom', 'dom.iterable'], types: [] };
    const settings = {
      extends: join(root, 'tsconfig.json'),
      compilerOptions,
      files: [join(folder, 'index.ts')],
      include: [],
    };
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(settings));
    // Its output says what is wrong where it ends with another code than 0.
    await promisify(execFile)(join(root, 'node_modules/.bin/tsc'), ['-p', project]);
  } finally {
    rmSync(project, { recursive: true });
  }
});

it('nothing is left of its imports from other rooms once the types are gone', () => {
  expect(files).toContain('index.ts');
  for (const name of files) {
    const code = stripTypeScriptTypes(readFileSync(join(folder, name), 'utf8'));
    const imports = [...code.matchAll(/^(?:import|export)\b[^;]*?from '([^']+)'/gm)].map(([, from]) => from!);
    expect(imports.filter((from) => !/^\.\/[\w-]+\.ts$/.test(from))).toEqual([]);
    expect(code).not.toMatch(/\bimport\(|\brequire\(|\bprocess\b|\bBuffer\b|^\s*import '/m);
  }
});
