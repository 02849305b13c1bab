/** `npm run bench -- NAME [options]`: the benches by name. */
import { codeOf } from '../src/lib/errors.ts';
import * as floor from './floor/main.ts';
import * as growth from './growth/main.ts';
import * as metrics from './metrics.ts';
import * as queue from './queue/main.ts';
import * as report from './report/main.ts';
import * as rush from './rush/ladder.ts';
import * as sizes from './sizes.ts';
import * as sockets from './sockets/main.ts';
import * as statements from './statements/main.ts';
import * as ways from './ways/main.ts';

const benches: Readonly<Record<string, { readonly help: string; main(args: readonly string[]): Promise<number> }>> = {
  floor,
  growth,
  metrics,
  queue,
  report,
  rush,
  sizes,
  sockets,
  statements,
  ways,
};

const [name = '', ...args] = process.argv.slice(2);
const bench = benches[name];
if (bench === undefined) {
  const isAsked = name === '' || name === '--help';
  const helps = Object.values(benches).map(({ help }) => help);
  process[isAsked ? 'stdout' : 'stderr'].write(`${isAsked ? '' : `no bench named ${name}\n\n`}${helps.join('\n\n')}\n`);
  process.exitCode = isAsked ? 0 : 2;
} else {
  try {
    process.exitCode = await bench.main(args);
  } catch (thrown) {
    process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    process.exitCode = codeOf(thrown).startsWith('ERR_PARSE_ARGS') ? 2 : 1;
  }
}
