import { spawn } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTail } from './files.ts';

export interface RunResult {
  /** Exit code of the program; 127 when it could not be started, 124 when it ran into the limit. */
  readonly exitCode: number;
  /** The last lines of what it wrote. */
  readonly output: string;
}

/** Runs a program in `folder` to its end, at most `timeoutMs` milliseconds. Never throws for a program that fails. */
export type Run = (command: string, args: readonly string[], timeoutMs: number, folder?: string) => Promise<RunResult>;

/**
 * Runs a program in a session of its own with its output in a file. Were the output a pipe, the end of this process
 * would break the pipe and, for an installer, leave a half installed package; in its own session Ctrl-C spares it too.
 */
export const runProgram: Run = async (command, args, timeoutMs, folder = tmpdir()) => {
  const outputFolder = await mkdtemp(join(tmpdir(), 'fastpass-run-'));
  try {
    const outputFile = join(outputFolder, 'output.log');
    const output = await open(outputFile, 'w', 0o600);
    let exitCode: number;
    try {
      exitCode = await waitForExit(command, args, output.fd, timeoutMs, folder);
    } catch (error) {
      return { exitCode: 127, output: String(error) };
    } finally {
      await output.close();
    }
    return { exitCode, output: readTail(outputFile) };
  } finally {
    await rm(outputFolder, { recursive: true, force: true });
  }
};

function waitForExit(
  command: string,
  args: readonly string[],
  outputFd: number,
  timeoutMs: number,
  folder: string,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: folder, stdio: ['ignore', outputFd, outputFd], detached: true });
    const limit = setTimeout(() => {
      resolve(124);
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // Gone already, or it runs as root through sudo; an installer carries a limit of its own for that case.
      }
    }, timeoutMs);
    child.once('error', (error) => {
      clearTimeout(limit);
      reject(error);
    });
    child.once('exit', (code) => {
      clearTimeout(limit);
      resolve(code ?? 1);
    });
  });
}
