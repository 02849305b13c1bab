/** `npm run simulate`: plays seeds of the simulation, and prints what was not kept with what led to it. */
import { parseArgs } from 'node:util';
import { Presets, SingleBar } from 'cli-progress';
import { type Run, simulate } from './run.ts';

const usage = `Usage: npm run simulate -- [options]

Plays batcher, stores, ledger, scheduler and waiting room with a clock of its own and faults drawn from a seed, and checks
after every step what is promised: no seat with two owners, one answer a caller, no 201 without a row, books that add up,
positions that never grow. A seed plays the same every time.

  --seed <n>    the first seed (1)
  --seeds <n>   how many, one after the other (1000; 1 where --seed is given)
  --steps <n>   what people do in each (200)
  --trace       prints what happened in each, broken or not
  --help        prints this

Exit code 0: every promise was kept; 1: one was not; 2: wrong usage.
`;

function wholeNumber(name: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new RangeError(`--${name} takes a whole number from 1, not "${text}"`);
  return Number(text);
}

function print({ seed, weather, broken, trace }: Run): void {
  process.stdout.write(`\nseed ${seed} (${weather})\n`);
  for (const line of trace) process.stdout.write(`  ${line}\n`);
  for (const what of broken) process.stdout.write(`  BROKEN: ${what}\n`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      steps: { type: 'string', default: '200' },
      trace: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  const first = wholeNumber('seed', values.seed ?? '1');
  const count = wholeNumber('seeds', values.seeds ?? (values.seed === undefined ? '1000' : '1'));
  const steps = wholeNumber('steps', values.steps);
  const bar = new SingleBar({ format: '{bar} {value} of {total} seeds, {eta_formatted} left' }, Presets.shades_classic);
  const isShown = process.stdout.isTTY === true && count > 1;
  if (isShown) bar.start(count, 0);
  const startedAtMs = performance.now();
  const failed: Run[] = [];
  let acknowledged = 0;
  for (let seed = first; seed < first + count; seed++) {
    const run = await simulate(seed, steps);
    acknowledged += run.acknowledged;
    if (run.broken.length > 0) failed.push(run);
    if (values.trace) print(run);
    if (isShown) bar.increment();
  }
  if (isShown) bar.stop();
  if (!values.trace) for (const run of failed.slice(0, 3)) print(run);
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
  process.stdout.write(
    `\n${count} seeds of ${steps} steps in ${seconds} s: ${acknowledged} holds acknowledged, ${failed.length} seeds failed\n`,
  );
  if (failed.length > 0) process.stdout.write(`failed: ${failed.map(({ seed }) => seed).join(' ')}\n`);
  return failed.length === 0 ? 0 : 1;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (thrown: unknown) => {
    process.stderr.write(`fastpass: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    process.exitCode = 2;
  },
);
