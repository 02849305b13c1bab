/** What a bench starts and has to stop whichever way it ends: at its end, by an error, by Ctrl-C. */
import { constants } from 'node:os';

export interface Stoppable {
  /** Resolves when it is gone. */
  stop(): Promise<void>;
}

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The run was ended by a signal. */
export class Interrupted extends Error {}

/** Last started, first stopped. */
export class Stage {
  readonly #starts: Promise<Stoppable>[] = [];
  #isClosing = false;

  /** Starts a part that `close` stops, also when it is still starting then. Rejects as `start` does. */
  add<Part extends Stoppable>(start: () => Promise<Part>): Promise<Part> {
    if (this.#isClosing) return Promise.reject(new Interrupted('interrupted'));
    const started = start();
    this.#starts.push(started);
    return started;
  }

  /** Stops every part. Rejects after all when one did not stop well. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const faults: unknown[] = [];
    for (let start = this.#starts.pop(); start !== undefined; start = this.#starts.pop()) {
      // Whoever added a part that did not start has its error already.
      const part = await start.catch(() => null);
      await part?.stop().catch((thrown: unknown) => faults.push(thrown));
    }
    if (faults.length > 0) throw new AggregateError(faults, `did not stop well: ${faults.map(String).join('; ')}`);
  }
}

/** Runs `work` with a stage and stops what is on it, whatever happens; a second signal ends the process at once. */
export async function onStage<Result>(work: (stage: Stage) => Promise<Result>): Promise<Result> {
  const stage = new Stage();
  let isInterrupted = false;
  const onSignal = (signal: (typeof signals)[number]): void => {
    const exitCode = 128 + constants.signals[signal];
    if (isInterrupted) process.exit(exitCode);
    isInterrupted = true;
    process.stderr.write(`\n${signal}: stopping (again: at once)\n`);
    stage.close().then(
      () => process.exit(exitCode),
      (thrown: unknown) => {
        process.stderr.write(`${String(thrown)}\n`);
        process.exit(exitCode);
      },
    );
  };
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await work(stage);
  } catch (thrown) {
    // What breaks because everything is being stopped is no news; the signal ends the process.
    if (isInterrupted) return await new Promise<never>(() => {});
    throw thrown;
  } finally {
    if (!isInterrupted) await stage.close();
    for (const signal of signals) process.off(signal, onSignal);
  }
}
