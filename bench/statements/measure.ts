/** Asks MySQL everything the running system asks, and takes the time and the plan of each statement. */
import type { Database, Statements } from '../../src/persist/database.ts';
import { percentile } from '../load/statistics.ts';
import { type Ask, askBatches, askEverything, type Ground } from './asked.ts';
import { isSeated, performancesPerEvent, type Shape } from './model.ts';
import { explain, faultsOf, type PlanLine, rowsOf, shapeOfSql, type Watcher, watched } from './recorder.ts';

/** Rounds take turns on as many grounds: what is warm is not one page alone. */
const groundCount = 5;

export interface Times {
  readonly calls: number;
  /** The quickest one: what the work itself takes, where the middle one also shows what else the machine does. */
  readonly minMs: number;
  /** The middle one. */
  readonly p50Ms: number;
  readonly maxMs: number;
}

/** Of one statement of one question. */
export interface Measured extends Times {
  readonly question: string;
  /** Without its values. */
  readonly sql: string;
  /** The index of each table, in the order they are read; null for what finds no rows (INSERT). */
  readonly indexes: string | null;
  /** Rows that EXPLAIN expects to look at, table by table, and of all tables; -1 for what finds no rows. */
  readonly examined: string | null;
  readonly rows: number;
}

export interface Measurement {
  /** On a few rows each: what the requirement is about. */
  readonly statements: readonly Measured[];
  /** On 200 holds. */
  readonly batches: readonly Measured[];
  /** START TRANSACTION, with a connection found for it. */
  readonly starts: Times;
  /** COMMIT or ROLLBACK. */
  readonly ends: Times;
  /** What no plan may have, with the statement that has it. */
  readonly faults: readonly string[];
}

/** Chooses what is asked about: performances on sale for what writes; the reads are of old, middling and new ones. */
export async function findGrounds(statements: Statements, shape: Shape): Promise<Ground[]> {
  const { performances, users, regulars, events } = shape;
  const found: Ground[] = [];
  for (let i = 0; i < groundCount; i++) {
    const hallId = performances - performancesPerEvent + 1 + 5 * i;
    const share = i / groundCount;
    const pastHallId = 1 + 5 * Math.floor((share * (performances - 1)) / 5);
    const userId = await anyUser(statements, Math.floor(share * users) + regulars + 1);
    found.push({
      hallId,
      openId: hallId + 4,
      pastHallId,
      eventId: 1 + Math.floor(share * events),
      userId,
      regularId: 1 + Math.floor(share * regulars),
      buyerId: userId + 1,
    });
  }
  if (found.some(({ hallId, openId, pastHallId }) => !isSeated(hallId) || isSeated(openId) || !isSeated(pastHallId))) {
    throw new Error('the model has its halls elsewhere');
  }
  return found;
}

/** The first user from this one on who has a reservation. */
async function anyUser(statements: Statements, fromId: number): Promise<number> {
  const sql = 'SELECT user_id FROM reservations WHERE user_id >= ? ORDER BY user_id LIMIT 1';
  const rows = await statements.rows(sql, [fromId]);
  if (rows[0] === undefined) throw new Error(`no user from ${fromId} on has a reservation`);
  return rows[0]['user_id'];
}

/**
 * Asks everything on every ground, which explains it and warms it, then `rounds` times with a watch: from the call to the
 * rows or the header in this process, one statement at a time, over TCP on the loopback.
 */
export async function measure(
  database: Database,
  shape: Shape,
  rounds: number,
  progress: { done: number },
): Promise<Measurement> {
  const found = await findGrounds(database, shape);
  const [samples, batches] = [new Samples(), new Samples()];
  for (const ground of found) {
    await askEverything(samples.explaining(database), database, ground);
    await askBatches(batches.explaining(database), database, ground);
  }
  for (let number = 0; number < rounds; number++) {
    const ground = found[number % found.length]!;
    await askEverything(samples.timing(database), database, ground);
    await askBatches(batches.timing(database), database, ground);
    progress.done = number + 1;
  }
  return {
    statements: samples.measured(),
    batches: batches.measured(),
    starts: timesOf(samples.startsMs),
    ends: timesOf(samples.endsMs),
    faults: [...samples.faults, ...batches.faults],
  };
}

