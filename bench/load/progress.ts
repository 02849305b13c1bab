/** Says how far a run is: a bar on a terminal, else a line every second. All of it on stderr; results go to stdout. */
import { SingleBar } from 'cli-progress';
import type { Stoppable } from './stage.ts';

export interface Progress extends Stoppable {
  /** Counted as a plain number by the run; the display reads it a few times a second. */
  done: number;
  /** Shows the last state and gives the terminal back. May be called again. */
  stop(): Promise<void>;
}

const barIntervalMs = 50;
const lineIntervalMs = 1000;

/** One line on stderr. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Starts to show progress towards `total`. Put it on the stage: a bar that is not stopped spoils the terminal. */
export async function startProgress(label: string, total: number): Promise<Progress> {
  const isTerminal = process.stderr.isTTY === true;
  const bar = isTerminal ? new SingleBar({ format: `${label} [{bar}] {value}/{total}` }) : null;
  bar?.start(total, 0);
  let isStopped = false;
  const progress = {
    done: 0,
    async stop(): Promise<void> {
      if (isStopped) return;
      isStopped = true;
      clearInterval(timer);
      bar?.update(progress.done);
      bar?.stop();
    },
  };
  const show = (): void => (bar === null ? say(`${label} ${progress.done}/${total}`) : bar.update(progress.done));
  const timer = setInterval(show, isTerminal ? barIntervalMs : lineIntervalMs);
  return progress;
}
