/** Runs the benches one after the other and writes the report of them: tables, plots, and how every number was made. */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SingleBar } from 'cli-progress';
import { say } from '../load/progress.ts';
import { onStage, type Stage, type Stoppable } from '../load/stage.ts';
import { readMachine, readSource } from './machine.ts';
import { keepRun, render } from './render.ts';
import { runBench } from './run.ts';
import { type Section, sections } from './sections.ts';

const names = sections.map(({ name }) => name);

export const help = `npm run bench -- report [options]
  --only NAME,...   of ${names.join(',')}: the others stay as they were measured before
  --quick           every bench with tiny input: tries the report out, its numbers mean nothing
  --out FOLDER      where REPORT.md and report/ are written   (bench)
  --render          measures nothing: writes the page from the raw numbers that are there
  --json            the result as JSON on stdout
  --help`;

const benchFolder = fileURLToPath(new URL('..', import.meta.url));
const lineWidthMax = 70;

/** What --json prints. */
export interface ReportResult {
  readonly path: string;
  /** Benches that ended with an error: the page shows what they had measured before, if anything. */
  readonly failed: readonly string[];
}

interface Display extends Stoppable {
  note(line: string): void;
  next(): void;
}

/** A bar over all benches with what the current one says; without a terminal the lines alone. */
function startDisplay(total: number): Display {
  if (process.stderr.isTTY !== true) return { note: say, next: () => {}, stop: async () => {} };
  const bar = new SingleBar({ format: '[{bar}] {value}/{total} {line}', hideCursor: true });
  bar.start(total, 0, { line: '' });
  return {
    note: (line) => bar.update({ line: line.slice(0, lineWidthMax) }),
    next: () => bar.increment(),
    stop: async () => bar.stop(),
  };
}

/** Returns the names of the benches that failed. */
async function measure(stage: Stage, wanted: readonly Section[], isQuick: boolean, out: string): Promise<string[]> {
  const source = await readSource();
  const machine = await readMachine(process.env);
  const display = await stage.add(async () => startDisplay(wanted.length));
  const faults = new Map<string, string>();
  for (const { name, args, quick } of wanted) {
    const given = isQuick ? quick : args;
    const startMs = performance.now();
    const date = new Date().toISOString();
    try {
      const json = await runBench(stage, name, given, (line) => display.note(`${name}: ${line}`));
      const tookSeconds = Math.round((performance.now() - startMs) / 1000);
      const command = ['npm run bench --', name, ...given].join(' ');
      keepRun(out, name, { command, date, tookSeconds, source, machine, result: JSON.parse(json) });
    } catch (thrown) {
      faults.set(name, thrown instanceof Error ? thrown.message : String(thrown));
    }
    display.next();
  }
  await display.stop();
  for (const fault of faults.values()) say(fault);
  return [...faults.keys()];
}

/** Runs the benches and writes the report; returns the exit code: 0 written, 1 a bench failed, 2 usage. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', default: names.join(',') },
      quick: { type: 'boolean', default: false },
      out: { type: 'string', default: benchFolder },
      render: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${help}\n`);
    return 0;
  }
  const only = values.only.split(',');
  if (only.some((name) => !names.includes(name))) {
    process.stderr.write(`${help}\n`);
    return 2;
  }
  const wanted = sections.filter(({ name }) => only.includes(name));
  const failed = values.render ? [] : await onStage((stage) => measure(stage, wanted, values.quick, values.out));
  const result: ReportResult = { path: render(values.out), failed };
  process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : `${result.path}\n`);
  return failed.length === 0 ? 0 : 1;
}
