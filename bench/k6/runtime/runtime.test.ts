/** The runtime of the scripts' tests: it refuses what it does not know, and decides as k6 does. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Metrics, type Sample } from './metrics.ts';
import { exitCodes } from './run.ts';
import { type Outcome, runScript } from './spawn.ts';

const timeoutMs = 60_000;
const once = `{ scenarios: { all: { executor: 'per-vu-iterations', vus: 2, iterations: 2 } } }`;

async function run(text: string): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), 'k6-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, 'script.js');
  await writeFile(path, text);
  return runScript(path, {});
}

/** A script with these options and this body of the default function. */
function scriptOf(head: string, options: string, body = ''): string {
  return `${head}\nexport const options = ${options};\nexport default function (data) { ${body} }\n`;
}

const counting = `import { Counter } from 'k6/metrics'; const seen = new Counter('seen');`;
const http = `import http from 'k6/http';`;

const refused: [string, number, string, string][] = [
  ['a module it does not have', exitCodes.scriptException, 'k6/ws', scriptOf(`import ws from 'k6/ws';`, once)],
  ['a module of Node', exitCodes.scriptException, 'node:fs', scriptOf(`import fs from 'node:fs';`, once)],
  [
    'a name its module does not have',
    exitCodes.scriptException,
    'sleeep',
    scriptOf(`import { sleeep } from 'k6';`, once),
  ],
  [
    'a name a default export does not have',
    exitCodes.scriptException,
    'has no fetch',
    scriptOf(`${http} http.fetch;`, once),
  ],
  ['a request in the init context', exitCodes.scriptException, 'init', scriptOf(`${http} http.get('http://x');`, once)],
  ['an unknown option', exitCodes.invalidConfig, 'has no vuss', scriptOf('', '{ vuss: 1 }')],
  [
    'an unknown executor',
    exitCodes.invalidConfig,
    'externally',
    scriptOf('', once.replace('per-vu-iterations', 'externally-controlled')),
  ],
  [
    'an option its executor does not have',
    exitCodes.invalidConfig,
    'has no rate',
    scriptOf('', once.replace('vus:', 'rate: 1, vus:')),
  ],
  ['too many VUs', exitCodes.invalidConfig, '41 VUs', scriptOf('', once.replace('vus: 2', 'vus: 41'))],
  ['a wrong value of an option', exitCodes.invalidConfig, 'wrong vus', scriptOf('', once.replace('vus: 2', 'vus: 0'))],
  [
    'a threshold without a metric',
    exitCodes.invalidConfig,
    'no metric seen',
    scriptOf('', once.replace('{', `{ thresholds: { seen: ['count==0'] },`)),
  ],
  [
    'a threshold that its metric cannot keep',
    exitCodes.invalidConfig,
    'p(95)',
    scriptOf(counting, once.replace('{', `{ thresholds: { seen: ['p(95)<1'] },`)),
  ],
];

it.each(refused)('%s ends the run with %i: %s', { timeout: timeoutMs }, async (_, code, why, text) => {
  const { exitCode, errors, iterations } = await run(text);
  expect([exitCode, iterations]).toEqual([code, 0]);
  expect(errors.join()).toContain(why);
});

it('a script that fails in teardown has failed, whatever its thresholds say', { timeout: timeoutMs }, async () => {
  const head = `export function teardown() { throw new Error('no end'); }`;
  const { exitCode, errors, iterations } = await run(scriptOf(head, once));
  expect([exitCode, iterations]).toEqual([exitCodes.scriptException, 4]);
  expect(errors.join()).toContain('no end');
});

it('each VU has an init context and a copy of the data of its own', { timeout: timeoutMs }, async () => {
  const head = `${counting} let turns = 0; export function setup() { return { list: [1] }; }`;
  const body = 'data.list.push(1); if (++turns === __ITER + 1 && data.list.length === 2) seen.add(1);';
  const options = once.replace('{', `{ thresholds: { seen: ['count==4'], iterations: ['count==4'] },`);
  const { exitCode, errors } = await run(scriptOf(head, options, body));
  expect([exitCode, errors]).toEqual([0, []]);
});

it('what a script throws in an iteration is told, and the iteration counted', { timeout: timeoutMs }, async () => {
  const { exitCode, errors, iterations } = await run(scriptOf('', once, `throw new Error('no good');`));
  expect([exitCode, iterations, errors.length]).toEqual([0, 4, 4]);
  expect(errors[0]).toContain('no good');
});

it('thresholds are decided over the samples with their tag, and a rate of nothing keeps none', () => {
  const metrics = new Metrics();
  metrics.declare('wait', 'trend');
  metrics.declare('wrong', 'counter');
  const waits = [10, 20, 30, 40, 50].map(
    (value, i): Sample => ({ metric: 'wait', value, tags: { name: i < 4 ? 'a' : 'b' } }),
  );
  metrics.add(waits);
  const thresholds = {
    wait: ['p(95)<49', 'max==50', 'med<=30', 'avg>30'],
    'wait{name:a}': ['p(50)<26', 'max<50'],
    wrong: ['count==0'],
    http_req_failed: ['rate==0'],
  };
  metrics.check(thresholds);
  const decided = metrics.decide(thresholds, 1).map(({ threshold, isKept }) => `${threshold} ${isKept}`);
  expect(decided).toEqual([
    'p(95)<49 true',
    'max==50 true',
    'med<=30 true',
    'avg>30 false',
    'p(50)<26 true',
    'max<50 true',
    'count==0 true',
    'rate==0 false',
  ]);
});
