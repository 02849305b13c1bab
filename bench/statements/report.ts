/** What the statements bench prints, and whether the requirement is met. */
import type { Measured, Measurement, Times } from './measure.ts';

/** A statement's middle time over the rounds must be under this. */
const limitMs = 5;
const statementWidth = 82;
const indexWidth = 29;
const examinedWidth = 10;

export interface StatementsResult extends Measurement {
  readonly reservations: number;
  readonly rounds: number;
  /** Of the run that filled the database. */
  readonly fillSeconds: number;
  readonly bufferPoolMb: number;
  /** Tables and indexes. */
  readonly dataMb: number;
  readonly server: string;
  /** Of the machine, over the last minute, at the end of the measurement. */
  readonly loadAverage: number;
}

/** What the requirement finds wrong: plans without an index, also of batches, and statements that take too long. */
export function faultsOfResult({ statements, faults }: Pick<Measurement, 'statements' | 'faults'>): string[] {
  const slow = statements.filter(({ p50Ms }) => p50Ms >= limitMs);
  return [...faults, ...slow.map(({ question, sql, p50Ms }) => `${question}: ${p50Ms} ms: ${sql}`)];
}

/** The statement in one line: the columns of a SELECT and the values of an INSERT are left out. */
function shortened(sql: string): string {
  const short = sql
    .replace(/ FORCE INDEX \(\w+\)/g, '')
    .replace(/^(\(?)SELECT (?!COUNT).*? FROM /, '$1SELECT .. FROM ')
    .replace(/^(INSERT INTO \w+).*?( ON DUPLICATE KEY)?( UPDATE .*)?$/, '$1$2')
    .replace(/^(UPDATE .*?) SET .*? WHERE /, '$1 SET .. WHERE ')
    .replace(/STRAIGHT_JOIN seats s ON .*? WHERE/, 'JOIN seats WHERE')
    .replace(/STRAIGHT_JOIN seats s ON .*? SET/, 'JOIN seats SET')
    .replace('STRAIGHT_JOIN', 'JOIN');
  return short.length > statementWidth - 2 ? `${short.slice(0, statementWidth - 4)}..` : short;
}

function line(statement: string, indexes: string, examined: string, times: Times, question: string): string {
  const { calls, minMs, p50Ms, maxMs } = times;
  const numbers = [calls.toString().padStart(6), ...[minMs, p50Ms, maxMs].map((ms) => ms.toFixed(2).padStart(8))];
  const plan = `${indexes.padEnd(indexWidth)}${examined.padStart(examinedWidth)}`;
  return `${statement.padEnd(statementWidth)}${plan}${numbers.join('')}  ${question}`.trimEnd();
}

/** A statement that several questions ask: the times of the one in which it is slowest, the plan that looks at most. */
function summedUp(same: readonly Measured[]): Measured {
  const slowest = same.reduce((slow, each) => (each.p50Ms > slow.p50Ms ? each : slow));
  const widest = same.reduce((wide, each) => (each.rows > wide.rows ? each : wide));
  const calls = same.reduce((sum, each) => sum + each.calls, 0);
  const maxMs = Math.max(...same.map((each) => each.maxMs));
  return { ...slowest, indexes: widest.indexes, examined: widest.examined, calls, maxMs };
}

/** A line a statement, in the order in which they were first asked; the result itself has one a question. */
export function reportOf(result: StatementsResult): string {
  const { reservations, rounds, fillSeconds, bufferPoolMb, dataMb, server, loadAverage, statements } = result;
  const lines = [
    `${reservations.toLocaleString('en')} reservations, ${dataMb.toLocaleString('en')} MB of tables and indexes, ${server},`,
    `buffer pool ${bufferPoolMb} MB, filled in ${fillSeconds} s; ${rounds} rounds, load average ${loadAverage.toFixed(1)}`,
    '',
    `${'statement'.padEnd(statementWidth)}${'index'.padEnd(indexWidth)}  examined calls  min ms  p50 ms  max ms  asked, and slowest, to`,
  ];
  lines.push(
    ...linesOf(statements),
    line('START TRANSACTION', '-', '-', result.starts, ''),
    line('COMMIT or ROLLBACK', '-', '-', result.ends, ''),
    '',
    'full batches, each the work of 200 requests: shown, not held to the limit',
    ...linesOf(result.batches),
    '',
    ...verdictOf(result),
  );
  return `${lines.join('\n')}\n`;
}

function linesOf(statements: readonly Measured[]): string[] {
  return [...Map.groupBy(statements, ({ sql }) => sql).values()].map((same) => {
    const { sql, indexes, examined, question, ...times } = summedUp(same);
    return line(shortened(sql), indexes ?? '-', examined ?? '-', times, question);
  });
}

function verdictOf(result: StatementsResult): string[] {
  const slowest = result.statements.reduce((slow, each) => (each.p50Ms > slow.p50Ms ? each : slow));
  const wrong = faultsOfResult(result);
  return [
    'examined: rows EXPLAIN expects, table by table. p50: middle of the rounds, in the question named; from the call to the',
    'answer in this process, one statement after the other, over TCP on the loopback; warm: asked before on the same ground;',
    'a write that is no part of a transaction has its own commit, to the disk, in its time',
    `slowest: ${slowest.p50Ms.toFixed(2)} ms, to ${slowest.question}: ${shortened(slowest.sql)}`,
    'published for the same questions: 31 ms to 836 ms after tuning, 3.3 s to 10 s before',
    wrong.length === 0
      ? `ok   every statement finds its rows by an index and takes under ${limitMs} ms`
      : `no   statements that do not find their rows by an index, or take ${limitMs} ms or more:`,
    ...wrong.map((fault) => `     ${fault}`),
  ];
}
