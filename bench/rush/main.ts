/** `npm run rush`: many users on one performance, all at once; then the verdict. See `--help`. */
import { randomBytes } from 'node:crypto';
import { type Gateway, startGateway } from '../load/gateway.ts';
import { UsageError } from '../load/options.ts';
import { say } from '../load/progress.ts';
import { onStage, type Stage } from '../load/stage.ts';
import { startStores } from '../load/stores.ts';
import { type RushOptions, readRushOptions, usage } from './options.ts';
import { type RushResult, renderResult } from './report.ts';
import { type Place, runRush } from './run.ts';

interface OwnPlace extends Place {
  /** Null for one that ran already. */
  readonly gateway: Gateway | null;
}

/** Finds the gateway, or starts one with its stores. */
async function findPlace(stage: Stage, options: RushOptions): Promise<OwnPlace> {
  const { url, ack, workers } = options;
  const { REDIS_URL: redisUrl, MYSQL_URL: mysqlUrl = '', JWT_SECRET: secret = '' } = process.env;
  // `held` answers before MySQL has it; so may a gateway whose settings are not known here.
  if (url !== null) return { url, mysqlUrl, jwtSecret: secret, isLagging: true, gateway: null };
  const jwtSecret = secret === '' ? randomBytes(32).toString('base64url') : secret;
  const stores = await stage.add(() => startStores({ name: 'rush', redisUrl, mysqlUrl, say }));
  say('starting the gateway ...');
  const settings = { FASTPASS_ACK: ack };
  const gateway = await stage.add(() => startGateway({ ...stores, jwtSecret, workers, settings }));
  say(`the gateway is ready at ${gateway.url} (process ${gateway.pid})`);
  return { url: gateway.url, mysqlUrl: stores.mysqlUrl, jwtSecret, isLagging: ack === 'held', gateway };
}

/** Returns the exit code. */
async function main(): Promise<number> {
  const options = readRushOptions(process.argv.slice(2), process.env);
  if (options === null) {
    process.stdout.write(usage);
    return 0;
  }
  return onStage(async (stage) => {
    const place = await findPlace(stage, options);
    say(`minting ${options.users} tokens, opening ${options.connections} connections ...`);
    const result: RushResult = { options, ...(await runRush(stage, place, { ...options, firstUser: 0 })) };
    process.stdout.write(options.isJson ? `${JSON.stringify(result)}\n` : `\n${renderResult(result)}`);
    const complaints = place.gateway?.complaints() ?? [];
    if (complaints.length > 0) say(`\nThe gateway complained:\n${complaints.join('\n')}`);
    return result.verdict.holds ? 0 : 1;
  });
}

main().then(
  (exitCode) => {
    process.exitCode = exitCode;
  },
  (thrown: unknown) => {
    say(`rush: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
    if (thrown instanceof UsageError) say('Try --help.');
    process.exitCode = thrown instanceof UsageError ? 2 : 1;
  },
);
