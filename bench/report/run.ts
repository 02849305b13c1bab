/** Runs one bench as a process of its own and keeps what it printed. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Stage } from '../load/stage.ts';

const benchPath = fileURLToPath(new URL('../main.ts', import.meta.url));
const runMsMax = 30 * 60_000;
const outputBytesMax = 32 * 1024 * 1024;
const lastLinesMax = 5;

/** Its result as one line of JSON; `onLine` gets what it says meanwhile. Rejects with its last lines when it fails. */
export async function runBench(
  stage: Stage,
  name: string,
  args: readonly string[],
  onLine: (line: string) => void,
): Promise<string> {
  const child = spawn(process.execPath, [benchPath, name, ...args, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // The terminal's Ctrl-C reaches the report alone, which ends the bench in order.
    detached: true,
    timeout: runMsMax,
  });
  const ended = new Promise<number | string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'nothing'));
  });
  await stage.add(async () => ({
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  }));
  const output: Buffer[] = [];
  let bytes = 0;
  child.stdout.on('data', (data: Buffer) => {
    bytes += data.length;
    if (bytes <= outputBytesMax) output.push(data);
    else child.kill('SIGTERM');
  });
  const lastLines: string[] = [];
  let rest = '';
  child.stderr.on('data', (data: Buffer) => {
    const lines = (rest + data.toString()).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
    lastLines.push(...lines);
    lastLines.splice(0, lastLines.length - lastLinesMax);
  });
  const end = await ended;
  if (end !== 0) throw new Error(`${name} ended with ${end}: ${[...lastLines, rest].join('\n')}`);
  return Buffer.concat(output).toString().trim();
}