/** Watches each question with a watcher of its own. */
export function asking(database: Database, watcherOf: (question: string) => Watcher): Ask {
  return (question, work) => work(watched(database, watcherOf(question)));
}

interface Sample {
  readonly question: string;
  readonly sql: string;
  readonly timesMs: number[];
  /** The one that looks at most rows. */
  plan: readonly PlanLine[] | null;
}

class Samples {
  readonly faults = new Set<string>();
  readonly startsMs: number[] = [];
  readonly endsMs: number[] = [];
  /** In the order in which they were first asked. */
  readonly #all = new Map<string, Sample>();

  measured(): Measured[] {
    return [...this.#all.values()].map(measuredOf);
  }

  /** Explains each statement, where and when it is about to run. */
  explaining(database: Database): Ask {
    return asking(database, (question) => ({
      statement: async (asked) => {
        const plan = await explain(asked);
        const sample = this.#sampleOf(question, asked.sql);
        if (plan !== null && rowsOf(plan) >= rowsOf(sample.plan ?? [])) sample.plan = plan;
        for (const fault of faultsOf(asked.sql, plan ?? [])) this.faults.add(`${question}: ${fault}: ${sample.sql}`);
        return asked.run();
      },
    }));
  }

  /** Takes the time of each statement, refused ones as well: a repeat that finds its row is an answer. */
  timing(database: Database): Ask {
    return asking(database, (question) => ({
      statement: async (asked) => {
        const { timesMs } = this.#sampleOf(question, asked.sql);
        const startMs = performance.now();
        try {
          return await asked.run();
        } finally {
          timesMs.push(performance.now() - startMs);
        }
      },
      transaction: (startMs, endMs) => {
        this.startsMs.push(startMs);
        this.endsMs.push(endMs);
      },
    }));
  }

  #sampleOf(question: string, sql: string): Sample {
    const text = shapeOfSql(sql);
    const key = `${question}: ${text}`;
    let sample = this.#all.get(key);
    if (sample === undefined) {
      sample = { question, sql: text, timesMs: [], plan: null };
      this.#all.set(key, sample);
    }
    return sample;
  }
}

function measuredOf({ question, sql, timesMs, plan }: Sample): Measured {
  const tables = plan?.filter(({ table }) => table !== null && !table.startsWith('<')) ?? [];
  const isConstant = plan !== null && tables.length === 0;
  return {
    question,
    sql,
    // MySQL has looked for the row by a unique index before it answered EXPLAIN, and there is none.
    indexes: plan === null ? null : isConstant ? 'unique, none found' : listed(tables.map(({ key }) => key ?? 'none')),
    examined: plan === null ? null : isConstant ? '0' : listed(tables.map(({ rows }) => `${rows}`)),
    rows: plan === null ? -1 : rowsOf(plan),
    ...timesOf(timesMs),
  };
}

/** `a + b`, and `2 a` for the same twice. */
function listed(names: readonly string[]): string {
  const groups = [...Map.groupBy(names, (name) => name).values()];
  // Numbers are told one by one: `2 1` would read as twenty-one.
  const isNumeric = /^\d/.test(names[0] ?? '');
  if (isNumeric || groups.length > 1) return names.join(' + ');
  return names.length > 1 ? `${names.length} ${names[0]}` : (names[0] ?? '');
}

function timesOf(samplesMs: readonly number[]): Times {
  const sorted = Float64Array.from(samplesMs).sort();
  const [min = 0, p50, max = 0] = [sorted[0], percentile(sorted, 0.5), sorted.at(-1)];
  return { calls: sorted.length, minMs: rounded(min), p50Ms: rounded(p50), maxMs: rounded(max) };
}

function rounded(ms: number): number {
  return Number(ms.toFixed(3));
}
