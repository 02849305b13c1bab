/** Starts programs for the tests of the scripts, the runtime above all, and collects what they say. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { RunResult } from './run.ts';

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What came of a script; `broken` are the metrics whose thresholds it has not kept. */
export type Outcome = RunResult & { readonly stderr: string; readonly broken: readonly string[] };

type Settings = Readonly<Record<string, string>>;

/** Less than a test has. */
const runTimeoutMs = 55_000;
const runtimePath = fileURLToPath(new URL('./main.ts', import.meta.url));

/** Runs a program to its end, 55 seconds at most (its code is null then), with nothing in its environment but `settings` and the PATH. */
export function runProgram(path: string, args: readonly string[], settings: Settings = {}): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env['PATH'] ?? '', ...settings };
    const child = spawn(path, args, { env, stdio: ['ignore', 'pipe', 'pipe'], timeout: runTimeoutMs });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (data: Buffer) => (stdout += data));
    child.stderr.on('data', (data: Buffer) => (stderr += data));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Runs the script at a path with parameters, as `k6 run` would. Rejects where the runtime itself fails. */
export async function runScript(path: string, settings: Settings): Promise<Outcome> {
  const { code, stdout, stderr } = await runProgram(process.execPath, [runtimePath, path], settings);
  if (stdout === '') throw new Error(`no result: ${code} ${stderr}`);
  const result: RunResult = JSON.parse(stdout);
  if (result.exitCode !== code) throw new Error(`the result is ${result.exitCode}, the exit code ${code}`);
  const broken = result.thresholds.filter(({ isKept }) => !isKept).map(({ metric }) => metric);
  return { ...result, stderr, broken };
}
