/**
 * The same HTTP contract, one hold of one seat, written in each of the ways that people use, each in a process of its own,
 * and this gateway: one machine, one load with two requests for every seat, interleaved rounds. Every answer is checked: those of the
 * rounds by their counts, those of a trial one by one.
 */
import { parseArgs } from 'node:util';
import { tableText } from '../load/exhibits.ts';
import { readRoundOptions, roundHelp } from '../load/options.ts';
import { onStage } from '../load/stage.ts';
import { measure } from './measure.ts';
import { exhibits } from './report.ts';
import { type WayName, wayNames } from './ways.ts';

export type { WaysResult } from './report.ts';
export { exhibits };

const defaults = { seconds: 3, rounds: 5, connections: 256, users: 40_000, seats: 40_000 };

export const help = `npm run bench -- ways [options]
  --ways NAME,...   which of them                    (all)
                    ${wayNames.slice(0, 6).join(', ')},
                    ${wayNames.slice(6).join(', ')}
${roundHelp(defaults)}
  --help            exit codes: 0 right, 1 wrong answers or a failure, 2 wrong usage`;

/** Takes `--ways` out of the arguments. The names are in the order of the table; null for one that is not there. */
function takeNames(args: readonly string[]): { names: WayName[] | null; rest: string[] } {
  const options = { ways: { type: 'string' } } as const;
  const { values, tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });
  const used = new Set<number>();
  for (const token of tokens) {
    if (token.kind !== 'option' || token.name !== 'ways') continue;
    used.add(token.index);
    if (token.inlineValue === false) used.add(token.index + 1);
  }
  const rest = args.filter((_, index) => !used.has(index));
  if (values.ways === undefined) return { names: wayNames, rest };
  const asked = String(values.ways).split(',');
  const isKnown = asked.every((name) => (wayNames as string[]).includes(name));
  return { names: isKnown ? wayNames.filter((name) => asked.includes(name)) : null, rest };
}

/** Runs the bench; returns the exit code: 0 measured and right, 1 wrong answers, 2 usage. */
export async function main(args: readonly string[]): Promise<number> {
  const { names, rest } = takeNames(args);
  const options = await readRoundOptions(rest, help, defaults);
  if (typeof options === 'number') return options;
  if (names === null) {
    process.stderr.write(`${help}\n`);
    return 2;
  }
  const result = await onStage((stage) => measure(stage, { ...options, names }));
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else process.stdout.write(exhibits(result).tables.map(tableText).join('\n'));
  return result.rows.every(({ faults }) => faults.length === 0) ? 0 : 1;
}
