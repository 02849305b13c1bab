/**
 * Runs a k6 script with what Node has, for the tests of the scripts: a small part of k6 2.x, true to it, that refuses every
 * name and option it does not know. It measures nothing; for that there is k6.
 */
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runScript } from './run.ts';

const usage = `Usage: [NAME=value ...] node bench/k6/runtime/main.ts SCRIPT.js

Runs a script of bench/k6 with few VUs and prints the result as one JSON object on stdout.
Exit code: as k6's: 0, 99 a threshold is not kept, 104 wrong options, 107 the script fails; 2 wrong usage.
`;

const [path, ...others] = process.argv.slice(2);
if (path === '--help') process.stdout.write(usage);
else if (path === undefined || others.length > 0 || path.startsWith('-')) {
  process.stderr.write(usage);
  process.exitCode = 2;
} else {
  const result = await runScript(pathToFileURL(resolve(path)).href);
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exitCode = result.exitCode;
}
