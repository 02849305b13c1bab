/** Tests run on MariaDB, and MySQL is promised as well: everything that is sent is read by a grammar of MySQL too. */
import { readdirSync, readFileSync } from 'node:fs';
import { format, type SqlValue } from 'mysql2/promise';
import nodeSqlParser from 'node-sql-parser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askBatches, askEverything } from '../bench/statements/asked.ts';
import { asking, findGrounds } from '../bench/statements/measure.ts';
import { shapeFor } from '../bench/statements/model.ts';
import { silentLog } from '../src/logger.ts';
import { Database } from '../src/persist/database.ts';
import { createFilledDatabase, type OwnDatabase } from './own-database.ts';
import { startFiles, textsWritten, writtenAndNotAsked } from './statements.ts';

/**
 * Legal in MySQL 8.4 and not known to the parser: the page of the manual (https://dev.mysql.com/doc/refman/8.4/en/ and
 * .html) that has it, and a statement of the same meaning that the parser does know.
 */
const unknownToParser: Readonly<Record<string, { readonly page: string; readonly same: string }>> = {
  'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED': {
    page: 'set-transaction',
    same: "SET SESSION transaction_isolation = 'READ-COMMITTED'",
  },
  // For the next transaction alone.
  'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ': {
    page: 'set-transaction',
    same: "SET @@transaction_isolation = 'REPEATABLE-READ'",
  },
  // The parser knows one characteristic, and this one not.
  'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY': {
    page: 'commit',
    same: 'START TRANSACTION READ ONLY',
  },
};

/** `tbl_name [[AS] alias] [index_hint_list]`, page `join`; the list, page `index-hints`, says how and never what. */
const indexHint = /\b((?:FROM|UPDATE|JOIN|STRAIGHT_JOIN) \w+(?: \w+)?) FORCE INDEX \(\w+\)/g;
/** `DELETE tbl_name FROM table_references`, page `delete`; a table_reference may be a `table_subquery alias`, page `join`. */
const deleteFromSubquery = /^(DELETE \w+ FROM )\((SELECT [^()]*)\)( \w+ )/;

/** The same in words the parser knows: without the hints, each where it may stand; a subquery beside what it is part of. */
function known(sql: string): string[] {
  const plain = unknownToParser[sql]?.same ?? sql.trim().replace(indexHint, '$1');
  const [, , subquery] = deleteFromSubquery.exec(plain) ?? [];
  return subquery === undefined ? [plain] : [subquery, plain.replace(deleteFromSubquery, '$1subquery$3')];
}

const parser = new nodeSqlParser.Parser();

function faultOf(sql: string): string | null {
  try {
    parser.astify(sql, { database: 'MySQL' });
    return null;
  } catch (thrown) {
    return `${String(thrown).slice(0, 200)}: ${sql.trim().slice(0, 400)}`;
  }
}

function faultsOf(statements: Iterable<string>): string[] {
  return [...statements].map(faultOf).filter((fault) => fault !== null);
}

describe('the grammar of MySQL', () => {
  it('reads every statement of the migrations', () => {
    const folder = new URL('../src/persist/migrations/', import.meta.url);
    const statements = readdirSync(folder)
      .map((name) => readFileSync(new URL(name, folder), 'utf8').replace(/^--.*$/gm, ''))
      .flatMap((text) => text.split(';'))
      .filter((statement) => statement.trim() !== '');
    expect(statements.length).toBeGreaterThan(10);
    expect(faultsOf(statements)).toEqual([]);
  });

  it('reads what a start and a transaction ask', () => {
    const verbs = /^(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|SET|START|COMMIT|ROLLBACK)\b/;
    const statements = startFiles.flatMap((name) => textsWritten(name, verbs)).map((pieces) => pieces.join('1'));
    expect(statements.length).toBeGreaterThan(5);
    expect(faultsOf(statements.flatMap(known))).toEqual([]);
    // None stands in the list that need not, or that nobody asks any more.
    const needless = Object.keys(unknownToParser).filter((sql) => !statements.includes(sql) || faultOf(sql) === null);
    expect(needless).toEqual([]);
  });

  it('does not read what is none', () => {
    expect(
      faultsOf(['SELEC 1', 'SELECT FROM', 'UPDATE seats status = 1', 'DELETE seats WHERE', 'SELECT (1'].flatMap(known)),
    ).toHaveLength(5);
  });

  describe('of what is sent', () => {
    const asked = new Set<string>();
    const sent = new Set<string>();
    let own: OwnDatabase;
    let database: Database;

    beforeAll(async () => {
      const shape = shapeFor(2000);
      own = await createFilledDatabase(shape);
      database = new Database(own.url, silentLog);
      const ask = asking(database, () => ({
        statement: ({ sql, parameters, run }) => {
          asked.add(sql);
          sent.add(format(sql, parameters as SqlValue[], false, 'Z'));
          return run();
        },
      }));
      for (const ground of await findGrounds(database, shape)) {
        await askEverything(ask, database, ground);
        await askBatches(ask, database, ground);
      }
    });
    afterAll(async () => {
      await database.close();
      await own.drop();
    });

    it('reads everything that stands in src/persist, with its values', () => {
      const { written, missing } = writtenAndNotAsked(asked);
      expect(written).toBeGreaterThan(50);
      expect(missing).toEqual([]);
      expect(faultsOf([...sent].flatMap(known))).toEqual([]);
    });
  });
});
