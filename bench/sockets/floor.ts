/** Starts the floor of the sockets as a process of its own. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Stoppable } from '../load/stage.ts';

export interface Floor extends Stoppable {
  readonly url: string;
  readonly pid: number;
}

/** What it tells; see sockets-floor-server.ts. */
export interface FloorOptions {
  readonly performanceId: number;
  readonly firstNumber: number;
  readonly firstPosition: number;
  readonly admitPerSecond: number;
}

// As the gateway's: the nursery's size must not make the difference.
const nodeFlags = ['--max-semi-space-size=64'];
const serverPath = fileURLToPath(new URL('./floor-server.ts', import.meta.url));
const guardUrl = new URL('../load/end-with-parent.ts', import.meta.url).href;

/** Rejects when it does not start. */
export async function startFloor(options: FloorOptions): Promise<Floor> {
  const { performanceId, firstNumber, firstPosition, admitPerSecond } = options;
  const numbers = [performanceId, firstNumber, firstPosition, admitPerSecond].map(String);
  const child = spawn(process.execPath, [...nodeFlags, '--import', guardUrl, serverPath, ...numbers], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  });
  // Nothing is written to it: the only error is its end, which the exit event reports.
  child.stdin.on('error', () => {});
  const port = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (data: Buffer) => resolve(data.toString().trim()));
    child.once('exit', () => reject(new Error('the floor server did not start')));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    stop: () =>
      new Promise((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) return resolve();
        child.removeAllListeners('exit').once('exit', () => resolve());
        child.kill('SIGTERM');
      }),
  };
}
