/** Named jobs run by one process at a time: whoever has the lease. A split leadership does no harm: jobs are repeatable. */
import type { Clock, Timer } from '../lib/clock.ts';
import { messageOf } from '../lib/errors.ts';

export interface Job {
  readonly name: string;
  readonly intervalMs: number;
  /** One round; an error is logged and the next round tries again. */
  run(): Promise<void>;
}

export interface LeaderLease {
  take(): Promise<boolean>;
  end(): Promise<void>;
}

export interface SchedulerOptions {
  readonly clock: Clock;
  readonly lease: LeaderLease;
  /** Between two takings of the lease; well under its duration. */
  readonly leaseIntervalMs: number;
  readonly jobs: readonly Job[];
  readonly log: {
    info(message: string, fields?: Record<string, unknown>): void;
    warn(message: string, fields?: Record<string, unknown>): void;
  };
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  readonly #timers = new Map<string, Timer>();
  readonly #underWay = new Map<string, Promise<void>>();
  /** Jobs whose last round failed: a fault is logged when it begins and when it ends, not every round. */
  readonly #failing = new Set<string>();
  #isLeader = false;
  #isStopped = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  get isLeader(): boolean {
    return this.#isLeader;
  }

  /** Takes part in the election; once it is won every job runs, at once and then at its interval. */
  start(): void {
    this.#loop({ name: 'lease', intervalMs: this.#options.leaseIntervalMs, run: () => this.#elect() }, () => true);
  }

  /** Waits for the rounds under way, then gives the lease back. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const timer of this.#timers.values()) timer.cancel();
    await Promise.all(this.#underWay.values());
    if (!this.#isLeader) return;
    this.#isLeader = false;
    try {
      await this.#options.lease.end();
    } catch (thrown) {
      this.#options.log.warn('lease not given back; it ends by itself', { error: messageOf(thrown) });
    }
  }

  async #elect(): Promise<void> {
    const wasLeader = this.#isLeader;
    try {
      this.#isLeader = await this.#options.lease.take();
    } catch (thrown) {
      this.#isLeader = false;
      throw thrown;
    } finally {
      if (wasLeader !== this.#isLeader) this.#options.log.info(this.#isLeader ? 'leads the jobs' : 'no longer leads');
    }
    if (!wasLeader && this.#isLeader) for (const job of this.#options.jobs) this.#loop(job, () => this.#isLeader);
  }

  /** Runs rounds one after the other, the first one now, for as long as `goesOn`. One loop a name. */
  #loop({ name, intervalMs, run }: Job, goesOn: () => boolean): void {
    if (this.#timers.has(name) || this.#underWay.has(name)) return;
    const tick = (): void => {
      this.#timers.delete(name);
      if (this.#isStopped || !goesOn()) return;
      const work = this.#round(name, run).finally(() => {
        this.#underWay.delete(name);
        if (!this.#isStopped) this.#timers.set(name, this.#options.clock.after(intervalMs, tick));
      });
      this.#underWay.set(name, work);
    };
    tick();
  }

  async #round(name: string, round: () => Promise<void>): Promise<void> {
    try {
      await round();
      if (this.#failing.delete(name)) this.#options.log.info('job works again', { job: name });
    } catch (thrown) {
      if (this.#failing.has(name)) return;
      this.#failing.add(name);
      this.#options.log.warn('job failed; it tries again', { job: name, error: messageOf(thrown) });
    }
  }
}
