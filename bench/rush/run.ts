/** One rush on a gateway that runs: a performance of its own, the requests of all its users, the verdict. */
import { targetOf } from '../load/connection.ts';
import { fire, openConnections } from '../load/fire.ts';
import { startProgress } from '../load/progress.ts';
import type { Stage } from '../load/stage.ts';
import { latencyOf } from '../load/statistics.ts';
import type { Sale } from './options.ts';
import type { RushRun } from './report.ts';
import { createSale, prepareRequests, userOf } from './sale.ts';
import { Tally } from './tally.ts';
import { checkVerdict } from './verdict.ts';

/** Where it takes place. */
export interface Place {
  readonly url: string;
  readonly mysqlUrl: string;
  readonly jwtSecret: string;
  /** MySQL may be behind the answers. */
  readonly isLagging: boolean;
}

export interface Rush {
  readonly users: number;
  /** Requests of each user. */
  readonly repeat: number;
  readonly sale: Sale;
  readonly connections: number;
  readonly seed: number;
  /** Its first user, counted from 0: rushes with users of their own share no token and no limit. */
  readonly firstUser: number;
}

/** Rejects when the sale could not be made, the gateway not be reached, or MySQL not be read. */
export async function runRush(stage: Stage, place: Place, rush: Rush): Promise<RushRun> {
  const { users, repeat, sale, firstUser } = rush;
  const target = targetOf(place.url);
  const total = users * repeat;
  const performanceId = await createSale(target, place.jwtSecret, sale);
  const textOf = prepareRequests(target, place.jwtSecret, performanceId, rush);
  const connections = await openConnections(target, rush.connections);

  const tally = new Tally(users, firstUser);
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

  const verdict = await checkVerdict(place.mysqlUrl, performanceId, sale, total, tally, place.isLagging);
  return {
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
