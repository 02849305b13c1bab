/** A server of a bench as a process of its own, which writes its port to stdout when it listens. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Stoppable } from './stage.ts';

/** As in `npm start`: requests live for some milliseconds, and a small nursery copies them again and again. */
export const nodeFlags = ['--max-semi-space-size=64'];
export const guardUrl = new URL('./end-with-parent.ts', import.meta.url).href;
const startMsMax = 30_000;

export interface Server extends Stoppable {
  readonly url: string;
  readonly pid: number;
}

/** Starts the module with the flags of a gateway, so that they make no difference. Rejects when it does not listen. */
export async function startServer(
  module: URL,
  args: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Promise<Server> {
  const path = fileURLToPath(module);
  const child = spawn(process.execPath, [...nodeFlags, '--import', guardUrl, path, ...args], {
    env: { ...process.env, ...environment, NODE_ENV: 'production' },
    stdio: ['pipe', 'pipe', 'inherit'],
    // The terminal's Ctrl-C reaches the bench alone, which stops things in order.
    detached: true,
  });
  // Nothing is written to it: the only error is its end, which the exit event reports.
  child.stdin.on('error', () => {});
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
  };
  const port = await new Promise<string>((resolve) => {
    const limit = setTimeout(() => resolve(''), startMsMax);
    const end = (text: string): void => {
      clearTimeout(limit);
      resolve(text);
    };
    child.stdout.once('data', (data: Buffer) => end(data.toString().trim()));
    void exited.then(() => end(''));
  });
  if (port === '') {
    await stop();
    throw new Error(`${[path, ...args].join(' ')} did not start`);
  }
  return { url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0, stop };
}
