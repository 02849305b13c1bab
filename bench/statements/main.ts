/**
 * The statements of the running system against a large database of their own: filled with a year's sales, every statement
 * explained where it runs and measured warm.
 */
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import mysql from 'mysql2/promise';
import { silentLog } from '../../src/logger.ts';
import { Database, type Statements } from '../../src/persist/database.ts';
import { migrate } from '../../src/persist/migrate.ts';
import { expireDue } from '../../src/persist/releases.ts';
import { say, startProgress } from '../load/progress.ts';
import { onStage, type Stage } from '../load/stage.ts';
import { bringUpToDate, fillDatabase } from './fill.ts';
import { measure } from './measure.ts';
import { type Shape, shapeFor } from './model.ts';
import { faultsOfResult, reportOf, type StatementsResult } from './report.ts';
import { type StatementsServer, startStatementsServer } from './server.ts';

export const help = `npm run bench -- statements [options]
  --rows N           reservations                        (10000000)
  --rounds N         times each statement is measured    (20)
  --buffer-pool MB   memory of the server for pages      (4096)
  --keep             keep the database, and go on with the one an earlier run has kept
  --check            exit with 1 when a statement scans or takes 5 ms or more
  --json             the result as JSON on stdout
  --help`;

const connectionsMax = 4;
const expireBatchMax = 500;

interface Options {
  readonly rows: number;
  readonly rounds: number;
  readonly bufferPoolMb: number;
  readonly isKept: boolean;
}

/** Fills the server unless it was filled by an earlier run; returns the seconds it took then or now. */
async function fill(stage: Stage, server: StatementsServer, shape: Shape): Promise<number> {
  if (server.filled !== null) {
    // Indexes may have been added since.
    await migrate(server.url);
    return server.filled.fillSeconds;
  }
  const connection = await mysql.createConnection(server.url);
  // An earlier run may have left half of it.
  await connection.query('DROP DATABASE fastpass');
  await connection.query('CREATE DATABASE fastpass CHARACTER SET utf8mb4');
  connection.destroy();
  const startMs = performance.now();
  await migrate(server.url);
  const progress = await stage.add(() => startProgress('reservations', shape.reservations));
  await fillDatabase(server.url, shape, progress, say);
  await progress.stop();
  const fillSeconds = Math.round((performance.now() - startMs) / 1000);
  server.note({ fillSeconds });
  return fillSeconds;
}

async function run(stage: Stage, { rows, rounds, bufferPoolMb, isKept }: Options): Promise<StatementsResult> {
  const shape = shapeFor(rows);
  const server = await stage.add(() => startStatementsServer(rows, bufferPoolMb, isKept));
  const fillSeconds = await fill(stage, server, shape);
  await bringUpToDate(server.url, shape);
  const database = new Database(server.url, silentLog, connectionsMax);
  await stage.add(async () => ({ stop: () => database.close() }));
  // What came due on a database that was kept would all expire in the first round.
  while ((await expireDue(database, expireBatchMax)).length === expireBatchMax);
  const progress = await stage.add(() => startProgress('rounds', rounds));
  const measurement = await measure(database, shape, rounds, progress);
  await progress.stop();
  const size = await sizeOf(database);
  const common = { reservations: rows, rounds, fillSeconds, bufferPoolMb };
  return { ...common, ...size, loadAverage: loadavg()[0] ?? 0, ...measurement };
}

async function sizeOf(statements: Statements): Promise<{ readonly dataMb: number; readonly server: string }> {
  const sql = `SELECT SUM(data_length + index_length) DIV 1000000 AS megabytes, VERSION() AS version
    FROM information_schema.tables WHERE table_schema = DATABASE()`;
  const [row] = await statements.rows(sql);
  return { dataMb: Number(row?.['megabytes']), server: String(row?.['version']) };
}

/** Runs the bench; returns the exit code: 0 measured, 1 with --check and a requirement not met, 2 usage. */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rows: { type: 'string', default: '10000000' },
      rounds: { type: 'string', default: '20' },
      'buffer-pool': { type: 'string', default: '4096' },
      keep: { type: 'boolean', default: false },
      check: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${help}\n`);
    return 0;
  }
  const numbers = [values.rows, values.rounds, values['buffer-pool']].map(Number);
  const [rows, rounds, bufferPoolMb] = numbers as [number, number, number];
  if (numbers.some((number) => !Number.isInteger(number) || number < 1) || rows < 1000) {
    process.stderr.write(`${help}\n`);
    return 2;
  }
  const result = await onStage((stage) => run(stage, { rows, rounds, bufferPoolMb, isKept: values.keep }));
  process.stdout.write(values.json ? `${JSON.stringify(result)}\n` : reportOf(result));
  return values.check && faultsOfResult(result).length > 0 ? 1 : 0;
}
