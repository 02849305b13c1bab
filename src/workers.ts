/** Several gateway processes on one port: this process starts them, hands them the configuration, and ends with them. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type AppConfig, startApp } from './app.ts';
import { createLogger, type Log } from './logger.ts';

export const workerArgument = '--worker';

const restartDelayMs = 1000;
const stopTimeoutMs = 9500;

export interface Workers {
  stop(): Promise<void>;
}

/** Resolves once every worker listens. One that dies later is started again after a second. */
export async function startWorkers(config: AppConfig, log: Log): Promise<Workers> {
  const children = new Set<ChildProcess>();
  let isStopping = false;
  const start = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = fork(fileURLToPath(new URL('./main.ts', import.meta.url)), [workerArgument], {
        // The terminal's Ctrl-C reaches the primary alone, which stops the workers in order.
        detached: true,
        serialization: 'json',
      });
      children.add(child);
      // Both report a child that could not start or is gone again; its exit says what is to be said.
      child.on('error', (thrown) => log.error('a gateway process could not be reached', { error: String(thrown) }));
      child.send(config, () => {});
      child.once('message', () => resolve());
      child.once('exit', (code, signal) => {
        children.delete(child);
        reject(new Error(`a gateway process ended with ${code ?? signal}`));
        if (isStopping) return;
        log.error('a gateway process died; it is started again', { pid: child.pid, code, signal });
        setTimeout(() => {
          if (!isStopping) start().catch(() => {});
        }, restartDelayMs);
      });
    });
  await Promise.all(Array.from({ length: config.workers }, start));
  return {
    async stop() {
      isStopping = true;
      await Promise.all([...children].map(stopChild));
    },
  };
}

function stopChild(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    const limit = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
    child.once('exit', () => {
      clearTimeout(limit);
      resolve();
    });
    child.kill('SIGTERM');
  });
}

/** Runs a worker: gets the configuration from its primary, says when it listens, stops with it. */
export function runWorker(): void {
  process.once('message', (config: AppConfig) => {
    const log = createLogger(config.logLevel, config.isProduction);
    startApp(config, log, true).then(
      (app) => {
        const stop = (): void => {
          app.stop().then(
            () => process.exit(0),
            () => process.exit(1),
          );
        };
        process.once('SIGTERM', stop);
        // The primary is gone, however it went.
        process.once('disconnect', stop);
        process.send?.('listening');
      },
      (thrown: unknown) => {
        log.error('a gateway process did not start', { error: String(thrown) });
        process.exit(1);
      },
    );
  });
}
