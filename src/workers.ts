/** Several gateway processes on one port: this process starts them, hands them the configuration, and ends with them. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type AppConfig, startApp } from './app.ts';
import { createLogger, type LeveledLog } from './logger.ts';
import { Metrics } from './metrics.ts';
import { Scrapes, scrapeByPrimary } from './scrapes.ts';

export const workerArgument = '--worker';

const restartDelayMs = 1000;
const stopTimeoutMs = 9500;

export interface Workers {
  /** Has all of them log at this level, those started later too. */
  setLogLevel(level: string): void;
  stop(): Promise<void>;
}

/** What a primary tells its workers beside their configuration, which is first, and the scrapes. */
interface LogLevel {
  readonly type: 'log level';
  readonly level: string;
}

/** Resolves once every worker listens. One that dies later is started again after a second. `metrics`: of this process. */
export async function startWorkers(config: AppConfig, log: LeveledLog, metrics: Metrics): Promise<Workers> {
  const children = new Set<ChildProcess>();
  const scrapes = new Scrapes(metrics);
  let isStopping = false;
  const start = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = fork(fileURLToPath(new URL('./main.ts', import.meta.url)), [workerArgument], {
        // The terminal's Ctrl-C reaches the primary alone, which stops the workers in order.
        detached: true,
        serialization: 'json',
      });
      children.add(child);
      scrapes.add(child);
      // Both report a child that could not start or is gone again; its exit says what is to be said.
      child.on('error', (thrown) => log.error('a gateway process could not be reached', { error: String(thrown) }));
      child.send({ ...config, logLevel: log.level }, () => {});
      child.on('message', (message) => {
        if (message === 'listening') resolve();
      });
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
    setLogLevel(level) {
      for (const child of children) child.send({ type: 'log level', level }, () => {});
    },
    async stop() {
      isStopping = true;
      const ends = await Promise.all([...children].map(stopChild));
      const bad = ends.filter((end) => end !== 0);
      if (bad.length > 0) throw new Error(`gateway processes ended with ${bad.join(', ')}`);
    },
  };
}

/** Resolves with its exit code, or the signal that ended it. */
function stopChild(child: ChildProcess): Promise<number | string | null> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve(child.exitCode ?? child.signalCode);
    const limit = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
    child.once('exit', (code, signal) => {
      clearTimeout(limit);
      resolve(code ?? signal);
    });
    child.kill('SIGTERM');
  });
}

/** Runs a worker: gets the configuration from its primary, says when it listens, stops with it. */
export function runWorker(): void {
  let stop: (() => void) | null = null;
  let isStopping = false;
  // The primary is gone, however it went. While both stop, it was told so twice: at once.
  process.once('disconnect', () => {
    if (stop === null || isStopping) process.exit(1);
    stop();
  });
  process.once('message', (config: AppConfig) => {
    const log = createLogger(config.logLevel, config.isProduction);
    process.on('message', (message: LogLevel) => {
      if (message.type === 'log level') log.level = message.level;
    });
    // The primary decides for all; left to itself the signal would end this process.
    process.on('SIGUSR2', () => {});
    const metrics = new Metrics();
    scrapeByPrimary(metrics);
    startApp(config, log, true, metrics).then(
      (app) => {
        stop = () => {
          if (isStopping) return;
          isStopping = true;
          app.stop().then(
            () => process.exit(0),
            () => process.exit(1),
          );
        };
        // Of several only the first counts: a service manager tells all processes, and the primary tells its workers too.
        process.on('SIGTERM', stop);
        process.send?.('listening');
      },
      (thrown: unknown) => {
        log.error('a gateway process did not start', { error: String(thrown) });
        process.exit(1);
      },
    );
  });
}
