/** `npm run rush`: many users on one performance, all at once; then the verdict. See `--help`. */
import { randomBytes } from 'node:crypto';
import { targetOf } from '../load/connection.ts';
import { fire, openConnections } from '../load/fire.ts';
import { type Gateway, startGateway } from '../load/gateway.ts';
import { say, startProgress } from '../load/progress.ts';
import { onStage, type Stage } from '../load/stage.ts';
import { latencyOf } from '../load/statistics.ts';
import { startStores } from '../load/stores.ts';
import { type RushOptions, readRushOptions, UsageError, usage } from './options.ts';
import { type RushResult, renderResult } from './report.ts';
import { createSale, prepareRequests, userOf } from './sale.ts';
import { Tally } from './tally.ts';
import { checkVerdict } from './verdict.ts';

interface Place {
  readonly url: string;
  readonly mysqlUrl: string;
  readonly jwtSecret: string;
  /** Null for one that ran already. */
  readonly gateway: Gateway | null;
}

/** Finds the gateway, or starts one with its stores. */
async function findPlace(stage: Stage, options: RushOptions): Promise<Place> {
  const { url, ack, workers } = options;
  const { REDIS_URL: redisUrl, MYSQL_URL: mysqlUrl = '', JWT_SECRET: secret = '' } = process.env;
  if (url !== null) return { url, mysqlUrl, jwtSecret: secret, gateway: null };
  const jwtSecret = secret === '' ? randomBytes(32).toString('base64url') : secret;
  const stores = await stage.add(() => startStores({ name: 'rush', redisUrl, mysqlUrl, say }));
  say('starting the gateway ...');
  const settings = { FASTPASS_ACK: ack };
  const gateway = await stage.add(() => startGateway({ ...stores, jwtSecret, workers, settings }));
  say(`the gateway is ready at ${gateway.url} (process ${gateway.pid})`);
  return { url: gateway.url, mysqlUrl: stores.mysqlUrl, jwtSecret, gateway };
}

async function rush(stage: Stage, options: RushOptions, place: Place): Promise<RushResult> {
  const { users, repeat, sale, connections: connectionCount, ack, url } = options;
  const target = targetOf(place.url);
  const total = users * repeat;
  const performanceId = await createSale(target, place.jwtSecret, sale);
  say(`minting ${users} tokens, opening ${connectionCount} connections ...`);
  const textOf = prepareRequests(target, place.jwtSecret, performanceId, options);
  const connections = await openConnections(target, connectionCount);

  const tally = new Tally(users);
  const latenciesMs = new Float64Array(total);
  const answeredAtsMs = new Float64Array(total);
  let answered = 0;
  const progress = await stage.add(() => startProgress('rush', total));
  const { startedAtMs, totalMs, generatorCpuMs } = await fire({
    target,
    connections,
    total,
    textOf,
    onAnswer(index, answer, writtenAtMs, answeredAtMs) {
      tally.add(userOf(index, repeat), answer);
      latenciesMs[answered] = answeredAtMs - writtenAtMs;
      answeredAtsMs[answered++] = answeredAtMs;
      progress.done++;
    },
    onLost(_index, reason) {
      tally.addLost(reason);
      progress.done++;
    },
  }).finally(() => progress.stop());

  // `held` answers before MySQL has it; so may a gateway whose settings are not known here.
  const isLagging = url !== null || ack === 'held';
  const verdict = await checkVerdict(place.mysqlUrl, performanceId, sale, total, tally, isLagging);
  return {
    options,
    requests: total,
    outcomes: tally.outcomes,
    totalMs,
    requestsPerSecond: (answered * 1000) / totalMs,
    latency: latencyOf(latenciesMs.subarray(0, answered)),
    latencyFromStart: latencyOf(answeredAtsMs.subarray(0, answered).map((atMs) => atMs - startedAtMs)),
    generatorCpuMs,
    verdict,
  };
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
    const result = await rush(stage, options, place);
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
