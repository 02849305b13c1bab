/** The rounds of the floor's bench: each contestant and each store alone, with the processor time that they take. */
import type { RoundOptions } from '../load/options.ts';
import { cpuTimeOf } from '../load/process-usage.ts';
import { say } from '../load/progress.ts';
import { middle } from '../load/statistics.ts';
import type { Stores } from '../load/stores.ts';
import { type LoadResult, load } from '../load/wrk.ts';
import type { CpuUs, FloorResult, Limit } from './report.ts';

export interface Contestant {
  readonly name: 'floor' | 'refusal' | 'held' | 'persisted';
  readonly url: string;
  readonly pid: number;
  /** New performances with free seats for one measurement; the floor and the refusals need none. */
  readonly performances: () => Promise<readonly number[]>;
  readonly seats: number;
  readonly isRefused: boolean;
  /** Resolves when the stores have what was answered: its cost is this one's, and the next one must not pay for it. */
  readonly settled: () => Promise<void>;
}

/** What one measurement came to. */
interface Measured extends LoadResult {
  readonly cpuUs: CpuUs;
}

interface LimitRun {
  readonly perSecond: number;
  readonly cpuUs: number | null;
}

function cpuMsOf(pid: number | null): number | null {
  if (pid === null) return null;
  const { userMs, systemMs } = cpuTimeOf(pid);
  return userMs + systemMs;
}

/** What processes take of the processor from now on; call the result with a number of requests: microseconds each. */
function startCpu(pids: readonly (number | null)[]): (requests: number) => (number | null)[] {
  const before = pids.map(cpuMsOf);
  return (requests) =>
    pids.map((pid, i) => {
      const afterMs = cpuMsOf(pid);
      return afterMs === null ? null : ((afterMs - before[i]!) * 1000) / requests;
    });
}

/** The middle one; null where there is none. */
function middleUs(numbers: readonly (number | null)[]): number | null {
  const known = numbers.filter((number) => number !== null);
  return known.length === 0 ? null : Number(middle(known).toFixed(2));
}

/** What was measured so far. */
export class Rounds {
  readonly #options: RoundOptions;
  readonly #contestants: readonly Contestant[];
  readonly #stores: Stores;
  readonly #measured = new Map<string, Measured[]>();
  readonly #limits: { readonly limit: Omit<Limit, 'perSecond' | 'cpuUs'>; readonly runs: LimitRun[] }[] = [];

  constructor(options: RoundOptions, contestants: readonly Contestant[], stores: Stores) {
    this.#options = options;
    this.#contestants = contestants;
    this.#stores = stores;
  }

  /** Measures one contestant after the other; of round 0 nothing is kept. */
  async contestants(round: number, tokensPath: string): Promise<void> {
    const { seconds, connections, generator } = this.#options;
    for (const { name, url, pid, performances, seats, isRefused, settled } of this.#contestants) {
      const performanceIds = await performances();
      const cpu = startCpu([pid, this.#stores.redisPid, this.#stores.mysqlPid]);
      const asked = { url, connections, seconds, tokensPath, performanceIds, seatsPerPerformance: seats, first: 0 };
      const result = await load(generator, asked);
      sayRound(round, name, result.perSecond);
      const wrong = isRefused ? result.requests - result.refused : result.refused;
      if (wrong > 0 || result.failed > 0) {
        throw new Error(`${name}: ${wrong} answers of the wrong kind, ${result.failed} requests without one`);
      }
      await settled();
      const [server, redis, mysql] = cpu(result.requests) as [number, number | null, number | null];
      if (round === 0) continue;
      const measured = this.#measured.get(name) ?? [];
      measured.push({ ...result, cpuUs: { server, redis, mysql } });
      this.#measured.set(name, measured);
    }
  }

  /** Measures one store alone; of round 0 nothing is kept. */
  async limit(
    round: number,
    name: Limit['name'],
    batchSize: number,
    holds: number,
    perSecondOf: () => Promise<number>,
  ): Promise<void> {
    const cpu = startCpu([name === 'redis' ? this.#stores.redisPid : this.#stores.mysqlPid]);
    const perSecond = await perSecondOf();
    const [cpuUs = null] = cpu(holds);
    sayRound(round, `${name} alone, ${batchSize} a batch`, perSecond);
    if (round === 0) this.#limits.push({ limit: { name, batchSize }, runs: [] });
    else {
      const known = this.#limits.find(({ limit }) => limit.name === name && limit.batchSize === batchSize);
      known?.runs.push({ perSecond, cpuUs });
    }
  }

  /** The middles of all rounds. */
  result(idleMs: number): Omit<FloorResult, 'half'> {
    const perSecondOf = (runs: readonly { perSecond: number }[]): number =>
      middle(runs.map(({ perSecond }) => perSecond));
    const floor = perSecondOf(this.#measured.get('floor') ?? []);
    const rows = [...this.#measured].map(([name, runs]) => ({
      name,
      perSecond: Math.round(perSecondOf(runs)),
      ratio: Number((perSecondOf(runs) / floor).toFixed(3)),
      p50Ms: Number(middle(runs.map(({ p50Ms }) => p50Ms)).toFixed(2)),
      p99Ms: Number(middle(runs.map(({ p99Ms }) => p99Ms)).toFixed(2)),
      cpuUs: {
        server: middleUs(runs.map(({ cpuUs }) => cpuUs.server)) ?? Number.NaN,
        redis: middleUs(runs.map(({ cpuUs }) => cpuUs.redis)),
        mysql: middleUs(runs.map(({ cpuUs }) => cpuUs.mysql)),
      },
    }));
    const limits = this.#limits.map(({ limit, runs }) => ({
      ...limit,
      perSecond: Math.round(perSecondOf(runs)),
      cpuUs: middleUs(runs.map(({ cpuUs }) => cpuUs)),
    }));
    const { connections, generator } = this.#options;
    return { connections, generator, rows, limits, idleMs: Number(idleMs.toFixed(2)) };
  }
}

function sayRound(round: number, name: string, perSecond: number): void {
  say(`${round === 0 ? 'warm-up' : `round ${round}`}: ${name} ${Math.round(perSecond)}/s`);
}
