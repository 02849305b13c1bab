/** The SQL that stands in src/persist, read with a parser, for tests that ask whether all of it was seen. */
import { readdirSync, readFileSync } from 'node:fs';
// The parser that vitest itself compiles these files with.
import { parseSync } from 'rolldown/utils';

/** Asked by a start alone, or of no table. */
export const startFiles: readonly string[] = ['migrate.ts', 'database.ts'];

const folder = new URL('../src/persist/', import.meta.url);

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** The texts of a file's strings and templates in their pieces, between which a template puts something in. */
function textsOf(value: unknown, into: string[][]): void {
  if (!isObject(value)) return;
  if (value['type'] === 'Literal' && typeof value['value'] === 'string') into.push([value['value']]);
  if (value['type'] === 'TemplateLiteral') {
    const pieces = value['quasis'] as { readonly value: { readonly raw: string } }[];
    into.push(pieces.map((piece) => piece.value.raw));
  }
  for (const field in value) textsOf(value[field], into);
}

/** The texts of a file of src/persist that begin like a statement. */
export function textsWritten(name: string, begin: RegExp): string[][] {
  const texts: string[][] = [];
  textsOf(parseSync(name, readFileSync(new URL(name, folder), 'utf8'), { lang: 'ts' }).program, texts);
  return texts.filter(([first]) => begin.test(first!));
}

/** A regular expression for every statement that stands in src/persist, with `.*` where a template puts something in. */
function statementsWritten(): string[] {
  const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&').replace(/\s+/g, '\\s+');
  return readdirSync(folder)
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !startFiles.includes(name))
    .flatMap((name) => textsWritten(name, /^(SELECT|INSERT|UPDATE|DELETE)\s/))
    .map((pieces) => pieces.map(escaped).join('.*'));
}

/** How many statements stand in src/persist, and which of them are none of those asked. */
export function writtenAndNotAsked(asked: Iterable<string>): { readonly written: number; readonly missing: string[] } {
  const texts = [...asked].map((sql) => sql.trim());
  const written = statementsWritten();
  const missing = written.filter((pattern) => {
    // The heartbeat, which touches no table.
    if (pattern === 'SELECT\\s+1') return false;
    // In brackets: part of another statement.
    const whole = new RegExp(`(?:^|\\()${pattern}(?:$|\\))`, 's');
    return !texts.some((sql) => whole.test(sql));
  });
  return { written: written.length, missing };
}
